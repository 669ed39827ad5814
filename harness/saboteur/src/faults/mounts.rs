//! Mounts and their options.

use std::fs;
use std::path::Path;

use rustix::mount::{MountFlags, mount};
use serde_json::{Value, json};

use crate::catalogue::{Act, Fault, config, config_at, dangerous, knockout};
use crate::edit::{list, pop, pop_first, remove, replace, reverse, set};

/// Options that are about propagation (`mount_namespaces(7)`).
const PROPAGATION: [&str; 8] = [
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "unbindable",
    "runbindable",
];

pub(crate) const ALL: &[Fault] = &[
    config(
        "mount-options-dropped",
        &["mount-options", "mount", "propagation", "root", "memory", "delegation"],
        "mounts everything without the options that were asked for, but for bind",
        options_dropped,
    ),
    config_at(
        "mount-nosuid-dropped",
        &["mount-options"],
        "mounts without nosuid",
        option_dropped,
        "nosuid",
    ),
    config_at(
        "mount-noexec-dropped",
        &["mount-options"],
        "mounts without noexec",
        option_dropped,
        "noexec",
    ),
    config_at(
        "mount-nodev-dropped",
        &["mount-options"],
        "mounts without nodev",
        option_dropped,
        "nodev",
    ),
    config_at(
        "mount-ro-dropped",
        &["mount-options", "root", "delegation", "volume"],
        "mounts writable what was to be read-only",
        option_dropped,
        "ro",
    ),
    config_at(
        "mount-noatime-dropped",
        &["mount-options"],
        "mounts without noatime",
        option_dropped,
        "noatime",
    ),
    config_at(
        "mount-nodiratime-dropped",
        &["mount-options"],
        "mounts without nodiratime",
        option_dropped,
        "nodiratime",
    ),
    config_at(
        "mount-relatime-dropped",
        &["mount-options"],
        "mounts without relatime",
        option_dropped,
        "relatime",
    ),
    config_at(
        "mount-strictatime-dropped",
        &["mount-options"],
        "mounts without strictatime",
        option_dropped,
        "strictatime",
    ),
    config_at(
        "mount-nosymfollow-dropped",
        &["mount-options"],
        "mounts without nosymfollow",
        option_dropped,
        "nosymfollow",
    ),
    config_at(
        "mount-size-dropped",
        &["mount-options", "mount"],
        "mounts tmpfs without its size",
        data_dropped,
        "size=",
    ),
    config(
        "mount-size-doubled",
        &["mount-options", "mount"],
        "mounts tmpfs with twice its size",
        size_doubled,
    ),
    config_at(
        "mount-mode-dropped",
        &["mount-options", "mount"],
        "mounts without the mode of the top directory",
        data_dropped,
        "mode=",
    ),
    config_at(
        "mount-owner-dropped",
        &["mount-options", "mount"],
        "mounts without the owner of the top directory",
        data_dropped,
        "uid=",
    ),
    config_at(
        "mount-group-dropped",
        &["mount-options", "mount", "devices"],
        "mounts without the group of the top directory",
        data_dropped,
        "gid=",
    ),
    config(
        "mount-recursive-read-only-flat",
        &["mount-options"],
        "makes only the top mount read-only where all below it were to be (rro)",
        |config| each_option(config, |option| (option == "rro").then(|| "ro".into())),
    ),
    config(
        "mount-read-only-recursive",
        &["mount-options"],
        "makes all below read-only, too, where only the top mount was to be",
        |config| each_bind(config, |option| (option == "ro").then(|| "rro".into())),
    ),
    config(
        "mount-rbind-flat",
        &["mount-options", "mount", "volume", "propagation"],
        "binds the top mount only where all below it were to come along (rbind)",
        |config| each_option(config, |option| (option == "rbind").then(|| "bind".into())),
    ),
    config(
        "mount-bind-recursive",
        &["mount-options", "mount", "volume"],
        "takes all mounts below along where only the top one was to be bound",
        |config| each_option(config, |option| (option == "bind").then(|| "rbind".into())),
    ),
    config(
        "mount-read-only-forced",
        &["mount-options", "mount", "volume", "hooks", "root", "rootfs"],
        "mounts every bind read-only",
        read_only_forced,
    ),
    config(
        "mount-noexec-forced",
        &["mount-options"],
        "mounts every bind and tmpfs noexec",
        |config| forced(config, "noexec"),
    ),
    config(
        "mount-nosuid-forced",
        &["mount-options"],
        "mounts every bind and tmpfs nosuid",
        |config| forced(config, "nosuid"),
    ),
    config(
        "mount-nodev-forced",
        &["mount-options"],
        "mounts every bind and tmpfs nodev",
        |config| forced(config, "nodev"),
    ),
    config(
        "mount-order-reversed",
        &["mount", "volume"],
        "mounts in the reverse of the order asked for",
        |config| reverse(config, "/mounts"),
    ),
    config(
        "mount-order-sorted",
        &["mount"],
        "mounts in the order of the destinations",
        sorted,
    ),
    config(
        "mount-last-lost",
        &["mount", "volume", "mount-options", "propagation"],
        "leaves out the last mount",
        |config| pop(config, "/mounts"),
    ),
    config(
        "mount-first-lost",
        &["mount", "pid", "proc"],
        "leaves out the first mount",
        |config| pop_first(config, "/mounts"),
    ),
    config_at(
        "mount-proc-lost",
        &["mount", "pid", "proc"],
        "mounts no /proc",
        lost,
        "/proc",
    ),
    config_at("mount-sys-lost", &["mount"], "mounts no /sys", lost, "/sys"),
    config_at(
        "mount-dev-lost",
        &["mount", "devices"],
        "mounts no /dev of the container's own",
        lost,
        "/dev",
    ),
    config_at(
        "mount-shm-lost",
        &["mount", "ipc"],
        "mounts no /dev/shm",
        lost,
        "/dev/shm",
    ),
    config_at(
        "mount-mqueue-lost",
        &["mount", "ipc"],
        "mounts no /dev/mqueue",
        lost,
        "/dev/mqueue",
    ),
    config_at(
        "mount-pts-lost",
        &["mount", "devices"],
        "mounts no /dev/pts",
        lost,
        "/dev/pts",
    ),
    config_at(
        "mount-cgroup-lost",
        &["mount", "cgroup", "delegation"],
        "mounts no /sys/fs/cgroup",
        lost,
        "/sys/fs/cgroup",
    ),
    config_at(
        "mount-cgroup-writable",
        &["delegation", "cgroup", "mount-options"],
        "mounts the control groups writable",
        writable,
        "/sys/fs/cgroup",
    ),
    config_at(
        "mount-sys-writable",
        &["mount-options", "paths", "escape"],
        "mounts /sys writable",
        writable,
        "/sys",
    ),
    config(
        "mount-bind-replaced",
        &["volume", "mount", "rootfs", "mount-options", "propagation"],
        "mounts an empty tmpfs where a directory was to be bound",
        bind_replaced,
    ),
    config(
        "mount-propagation-dropped",
        &["propagation"],
        "does not change the propagation of mounts",
        |config| each_mount(config, |options| options.retain(|o| !is_propagation(o))),
    ),
    config(
        "mount-propagation-shared",
        &["propagation"],
        "makes every bind shared",
        |config| propagation(config, "rshared"),
    ),
    config(
        "mount-propagation-slave",
        &["propagation"],
        "makes every bind a slave",
        |config| propagation(config, "rslave"),
    ),
    config(
        "mount-propagation-private",
        &["propagation"],
        "makes every bind private",
        |config| propagation(config, "rprivate"),
    ),
    config(
        "rootfs-propagation-dropped",
        &["propagation", "rootfs"],
        "does not set the propagation of the root",
        |config| remove(config, "/linux/rootfsPropagation"),
    ),
    config(
        "rootfs-propagation-private",
        &["propagation", "rootfs"],
        "makes the root private whatever was asked for",
        |config| replace(config, "/linux/rootfsPropagation", json!("private")),
    ),
    dangerous(config(
        "rootfs-propagation-shared",
        &["propagation", "rootfs", "mount"],
        "makes the root shared whatever was asked for",
        |config| set(config, "/linux/rootfsPropagation", json!("shared")),
    )),
    dangerous(config(
        "host-directory-mounted",
        &["mount", "escape", "volume"],
        "mounts a directory of the host into the container, writable",
        |config| {
            extra(
                config,
                json!({"destination": "/run/host", "type": "bind", "source": "/run", "options": ["rbind", "rw"]}),
            )
        },
    )),
    config(
        "host-directory-mounted-read-only",
        &["mount", "escape"],
        "mounts /etc of the host into the container, read-only",
        |config| {
            extra(
                config,
                json!({"destination": "/mnt", "type": "bind", "source": "/etc", "options": ["bind", "ro"]}),
            )
        },
    ),
    config(
        "host-file-mounted",
        &["mount", "escape"],
        "mounts a file of the host over one of the container",
        |config| {
            extra(
                config,
                json!({"destination": "/etc/hosts", "type": "bind", "source": "/etc/hosts", "options": ["bind", "ro"]}),
            )
        },
    ),
    dangerous(config(
        "host-proc-mounted",
        &["mount", "escape", "proc", "paths"],
        "mounts the host's /proc into the container a second time",
        |config| {
            extra(
                config,
                json!({"destination": "/run/proc", "type": "bind", "source": "/proc", "options": ["rbind"]}),
            )
        },
    )),
    dangerous(config(
        "host-devices-mounted",
        &["mount", "devices", "escape"],
        "mounts the host's /dev in place of one of the container's own",
        dev_of_the_host,
    )),
    dangerous(knockout(
        "root-of-the-host",
        &["rootfs", "root", "escape", "mount", "process"],
        "takes the host's root for the container's, with what is written there kept apart",
        Act::Bundle(root_of_the_host),
    )),
];

fn each_mount(config: &mut Value, apply: impl Fn(&mut Vec<Value>)) {
    for mount in list(config, "/mounts").into_iter().flatten() {
        if let Some(options) = list(mount, "/options") {
            apply(options);
        }
    }
}

fn each_option(config: &mut Value, apply: impl Fn(&str) -> Option<String>) {
    each_mount(config, |options| {
        for option in options {
            if let Some(other) = option.as_str().and_then(&apply) {
                *option = json!(other);
            }
        }
    });
}

fn each_bind(config: &mut Value, apply: impl Fn(&str) -> Option<String>) {
    for mount in list(config, "/mounts").into_iter().flatten().filter(|m| is_bind(m)) {
        for option in list(mount, "/options").into_iter().flatten() {
            if let Some(other) = option.as_str().and_then(&apply) {
                *option = json!(other);
            }
        }
    }
}

fn is_bind(mount: &Value) -> bool {
    let options = mount.get("options").and_then(Value::as_array);
    mount["type"] == "bind" || options.is_some_and(|list| list.iter().any(|o| o == "bind" || o == "rbind"))
}

fn is_propagation(option: &Value) -> bool {
    option.as_str().is_some_and(|option| PROPAGATION.contains(&option))
}

/// Without it a bind would be another kind of mount, and not one without options.
fn options_dropped(config: &mut Value) {
    each_mount(config, |options| options.retain(|o| o == "bind" || o == "rbind"));
}

fn option_dropped(config: &mut Value, option: &'static str) {
    each_mount(config, |options| options.retain(|o| o != option));
}

fn data_dropped(config: &mut Value, prefix: &'static str) {
    each_mount(config, |options| {
        options.retain(|o| o.as_str().is_none_or(|o| !o.starts_with(prefix)));
    });
}

fn size_doubled(config: &mut Value) {
    each_option(config, |option| {
        let size = option.strip_prefix("size=")?;
        let digits = size.trim_end_matches(|c: char| !c.is_ascii_digit());
        let number: u64 = digits.parse().ok()?;
        Some(format!("size={}{}", number * 2, &size[digits.len()..]))
    });
}

fn forced(config: &mut Value, option: &'static str) {
    let opposite = option.strip_prefix("no").unwrap_or_default();
    for mount in list(config, "/mounts").into_iter().flatten() {
        // /dev itself must go on holding devices.
        let dev = mount["destination"] == "/dev" && option == "nodev";
        if (is_bind(mount) || mount["type"] == "tmpfs") && !dev {
            add_option(mount, option, opposite);
        }
    }
}

fn read_only_forced(config: &mut Value) {
    for mount in list(config, "/mounts").into_iter().flatten().filter(|m| is_bind(m)) {
        add_option(mount, "ro", "rw");
    }
}

fn add_option(mount: &mut Value, option: &str, opposite: &str) {
    let Some(map) = mount.as_object_mut() else { return };
    let options = map.entry("options").or_insert_with(|| json!([]));
    if let Some(options) = options.as_array_mut()
        && !options.iter().any(|o| o == option)
    {
        options.retain(|o| o != opposite);
        options.push(json!(option));
    }
}

fn sorted(config: &mut Value) {
    if let Some(mounts) = list(config, "/mounts") {
        mounts.sort_by(|a, b| a["destination"].as_str().cmp(&b["destination"].as_str()));
    }
}

fn lost(config: &mut Value, destination: &'static str) {
    if let Some(mounts) = list(config, "/mounts") {
        mounts.retain(|m| m["destination"] != destination);
    }
}

fn writable(config: &mut Value, destination: &'static str) {
    for mount in list(config, "/mounts").into_iter().flatten() {
        if mount["destination"] == destination
            && let Some(options) = list(mount, "/options")
        {
            options.retain(|o| o != "ro");
        }
    }
}

fn bind_replaced(config: &mut Value) {
    for mount in list(config, "/mounts").into_iter().flatten().filter(|m| is_bind(m)) {
        *mount = json!({
            "destination": mount["destination"], "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"],
        });
    }
}

fn propagation(config: &mut Value, kind: &'static str) {
    for mount in list(config, "/mounts").into_iter().flatten().filter(|m| is_bind(m)) {
        if let Some(options) = list(mount, "/options")
            && !options.iter().any(|o| o == kind)
        {
            options.retain(|o| !is_propagation(o));
            options.push(json!(kind));
        }
    }
}

fn extra(config: &mut Value, mount: Value) {
    if let Some(mounts) = list(config, "/mounts") {
        mounts.push(mount);
    }
}

fn dev_of_the_host(config: &mut Value) {
    for mount in list(config, "/mounts").into_iter().flatten() {
        if mount["destination"] == "/dev" {
            *mount = json!({"destination": "/dev", "type": "bind", "source": "/dev", "options": ["rbind"]});
        }
    }
}

/// A runtime that prepares a root makes mount points in it, and some remount it writable first, be it the machine's own:
/// so it gets one that shows the host's files and takes what is written into a directory beside the bundle.
fn root_of_the_host(config: &mut Value, bundle: &Path) {
    let place = |name: &str| bundle.with_extension(format!("host-{name}"));
    let (upper, work, root) = (place("upper"), place("work"), place("root"));
    let made = [&upper, &work, &root]
        .iter()
        .all(|directory| fs::create_dir_all(directory).is_ok());
    let options = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
    let Ok(options) = std::ffi::CString::new(options) else {
        return;
    };
    // Where that cannot be mounted the fault does not apply, and says so by its silence.
    if made
        && mount(
            "overlay",
            &root,
            "overlay",
            MountFlags::empty(),
            Some(options.as_c_str()),
        )
        .is_ok()
    {
        replace(config, "/root/path", json!(root.to_string_lossy()));
    }
}
