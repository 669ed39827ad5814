//! What the kernel itself takes for a container: no runtime, only the system calls that cannot be left out.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{WaitId, WaitIdOptions, waitid};
use rustix::thread::UnshareFlags;
use sys::launch::{CloneAs, Op, Program, Vectors, start};

use super::{Error, Subject, act, bundle, refused};

/// `MS_SLAVE | MS_REC`.
const SLAVE: u32 = 1 << 19 | 1 << 14;

/// Directories and control groups for floors.
pub(super) struct Floor {
    home: PathBuf,
    rootfs: PathBuf,
    tasks: Vec<CString>,
    filter: runtime::seccomp::Program,
    made: usize,
}

fn string(text: impl AsRef<[u8]>) -> Result<CString, Error> {
    CString::new(text.as_ref()).map_err(|error| act("write a path with a zero byte")(error.into()))
}

impl Floor {
    /// Makes the control group `name` in every hierarchy of version 1, with the limits that the bundles ask for.
    pub(super) fn new(home: &Path, rootfs: &Path, name: &str) -> Result<Floor, Error> {
        let mut tasks = Vec::new();
        for hierarchy in super::guard::hierarchies() {
            if !hierarchy.join("tasks").exists() {
                continue;
            }
            let group = hierarchy.join(name.trim_start_matches('/'));
            fs_err::create_dir_all(&group).map_err(act("make a control group"))?;
            seed_cpuset(&hierarchy, &group)?;
            for (file, limit) in [
                ("memory.limit_in_bytes", "67108864"),
                ("cpu.shares", "512"),
                ("cpu.cfs_quota_us", "50000"),
                ("pids.max", "64"),
            ] {
                let file = group.join(file);
                if file.exists() {
                    fs_err::write(file, limit).map_err(act("limit a control group"))?;
                }
            }
            tasks.push(string(group.join("tasks").as_os_str().as_bytes())?);
        }
        Ok(Floor {
            home: home.to_owned(),
            rootfs: rootfs.to_owned(),
            tasks,
            filter: bundle::filter()?,
            made: 0,
        })
    }

    /// L1, or L5 in directories of its own; what `verb` of the probe says goes to `output` if there is one.
    ///
    /// # Notes
    /// The program and the directories are made before the clock starts: the floor is the kernel's work, not ours.
    pub(super) fn time(&mut self, subject: Subject, verb: &str, output: Option<OwnedFd>) -> Result<Duration, Error> {
        let mut program = Program::new();
        let mut clone = CloneAs {
            vfork: true,
            ..CloneAs::default()
        };
        let mut path = PathBuf::from("/bin").join(verb);
        if subject == Subject::Floor {
            self.isolate(&mut program)?;
            let all = UnshareFlags::NEWPID
                | UnshareFlags::NEWNS
                | UnshareFlags::NEWUTS
                | UnshareFlags::NEWIPC
                | UnshareFlags::NEWNET;
            clone.namespaces = all.bits();
        } else {
            path = self.rootfs.join("bin").join(verb);
        }
        if let Some(output) = output {
            let place = program.hold(output);
            program.push(Op::Stdio(place));
        }
        let arguments = vec![string(verb)?];
        let vectors = Box::new(Vectors::new(arguments, Vec::new()));
        program.push(Op::Exec(Box::new([string(path.as_os_str().as_bytes())?]), vectors));

        let began = Instant::now();
        let started = start(&program, &clone).map_err(act("clone"))?;
        let status = waitid(WaitId::PidFd(started.pidfd.as_fd()), WaitIdOptions::EXITED).map_err(refused("wait"))?;
        let took = began.elapsed();

        if let Some(failure) = started.failure() {
            return Err(Error::Start {
                subject: subject.name(),
                complaint: format!("operation {} of its program: {}", failure.op, failure.errno),
            });
        }
        let code = status.and_then(|status| status.exit_status());
        if code != Some(0) {
            return Err(Error::Start {
                subject: subject.name(),
                complaint: format!("the probe ended with {code:?}"),
            });
        }
        Ok(took)
    }

    fn isolate(&mut self, program: &mut Program) -> Result<(), Error> {
        self.made += 1;
        let home = self.home.join(self.made.to_string());
        let directories = ["upper", "work", "merged"].map(|name| home.join(name));
        for directory in &directories {
            fs_err::create_dir_all(directory).map_err(act("make a directory"))?;
        }
        let [upper, work, merged] = directories;

        for tasks in &self.tasks {
            // 0 is the writer, and a single thread moves itself without a grace period.
            program.push(Op::WriteFile(tasks.clone(), Box::from(*b"0")));
        }
        program.push(Op::Unshare(UnshareFlags::NEWCGROUP.bits()));
        program.push(Op::Hostname(Box::from(*b"floor")));
        program.push(Op::Propagation(c"/".to_owned(), SLAVE));
        let [fs, root] = [program.place(), program.place()];
        let name = c"overlay".to_owned();
        program.push(Op::FsOpen { name, into: fs });
        for (key, path) in [(c"lowerdir", &self.rootfs), (c"upperdir", &upper), (c"workdir", &work)] {
            let (key, value) = (key.to_owned(), string(path.as_os_str().as_bytes())?);
            program.push(Op::FsString { fs, key, value });
        }
        program.push(Op::FsMount {
            fs,
            attr: 0,
            into: root,
        });
        let to = string(merged.as_os_str().as_bytes())?;
        program.push(Op::AttachPath { mount: root, to });
        let [fs, proc] = [program.place(), program.place()];
        let name = c"proc".to_owned();
        program.push(Op::FsOpen { name, into: fs });
        program.push(Op::FsMount {
            fs,
            attr: 0,
            into: proc,
        });
        let to = string(merged.join("proc").as_os_str().as_bytes())?;
        program.push(Op::AttachPath { mount: proc, to });
        program.push(Op::PivotRoot(root));
        program.push(Op::NoNewPrivileges);
        program.push(Op::Seccomp {
            flags: self.filter.flags(),
            filter: self.filter.filter().into(),
        });
        Ok(())
    }
}

/// A new group has no processors and no memory, and takes nobody: it gets what the groups above it have.
fn seed_cpuset(hierarchy: &Path, group: &Path) -> Result<(), Error> {
    let below: Vec<&Path> = group.ancestors().take_while(|path| *path != hierarchy).collect();
    for path in below.into_iter().rev() {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let (Some(above), own) = (path.parent().map(|above| above.join(file)), path.join(file)) else {
                continue;
            };
            if own.exists() && above.exists() {
                let given = fs_err::read_to_string(above).map_err(act("read a cpuset"))?;
                fs_err::write(own, given.trim()).map_err(act("seed a cpuset"))?;
            }
        }
    }
    Ok(())
}
