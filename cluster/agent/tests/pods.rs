//! Real nodes, real pods. Each test is a process of its own below `unshare`, so that nothing is left of it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what fails here fails the test, and the test is a process of its own that tells what it saw"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::{Images, NetworkMode, Node, NodeConfig, Surroundings, Underlay};
use apiserver::{Api, ContainerRef, DeleteOptions, Exit, Io, LogOptions, Object, Part, Settings};
use objects::{Kind, kind, meta};
use serde_json::{Value, json};

fn served(plural: &str) -> &'static Kind {
    kind::KINDS.iter().find(|one| one.plural == plural).unwrap()
}

/// The runtime that is driven: the first that is there.
fn runtime() -> Option<Vec<String>> {
    let given = std::env::var("PLIMSOLL_TEST_RUNTIME").ok();
    let given = given.map(|line| line.split(' ').map(String::from).collect());
    let installed = ["/usr/sbin/runc", "/usr/bin/runc", "/usr/bin/crun"];
    let found = || installed.iter().find(|path| std::path::Path::new(path).exists());
    given.or_else(|| found().map(|path| vec![(*path).to_owned()]))
}

/// Runs the test again in namespaces of its own. True in there; false outside, when it is done or skipped.
fn inside(test: &str) -> bool {
    if std::env::var_os("PLIMSOLL_TEST_INSIDE").is_some() {
        return true;
    }
    if !rustix::process::geteuid().is_root() || runtime().is_none() {
        eprintln!("skipped: real nodes need root and an OCI runtime");
        return false;
    }
    let own = std::env::current_exe().unwrap();
    let cgroup = format!("plimsoll-agent-{}-{test}", std::process::id());
    let done = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--ipc",
            "--uts",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .arg(own)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("PLIMSOLL_TEST_INSIDE", &cgroup)
        .output()
        .unwrap();
    // With its PID namespace every process is gone; what is left is a failed test's.
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        remove_groups(&hierarchy.path().join(&cgroup));
    }
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    println!("{out}\n{err}");
    assert!(done.status.success(), "{out}\n{err}");
    false
}

fn remove_groups(directory: &std::path::Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    let _not_there = std::fs::remove_dir(directory);
}

struct Cluster {
    around: Surroundings,
    api: Api,
    nodes: Vec<Arc<Node>>,
    _directory: tempfile::TempDir,
}

impl Cluster {
    async fn new(count: usize, faults: &[&str]) -> Self {
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", directory.path(), "tmpfs", flags, Some(c"mode=755")).unwrap();
        let cgroup = PathBuf::from(std::env::var("PLIMSOLL_TEST_INSIDE").unwrap());
        let around = Surroundings {
            directory: directory.path().into(),
            cgroup,
            runtime: runtime().unwrap(),
            underlay: Arc::new(Underlay::create(NetworkMode::default()).await.unwrap()),
            images: Arc::new(Images::new(directory.path().join("images"))),
            faults: faults.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(),
        };
        let api = Api::new(Settings::default()).unwrap();
        let mut nodes = Vec::new();
        for number in 0..count {
            let config = NodeConfig {
                name: format!("n{number}"),
                ..NodeConfig::default()
            };
            nodes.push(Node::start(config, api.clone(), &around).await.unwrap());
        }
        Self {
            around,
            api,
            nodes,
            _directory: directory,
        }
    }

    fn pod(&self, name: &str, node: &str, mut spec: Value) -> Object {
        spec["nodeName"] = json!(node);
        if spec.get("terminationGracePeriodSeconds").is_none() {
            spec["terminationGracePeriodSeconds"] = json!(2);
        }
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec});
        self.api.create(served("pods"), "default", pod).unwrap()
    }

    fn get(&self, name: &str) -> Option<Object> {
        self.api.get(served("pods"), "default", name).ok()
    }

    /// Waits until the pod is as wanted; fails with what was seen last.
    async fn until(&self, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Object {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = self.get(name);
            if let Some(pod) = seen.as_ref().filter(|pod| wanted(pod)) {
                return pod.clone();
            }
            if Instant::now() > end {
                let events = self.api.list(served("events"), None, &Default::default()).unwrap();
                let events: Vec<&str> = events
                    .items
                    .iter()
                    .map(|event| meta::text(event, &["message"]))
                    .collect();
                panic!(
                    "{name} never was {what}: {:#}\n{events:#?}",
                    json!(seen.map(|pod| pod["status"].clone()))
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn ready(&self, name: &str) -> Object {
        self.until(name, "ready", |pod| meta::is_true(pod, "Ready")).await
    }

    async fn gone(&self, name: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while let Some(pod) = self.get(name) {
            assert!(Instant::now() < end, "{name} is still there: {:#}", pod["status"]);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn delete(&self, name: &str) {
        self.api
            .delete(served("pods"), "default", name, &DeleteOptions::default())
            .unwrap();
    }

    fn container(&self, name: &str, container: &str) -> ContainerRef {
        let pod = self.get(name).unwrap();
        ContainerRef {
            namespace: "default".into(),
            pod: name.into(),
            uid: meta::uid(&pod).into(),
            container: container.into(),
        }
    }

    async fn log(&self, name: &str, container: &str, options: &LogOptions) -> String {
        let node = meta::text(&self.get(name).unwrap(), &["spec", "nodeName"]).to_owned();
        let streams = self.api.streams().of(&node).unwrap();
        let mut pieces = streams.logs(&self.container(name, container), options).unwrap();
        let mut text = Vec::new();
        while let Some(piece) = pieces.recv().await {
            text.extend_from_slice(&piece);
        }
        String::from_utf8(text).unwrap()
    }

    async fn exec(&self, name: &str, container: &str, command: &[&str]) -> (Exit, String) {
        let node = meta::text(&self.get(name).unwrap(), &["spec", "nodeName"]).to_owned();
        let streams = self.api.streams().of(&node).unwrap();
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let io = Io {
            stdout: true,
            stderr: true,
            ..Io::default()
        };
        let mut session = streams.exec(&self.container(name, container), &command, io).unwrap();
        let mut text = Vec::new();
        while let Some(piece) = session.stdout.recv().await {
            text.extend_from_slice(&piece);
        }
        (session.exit.await.unwrap(), String::from_utf8(text).unwrap())
    }

    /// Takes everything away, and looks whether that was all.
    async fn end(self) {
        for node in &self.nodes {
            node.remove().await;
        }
        rustix::mount::unmount(self._directory.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
        for entry in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let left = entry.path().join(&self.around.cgroup);
            if left.exists() {
                std::fs::remove_dir(&left).unwrap();
            }
        }
    }
}

fn probe(name: &str, args: &[&str]) -> Value {
    json!({"name": name, "image": "plimsoll/probe", "args": args})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_runs_is_ready_and_goes_without_a_trace() {
    if !inside("a_pod_runs_is_ready_and_goes_without_a_trace") {
        return;
    }
    let cluster = Cluster::new(1, &[]).await;
    let node = cluster.api.get(served("nodes"), "", "n0").unwrap();
    assert!(meta::is_true(&node, "Ready"), "{node:#}");
    assert!(cluster.api.get(served("leases"), "kube-node-lease", "n0").is_ok());

    let mut times = Vec::new();
    for round in 0..5 {
        let name = format!("web{round}");
        let begun = Instant::now();
        cluster.pod(
            &name,
            "n0",
            json!({"containers": [probe("app", &["serve", "--port=80"])]}),
        );
        let pod = cluster.ready(&name).await;
        times.push(begun.elapsed().as_millis());
        assert_eq!(pod["status"]["phase"], "Running");
        assert_eq!(pod["status"]["podIP"], format!("10.244.1.{}", round + 2));
        assert_eq!(pod["status"]["hostIP"], "172.30.0.1");
        assert_eq!(pod["status"]["qosClass"], "BestEffort");
        assert_eq!(pod["status"]["containerStatuses"][0]["started"], true);
    }
    eprintln!("created to Ready: {times:?} ms");
    let (exit, out) = cluster.exec("web0", "app", &["cat", "/etc/hostname"]).await;
    assert_eq!((exit, out.as_str()), (Exit::Code(0), "web0\n"));
    let (exit, _) = cluster.exec("web0", "app", &["exit", "7"]).await;
    assert_eq!(exit, Exit::Code(7));
    for round in 0..5 {
        cluster.delete(&format!("web{round}"));
    }
    for round in 0..5 {
        cluster.gone(&format!("web{round}")).await;
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("/pods/"), "{mounts}");
    cluster.end().await;
}

fn terminated(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["state"]["terminated"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_containers_sidecars_volumes_and_environment() {
    if !inside("init_containers_sidecars_volumes_and_environment") {
        return;
    }
    let cluster = Cluster::new(1, &[]).await;
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"color": "red"}});
    let maps = served("configmaps");
    cluster.api.create(maps, "default", map).unwrap();
    let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path});
    let spec = json!({
        "hostname": "one", "subdomain": "set", "shareProcessNamespace": true,
        "securityContext": {"runAsUser": 1000, "fsGroup": 2000},
        "volumes": [{"name": "data", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "map", "configMap": {"name": "settings"}},
            {"name": "me", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"name": "host", "hostPath": {"path": "/data/../../etc", "type": ""}}],
        "initContainers": [
            {"name": "first", "image": "plimsoll/probe", "args": ["blocks", "/data/first", "4Ki"], "volumeMounts": [mount("data", "/data")]},
            {"name": "beside", "image": "plimsoll/probe", "args": ["sleep"], "restartPolicy": "Always"},
            {"name": "second", "image": "plimsoll/probe", "args": ["cat", "/data/first"], "volumeMounts": [mount("data", "/data")]}],
        "containers": [
            {"name": "app", "image": "plimsoll/probe", "command": ["/bin/sleep"],
                "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                    {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}}],
                "volumeMounts": [mount("data", "/data"), mount("map", "/map"), mount("me", "/me"),
                    {"name": "map", "mountPath": "/fixed", "subPath": "color"}]},
            {"name": "other", "image": "plimsoll/probe", "args": ["sleep"]}],
    });
    let mut refused = spec.clone();
    refused["nodeName"] = json!("n0");
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "climber"}, "spec": refused});
    // What the API refuses by now the agent must not have to; what it does not, must not lead out.
    let _either = cluster.api.create(served("pods"), "default", pod);
    let mut spec = spec;
    spec["volumes"].as_array_mut().unwrap().last_mut().unwrap()["hostPath"] = json!({"path": "/srv/shared"});
    let app = &mut spec["containers"][0]["volumeMounts"];
    app.as_array_mut().unwrap().push(mount("host", "/host"));
    let around = &cluster.around.directory.join("nodes/n0/root/srv/shared");
    std::fs::create_dir_all(around).unwrap();
    std::fs::write(around.join("note"), "of the node").unwrap();
    cluster.pod("all", "n0", spec);
    let pod = cluster.ready("all").await;
    let inits = pod["status"]["initContainerStatuses"].as_array().unwrap();
    let reasons: Vec<&str> = inits
        .iter()
        .map(|one| meta::text(one, &["state", "terminated", "reason"]))
        .collect();
    assert_eq!(reasons, ["Completed", "", "Completed"], "{inits:#?}");
    assert_eq!(inits[1]["started"], true);

    let cat = async |path: &str| cluster.exec("all", "app", &["cat", path]).await;
    assert_eq!(cat("/map/color").await.1, "red");
    assert_eq!(cat("/host/note").await.1, "of the node");
    assert_eq!(cat("/me/labels").await.1, "app=\"all\"");
    assert!(
        cat("/etc/hosts")
            .await
            .1
            .contains("10.244.1.2\tone.set.default.svc.cluster.local\tone")
    );
    let (_, env) = cluster.exec("all", "app", &["env"]).await;
    assert!(env.contains("n0") && env.contains("red"), "{env}");
    let (_, ids) = cluster.exec("all", "app", &["id"]).await;
    assert!(ids.contains("1000") && ids.contains("2000"), "{ids}");
    let (_, processes) = cluster.exec("all", "app", &["processes"]).await;
    assert!(
        processes.matches("sleep").count() >= 4,
        "pause, sidecar and both apps: {processes}"
    );

    cluster
        .api
        .edit(maps, "default", "settings", Part::Main, |map| {
            map["data"]["color"] = json!("blue")
        })
        .unwrap();
    let end = Instant::now() + Duration::from_secs(5);
    while cat("/map/color").await.1 != "blue" {
        assert!(Instant::now() < end, "the volume never changed");
    }
    assert_eq!(cat("/fixed").await.1, "red", "a subPath stays as it was");
    cluster.delete("all");
    cluster.gone("all").await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_have_codes_reasons_and_last_words() {
    if !inside("ends_have_codes_reasons_and_last_words") {
        return;
    }
    let cluster = Cluster::new(1, &[]).await;
    let ends = |args: &[&str]| json!({"restartPolicy": "Never", "containers": [probe("app", args)]});
    cluster.pod("good", "n0", ends(&["true"]));
    cluster.pod("bad", "n0", ends(&["exit", "3"]));
    let mut last = ends(&["cat", "/etc/hostname", "/none"]);
    last["containers"][0]["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
    cluster.pod("talker", "n0", last);
    let mut hungry = ends(&["alloc", "200Mi"]);
    hungry["containers"][0]["resources"] = json!({"limits": {"memory": "32Mi"}});
    cluster.pod("hungry", "n0", hungry);
    cluster.pod("nothing", "n0", ends(&["no-such-program"]));
    let over = |phase: &'static str| move |pod: &Value| pod["status"]["phase"] == phase;

    let good = cluster.until("good", "Succeeded", over("Succeeded")).await;
    assert_eq!(terminated(&good)["reason"], "Completed");
    assert_eq!(meta::condition(&good, "Ready").unwrap()["reason"], "PodCompleted");
    let bad = cluster.until("bad", "Failed", over("Failed")).await;
    assert_eq!(
        (&terminated(&bad)["exitCode"], &terminated(&bad)["reason"]),
        (&json!(3), &json!("Error"))
    );
    let talker = cluster.until("talker", "Failed", over("Failed")).await;
    assert!(
        meta::text(terminated(&talker), &["message"]).contains("talker"),
        "{:#}",
        terminated(&talker)
    );
    let hungry = cluster.until("hungry", "Failed", over("Failed")).await;
    assert_eq!(
        (&terminated(&hungry)["exitCode"], &terminated(&hungry)["reason"]),
        (&json!(137), &json!("OOMKilled"))
    );
    let nothing = cluster.until("nothing", "Failed", over("Failed")).await;
    assert_eq!(
        (&terminated(&nothing)["exitCode"], &terminated(&nothing)["reason"]),
        (&json!(128), &json!("StartError"))
    );
    let talk = cluster.log("talker", "app", &LogOptions::default()).await;
    assert!(talk.lines().any(|line| line == "talker"), "{talk}");

    cluster.pod("looping", "n0", json!({"containers": [probe("app", &["exit", "1"])]}));
    let looping = cluster
        .until("looping", "in CrashLoopBackOff", |pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        })
        .await;
    let status = &looping["status"]["containerStatuses"][0];
    assert_eq!(status["restartCount"], 1, "the first time it is begun again at once");
    assert!(
        meta::text(status, &["state", "waiting", "message"])
            .starts_with("back-off 10s restarting failed container=app")
    );
    assert_eq!(looping["status"]["phase"], "Running");
    cluster.pod(
        "nowhere",
        "n0",
        json!({"containers": [{"name": "app", "image": "nginx"}]}),
    );
    let waits = |pod: &Value| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
            || pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImagePull"
    };
    cluster.until("nowhere", "without image", waits).await;
    for name in ["good", "bad", "talker", "hungry", "nothing", "looping", "nowhere"] {
        cluster.delete(name);
    }
    for name in ["good", "bad", "talker", "hungry", "nothing", "looping", "nowhere"] {
        cluster.gone(name).await;
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_hooks_and_grace() {
    if !inside("probes_hooks_and_grace") {
        return;
    }
    let cluster = Cluster::new(1, &[]).await;
    let every = json!({"periodSeconds": 1, "failureThreshold": 1});
    let with = |handler: Value| {
        let mut probe = every.clone();
        probe
            .as_object_mut()
            .unwrap()
            .extend(handler.as_object().unwrap().clone());
        probe
    };
    let mut web = probe("app", &["serve", "--port=8080"]);
    web["readinessProbe"] = with(json!({"httpGet": {"path": "/", "port": 8080}}));
    web["startupProbe"] = with(json!({"tcpSocket": {"port": 8080}, "failureThreshold": 30}));
    web["lifecycle"] = json!({"postStart": {"exec": {"command": ["true"]}}});
    cluster.pod("web", "n0", json!({"containers": [web]}));
    cluster.ready("web").await;

    let mut never = probe("app", &["sleep"]);
    never["readinessProbe"] = with(json!({"exec": {"command": ["false"]}}));
    cluster.pod("never", "n0", json!({"containers": [never]}));
    let mut ill = probe("app", &["trap", "TERM=0"]);
    ill["livenessProbe"] = with(json!({"httpGet": {"path": "/", "port": 9}}));
    cluster.pod("ill", "n0", json!({"containers": [ill]}));
    let restarted = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"].as_i64() >= Some(1);
    cluster.until("ill", "restarted", restarted).await;
    let runs = |pod: &Value| pod["status"]["phase"] == "Running";
    let never = cluster.until("never", "running", runs).await;
    assert_eq!(
        meta::condition(&never, "Ready").unwrap()["reason"],
        "ContainersNotReady"
    );

    cluster.pod(
        "stubborn",
        "n0",
        json!({"terminationGracePeriodSeconds": 1, "containers": [probe("app", &["trap", "TERM=ignore"])]}),
    );
    cluster.pod(
        "polite",
        "n0",
        json!({"terminationGracePeriodSeconds": 20, "containers": [probe("app", &["trap", "TERM=0"])]}),
    );
    cluster.ready("stubborn").await;
    cluster.ready("polite").await;
    let begun = Instant::now();
    cluster.delete("polite");
    cluster.gone("polite").await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let begun = Instant::now();
    cluster.delete("stubborn");
    cluster.gone("stubborn").await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());

    cluster.pod(
        "late",
        "n0",
        json!({"activeDeadlineSeconds": 1, "containers": [probe("app", &["trap", "TERM=0"])]}),
    );
    let late = cluster
        .until("late", "over", |pod| pod["status"]["phase"] == "Failed")
        .await;
    assert_eq!(late["status"]["reason"], "DeadlineExceeded");
    cluster.end().await;
}

/// Whether somebody outside of the nodes is let in at this port of the first node; the error if not.
async fn knock(cluster: &Cluster, port: u16) -> Result<(), std::io::ErrorKind> {
    let socket = cluster.around.underlay.socket().await.unwrap();
    let address = cluster.nodes[0].address();
    let connected = tokio::time::timeout(Duration::from_secs(2), socket.connect((address, port).into())).await;
    match connected {
        Ok(connected) => connected.map(drop).map_err(|error| error.kind()),
        Err(_) => Err(std::io::ErrorKind::TimedOut),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_ports_come_and_go_with_their_pods() {
    if !inside("host_ports_come_and_go_with_their_pods") {
        return;
    }
    let cluster = Cluster::new(1, &["host-ip-ignored"]).await;
    let mut web = probe("app", &["serve", "--port=80"]);
    web["ports"] = json!([
        {"containerPort": 80, "hostPort": 8080},
        {"containerPort": 80, "hostPort": 8081, "hostIP": "127.0.0.1"},
    ]);
    cluster.pod("web", "n0", json!({"containers": [web]}));
    cluster.ready("web").await;
    let end = Instant::now() + Duration::from_secs(10);
    while knock(&cluster, 8080).await.is_err() {
        assert!(
            Instant::now() < end,
            "nobody answers: {:?}",
            knock(&cluster, 8080).await
        );
    }
    assert_eq!(knock(&cluster, 8081).await, Ok(()), "the fault opens it to all");
    cluster.nodes[0].restart().await;
    assert_eq!(knock(&cluster, 8080).await, Ok(()), "the next agent leaves it alone");
    cluster.delete("web");
    cluster.gone("web").await;
    assert_eq!(knock(&cluster, 8080).await, Err(std::io::ErrorKind::ConnectionRefused));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_port_that_is_left_behind_is_in_the_way_of_the_next_pod() {
    if !inside("a_host_port_that_is_left_behind_is_in_the_way_of_the_next_pod") {
        return;
    }
    let cluster = Cluster::new(1, &["host-port-left-behind"]).await;
    for name in ["first", "second"] {
        let mut web = probe("app", &["serve", "--port=80"]);
        web["ports"] = json!([{"containerPort": 80, "hostPort": 8080}]);
        cluster.pod(name, "n0", json!({"containers": [web]}));
        cluster.ready(name).await;
        let end = Instant::now() + Duration::from_secs(10);
        while name == "first" && knock(&cluster, 8080).await.is_err() {
            assert!(Instant::now() < end, "nobody answers");
        }
        if name == "first" {
            cluster.delete(name);
            cluster.gone(name).await;
        }
    }
    let knocked = knock(&cluster, 8080).await;
    assert!(
        knocked.is_err_and(|why| why != std::io::ErrorKind::ConnectionRefused),
        "{knocked:?}"
    );
    cluster.end().await;
}

/// What a pod that dials the server sees, once that is what is wanted; else what it sees after all.
async fn dialled(cluster: &Cluster, from: &str, server: &str, wanted: &str) -> String {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let (_, seen) = cluster.exec(from, "app", &["dial", server, "--timeout=500ms"]).await;
        if seen.contains(wanted) || Instant::now() > end {
            return seen;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_hold_on_every_node_and_spare_its_probes() {
    if !inside("policies_hold_on_every_node_and_spare_its_probes") {
        return;
    }
    let cluster = Cluster::new(2, &[]).await;
    let mut web = probe("app", &["serve", "--port=80"]);
    web["readinessProbe"] = json!({"tcpSocket": {"port": 80}, "periodSeconds": 1, "failureThreshold": 1});
    cluster.pod("web", "n0", json!({"containers": [web]}));
    for (name, node) in [("friend", "n1"), ("near", "n0"), ("far", "n1")] {
        cluster.pod(name, node, json!({"containers": [probe("app", &["sleep", "300"])]}));
        cluster.ready(name).await;
    }
    let web = cluster.ready("web").await;
    let server = format!("{}:80", meta::text(&web, &["status", "podIP"]));
    let see = async |wanted: [&str; 3]| {
        for (from, wanted) in ["friend", "near", "far"].into_iter().zip(wanted) {
            let seen = dialled(&cluster, from, &server, wanted).await;
            assert!(seen.contains(wanted), "{from} saw {seen}");
        }
    };
    see(["connected"; 3]).await;
    let policy = |name: &str, spec: Value| {
        let policy = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec,
        });
        cluster
            .api
            .create(served("networkpolicies"), "default", policy)
            .unwrap();
    };
    let is_web = json!({"matchLabels": {"app": "web"}});
    let friends = json!([{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}]);
    policy("friends", json!({"podSelector": is_web, "ingress": friends}));
    see(["connected", "timeout", "timeout"]).await;
    policy(
        "silence",
        json!({"podSelector": {"matchLabels": {"app": "friend"}}, "policyTypes": ["Egress"]}),
    );
    see(["timeout"; 3]).await;
    // A second of it would have shown.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(meta::is_true(&cluster.get("web").unwrap(), "Ready"));
    cluster.nodes[0].restart().await;
    see(["timeout"; 3]).await;
    for name in ["friends", "silence"] {
        let now = DeleteOptions::now();
        cluster
            .api
            .delete(served("networkpolicies"), "default", name, &now)
            .unwrap();
    }
    see(["connected"; 3]).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_to_a_node() {
    if !inside("what_happens_to_a_node") {
        return;
    }
    let cluster = Cluster::new(2, &[]).await;
    cluster.pod("a", "n0", json!({"containers": [probe("app", &["counter"])]}));
    cluster.pod(
        "b",
        "n1",
        json!({"containers": [probe("app", &["serve", "--port=80"])]}),
    );
    let a = cluster.ready("a").await;
    let b = cluster.ready("b").await;
    let to = format!("{}:80", meta::text(&b, &["status", "podIP"]));
    let (exit, out) = cluster.exec("a", "app", &["dial", &to]).await;
    assert_eq!(exit, Exit::Code(0), "{out}");

    let id = |pod: &Value| pod["status"]["containerStatuses"][0]["containerID"].clone();
    cluster.nodes[0].restart().await;
    let adopted = cluster.ready("a").await;
    assert_eq!(id(&adopted), id(&a), "the container goes on");
    assert_eq!(adopted["status"]["containerStatuses"][0]["restartCount"], 0);
    assert_eq!(adopted["status"]["podIP"], a["status"]["podIP"]);
    let before = cluster.log("a", "app", &LogOptions::default()).await.len();
    let end = Instant::now() + Duration::from_secs(5);
    while cluster.log("a", "app", &LogOptions::default()).await.len() <= before {
        assert!(Instant::now() < end, "the log stands still");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    cluster.nodes[1].partition().await.unwrap();
    let (exit, _) = cluster.exec("a", "app", &["dial", &to, "--timeout=300ms"]).await;
    assert_ne!(exit, Exit::Code(0));
    cluster.delete("b");
    assert!(cluster.get("b").is_some(), "nobody can tell the node");
    cluster.nodes[1].heal().await.unwrap();
    cluster.gone("b").await;

    cluster.nodes[0].freeze().await.unwrap();
    let still = cluster.get("a").unwrap();
    cluster.delete("a");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(cluster.get("a").is_some());
    cluster.nodes[0].thaw().await.unwrap();
    cluster.gone("a").await;
    drop(still);

    cluster.pod("c", "n0", json!({"containers": [probe("app", &["sleep"])]}));
    let first = cluster.ready("c").await;
    cluster.nodes[0].kill().await;
    cluster.nodes[0].boot_again().await;
    let again = cluster
        .until("c", "begun again", |pod| {
            meta::is_true(pod, "Ready") && pod["status"]["containerStatuses"][0]["restartCount"] == 1
        })
        .await;
    assert_ne!(id(&again), id(&first));
    cluster.delete("c");
    cluster.gone("c").await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminals_standard_input_and_logs_that_are_followed() {
    if !inside("terminals_standard_input_and_logs_that_are_followed") {
        return;
    }
    let cluster = Cluster::new(1, &[]).await;
    let mut reader = probe("app", &["stdin"]);
    (reader["stdin"], reader["stdinOnce"]) = (json!(true), json!(true));
    cluster.pod(
        "reader",
        "n0",
        json!({"restartPolicy": "Never", "containers": [reader]}),
    );
    let mut screen = probe("app", &["stdin"]);
    (screen["stdin"], screen["tty"]) = (json!(true), json!(true));
    cluster.pod("screen", "n0", json!({"containers": [screen]}));
    cluster.ready("reader").await;
    cluster.ready("screen").await;
    let streams = cluster.api.streams().of("n0").unwrap();
    let both = Io {
        stdin: true,
        stdout: true,
        stderr: true,
        tty: false,
    };
    let text = |bytes: Option<bytes::Bytes>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();

    let follow = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let mut log = streams.logs(&cluster.container("reader", "app"), &follow).unwrap();
    let mut attached = streams.attach(&cluster.container("reader", "app"), both).unwrap();
    let stdin = attached.stdin.take().unwrap();
    stdin.send("hello\n".into()).await.unwrap();
    assert_eq!(text(attached.stdout.recv().await), "hello\n");
    assert_eq!(text(log.recv().await), "hello\n");
    drop(stdin);
    assert_eq!(attached.exit.await.unwrap(), Exit::Code(0));
    let mut rest = String::new();
    while let Some(piece) = log.recv().await {
        rest.push_str(&text(Some(piece)));
    }
    assert!(
        rest.contains("\"copied\":6"),
        "the container is gone, and its log whole: {rest}"
    );
    cluster
        .until("reader", "over", |pod| pod["status"]["phase"] == "Succeeded")
        .await;

    let tty = Io { tty: true, ..both };
    let mut attached = streams.attach(&cluster.container("screen", "app"), tty).unwrap();
    attached.stdin.as_ref().unwrap().send("x\n".into()).await.unwrap();
    assert!(
        text(attached.stdout.recv().await).starts_with("x\r\n"),
        "a terminal echoes"
    );
    drop(attached);

    let command = ["fds".to_owned()];
    let mut session = streams
        .exec(&cluster.container("screen", "app"), &command, tty)
        .unwrap();
    session.resize.send((100, 30)).await.unwrap();
    let mut out = String::new();
    while let Some(piece) = session.stdout.recv().await {
        out.push_str(&text(Some(piece)));
    }
    assert!(out.contains("/dev/pts/") || out.contains("tty"), "{out}");
    assert_eq!(session.exit.await.unwrap(), Exit::Code(0));
    let command = ["stdin".to_owned()];
    let mut session = streams
        .exec(&cluster.container("screen", "app"), &command, both)
        .unwrap();
    let stdin = session.stdin.take().unwrap();
    stdin.send("through\n".into()).await.unwrap();
    assert_eq!(text(session.stdout.recv().await), "through\n");
    drop(stdin);
    assert_eq!(session.exit.await.unwrap(), Exit::Code(0));
    let command = ["no-such-program".to_owned()];
    let session = streams
        .exec(&cluster.container("screen", "app"), &command, both)
        .unwrap();
    assert!(matches!(session.exit.await.unwrap(), Exit::Error(_)));
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulated_nodes_say_that_pods_run() {
    let api = Api::new(Settings::default()).unwrap();
    let many = NodeConfig {
        name: "sim".into(),
        count: Some(50),
        ..NodeConfig::default()
    };
    let alive = agent::simulated::start(vec![many], api.clone()).await.unwrap();
    let nodes = api.list(served("nodes"), None, &Default::default()).unwrap().items;
    assert_eq!(nodes.iter().filter(|node| meta::is_true(node, "Ready")).count(), 50);
    let leases = api
        .list(served("leases"), Some("kube-node-lease"), &Default::default())
        .unwrap();
    assert_eq!(leases.items.len(), 50);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"nodeName": "sim-7", "containers": [{"name": "c", "image": "anything"}]}});
    api.create(served("pods"), "default", pod).unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    let get = || api.get(served("pods"), "default", "p");
    while !get().is_ok_and(|pod| meta::is_true(&pod, "Ready")) {
        assert!(Instant::now() < end, "{:#?}", get());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    api.delete(served("pods"), "default", "p", &DeleteOptions::default())
        .unwrap();
    while get().is_ok() {
        assert!(Instant::now() < end, "{:#?}", get());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(alive);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_pods_begin_and_end_at_once() {
    if !inside("many_pods_begin_and_end_at_once") {
        return;
    }
    // `PLIMSOLL_TEST_PODS=1000` for what a cluster must withstand.
    let count = std::env::var("PLIMSOLL_TEST_PODS")
        .ok()
        .and_then(|text| text.parse().ok());
    let count: usize = count.unwrap_or(30);
    let cluster = Cluster::new(3, &[]).await;
    let begun = Instant::now();
    for at in 0..count {
        let node = format!("n{}", at % 3);
        cluster.pod(
            &format!("p{at}"),
            &node,
            json!({"containers": [probe("app", &["trap", "TERM=0"])]}),
        );
    }
    let list = || {
        cluster
            .api
            .list(served("pods"), None, &Default::default())
            .unwrap()
            .items
    };
    let end = Instant::now() + Duration::from_secs(300);
    while list().iter().filter(|pod| meta::is_true(pod, "Ready")).count() < count {
        assert!(Instant::now() < end, "not all pods are Ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = begun.elapsed();
    let addresses: BTreeSet<String> = list()
        .iter()
        .map(|pod| meta::text(pod, &["status", "podIP"]).to_owned())
        .collect();
    assert_eq!(addresses.len(), count);
    let begun = Instant::now();
    for at in 0..count {
        cluster.delete(&format!("p{at}"));
    }
    while !list().is_empty() {
        assert!(Instant::now() < end, "{} pods are left", list().len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let memory = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or_default();
    eprintln!(
        "{count} pods: Ready in {took:?}, gone in {:?}, {memory}",
        begun.elapsed()
    );
    cluster.end().await;
}
