//! The scheduler at work: what informers tell goes into the engine, what it decides goes to the API.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use apiserver::{Api, Cache, Change, DeleteOptions, Informer, ListQuery, Object, Part};
use objects::{Kind, Reason, Status, kind, meta, time};
use scheduler::{Config, Decision, Engine, Explanation, Fault, Nomination, Outcome, PodKey};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

/// What decisions depend on. Pods come last, so that at the start nothing is missing when they are decided on.
const WATCHED: [(&str, &str, &str); 8] = [
    ("", "v1", "nodes"),
    ("", "v1", "namespaces"),
    ("scheduling.k8s.io", "v1", "priorityclasses"),
    ("policy", "v1", "poddisruptionbudgets"),
    ("", "v1", "services"),
    ("apps", "v1", "replicasets"),
    ("apps", "v1", "statefulsets"),
    ("", "v1", "pods"),
];

/// So many changes are taken in before decisions are made again.
const CHANGES: usize = 1024;
/// So many decisions are made before changes are looked at again.
const DECISIONS: usize = 64;

/// A handle of the scheduler that runs.
#[derive(Debug, Clone)]
pub(crate) struct Scheduling {
    questions: mpsc::Sender<Question>,
}

#[derive(Debug)]
struct Question {
    namespace: String,
    pod: String,
    answer: oneshot::Sender<Option<Explanation>>,
}

impl Scheduling {
    /// Starts the scheduler. Of the faults, those are taken that are faults of the scheduler.
    pub(crate) fn start(api: Api, seed: u64, faults: &BTreeSet<String>) -> Self {
        let config = Config {
            seed,
            faults: faults.iter().filter_map(|name| name.parse::<Fault>().ok()).collect(),
            ..Config::default()
        };
        let (questions, asked) = mpsc::channel(16);
        tokio::spawn(run(api, config, asked));
        Self { questions }
    }

    /// What each plugin says of each node for a pod, as things are now.
    pub(crate) async fn explain(&self, namespace: &str, pod: &str) -> Option<Explanation> {
        let (answer, answered) = oneshot::channel();
        let question = Question {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            answer,
        };
        self.questions.send(question).await.ok()?;
        answered.await.ok()?
    }
}

/// The kind whose objects changed, and how.
type News = (&'static Kind, Change);

async fn run(api: Api, config: Config, mut questions: mpsc::Receiver<Question>) {
    let Some(pods) = kind::find("", "v1", "pods") else {
        return;
    };
    let (tell, mut news) = mpsc::channel::<News>(CHANGES);
    let mut unsynced = 0;
    let mut known = None;
    for (group, version, plural) in WATCHED {
        let Some(kind) = kind::find(group, version, plural) else {
            continue;
        };
        unsynced += 1;
        let informer = Informer::start(&api, kind, ListQuery::default());
        if kind == pods {
            known = Some(informer.cache());
        }
        tokio::spawn(forward(informer, kind, tell.clone()));
    }
    drop(tell);
    let Some(known) = known else { return };
    let (notes, noted) = mpsc::unbounded_channel();
    tokio::spawn(record(api.clone(), config.scheduler_name.clone(), noted));
    let mut scheduler = Scheduler {
        engine: Engine::new(&config),
        name: config.scheduler_name,
        api,
        pods,
        known,
        began: Instant::now(),
        notes,
    };
    let mut changes = Vec::new();
    loop {
        let due = scheduler.engine.wake_at().filter(|_| unsynced == 0);
        let due = due.map(|at| scheduler.began + at);
        tokio::select! {
            count = news.recv_many(&mut changes, CHANGES) => {
                if count == 0 {
                    return;
                }
            }
            question = questions.recv() => {
                let Some(Question { namespace, pod, answer }) = question else { return };
                // Whoever asked may have gone away.
                let _unheard = answer.send(scheduler.engine.explain(&namespace, &pod));
                continue;
            }
            () = sleep_until(due.unwrap_or(scheduler.began)), if due.is_some() => {}
        }
        // With decisions waiting, changes are only looked at in passing.
        loop {
            for (kind, change) in changes.drain(..) {
                match change {
                    Change::Synced => unsynced -= 1,
                    Change::Put { new, .. } => scheduler.engine.put(kind.kind, &new, scheduler.began.elapsed()),
                    Change::Gone(last) => scheduler.engine.gone(kind.kind, &last, scheduler.began.elapsed()),
                }
            }
            if unsynced > 0 || !scheduler.decide() {
                break;
            }
            yield_now().await;
            while changes.len() < CHANGES
                && let Ok(change) = news.try_recv()
            {
                changes.push(change);
            }
        }
    }
}

async fn forward(mut informer: Informer, kind: &'static Kind, tell: mpsc::Sender<News>) {
    while tell.send((kind, informer.recv().await)).await.is_ok() {}
}

/// Something to be told of a pod.
struct Note {
    about: Object,
    kind: &'static str,
    reason: &'static str,
    message: String,
}

/// Tells of what happened, beside the work.
async fn record(api: Api, name: String, mut notes: mpsc::UnboundedReceiver<Note>) {
    while let Some(note) = notes.recv().await {
        api.record(&note.about, note.kind, note.reason, &note.message, &name);
        yield_now().await;
    }
}

struct Scheduler {
    engine: Engine,
    name: String,
    api: Api,
    pods: &'static Kind,
    known: Cache,
    began: Instant,
    notes: mpsc::UnboundedSender<Note>,
}

impl Scheduler {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Makes some decisions; says whether there may be more.
    fn decide(&mut self) -> bool {
        for _ in 0..DECISIONS {
            match self.engine.next(self.now()) {
                Some(decision) => self.act(decision),
                None => return false,
            }
        }
        true
    }

    fn act(&mut self, decision: Decision) {
        let Decision { pod, outcome } = decision;
        match outcome {
            Outcome::Bind { node } => self.bind(&pod, &node),
            Outcome::Unschedulable {
                message,
                nomination,
                victims,
                displaced,
            } => {
                self.tell(&pod, "Warning", "FailedScheduling", message.clone());
                for lesser in &displaced {
                    self.change_status(lesser, |pod| {
                        meta::remove(pod, &["status", "nominatedNodeName"]);
                    });
                }
                let now = now();
                self.change_status(&pod, |pod| {
                    meta::set_condition(pod, "PodScheduled", "False", "Unschedulable", &message, &now);
                    match &nomination {
                        Nomination::Keep => {}
                        Nomination::Clear => {
                            meta::remove(pod, &["status", "nominatedNodeName"]);
                        }
                        Nomination::Node(node) => meta::set(pod, &["status", "nominatedNodeName"], &**node),
                    }
                });
                if let Nomination::Node(node) = &nomination {
                    for victim in &victims {
                        self.preempt(victim, &pod, node);
                    }
                }
            }
        }
    }

    fn bind(&mut self, pod: &PodKey, node: &str) {
        // A pod of the same name that was made since is not the one that was decided on.
        let same = self.api.get(self.pods, &pod.namespace, &pod.name);
        let bound = same.and_then(|now| match meta::uid(&now) == &*pod.uid {
            true => self.api.bind(&pod.namespace, &pod.name, node),
            false => Err(Status::not_found(self.pods, &pod.name)),
        });
        match bound {
            Ok(()) => {
                self.engine.bound(pod, self.api.revision());
                let message = format!("Successfully assigned {}/{} to {node}", pod.namespace, pod.name);
                self.tell(pod, "Normal", "Scheduled", message);
            }
            Err(status) => {
                if status.reason != Reason::NotFound {
                    let message = format!("binding rejected: {}", status.message);
                    self.tell(pod, "Warning", "FailedScheduling", message);
                }
                self.engine.bind_failed(pod, self.began.elapsed());
            }
        }
    }

    /// Deletes a victim, with its grace, and tells it why.
    fn preempt(&self, victim: &PodKey, by: &PodKey, node: &str) {
        let now = now();
        let why = format!("{}: preempting to accommodate a higher priority pod", self.name);
        let told = self.change_status(victim, |pod| {
            meta::set_condition(pod, "DisruptionTarget", "True", "PreemptionByScheduler", &why, &now);
        });
        if told {
            let message = format!("Preempted by pod {} on node {node}", by.uid);
            self.tell(victim, "Normal", "Preempted", message);
            let options = DeleteOptions::default();
            // It may be gone by itself; if not, the preemptor is tried again when something changes.
            let _left = self.api.delete(self.pods, &victim.namespace, &victim.name, &options);
        }
    }

    /// Changes the status of a pod, unless it is gone; says whether it is there.
    fn change_status(&self, pod: &PodKey, change: impl Fn(&mut Value)) -> bool {
        let same = |now: &Value| meta::uid(now) == &*pod.uid;
        let edited = self
            .api
            .edit(self.pods, &pod.namespace, &pod.name, Part::Status, |now| {
                if same(now) {
                    change(now);
                }
            });
        edited.is_ok_and(|now| same(&now))
    }

    fn tell(&self, pod: &PodKey, kind: &'static str, reason: &'static str, message: String) {
        if let Some(about) = self.known.get(&pod.namespace, &pod.name) {
            let note = Note {
                about: Arc::clone(&about),
                kind,
                reason,
                message,
            };
            // The recorder ends with the scheduler.
            let _late = self.notes.send(note);
        }
    }
}

fn now() -> String {
    time::seconds(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use apiserver::Settings;
    use serde_json::json;
    use tokio::time::timeout;

    use super::*;

    fn kind(plural: &str) -> &'static Kind {
        kind::find("", "v1", plural).unwrap()
    }

    fn api(cpus: &str, nodes: usize) -> Api {
        let api = Api::new(Settings::default()).unwrap();
        for index in 0..nodes {
            let amounts = json!({"cpu": cpus, "memory": "8Gi", "pods": "110"});
            let status = json!({"allocatable": amounts, "capacity": amounts});
            let node = json!({"metadata": {"name": format!("n{index}")}, "status": status});
            api.create(kind("nodes"), "", node.clone()).unwrap();
            let stored = |now: &mut Value| now["status"] = status.clone();
            api.edit(kind("nodes"), "", &format!("n{index}"), Part::Status, stored)
                .unwrap();
        }
        api
    }

    fn pod(name: &str, cpu: &str, priority: i64) -> Value {
        let container = json!({"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}});
        json!({"metadata": {"name": name}, "spec": {"containers": [container], "priority": priority}})
    }

    /// Waits until a pod is as wanted.
    async fn until(api: &Api, name: &str, wanted: impl Fn(&Value) -> bool) -> Object {
        let mut informer = Informer::start(api, kind("pods"), ListQuery::default());
        let seen = timeout(Duration::from_secs(10), async {
            loop {
                if let Change::Put { new, .. } = informer.recv().await
                    && meta::name(&new) == name
                    && wanted(&new)
                {
                    return new;
                }
            }
        });
        let last = || api.get(kind("pods"), "default", name);
        seen.await
            .unwrap_or_else(|_| panic!("{name} did not become so: {:?}", last()))
    }

    fn is_bound(pod: &Value) -> bool {
        pod["spec"]["nodeName"].is_string()
    }

    fn reasons(api: &Api) -> Vec<(String, String)> {
        let events = api
            .list(kind("events"), Some("default"), &ListQuery::default())
            .unwrap();
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let both = |event: &Object| (text(event, "reason"), text(event, "message"));
        events.items.iter().map(both).collect()
    }

    #[tokio::test]
    async fn a_pod_is_bound_and_one_that_fits_nowhere_is_told_why_until_it_fits() {
        let api = api("2", 1);
        let scheduling = Scheduling::start(api.clone(), 1, &BTreeSet::new());
        api.create(kind("pods"), "default", pod("small", "1", 0)).unwrap();
        until(&api, "small", is_bound).await;
        api.create(kind("pods"), "default", pod("large", "2", 0)).unwrap();
        let pending = until(&api, "large", |pod| meta::condition(pod, "PodScheduled").is_some()).await;
        let condition = meta::condition(&pending, "PodScheduled").unwrap();
        assert_eq!(condition["reason"], "Unschedulable");
        let message = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption \
                       victims found for incoming pod.";
        assert_eq!(condition["message"], message);
        let explained = scheduling.explain("default", "large").await.unwrap();
        assert_eq!(explained.nodes[0].rejected.as_ref().unwrap().plugin, "NodeResourcesFit");
        assert_eq!(scheduling.explain("default", "nobody").await, None);
        api.delete(kind("pods"), "default", "small", &DeleteOptions::now())
            .unwrap();
        until(&api, "large", is_bound).await;
        // Events are told beside the work: the last one comes after its cause.
        let told = timeout(Duration::from_secs(10), async {
            while reasons(&api).len() < 3 {
                yield_now().await;
            }
        });
        told.await.unwrap();
        let mut told = reasons(&api);
        told.sort();
        let want = [
            ("FailedScheduling", message),
            ("Scheduled", "Successfully assigned default/large to n0"),
            ("Scheduled", "Successfully assigned default/small to n0"),
        ];
        assert_eq!(
            told,
            want.map(|(reason, message)| (reason.to_owned(), message.to_owned()))
        );
    }

    #[tokio::test]
    async fn victims_are_told_and_deleted_and_the_preemptor_takes_their_place() {
        let api = api("2", 2);
        let _scheduling = Scheduling::start(api.clone(), 1, &BTreeSet::new());
        for (name, priority) in [("low", 1), ("medium", 5)] {
            let mut pod = pod(name, "2", priority);
            pod["metadata"]["finalizers"] = json!(["example.com/keep"]);
            api.create(kind("pods"), "default", pod).unwrap();
            until(&api, name, is_bound).await;
        }
        api.create(kind("pods"), "default", pod("high", "2", 10)).unwrap();
        let victim = until(&api, "low", meta::is_deleting).await;
        let told = meta::condition(&victim, "DisruptionTarget").unwrap();
        assert_eq!(told["reason"], "PreemptionByScheduler");
        let waiting = until(&api, "high", |pod| pod["status"]["nominatedNodeName"].is_string()).await;
        assert_eq!(waiting["status"]["nominatedNodeName"], victim["spec"]["nodeName"]);
        // What kept the victim lets go of it, and its node is through with it.
        api.edit(kind("pods"), "default", "low", Part::Main, |pod| {
            meta::remove(pod, &["metadata", "finalizers"]);
        })
        .unwrap();
        let _ended = api.delete(kind("pods"), "default", "low", &DeleteOptions::now());
        let placed = until(&api, "high", is_bound).await;
        assert_eq!(placed["spec"]["nodeName"], victim["spec"]["nodeName"]);
        assert!(api.get(kind("pods"), "default", "medium").is_ok());
        let preempted = format!("Preempted by pod {} on node", meta::uid(&placed));
        let seen = timeout(Duration::from_secs(10), async {
            while !reasons(&api).iter().any(|(_, message)| message.starts_with(&preempted)) {
                yield_now().await;
            }
        });
        seen.await.unwrap();
    }

    #[tokio::test]
    async fn a_broken_scheduler_is_broken_as_asked() {
        let api = api("2", 1);
        let faults = BTreeSet::from([
            "NodeResourcesFit:always-yes".to_owned(),
            "not-of-the-scheduler".to_owned(),
        ]);
        let _scheduling = Scheduling::start(api.clone(), 1, &faults);
        api.create(kind("pods"), "default", pod("huge", "64", 0)).unwrap();
        until(&api, "huge", is_bound).await;
    }
}
