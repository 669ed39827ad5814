//! The floors of the kernel that are measured beside runtimes, with the filter that the bundles have.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use harness::floor::{Depth, Error as Refused, Filter, Groups, Starter};

use super::{Error, Subject, bundle};

/// What starts processes as the floors do.
pub(super) struct Floor(Starter);

impl Floor {
    /// With the control group `name` in every hierarchy of version 1.
    pub(super) fn new(home: &Path, rootfs: &Path, name: &str) -> Result<Floor, Error> {
        let hierarchies = super::guard::hierarchies().into_iter();
        let hierarchies: Vec<_> = hierarchies.filter(|path| path.join("tasks").exists()).collect();
        let groups = Groups::make(&hierarchies, name).map_err(|source| Error::Floor {
            name: Subject::Floor.name(),
            source,
        })?;
        let filter = bundle::filter()?;
        let filter = Filter {
            flags: filter.flags(),
            words: filter.filter().into(),
        };
        Ok(Floor(Starter::new(home, rootfs, groups, filter)))
    }

    /// L1 or L5; what `verb` of the probe says goes to `output` if there is one.
    pub(super) fn time(&mut self, subject: Subject, verb: &str, output: Option<OwnedFd>) -> Result<Duration, Error> {
        let depth = match subject {
            Subject::Floor => Depth::FULL,
            _ => Depth::SPAWN,
        };
        let refused = |source: Refused| Error::Floor {
            name: subject.name(),
            source,
        };
        self.0.time(depth, &[verb], output).map_err(refused)
    }
}
