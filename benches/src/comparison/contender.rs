//! Who is compared, and how one calls it.

use std::path::{Path, PathBuf};

/// What runs containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// `plimsoll oci`.
    Bundled,
    /// crun.
    Crun,
    /// runc.
    Runc,
    /// podman, an engine without a daemon.
    Podman,
    /// docker, with `dockerd` and `containerd`.
    Docker,
}

impl Contender {
    /// All, ours first.
    pub const ALL: [Contender; 5] = [
        Contender::Bundled,
        Contender::Crun,
        Contender::Runc,
        Contender::Podman,
        Contender::Docker,
    ];

    /// Its name in tables, and between the guard and the program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Contender::Bundled => "bundled",
            Contender::Crun => "crun",
            Contender::Runc => "runc",
            Contender::Podman => "podman",
            Contender::Docker => "docker",
        }
    }

    /// Whether it has images, networks and a record of its containers of its own.
    #[must_use]
    pub fn is_engine(self) -> bool {
        matches!(self, Contender::Podman | Contender::Docker)
    }

    /// Programs that must be installed, its own first.
    pub(super) fn programs(self) -> &'static [&'static str] {
        match self {
            Contender::Bundled => &[],
            Contender::Crun => &["crun"],
            Contender::Runc => &["runc"],
            Contender::Podman => &["podman", "conmon", "runc"],
            Contender::Docker => &["docker", "dockerd", "containerd", "runc"],
        }
    }
}

/// Where everything of a comparison lies, in the guard.
#[derive(Debug)]
pub(super) struct Places {
    /// Of everything.
    pub(super) home: PathBuf,
    /// Control groups are below it.
    pub(super) group: String,
}

/// The limits that each container has; those of the bundles of runtimes, in the words of engines.
const LIMITS: &[&str] = &[
    "--memory=64m",
    "--cpus=0.5",
    "--pids-limit=64",
    "--cgroupns=private",
    "--ipc=private",
];

/// The network of a container.
#[derive(Clone, Copy, Debug)]
pub(super) enum Network {
    /// A namespace with nothing in it, as containers of runtimes have.
    None,
    /// A bridge of the engine.
    Bridge,
}

/// The name of the probe's image among those of an engine.
pub(super) const IMAGE: &str = "localhost/plimsoll/probe";

impl Places {
    /// Where the daemon of docker is asked.
    pub(super) fn docker_socket(&self) -> PathBuf {
        self.home.join("docker.sock")
    }

    /// The bundle of a runtime's container.
    pub(super) fn bundle(&self, id: &str) -> PathBuf {
        self.home.join("bundles").join(id)
    }

    /// The control group of a contender, as paths of the runtime specification and engines have it.
    pub(super) fn cgroup(&self, who: Contender) -> String {
        format!("/{}/{}", self.group, who.name())
    }

    /// The words that begin each call.
    pub(super) fn call(&self, who: Contender) -> Vec<String> {
        let text = |path: &Path| path.display().to_string();
        let home = |name: &str| text(&self.home.join(name));
        match who {
            Contender::Bundled => vec![home("bundled"), "oci".into(), "--root".into(), home("state-bundled")],
            Contender::Crun | Contender::Runc => {
                let state = home(&format!("state-{}", who.name()));
                vec![home(who.name()), "--root".into(), state]
            }
            Contender::Podman => vec![
                "podman".into(),
                format!("--root={}", home("podman")),
                format!("--runroot={}", home("podman-run")),
                "--cgroup-manager=cgroupfs".into(),
                "--events-backend=none".into(),
                "--runtime=runc".into(),
            ],
            Contender::Docker => vec![
                "docker".into(),
                format!("--config={}", home("docker-config")),
                format!("--host=unix://{}", text(&self.docker_socket())),
            ],
        }
    }

    /// Runs the probe's `verb` in a container until it ends.
    pub(super) fn run(&self, who: Contender, id: &str, verb: &str) -> Vec<String> {
        let mut words = self.call(who);
        words.push("run".into());
        if who.is_engine() {
            words.push("--rm".into());
            self.create(&mut words, who, id, Network::None);
            words.push(format!("/bin/{verb}"));
        } else {
            words.extend(["--bundle".into(), self.bundle(id).display().to_string(), id.into()]);
        }
        words
    }

    /// Starts a container that stays, and comes back.
    pub(super) fn start(&self, who: Contender, id: &str, network: Network) -> Vec<String> {
        let mut words = self.call(who);
        words.extend(["run".into(), "--detach".into()]);
        if who.is_engine() {
            self.create(&mut words, who, id, network);
            words.extend(["/bin/sleep".into(), "forever".into()]);
        } else {
            words.extend(["--bundle".into(), self.bundle(id).display().to_string(), id.into()]);
        }
        words
    }

    fn create(&self, words: &mut Vec<String>, who: Contender, id: &str, network: Network) {
        words.extend([format!("--name={id}"), format!("--cgroup-parent={}", self.cgroup(who))]);
        words.extend(LIMITS.iter().map(|word| String::from(*word)));
        words.push(match network {
            Network::None => "--network=none".into(),
            Network::Bridge => "--network=bridge".into(),
        });
        words.push(IMAGE.into());
    }

    /// A process that ends at once in a container that runs.
    pub(super) fn exec(&self, who: Contender, id: &str) -> Vec<String> {
        let mut words = self.call(who);
        words.extend(["exec".into(), id.into(), "/bin/true".into()]);
        words
    }

    /// What ends a container that runs and removes it; between two commands it is waited for its end.
    pub(super) fn end(&self, who: Contender, id: &str) -> Vec<Vec<String>> {
        let of = |rest: &[&str]| {
            let mut words = self.call(who);
            words.extend(rest.iter().map(|word| String::from(*word)));
            words
        };
        match who {
            Contender::Docker => vec![of(&["rm", "--force", id])],
            Contender::Podman => vec![of(&["rm", "--force", "--time=0", id])],
            _ => vec![of(&["kill", id, "KILL"]), of(&["delete", id])],
        }
    }

    /// Tells the process of a container that runs: a number, or JSON with `pid`.
    pub(super) fn pid(&self, who: Contender, id: &str) -> Vec<String> {
        let mut words = self.call(who);
        if who.is_engine() {
            words.extend(["inspect".into(), "--format={{.State.Pid}}".into(), id.into()]);
        } else {
            words.extend(["state".into(), id.into()]);
        }
        words
    }

    /// Tells the address of an engine's container in its bridge.
    pub(super) fn address(&self, who: Contender, id: &str) -> Vec<String> {
        let mut words = self.call(who);
        words.extend([
            "inspect".into(),
            "--format={{.NetworkSettings.IPAddress}}".into(),
            id.into(),
        ]);
        words
    }

    /// The daemon of docker. Its filter rules and masquerade are left out: not every kernel has what they need, and nothing is
    /// to come out of the guard.
    pub(super) fn daemon(&self) -> Vec<String> {
        let home = |name: &str| self.home.join(name).display().to_string();
        vec![
            "dockerd".into(),
            format!("--host=unix://{}", self.docker_socket().display()),
            format!("--data-root={}", home("docker")),
            format!("--exec-root={}", home("docker-exec")),
            format!("--pidfile={}", home("docker.pid")),
            "--exec-opt=native.cgroupdriver=cgroupfs".into(),
            "--storage-driver=overlay2".into(),
            "--bip=172.31.255.1/24".into(),
            "--iptables=false".into(),
            "--ip-masq=false".into(),
        ]
    }
}
