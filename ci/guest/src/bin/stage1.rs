//! PID 1 of the machine before it has a disk: loads modules, mounts the disk and moves onto it.
#![expect(clippy::print_stderr, reason = "standard error is the console of the machine")]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec, poll};
use rustix::mount::{MountFlags, mount, mount_move};
use rustix::process::{chdir, chroot};

const DISK: &str = "/dev/vda";
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let error = match move_onto_disk() {
        Ok(()) => Command::new("/sbin/stage2").exec(),
        Err(error) => error,
    };
    eprintln!("stage1: {error}");
    // PID 1 that ends is a panic of the kernel, which switches the machine off.
    ExitCode::FAILURE
}

fn move_onto_disk() -> io::Result<()> {
    for (kind, path) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys")] {
        mount(kind, path, kind, MountFlags::empty(), None)?;
    }
    load_modules()?;
    wait_for(Path::new(DISK))?;
    mount(DISK, "/root", "ext4", MountFlags::empty(), None)?;
    for path in ["/dev", "/proc", "/sys"] {
        mount_move(path, format!("/root{path}"))?;
    }
    // As switch_root does: the disk takes the place of the first root, which cannot be unmounted.
    chdir("/root")?;
    mount_move(".", "/")?;
    chroot(".")?;
    Ok(chdir("/")?)
}

/// Loads `/modules/*` by the numbers in their names. One that does not load is told; what needs it will tell more.
fn load_modules() -> io::Result<()> {
    let mut files: Vec<_> = fs_err::read_dir("/modules")?.collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(fs_err::DirEntry::file_name);
    for file in files {
        let module = fs_err::File::open(file.path())?;
        if let Err(error) = rustix::system::finit_module(&module, c"", 0) {
            eprintln!("stage1: failed to load `{}`: {error}", file.path().display());
        }
    }
    Ok(())
}

fn wait_for(path: &Path) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !path.exists() {
        if Instant::now() > deadline {
            return Err(io::Error::other(format!(
                "`{}` did not appear in {PATIENCE:?}",
                path.display()
            )));
        }
        let nothing: &mut [PollFd<'_>; 0] = &mut [];
        poll(
            nothing,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 5_000_000,
            }),
        )?;
    }
    Ok(())
}
