//! Starting a process by a program that was compiled before the clone.
//!
//! The parent puts everything that has to happen between `clone3` and `execve` into a flat list of [`Op`]s: all strings
//! are [`CString`]s, all descriptors have a numbered place. The child interprets the list without allocating or locking,
//! so it may share the parent's memory (`CLONE_VM | CLONE_VFORK`). A failure comes back as the number of the operation
//! and an errno, through a page shared by both, and the parent knows which request the operation stands for.

mod child;
mod raw;
mod target;

use std::cell::UnsafeCell;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use rustix::io::Errno;
use rustix::process::Pid;

/// The place of a descriptor in the child's table: held open by the program, or opened by an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u16);

/// What a mount is attached to, or what is opened: a path below a directory that is the root for its symbolic links.
#[derive(Clone, Debug)]
pub struct Target {
    /// The directory that `..` and absolute links cannot leave.
    pub root: Place,
    /// The path, taken as relative to `root` whether it begins with `/` or not.
    pub path: CString,
    /// Refuse symbolic links altogether.
    pub no_symlinks: bool,
    /// Refuse a path that ends in a proc file system.
    pub not_proc: bool,
}

/// A directory that something is made in.
#[derive(Clone, Debug)]
pub enum Directory {
    /// Opened for this, made if it is not there.
    Below(Target),
    /// Opened before.
    At(Place),
}

/// What is made where a [`Target`] does not exist yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Fail with `ENOENT`.
    Fail,
    /// Make a directory, and those above it.
    Directory,
    /// Make an empty file, and the directories above it.
    File,
}

/// Attributes for `mount_setattr(2)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountAttr {
    /// `MOUNT_ATTR_*` to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` to clear.
    pub clear: u64,
    /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE` or `MS_UNBINDABLE`; 0 leaves it.
    pub propagation: u64,
}

/// A hook that the child itself runs, in the namespaces it is in.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The program.
    pub path: CString,
    /// Its arguments and environment.
    pub vectors: Box<Vectors>,
    /// What it reads on standard input: written by the parent, read from the beginning.
    pub stdin: Place,
    /// Killed after this many milliseconds; negative waits for ever.
    pub timeout: i32,
}

/// The null-terminated arrays of `execve(2)`, which point into the strings they own.
#[derive(Debug)]
pub struct Vectors {
    arguments: Vec<CString>,
    environment: Vec<CString>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
}

impl Vectors {
    /// Builds both arrays.
    pub fn new(arguments: Vec<CString>, environment: Vec<CString>) -> Vectors {
        // The heap blocks that CStrings point to do not move when the vectors that hold them do.
        let point = |strings: &[CString]| strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect();
        let (argv, envp) = (point(&arguments), point(&environment));
        Vectors {
            arguments,
            environment,
            argv,
            envp,
        }
    }
}

impl Clone for Vectors {
    fn clone(&self) -> Vectors {
        Vectors::new(self.arguments.clone(), self.environment.clone())
    }
}

/// The pseudo terminal that a container gets as its console.
#[derive(Clone, Debug)]
pub struct Console {
    /// The root below which `dev/pts/ptmx` is opened; the current root if none.
    pub root: Option<Place>,
    /// A connected socket that the master is sent over (`SCM_RIGHTS`, with the terminal's name as data).
    pub socket: Place,
    /// Columns and rows.
    pub size: Option<(u16, u16)>,
    /// The user that shall own the terminal.
    pub owner: u32,
    /// Bind the terminal over `dev/console` below the root.
    pub bind: bool,
    /// Where the terminal's descriptor is kept.
    pub into: Place,
}

/// One step between clone and exec.
#[expect(
    missing_docs,
    reason = "fields are named after the parameters of the call that each variant names"
)]
#[derive(Clone, Debug)]
pub enum Op {
    /// `prctl(PR_SET_PDEATHSIG)`: die with the parent thread; signal 0 takes it back.
    DeathSignal(i32),
    /// `prctl(PR_SET_DUMPABLE, 0)`: nobody without `CAP_SYS_PTRACE` looks into this process.
    Undumpable,
    /// Tells the parent, over its socket, that this point is reached, and waits for its word.
    Sync,
    /// `setns(2)` by descriptor; 0 as kind accepts any.
    Setns(Place, u32),
    /// `unshare(2)`.
    Unshare(u32),
    /// Writes to a descriptor, for example `0` into a cgroup's `tasks`.
    Write(Place, Box<[u8]>),
    /// Opens an existing file for writing and writes once.
    WriteFile(CString, Box<[u8]>),
    /// `setsid(2)`.
    SetSid,
    /// `sethostname(2)`.
    Hostname(Box<[u8]>),
    /// `setdomainname(2)`.
    Domainname(Box<[u8]>),
    /// Sets the interface `lo` up.
    LoopbackUp,
    /// `mount(NULL, path, NULL, flags, NULL)`: changes the propagation of a mount.
    Propagation(CString, u32),
    /// `open(2)` with flags in the current root.
    Open { path: CString, flags: u32, into: Place },
    /// `mkdir(2)` in the current root; there already is fine.
    Mkdir(CString, u32),
    /// Fails with `ENODEV` unless the descriptor is this device.
    CheckDevice { fd: Place, major: u32, minor: u32 },
    /// `open_tree(2)` of a path as a detached copy.
    OpenTree {
        path: CString,
        recursive: bool,
        into: Place,
    },
    /// `open_tree(2)` of a descriptor as a detached copy.
    CloneTree { from: Place, recursive: bool, into: Place },
    /// `fsopen(2)`.
    FsOpen { name: CString, into: Place },
    /// `fsconfig(FSCONFIG_SET_STRING)`.
    FsString { fs: Place, key: CString, value: CString },
    /// `fsconfig(FSCONFIG_SET_FLAG)`.
    FsFlag { fs: Place, key: CString },
    /// `fsconfig(FSCONFIG_CMD_CREATE)` and `fsmount(2)`.
    FsMount { fs: Place, attr: u64, into: Place },
    /// `mount_setattr(2)` of the mount behind a descriptor.
    MountAttr {
        mount: Place,
        attr: MountAttr,
        recursive: bool,
    },
    /// `mount_setattr(MOUNT_ATTR_IDMAP)` with a user namespace.
    Idmap {
        mount: Place,
        userns: Place,
        recursive: bool,
    },
    /// Opens a target, making it if asked.
    Resolve {
        target: Target,
        missing: Missing,
        into: Place,
    },
    /// `move_mount(2)` of a detached mount to an opened target.
    Attach { mount: Place, to: Place },
    /// `mkdir(2)` below an opened directory that only this program knows, and `move_mount(2)` of a detached mount there.
    AttachIn {
        mount: Place,
        directory: Place,
        name: CString,
    },
    /// `move_mount(2)` of a detached mount to a path.
    AttachPath { mount: Place, to: CString },
    /// Copies what is below one directory into another, links and modes included (`tmpcopyup`).
    CopyUp { from: Place, to: Place },
    /// `mknod(2)`, `chmod(2)` and `chown(2)` of a device, fifo or socket below `dir`; a same one that is there stays.
    Node {
        dir: Directory,
        name: CString,
        mode: u32,
        major: u32,
        minor: u32,
        owner: Option<(u32, u32)>,
    },
    /// Binds the host's device on a file below `dir` (where `mknod` is not allowed).
    BindNode {
        dir: Directory,
        name: CString,
        from: CString,
    },
    /// `symlink(2)` below `dir`; one that is there stays.
    Symlink { dir: Directory, name: CString, to: CString },
    /// Hides a path: a file behind `/dev/null`, a directory behind an empty one; a path that is not there is fine.
    Mask { target: Target, null: Place, empty: Place },
    /// Makes a path read-only, with everything below it; a path that is not there is fine.
    ReadOnly { target: Target },
    /// A pseudo terminal becomes the console, and standard input, output and error.
    Console(Console),
    /// `dup3(2)` of the descriptor onto 0, 1 and 2.
    Stdio(Place),
    /// `ioctl(TIOCSCTTY)` on standard input.
    ControllingTerminal,
    /// `fchdir(2)`, `pivot_root(".", ".")`, and the old root is gone.
    PivotRoot(Place),
    /// `fchdir(2)`, `mount(MS_MOVE)` of it over `/`, `chroot(".")`.
    MoveRoot(Place),
    /// `fchdir(2)` and `chroot(".")`.
    Chroot(Place),
    /// `prlimit(2)`: resource, soft, hard.
    Rlimit(u32, u64, u64),
    /// `sched_setattr(2)` with these 56 bytes of `struct sched_attr`.
    Scheduler(Box<[u64; 7]>),
    /// `ioprio_set(2)`.
    IoPriority(u32),
    /// `sched_setaffinity(2)`.
    Affinity(Box<[u64; 16]>),
    /// `set_mempolicy(2)`: mode with flags, and the node mask.
    MemoryPolicy(u32, Box<[u64; 16]>),
    /// `personality(2)`.
    Personality(u64),
    /// `keyctl(KEYCTL_JOIN_SESSION_KEYRING)`; a kernel without keys is fine.
    SessionKeyring(CString),
    /// `umask(2)`.
    Umask(u32),
    /// `prctl(PR_CAPBSET_DROP)` of every capability that is not in the set.
    Bounding(u64),
    /// `prctl(PR_SET_KEEPCAPS)`.
    KeepCaps(bool),
    /// `setgroups(2)`.
    Groups(Box<[u32]>),
    /// `setresgid(2)`, then `setresuid(2)`: uid, gid.
    Ids(u32, u32),
    /// `capset(2)`: what may be kept of the effective set, cut to the permitted set that is left.
    CapSet {
        effective: u64,
        permitted: u64,
        inheritable: u64,
    },
    /// `prctl(PR_CAP_AMBIENT)`: clears the set, then raises these.
    Ambient(u64),
    /// `prctl(PR_SET_NO_NEW_PRIVS)`.
    NoNewPrivileges,
    /// `seccomp(SECCOMP_SET_MODE_FILTER)`.
    Seccomp { flags: u32, filter: Box<[u64]> },
    /// `seccomp(2)` with a listener whose descriptor is sent over a socket with a message.
    SeccompListener {
        flags: u32,
        filter: Box<[u64]>,
        socket: Place,
        message: Box<[u8]>,
    },
    /// `chdir(2)`, and `getcwd(2)` must be inside the root.
    Chdir(CString),
    /// The same, but a refusal is left for a later [`Op::Chdir`] to report.
    TryChdir(CString),
    /// `close_range(2)` with `CLOSE_RANGE_CLOEXEC` from this number on.
    CloseFrom(u32),
    /// Clears close-on-exec of the descriptors 3 up to (not including) this number.
    Keep(u32),
    /// Writes a security attribute of this process to `/proc/self/attr`, opened before as this.
    Label(Place, Box<[u8]>),
    /// Looks for the program among the paths given, and keeps which one it is.
    Find(Box<[CString]>),
    /// Runs a hook.
    Hook(Hook),
    /// Waits until somebody connects to a listening socket; failures from here on are also told there.
    AwaitStart(Place),
    /// All signals to default, none blocked.
    ResetSignals,
    /// `execve(2)` of what [`Op::Find`] found.
    Exec(Box<[CString]>, Box<Vectors>),
    /// Ends with this status instead of executing a program.
    Exit(i32),
    /// Waits for ever (for namespaces that must be kept).
    Pause,
}

/// What the child does, and the descriptors it needs for that.
#[derive(Debug, Default)]
pub struct Program {
    ops: Vec<Op>,
    held: Vec<(Place, OwnedFd)>,
    places: u16,
}

impl Program {
    /// An empty program.
    pub fn new() -> Program {
        Program::default()
    }

    /// Appends an operation and returns its number.
    pub fn push(&mut self, op: Op) -> usize {
        self.ops.push(op);
        self.ops.len() - 1
    }

    /// The number of operations so far.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether there is no operation yet.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Keeps a descriptor open for the child.
    pub fn hold(&mut self, fd: OwnedFd) -> Place {
        let place = self.place();
        self.held.push((place, fd));
        place
    }

    /// A place for a descriptor that an operation opens.
    pub fn place(&mut self) -> Place {
        self.places += 1;
        Place(self.places - 1)
    }
}

/// How the child is cloned.
#[derive(Debug, Default)]
pub struct CloneAs<'fd> {
    /// `CLONE_NEW*`.
    pub namespaces: u32,
    /// `CLONE_INTO_CGROUP`: the directory of a cgroup v2.
    pub cgroup: Option<BorrowedFd<'fd>>,
    /// Share memory and suspend the parent until the child executes or dies. Not with [`Op::Sync`].
    pub vfork: bool,
    /// Run `outer` in a process of its own that then clones the child as its sibling (`CLONE_PARENT`): for a user
    /// namespace that must be joined before others are made.
    pub outer: usize,
}

/// What went wrong in the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The number of the operation.
    pub op: usize,
    /// Its error.
    pub errno: Errno,
}

/// What the child's socket said next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The child waits at an [`Op::Sync`].
    Sync,
    /// The child waits at an [`Op::AwaitStart`].
    Ready,
    /// The child executed its program (or is gone without a word).
    Gone,
}

#[repr(C)]
struct Report {
    op: AtomicU32,
    errno: AtomicI32,
    pid: AtomicI32,
}

/// A page that child and parent share whether they share memory or not.
struct Page(ptr::NonNull<Report>);

impl Page {
    fn new() -> io::Result<Page> {
        let (prot, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
        );
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing memory.
        let at = unsafe { libc::mmap(ptr::null_mut(), size_of::<Report>(), prot, flags, -1, 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        ptr::NonNull::new(at.cast())
            .map(Page)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
    }

    fn report(&self) -> &Report {
        // SAFETY: the mapping is page-aligned, zeroed (all fields are valid as zero) and lives until drop.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`; borrows of it cannot outlive self.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<Report>()) };
    }
}

/// The child's stack. Not on the heap, so that an overflow hits the guard page below it.
struct Stack {
    base: *mut libc::c_void,
}

impl Stack {
    const GUARD: usize = 4096 * 4;
    const SIZE: usize = 1024 * 1024;

    fn new() -> io::Result<Stack> {
        let (prot, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
        );
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing memory.
        let base = unsafe { libc::mmap(ptr::null_mut(), Stack::SIZE, prot, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Stack { base };
        // SAFETY: the first pages of the mapping just made, which nothing points into.
        if unsafe { libc::mprotect(base, Stack::GUARD, libc::PROT_NONE) } == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(stack)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`; the child that ran on it has its own copy, executed, or is dead.
        unsafe { libc::munmap(self.base, Stack::SIZE) };
    }
}

/// A child that was started.
pub struct Started {
    /// Its pid in the caller's namespace.
    pub pid: Pid,
    /// Its pidfd.
    pub pidfd: OwnedFd,
    socket: OwnedFd,
    page: Page,
}

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Started")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

impl Started {
    /// What failed, if anything did.
    pub fn failure(&self) -> Option<Failure> {
        let report = self.page.report();
        let errno = report.errno.load(Ordering::Acquire);
        (errno != 0).then(|| Failure {
            op: report.op.load(Ordering::Acquire) as usize,
            errno: Errno::from_raw_os_error(errno),
        })
    }

    /// Waits for the child's next word.
    pub fn listen(&self) -> io::Result<Word> {
        let mut byte = [0_u8];
        loop {
            return match rustix::io::read(&self.socket, &mut byte) {
                Ok(0) | Err(Errno::CONNRESET) => Ok(Word::Gone),
                Ok(_) if byte[0] == child::READY => Ok(Word::Ready),
                Ok(_) => Ok(Word::Sync),
                Err(Errno::INTR) => continue,
                Err(errno) => Err(errno.into()),
            };
        }
    }

    /// The socket behind [`Started::listen`], to be polled.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Lets the child go on from an [`Op::Sync`], or start from an [`Op::AwaitStart`] that has no listener.
    pub fn go_on(&self) -> io::Result<()> {
        let flags = rustix::net::SendFlags::NOSIGNAL;
        rustix::net::send(&self.socket, &[1], flags)?;
        Ok(())
    }
}

pub(crate) struct Context<'a> {
    program: &'a Program,
    table: &'a UnsafeCell<Vec<RawFd>>,
    report: &'a Report,
    socket: RawFd,
    /// The parent's end of the socket: while the child had it too, it would not see the parent go.
    parents: RawFd,
    clone: &'a CloneAs<'a>,
    shared: bool,
}

/// `clone3(2)`: starts a child that runs `program`.
///
/// With [`CloneAs::vfork`] the call returns when the child has executed or died, otherwise at once.
/// See <https://man7.org/linux/man-pages/man2/clone.2.html>.
///
/// # Notes
/// Linux 5.7. All signals are blocked while the call lasts when memory is shared, because a handler would run in the
/// child on the parent's memory.
pub fn start(program: &Program, clone: &CloneAs<'_>) -> io::Result<Started> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    let page = Page::new()?;
    let stack = Stack::new()?;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let mut table: Vec<RawFd> = vec![-1; usize::from(program.places)];
    for (place, fd) in &program.held {
        table[usize::from(place.0)] = fd.as_raw_fd();
    }
    let table = UnsafeCell::new(table);
    let context = Context {
        program,
        table: &table,
        report: page.report(),
        socket: theirs.as_raw_fd(),
        parents: ours.as_raw_fd(),
        clone,
        shared: clone.vfork && clone.outer == 0,
    };
    let mut pidfd: RawFd = -1;
    let mut flags = libc::CLONE_PIDFD as u64 | raw::CLONE_CLEAR_SIGHAND;
    let mut args = raw::CloneArgs {
        exit_signal: libc::SIGCHLD as u64,
        ..raw::CloneArgs::default()
    };
    if let Some(cgroup) = clone.cgroup {
        flags |= raw::CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    if clone.outer == 0 {
        flags |= u64::from(clone.namespaces);
        if clone.vfork {
            flags |= (libc::CLONE_VM | libc::CLONE_VFORK) as u64;
        }
    }
    args.flags = flags;
    args.pidfd = ptr::from_mut(&mut pidfd) as u64;
    args.stack = stack.base as u64 + Stack::GUARD as u64;
    args.stack_size = (Stack::SIZE - Stack::GUARD) as u64;
    let mask = raw::block_signals();
    // SAFETY: `child::main` never returns and touches only the context, which outlives it: with CLONE_VM the parent is
    // suspended (CLONE_VFORK) until the child is done with it, without CLONE_VM the child has its own copy. The stack
    // is mapped, writable and used by nobody else.
    let cloned = unsafe { raw::clone3(&args, child::main, ptr::from_ref(&context).cast()) };
    raw::restore_signals(&mask);
    drop(theirs);
    let pid = cloned?;
    // SAFETY: CLONE_PIDFD stored a new descriptor that nothing else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    if clone.outer == 0 {
        return Ok(Started {
            pid,
            pidfd,
            socket: ours,
            page,
        });
    }
    // The outer process ends once it has cloned its sibling, or has failed.
    rustix::process::waitid(
        rustix::process::WaitId::PidFd(pidfd.as_fd()),
        rustix::process::WaitIdOptions::EXITED,
    )?;
    let inner = page.report().pid.load(Ordering::Acquire);
    let Some(inner) = Pid::from_raw(inner) else {
        // The failure is in the page; a pidfd of the process that is gone keeps the shape.
        return Ok(Started {
            pid,
            pidfd,
            socket: ours,
            page,
        });
    };
    let pidfd = rustix::process::pidfd_open(inner, rustix::process::PidfdFlags::empty())?;
    Ok(Started {
        pid: inner,
        pidfd,
        socket: ours,
        page,
    })
}
