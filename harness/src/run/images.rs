//! The images of a run, unpacked once before anything runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::Image;
use spec::Workload;

use super::Error;
use crate::plan::Case;

/// Where images lie, as absolute paths.
#[derive(Debug)]
pub(super) struct Images {
    /// The probe's.
    pub(super) probe: PathBuf,
    /// By name in the spec.
    pub(super) named: BTreeMap<String, PathBuf>,
}

pub(super) fn bring(cases: &[Case], dir: &Path) -> Result<Images, Error> {
    const PROBE: &str = "plimsoll/probe";
    let mut named = BTreeMap::new();
    let failed = |name: &str| {
        let name = name.to_owned();
        move |source| Error::Image { name, source }
    };
    let probe = Image::Probe
        .unpack(&dir.join("images/probe"))
        .map_err(failed(PROBE))?
        .path;
    named.insert(PROBE.to_owned(), probe.clone());
    for case in cases.iter().flat_map(Case::all) {
        for workload in case.spec.workloads.values() {
            let Workload::Container(container) = &workload.value else {
                continue;
            };
            if named.contains_key(&container.image) {
                continue;
            }
            let name = &container.image;
            let dest = dir.join(format!("images/{}", named.len()));
            let rootfs = Image::parse(name).and_then(|i| i.unpack(&dest)).map_err(failed(name))?;
            let path = std::path::absolute(&rootfs.path).map_err(|source| Error::Directory {
                path: rootfs.path.clone(),
                source,
            })?;
            named.insert(name.clone(), path);
        }
    }
    Ok(Images { probe, named })
}
