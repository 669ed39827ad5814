//! The bundled OCI runtime: synchronous, single-threaded, one file per verb.
//!
//! [`main`] is the whole program: it takes the arguments after the program's name and returns the exit code.
//! The way of a container: [`bundle`] reads and checks a configuration, `compile` turns it into a flat program for the
//! child, [`sys::launch`] clones the child that interprets it, and [`container`] is what is written down about it.

mod arguments;
mod bring_up;
pub mod bundle;
pub mod cgroup;
mod compile;
mod console;
pub mod container;
mod error;
mod foreground;
mod hooks;
mod idmap;
mod log;
pub mod seccomp;
mod signal;
mod verb;

use std::cell::RefCell;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

pub use error::Error;

/// The version that `--version` tells.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The version of the OCI runtime specification that this runtime implements.
pub const SPECIFICATION: &str = "1.2.0";

/// What holds for every verb.
#[derive(Debug)]
pub(crate) struct Global {
    /// Where containers are written down.
    pub(crate) root: PathBuf,
    pub(crate) log: log::Log,
    /// Whether this process may do what root may.
    pub(crate) privileged: bool,
    /// The mount that this program runs from, if it is a private one; closing it takes a while.
    pub(crate) own_mount: RefCell<Option<OwnedFd>>,
}

impl Global {
    /// Tells of something that is wrong and does not stop the verb.
    pub(crate) fn warn(&self, text: &str) {
        self.log.write(log::Level::Warning, text);
    }
}

/// Runs the program with the arguments that follow its name, and returns its exit code.
pub fn main(args: impl Iterator<Item = OsString>) -> i32 {
    let mut log = log::Log::default();
    match verb::dispatch(args.collect(), &mut log) {
        Ok(code) => code,
        Err(error) => {
            log.write(log::Level::Error, &error::chain(&error));
            1
        }
    }
}
