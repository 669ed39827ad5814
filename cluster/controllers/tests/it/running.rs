//! A cluster in one process: pods become ready a moment after they were made, wherever they are.

use std::time::{Duration, Instant};

use apiserver::{Api, DeleteOptions, EventKind, ListQuery, Object, Part, Settings, WatchQuery};
use controllers::{Faults, Options};
use objects::{Kind, kind, meta, time};
use serde_json::{Value, json};
use tokio::sync::watch;

const DEADLINE: Duration = Duration::from_secs(20);
/// How long a pod takes to become ready.
const STARTS: Duration = Duration::from_millis(15);

pub(crate) struct Running {
    pub(crate) api: Api,
    _stop: watch::Sender<bool>,
}

pub(crate) fn kind(name: &str) -> &'static Kind {
    kind::KINDS
        .iter()
        .find(|one| one.kind == name)
        .expect("a kind that is served")
}

/// Options with faults of these names.
pub(crate) fn broken(names: &[&str]) -> Options {
    let mut faults = Faults::default();
    for name in names {
        faults.choose(controllers::fault::named(name).expect("a fault of that name"));
    }
    Options {
        faults,
        ..Options::default()
    }
}

impl Running {
    pub(crate) fn start(options: &Options) -> Self {
        let admission = controllers::admission(options);
        let api = Api::new(Settings {
            admission,
            ..Settings::default()
        })
        .expect("an API");
        let (stop, stopped) = watch::channel(false);
        for one in controllers::all(options) {
            tokio::spawn(one.run(api.clone(), stopped.clone()));
        }
        tokio::spawn(pretend(api.clone(), stopped));
        Self { api, _stop: stop }
    }

    pub(crate) fn create(&self, object: Value) -> Object {
        let kind = kind(meta::kind(&object));
        let namespace = if kind.namespaced { "default" } else { "" };
        self.api.create(kind, namespace, object).expect("it is created")
    }

    pub(crate) fn get(&self, kind_name: &str, name: &str) -> Option<Object> {
        let kind = kind(kind_name);
        self.api
            .get(kind, if kind.namespaced { "default" } else { "" }, name)
            .ok()
    }

    pub(crate) fn all(&self, kind_name: &str) -> Vec<Object> {
        let kind = kind(kind_name);
        let namespace = kind.namespaced.then_some("default");
        self.api
            .list(kind, namespace, &ListQuery::default())
            .expect("a list")
            .items
    }

    pub(crate) fn edit(&self, kind_name: &str, name: &str, part: Part, change: impl FnMut(&mut Value)) -> Object {
        let kind = kind(kind_name);
        let namespace = if kind.namespaced { "default" } else { "" };
        self.api
            .edit(kind, namespace, name, part, change)
            .expect("it is changed")
    }

    pub(crate) fn delete(&self, kind_name: &str, name: &str, options: &DeleteOptions) {
        let kind = kind(kind_name);
        let namespace = if kind.namespaced { "default" } else { "" };
        self.api.delete(kind, namespace, name, options).expect("it is deleted");
    }

    /// Waits until it is so.
    pub(crate) async fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(
                start.elapsed() < DEADLINE,
                "{what}: not within {DEADLINE:?}\n{}",
                self.everything()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn everything(&self) -> String {
        let kinds = ["Deployment", "ReplicaSet", "Pod", "Node", "Namespace"];
        let all = kinds.iter().flat_map(|kind| self.all(kind));
        let line = |one: Object| format!("{} {} {}", meta::kind(&one), meta::name(&one), one["status"]);
        all.map(line).collect::<Vec<_>>().join("\n")
    }
}

/// A scheduler and an agent in one.
async fn pretend(api: Api, mut stop: watch::Receiver<bool>) {
    let pods = kind("Pod");
    let mut watch = api.watch(pods, None, &WatchQuery::default()).expect("a watch");
    loop {
        let event = tokio::select! {
            event = watch.next() => event,
            _ended = stop.changed() => return,
        };
        let Some(event) = event else { return };
        if matches!(event.kind, EventKind::Deleted | EventKind::Bookmark) {
            continue;
        }
        let pod = event.object;
        let (namespace, name) = (meta::namespace(&pod).to_owned(), meta::name(&pod).to_owned());
        if meta::is_deleting(&pod) {
            let _gone = api.delete(pods, &namespace, &name, &DeleteOptions::now());
        } else if meta::text(&pod, &["spec", "nodeName"]).is_empty() {
            let _bound = api.bind(&namespace, &name, "n1");
        } else if meta::text(&pod, &["status", "phase"]) == "Pending" && meta::label(&pod, "stuck").is_none() {
            let api = api.clone();
            tokio::spawn(async move {
                tokio::time::sleep(STARTS).await;
                let _ready = api.edit(pods, &namespace, &name, Part::Status, |pod| {
                    let now = time::seconds(std::time::SystemTime::now());
                    meta::set(pod, &["status", "phase"], "Running");
                    meta::set(pod, &["status", "podIP"], "10.244.0.9");
                    meta::set(
                        pod,
                        &["status", "podIPs"],
                        json!([{"ip": "10.244.0.9"}, {"ip": "fd00:10:244::9"}]),
                    );
                    meta::set_condition(pod, "Ready", "True", "", "", &now);
                });
            });
        }
    }
}

pub(crate) fn deployment(replicas: i64, image: &str, strategy: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "strategy": strategy,
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    })
}

/// What `kubectl rollout status` waits for.
pub(crate) fn is_rolled_out(deployment: &Value) -> bool {
    let wanted = meta::number(deployment, &["spec", "replicas"]).unwrap_or_default();
    let is = |key: &str| meta::number(deployment, &["status", key]).unwrap_or_default();
    is("observedGeneration") >= meta::generation(deployment)
        && is("updatedReplicas") == wanted
        && is("replicas") == wanted
        && is("availableReplicas") == wanted
}
