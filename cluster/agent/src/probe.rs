//! Probes and hooks: what is asked of a container, by whom, and what the answers come to.

pub(crate) mod http;

use std::net::Ipv4Addr;
use std::time::Duration;

use objects::meta;
use serde_json::Value;

use crate::context::Context;
use crate::engine::Container;

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
            return match (meta::text(get, &["scheme"]), port(get)) {
                ("HTTPS", _) => Self::Unknown("HTTPS probes are not served".into()),
                (_, Some(port)) => Self::Http(http::Get::of(get, port)),
                (_, None) => Self::Unknown("the container has no port of that name".into()),
            };
        }
        if let Some(socket) = value.get("tcpSocket") {
            let host = meta::text(socket, &["host"]).to_owned();
            return match port(socket) {
                Some(port) => Self::Tcp { host, port },
                None => Self::Unknown("the container has no port of that name".into()),
            };
        }
        if let Some(sleep) = value.get("sleep") {
            let seconds = meta::number(sleep, &["seconds"]).unwrap_or(0);
            return Self::Sleep(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        }
        Self::Unknown("only exec, httpGet and tcpSocket are served".into())
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

/// Asks once. The error is what the event says.
pub(crate) async fn ask(
    handler: &Handler,
    timeout: Duration,
    context: &Context,
    container: &Container,
    address: Ipv4Addr,
) -> Result<String, String> {
    match handler {
        Handler::Exec(command) => match context.engine.command(container, command, timeout).await {
            Ok((Some(ended), output)) if ended.code == 0 => Ok(output),
            Ok((Some(_), output)) => Err(output),
            Ok((None, _)) => Err(format!(
                "command timed out: \"{}\" timed out after {}s",
                command.join(" "),
                timeout.as_secs()
            )),
            Err(error) => Err(error.to_string()),
        },
        Handler::Http(get) => {
            let url = get.url(address);
            match tokio::time::timeout(timeout, get.run(context, address)).await {
                Ok(Ok(status @ 200..400)) => Ok(status.to_string()),
                Ok(Ok(status)) => Err(format!("HTTP probe failed with statuscode: {status}")),
                Ok(Err(error)) => Err(format!("Get \"{url}\": {error}")),
                Err(_) => Err(format!(
                    "Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
                )),
            }
        }
        Handler::Tcp { host, port } => {
            let host = http::host(host, address);
            let at = format!("{host}:{port}");
            match tokio::time::timeout(timeout, http::connect(context, &host, *port)).await {
                Ok(Ok(_)) => Ok(String::new()),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(format!("dial tcp {at}: i/o timeout")),
            }
        }
        Handler::Sleep(time) => {
            tokio::time::sleep(*time).await;
            Ok(String::new())
        }
        Handler::Unknown(why) => Err(why.clone()),
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
        assert!(matches!(get, Handler::Http(get) if get.url(Ipv4Addr::LOCALHOST) == "http://127.0.0.1:8080/x"));
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
