//! Connections, and the way of a request: who asks, whether it may, and then the answer.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use hyper::{HeaderMap, Request, body::Incoming, header::ACCEPT, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use objects::{Reason, Status, openapi};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Shared,
    answer::{self, Answer, JSON},
    authentication, authorization, body, discovery,
    extension::ExtensionRequest,
    limits::{CONNECTIONS, too_many},
    negotiation,
    parameters::Parameters,
    path::{self, Place, Target, absent},
    pod,
    request_log::RequestEntry,
    resource::{Call, not_allowed},
};
use crate::User;

/// How long a connection may be idle; longer than clients keep one.
const IDLE: Duration = Duration::from_secs(120);
/// How long a client may take to say hello.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long nobody is taken when a connection could not be.
const PAUSE: Duration = Duration::from_millis(50);
/// Requests of one HTTP/2 connection at a time.
const STREAMS: u32 = 256;

pub(crate) async fn accept(listener: &TcpListener, acceptor: &TlsAcceptor, shared: &Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Dropping the set ends all of them.
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Too many open files, or a client that left at once.
            Err(_) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let (acceptor, shared) = (acceptor.clone(), shared.clone());
        connections.spawn(async move {
            let _place = place;
            serve(stream, &acceptor, shared).await;
        });
    }
}

async fn serve(stream: TcpStream, acceptor: &TlsAcceptor, shared: Arc<Shared>) {
    // Answers are small; waiting for more of them only costs time. A socket that refuses is a slower one.
    let _slower = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await else {
        return;
    };
    let (_, tls) = stream.get_ref();
    let certificate = tls.peer_certificates().and_then(|all| all.first());
    let user = Arc::new(certificate.and_then(|one| authentication::by_certificate(one)));
    let service = service_fn(move |request| {
        let (shared, user) = (shared.clone(), user.clone());
        async move { Ok::<_, Infallible>(handle(&shared, user.as_ref().as_ref(), request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Some(Duration::from_secs(30)));
    // How a connection ends is the client's affair.
    let _ended = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}

async fn handle(shared: &Shared, certificate: Option<&User>, request: Request<Incoming>) -> Answer {
    let began = (SystemTime::now(), Instant::now());
    let path = request.uri().path().to_owned();
    let parameters = Parameters::parse(request.uri().query());
    let target = path::parse(&path);
    let place = match &target {
        Ok(Target::Resource(place)) => Some(place),
        _ => None,
    };
    let verb = authorization::verb(
        request.method().as_str(),
        place,
        parameters.flag("watch") && place.is_some(),
    );
    let resource = place.map_or("", |place| place.kind.plural);
    let mut who = String::new();
    let answer = match target {
        Err(status) => Err(status),
        Ok(target) => {
            let asked = Asked {
                shared,
                certificate,
                verb,
                path: &path,
                parameters: &parameters,
            };
            asked.answer(&target, request, &mut who).await
        }
    };
    let answer = answer.unwrap_or_else(|status| answer::refusal(&status));
    let entry = RequestEntry {
        time: began.0,
        user: who,
        verb,
        path,
        code: answer.status().as_u16(),
        took: began.1.elapsed(),
    };
    shared.log.add(entry, resource);
    answer
}

struct Asked<'a> {
    shared: &'a Shared,
    certificate: Option<&'a User>,
    verb: &'static str,
    path: &'a str,
    parameters: &'a Parameters,
}

impl Asked<'_> {
    async fn answer(&self, target: &Target, request: Request<Incoming>, who: &mut String) -> Result<Answer, Status> {
        let reads = request.method() == "GET";
        match target {
            Target::Health if reads => return Ok(answer::bytes(200, "text/plain; charset=utf-8", "ok")),
            Target::Version if reads => return Ok(answer::json(200, &discovery::version())),
            _ => {}
        }
        let api = &self.shared.api;
        let user = authentication::authenticate(api, &self.shared.tokens, self.certificate, request.headers())?;
        who.clone_from(&user.name);
        authorization::check(&*self.shared.authorizer, &user, self.verb, target, self.path)?;
        match target {
            Target::Resource(place) => self.resource(place, user, request).await,
            Target::Extension => self.extension(user, request).await,
            _ if !reads => Err(not_allowed()),
            target => self.fixed(target, request.headers()),
        }
    }

    fn fixed(&self, target: &Target, headers: &HeaderMap) -> Result<Answer, Status> {
        let accept = headers
            .get(ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let discovered = |core: bool, old: fn() -> serde_json::Value| match negotiation::aggregated(accept) {
            None => answer::json(200, &old()),
            Some(version) => {
                let media = format!("{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
                let body = serde_json::to_vec(&discovery::aggregated(core, version)).unwrap_or_default();
                answer::bytes(200, &media, body)
            }
        };
        Ok(match target {
            Target::Root => answer::json(200, &discovery::paths()),
            Target::Core => discovered(true, discovery::core),
            Target::Groups => discovered(false, discovery::all_groups),
            Target::Group(group) => answer::json(200, &discovery::group(group)),
            Target::GroupVersion(group, version) => answer::json(200, &discovery::resources(group, version)),
            Target::OpenApiV2 => answer::bytes(200, openapi::v2::CONTENT_TYPE, openapi::v2::document()),
            Target::OpenApiV3(None) => answer::json(200, &openapi::v3_index()),
            Target::OpenApiV3(Some((group, version))) => {
                answer::json(200, &openapi::v3(group, version).ok_or_else(absent)?)
            }
            Target::Metrics => answer::bytes(200, "text/plain; version=0.0.4", self.shared.log.metrics()),
            _ => return Err(absent()),
        })
    }

    async fn body(&self, request: Request<Incoming>) -> Result<(HeaderMap, Bytes), Status> {
        let (head, incoming) = request.into_parts();
        let _place = self
            .shared
            .bodies
            .try_acquire()
            .map_err(|_| too_many("too many bodies are being sent".into()))?;
        Ok((head.headers, body::read(incoming).await?))
    }

    async fn resource(&self, place: &Place, user: User, request: Request<Incoming>) -> Result<Answer, Status> {
        let streams = &self.shared.streams;
        let method = request.method().as_str().to_owned();
        if let (Some(sub), Some(pod)) = (place.sub, &place.name) {
            let open = |api: &crate::Api| streams.open(&api.user().name);
            let api = self.shared.api.acting_as(user.clone());
            let (namespace, parameters) = (place.namespace(), self.parameters);
            match (sub.name, method.as_str()) {
                ("log", "GET") => return pod::log(&api, namespace, pod, parameters, open(&api)?),
                ("exec" | "attach", "GET" | "POST") => {
                    let attach = sub.name == "attach";
                    return pod::command(&api, namespace, pod, parameters, request, attach, open(&api)?);
                }
                _ => {}
            }
        }
        let (headers, body) = self.body(request).await?;
        let call = Call {
            api: self.shared.api.acting_as(user),
            method: &method,
            place,
            parameters: self.parameters,
            headers: &headers,
            body,
            streams,
        };
        call.answer()
    }

    async fn extension(&self, user: User, request: Request<Incoming>) -> Result<Answer, Status> {
        let Some(extension) = &self.shared.extension else {
            return Err(absent());
        };
        let method = request.method().as_str().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let (_, body) = self.body(request).await?;
        let asked = ExtensionRequest {
            user,
            method,
            path: self.path.to_owned(),
            query,
            body,
        };
        let answered = extension.handle(asked).await;
        if answered.code < 100 {
            return Err(Status::new(Reason::InternalError, "the extension gave no answer"));
        }
        Ok(answer::bytes(answered.code, &answered.content_type, answered.body))
    }
}
