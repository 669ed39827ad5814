//! Requirements: probed by doing and looking, with three answers.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::thread::UnshareFlags;
use serde_json::json;
use spec::Requirement;
use spec::requirement::{CgroupRequirement, NamespaceKind};
use sys::fork::{Forked, exit_now, fork};

use crate::drive::World;
use crate::judge::matcher::{Finding, Unit, holds};

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probed {
    /// It is there.
    Met,
    /// It is not, and this was seen.
    Unmet {
        /// The requirement in words.
        requirement: String,
        /// What the probe saw.
        seen: String,
    },
    /// The probe itself did not work.
    CannotTell {
        /// The requirement in words.
        requirement: String,
        /// Why.
        why: String,
    },
}

fn unmet(requirement: impl Into<String>, seen: impl Into<String>) -> Probed {
    Probed::Unmet {
        requirement: requirement.into(),
        seen: seen.into(),
    }
}

fn met_if(met: bool, requirement: impl Into<String>, seen: impl Into<String>) -> Probed {
    if met { Probed::Met } else { unmet(requirement, seen) }
}

/// Probes one requirement inside the guard.
pub fn probe(requirement: &Requirement, world: &World<'_>) -> Probed {
    match requirement {
        Requirement::Namespaces(kinds) => first(kinds.iter().map(|kind| namespace(*kind))),
        Requirement::Cgroup(wanted) => cgroup(wanted, world),
        Requirement::Capability(names) => capabilities(names),
        Requirement::Kernel(wanted) => kernel(wanted),
        Requirement::Cpus(wanted) => {
            let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            let requirement = format!("cpus {wanted}");
            match holds(wanted, Some(&json!(count)), Unit::Plain) {
                Finding::Holds => Probed::Met,
                Finding::Misses => unmet(requirement, format!("{count} CPUs")),
                Finding::Unfit(why) => Probed::CannotTell { requirement, why },
            }
        }
        // A runtime on this host is always looked at from its host.
        Requirement::HostAccess(wanted) => {
            met_if(*wanted, "hostAccess: false", "the harness runs on the subject's host")
        }
        Requirement::RuntimeFeature(path) => runtime_feature(path, world),
        Requirement::Filesystem(names) => match std::fs::read_to_string("/proc/filesystems") {
            Ok(text) => {
                let has = |name: &String| text.lines().any(|l| l.split_whitespace().last() == Some(name.as_str()));
                match names.iter().find(|n| !has(n)) {
                    None => Probed::Met,
                    Some(name) => unmet(format!("file system {name}"), "/proc/filesystems does not list it"),
                }
            }
            Err(error) => Probed::CannotTell {
                requirement: format!("file systems {}", names.join(", ")),
                why: format!("failed to read `/proc/filesystems`: {error}"),
            },
        },
        Requirement::Path(paths) => match paths.iter().find(|p| !Path::new(p).exists()) {
            None => Probed::Met,
            Some(path) => unmet(format!("path {path}"), "it is not there"),
        },
        Requirement::BlockDevice(wanted) => {
            let device = block_device(&world.home.work);
            let seen = device.map_or_else(
                || "the run's directory is on no block device that can be throttled".to_owned(),
                |(major, minor)| format!("the run's directory is on {major}:{minor}"),
            );
            met_if(device.is_some() == *wanted, format!("blockDevice: {wanted}"), seen)
        }
        Requirement::RealTime(wanted) => met_if(
            *wanted != world.job.emulated,
            format!("realTime: {wanted}"),
            if world.job.emulated {
                "this machine is emulated: its timings mean nothing"
            } else {
                "clocks run at real speed"
            },
        ),
        Requirement::Root(wanted) => met_if(
            *wanted == world.home.by_root,
            format!("root: {wanted}"),
            if world.home.by_root {
                "the harness runs as root"
            } else {
                "the harness runs as an ordinary user"
            },
        ),
        Requirement::Swap(wanted) => match std::fs::read_to_string("/proc/swaps") {
            Ok(text) => {
                let swap = text.lines().count() > 1;
                met_if(
                    swap == *wanted,
                    format!("swap: {wanted}"),
                    if swap {
                        "swap is configured"
                    } else {
                        "no swap is configured"
                    },
                )
            }
            Err(error) => Probed::CannotTell {
                requirement: format!("swap: {wanted}"),
                why: format!("failed to read `/proc/swaps`: {error}"),
            },
        },
        Requirement::Any(all) => {
            let probed: Vec<Probed> = all.iter().map(|r| probe(r, world)).collect();
            if probed.contains(&Probed::Met) {
                return Probed::Met;
            }
            if let Some(unknown) = probed.iter().find(|p| matches!(p, Probed::CannotTell { .. })) {
                return unknown.clone();
            }
            let (mut requirements, mut seen) = (Vec::new(), Vec::new());
            for one in probed {
                if let Probed::Unmet {
                    requirement,
                    seen: what,
                } = one
                {
                    requirements.push(requirement);
                    seen.push(what);
                }
            }
            unmet(format!("any of {}", requirements.join(", ")), seen.join("; "))
        }
    }
}

fn first(mut all: impl Iterator<Item = Probed>) -> Probed {
    all.find(|p| *p != Probed::Met).unwrap_or(Probed::Met)
}

/// Makes one, in a process that ends at once.
fn namespace(kind: NamespaceKind) -> Probed {
    let name = format!("{} namespace", kind.oci_name());
    let flag = match kind {
        NamespaceKind::Pid => UnshareFlags::NEWPID,
        NamespaceKind::Network => UnshareFlags::NEWNET,
        NamespaceKind::Mount => UnshareFlags::NEWNS,
        NamespaceKind::Ipc => UnshareFlags::NEWIPC,
        NamespaceKind::Uts => UnshareFlags::NEWUTS,
        NamespaceKind::User => UnshareFlags::NEWUSER,
        NamespaceKind::Cgroup => UnshareFlags::NEWCGROUP,
        NamespaceKind::Time => {
            return met_if(
                Path::new("/proc/self/ns/time").exists(),
                name,
                "there is no /proc/self/ns/time",
            );
        }
    };
    if !Path::new(&format!("/proc/self/ns/{}", kind.proc_name())).exists() {
        return unmet(name, format!("there is no /proc/self/ns/{}", kind.proc_name()));
    }
    match fork(u64::from(flag.bits()), None) {
        // The child has nothing to do: it exists in the namespace, and that was the question.
        Ok(Forked::Child) => exit_now(0),
        Ok(Forked::Parent { pidfd, .. }) => {
            use rustix::process::{WaitId, WaitIdOptions, waitid};
            match waitid(WaitId::PidFd(std::os::fd::AsFd::as_fd(&pidfd)), WaitIdOptions::EXITED) {
                Ok(_) => Probed::Met,
                Err(error) => Probed::CannotTell {
                    requirement: name.clone(),
                    why: format!("failed to wait for the probe of a {name}: {error}"),
                },
            }
        }
        Err(error) => unmet(name, format!("clone3: {error}")),
    }
}

fn cgroup(wanted: &CgroupRequirement, world: &World<'_>) -> Probed {
    let mut words = vec!["cgroup".to_owned()];
    if let Some(version) = wanted.version {
        words.push(format!("v{version}"));
    }
    words.extend(wanted.controllers.iter().cloned());
    let requirement = words.join(" ");
    if let Some(why) = &world.home.no_cgroups {
        return unmet(requirement, why.clone());
    }
    let all = &world.home.cgroups;
    for name in &wanted.controllers {
        if name == "devices" && !world.home.by_root {
            return unmet(requirement, "only root may limit devices");
        }
        // Specs use the version 2 names.
        let names: &[&str] = match name.as_str() {
            "io" => &["io", "blkio"],
            "freezer" => &["freezer"],
            "devices" => &["devices"],
            other => &[other],
        };
        let in_kernel = matches!(name.as_str(), "freezer" | "devices");
        let here = all
            .iter()
            .find(|m| m.controllers.iter().any(|c| names.contains(&c.as_str())));
        let here = here.or_else(|| all.iter().find(|m| in_kernel && m.version == 2));
        match here {
            None => {
                let seen = all
                    .iter()
                    .flat_map(|m| m.controllers.iter().map(String::as_str))
                    .collect::<Vec<_>>()
                    .join(", ");
                return unmet(requirement, format!("controllers that can limit here: {seen}"));
            }
            Some(m) if wanted.version.is_some_and(|v| v != m.version) => {
                return unmet(requirement, format!("`{name}` is on a version {} hierarchy", m.version));
            }
            Some(_) => {}
        }
    }
    if wanted.controllers.is_empty()
        && let Some(version) = wanted.version
        && !all
            .iter()
            .any(|m| m.version == version && m.controllers.iter().any(|c| !c.starts_with("name=")))
    {
        return unmet(requirement, format!("no controller is on version {version}"));
    }
    if wanted.swap_limit == Some(true) {
        let memory = all.iter().find(|m| m.controllers.iter().any(|c| c == "memory"));
        let accounted = memory.is_some_and(|m| {
            m.mount.join("memory.memsw.limit_in_bytes").exists()
                || m.mount.join("plimsoll-guard/memory.swap.max").exists()
        });
        let swap = std::fs::read_to_string("/proc/swaps").map_or(true, |t| t.lines().count() > 1);
        if swap && !accounted {
            return unmet(
                format!("{requirement} with a swap limit"),
                "swap is configured and not accounted",
            );
        }
    }
    Probed::Met
}

fn capabilities(names: &[String]) -> Probed {
    let status = match std::fs::read_to_string("/proc/self/status") {
        Ok(status) => status,
        Err(error) => {
            return Probed::CannotTell {
                requirement: names.join(", "),
                why: format!("failed to read `/proc/self/status`: {error}"),
            };
        }
    };
    let bits = status
        .lines()
        .find_map(|l| l.strip_prefix("CapEff:"))
        .and_then(|h| u64::from_str_radix(h.trim(), 16).ok());
    let Some(bits) = bits else {
        return Probed::CannotTell {
            requirement: names.join(", "),
            why: "`/proc/self/status` shows no effective capabilities".into(),
        };
    };
    for name in names {
        match sys::capability::NAMES.iter().position(|c| c == name) {
            None => {
                return Probed::CannotTell {
                    requirement: name.clone(),
                    why: format!("there is no capability `{name}`"),
                };
            }
            Some(bit) if bits & (1 << bit) == 0 => return unmet(name.clone(), format!("CapEff is {bits:#x}")),
            Some(_) => {}
        }
    }
    Probed::Met
}

fn kernel(wanted: &str) -> Probed {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let numbers = |text: &str| {
        let mut parts = text.split(['.', '-']).map(|p| p.parse::<u32>());
        Some((parts.next()?.ok()?, parts.next().and_then(Result::ok).unwrap_or(0)))
    };
    let text = wanted.trim().trim_start_matches(['>', '=', 'v']).trim();
    match (numbers(text), numbers(&release)) {
        (Some(least), Some(here)) => met_if(here >= least, format!("kernel {wanted}"), format!("Linux {release}")),
        _ => Probed::CannotTell {
            requirement: format!("kernel {wanted}"),
            why: format!("`{wanted}` and `{release}` cannot be compared"),
        },
    }
}

fn runtime_feature(path: &str, world: &World<'_>) -> Probed {
    match world.client.features() {
        Ok(Some(features)) => {
            let found = features.pointer(&format!("/{}", path.replace('.', "/")));
            let there = found.is_some_and(|v| !matches!(v, serde_json::Value::Null | serde_json::Value::Bool(false)));
            met_if(
                there,
                format!("runtime feature {path}"),
                format!(
                    "`features` says {}",
                    found.map_or("nothing".into(), ToString::to_string)
                ),
            )
        }
        Ok(None) => unmet(format!("runtime feature {path}"), "the runtime has no verb `features`"),
        Err(error) => Probed::CannotTell {
            requirement: format!("runtime feature {path}"),
            why: crate::chain(&error),
        },
    }
}

/// Major and minor of the whole disk that carries a directory, if there is one.
pub(crate) fn block_device(directory: &Path) -> Option<(u32, u32)> {
    let device = std::fs::metadata(directory).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let sys = std::fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    // Throttling is by whole disk; a partition's directory lies below its disk's.
    let disk = if sys.join("partition").exists() {
        sys.parent()?.to_path_buf()
    } else {
        sys
    };
    let text = std::fs::read_to_string(disk.join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
