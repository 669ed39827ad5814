//! Every kubectl that is installed, against a server on loopback.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::scene::Scene;

/// Where kubectls are looked for; one that is a link has siblings where it leads.
const PLACES: [&str; 2] = ["/usr/local/bin", "/usr/bin"];

fn is_kubectl(path: &Path) -> bool {
    let rest = path.file_name().and_then(|name| name.to_str()?.strip_prefix("kubectl"));
    rest.is_some_and(|rest| rest.is_empty() || rest.trim_start_matches(['-', '.']).starts_with('1'))
}

fn inside(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| is_kubectl(path))
        .collect()
}

fn kubectls() -> BTreeSet<PathBuf> {
    let found: Vec<PathBuf> = PLACES.iter().flat_map(|place| inside(Path::new(place))).collect();
    let real: BTreeSet<PathBuf> = found.iter().filter_map(|path| path.canonicalize().ok()).collect();
    let siblings: Vec<PathBuf> = real.iter().filter_map(|path| path.parent()).flat_map(inside).collect();
    real.into_iter().chain(siblings).collect()
}

struct Kubectl<'a> {
    program: &'a Path,
    home: &'a Path,
}

impl Kubectl<'_> {
    fn run(&self, arguments: &str) -> Output {
        let mut command = Command::new(self.program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.home)
            .env("EDITOR", "sed -i s/front/back/")
            .current_dir(self.home);
        command
            .arg("--kubeconfig=kubeconfig")
            .arg("--cache-dir=cache")
            .args(arguments.split_whitespace());
        command.stdin(Stdio::null()).output().expect("kubectl runs")
    }

    fn ok(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "{} {arguments}: {out}{err}",
            self.program.display()
        );
        out.into_owned()
    }

    fn minor(&self) -> u32 {
        let text = self.ok("version --client -o json");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let minor = value["clientVersion"]["minor"].as_str().expect("a version");
        minor.trim_end_matches('+').parse().expect("a number")
    }

    fn fails(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(
            !output.status.success(),
            "{} {arguments} went well",
            self.program.display()
        );
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: a, image: plimsoll/probe}]
";

fn drive(kubectl: &Kubectl<'_>) {
    let version = kubectl.ok("version -o json");
    assert!(version.contains("\"major\": \"1\""), "{version}");
    kubectl.ok("api-resources");
    assert!(kubectl.ok("create namespace x").contains("namespace/x created"));
    assert!(kubectl.ok("get namespaces").contains("kube-system"));
    kubectl.ok("create configmap -n x c --from-literal=a=b");
    assert_eq!(kubectl.ok("get configmap -n x c -o jsonpath={.data.a}"), "b");
    assert!(kubectl.fails("create configmap -n x c").contains("already exists"));
    assert!(kubectl.ok("get configmap -n x").contains("DATA"));
    assert!(
        kubectl
            .ok("apply -n x -f web.yaml")
            .contains("deployment.apps/web created")
    );
    assert!(kubectl.ok("apply -n x -f web.yaml").contains("unchanged"));
    assert_eq!(kubectl.ok("diff -n x -f web.yaml"), "");
    let wide = kubectl.ok("get deployments -n x -o wide");
    assert!(wide.contains("CONTAINERS") && wide.contains("app=web"), "{wide}");
    assert!(kubectl.ok("scale -n x deployment web --replicas=3").contains("scaled"));
    assert_eq!(kubectl.run("diff -n x -f web.yaml").status.code(), Some(1));
    kubectl.ok("patch -n x deployment web -p {\"spec\":{\"paused\":true}}");
    kubectl.ok("patch -n x deployment web --type=json -p [{\"op\":\"remove\",\"path\":\"/spec/paused\"}]");
    kubectl.ok("set image -n x deployment web a=plimsoll/other");
    kubectl.ok("set env -n x deployment web A=B");
    assert_eq!(
        kubectl.ok("get deployment -n x web -o jsonpath={.spec.template.spec.containers[*].image}"),
        "plimsoll/other"
    );
    kubectl.ok("apply -n x --server-side -f own.yaml");
    assert!(
        kubectl
            .ok("apply -n x --server-side -f own.yaml")
            .contains("serverside-applied")
    );
    kubectl.ok("label -n x configmap c tier=front");
    kubectl.ok("annotate -n x configmap c note=it");
    assert!(
        kubectl
            .ok("get configmap -n x -l tier=front -o name")
            .contains("configmap/c")
    );
    kubectl.ok("run -n x p --image=plimsoll/probe --restart=Never");
    assert!(kubectl.ok("get pods -n x").contains("Pending"));
    assert!(kubectl.ok("describe pod -n x p").contains("plimsoll/probe"));
    kubectl.ok("create secret generic -n x s --from-literal=k=v");
    kubectl.ok("create service clusterip -n x s --tcp=80:80");
    kubectl.ok("create serviceaccount -n x sa");
    kubectl.ok("create deployment -n x second --image=plimsoll/probe");
    kubectl.ok("get all -n x");
    let strict = kubectl.fails("apply -n x -f typo.yaml");
    assert!(strict.contains("dat"), "{strict}");
    assert!(kubectl.fails("get pod -n x nothing").contains("not found"));
    assert!(
        kubectl
            .fails("get jobs")
            .contains("the server doesn't have a resource type")
    );
    assert!(kubectl.ok("explain pod.spec.containers").contains("livenessProbe"));
    kubectl.ok("edit configmap -n x c");
    assert_eq!(
        kubectl.ok("get configmap -n x c -o jsonpath={.metadata.labels.tier}"),
        "back"
    );
    assert_eq!(kubectl.ok("create token -n x sa").trim().split('.').count(), 3);
    kubectl.ok("delete pod -n x p --wait=true");
    kubectl.ok("wait -n x --for=delete pod/p --timeout=5s");
    assert!(kubectl.ok("replace -n x -f map.yaml").contains("replaced"));
    kubectl.ok("wait -n x --for=jsonpath={.data.a}=c configmap/c --timeout=5s");
    kubectl.ok("delete -n x -f web.yaml");
    kubectl.ok("delete configmap -n x --all");
    assert_eq!(kubectl.ok("get configmap -n x -o name"), "");
    kubectl.ok("delete namespace x --wait=false");
    assert!(kubectl.fails("create configmap -n x late").contains("being terminated"));
}

/// Nodes, and what is on them.
fn nodes(kubectl: &Kubectl<'_>, scene: &Scene) {
    kubectl.ok("apply -f node.yaml");
    kubectl.ok("taint node n a=b:NoSchedule");
    kubectl.ok("cordon n");
    assert!(kubectl.ok("get nodes -o wide").contains("SchedulingDisabled"));
    kubectl.ok("uncordon n");
    assert!(kubectl.ok("describe node n").contains("a=b:NoSchedule"));
    kubectl.ok("run p --image=plimsoll/probe");
    scene.bind("p");
    assert_eq!(kubectl.ok("logs p"), "p/p tail=None\n");
    assert_eq!(kubectl.ok("logs -f --tail=2 p"), "p/p tail=Some(2)\n");
    if kubectl.minor() >= 31 {
        let output = kubectl.run("exec p -- two words");
        assert_eq!(
            output.status.code(),
            Some(2),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    kubectl.ok("drain n --force --grace-period=0 --timeout=20s");
    assert!(kubectl.fails("get pod p").contains("not found"));
    kubectl.ok("delete node n");
}

#[test]
fn every_kubectl_that_is_there_works() {
    let all = kubectls();
    if all.is_empty() {
        println!("skipped: no kubectl in {PLACES:?}");
        return;
    }
    for program in &all {
        let scene = Scene::start();
        scene.write("web.yaml", DEPLOYMENT);
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: c}\n";
        scene.write("map.yaml", map);
        scene.write("own.yaml", &map.replace("name: c", "name: own"));
        scene.write("typo.yaml", &map.replace("\ndata:", "\ndat:"));
        scene.write("node.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: 'n'}\n");
        let kubectl = Kubectl {
            program,
            home: scene.home(),
        };
        drive(&kubectl);
        nodes(&kubectl, &scene);
        let log = scene.requests();
        assert!(log.count("create", "namespaces", 201) == 1 && log.recent().iter().all(|one| one.code < 500));
    }
}
