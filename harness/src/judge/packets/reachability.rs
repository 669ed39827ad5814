//! Who reaches whom: a table of outcomes against a table of what must come.

use record::{Seen, Verdict};
use spec::check::Reachability;

use super::super::evidence::Evidence;
use super::{duration, told};

pub(in crate::judge) fn judge(want: &Reachability, seen: &Seen) -> Option<Verdict> {
    let Seen::Attempts { list, .. } = seen else {
        return None;
    };
    let mut evidence = Evidence::default();
    let mut right = 0;
    let mut slowest = 0;
    for (row, cells) in &want.0 {
        for (column, cell) in cells {
            let found = list
                .iter()
                .find(|attempt| attempt.from == *row && attempt.to == *column);
            match found {
                Some(attempt) if cell.admits(&attempt.outcome) => {
                    right += 1;
                    slowest = slowest.max(attempt.micros);
                }
                Some(attempt) => evidence.missed(format!("{row} to {column} {}", cell.word()), told(attempt)),
                None => evidence.fault(format!("nobody dialled from {row} to {column}")),
            }
        }
    }
    if right > 0 {
        evidence.held(format!(
            "all {right} cells of the table, the slowest after {}",
            duration(slowest)
        ));
    }
    Some(evidence.verdict())
}

#[cfg(test)]
mod tests {
    use record::packets::AttemptSeen;
    use serde_json::json;

    use super::*;

    fn seen(cells: &[(&str, &str, &str)]) -> Seen {
        let attempt = |(from, to, outcome): &(&str, &str, &str)| AttemptSeen {
            from: (*from).into(),
            to: (*to).into(),
            outcome: (*outcome).into(),
            ..AttemptSeen::default()
        };
        Seen::Attempts {
            list: cells.iter().map(attempt).collect(),
            wanted: cells.len() as u64,
            references: [].into(),
        }
    }

    fn table() -> Reachability {
        serde_json::from_value(json!({
            "friend": {"db": "connected", "web": "connected"},
            "stranger": {"db": "blocked", "web": "connected"},
        }))
        .unwrap()
    }

    #[test]
    fn every_cell_must_be_as_drawn() {
        let all = [
            ("friend", "db", "connected"),
            ("friend", "web", "connected"),
            ("stranger", "db", "timeout"),
            ("stranger", "web", "connected"),
        ];
        assert_eq!(judge(&table(), &seen(&all)).unwrap().word(), "pass");
        let mut leaky = all;
        leaky[2].2 = "connected";
        let Some(Verdict::Fail { want, got, .. }) = judge(&table(), &seen(&leaky)) else {
            panic!("must fail");
        };
        assert_eq!(want, "stranger to db blocked");
        assert!(got.starts_with("stranger to db: connected"), "{got}");
        // A name that leads nowhere is not blocked.
        leaky[2].2 = "unresolved";
        assert_eq!(judge(&table(), &seen(&leaky)).unwrap().word(), "fail");
    }

    #[test]
    fn a_cell_that_nobody_looked_at_is_an_error() {
        let some = [("friend", "db", "connected")];
        assert_eq!(judge(&table(), &seen(&some)).unwrap().word(), "error");
    }
}
