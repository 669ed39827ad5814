//! A file or directory.

use record::{Seen, Verdict};
use serde_json::Value;
use spec::check::FileCheck;

use super::{evidence::Evidence, matcher::Unit};

pub(super) fn judge(want: &FileCheck, seen: &Seen) -> Option<Verdict> {
    let Seen::File {
        exists,
        kind,
        content,
        mode,
        uid,
        gid,
        size,
        entries,
    } = seen
    else {
        return None;
    };
    let parts = [
        ("type", &want.kind, kind.clone().map(Value::from), Unit::Plain),
        ("content", &want.content, content.clone().map(Value::from), Unit::Plain),
        ("mode", &want.mode, mode.clone().map(Value::from), Unit::Plain),
        ("uid", &want.uid, uid.map(Value::from), Unit::Plain),
        ("gid", &want.gid, gid.map(Value::from), Unit::Plain),
        ("size", &want.size, size.map(Value::from), Unit::Bytes),
        ("entries", &want.entries, entries.clone().map(Value::from), Unit::Plain),
    ];
    let path = &want.path;
    let is = |there: bool| if there { "exists" } else { "does not exist" };
    let must_exist = want.exists.unwrap_or(true);
    let mut evidence = Evidence::default();
    if must_exist == *exists {
        evidence.held(format!("{path} {}", is(*exists)));
    } else {
        evidence.missed(format!("{path} {}", is(must_exist)), format!("{path} {}", is(*exists)));
    }
    if *exists {
        for (what, want, value, unit) in parts {
            if let Some(want) = want {
                evidence.compare(&format!("{path} {what}"), want, value.as_ref(), unit, "");
            }
        }
    }
    Some(evidence.verdict())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(want: Value, exists: bool) -> Verdict {
        let seen = Seen::File {
            exists,
            kind: exists.then(|| "file".into()),
            content: exists.then(|| "hello\n".into()),
            mode: exists.then(|| "0644".into()),
            uid: exists.then_some(0),
            gid: exists.then_some(0),
            size: exists.then_some(6),
            entries: None,
        };
        judge(&serde_json::from_value(want).unwrap(), &seen).unwrap()
    }

    #[test]
    fn a_file_must_be_there_unless_told_otherwise() {
        assert!(matches!(verdict(json!({"path": "/x"}), true), Verdict::Pass { .. }));
        assert!(matches!(verdict(json!({"path": "/x"}), false), Verdict::Fail { .. }));
        assert!(matches!(
            verdict(json!({"path": "/x", "exists": false}), false),
            Verdict::Pass { .. }
        ));
        assert!(matches!(
            verdict(json!({"path": "/x", "exists": false}), true),
            Verdict::Fail { .. }
        ));
    }

    #[test]
    fn what_it_is_and_holds_is_compared() {
        let want = json!({"path": "/x", "type": "file", "content": "hello", "mode": "0644", "uid": 0, "size": 6});
        assert!(matches!(verdict(want.clone(), true), Verdict::Pass { .. }));
        assert!(matches!(verdict(want, false), Verdict::Fail { .. }));
        for wrong in [
            json!({"path": "/x", "mode": "0600"}),
            json!({"path": "/x", "content": "hell"}),
            json!({"path": "/x", "entries": {"count": 0}}),
            json!({"path": "/x", "size": {"gt": "1Ki"}}),
        ] {
            assert!(matches!(verdict(wrong.clone(), true), Verdict::Fail { .. }), "{wrong}");
        }
    }
}
