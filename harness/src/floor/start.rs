//! What the kernel itself takes for a container: no runtime, only the system calls that cannot be left out.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{WaitId, WaitIdOptions, waitid};
use rustix::thread::UnshareFlags;
use spec::workload::RootfsKind;
use sys::launch::{CloneAs, Op, Program, Started, Vectors, start};

use super::{Error, Groups, act, string};

/// `MS_SLAVE | MS_REC`.
const SLAVE: u32 = 1 << 19 | 1 << 14;

/// A filter of system calls: classic BPF, each `struct sock_filter` in one word.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Flags of `seccomp(2)`.
    pub flags: u32,
    /// The instructions.
    pub words: Box<[u64]>,
}

impl Default for Filter {
    /// One that compares the number of a system call as often as an engine's list of what it refuses is long, and refuses
    /// nothing that there is.
    fn default() -> Self {
        const COMPARISONS: u64 = 48;
        const NONE: u64 = 100_000;
        let word = |code: u64, jt: u64, k: u64| code | jt << 16 | k << 32;
        // `ld [0]`, then for each `jeq #k, deny`, at last `ret ALLOW` and `ret ERRNO | EPERM` (linux/seccomp.h).
        let mut words = vec![word(0x20, 0, 0)];
        words.extend((0..COMPARISONS).map(|at| word(0x15, COMPARISONS - at, NONE + at)));
        words.extend([word(0x06, 0, 0x7fff_0000), word(0x06, 0, 0x0005_0001)]);
        Self {
            flags: 0,
            words: words.into(),
        }
    }
}

/// How much of a container is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Namespaces.
    pub namespaces: UnshareFlags,
    /// A root file system of its own, with `/proc`.
    pub rootfs: Option<RootfsKind>,
    /// Membership in control groups and in a control group namespace, a host name, and a filter of system calls.
    pub confined: bool,
}

impl Depth {
    /// L1: `vfork`, `execve` of the static probe, wait.
    pub const SPAWN: Self = Self {
        namespaces: UnshareFlags::empty(),
        rootfs: None,
        confined: false,
    };

    /// L3: L1 with namespaces of processes, mounts, names, IPC and control groups.
    pub const NAMESPACES: Self = Self {
        namespaces: UnshareFlags::NEWPID
            .union(UnshareFlags::NEWNS)
            .union(UnshareFlags::NEWUTS)
            .union(UnshareFlags::NEWIPC)
            .union(UnshareFlags::NEWCGROUP),
        ..Self::SPAWN
    };

    /// L5: L3 with an overlay, a network, control groups and a filter.
    pub const FULL: Self = Self {
        namespaces: Self::NAMESPACES
            .namespaces
            .union(UnshareFlags::NEWNET)
            .difference(UnshareFlags::NEWCGROUP),
        rootfs: Some(RootfsKind::Overlay),
        confined: true,
    };
}

/// A process that was started.
#[derive(Debug)]
pub struct Running {
    /// It.
    pub started: Started,
    /// When the clock began to run.
    pub began: Instant,
    /// What is to be removed when it has ended.
    directory: Option<PathBuf>,
}

/// What starts processes as a floor does.
#[derive(Debug)]
pub struct Starter {
    home: PathBuf,
    rootfs: PathBuf,
    groups: Groups,
    filter: Filter,
    made: usize,
}

impl Starter {
    /// In directories below `home`, of programs in `rootfs/bin`, where `rootfs` has a directory `proc`.
    pub fn new(home: &Path, rootfs: &Path, groups: Groups, filter: Filter) -> Self {
        Self {
            home: home.to_owned(),
            rootfs: rootfs.to_owned(),
            groups,
            filter,
            made: 0,
        }
    }

    /// The groups that confined processes are in.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// How long `words`, a verb of the probe and its arguments, takes from the clone to its end; what it says goes to `output`
    /// if there is one.
    ///
    /// # Errors
    /// What was refused, or that the probe ended with an error.
    pub fn time(&mut self, depth: Depth, words: &[&str], output: Option<OwnedFd>) -> Result<Duration, Error> {
        let running = self.start(depth, words, output)?;
        let status = waitid(WaitId::PidFd(running.started.pidfd.as_fd()), WaitIdOptions::EXITED)
            .map_err(|errno| act("wait")(errno.into()))?;
        let took = running.began.elapsed();
        running.clear()?;
        match status.and_then(|status| status.exit_status()) {
            Some(0) => Ok(took),
            code => Err(Error::Ended { code }),
        }
    }

    /// Starts it, and leaves it running.
    ///
    /// # Notes
    /// The program and the directories are made before the clock starts: the floor is the kernel's work, not ours.
    ///
    /// # Errors
    /// What was refused.
    pub fn start(&mut self, depth: Depth, words: &[&str], output: Option<OwnedFd>) -> Result<Running, Error> {
        let mut program = Program::new();
        let verb = words.first().copied().unwrap_or_default();
        let mut path = self.rootfs.join("bin").join(verb);
        let clone = CloneAs {
            vfork: true,
            namespaces: depth.namespaces.bits(),
            cgroup: self.groups.unified().filter(|_| depth.confined),
            ..CloneAs::default()
        };
        if depth.confined {
            for tasks in &self.groups.tasks {
                // 0 is the writer, and a single thread moves itself without a grace period.
                program.push(Op::WriteFile(tasks.clone(), Box::from(*b"0")));
            }
            program.push(Op::Unshare(UnshareFlags::NEWCGROUP.bits()));
            program.push(Op::Hostname(Box::from(*b"floor")));
        }
        let mut directory = None;
        if let Some(kind) = depth.rootfs {
            self.made += 1;
            let home = self.home.join(self.made.to_string());
            isolate(&mut program, &self.rootfs, &home, kind)?;
            directory = Some(home);
            path = PathBuf::from("/bin").join(verb);
        }
        if depth.confined {
            program.push(Op::NoNewPrivileges);
            program.push(Op::Seccomp {
                flags: self.filter.flags,
                filter: self.filter.words.clone(),
            });
        }
        if let Some(output) = output {
            let place = program.hold(output);
            program.push(Op::Stdio(place));
        }
        let arguments = words.iter().map(string).collect::<Result<_, _>>()?;
        let vectors = Box::new(Vectors::new(arguments, Vec::new()));
        program.push(Op::Exec(Box::new([string(path.as_os_str().as_bytes())?]), vectors));

        let began = Instant::now();
        let started = start(&program, &clone).map_err(act("clone"))?;
        let running = Running {
            started,
            began,
            directory,
        };
        if let Some(failure) = running.started.failure() {
            let ended = waitid(WaitId::PidFd(running.started.pidfd.as_fd()), WaitIdOptions::EXITED);
            ended.map_err(|errno| act("wait")(errno.into()))?;
            running.clear()?;
            return Err(Error::Refused {
                operation: failure.op,
                source: failure.errno.into(),
            });
        }
        Ok(running)
    }
}

impl Running {
    /// Removes what was made for it; it has ended.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn clear(self) -> Result<(), Error> {
        match self.directory {
            Some(directory) => fs_err::remove_dir_all(directory).map_err(act("remove a directory")),
            None => Ok(()),
        }
    }
}

fn isolate(program: &mut Program, rootfs: &Path, home: &Path, kind: RootfsKind) -> Result<(), Error> {
    let directories = ["upper", "work", "merged"].map(|name| home.join(name));
    for directory in &directories {
        fs_err::create_dir_all(directory).map_err(act("make a directory"))?;
    }
    let [upper, work, merged] = directories;
    program.push(Op::Propagation(c"/".to_owned(), SLAVE));
    let root = program.place();
    match kind {
        RootfsKind::Overlay => {
            let fs = program.place();
            let name = c"overlay".to_owned();
            program.push(Op::FsOpen { name, into: fs });
            for (key, path) in [(c"lowerdir", rootfs), (c"upperdir", &upper), (c"workdir", &work)] {
                let (key, value) = (key.to_owned(), string(path.as_os_str().as_bytes())?);
                program.push(Op::FsString { fs, key, value });
            }
            program.push(Op::FsMount {
                fs,
                attr: 0,
                into: root,
            });
        }
        RootfsKind::Bind => {
            program.push(Op::OpenTree {
                path: string(rootfs.as_os_str().as_bytes())?,
                recursive: false,
                into: root,
            });
        }
    }
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
    Ok(())
}
