//! Spans of time in messages.

use std::time::Duration;

/// As Go writes it, in whole seconds: `10s`, `1m20s`, `5m0s`, `1h0m0s`.
pub(crate) fn in_go(span: Duration) -> String {
    let seconds = span.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_go_writes_them() {
        let shown = [10, 80, 300, 3600].map(|seconds| in_go(Duration::from_secs(seconds)));
        assert_eq!(shown, ["10s", "1m20s", "5m0s", "1h0m0s"]);
    }
}
