//! Containers that run beside all samples, and do nothing.

use std::fs::File;
use std::path::PathBuf;

use oci_runtime_client::Streams;
use serde_json::{Value, json};

use super::start::accepted;
use crate::drive::{Stuck, World, act};
use crate::guard::HOME;
use crate::observe;

/// Starts so many of them by the subject, from the bundle of the workload `name`. They end with the guard.
pub(super) fn populate(world: &mut World<'_>, name: &str, count: u32) -> Result<(), Stuck> {
    let (bundle, _) = world.bundle(name, &format!("plimsoll-{name}"))?;
    let path = bundle.join("config.json");
    let host = |what: &str, why: &dyn std::fmt::Display| Stuck::Host(format!("failed to {what}: {why}"));
    let text = std::fs::read(&path).map_err(|error| host("read a bundle", &error))?;
    let config: Value = serde_json::from_slice(&text).map_err(|error| host("parse a bundle", &error))?;
    for number in 0..count {
        let id = format!("plimsoll-{name}-{number}");
        let own = PathBuf::from(format!("{}-{number}", bundle.display()));
        let mut config = config.clone();
        config["process"]["args"] = json!(["sleep", "forever"]);
        // All have the same files: they write nothing.
        config["root"]["path"] = json!(bundle.join("rootfs"));
        if config["linux"]["cgroupsPath"].is_string() {
            config["linux"]["cgroupsPath"] = json!(format!("/{id}"));
        }
        std::fs::create_dir_all(&own).map_err(|error| host("make a bundle", &error))?;
        std::fs::write(own.join("config.json"), config.to_string()).map_err(|error| host("write a bundle", &error))?;
        let complaints = PathBuf::from(format!("{HOME}/tmp/{id}.stderr"));
        let null = |to: bool| {
            let opened = File::options().read(!to).write(to).open("/dev/null");
            opened.map_err(|error| host("open `/dev/null`", &error))
        };
        let streams = Streams {
            stdin: Some(null(false)?),
            stdout: Some(null(true)?),
            stderr: Some(File::create(&complaints).map_err(|error| host("make a file for complaints", &error))?),
        };
        let pid_file = PathBuf::from(format!("{HOME}/tmp/{id}.pid"));
        let said = || {
            format!(
                "{}{}",
                observe::output::text(&complaints),
                act::logged(world.client.log())
            )
        };
        accepted(world.client.create(&id, &own, &pid_file, &[], streams), said).map_err(Stuck::Subject)?;
        accepted(world.client.start(&id), String::new).map_err(Stuck::Subject)?;
    }
    Ok(())
}
