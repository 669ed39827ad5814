//! The interpreter: what runs between clone and exec. Nothing here allocates, locks, or can panic on the way.

use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use rustix::process::Signal;

use super::raw::{call, int, read, string, written};
use super::target::{open_directory, open_target};
use super::{Console, Context, Directory, Hook, MountAttr, Op, Place, raw};

/// The byte that says that the child waits for its start.
pub(super) const READY: u8 = 2;
const SYNC: u8 = 1;

const AT_RECURSIVE: i64 = 0x8000;
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
const MOUNT_ATTR_RDONLY: u64 = 1;

/// `struct mount_attr` of Linux 5.12.
#[repr(C)]
struct KernelMountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// `struct sock_fprog`.
#[repr(C)]
struct FilterProgram {
    len: u16,
    filter: *const u64,
}

type Step = Result<(), Errno>;

/// A directory that an operation works in.
enum Opened {
    /// Opened by an operation before.
    Held(BorrowedFd<'static>),
    /// Opened for this operation.
    Own(OwnedFd),
}

impl std::os::fd::AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Opened::Held(fd) => *fd,
            Opened::Own(fd) => std::os::fd::AsFd::as_fd(fd),
        }
    }
}

/// The state of one run of the interpreter.
struct Child<'a> {
    context: &'a Context<'a>,
    found: usize,
    /// Where a failure is told besides the page: the peer that asked for the start.
    starter: RawFd,
    /// The empty directory that hides others is attached already, and is copied from now on.
    hiding: bool,
}

/// Where a child begins. `argument` is a [`Context`].
pub(super) extern "C" fn main(argument: *const libc::c_void) -> ! {
    // SAFETY: `start` passes a Context that outlives the child's use of it.
    let context = unsafe { &*argument.cast::<Context<'_>>() };
    raw::close(context.parents);
    let mut child = Child {
        context,
        found: 0,
        starter: -1,
        hiding: false,
    };
    let outer = context.clone.outer;
    let first = if outer > 0 { child.through_outer(outer) } else { 0 };
    child.run(first, context.program.ops.len())
}

/// Where the sibling begins that an outer process cloned.
extern "C" fn inner(argument: *const libc::c_void) -> ! {
    // SAFETY: as in `main`; without CLONE_VM this is the sibling's own copy.
    let context = unsafe { &*argument.cast::<Context<'_>>() };
    let mut child = Child {
        context,
        found: 0,
        starter: -1,
        hiding: false,
    };
    child.run(context.clone.outer, context.program.ops.len())
}

impl Child<'_> {
    /// Interprets the operations from `first` to `end` and never returns.
    fn run(&mut self, first: usize, end: usize) -> ! {
        for op in first..end {
            if let Err(errno) = self.step(op) {
                self.fail(op, errno);
            }
        }
        self.fail(end, Errno::NOEXEC)
    }

    fn fail(&self, op: usize, errno: Errno) -> ! {
        let report = self.context.report;
        report.op.store(op as u32, Ordering::Release);
        report.errno.store(errno.raw_os_error(), Ordering::Release);
        if self.starter >= 0 {
            let mut message = [0_u8; 8];
            message[..4].copy_from_slice(&(op as u32).to_ne_bytes());
            message[4..].copy_from_slice(&errno.raw_os_error().to_ne_bytes());
            let _ = rustix::net::send(self.raw(self.starter), &message, rustix::net::SendFlags::NOSIGNAL);
        }
        raw::exit(255)
    }

    /// Runs the first operations here, then clones the sibling that runs the others, and ends.
    ///
    /// Never inlined: the stack that it makes for the sibling would be touched, page by page, in every child.
    #[cold]
    #[inline(never)]
    fn through_outer(&mut self, outer: usize) -> usize {
        for op in 0..outer {
            if let Err(errno) = self.step(op) {
                self.fail(op, errno);
            }
        }
        // CLONE_PARENT takes the exit signal from this process.
        let flags = u64::from(self.context.clone.namespaces) | libc::CLONE_PARENT as u64;
        let mut args = raw::CloneArgs {
            flags,
            ..raw::CloneArgs::default()
        };
        // A second stack out of this one: the sibling has its own copy of the memory. Of words of 16 bytes, because the
        // calling conventions want its top aligned so.
        let mut stack = std::mem::MaybeUninit::<[u128; 16 * 1024]>::uninit();
        args.stack = stack.as_mut_ptr() as u64;
        args.stack_size = size_of_val(&stack) as u64;
        // SAFETY: `inner` never returns, the stack array is this function's own, and the context is a copy.
        match unsafe { raw::clone3(&args, inner, std::ptr::from_ref(self.context).cast()) } {
            Ok(pid) => {
                self.context
                    .report
                    .pid
                    .store(pid.as_raw_nonzero().get(), Ordering::Release);
                raw::exit(0)
            }
            Err(error) => {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::INVAL);
                self.fail(outer.saturating_sub(1), errno)
            }
        }
    }

    fn raw(&self, fd: RawFd) -> BorrowedFd<'static> {
        // SAFETY: the number is a descriptor of the table, the child's socket or the starter's; all stay open until the
        // process executes or ends, and -1 is never passed (see `fd`).
        unsafe { BorrowedFd::borrow_raw(fd) }
    }

    fn number(&self, place: Place) -> Result<RawFd, Errno> {
        let table: *mut Vec<RawFd> = UnsafeCell::get(self.context.table);
        // SAFETY: only the child touches the table after the clone: the parent is suspended or has its own copy.
        let table = unsafe { &*table };
        table
            .get(usize::from(place.0))
            .copied()
            .filter(|fd| *fd >= 0)
            .ok_or(Errno::BADF)
    }

    fn fd(&self, place: Place) -> Result<BorrowedFd<'static>, Errno> {
        Ok(self.raw(self.number(place)?))
    }

    fn put(&mut self, place: Place, fd: OwnedFd) {
        let table: *mut Vec<RawFd> = UnsafeCell::get(self.context.table);
        // SAFETY: as in `number`; no other borrow of the table is alive here.
        let table = unsafe { &mut *table };
        if let Some(slot) = table.get_mut(usize::from(place.0)) {
            let old = std::mem::replace(slot, fd.into_raw_fd());
            raw::close(old);
        }
    }

    fn directory(&self, directory: &Directory) -> Result<Opened, Errno> {
        match directory {
            Directory::At(place) => Ok(Opened::Held(self.fd(*place)?)),
            Directory::Below(target) => open_directory(self.fd(target.root)?, target).map(Opened::Own),
        }
    }

    /// Closes what an operation opened and no later one needs.
    fn drop_place(&mut self, place: Place) {
        let table: *mut Vec<RawFd> = UnsafeCell::get(self.context.table);
        // SAFETY: only the child that interprets the program touches the table, and no other borrow of it is alive here.
        let table = unsafe { &mut *table };
        if let Some(slot) = table.get_mut(usize::from(place.0)) {
            raw::close(std::mem::replace(slot, -1));
        }
    }

    fn step(&mut self, number: usize) -> Step {
        let context = self.context;
        match &context.program.ops[number] {
            Op::DeathSignal(signal) => prctl(libc::PR_SET_PDEATHSIG, i64::from(*signal)),
            Op::Undumpable => prctl(libc::PR_SET_DUMPABLE, 0),
            Op::Sync => self.sync(SYNC),
            Op::Setns(place, kind) => {
                let fd = self.number(*place)?;
                // SAFETY: takes no pointer.
                unsafe { call(libc::SYS_setns, &[int(fd.into()), int((*kind).into())]) }.map(drop)
            }
            Op::Unshare(flags) => {
                // SAFETY: takes no pointer; nothing here relies on sharing files or memory with another task.
                unsafe { call(libc::SYS_unshare, &[int((*flags).into())]) }.map(drop)
            }
            Op::Write(place, data) => write_all(self.fd(*place)?, data),
            Op::WriteFile(path, data) => {
                let fd = rustix::fs::open(path.as_c_str(), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
                write_all(std::os::fd::AsFd::as_fd(&fd), data)
            }
            Op::SetSid => rustix::process::setsid().map(drop),
            Op::Hostname(name) => rustix::system::sethostname(name),
            Op::Domainname(name) => rustix::system::setdomainname(name),
            Op::LoopbackUp => raw::loopback_up(),
            Op::Propagation(path, flags) => {
                rustix::mount::mount_change(path.as_c_str(), MountPropagationFlags::from_bits_retain(*flags))
            }
            Op::Open { path, flags, into } => {
                let flags = OFlags::from_bits_retain(*flags) | OFlags::CLOEXEC;
                let fd = rustix::fs::open(path.as_c_str(), flags, Mode::empty())?;
                self.put(*into, fd);
                Ok(())
            }
            Op::Mkdir(path, mode) => match rustix::fs::mkdir(path.as_c_str(), Mode::from_raw_mode(*mode)) {
                Err(Errno::EXIST) => Ok(()),
                other => other,
            },
            Op::CheckDevice { fd, major, minor } => {
                let stat = rustix::fs::fstat(self.fd(*fd)?)?;
                let device = rustix::fs::makedev(*major, *minor);
                let is = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == device;
                if is { Ok(()) } else { Err(Errno::NODEV) }
            }
            Op::OpenTree { path, recursive, into } => {
                let fd = rustix::mount::open_tree(CWD, path.as_c_str(), tree_flags(*recursive))?;
                self.put(*into, fd);
                Ok(())
            }
            Op::CloneTree { from, recursive, into } => {
                let fd = clone_tree(self.fd(*from)?, *recursive)?;
                self.put(*into, fd);
                Ok(())
            }
            Op::FsOpen { name, into } => {
                let fd = rustix::mount::fsopen(name.as_c_str(), FsOpenFlags::FSOPEN_CLOEXEC)?;
                self.put(*into, fd);
                Ok(())
            }
            Op::FsString { fs, key, value } => {
                rustix::mount::fsconfig_set_string(self.fd(*fs)?, key.as_c_str(), value.as_c_str())
            }
            Op::FsFlag { fs, key } => rustix::mount::fsconfig_set_flag(self.fd(*fs)?, key.as_c_str()),
            Op::FsMount { fs, attr, into } => {
                rustix::mount::fsconfig_create(self.fd(*fs)?)?;
                let attr = MountAttrFlags::from_bits_retain(*attr as u32);
                let fd = rustix::mount::fsmount(self.fd(*fs)?, FsMountFlags::FSMOUNT_CLOEXEC, attr)?;
                self.drop_place(*fs);
                self.put(*into, fd);
                Ok(())
            }
            Op::MountAttr { mount, attr, recursive } => mount_setattr(self.number(*mount)?, *attr, None, *recursive),
            Op::Idmap {
                mount,
                userns,
                recursive,
            } => {
                let attr = MountAttr {
                    set: MOUNT_ATTR_IDMAP,
                    ..MountAttr::default()
                };
                mount_setattr(self.number(*mount)?, attr, Some(self.number(*userns)?), *recursive)
            }
            Op::Resolve { target, missing, into } => {
                let fd = open_target(self.fd(target.root)?, target, *missing)?;
                self.put(*into, fd);
                Ok(())
            }
            Op::Attach { mount, to } => {
                move_mount(self.fd(*mount)?, self.fd(*to)?)?;
                self.drop_place(*to);
                Ok(())
            }
            Op::AttachIn { mount, directory, name } => {
                let directory = self.fd(*directory)?;
                rustix::fs::mkdirat(directory, name.as_c_str(), Mode::from_raw_mode(0o755))?;
                let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
                rustix::mount::move_mount(self.fd(*mount)?, c"", directory, name.as_c_str(), flags)
            }
            Op::AttachPath { mount, to } => {
                let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
                rustix::mount::move_mount(self.fd(*mount)?, c"", CWD, to.as_c_str(), flags)
            }
            Op::CopyUp { from, to } => super::target::copy_up(self.fd(*from)?, self.fd(*to)?),
            Op::Node {
                dir,
                name,
                mode,
                major,
                minor,
                owner,
            } => {
                let dir = self.directory(dir)?;
                node(std::os::fd::AsFd::as_fd(&dir), name, *mode, (*major, *minor), *owner)
            }
            Op::BindNode { dir, name, from } => {
                let dir = self.directory(dir)?;
                let tree = rustix::mount::open_tree(CWD, from.as_c_str(), tree_flags(false))?;
                let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY | OFlags::NONBLOCK;
                if let Err(errno) = rustix::fs::openat(&dir, name.as_c_str(), flags, Mode::from_raw_mode(0o666)) {
                    // Something that cannot be opened can still be mounted on.
                    if errno != Errno::NXIO && errno != Errno::ACCESS && errno != Errno::EXIST {
                        return Err(errno);
                    }
                }
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let at = rustix::fs::openat(&dir, name.as_c_str(), flags, Mode::empty())?;
                move_mount(std::os::fd::AsFd::as_fd(&tree), std::os::fd::AsFd::as_fd(&at))
            }
            Op::Symlink { dir, name, to } => {
                let dir = self.directory(dir)?;
                match rustix::fs::symlinkat(to.as_c_str(), &dir, name.as_c_str()) {
                    Err(Errno::EXIST) => Ok(()),
                    other => other,
                }
            }
            Op::Mask { target, null, empty } => self.mask(target, *null, *empty),
            Op::ReadOnly { target } => {
                let at = match open_target(self.fd(target.root)?, target, super::Missing::Fail) {
                    Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
                    other => other?,
                };
                let at = std::os::fd::AsFd::as_fd(&at);
                let tree = clone_tree(at, true)?;
                let attr = MountAttr {
                    set: MOUNT_ATTR_RDONLY,
                    ..MountAttr::default()
                };
                mount_setattr(std::os::fd::AsRawFd::as_raw_fd(&tree), attr, None, false)?;
                move_mount(std::os::fd::AsFd::as_fd(&tree), at)
            }
            Op::Console(console) => self.console(console),
            Op::Stdio(place) => {
                let fd = self.number(*place)?;
                for stdio in 0..3 {
                    // SAFETY: takes no pointer; 0 to 2 belong to nobody but the program that will be executed.
                    unsafe { call(libc::SYS_dup3, &[int(fd.into()), int(stdio), int(0)]) }?;
                }
                Ok(())
            }
            Op::ControllingTerminal => {
                // SAFETY: TIOCSCTTY takes an integer.
                unsafe { call(libc::SYS_ioctl, &[int(0), int(libc::TIOCSCTTY as i64), int(0)]) }.map(drop)
            }
            Op::PivotRoot(root) => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let old = rustix::fs::open(c"/", flags, Mode::empty())?;
                rustix::process::fchdir(self.fd(*root)?)?;
                rustix::process::pivot_root(c".", c".")?;
                // The old root lies on top now, but `.` is still the new one. What happens to the old one must not
                // travel back to the host, and what the new one shares must stay shared.
                rustix::process::fchdir(&old)?;
                let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
                rustix::mount::mount_change(c".", slave)?;
                rustix::mount::unmount(c".", UnmountFlags::DETACH)?;
                rustix::process::chdir(c"/")
            }
            Op::MoveRoot(root) => {
                rustix::process::fchdir(self.fd(*root)?)?;
                rustix::mount::mount_move(c".", c"/")?;
                rustix::process::chroot(c".")?;
                rustix::process::chdir(c"/")
            }
            Op::Chroot(root) => {
                rustix::process::fchdir(self.fd(*root)?)?;
                rustix::process::chroot(c".")?;
                rustix::process::chdir(c"/")
            }
            Op::Rlimit(resource, soft, hard) => {
                let limit = [*soft, *hard];
                // SAFETY: the kernel reads one rlimit64 of two u64.
                unsafe {
                    call(
                        libc::SYS_prlimit64,
                        &[int(0), int((*resource).into()), read(&limit), int(0)],
                    )
                }
                .map(drop)
            }
            Op::Scheduler(attr) => {
                // SAFETY: the kernel reads as many bytes as the size field inside says, 56 at most.
                unsafe { call(libc::SYS_sched_setattr, &[int(0), read(&**attr), int(0)]) }.map(drop)
            }
            Op::IoPriority(value) => {
                // SAFETY: takes no pointer. 1 is IOPRIO_WHO_PROCESS.
                unsafe { call(libc::SYS_ioprio_set, &[int(1), int(0), int((*value).into())]) }.map(drop)
            }
            Op::Affinity(mask) => {
                let length = size_of_val(&**mask) as i64;
                // SAFETY: the kernel reads `length` bytes of the mask.
                unsafe { call(libc::SYS_sched_setaffinity, &[int(0), int(length), read(&**mask)]) }.map(drop)
            }
            Op::MemoryPolicy(mode, nodes) => {
                let bits = if nodes.iter().all(|n| *n == 0) {
                    0
                } else {
                    size_of_val(&**nodes) as i64 * 8
                };
                // SAFETY: the kernel reads `bits` bits of the mask.
                unsafe {
                    call(
                        libc::SYS_set_mempolicy,
                        &[int((*mode).into()), read(&**nodes), int(bits)],
                    )
                }
                .map(drop)
            }
            Op::Personality(value) => {
                // SAFETY: takes no pointer.
                unsafe { call(libc::SYS_personality, &[int(*value as i64)]) }.map(drop)
            }
            Op::SessionKeyring(name) => {
                // SAFETY: the kernel reads the string. 1 is KEYCTL_JOIN_SESSION_KEYRING.
                match unsafe { call(libc::SYS_keyctl, &[int(1), string(name)]) } {
                    Err(Errno::NOSYS) => Ok(()),
                    other => other.map(drop),
                }
            }
            Op::Umask(mask) => {
                rustix::process::umask(Mode::from_raw_mode(*mask));
                Ok(())
            }
            Op::Bounding(keep) => bounding(*keep),
            Op::KeepCaps(keep) => prctl(libc::PR_SET_KEEPCAPS, i64::from(*keep)),
            Op::Groups(groups) => {
                // SAFETY: the kernel reads `len` gids of 4 bytes.
                unsafe { call(libc::SYS_setgroups, &[int(groups.len() as i64), read(&**groups)]) }.map(drop)
            }
            Op::Ids(uid, gid) => {
                let (uid, gid) = (i64::from(*uid), i64::from(*gid));
                // SAFETY: takes no pointer; this is the only thread of the process.
                unsafe { call(libc::SYS_setresgid, &[int(gid), int(gid), int(gid)]) }?;
                // SAFETY: takes no pointer; with one thread there is none that would keep other ids.
                unsafe { call(libc::SYS_setresuid, &[int(uid), int(uid), int(uid)]) }.map(drop)
            }
            Op::CapSet {
                effective,
                permitted,
                inheritable,
            } => capset(*effective, *permitted, *inheritable),
            Op::Ambient(set) => ambient(*set),
            Op::NoNewPrivileges => prctl(libc::PR_SET_NO_NEW_PRIVS, 1),
            Op::Seccomp { flags, filter } => seccomp(*flags, filter).map(drop),
            Op::SeccompListener {
                flags,
                filter,
                socket,
                message,
            } => {
                let listener = seccomp(*flags | 8, filter)?;
                let sent = self.send_fd(self.fd(*socket)?, self.raw(listener as RawFd), message);
                raw::close(listener as RawFd);
                self.drop_place(*socket);
                sent
            }
            Op::Chdir(path) => chdir(path),
            Op::TryChdir(path) => match chdir(path) {
                Err(Errno::ACCESS | Errno::PERM) => Ok(()),
                other => other,
            },
            Op::CloseFrom(first) => {
                let (first, last) = (i64::from(*first), i64::from(u32::MAX));
                // SAFETY: takes no pointer; the descriptors close at exec only. 4 is CLOSE_RANGE_CLOEXEC.
                unsafe { call(libc::SYS_close_range, &[int(first), int(last), int(4)]) }.map(drop)
            }
            Op::Keep(until) => {
                for fd in 3..i64::from(*until) {
                    // SAFETY: takes no pointer.
                    unsafe { call(libc::SYS_fcntl, &[int(fd), int(libc::F_SETFD.into()), int(0)]) }?;
                }
                Ok(())
            }
            Op::Label(place, label) => write_all(self.fd(*place)?, label),
            Op::Find(paths) => self.find(paths),
            Op::Hook(hook) => self.hook(hook),
            Op::AwaitStart(listener) => self.await_start(*listener),
            Op::ResetSignals => {
                raw::default_dispositions();
                raw::restore_signals(&0);
                Ok(())
            }
            Op::Exec(paths, vectors) => {
                let path = paths.get(self.found).ok_or(Errno::NOENT)?;
                Err(raw::execve(path, vectors))
            }
            Op::Exit(status) => raw::exit(*status),
            Op::Pause => loop {
                rustix::event::pause();
            },
        }
    }

    fn sync(&self, byte: u8) -> Step {
        let socket = self.raw(self.context.socket);
        if self.context.shared {
            // The parent cannot answer while it is suspended.
            return Err(Errno::DEADLK);
        }
        rustix::net::send(socket, &[byte], rustix::net::SendFlags::NOSIGNAL)?;
        let mut answer = [0_u8];
        loop {
            return match rustix::io::read(socket, &mut answer) {
                Ok(1..) => Ok(()),
                // The parent is gone: nobody wants this child any more.
                Ok(0) => raw::exit(255),
                Err(Errno::INTR) => continue,
                Err(errno) => Err(errno),
            };
        }
    }

    fn await_start(&mut self, listener: Place) -> Step {
        let listener = self.fd(listener)?;
        rustix::net::send(
            self.raw(self.context.socket),
            &[READY],
            rustix::net::SendFlags::NOSIGNAL,
        )?;
        let peer = loop {
            match rustix::net::accept_with(listener, rustix::net::SocketFlags::CLOEXEC) {
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                other => break other?,
            }
        };
        self.starter = peer.into_raw_fd();
        rustix::net::send(self.raw(self.starter), &[SYNC], rustix::net::SendFlags::NOSIGNAL)?;
        Ok(())
    }

    fn mask(&mut self, target: &super::Target, null: Place, empty: Place) -> Step {
        let at = match open_target(self.fd(target.root)?, target, super::Missing::Fail) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            other => other?,
        };
        let stat = rustix::fs::fstat(&at)?;
        let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let cover = self.fd(if directory { empty } else { null })?;
        if directory && !self.hiding {
            // The first directory gets the mount itself: one that is never attached must wait for an RCU grace period
            // when it is closed, and before Linux 6.15 it cannot be copied.
            self.hiding = true;
            return move_mount(cover, std::os::fd::AsFd::as_fd(&at));
        }
        let tree = clone_tree(cover, false)?;
        move_mount(std::os::fd::AsFd::as_fd(&tree), std::os::fd::AsFd::as_fd(&at))
    }

    fn find(&mut self, paths: &[std::ffi::CString]) -> Step {
        let mut last = Errno::NOENT;
        for (index, path) in paths.iter().enumerate() {
            match executable(path) {
                Ok(()) => {
                    self.found = index;
                    return Ok(());
                }
                Err(errno) if last == Errno::NOENT && errno != Errno::NOTDIR => last = errno,
                Err(_) => {}
            }
        }
        Err(last)
    }

    fn console(&mut self, console: &Console) -> Step {
        use rustix::pty::OpenptFlags;
        let root = match console.root {
            Some(place) => Some(self.fd(place)?),
            None => None,
        };
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let master = match root {
            Some(root) => super::target::open_in(root, c"dev/pts/ptmx", flags)?,
            None => rustix::fs::open(c"/dev/pts/ptmx", flags, Mode::empty())?,
        };
        rustix::pty::unlockpt(&master)?;
        let peer = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let terminal = rustix::pty::ioctl_tiocgptpeer(&master, peer)?;
        if let Some((columns, rows)) = console.size {
            let size = libc::winsize {
                ws_row: rows,
                ws_col: columns,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            let fd = std::os::fd::AsRawFd::as_raw_fd(&terminal);
            // SAFETY: the kernel reads one winsize.
            unsafe {
                call(
                    libc::SYS_ioctl,
                    &[int(fd.into()), int(libc::TIOCSWINSZ as i64), read(&size)],
                )
            }?;
        }
        let owner = rustix::fs::Uid::from_raw(console.owner);
        match rustix::fs::fchown(&terminal, Some(owner), None) {
            // A user namespace may not map the terminal's group.
            Ok(()) | Err(Errno::INVAL | Errno::PERM) => {}
            Err(errno) => return Err(errno),
        }
        if console.bind
            && let Some(root) = root
        {
            let at = super::target::open_console(root)?;
            let tree = clone_tree(std::os::fd::AsFd::as_fd(&terminal), false)?;
            move_mount(std::os::fd::AsFd::as_fd(&tree), std::os::fd::AsFd::as_fd(&at))?;
        }
        let socket = self.fd(console.socket)?;
        self.send_fd(socket, std::os::fd::AsFd::as_fd(&master), b"/dev/pts/ptmx")?;
        self.put(console.into, terminal);
        self.drop_place(console.socket);
        Ok(())
    }

    /// `sendmsg(2)` with one descriptor.
    fn send_fd(&self, socket: BorrowedFd<'_>, fd: BorrowedFd<'_>, message: &[u8]) -> Step {
        use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [fd];
        if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(Errno::NOBUFS);
        }
        rustix::net::sendmsg(
            socket,
            &[std::io::IoSlice::new(message)],
            &mut control,
            SendFlags::NOSIGNAL,
        )
        .map(drop)
    }

    fn hook(&self, hook: &Hook) -> Step {
        let stdin = self.fd(hook.stdin)?;
        rustix::fs::seek(stdin, rustix::fs::SeekFrom::Start(0))?;
        let pid = raw::fork()?;
        if pid == 0 {
            let fd = std::os::fd::AsRawFd::as_raw_fd(&stdin);
            // SAFETY: takes no pointer; this is the hook's process, whose standard input it becomes.
            let _ = unsafe { call(libc::SYS_dup3, &[int(fd.into()), int(0), int(0)]) };
            raw::default_dispositions();
            raw::restore_signals(&0);
            let errno = raw::execve(&hook.path, &hook.vectors);
            self.context.report.pid.store(-errno.raw_os_error(), Ordering::Release);
            raw::exit(127);
        }
        let pid = rustix::process::Pid::from_raw(pid).ok_or(Errno::CHILD)?;
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
        let timeout = u64::try_from(hook.timeout).ok().map(|ms| rustix::event::Timespec {
            tv_sec: (ms / 1000) as i64,
            tv_nsec: (ms % 1000 * 1_000_000) as i64,
        });
        let ended = loop {
            let mut poll = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
            match rustix::event::poll(&mut poll, timeout.as_ref()) {
                Err(Errno::INTR) => continue,
                other => break other? > 0,
            }
        };
        if !ended {
            let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
        }
        let status = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())?;
        if !ended {
            return Err(Errno::TIMEDOUT);
        }
        match status.and_then(|(_, status)| status.exit_status()) {
            Some(0) => Ok(()),
            _ => match self.context.report.pid.load(Ordering::Acquire) {
                errno if errno < 0 => Err(Errno::from_raw_os_error(-errno)),
                _ => Err(Errno::CANCELED),
            },
        }
    }
}

fn prctl(option: i32, value: i64) -> Step {
    // SAFETY: the options used here take integers.
    unsafe {
        call(
            libc::SYS_prctl,
            &[int(option.into()), int(value), int(0), int(0), int(0)],
        )
    }
    .map(drop)
}

fn write_all(fd: BorrowedFd<'_>, data: &[u8]) -> Step {
    match rustix::io::write(fd, data)? {
        n if n == data.len() => Ok(()),
        _ => Err(Errno::NOSPC),
    }
}

fn tree_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags | OpenTreeFlags::AT_RECURSIVE
    } else {
        flags
    }
}

pub(super) fn clone_tree(from: BorrowedFd<'_>, recursive: bool) -> Result<OwnedFd, Errno> {
    rustix::mount::open_tree(from, c"", tree_flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH)
}

fn move_mount(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Step {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(from, c"", to, c"", flags)
}

/// `mount_setattr(2)` on the mount behind a descriptor.
fn mount_setattr(mount: RawFd, attr: MountAttr, userns: Option<RawFd>, recursive: bool) -> Step {
    let kernel = KernelMountAttr {
        set: attr.set,
        clear: attr.clear,
        propagation: attr.propagation,
        userns: userns.map_or(0, |fd| fd as u64),
    };
    let flags = i64::from(libc::AT_EMPTY_PATH) | if recursive { AT_RECURSIVE } else { 0 };
    let size = size_of::<KernelMountAttr>() as i64;
    // SAFETY: the kernel reads the empty string and `size` bytes of the attributes.
    unsafe {
        call(
            libc::SYS_mount_setattr,
            &[int(mount.into()), string(c""), int(flags), read(&kernel), int(size)],
        )
    }
    .map(drop)
}

fn node(dir: BorrowedFd<'_>, name: &CStr, mode: u32, device: (u32, u32), owner: Option<(u32, u32)>) -> Step {
    let kind = FileType::from_raw_mode(mode);
    let permissions = Mode::from_raw_mode(mode);
    let number = rustix::fs::makedev(device.0, device.1);
    match rustix::fs::mknodat(dir, name, kind, permissions, number) {
        Ok(()) => {}
        Err(Errno::EXIST) => {
            // One that is there may stay if it is the same thing; anything else would be a surprise for its user.
            let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let same =
                FileType::from_raw_mode(stat.st_mode) == kind && (stat.st_rdev == number || kind == FileType::Fifo);
            if !same {
                return Err(Errno::EXIST);
            }
        }
        Err(errno) => return Err(errno),
    }
    if let Some((uid, gid)) = owner {
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// Changes the directory, and makes sure that it is one the root contains: `getcwd(2)` of a directory outside does not
/// begin with `/` (CVE-2024-21626).
fn chdir(path: &CStr) -> Step {
    rustix::process::chdir(path)?;
    let mut buffer = [0_u8; libc::PATH_MAX as usize];
    let length = buffer.len() as i64;
    // SAFETY: the kernel writes at most `length` bytes into the buffer.
    unsafe { call(libc::SYS_getcwd, &[written(&mut buffer), int(length)]) }?;
    if buffer[0] == b'/' { Ok(()) } else { Err(Errno::XDEV) }
}

fn bounding(keep: u64) -> Step {
    for capability in 0..64 {
        if keep & (1 << capability) != 0 {
            continue;
        }
        match prctl(libc::PR_CAPBSET_DROP, capability) {
            Ok(()) => {}
            // The first number that the kernel does not know.
            Err(Errno::INVAL) => break,
            Err(Errno::PERM) => {
                // Without CAP_SETPCAP nothing can be dropped, which only matters for what is there.
                // SAFETY: PR_CAPBSET_READ takes an integer.
                let there = unsafe { call(libc::SYS_prctl, &[int(libc::PR_CAPBSET_READ.into()), int(capability)]) };
                if there != Ok(0) {
                    return Err(Errno::PERM);
                }
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// `struct __user_cap_header_struct` version 3, and two `__user_cap_data_struct`.
fn capset(effective: u64, permitted: u64, inheritable: u64) -> Step {
    let header = [0x2008_0522_u32, 0];
    let mut data = [0_u32; 6];
    let mut header_for_get = header;
    // SAFETY: the kernel reads 8 bytes of the header and writes 24 bytes of data.
    unsafe { call(libc::SYS_capget, &[written(&mut header_for_get), written(&mut data)]) }?;
    let have = u64::from(data[1]) | u64::from(data[4]) << 32;
    // What the process does not have cannot be granted to it; the specification asks to go on without.
    let permitted = permitted & have;
    let effective = effective & permitted;
    let inheritable = inheritable & (have | permitted);
    let words = [effective, permitted, inheritable];
    for (i, word) in words.into_iter().enumerate() {
        data[i] = word as u32;
        data[i + 3] = (word >> 32) as u32;
    }
    // SAFETY: the kernel reads 8 and 24 bytes.
    unsafe { call(libc::SYS_capset, &[read(&header), read(&data)]) }.map(drop)
}

fn ambient(set: u64) -> Step {
    let ambient = |what: i32, capability: i64| {
        let option = i64::from(libc::PR_CAP_AMBIENT);
        // SAFETY: PR_CAP_AMBIENT takes integers.
        unsafe {
            call(
                libc::SYS_prctl,
                &[int(option), int(what.into()), int(capability), int(0), int(0)],
            )
        }
    };
    match ambient(libc::PR_CAP_AMBIENT_CLEAR_ALL, 0) {
        // Before Linux 4.3 there is no ambient set to clear.
        Err(Errno::INVAL) if set == 0 => return Ok(()),
        other => other?,
    };
    for capability in (0..64).filter(|c| set & (1 << c) != 0) {
        match ambient(libc::PR_CAP_AMBIENT_RAISE, capability) {
            // Not permitted or not inheritable: it cannot be granted, and the specification asks to go on without.
            Ok(_) | Err(Errno::PERM | Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn seccomp(flags: u32, filter: &[u64]) -> Result<usize, Errno> {
    let len = u16::try_from(filter.len()).map_err(|_| Errno::TOOBIG)?;
    let program = FilterProgram {
        len,
        filter: filter.as_ptr(),
    };
    // SAFETY: the kernel reads the program, and `len` instructions of 8 bytes. 1 is SECCOMP_SET_MODE_FILTER.
    unsafe { call(libc::SYS_seccomp, &[int(1), int(flags.into()), read(&program)]) }
}

/// Whether a file can be executed by this process: regular, and allowed by mode and capabilities.
fn executable(path: &CStr) -> Step {
    let stat = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::ACCESS);
    }
    let (x_ok, eaccess) = (i64::from(libc::X_OK), i64::from(libc::AT_EACCESS));
    // SAFETY: the kernel reads the string.
    let result = unsafe {
        call(
            libc::SYS_faccessat2,
            &[int(libc::AT_FDCWD.into()), string(path), int(x_ok), int(eaccess)],
        )
    };
    match result {
        // Before Linux 5.8; exec itself will tell.
        Err(Errno::NOSYS) => Ok(()),
        other => other.map(drop),
    }
}
