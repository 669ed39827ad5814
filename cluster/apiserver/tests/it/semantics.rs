//! What the API promises, as clients in the same process see it.

use apiserver::{
    Admission, Api, Attempt, Change, DeleteOptions, EventKind, EventWindow, Informer, Link, ListQuery, Part,
    Propagation, Settings, Verb, WatchQuery, WriteOptions,
};
use objects::{
    Kind, Reason, Status, kind, meta,
    selector::{Fields, Labels},
};
use serde_json::{Value, json};

fn of(name: &str) -> &'static Kind {
    kind::KINDS.iter().find(|one| one.plural == name).expect("served")
}

fn api() -> Api {
    Api::new(Settings::default()).expect("starts")
}

fn config_map(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": name}}, "data": {"n": "0"}})
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "a", "image": "plimsoll/probe"}]}})
}

#[test]
fn an_object_gets_what_the_api_gives() {
    let api = api();
    let object = api.create(of("pods"), "default", pod("a")).expect("created");
    assert_eq!(meta::api_version(&object), "v1");
    assert_eq!(meta::namespace(&object), "default");
    assert_eq!(meta::uid(&object).len(), 36);
    assert!(objects::time::parse(meta::creation_timestamp(&object).expect("set")).is_some());
    assert_eq!(meta::generation(&object), 1);
    assert_eq!(object["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
    assert_eq!(object["spec"]["restartPolicy"], "Always");
    assert_eq!(meta::revision(&object), Some(api.revision()));
    let taken = api.create(of("pods"), "default", pod("a")).expect_err("taken");
    assert_eq!(taken.message, "pods \"a\" already exists");
}

#[test]
fn generated_names_differ() {
    let api = api();
    let object = json!({"metadata": {"generateName": "web-"}});
    let one = api
        .create(of("configmaps"), "default", object.clone())
        .expect("created");
    let two = api.create(of("configmaps"), "default", object).expect("created");
    assert!(meta::name(&one).starts_with("web-"));
    assert_ne!(meta::name(&one), meta::name(&two));
}

#[test]
fn status_and_the_rest_are_written_apart() {
    let api = api();
    let pods = of("pods");
    let mut object = Value::clone(&api.create(pods, "default", pod("a")).expect("created"));
    object["status"]["phase"] = "Running".into();
    object["spec"]["activeDeadlineSeconds"] = 7.into();
    let written = api
        .update(pods, "default", object.clone(), Part::Status)
        .expect("written");
    assert_eq!(written["status"]["phase"], "Running");
    assert_eq!(written["spec"].get("activeDeadlineSeconds"), None);
    meta::remove(&mut object, &["metadata", "resourceVersion"]);
    object["status"]["phase"] = "Failed".into();
    let written = api.update(pods, "default", object, Part::Main).expect("written");
    assert_eq!(written["status"]["phase"], "Running");
    assert_eq!(written["spec"]["activeDeadlineSeconds"], 7);
    assert_eq!(meta::generation(&written), 2);
}

#[test]
fn a_stale_write_is_a_conflict_and_an_equal_one_is_none() {
    let api = api();
    let maps = of("configmaps");
    let old = Value::clone(&api.create(maps, "default", config_map("a")).expect("created"));
    let mut new = old.clone();
    new["data"]["n"] = "1".into();
    api.update(maps, "default", new.clone(), Part::Main).expect("first");
    let stale = api.update(maps, "default", new.clone(), Part::Main).expect_err("stale");
    assert_eq!(stale.reason, Reason::Conflict);
    assert_eq!(
        stale.message,
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes \
         to the latest version and try again"
    );
    meta::remove(&mut new, &["metadata", "resourceVersion"]);
    let before = api.revision();
    api.update(maps, "default", new, Part::Main).expect("unconditional");
    assert_eq!(api.revision(), before);
}

#[test]
fn dry_runs_write_nothing() {
    let api = api();
    let dry = WriteOptions {
        dry_run: true,
        ..WriteOptions::default()
    };
    api.create_with(of("pods"), "default", pod("a"), &dry)
        .expect("would be");
    assert_eq!(
        api.get(of("pods"), "default", "a").expect_err("is not").reason,
        Reason::NotFound
    );
}

#[test]
fn a_pod_that_runs_goes_in_two_phases() {
    let api = api();
    let pods = of("pods");
    api.create(pods, "default", pod("a")).expect("created");
    api.bind("default", "a", "n").expect("bound");
    let again = api.bind("default", "a", "m").expect_err("bound already");
    assert_eq!(
        again.message,
        "Operation cannot be fulfilled on pods/binding \"a\": pod a is already assigned to node \"n\""
    );
    let left = api
        .delete(pods, "default", "a", &DeleteOptions::default())
        .expect("begins")
        .expect("is there");
    assert_eq!(meta::deletion_grace(&left), Some(30));
    assert_eq!(meta::generation(&left), 2);
    let shorter = DeleteOptions {
        grace: Some(5),
        ..DeleteOptions::default()
    };
    let left = api
        .delete(pods, "default", "a", &shorter)
        .expect("sooner")
        .expect("is there");
    assert_eq!(meta::deletion_grace(&left), Some(5));
    assert_eq!(api.delete(pods, "default", "a", &DeleteOptions::now()), Ok(None));
    api.get(pods, "default", "a").expect_err("gone");
}

#[test]
fn a_pod_without_a_node_goes_at_once() {
    let api = api();
    api.create(of("pods"), "default", pod("a")).expect("created");
    assert_eq!(
        api.delete(of("pods"), "default", "a", &DeleteOptions::default()),
        Ok(None)
    );
}

#[test]
fn finalizers_hold_an_object_until_the_last_is_gone() {
    let api = api();
    let maps = of("configmaps");
    api.create(maps, "default", config_map("a")).expect("created");
    let orphan = DeleteOptions {
        propagation: Some(Propagation::Orphan),
        ..DeleteOptions::default()
    };
    let left = api
        .delete(maps, "default", "a", &orphan)
        .expect("begins")
        .expect("held");
    assert_eq!(left["metadata"]["finalizers"], json!(["orphan"]));
    assert!(meta::is_deleting(&left));
    api.edit(maps, "default", "a", Part::Main, |object| {
        meta::remove(object, &["metadata", "finalizers"]);
    })
    .expect("released");
    api.get(maps, "default", "a").expect_err("gone");
}

#[test]
fn a_precondition_that_does_not_hold_is_a_conflict() {
    let api = api();
    let maps = of("configmaps");
    api.create(maps, "default", config_map("a")).expect("created");
    let options = DeleteOptions::read(&json!({"preconditions": {"uid": "other"}})).expect("read");
    let refused = api.delete(maps, "default", "a", &options).expect_err("refused");
    assert_eq!(refused.reason, Reason::Conflict);
}

#[test]
fn a_namespace_takes_nothing_new_while_it_goes() {
    let api = api();
    let namespaces = of("namespaces");
    let absent = api.create(of("pods"), "x", pod("a")).expect_err("no namespace");
    assert_eq!(absent.message, "namespaces \"x\" not found");
    api.create(namespaces, "", json!({"metadata": {"name": "x"}}))
        .expect("created");
    let left = api
        .delete(namespaces, "", "x", &DeleteOptions::default())
        .expect("begins")
        .expect("held");
    assert_eq!(left["status"]["phase"], "Terminating");
    let refused = api.create(of("pods"), "x", pod("a")).expect_err("terminating");
    assert_eq!(refused.reason, Reason::Forbidden);
    assert_eq!(
        refused.object()["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );
    let mut finalized = Value::clone(&left);
    finalized["spec"]["finalizers"] = json!([]);
    api.update(namespaces, "", finalized, Part::Finalize)
        .expect("finalized");
    api.get(namespaces, "", "x").expect_err("gone");
    let kept = api
        .delete(namespaces, "", "default", &DeleteOptions::default())
        .expect_err("kept");
    assert_eq!(
        kept.message,
        "namespaces \"default\" is forbidden: this namespace may not be deleted"
    );
}

#[test]
fn a_list_in_pieces_is_of_one_revision() {
    let api = api();
    let maps = of("configmaps");
    for n in 0..10 {
        api.create(maps, "default", config_map(&format!("c{n}")))
            .expect("created");
    }
    let mut query = ListQuery {
        limit: Some(4),
        ..ListQuery::default()
    };
    let first = api.list(maps, Some("default"), &query).expect("listed");
    assert_eq!(first.remaining, Some(6));
    api.delete(maps, "default", "c7", &DeleteOptions::default())
        .expect("deleted");
    api.create(maps, "default", config_map("c55")).expect("created");
    query.resume = first.resume;
    let second = api.list(maps, Some("default"), &query).expect("listed");
    let names: Vec<_> = second
        .items
        .iter()
        .map(|object| meta::name(object).to_owned())
        .collect();
    assert_eq!(names, ["c4", "c5", "c6", "c7"]);
    assert_eq!(second.resource_version, first.resource_version);
    api.compact();
    query.resume = second.resume;
    let expired = api.list(maps, Some("default"), &query).expect_err("forgotten");
    assert_eq!(expired.reason, Reason::Expired);
}

#[tokio::test]
async fn a_watch_tells_each_change_after_its_revision() {
    let api = api();
    let maps = of("configmaps");
    api.create(maps, "default", config_map("before")).expect("created");
    let from = api.revision();
    let mut watch = api.watch(maps, None, &since(from)).expect("watches");
    api.create(maps, "default", config_map("a")).expect("created");
    api.create(of("secrets"), "default", json!({"metadata": {"name": "other"}}))
        .expect("created");
    api.edit(maps, "default", "a", Part::Main, |object| {
        object["data"]["n"] = "1".into()
    })
    .expect("edited");
    api.delete(maps, "default", "a", &DeleteOptions::default())
        .expect("deleted");
    for (kind, n) in [
        (EventKind::Added, "0"),
        (EventKind::Modified, "1"),
        (EventKind::Deleted, "1"),
    ] {
        let event = watch.next().await.expect("an event");
        assert_eq!((event.kind, &event.object["data"]["n"]), (kind, &json!(n)));
        assert_eq!(meta::revision(&event.object), Some(event.resource_version));
    }
    assert_eq!(watch.revision(), api.revision());
}

fn since(revision: u64) -> WatchQuery {
    WatchQuery {
        list: ListQuery {
            resource_version: revision.to_string(),
            ..ListQuery::default()
        },
        ..WatchQuery::default()
    }
}

#[tokio::test]
async fn what_enters_and_leaves_a_selector_is_added_and_deleted() {
    let api = api();
    let maps = of("configmaps");
    let mut query = since(api.revision());
    query.list.labels = Labels::parse("app=on").expect("good");
    let mut watch = api.watch(maps, Some("default"), &query).expect("watches");
    api.create(maps, "default", config_map("a")).expect("created");
    for label in ["on", "off"] {
        api.edit(maps, "default", "a", Part::Main, |object| {
            meta::set_label(object, "app", label);
        })
        .expect("edited");
    }
    assert_eq!(watch.next().await.expect("an event").kind, EventKind::Added);
    let left = watch.next().await.expect("an event");
    assert_eq!(left.kind, EventKind::Deleted);
    assert_eq!(meta::label(&left.object, "app"), Some("on"));
    assert_eq!(meta::revision(&left.object), Some(api.revision()));
}

#[tokio::test]
async fn who_reads_too_slowly_is_told_that_it_is_too_late() {
    let api = Api::new(Settings {
        event_window: EventWindow {
            events: 4,
            ..EventWindow::default()
        },
        ..Settings::default()
    })
    .expect("starts");
    let maps = of("configmaps");
    let from = api.revision();
    let mut watch = api.watch(maps, None, &since(from)).expect("watches");
    for n in 0..5 {
        api.create(maps, "default", config_map(&format!("c{n}")))
            .expect("created");
    }
    assert!(watch.next().await.is_none());
    assert_eq!(watch.ended().expect("a reason").reason, Reason::Expired);
    let late = api.watch(maps, None, &since(from)).err().expect("late");
    assert_eq!(late.message, format!("too old resource version: {from} ({})", from + 1));
    // Nothing happened to other kinds, so that nothing of them is forgotten.
    api.watch(of("secrets"), None, &since(from)).expect("watches");
}

#[tokio::test]
async fn a_streaming_list_ends_with_its_mark() {
    let api = api();
    let query = WatchQuery {
        initial_events: true,
        ..WatchQuery::default()
    };
    let mut watch = api.watch(of("namespaces"), None, &query).expect("watches");
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        let event = watch.next().await.expect("an event");
        assert_eq!((event.kind, meta::name(&event.object)), (EventKind::Added, name));
    }
    let mark = watch.next().await.expect("an event");
    assert_eq!(mark.kind, EventKind::Bookmark);
    assert_eq!(
        meta::annotation(&mark.object, "k8s.io/initial-events-end"),
        Some("true")
    );
}

#[tokio::test]
async fn an_informer_survives_a_cut_link_and_misses_nothing() {
    let api = api();
    let maps = of("configmaps");
    let link = Link::new();
    api.create(maps, "default", config_map("a")).expect("created");
    let mut informer = Informer::start(&api.behind(link.clone()), maps, ListQuery::default());
    assert!(matches!(informer.recv().await, Change::Put { old: None, .. }));
    assert!(matches!(informer.recv().await, Change::Synced));
    link.cut();
    let cut = api.behind(link.clone()).get(maps, "default", "a").expect_err("cut");
    assert_eq!(cut.reason, Reason::ServiceUnavailable);
    api.delete(maps, "default", "a", &DeleteOptions::default())
        .expect("deleted");
    api.create(maps, "default", config_map("b")).expect("created");
    api.compact();
    let waiting = tokio::time::timeout(std::time::Duration::from_millis(60), informer.recv());
    waiting.await.expect_err("nothing goes through");
    link.heal();
    assert!(matches!(informer.recv().await, Change::Gone(object) if meta::name(&object) == "a"));
    assert!(matches!(informer.recv().await, Change::Put { new, old: None } if meta::name(&new) == "b"));
    assert_eq!(informer.cache().list(Some("default")).len(), 1);
}

#[test]
fn an_eviction_asks_the_budget() {
    let api = api();
    let (pods, budgets) = (of("pods"), of("poddisruptionbudgets"));
    let mut running = pod("a");
    meta::set_label(&mut running, "app", "web");
    api.create(pods, "default", running).expect("created");
    api.bind("default", "a", "n").expect("bound");
    api.edit(pods, "default", "a", Part::Status, |pod| {
        meta::set(pod, &["status", "phase"], "Running");
        meta::set_condition(pod, "Ready", "True", "", "", "2026-01-01T00:00:00Z");
    })
    .expect("runs");
    let budget =
        json!({"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    api.create(budgets, "default", budget).expect("created");
    let allow = |allowed: i64| {
        api.edit(budgets, "default", "b", Part::Status, |budget| {
            budget["status"] = json!({"observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": 1,
                "desiredHealthy": 1, "expectedPods": 1});
        })
        .expect("counted");
    };
    allow(0);
    let refused = api
        .evict("default", "a", &DeleteOptions::default())
        .expect_err("refused");
    assert_eq!(refused.reason, Reason::TooManyRequests);
    let cause = &refused.object()["details"]["causes"][0];
    assert_eq!(cause["reason"], "DisruptionBudget");
    assert_eq!(
        cause["message"],
        "The disruption budget b needs 1 healthy pods and has 1 currently"
    );
    allow(1);
    api.evict("default", "a", &DeleteOptions::default()).expect("evicted");
    let left = api.get(pods, "default", "a").expect("has its grace");
    assert!(meta::is_deleting(&left) && meta::is_true(&left, "DisruptionTarget"));
    let budget = api.get(budgets, "default", "b").expect("there");
    assert_eq!(budget["status"]["disruptionsAllowed"], 0);
    assert!(budget["status"]["disruptedPods"].get("a").is_some());
}

#[test]
fn events_of_the_same_happening_are_counted() {
    let api = api();
    let pod = api.create(of("pods"), "default", pod("a")).expect("created");
    for _ in 0..3 {
        api.record(&pod, "Warning", "Late", "it is late", "clock");
    }
    let query = ListQuery {
        fields: Fields::parse(of("events"), "involvedObject.name=a").expect("good"),
        ..ListQuery::default()
    };
    let events = api.list(of("events"), None, &query).expect("listed").items;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["count"], 3);
}

struct OnlyThree;

impl Admission for OnlyThree {
    fn admit(&self, attempt: &mut Attempt<'_>) -> Result<(), Status> {
        if attempt.kind.kind != "ConfigMap" || attempt.verb != Verb::Create {
            return Ok(());
        }
        let have = attempt.store.list(attempt.kind, Some(attempt.namespace)).count();
        if have >= 3 {
            return Err(Status::forbidden(attempt.kind, attempt.name, "there are three"));
        }
        if let Some(object) = &mut attempt.object {
            meta::set_annotation(object, "seen-by", &attempt.user.name);
        }
        Ok(())
    }
}

#[test]
fn admission_changes_and_refuses_though_many_ask_at_once() {
    let api = Api::new(Settings {
        admission: vec![std::sync::Arc::new(OnlyThree)],
        ..Settings::default()
    })
    .expect("starts");
    let maps = of("configmaps");
    let made: usize = std::thread::scope(|scope| {
        let each: Vec<_> = (0..8)
            .map(|n| {
                let api = api.clone();
                scope.spawn(move || api.create(maps, "default", config_map(&format!("c{n}"))).is_ok())
            })
            .collect();
        each.into_iter()
            .map(|one| usize::from(one.join().expect("no panic")))
            .sum()
    });
    assert_eq!(made, 3);
    let list = api.list(maps, None, &ListQuery::default()).expect("listed");
    assert_eq!(meta::annotation(&list.items[0], "seen-by"), Some("system:apiserver"));
}
