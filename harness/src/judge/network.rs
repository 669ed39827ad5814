//! Interfaces, routes and listening sockets.

use record::{Seen, Verdict};
use serde_json::Value;
use spec::check::NetworkCheck;

use super::{evidence::Evidence, matcher::Unit};

pub(super) fn judge(want: &NetworkCheck, seen: &Seen) -> Option<Verdict> {
    let Seen::Network {
        interfaces,
        up,
        routes,
        listening,
    } = seen
    else {
        return None;
    };
    let mut evidence = Evidence::default();
    for (what, want, list) in [
        ("interfaces", &want.interfaces, interfaces),
        ("interfaces that are up", &want.up, up),
        ("routes", &want.routes, routes),
        ("listening sockets", &want.listening, listening),
    ] {
        if let Some(want) = want {
            evidence.compare(what, want, Some(&Value::from(list.clone())), Unit::Plain, "");
        }
    }
    Some(evidence.verdict())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_list_is_compared() {
        let seen = Seen::Network {
            interfaces: vec!["lo".into()],
            up: vec!["lo".into()],
            routes: vec![],
            listening: vec!["tcp:0.0.0.0:80".into()],
        };
        for (want, holds) in [
            (
                json!({"interfaces": {"exactly": ["lo"]}, "up": {"contains": "lo"}}),
                true,
            ),
            (json!({"interfaces": {"exactly": ["lo", "eth0"]}}), false),
            (json!({"up": {"contains": "eth0"}}), false),
            (json!({"routes": {"count": 0}}), true),
            (json!({"routes": {"count": {"gte": 1}}}), false),
            (json!({"listening": {"contains": "tcp:0.0.0.0:81"}}), false),
        ] {
            let verdict = judge(&serde_json::from_value(want.clone()).unwrap(), &seen).unwrap();
            assert_eq!(matches!(verdict, Verdict::Pass { .. }), holds, "{want} {verdict:?}");
        }
    }
}
