//! Probes and hooks: what is asked of a container, by whom, and what the answers come to.

mod dial;
mod grpc;
mod http;
mod tls;

use std::net::Ipv4Addr;
use std::time::Duration;

use objects::meta;
use serde_json::Value;

use crate::causes;
use crate::context::Context;
use crate::engine::Container;
use crate::span;

/// Which probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Startup,
    Readiness,
    Liveness,
}

impl Which {
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Startup => "startupProbe",
            Self::Readiness => "readinessProbe",
            Self::Liveness => "livenessProbe",
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }
}

/// What is done to find out, or as a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Handler {
    Exec(Vec<String>),
    Http(http::Get),
    Tcp {
        host: String,
        port: u16,
    },
    Grpc(grpc::Check),
    Sleep(Duration),
    /// Nothing that is served.
    Unknown(String),
}

impl Handler {
    /// Reads a probe or a hook of a container.
    pub(crate) fn of(value: &Value, container: &Value) -> Self {
        if let Some(exec) = value.get("exec") {
            let words = meta::list(exec, &["command"]).iter();
            return Self::Exec(words.filter_map(Value::as_str).map(String::from).collect());
        }
        let port = |of: &Value| port(of.get("port"), container);
        if let Some(get) = value.get("httpGet") {
            return match port(get) {
                Some(port) => Self::Http(http::Get::of(get, port)),
                None => Self::Unknown("the container has no port of that name".into()),
            };
        }
        if let Some(socket) = value.get("tcpSocket") {
            let host = meta::text(socket, &["host"]).to_owned();
            return match port(socket) {
                Some(port) => Self::Tcp { host, port },
                None => Self::Unknown("the container has no port of that name".into()),
            };
        }
        if let Some(grpc) = value.get("grpc") {
            return match port(grpc) {
                Some(port) => Self::Grpc(grpc::Check::of(grpc, port)),
                None => Self::Unknown("a gRPC probe needs a port".into()),
            };
        }
        if let Some(sleep) = value.get("sleep") {
            let seconds = meta::number(sleep, &["seconds"]).unwrap_or(0);
            return Self::Sleep(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        }
        Self::Unknown("only exec, httpGet, tcpSocket and grpc are served".into())
    }
}

fn port(value: Option<&Value>, container: &Value) -> Option<u16> {
    let number = |value: &Value| u16::try_from(value.as_i64()?).ok();
    let value = value?;
    if let Some(port) = number(value) {
        return Some(port);
    }
    let name = value.as_str()?;
    if let Ok(port) = name.parse() {
        return Some(port);
    }
    let ports = meta::list(container, &["ports"]).iter();
    let mut named = ports.filter(|port| meta::text(port, &["name"]) == name);
    number(named.next()?.get("containerPort")?)
}

/// When and how often a probe asks, and how many answers count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) handler: Handler,
    pub(crate) initial_delay: Duration,
    pub(crate) period: Duration,
    pub(crate) timeout: Duration,
    pub(crate) successes: u32,
    pub(crate) failures: u32,
    /// Of the container that it wants gone.
    pub(crate) grace: Option<i64>,
}

impl Settings {
    pub(crate) fn of(probe: &Value, container: &Value) -> Self {
        let number = |key: &str, otherwise: u64| {
            let given = meta::number(probe, &[key]).and_then(|n| u64::try_from(n).ok());
            given.unwrap_or(otherwise)
        };
        let count = |key: &str, otherwise| u32::try_from(number(key, otherwise)).unwrap_or(u32::MAX).max(1);
        Self {
            handler: Handler::of(probe, container),
            initial_delay: Duration::from_secs(number("initialDelaySeconds", 0)),
            period: Duration::from_secs(number("periodSeconds", 10).max(1)),
            timeout: Duration::from_secs(number("timeoutSeconds", 1).max(1)),
            successes: count("successThreshold", 1),
            failures: count("failureThreshold", 3),
            grace: meta::number(probe, &["terminationGracePeriodSeconds"]),
        }
    }
}

/// Answers in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Row {
    last: Option<bool>,
    length: u32,
}

impl Row {
    /// Takes an answer; tells what the probe says now if there were enough in a row.
    pub(crate) fn note(&mut self, answer: bool, settings: &Settings) -> Option<bool> {
        self.length = if self.last == Some(answer) {
            self.length.saturating_add(1)
        } else {
            1
        };
        self.last = Some(answer);
        let needed = if answer { settings.successes } else { settings.failures };
        (self.length >= needed).then_some(answer)
    }
}

/// What came of asking once, in a kubelet's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Success,
    /// As good as a success, but an event tells of it.
    Warning(String),
    Failure(String),
    /// It could not be asked: that counts for nothing, and an event tells what it resulted in, and why.
    Error(&'static str, String),
}

impl Answer {
    /// What counts.
    pub(crate) fn is_good(&self) -> Option<bool> {
        match self {
            Self::Success | Self::Warning(_) => Some(true),
            Self::Failure(_) => Some(false),
            Self::Error(..) => None,
        }
    }

    /// Reason and message of the event.
    pub(crate) fn event(&self, which: Which) -> Option<(&'static str, String)> {
        let word = which.word();
        Some(match self {
            Self::Success => return None,
            Self::Warning(why) => ("ProbeWarning", format!("{word} probe warning: {}", why.trim_end())),
            Self::Failure(why) => ("Unhealthy", format!("{word} probe failed: {}", why.trim_end())),
            Self::Error(state, why) => {
                let text = format!("{word} probe errored and resulted in {state} state: {}", why.trim_end());
                ("Unhealthy", text)
            }
        })
    }
}

/// Asks once.
pub(crate) async fn ask(
    handler: &Handler,
    timeout: Duration,
    context: &Context,
    container: &Container,
    address: Ipv4Addr,
) -> Answer {
    match handler {
        Handler::Exec(command) => match context.engine.command(container, command, timeout).await {
            Ok((Some(ended), _)) if ended.code == 0 => Answer::Success,
            Ok((Some(_), output)) => Answer::Failure(output),
            Ok((None, _)) => Answer::Failure(format!(
                "command timed out: \"{}\" timed out after {}",
                command.join(" "),
                span::in_go(timeout)
            )),
            Err(error) => Answer::Error("unknown", causes::chain(&error)),
        },
        Handler::Http(get) => get.ask(&context.network, timeout, address).await,
        Handler::Tcp { host, port } => {
            let host = dial::host(host, address);
            let connect = dial::connect(&context.network, &host, *port);
            match tokio::time::timeout(timeout, connect).await {
                Ok(Ok(_)) => Answer::Success,
                Ok(Err(why)) => Answer::Failure(why),
                Err(_) => Answer::Failure(format!("dial tcp {host}:{port}: i/o timeout")),
            }
        }
        Handler::Grpc(check) => check.ask(&context.network, timeout, address).await,
        Handler::Sleep(time) => {
            tokio::time::sleep(*time).await;
            Answer::Success
        }
        Handler::Unknown(why) => Answer::Error("unknown", why.clone()),
    }
}

/// Does what a hook asks for. The error is what the event says.
pub(crate) async fn hook(
    handler: &Handler,
    timeout: Duration,
    context: &Context,
    container: &Container,
    address: Ipv4Addr,
) -> Result<(), String> {
    match handler {
        Handler::Http(get) => get.call(&context.network, timeout, address).await,
        other => match ask(other, timeout, context, container, address).await {
            Answer::Success | Answer::Warning(_) => Ok(()),
            Answer::Failure(why) | Answer::Error(_, why) => Err(why),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_probe_changes_its_mind_after_enough_answers_in_a_row() {
        let settings = Settings::of(
            &json!({"exec": {"command": ["true"]}, "successThreshold": 2, "failureThreshold": 3}),
            &json!({}),
        );
        let mut row = Row::default();
        let said: Vec<_> = [true, true, false, false, true, false, false, false]
            .into_iter()
            .map(|answer| row.note(answer, &settings))
            .collect();
        assert_eq!(said, [None, Some(true), None, None, None, None, None, Some(false)]);
    }

    #[test]
    fn ports_may_be_named() {
        let container = json!({"ports": [{"name": "web", "containerPort": 8080}]});
        let get = Handler::of(&json!({"httpGet": {"path": "/x", "port": "web"}}), &container);
        assert_eq!(get, Handler::Http(http::Get::of(&json!({"path": "/x"}), 8080)));
        assert_eq!(
            Handler::of(&json!({"tcpSocket": {"port": 5}}), &container),
            Handler::Tcp {
                host: String::new(),
                port: 5
            }
        );
        assert!(matches!(
            Handler::of(&json!({"tcpSocket": {"port": "none"}}), &container),
            Handler::Unknown(_)
        ));
    }

    #[test]
    fn what_could_not_be_asked_counts_for_nothing() {
        let told = |answer: Answer| (answer.is_good(), answer.event(Which::Readiness));
        assert_eq!(told(Answer::Success), (Some(true), None));
        let (good, event) = told(Answer::Error("unknown", "why\n".into()));
        let text = "Readiness probe errored and resulted in unknown state: why";
        assert_eq!((good, event), (None, Some(("Unhealthy", text.to_owned()))));
    }

    #[test]
    fn what_is_not_said_is_as_kubernetes_has_it() {
        let settings = Settings::of(&json!({"tcpSocket": {"port": 1}}), &json!({}));
        let seconds = |time: Duration| time.as_secs();
        assert_eq!(
            (
                seconds(settings.period),
                seconds(settings.timeout),
                settings.successes,
                settings.failures
            ),
            (10, 1, 1, 3)
        );
    }
}
