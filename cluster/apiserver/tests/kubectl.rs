//! Every kubectl that is installed, against a server on loopback.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use apiserver::{Api, Options, Server, Settings};

/// Where kubectls are looked for.
const PLACES: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/opt/kubectl"];

fn kubectls() -> Vec<PathBuf> {
    let entries = PLACES
        .iter()
        .filter_map(|place| std::fs::read_dir(place).ok())
        .flatten()
        .flatten();
    let mut all: Vec<PathBuf> = entries
        .filter(|entry| {
            let name = entry.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix("kubectl"));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['1', '-', '.']) && !rest.contains("convert"))
        })
        .map(|entry| entry.path())
        .collect();
    all.sort();
    all
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
            .current_dir(self.home);
        command
            .arg("--kubeconfig=kubeconfig")
            .arg("--cache-dir=cache")
            .args(arguments.split_whitespace());
        command.output().expect("kubectl runs")
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

#[test]
fn every_kubectl_that_is_there_works() {
    let all = kubectls();
    if all.is_empty() {
        println!("skipped: no kubectl in {PLACES:?}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    for program in &all {
        let home = tempfile::tempdir().expect("a directory");
        let api = Api::new(Settings::default()).expect("starts");
        let _entered = runtime.enter();
        let options = Options::new(TcpListener::bind("127.0.0.1:0").expect("a port"), api).expect("options");
        let pair = options.authority.client("admin", "system:masters").expect("signed");
        let server = Server::new(options).expect("a server");
        let (port, log) = (server.address().port(), server.requests());
        std::fs::write(home.path().join("ca.pem"), server.certificate()).expect("written");
        std::fs::write(home.path().join("admin.pem"), pair.certificate).expect("written");
        std::fs::write(home.path().join("admin.key"), pair.key).expect("written");
        std::fs::write(home.path().join("web.yaml"), DEPLOYMENT).expect("written");
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: c}\n";
        std::fs::write(home.path().join("map.yaml"), map).expect("written");
        std::fs::write(home.path().join("own.yaml"), map.replace("name: c", "name: own")).expect("written");
        std::fs::write(home.path().join("typo.yaml"), map.replace("\ndata:", "\ndat:")).expect("written");
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{port}', certificate-authority: ca.pem}}}}]\n\
             users: [{{name: u, user: {{client-certificate: admin.pem, client-key: admin.key}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        );
        std::fs::write(home.path().join("kubeconfig"), config).expect("written");
        let serving = runtime.spawn(server.serve());
        drive(&Kubectl {
            program,
            home: home.path(),
        });
        assert!(log.count("create", "namespaces", 201) == 1 && log.recent().iter().all(|one| one.code < 500));
        serving.abort();
    }
}
