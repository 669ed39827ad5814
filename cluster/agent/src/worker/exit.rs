//! The end of a container: its code, its reason, its last words.

use std::path::Path;
use std::time::SystemTime;

use objects::{meta, time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Event, State, Worker};
use crate::context::Context;
use crate::engine::Container;
use crate::log::read::{Reader, Wanted};
use crate::next::Role;
use crate::process::Ended;

/// Last words are cut after this.
const LONGEST: usize = 4096;
/// Where logs take the place of last words: so many lines, so many bytes.
const LINES: usize = 80;
const BYTES: usize = 2048;

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) started: String,
    pub(crate) finished: String,
    pub(crate) id: String,
}

impl Exit {
    /// Of a container that the runtime did not take.
    pub(super) fn not_begun(message: String) -> Self {
        let now = time::seconds(SystemTime::now());
        Self {
            code: 128,
            signal: None,
            reason: "StartError".into(),
            message,
            started: now.clone(),
            finished: now,
            id: String::new(),
        }
    }

    /// For an agent that comes later.
    pub(super) fn write_down(&self, directory: &Path) {
        let text = serde_json::to_vec(self).unwrap_or_default();
        let _lost = std::fs::write(directory.join("exit.json"), text).is_err();
    }

    /// Of a container of which nothing is left to ask.
    pub(super) fn unknown(started: String) -> Self {
        Self {
            code: 137,
            signal: None,
            reason: "ContainerStatusUnknown".into(),
            message: "The container could not be located when the pod was terminated".into(),
            started,
            finished: time::seconds(SystemTime::now()),
            id: String::new(),
        }
    }

    /// `state.terminated`.
    pub(super) fn shown(&self) -> Value {
        let mut terminated = json!({
            "exitCode": self.code, "reason": self.reason, "startedAt": self.started, "finishedAt": self.finished,
        });
        if !self.id.is_empty() {
            terminated["containerID"] = json!(format!("plimsoll://{}", self.id));
        }
        // A code of 128 and more says the signal already, as the CRI has it.
        if !self.message.is_empty() {
            terminated["message"] = json!(self.message);
        }
        json!({"terminated": terminated})
    }
}

/// `Completed`, `Error` or `OOMKilled`.
fn reason(ended: Ended, oom_kills: u64) -> &'static str {
    match ended.code {
        0 => "Completed",
        _ if oom_kills > 0 => "OOMKilled",
        _ => "Error",
    }
}

/// What the container left to say.
fn last_words(spec: &Value, directory: &Path, log: &Path, code: i32) -> String {
    let bytes = std::fs::read(directory.join("termination-log")).unwrap_or_default();
    let from = bytes.len().saturating_sub(LONGEST);
    let words = String::from_utf8_lossy(&bytes[from..]).into_owned();
    if !words.is_empty() || code == 0 || meta::text(spec, &["terminationMessagePolicy"]) != "FallbackToLogsOnError" {
        return words;
    }
    let tail = Wanted {
        tail: Some(LINES),
        ..Wanted::default()
    };
    let lines = Reader::new(tail).take(&std::fs::read(log).unwrap_or_default());
    let from = lines.len().saturating_sub(BYTES);
    String::from_utf8_lossy(&lines[from..]).into_owned()
}

/// Finds out how a container ended, whose process is gone.
pub(super) async fn find_out(context: &Context, spec: &Value, container: &Container, log: &Path, ended: Ended) -> Exit {
    container.output.drained().await;
    let faults = &context.faults;
    let oom_kills = context.tree.oom_kills(&container.group);
    let mut exit = Exit {
        code: ended.code,
        signal: ended.signal,
        reason: reason(ended, oom_kills).into(),
        message: last_words(spec, &container.directory, log, ended.code),
        started: time::seconds(container.started),
        finished: time::seconds(SystemTime::now()),
        id: container.id.clone(),
    };
    if faults.has("oom-reported-as-error") && exit.reason == "OOMKilled" {
        exit.reason = "Error".into();
    }
    if faults.has("termination-message-dropped") {
        exit.message.clear();
    }
    if faults.has("exit-code-zero") {
        (exit.code, exit.signal, exit.reason) = (0, None, "Completed".into());
    }
    exit.write_down(&container.directory);
    exit
}

impl Worker {
    /// Waits for the end of a container that runs, tells of it, and takes away what it leaves.
    pub(super) fn watch(&mut self, at: usize, attempt: u32) {
        let State::Running(running) = &self.containers[at].state else {
            return;
        };
        let container = running.container.clone();
        let spec = self.spec(at).cloned().unwrap_or(Value::Null);
        let log = self.log_of(at, attempt);
        let (context, tell) = (self.context.clone(), self.tell.clone());
        self.watchers.retain(|watcher| !watcher.is_finished());
        self.watchers.push(tokio::spawn(async move {
            let ended = container.process.wait().await;
            let exit = find_out(&context, &spec, &container, &log, ended).await;
            // A frozen agent sees nothing.
            context.go_on().await;
            // In a PID namespace that others share, what it left behind goes on.
            context.tree.kill(&container.group);
            let _gone = tell.send(Event::Exited(at, attempt, exit)).is_err();
            let _left = context.engine.delete(&container).await.is_err();
            super::start::discard(&container.directory).await;
        }));
    }

    pub(super) fn exited(&mut self, at: usize, attempt: u32, exit: Exit) {
        let now = self.now();
        let uid = meta::uid(&self.pod).to_owned();
        let log = self.log_of(at, attempt);
        let backoff_dropped = self.context.faults.has("backoff-dropped");
        let one = &mut self.containers[at];
        if one.attempt != attempt {
            return;
        }
        let done = one.role == Role::Init && exit.code == 0;
        if !done {
            let begin = one.backoff.after(now);
            one.not_before = if backoff_dropped { now } else { begin };
        }
        one.state = State::Exited(exit);
        let name = one.name.clone();
        if one.not_before > now && self.ending.is_none() {
            let text = format!(
                "Back-off restarting failed container {name} in pod {}_{}({uid})",
                meta::name(&self.pod),
                meta::namespace(&self.pod)
            );
            self.context.tell(&self.pod, "Warning", "BackOff", &text);
        }
        self.context.show(&uid, &name, |seen| {
            seen.running = None;
            seen.log = Some(log);
            seen.waiting = String::new();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_failed_can_have_been_killed_for_want_of_memory() {
        let ended = |code| Ended { code, signal: None };
        assert_eq!(reason(ended(0), 1), "Completed");
        assert_eq!(reason(ended(137), 1), "OOMKilled");
        assert_eq!(reason(ended(137), 0), "Error");
    }

    #[test]
    fn logs_are_last_words_only_where_asked_for_and_after_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("0.log");
        std::fs::write(&log, "2026-01-01T00:00:00Z stdout F no luck\n").unwrap();
        let spec = json!({"terminationMessagePolicy": "FallbackToLogsOnError"});
        let words = |spec: &Value, code| last_words(spec, directory.path(), &log, code);
        assert_eq!((words(&spec, 1).as_str(), words(&spec, 0).as_str()), ("no luck\n", ""));
        assert_eq!(words(&json!({}), 1), "");
        std::fs::write(directory.path().join("termination-log"), "goodbye").unwrap();
        assert_eq!(words(&spec, 1), "goodbye");
    }
}
