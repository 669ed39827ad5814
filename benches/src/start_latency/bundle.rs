//! The bundle that every runtime gets.

use std::path::Path;

use oci_spec::runtime::LinuxSeccomp;
use serde_json::{Value, json};

use super::{Error, act};

/// What engines refuse to containers without privileges.
const REFUSED: &[&str] = &[
    "acct",
    "add_key",
    "bpf",
    "clock_adjtime",
    "clock_settime",
    "create_module",
    "delete_module",
    "finit_module",
    "get_kernel_syms",
    "get_mempolicy",
    "init_module",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "mount",
    "move_pages",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "perf_event_open",
    "personality",
    "pivot_root",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "query_module",
    "quotactl",
    "reboot",
    "request_key",
    "set_mempolicy",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "sysfs",
    "umount",
    "umount2",
    "unshare",
    "userfaultfd",
    "uselib",
    "ustat",
];

fn seccomp() -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": REFUSED, "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]
    })
}

/// The profile's program, for the floor.
pub(super) fn filter() -> Result<runtime::seccomp::Program, Error> {
    let profile: LinuxSeccomp =
        serde_json::from_value(seccomp()).map_err(|error| act("read the seccomp profile")(error.into()))?;
    Ok(runtime::seccomp::compile(&profile)?)
}

/// Writes `config.json` for a process of the probe into the directory `at`.
pub(crate) fn write(at: &Path, rootfs: &Path, cgroup: &str, arguments: &[&str]) -> Result<(), Error> {
    let mut config = image::config();
    config["process"]["args"] = json!(arguments);
    config["root"]["path"] = json!(rootfs);
    config["linux"]["cgroupsPath"] = json!(cgroup);
    config["linux"]["seccomp"] = seccomp();
    let resources = &mut config["linux"]["resources"];
    resources["memory"] = json!({"limit": 67_108_864});
    resources["cpu"] = json!({"shares": 512, "quota": 50_000, "period": 100_000});
    resources["pids"] = json!({"limit": 64});
    fs_err::create_dir_all(at).map_err(act("make a bundle"))?;
    fs_err::write(at.join("config.json"), config.to_string()).map_err(act("write a bundle"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_profile_compiles_to_more_than_its_names() {
        assert!(super::filter().unwrap().filter().len() > super::REFUSED.len() / 2);
    }
}
