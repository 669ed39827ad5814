//! What was acknowledged is there again after a start.

use apiserver::{Api, DeleteOptions, ListQuery, Part, Settings, WatchQuery};
use objects::{Reason, kind, meta};
use serde_json::json;

#[test]
fn acknowledged_writes_survive_and_revisions_go_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let start = || {
        Api::new(Settings {
            keep: Some(directory.path().join("objects")),
            ..Settings::default()
        })
        .expect("starts")
    };
    let maps = kind::find("", "v1", "configmaps").expect("served");
    let api = start();
    for name in ["a", "b"] {
        api.create(maps, "default", json!({"metadata": {"name": name}, "data": {"n": "0"}}))
            .expect("created");
    }
    let changed = api
        .edit(maps, "default", "a", Part::Main, |map| map["data"]["n"] = "1".into())
        .expect("edited");
    api.delete(maps, "default", "b", &DeleteOptions::default())
        .expect("deleted");
    let revision = api.revision();
    // Nothing is said to the first: it is as if it was killed.
    std::mem::forget(api);

    let api = start();
    assert_eq!(api.revision(), revision);
    let list = api.list(maps, None, &ListQuery::default()).expect("listed");
    assert_eq!(list.items, [changed]);
    let old = WatchQuery {
        list: ListQuery {
            resource_version: (revision - 1).to_string(),
            ..ListQuery::default()
        },
        ..WatchQuery::default()
    };
    let forgotten = api.watch(maps, None, &old).err().expect("events are not kept");
    assert_eq!(forgotten.reason, Reason::Expired);
    let next = api
        .create(maps, "default", json!({"metadata": {"name": "c"}}))
        .expect("created");
    assert!(meta::revision(&next).is_some_and(|next| next > revision));
}
