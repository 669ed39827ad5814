//! Workloads: images, references to other workloads, absolute paths, patches.

use super::{Checker, Place};
use crate::{
    Workload,
    fault::Fault,
    workload::{Container, NamespaceChoice, PatchOperation, PatchVerb},
};

/// Every capability of Linux 6.18, as capabilities(7) lists them.
const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

impl Checker<'_> {
    pub(super) fn workload(&mut self, name: &str, workload: &Workload, place: &Place<'_>) {
        match workload {
            Workload::Container(container) => self.container(name, container, &place.key("container")),
            Workload::Bundle(bundle) => {
                let place = place.key("bundle");
                if bundle.path.is_empty() || bundle.path.starts_with('/') {
                    let fault = Fault::new(
                        place.key("path").extent,
                        format!("bundle path `{}` is not relative", bundle.path),
                    );
                    self.fault(fault.hint("expected a directory relative to the spec, or `bundles/probe`"));
                }
                self.patch(&bundle.patch, &place.key("patch"));
            }
            Workload::Object(manifest) => self.manifest(manifest, &place.key("object")),
        }
        self.of_target(workload, place);
    }

    fn container(&mut self, name: &str, container: &Container, place: &Place<'_>) {
        if self.is_for_cluster() {
            self.container_in_cluster(place);
        }
        let image = &container.image;
        let path = image.strip_prefix("dir:").or_else(|| image.strip_prefix("tar:"));
        if image != "plimsoll/probe" && path.is_none_or(str::is_empty) && !image.contains("${") {
            let fault = Fault::new(place.key("image").extent, format!("no image `{image}`"))
                .hint("expected `plimsoll/probe`, `dir:PATH` or `tar:PATH`")
                .suggest(image, ["plimsoll/probe"]);
            let fault = match fault.help {
                Some(_) => fault,
                None => fault.help("bring an image as a directory or archive, relative to the spec: `tar:image.tar`"),
            };
            self.fault(fault);
        }
        for (kind, choice) in &container.namespaces {
            if let NamespaceChoice::Container(other) = choice {
                // Aliases are accepted as keys, so look for the value by either name.
                let place = place.key("namespaces");
                let written = [kind.oci_name(), kind.proc_name()].map(|name| place.key(name));
                let extent = written.iter().find(|place| place.is_written()).unwrap_or(&place).extent;
                if other == name {
                    let fault = Fault::new(extent, format!("workload `{name}` joins a namespace of itself"));
                    self.fault(fault.hint("expected another workload"));
                } else {
                    self.workload_reference(other, extent);
                }
            }
        }
        if let Some(cwd) = &container.cwd {
            self.absolute("working directory", cwd, place.key("cwd").extent);
        }
        for (n, mount) in container.mounts.iter().enumerate() {
            let place = place.key("mounts").index(n);
            self.absolute("mount destination", &mount.destination, place.key("destination").extent);
        }
        for (key, paths) in [
            ("maskedPaths", &container.masked_paths),
            ("readonlyPaths", &container.readonly_paths),
        ] {
            for (n, path) in paths.iter().flatten().enumerate() {
                self.absolute("path", path, place.key(key).index(n).extent);
            }
        }
        if let Some(sets) = &container.capabilities {
            let place = place.key("capabilities");
            for (key, names) in [
                ("add", Some(&sets.add)),
                ("drop", Some(&sets.drop)),
                ("bounding", sets.bounding.as_ref()),
                ("effective", sets.effective.as_ref()),
                ("permitted", sets.permitted.as_ref()),
                ("inheritable", sets.inheritable.as_ref()),
                ("ambient", sets.ambient.as_ref()),
            ] {
                self.capabilities(names.map(Vec::as_slice).unwrap_or_default(), &place.key(key));
            }
        }
        if let Some(score) = container.oom_score_adj
            && !(-1000..=1000).contains(&score)
        {
            let fault = Fault::new(
                place.key("oomScoreAdj").extent,
                format!("`{score}` is not an OOM score adjustment"),
            );
            self.fault(fault.hint("expected -1000 to 1000"));
        }
        for (n, limit) in container.rlimits.iter().flatten().enumerate() {
            let place = place.key("rlimits").index(n);
            if !limit.kind.starts_with("RLIMIT_") {
                let fault = Fault::new(
                    place.key("type").extent,
                    format!("unknown resource limit `{}`", limit.kind),
                );
                self.fault(fault.hint("expected a name such as `RLIMIT_NOFILE`"));
            }
        }
        self.patch(&container.patch, &place.key("patch"));
    }

    pub(super) fn capabilities(&mut self, names: &[String], list: &Place<'_>) {
        for (n, name) in names.iter().enumerate() {
            let plain = name.strip_prefix("CAP_").unwrap_or(name);
            if plain != "ALL" && !CAPABILITIES.contains(&plain) {
                let fault = Fault::new(list.index(n).extent, format!("unknown capability `{name}`"))
                    .hint("expected a name of capabilities(7) such as `CAP_NET_RAW`");
                let fault = match crate::fault::closest(plain, CAPABILITIES) {
                    Some(close) => fault.help(format!("did you mean `CAP_{close}`?")),
                    None => fault,
                };
                self.fault(fault);
            }
        }
    }

    pub(super) fn patch(&mut self, patch: &[PatchOperation], list: &Place<'_>) {
        for (n, operation) in patch.iter().enumerate() {
            let place = list.index(n);
            self.pointer(&operation.path, &place.key("path"));
            match operation.op {
                PatchVerb::Add | PatchVerb::Replace | PatchVerb::Test if !place.key("value").is_written() => {
                    let fault = Fault::new(place.key("op").extent, "missing field `value`");
                    self.fault(fault.hint("this operation needs a value"));
                }
                PatchVerb::Move | PatchVerb::Copy if operation.from.is_none() => {
                    let fault = Fault::new(place.key("op").extent, "missing field `from`");
                    self.fault(fault.hint("this operation needs a place to take from"));
                }
                _ => {}
            }
            if let Some(from) = &operation.from {
                self.pointer(from, &place.key("from"));
            }
        }
    }

    fn pointer(&mut self, pointer: &str, place: &Place<'_>) {
        let escapes_right = || pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if !(pointer.is_empty() || pointer.starts_with('/')) || !escapes_right() {
            let fault = Fault::new(place.extent, format!("`{pointer}` is not a JSON pointer"));
            self.fault(fault.hint("expected a path such as `/process/args/0`, with `~0` for `~` and `~1` for `/`"));
        }
    }
}
