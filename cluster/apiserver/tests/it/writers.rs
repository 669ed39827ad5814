//! Writers that get in each other's way: no update is lost, and every watcher sees the same order.

use std::collections::BTreeMap;

use apiserver::{Api, Change, Informer, ListQuery, Part, Settings, WatchQuery};
use objects::{kind, meta};
use proptest::prelude::*;
use serde_json::json;

/// What a writer does to one of few counters.
#[derive(Debug, Clone, Copy)]
enum Act {
    Add { counter: u8, by: u8 },
    Label { counter: u8, value: u8 },
}

fn acts() -> impl Strategy<Value = Vec<Vec<Act>>> {
    let act = prop_oneof![
        (0..3u8, 1..5u8).prop_map(|(counter, by)| Act::Add { counter, by }),
        (0..3u8, 0..5u8).prop_map(|(counter, value)| Act::Label { counter, value }),
    ];
    prop::collection::vec(prop::collection::vec(act, 1..20), 2..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_update_is_lost(writers in acts()) {
        let maps = kind::find("", "v1", "configmaps").expect("served");
        let api = Api::new(Settings::default()).expect("starts");
        for n in 0..3 {
            api.create(maps, "default", json!({"metadata": {"name": format!("c{n}")}, "data": {"n": "0"}})).expect("created");
        }
        let from = WatchQuery {
            list: ListQuery { resource_version: api.revision().to_string(), ..ListQuery::default() },
            ..WatchQuery::default()
        };
        std::thread::scope(|scope| {
            for acts in &writers {
                let api = api.clone();
                scope.spawn(move || {
                    for act in acts {
                        let (Act::Add { counter, .. } | Act::Label { counter, .. }) = act;
                        api.edit(maps, "default", &format!("c{counter}"), Part::Main, |map| match act {
                            Act::Add { by, .. } => {
                                let n: u64 = map["data"]["n"].as_str().expect("text").parse().expect("number");
                                map["data"]["n"] = (n + u64::from(*by)).to_string().into();
                            }
                            Act::Label { value, .. } => meta::set_label(map, "v", &value.to_string()),
                        }).expect("edited");
                    }
                });
            }
        });
        let mut wanted = BTreeMap::from([(0u8, 0u64), (1, 0), (2, 0)]);
        for act in writers.iter().flatten() {
            if let Act::Add { counter, by } = act {
                *wanted.entry(*counter).or_default() += u64::from(*by);
            }
        }
        for (counter, sum) in wanted {
            let map = api.get(maps, "default", &format!("c{counter}")).expect("there");
            prop_assert_eq!(&map["data"]["n"], &json!(sum.to_string()));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let (one, two) = runtime.block_on(async {
            (history(&api, &from).await, history(&api, &from).await)
        });
        prop_assert!(one.is_sorted());
        prop_assert_eq!(one, two);
        let cached = runtime.block_on(async {
            let mut informer = Informer::start(&api, maps, ListQuery::default());
            while !matches!(informer.recv().await, Change::Synced) {}
            informer.cache().list(None)
        });
        prop_assert_eq!(cached, api.list(maps, None, &ListQuery::default()).expect("listed").items);
    }
}

async fn history(api: &Api, from: &WatchQuery) -> Vec<u64> {
    let maps = kind::find("", "v1", "configmaps").expect("served");
    let mut watch = api.watch(maps, None, from).expect("watches");
    let mut revisions = Vec::new();
    while watch.revision() < api.revision() {
        revisions.push(watch.next().await.expect("an event").resource_version);
    }
    revisions
}
