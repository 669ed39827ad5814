//! The mini-cluster from the outside: its life, and the clients that must work with it.
//!
//! Every cluster lives in a directory of its own; a test that needs root or a client that is not there says so and is
//! skipped.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests: what goes wrong here fails the test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use harness::wait::{self, Waited};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A cluster that is up, and ended with this.
struct Cluster {
    dir: tempfile::TempDir,
    name: &'static str,
}

impl Cluster {
    /// `None` where there can be none.
    fn up(more: &[&str]) -> Option<Self> {
        Self::named("default", more)
    }

    fn named(name: &'static str, more: &[&str]) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: a cluster with nodes that run pods needs root");
            return None;
        }
        let cluster = Self {
            dir: tempfile::tempdir().unwrap(),
            name,
        };
        let up = cluster.plimsoll(&[&["up"], more].concat());
        assert!(up.status.success(), "{}", told(&up));
        Some(cluster)
    }

    fn plimsoll(&self, arguments: &[&str]) -> Output {
        plimsoll(self.dir.path(), self.name, arguments)
    }

    fn directory(&self) -> PathBuf {
        self.dir.path().join(".plimsoll/clusters").join(self.name)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.directory().join("kubeconfig")
    }

    /// The process outside of the guard.
    fn holder(&self) -> (Pid, String) {
        let lock: Value = serde_json::from_slice(&fs::read(self.directory().join("lock")).unwrap()).unwrap();
        let pid = i32::try_from(lock["pid"].as_i64().unwrap()).unwrap();
        (Pid::from_raw(pid).unwrap(), lock["token"].as_str().unwrap().to_owned())
    }

    fn kubectl(&self, program: &str, arguments: &[&str]) -> Output {
        Command::new(program)
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Standard output of kubectl, which must succeed.
    #[track_caller]
    fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.kubectl(program, arguments);
        assert!(output.status.success(), "{program} {arguments:?}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn apply(&self, program: &str, manifest: &str) {
        let path = self.dir.path().join("manifest.yaml");
        fs::write(&path, manifest).unwrap();
        self.ask(program, &["apply", "-f", path.to_str().unwrap()]);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.directory().join("lock").exists() {
            let down = self.plimsoll(&["down"]);
            if !std::thread::panicking() {
                assert!(down.status.success(), "{}", told(&down));
            } else {
                eprintln!(
                    "log: {}",
                    fs::read_to_string(self.directory().join("log")).unwrap_or_default()
                );
            }
        }
    }
}

fn plimsoll(dir: &Path, name: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .current_dir(dir)
        .args(["cluster", "--name", name])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// kubectl of these versions that is installed, oldest and newest.
fn kubectls() -> Vec<String> {
    let there = |program: &String| {
        Command::new(program)
            .args(["version", "--client"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    let folders = ["", "/usr/lib/google-cloud-sdk/bin/"];
    let versions = [
        "kubectl.1.27",
        "kubectl.1.28",
        "kubectl.1.29",
        "kubectl.1.30",
        "kubectl.1.31",
        "kubectl.1.32",
        "kubectl.1.33",
        "kubectl",
    ];
    let all = versions
        .iter()
        .flat_map(|version| folders.map(|folder| format!("{folder}{version}")));
    let mut found: Vec<String> = all.filter(there).collect();
    if found.is_empty() {
        eprintln!("skipped: no kubectl is installed");
    }
    if found.len() > 2 {
        // The plain one comes last, and is one of the others.
        found.pop();
        found = vec![found.remove(0), found.pop().unwrap()];
    }
    found
}

/// Control groups of this token.
fn groups(token: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for hierarchy in harness::guard::cgroup::host().unwrap() {
        let entries = fs::read_dir(hierarchy.mount).unwrap().flatten();
        let of_it = entries.filter(|entry| entry.file_name().to_string_lossy().contains(token));
        found.extend(of_it.map(|entry| entry.path()));
    }
    found
}

#[track_caller]
fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    match wait::until(Duration::from_secs(20), Duration::from_millis(50), &mut look) {
        Waited::Done(seen) => seen,
        Waited::TimedOut { last, .. } => panic!("{what}: {last}"),
    }
}

const POD: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: plimsoll/probe
    args: [sleep, \"300\"]
";

const GREETER: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: greeter}
spec:
  restartPolicy: Never
  containers:
  - {name: greeter, image: plimsoll/probe, args: [hello]}
";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: site}
spec:
  replicas: 2
  selector: {matchLabels: {app: site}}
  template:
    metadata: {labels: {app: site}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: site, image: plimsoll/probe, args: [sleep, \"300\"]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: site}
spec:
  minAvailable: 2
  selector: {matchLabels: {app: site}}
";

#[test]
fn a_cluster_comes_up_is_asked_and_leaves_nothing() {
    let Some(cluster) = Cluster::up(&[]) else { return };
    let (pid, token) = cluster.holder();
    let status = cluster.plimsoll(&["status", "--format", "json"]);
    assert!(status.status.success(), "{}", told(&status));
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let nodes: Vec<&str> = status["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["ready"].as_str().unwrap())
        .collect();
    assert_eq!(nodes, ["ready"; 3]);
    assert!(status["memory"].as_u64().unwrap() < 200 << 20, "{status}");
    assert!(!groups(&token).is_empty());
    let again = cluster.plimsoll(&["up"]);
    assert_eq!(again.status.code(), Some(2), "{}", told(&again));
    let down = cluster.plimsoll(&["down"]);
    assert!(down.status.success(), "{}", told(&down));
    assert_eq!(groups(&token), Vec::<PathBuf>::new());
    // Whoever is PID 1 of the machine may take its time to wait for it.
    let state = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
    assert!(!cluster.directory().exists());
    let again = cluster.plimsoll(&["down"]);
    assert_eq!(again.status.code(), Some(2), "{}", told(&again));
}

#[test]
fn two_clusters_live_side_by_side() {
    let Some(one) = Cluster::named("one", &["--nodes", "1"]) else {
        return;
    };
    let Some(two) = Cluster::named("two", &["--nodes", "2"]) else {
        return;
    };
    let nodes = |cluster: &Cluster| {
        let status: Value = serde_json::from_slice(&cluster.plimsoll(&["status", "--format", "json"]).stdout).unwrap();
        status["nodes"].as_array().unwrap().len()
    };
    assert_eq!((nodes(&one), nodes(&two)), (1, 2));
    assert!(one.plimsoll(&["down"]).status.success());
    assert_eq!(nodes(&two), 2);
}

#[test]
fn a_cluster_that_was_killed_leaves_what_gc_removes() {
    let Some(cluster) = Cluster::up(&["--nodes", "1"]) else {
        return;
    };
    let (pid, token) = cluster.holder();
    kill_process(pid, Signal::KILL).unwrap();
    eventually("its processes end", || {
        let procs = groups(&token)
            .into_iter()
            .map(|group| fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default());
        let left: String = procs.collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    let gc = gc(&cluster);
    assert_eq!(groups(&token), Vec::<PathBuf>::new(), "{}", told(&gc));
    assert!(!cluster.directory().exists());
}

/// `plimsoll gc` where the cluster was.
fn gc(cluster: &Cluster) -> Output {
    let gc = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .current_dir(cluster.dir.path())
        .arg("gc")
        .output()
        .unwrap();
    assert!(gc.status.success(), "{}", told(&gc));
    gc
}

#[test]
fn what_was_acknowledged_survives_a_kill_if_it_is_kept() {
    let keep = tempfile::tempdir().unwrap();
    let kept = keep.path().to_str().unwrap();
    let Some(kubectl) = kubectls().pop() else { return };
    let Some(cluster) = Cluster::up(&["--nodes", "1", "--keep", kept]) else {
        return;
    };
    for number in 0..5 {
        cluster.ask(
            &kubectl,
            &["create", "configmap", &format!("kept-{number}"), "--from-literal=a=b"],
        );
    }
    let before = fs::read_to_string(cluster.kubeconfig()).unwrap();
    let (pid, token) = cluster.holder();
    kill_process(pid, Signal::KILL).unwrap();
    eventually("it ends", || {
        rustix::process::test_kill_process(pid).map_or(Ok(()), |()| Err("it lives".to_owned()))
    });
    let up = cluster.plimsoll(&["up", "--nodes", "1", "--keep", kept]);
    assert!(up.status.success(), "{}", told(&up));
    assert_eq!(fs::read_to_string(cluster.kubeconfig()).unwrap(), before);
    assert_eq!(groups(&token), Vec::<PathBuf>::new());
    let names = cluster.ask(&kubectl, &["get", "configmaps", "-o", "name"]);
    let kept = names.lines().filter(|name| name.contains("kept-")).count();
    assert_eq!(kept, 5, "{names}");
}

#[test]
fn every_object_is_as_it_was_after_reset_and_restore() {
    let Some(kubectl) = kubectls().pop() else { return };
    let Some(cluster) = Cluster::up(&["--nodes", "1"]) else {
        return;
    };
    let verb = |arguments: &[&str]| {
        let output = cluster.plimsoll(arguments);
        assert!(output.status.success(), "{}", told(&output));
    };
    let maps = || cluster.ask(&kubectl, &["get", "configmaps", "-o", "name"]);
    let clean = maps();
    cluster.ask(&kubectl, &["create", "configmap", "first"]);
    verb(&["snapshot", "one"]);
    let one = maps();
    cluster.ask(&kubectl, &["delete", "configmap", "first"]);
    cluster.ask(&kubectl, &["create", "namespace", "later"]);
    cluster.ask(&kubectl, &["cordon", "node-0"]);
    verb(&["restore", "one"]);
    assert_eq!(maps(), one);
    assert!(!cluster.ask(&kubectl, &["get", "nodes"]).contains("SchedulingDisabled"));
    verb(&["reset"]);
    assert_eq!(maps(), clean);
    assert!(!cluster.ask(&kubectl, &["get", "namespaces"]).contains("later"));
    let unknown = cluster.plimsoll(&["restore", "two"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", told(&unknown));
}

#[test]
fn kubectl_runs_pods_reads_them_scales_and_drains() {
    for kubectl in kubectls() {
        let Some(cluster) = Cluster::up(&["--nodes", "2"]) else {
            return;
        };
        let nodes = cluster.ask(&kubectl, &["get", "nodes", "--no-headers"]);
        assert_eq!(
            nodes.lines().filter(|line| line.contains(" Ready ")).count(),
            2,
            "{nodes}"
        );

        cluster.apply(&kubectl, POD);
        cluster.ask(&kubectl, &["wait", "--for=condition=Ready", "pod/web", "--timeout=20s"]);
        cluster.apply(&kubectl, GREETER);
        let ended = "--for=jsonpath={.status.phase}=Succeeded";
        cluster.ask(&kubectl, &["wait", ended, "pod/greeter", "--timeout=20s"]);
        assert_eq!(cluster.ask(&kubectl, &["logs", "greeter"]), "hello\n");
        cluster.ask(&kubectl, &["describe", "pod", "web"]);
        let minor: u32 = kubectl
            .rsplit('.')
            .next()
            .and_then(|minor| minor.parse().ok())
            .unwrap_or(0);
        if minor >= 31 {
            cluster.ask(&kubectl, &["exec", "web", "--", "/bin/probe", "true"]);
            let refused = cluster.kubectl(&kubectl, &["exec", "web", "--", "/bin/probe", "exit", "7"]);
            assert_eq!(refused.status.code(), Some(7), "{}", told(&refused));
        } else {
            eprintln!("{kubectl}: exec skipped: it speaks SPDY");
        }

        cluster.apply(&kubectl, DEPLOYMENT);
        cluster.ask(&kubectl, &["rollout", "status", "deployment/site", "--timeout=20s"]);
        cluster.ask(&kubectl, &["scale", "deployment/site", "--replicas=3"]);
        cluster.ask(&kubectl, &["rollout", "status", "deployment/site", "--timeout=20s"]);
        let pods = cluster.ask(&kubectl, &["get", "pods", "-l", "app=site", "--no-headers"]);
        assert_eq!(pods.lines().count(), 3, "{pods}");

        cluster.ask(
            &kubectl,
            &["drain", "node-0", "--force", "--ignore-daemonsets", "--timeout=30s"],
        );
        let pods = cluster.ask(
            &kubectl,
            &["get", "pods", "-o", "wide", "--no-headers", "-l", "app=site"],
        );
        assert!(
            !pods
                .lines()
                .any(|line| line.contains("node-0") && !line.contains("Terminating")),
            "{pods}"
        );
        cluster.ask(&kubectl, &["uncordon", "node-0"]);

        cluster.ask(&kubectl, &["delete", "deployment/site", "pdb/site", "--timeout=20s"]);
        eventually("its pods go", || {
            let pods = cluster.ask(&kubectl, &["get", "pods", "--no-headers"]);
            if pods.contains("site") { Err(pods) } else { Ok(()) }
        });
    }
}

/// kubectl of Debian, if it is the one that is installed, or is installed beside another as `kubectl.1.20`.
fn kubectl_of_debian() -> Option<String> {
    let is_it = |program: &str| {
        Command::new(program)
            .args(["version", "--client"])
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("GitVersion:\"v1.20."))
    };
    ["kubectl.1.20", "kubectl"]
        .iter()
        .find(|program| is_it(program))
        .map(|program| (*program).to_owned())
}

#[test]
fn kubectl_of_any_age_creates_changes_tries_and_follows() {
    let old = kubectl_of_debian();
    if old.is_none() {
        eprintln!("skipped: no kubectl 1.20 is installed");
    }
    for kubectl in old.into_iter().chain(kubectls()) {
        let Some(cluster) = Cluster::up(&["--nodes", "2"]) else {
            return;
        };
        let ask = |arguments: &[&str]| cluster.ask(&kubectl, arguments);
        let said = |arguments: &[&str], words: &str| {
            let text = ask(arguments);
            assert!(text.contains(words), "{kubectl} {arguments:?}: {text}");
        };
        said(&["get", "nodes", "-o", "wide"], "plimsoll-oci://");
        said(&["create", "namespace", "a"], "created");
        said(&["create", "configmap", "map", "--from-literal=a=b"], "created");
        said(
            &["create", "secret", "generic", "secret", "--from-literal=a=b"],
            "created",
        );
        said(&["create", "serviceaccount", "account"], "created");
        said(&["create", "quota", "quota", "--hard=pods=50"], "created");

        cluster.apply(&kubectl, DEPLOYMENT);
        ask(&["rollout", "status", "deployment/site", "--timeout=20s"]);
        said(&["describe", "pod", "-l", "app=site"], "Created container");
        let second = r#"{"spec": {"template": {"metadata": {"labels": {"round": "2"}}}}}"#;
        said(&["patch", "deployment/site", "-p", second], "patched");
        ask(&["rollout", "status", "deployment/site", "--timeout=20s"]);
        said(&["rollout", "history", "deployment/site"], "2 ");
        said(&["rollout", "undo", "deployment/site"], "rolled back");
        ask(&["rollout", "status", "deployment/site", "--timeout=20s"]);

        cluster.apply(&kubectl, POD);
        ask(&["wait", "--for=condition=Ready", "pod/web", "--timeout=20s"]);
        let manifest = cluster.dir.path().join("manifest.yaml");
        let manifest = manifest.to_str().unwrap();
        fs::write(manifest, POD.replace("app: web", "app: shop")).unwrap();
        let different = cluster.kubectl(&kubectl, &["diff", "-f", manifest]);
        assert_eq!(different.status.code(), Some(1), "{}", told(&different));
        assert!(told(&different).contains("+    app: shop"), "{}", told(&different));
        said(&["apply", "--dry-run=server", "-f", manifest], "(server dry run)");
        said(&["get", "pods", "-l", "app=web", "-o", "name"], "pod/web");
        said(&["apply", "-f", manifest], "configured");
        said(&["get", "pods", "-l", "app=shop", "-o", "name"], "pod/web");
        let edited = Command::new(&kubectl)
            .args(["edit", "pod/web"])
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("HOME", cluster.dir.path())
            .env("EDITOR", "sed -i 's/app: shop/app: stall/'")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(edited.status.success(), "{}", told(&edited));
        said(&["get", "pods", "-l", "app=stall", "-o", "name"], "pod/web");
        said(&["label", "pod/web", "more=yes"], "labeled");
        said(&["annotate", "pod/web", "more=yes"], "annotate");
        said(&["taint", "node", "node-1", "a=b:NoSchedule"], "tainted");
        said(&["taint", "node", "node-1", "a-"], "untainted");
        said(&["cordon", "node-1"], "cordoned");
        said(&["uncordon", "node-1"], "uncordoned");

        let mut watch = Command::new(&kubectl)
            .args(["get", "pods", "-w", "--output-watch-events", "--no-headers"])
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("HOME", cluster.dir.path())
            .stdin(Stdio::null())
            .stdout(fs::File::create(cluster.dir.path().join("watched")).unwrap())
            .spawn()
            .unwrap();
        let watched = || fs::read_to_string(cluster.dir.path().join("watched")).unwrap();
        eventually("the watch tells what is there", || {
            if watched().contains("web") {
                Ok(())
            } else {
                Err(watched())
            }
        });
        ask(&["delete", "pod", "web", "--timeout=20s"]);
        eventually("the watch tells that it went", || {
            let gone = |line: &str| line.contains("DELETED") && line.contains("web");
            if watched().lines().any(gone) {
                Ok(())
            } else {
                Err(watched())
            }
        });
        watch.kill().unwrap();
        watch.wait().unwrap();

        let slow = GREETER.replace("args: [hello]", "args: [sleep, \"1\"]");
        cluster.apply(&kubectl, &slow);
        ask(&["wait", "--for=condition=Ready", "pod/greeter", "--timeout=20s"]);
        ask(&["logs", "-f", "greeter"]);
        eventually("it has ended well", || {
            let phase = ask(&["get", "pod", "greeter", "-o", "jsonpath={.status.phase}"]);
            if phase == "Succeeded" { Ok(()) } else { Err(phase) }
        });
        // One more than the budget wants, so that one may go.
        said(&["scale", "deployment/site", "--replicas=3"], "scaled");
        ask(&["rollout", "status", "deployment/site", "--timeout=20s"]);
        ask(&["drain", "node-0", "--force", "--ignore-daemonsets", "--timeout=30s"]);
    }
}

const PYTHON: &str = r#"
import sys, time
from kubernetes import client, config, watch
config.load_kube_config(config_file=sys.argv[1], context=sys.argv[2])
core = client.CoreV1Api()
assert len(core.list_node().items) == 1
core.create_namespaced_config_map("default", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="py"), data={"a": "b"}))
seen = [event["object"].metadata.name for event in watch.Watch().stream(core.list_namespaced_config_map, "default", timeout_seconds=1)]
assert "py" in seen, seen
core.patch_namespaced_config_map("py", "default", {"data": {"a": "c"}})
assert core.read_namespaced_config_map("py", "default").data == {"a": "c"}
container = client.V1Container(name="c", image="plimsoll/probe", args=["hello"])
pod = client.V1Pod(metadata=client.V1ObjectMeta(name="py"), spec=client.V1PodSpec(containers=[container], restart_policy="Never"))
core.create_namespaced_pod("default", pod)
for _ in range(200):
    if core.read_namespaced_pod("py", "default").status.phase == "Succeeded":
        break
    time.sleep(0.05)
else:
    raise SystemExit("the pod does not end: %s" % core.read_namespaced_pod("py", "default").status)
assert core.read_namespaced_pod_log("py", "default") == "hello\n"
core.delete_namespaced_pod("py", "default")
try:
    core.read_namespaced_config_map("none", "default")
    raise SystemExit("a map that is not there was read")
except client.exceptions.ApiException as refused:
    assert refused.status == 404, refused
print("well")
"#;

#[test]
fn the_client_of_python_works() {
    let venv = tempfile::tempdir().unwrap();
    let run = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
        output.ok().filter(|output| output.status.success())
    };
    let python = venv.path().join("bin/python");
    let here = venv.path().to_str().unwrap();
    let made = run(Path::new("python3"), &["-m", "venv", here]).and_then(|_| {
        run(
            &python,
            &[
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "kubernetes",
            ],
        )
    });
    if made.is_none() {
        eprintln!("skipped: the Python client cannot be installed here");
        return;
    }
    let Some(cluster) = Cluster::up(&["--nodes", "1"]) else {
        return;
    };
    let script = venv.path().join("client.py");
    fs::write(&script, PYTHON).unwrap();
    let kubeconfig = cluster.kubeconfig();
    for context in ["plimsoll-default", "plimsoll-default-token"] {
        let output = Command::new(&python)
            .args([script.as_os_str(), kubeconfig.as_os_str()])
            .arg(context)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{context}: {}", told(&output));
        let kubectl = kubectls();
        if let Some(kubectl) = kubectl.first() {
            cluster.ask(kubectl, &["delete", "configmap", "py"]);
            cluster.ask(kubectl, &["wait", "--for=delete", "pod/py", "--timeout=20s"]);
        } else {
            break;
        }
    }
}

#[test]
fn a_stranger_is_not_let_in_and_a_reader_changes_nothing() {
    let Some(kubectl) = kubectls().pop() else { return };
    let Some(cluster) = Cluster::up(&["--nodes", "0", "--simulated", "1"]) else {
        return;
    };
    let text = fs::read_to_string(cluster.kubeconfig()).unwrap();
    let stranger = cluster.dir.path().join("stranger");
    let token = text.lines().find(|line| line.trim().starts_with("token:")).unwrap();
    fs::write(&stranger, text.replacen(token, "    token: wrong", 1)).unwrap();
    let path = stranger.to_str().unwrap();
    let refused = cluster.kubectl(
        &kubectl,
        &[
            "--kubeconfig",
            path,
            "--context",
            "plimsoll-default-token",
            "get",
            "pods",
        ],
    );
    assert!(!refused.status.success());
    assert!(told(&refused).contains("must be logged in"), "{}", told(&refused));
    let reader = ["--context", "plimsoll-default-reader"];
    cluster.ask(&kubectl, &[&reader[..], &["get", "nodes"]].concat());
    let refused = cluster.kubectl(&kubectl, &[&reader[..], &["create", "configmap", "c"]].concat());
    assert!(!refused.status.success());
    assert!(told(&refused).contains("forbidden"), "{}", told(&refused));
}

#[test]
fn a_file_that_is_no_configuration_is_refused_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("c.yaml"), "nodes:\n- {name: a, capcity: {cpu: 1}}\n").unwrap();
    let up = plimsoll(dir.path(), "default", &["up", "--config", "c.yaml"]);
    assert_eq!(up.status.code(), Some(2), "{}", told(&up));
    assert!(told(&up).contains("capcity"), "{}", told(&up));
    let up = plimsoll(dir.path(), "default", &["up", "--fault", "no-such-fault"]);
    assert_eq!(up.status.code(), Some(2), "{}", told(&up));
    assert!(!dir.path().join(".plimsoll/clusters/default").exists());
}

/// `plimsoll run … --subject kube` on this cluster, as on anybody's.
fn run_on(cluster: &Cluster, spec: &str) -> Command {
    let mut run = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    run.current_dir(cluster.dir.path())
        .args(["run", spec, "--subject", "kube"]);
    run.arg("--kubeconfig").arg(cluster.kubeconfig()).stdin(Stdio::null());
    run
}

fn catalogue(spec: &str) -> String {
    format!("{}/../specs/{spec}.yaml", env!("CARGO_MANIFEST_DIR"))
}

/// Namespaces of runs that are in the cluster.
fn namespaces(cluster: &Cluster) -> Vec<String> {
    let client = kubernetes::Client::open(&cluster.kubeconfig(), None, Duration::from_secs(10)).unwrap();
    let all = client
        .list("/api/v1/namespaces?labelSelector=plimsoll.dev/run")
        .unwrap();
    all.iter()
        .map(|one| one["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_same_specs_judge_a_cluster_behind_a_kubeconfig() {
    let config = tempfile::tempdir().unwrap();
    let file = config.path().join("nodes.json");
    let nodes = r#"{"nodes": [{"name": "x-1", "labels": {"zone": "east", "disk": "fast"}},
        {"name": "x-2", "labels": {"zone": "west", "generation": "7"}}]}"#;
    fs::write(&file, nodes).unwrap();
    let Some(cluster) = Cluster::up(&["--config", file.to_str().unwrap()]) else {
        return;
    };
    for (spec, code, words) in [
        ("scheduling/required-node-affinity", 0, "3 passed"),
        ("pod/names-of-a-pod", 0, "8 passed"),
        // Its nodes are others.
        ("scheduling/pod-overhead-counts", 4, "no node of the cluster is as"),
    ] {
        let ran = run_on(&cluster, &catalogue(spec)).output().unwrap();
        assert_eq!(ran.status.code(), Some(code), "{}", told(&ran));
        assert!(told(&ran).contains(words), "{}", told(&ran));
    }
    assert_eq!(namespaces(&cluster), Vec::<String>::new());
    // Broken, it is found out.
    let mut sabotaged = run_on(&cluster, &catalogue("scheduling/required-node-affinity"));
    let ran = sabotaged.args(["--sabotage", "another-name"]).output().unwrap();
    assert_eq!(ran.status.code(), Some(1), "{}", told(&ran));
    assert!(told(&ran).contains("by-name: node on b, held in 0"), "{}", told(&ran));
}

#[test]
fn what_cannot_be_removed_from_a_cluster_fails_the_run() {
    let Some(cluster) = Cluster::up(&["--nodes", "0", "--simulated", "1"]) else {
        return;
    };
    let spec = r#"
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {name: held}
spec:
  description: Something that nobody takes the finalizer from.
  targets: [cluster]
  timeouts: {teardown: 1s}
  workloads:
    held: {object: {apiVersion: v1, kind: ConfigMap, metadata: {name: held, finalizers: [example.com/held]}, data: {a: b}}}
  steps:
  - start: [held]
    expect:
    - {id: is-there, on: held, object: {data.a: b}}
"#;
    fs::write(cluster.dir.path().join("held.yaml"), spec).unwrap();
    let ran = run_on(&cluster, "held.yaml").output().unwrap();
    assert!(told(&ran).contains("1 passed"), "{}", told(&ran));
    assert!(
        told(&ran).contains("left behind by held@kube: namespace"),
        "{}",
        told(&ran)
    );
    assert_eq!(ran.status.code(), Some(3), "{}", told(&ran));
    let left = namespaces(&cluster);
    let client = kubernetes::Client::open(&cluster.kubeconfig(), None, Duration::from_secs(10)).unwrap();
    let object = format!("/api/v1/namespaces/{}/configmaps/held", left[0]);
    let free = serde_json::json!({"metadata": {"finalizers": null}});
    client.patch(&object, &kubernetes::Patch::Merge(&free)).unwrap();
    gc(&cluster);
    assert_eq!(namespaces(&cluster), Vec::<String>::new());
}

#[test]
fn what_a_killed_run_left_in_a_cluster_is_collected() {
    let Some(cluster) = Cluster::up(&["--nodes", "1"]) else {
        return;
    };
    let mut run = run_on(&cluster, &catalogue("pod/startup-holds-liveness-back"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the run has a namespace", || match namespaces(&cluster).as_slice() {
        [_] => Ok(()),
        other => Err(format!("{other:?}")),
    });
    run.kill().unwrap();
    run.wait().unwrap();
    let gc = gc(&cluster);
    assert_eq!(namespaces(&cluster), Vec::<String>::new(), "{}", told(&gc));
}
