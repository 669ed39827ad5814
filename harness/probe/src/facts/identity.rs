//! Who and where this process is.

use alloc::{string::String, vec::Vec};
use core::ffi::CStr;

use sys::freestanding::{
    clock, process,
    rustix::{
        fs::{self, Mode},
        process::{getcwd, getgroups, getpgid, getpid, getppid, getsid, umask},
        system::uname,
    },
};

use super::descriptors;
use crate::{file, json::Json};

/// `pid, ppid, pgid, sid`.
pub(crate) fn process(json: &mut Json) {
    json.key("pid").plain(getpid().as_raw_nonzero());
    json.key("ppid")
        .plain(getppid().map_or(0, |pid| pid.as_raw_nonzero().get()));
    // A group or session whose leader is outside the PID namespace is 0, which rustix has no word for.
    json.key("pgid")
        .plain(getpgid(None).map_or(0, |pid| pid.as_raw_nonzero().get()));
    json.key("sid")
        .plain(getsid(None).map_or(0, |pid| pid.as_raw_nonzero().get()));
}

/// `uid, euid, suid, gid, egid, sgid, groups, umask`.
pub(crate) fn user(json: &mut Json) {
    let [uid, euid, suid] = process::user_ids();
    let [gid, egid, sgid] = process::group_ids();
    for (key, id) in [
        ("uid", uid),
        ("euid", euid),
        ("suid", suid),
        ("gid", gid),
        ("egid", egid),
        ("sgid", sgid),
    ] {
        json.key(key).plain(id);
    }
    match getgroups() {
        Ok(groups) => {
            let mut groups: Vec<u32> = groups.iter().map(|group| group.as_raw()).collect();
            groups.sort_unstable();
            json.key("groups")
                .array(|json| groups.iter().for_each(|group| json.plain(group)));
        }
        Err(_) => json.key("groups").null(),
    }
    let mask = umask(Mode::empty());
    umask(mask);
    json.key("umask").string(&alloc::format!("{:04o}", mask.bits()));
}

/// `cwd`; null when it was removed or lies outside the root.
pub(crate) fn directory(json: &mut Json) {
    json.key("cwd")
        .bytes_or_null(getcwd(Vec::new()).ok().as_ref().map(|path| path.to_bytes()));
}

/// `args`.
pub(crate) fn arguments(json: &mut Json, argv: &[&CStr]) {
    json.key("args")
        .array(|json| argv.iter().for_each(|arg| json.bytes(arg.to_bytes())));
}

/// `env`: an object, in which the last of two equal names stands, and `envNames` in the order that was given.
pub(crate) fn environment(json: &mut Json, env: &[&CStr]) {
    let pairs: Vec<(&[u8], &[u8])> = env
        .iter()
        .map(|line| {
            let bytes = line.to_bytes();
            match bytes.iter().position(|byte| *byte == b'=') {
                Some(at) => (&bytes[..at], &bytes[at + 1..]),
                None => (bytes, &[][..]),
            }
        })
        .collect();
    json.key("env").object(|json| {
        for (index, (name, value)) in pairs.iter().enumerate() {
            if !pairs[index + 1..].iter().any(|(later, _)| later == name) {
                json.key(&String::from_utf8_lossy(name)).bytes(value);
            }
        }
    });
    json.key("envNames")
        .array(|json| pairs.iter().for_each(|(name, _)| json.bytes(name)));
}

/// `hostname, domainname, uname: {…}`.
pub(crate) fn host(json: &mut Json) {
    let names = uname();
    json.key("hostname").bytes(names.nodename().to_bytes());
    json.key("domainname").bytes(names.domainname().to_bytes());
    json.key("uname").object(|json| {
        json.key("sysname").bytes(names.sysname().to_bytes());
        json.key("release").bytes(names.release().to_bytes());
        json.key("version").bytes(names.version().to_bytes());
        json.key("machine").bytes(names.machine().to_bytes());
    });
}

/// `clocks: {monotonic_ns, boottime_ns, realtime_ns}`.
pub(crate) fn clocks(json: &mut Json) {
    json.key("clocks").object(|json| {
        json.key("monotonic_ns").plain(clock::monotonic());
        json.key("boottime_ns").plain(clock::boottime());
        json.key("realtime_ns").plain(clock::realtime());
    });
}

/// `proc: {mounted, memTotal, cpus, uptime}`: what /proc says, in bytes and seconds.
pub(crate) fn proc_files(json: &mut Json) {
    let memory = file::text("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
    });
    let cpus = file::text("/proc/cpuinfo")
        .ok()
        .map(|text| text.lines().filter(|line| line.starts_with("processor")).count());
    json.key("proc").object(|json| {
        json.key("mounted").plain(fs::stat("/proc/self").is_ok());
        json.key("memTotal").plain_or_null(memory);
        json.key("cpus").plain_or_null(cpus);
        let uptime = descriptors::trimmed("/proc/uptime");
        json.key("uptime")
            .plain_or_null(uptime.as_deref().and_then(|text| text.split(' ').next()));
    });
}

/// `root: {device, inode, mode, readOnly}` of `/`.
pub(crate) fn root(json: &mut Json) {
    let stat = fs::stat("/").ok();
    let flags = fs::statvfs("/").ok().map(|all| all.f_flag);
    json.key("root").object(|json| {
        json.key("device").plain_or_null(stat.as_ref().map(|stat| stat.st_dev));
        json.key("inode").plain_or_null(stat.as_ref().map(|stat| stat.st_ino));
        json.key("mode").bytes_or_null(
            stat.map(|stat| alloc::format!("{:04o}", stat.st_mode & 0o7777))
                .as_deref()
                .map(str::as_bytes),
        );
        json.key("readOnly")
            .plain_or_null(flags.map(|flags| flags.contains(fs::StatVfsMountFlags::RDONLY)));
    });
}

/// `oomScoreAdj, dumpable, personality`.
pub(crate) fn traits(json: &mut Json) {
    json.key("oomScoreAdj")
        .plain_or_null(descriptors::trimmed("/proc/self/oom_score_adj"));
    json.key("dumpable").plain_or_null(process::dumpable().ok());
    json.key("personality").plain_or_null(process::personality().ok());
}
