//! What a node's agent serves of a pod: logs, and commands over an upgraded connection.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::stream;
use hyper::{
    HeaderMap, Request,
    body::Incoming,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};
use objects::{Cause, Reason, Status, meta, time};
use ring::digest;
use serde_json::Value;

use super::{
    answer::{self, Answer},
    channels::{self, Protocol},
    limits::OpenStream,
    parameters::Parameters,
};
use crate::{Api, ContainerRef, Io, LogOptions, Streams, bind::pods, metadata::bad};

/// A container, and who serves it.
struct Served {
    container: ContainerRef,
    streams: Arc<dyn Streams>,
}

fn serve(api: &Api, namespace: &str, pod: &str, container: &str) -> Result<Served, Status> {
    let object = api.get(pods()?, namespace, pod)?;
    let names = |field: &str| -> Vec<String> {
        let each = meta::list(&object, &["spec", field]).iter();
        each.map(|one| meta::text(one, &["name"]).to_owned()).collect()
    };
    let (mains, inits) = (names("containers"), names("initContainers"));
    let container = match (container, mains.as_slice()) {
        ("", [only]) => only.clone(),
        ("", many) => match default_container(&object).filter(|name| many.contains(name)) {
            Some(name) => name,
            None => {
                let mut why = format!(
                    "a container name must be specified for pod {pod}, choose one of: [{}]",
                    many.join(" ")
                );
                if !inits.is_empty() {
                    why.push_str(&format!(" or one of the init containers: [{}]", inits.join(" ")));
                }
                return Err(bad(why));
            }
        },
        (name, _) if mains.iter().chain(&inits).any(|one| one == name) => name.to_owned(),
        (name, _) => return Err(bad(format!("container {name} is not valid for pod {pod}"))),
    };
    let node = meta::text(&object, &["spec", "nodeName"]);
    if node.is_empty() {
        return Err(bad(format!("pod {pod} does not have a host assigned")));
    }
    let streams = api.streams().of(node).ok_or_else(|| {
        Status::new(
            Reason::ServiceUnavailable,
            format!("error dialing backend: nobody answers on node \"{node}\""),
        )
    })?;
    Ok(Served {
        container: ContainerRef {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            uid: meta::uid(&object).to_owned(),
            container,
        },
        streams,
    })
}

fn default_container(pod: &Value) -> Option<String> {
    meta::annotation(pod, "kubectl.kubernetes.io/default-container").map(str::to_owned)
}

/// `pods/NAME/log`
pub(crate) fn log(
    api: &Api,
    namespace: &str,
    pod: &str,
    parameters: &Parameters,
    open: OpenStream,
) -> Result<Answer, Status> {
    let options = log_options(parameters)?;
    let served = serve(api, namespace, pod, parameters.text("container"))?;
    let lines = served.streams.logs(&served.container, &options)?;
    let mut left = options.limit_bytes;
    let chunks = stream::unfold((lines, open), move |(mut lines, open)| async move {
        let chunk = lines.recv().await?;
        Some((chunk, (lines, open)))
    });
    // The agent may send more than it was asked for.
    let chunks = futures_util::StreamExt::map(chunks, move |mut chunk| {
        if let Some(left) = &mut left {
            chunk.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= chunk.len() as u64;
        }
        chunk
    });
    Ok(answer::streamed(200, "text/plain", chunks))
}

fn log_options(parameters: &Parameters) -> Result<LogOptions, Status> {
    let positive = |name: &str, least: u64| -> Result<Option<u64>, Status> {
        let Some(number) = parameters.number(name)? else {
            return Ok(None);
        };
        u64::try_from(number)
            .ok()
            .filter(|number| *number >= least)
            .map(Some)
            .ok_or_else(|| {
                let why = format!("{name}: Invalid value: {number}: must be greater than or equal to {least}");
                Status::new(Reason::Invalid, format!("PodLogOptions \"\" is invalid: {why}"))
            })
    };
    let since_seconds = positive("sinceSeconds", 1)?;
    let since_time = parameters.text("sinceTime");
    if since_seconds.is_some() && !since_time.is_empty() {
        return Err(Status::new(
            Reason::Invalid,
            "PodLogOptions \"\" is invalid: at most one of `sinceTime` or `sinceSeconds` may be specified",
        ));
    }
    let since = match since_seconds {
        Some(seconds) => SystemTime::now().checked_sub(Duration::from_secs(seconds)),
        None if since_time.is_empty() => None,
        None => Some(time::parse(since_time).ok_or_else(|| bad(format!("sinceTime: cannot parse \"{since_time}\"")))?),
    };
    Ok(LogOptions {
        follow: parameters.flag("follow"),
        previous: parameters.flag("previous"),
        timestamps: parameters.flag("timestamps"),
        tail_lines: positive("tailLines", 0)?,
        since,
        limit_bytes: positive("limitBytes", 1)?,
    })
}

/// `pods/NAME/exec` and `pods/NAME/attach`
pub(crate) fn command(
    api: &Api,
    namespace: &str,
    pod: &str,
    parameters: &Parameters,
    mut request: Request<Incoming>,
    attach: bool,
    open: OpenStream,
) -> Result<Answer, Status> {
    let io = Io {
        stdin: parameters.flag("stdin"),
        stdout: parameters.flag("stdout"),
        stderr: parameters.flag("stderr"),
        tty: parameters.flag("tty"),
    };
    let words = parameters.all("command");
    if !(io.stdin || io.stdout || io.stderr) {
        return Err(invalid(
            "stdin, stdout, stderr",
            "Required value: you must specify at least one of stdin, stdout, stderr",
        ));
    }
    if words.is_empty() && !attach {
        return Err(invalid("command", "Required value: you must specify a command"));
    }
    let served = serve(api, namespace, pod, parameters.text("container"))?;
    let upgrade = Upgrade::asked(request.headers())?;
    let session = if attach {
        served.streams.attach(&served.container, io)?
    } else {
        served.streams.exec(&served.container, words, io)?
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let _open = open;
        if let Ok(upgraded) = upgraded.await {
            channels::run(upgraded, session, upgrade.protocol).await;
        }
    });
    let mut answer = answer::bytes(101, "text/plain", "");
    let headers = answer.headers_mut();
    headers.remove(hyper::header::CONTENT_TYPE);
    answer::set(headers, CONNECTION, "Upgrade");
    answer::set(headers, UPGRADE, "websocket");
    answer::set(headers, SEC_WEBSOCKET_ACCEPT, &upgrade.accept);
    answer::set(headers, SEC_WEBSOCKET_PROTOCOL, upgrade.protocol.name());
    Ok(answer)
}

/// The way in which a client wants its streams. WebSocket today; another protocol is another variant of [`Protocol`].
struct Upgrade {
    accept: String,
    protocol: Protocol,
}

impl Upgrade {
    fn asked(headers: &HeaderMap) -> Result<Self, Status> {
        let texts = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let wants = texts(UPGRADE).any(|value| value.eq_ignore_ascii_case("websocket"));
        if !wants {
            let said: Vec<&str> = texts(UPGRADE).collect();
            return Err(bad(match said.as_slice() {
                [] => "Upgrade request required".to_owned(),
                other => format!(
                    "unable to upgrade to {}: streams are served over websocket",
                    other.join(", ")
                ),
            }));
        }
        let protocols = texts(SEC_WEBSOCKET_PROTOCOL)
            .flat_map(|value| value.split(','))
            .map(str::trim);
        let protocol = protocols
            .filter_map(Protocol::named)
            .max()
            .ok_or_else(|| bad("no sub-protocol is known: v5.channel.k8s.io and v4.channel.k8s.io are served"))?;
        let key = texts(SEC_WEBSOCKET_KEY)
            .next()
            .ok_or_else(|| bad("Sec-WebSocket-Key is missing"))?;
        Ok(Self {
            accept: accept(key),
            protocol,
        })
    }
}

/// RFC 6455, section 4.2.2.
fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

fn invalid(field: &str, message: &str) -> Status {
    let mut status = Status::new(
        Reason::Invalid,
        format!("PodExecOptions \"\" is invalid: {field}: {message}"),
    );
    status.details = Some(Box::new(objects::status::Details {
        kind: "PodExecOptions".into(),
        causes: vec![Cause {
            reason: "FieldValueRequired".into(),
            message: message.into(),
            field: field.into(),
        }],
        ..Default::default()
    }));
    status
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_key_of_the_standard_is_accepted_as_it_says() {
        assert_eq!(
            super::accept("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
