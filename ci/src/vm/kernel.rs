//! Debian's cloud kernel, unpacked from its package; nothing is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Error;
use crate::command;

/// The package that depends on the newest one.
const META: &str = "linux-image-cloud-amd64";

/// A kernel that can be booted.
#[derive(Debug)]
pub(super) struct Kernel {
    /// The compressed image.
    pub(super) image: PathBuf,
    /// The folder of its modules.
    pub(super) modules: PathBuf,
    /// As `uname -r` says.
    pub(super) version: String,
}

/// The newest kernel that apt knows, else one that was unpacked earlier.
pub(super) fn get(folder: &Path) -> Result<Kernel, Error> {
    let folder = folder.join("kernel");
    fs_err::create_dir_all(&folder).map_err(Error::Make)?;
    let answer = command::output(Command::new("apt-cache").args(["depends", META]));
    let newest = answer.ok().and_then(|answer| newest(&String::from_utf8_lossy(&answer)));
    if let Some(package) = &newest {
        let unpacked = folder.join(package);
        if !unpacked.is_dir() {
            download(&folder, package).map_err(|error| {
                Error::Unavailable(format!(
                    "the package {package} cannot be had ({})",
                    crate::chain(&error)
                ))
            })?;
        }
        return read(&unpacked);
    }
    let earlier = fs_err::read_dir(&folder).map_err(Error::Make)?.filter_map(Result::ok);
    let mut earlier: Vec<_> = earlier.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    earlier.sort();
    match earlier.last() {
        Some(unpacked) => read(unpacked),
        None => Err(Error::Unavailable(format!("apt knows no package {META}"))),
    }
}

/// What the first dependency of the meta package is called.
fn newest(depends: &str) -> Option<String> {
    let names = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let mut images = names.filter(|name| name.starts_with("linux-image-") && name.ends_with("-cloud-amd64"));
    images.next().map(str::to_owned)
}

fn download(folder: &Path, package: &str) -> Result<(), crate::command::CommandError> {
    // Root's own folders are not open to the user that apt downloads as.
    let mut apt = Command::new("apt-get");
    apt.current_dir(folder)
        .args(["-o", "APT::Sandbox::User=root", "download", package]);
    command::output(&mut apt)?;
    let partial = folder.join(".unpacking");
    let unpack = format!("dpkg-deb -x {package}_*.deb .unpacking && rm {package}_*.deb && mv .unpacking {package}");
    command::output(Command::new("rm").arg("-rf").arg(&partial))?;
    command::output(Command::new("sh").current_dir(folder).args(["-ec", &unpack]))?;
    Ok(())
}

fn read(unpacked: &Path) -> Result<Kernel, Error> {
    let boot = fs_err::read_dir(unpacked.join("boot"))
        .map_err(Error::Make)?
        .filter_map(Result::ok);
    let names = boot.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let version = names
        .filter_map(|name| name.strip_prefix("vmlinuz-").map(str::to_owned))
        .next();
    let version = version.ok_or_else(|| Error::Unavailable(format!("there is no kernel in {}", unpacked.display())))?;
    let modules = ["lib/modules", "usr/lib/modules"].map(|modules| unpacked.join(modules).join(&version));
    let modules = modules.into_iter().find(|modules| modules.is_dir());
    let missing = || Error::Unavailable(format!("there are no modules in {}", unpacked.display()));
    Ok(Kernel {
        image: unpacked.join("boot").join(format!("vmlinuz-{version}")),
        modules: modules.ok_or_else(missing)?,
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_kernel_is_what_the_meta_package_depends_on() {
        let said = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n";
        assert_eq!(newest(said).as_deref(), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(newest("linux-image-cloud-amd64\n"), None);
    }
}
