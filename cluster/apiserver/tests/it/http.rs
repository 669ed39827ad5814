//! The API over HTTPS, as a client sees it that knows nothing but HTTP.

use std::{net::TcpListener, sync::Arc, time::Duration};

use apiserver::{Api, Authority, Options, Server, Settings, Tokens, User};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, Response, body::Incoming, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use crate::echo::Echo;

const PODS: &str = "/api/v1/namespaces/default/pods";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

struct Cluster {
    port: u16,
    authority: String,
    client: (String, String),
    api: Api,
    serving: JoinHandle<()>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn user(name: &str, groups: &[&str]) -> User {
    User {
        name: name.into(),
        groups: groups.iter().map(|&group| group.into()).collect(),
        uid: String::new(),
    }
}

impl Cluster {
    fn start() -> Self {
        let api = Api::new(Settings::default()).expect("starts");
        let authority = Authority::new().expect("an authority");
        let pair = authority.client("alice", "system:masters").expect("signed");
        let mut tokens = Tokens::default();
        tokens.add("writes", user("bob", &[]));
        tokens.add("reads", user("carol", &["plimsoll:readers"]));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let options = Options {
            authority,
            tokens,
            ..Options::new(listener, api.clone()).expect("options")
        };
        let server = Server::new(options).expect("a server");
        let port = server.address().port();
        let authority = server.certificate().to_owned();
        let serving = tokio::spawn(async move { server.serve().await.expect("serves") });
        Self {
            port,
            authority,
            client: (pair.certificate, pair.key),
            api,
            serving,
        }
    }

    async fn connect(&self, certificate: bool, alpn: &[u8]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.authority.as_bytes()).expect("PEM"))
            .expect("a root");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = if certificate {
            let chain = vec![CertificateDer::from_pem_slice(self.client.0.as_bytes()).expect("PEM")];
            let key = PrivateKeyDer::from_pem_slice(self.client.1.as_bytes()).expect("PEM");
            config.with_client_auth_cert(chain, key).expect("a certificate")
        } else {
            config.with_no_client_auth()
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("connects");
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .expect("TLS")
    }

    async fn send(&self, certificate: bool, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let stream = self.connect(certificate, b"http/1.1").await;
        let (mut sender, connection) = conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.expect("an answer")
    }

    /// Asks as the owner of the client certificate.
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        Answer::of(self.send(true, request(method, path, headers, body)).await).await
    }

    async fn json(&self, method: &str, path: &str, body: Value) -> Answer {
        self.ask(method, path, &[("content-type", "application/json")], body.to_string())
            .await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    async fn with_token(&self, token: &str, method: &str, path: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers: &[(&str, &str)] = if token.is_empty() {
            &[]
        } else {
            &[("authorization", &bearer)]
        };
        Answer::of(self.send(false, request(method, path, headers, "{}")).await).await
    }
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).expect("a request")
}

struct Answer {
    code: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    async fn of(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            code: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await.expect("a body").to_bytes(),
        }
    }

    fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    fn said(&self) -> (u16, String) {
        (
            self.code,
            self.value()["reason"].as_str().unwrap_or_default().to_owned(),
        )
    }
}

fn map(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"n": "0"}})
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "a", "image": "plimsoll/probe"}]}})
}

#[tokio::test]
async fn nobody_is_let_in_unknown_and_readers_do_not_write() {
    let cluster = Cluster::start();
    for path in ["/livez", "/readyz", "/healthz", "/version", "/version/"] {
        assert_eq!(cluster.with_token("", "GET", path).await.code, 200, "{path}");
    }
    for path in ["/api", "/apis", PODS, "/openapi/v2", "/metrics", "/plimsoll/v1"] {
        assert_eq!(
            cluster.with_token("", "GET", path).await.said(),
            (401, "Unauthorized".into()),
            "{path}"
        );
    }
    assert_eq!(cluster.with_token("wrong", "GET", PODS).await.code, 401);
    assert_eq!(cluster.with_token("reads", "GET", PODS).await.code, 200);
    let refused = cluster.with_token("reads", "POST", PODS).await;
    assert_eq!(refused.said(), (403, "Forbidden".into()));
    assert_eq!(
        refused.value()["message"],
        "pods is forbidden: User \"carol\" cannot create resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    assert_eq!(cluster.with_token("reads", "DELETE", PODS).await.code, 403);
    assert_eq!(cluster.with_token("writes", "DELETE", PODS).await.code, 200);
}

#[tokio::test]
async fn a_service_account_is_known_by_its_token_while_it_is_there() {
    let cluster = Cluster::start();
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    cluster
        .json("POST", accounts, json!({"metadata": {"name": "web"}}))
        .await;
    let made = cluster
        .json(
            "POST",
            &format!("{accounts}/web/token"),
            json!({"spec": {"audiences": null}}),
        )
        .await;
    assert_eq!(made.code, 201);
    let token = made.value()["status"]["token"].as_str().expect("a token").to_owned();
    assert_eq!(cluster.with_token(&token, "GET", PODS).await.code, 200);
    let forged = format!("{}x", &token[..token.len() - 1]);
    assert_eq!(cluster.with_token(&forged, "GET", PODS).await.code, 401);
    cluster.json("DELETE", &format!("{accounts}/web"), json!({})).await;
    assert_eq!(cluster.with_token(&token, "GET", PODS).await.code, 401);
}

#[tokio::test]
async fn objects_are_made_read_changed_and_deleted() {
    let cluster = Cluster::start();
    // Python's client says neither kind nor Content-Type.
    let made = cluster.ask("POST", MAPS, &[], map("a").to_string()).await;
    assert_eq!(made.code, 201);
    let made = made.value();
    assert_eq!(
        (&made["kind"], &made["apiVersion"]),
        (&json!("ConfigMap"), &json!("v1"))
    );
    let one = format!("{MAPS}/a");
    assert_eq!(cluster.get(&one).await.value(), made);
    assert_eq!(
        cluster.json("POST", MAPS, map("a")).await.said(),
        (409, "AlreadyExists".into())
    );
    let mut changed = made.clone();
    changed["data"]["n"] = "1".into();
    assert_eq!(cluster.json("PUT", &one, changed.clone()).await.code, 200);
    assert_eq!(
        cluster.json("PUT", &one, changed).await.said(),
        (409, "Conflict".into())
    );
    for (media, patch, want) in [
        ("application/merge-patch+json", json!({"data": {"n": "2"}}), "2"),
        (
            "application/strategic-merge-patch+json",
            json!({"data": {"n": "3"}}),
            "3",
        ),
        (
            "application/json-patch+json",
            json!([{"op": "replace", "path": "/data/n", "value": "4"}]),
            "4",
        ),
    ] {
        let patched = cluster
            .ask("PATCH", &one, &[("content-type", media)], patch.to_string())
            .await;
        assert_eq!(
            (patched.code, &patched.value()["data"]["n"]),
            (200, &json!(want)),
            "{media}"
        );
    }
    assert_eq!(
        cluster.json("PATCH", &one, json!({})).await.said(),
        (415, "UnsupportedMediaType".into())
    );
    let dry = cluster.json("DELETE", &format!("{one}?dryRun=All"), json!({})).await;
    assert_eq!((dry.code, cluster.get(&one).await.code), (200, 200));
    let gone = cluster.ask("DELETE", &one, &[], "").await.value();
    assert_eq!(
        (&gone["status"], &gone["details"]["kind"]),
        (&json!("Success"), &json!("configmaps"))
    );
    assert_eq!(cluster.get(&one).await.said(), (404, "NotFound".into()));
}

#[tokio::test]
async fn what_is_applied_belongs_to_who_applied_it() {
    let cluster = Cluster::start();
    let apply = [("content-type", "application/apply-patch+yaml")];
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {n: '1'}\n";
    let one = format!("{MAPS}/a");
    assert_eq!(
        cluster.ask("PATCH", &one, &apply, yaml).await.said(),
        (422, "Invalid".into())
    );
    let made = cluster
        .ask("PATCH", &format!("{one}?fieldManager=first"), &apply, yaml)
        .await;
    assert_eq!(made.code, 201);
    assert_eq!(made.value()["metadata"]["managedFields"][0]["manager"], "first");
    let again = cluster
        .ask("PATCH", &format!("{one}?fieldManager=first"), &apply, yaml)
        .await;
    assert_eq!((again.code, again.value()), (200, made.value()));
    let other = yaml.replace("'1'", "'2'");
    let refused = cluster
        .ask("PATCH", &format!("{one}?fieldManager=second"), &apply, other.clone())
        .await;
    assert_eq!(refused.said(), (409, "Conflict".into()));
    assert!(refused.value()["message"].as_str().expect("text").contains("first"));
    let forced = cluster
        .ask("PATCH", &format!("{one}?fieldManager=second&force=true"), &apply, other)
        .await;
    assert_eq!((forced.code, &forced.value()["data"]["n"]), (200, &json!("2")));
    let merge = [
        ("content-type", "application/merge-patch+json"),
        ("user-agent", "third/1.0 (x)"),
    ];
    let merged = cluster
        .ask("PATCH", &one, &merge, "{\"data\": {\"m\": \"3\"}}")
        .await
        .value();
    let managers = merged["metadata"]["managedFields"].as_array().expect("owners").clone();
    assert!(
        managers
            .iter()
            .any(|one| one["manager"] == "third" && one["operation"] == "Update"),
        "{managers:?}"
    );
}

#[tokio::test]
async fn what_is_malformed_is_refused_and_nothing_breaks() {
    let cluster = Cluster::start();
    cluster.json("POST", MAPS, map("a")).await;
    let one = format!("{MAPS}/a");
    let deep = "[".repeat(100_000);
    for (method, path, media, body) in [
        ("POST", MAPS, "application/json", "{"),
        ("POST", MAPS, "application/json", deep.as_str()),
        ("POST", MAPS, "application/json", "[1]"),
        ("POST", MAPS, "application/json", "{\"metadata\": 3}"),
        (
            "POST",
            MAPS,
            "application/vnd.kubernetes.protobuf",
            "k8s\0\u{1}\u{2}\u{3}",
        ),
        ("POST", MAPS, "application/vnd.kubernetes.protobuf", "{}"),
        ("POST", MAPS, "application/yaml", "a: [b"),
        ("PATCH", one.as_str(), "application/merge-patch+json", "3"),
        ("PATCH", one.as_str(), "application/json-patch+json", "{}"),
        (
            "PATCH",
            one.as_str(),
            "application/json-patch+json",
            "[{\"op\": \"fly\", \"path\": \"/a\"}]",
        ),
        ("PATCH", one.as_str(), "application/strategic-merge-patch+json", "[]"),
    ] {
        let answer = cluster
            .ask(method, path, &[("content-type", media)], body.to_owned())
            .await;
        assert_eq!(answer.said(), (400, "BadRequest".into()), "{media} {body:.20}");
    }
    let large = cluster.ask("POST", MAPS, &[], vec![b' '; (3 << 20) + 1]).await;
    assert_eq!(large.said(), (413, "RequestEntityTooLarge".into()));
    let fits = json!({"metadata": {"name": "large"}, "data": {"n": "x".repeat((1 << 20) - 100)}});
    assert_eq!(cluster.json("POST", MAPS, fits).await.code, 201);
    for path in [
        "/api/v1/namespaces/../pods",
        "/api/v1/namespaces/default/pods/%2e%2e",
        "/api/v1/namespaces/default%2fpods/pods",
        "//api/v1",
    ] {
        assert_eq!(cluster.get(path).await.code, 400, "{path}");
    }
    let long = format!("{MAPS}?watch=1&timeoutSeconds=9223372036854775807");
    assert_eq!(cluster.send(true, request("GET", &long, &[], "")).await.status(), 200);
    for path in ["/nothing", "/apis/batch/v1/jobs", "/api/v1/pods/a", "/api/v1/nothing"] {
        assert_eq!(cluster.get(path).await.code, 404, "{path}");
    }
    assert_eq!(cluster.ask("POST", &one, &[], "{}").await.code, 405);
    assert_eq!(cluster.get(&one).await.code, 200);
}

#[tokio::test]
async fn unknown_fields_are_warned_of_or_refused() {
    let cluster = Cluster::start();
    let mut object = map("a");
    object["dta"] = json!({});
    let warned = cluster.json("POST", MAPS, object.clone()).await;
    assert_eq!(
        (warned.code, &warned.headers["warning"]),
        (201, &"299 - \"unknown field \\\"dta\\\"\"".parse().expect("a header"))
    );
    let refused = cluster
        .json("POST", &format!("{MAPS}?fieldValidation=Strict"), object)
        .await;
    assert_eq!(refused.code, 400);
    assert!(
        refused.value()["message"]
            .as_str()
            .expect("text")
            .contains("strict decoding error: unknown field \"dta\"")
    );
}

#[tokio::test]
async fn lists_come_in_pieces_of_one_revision() {
    let cluster = Cluster::start();
    for n in 0..7 {
        cluster.json("POST", MAPS, map(&format!("c{n}"))).await;
    }
    // kube-rs begins its query with an empty parameter.
    let first = cluster.get(&format!("{MAPS}?&limit=3")).await.value();
    assert_eq!(
        (&first["kind"], &first["metadata"]["remainingItemCount"]),
        (&json!("ConfigMapList"), &json!(4))
    );
    let token = first["metadata"]["continue"].as_str().expect("more").to_owned();
    cluster.ask("DELETE", &format!("{MAPS}/c5"), &[], "").await;
    let rest = cluster.get(&format!("{MAPS}?limit=10&continue={token}")).await.value();
    assert_eq!(
        rest["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    let names: Vec<&str> = rest["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|one| one["metadata"]["name"].as_str())
        .collect();
    assert_eq!(names, ["c3", "c4", "c5", "c6"]);
    cluster.api.compact();
    let expired = cluster.get(&format!("{MAPS}?limit=10&continue={token}")).await;
    assert_eq!(expired.said(), (410, "Expired".into()));
    let token = expired.value()["metadata"]["continue"]
        .as_str()
        .expect("another token")
        .to_owned();
    let rest = cluster.get(&format!("{MAPS}?limit=10&continue={token}")).await.value();
    assert_eq!(rest["items"].as_array().expect("items").len(), 3);
    assert_eq!(cluster.get(&format!("{MAPS}?continue=nonsense")).await.code, 400);
    let ahead = cluster.get(&format!("{MAPS}?resourceVersion=999999")).await;
    assert_eq!(ahead.said(), (504, "Timeout".into()));
    let old = first["metadata"]["resourceVersion"].as_str().expect("a version");
    let exact = cluster
        .get(&format!("{MAPS}?resourceVersion={old}&resourceVersionMatch=Exact"))
        .await;
    assert_eq!(exact.said(), (410, "Expired".into()));
    let selected = cluster
        .get("/api/v1/configmaps?fieldSelector=metadata.name%3Dc2")
        .await
        .value();
    assert_eq!(selected["items"].as_array().expect("items").len(), 1);
    assert_eq!(cluster.get(&format!("{MAPS}?labelSelector=a%20in")).await.code, 400);
}

#[tokio::test]
async fn the_form_is_what_the_client_takes() {
    let cluster = Cluster::start();
    cluster.json("POST", PODS, pod("a")).await;
    let table = [(
        "accept",
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    )];
    let rows = cluster.ask("GET", PODS, &table, "").await.value();
    assert_eq!(rows["kind"], "Table");
    assert_eq!(rows["columnDefinitions"][0]["name"], "Name");
    assert_eq!(rows["rows"][0]["cells"][0], "a");
    assert_eq!(rows["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let whole = cluster
        .ask("GET", &format!("{PODS}/a?includeObject=Object"), &table, "")
        .await
        .value();
    assert_eq!(whole["rows"][0]["object"]["kind"], "Pod");
    let partial = [(
        "accept",
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    )];
    let list = cluster.ask("GET", PODS, &partial, "").await.value();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0].get("spec"), None);
    let only_table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let bindings = "/api/v1/namespaces/default/bindings";
    assert_eq!(
        cluster.ask("POST", bindings, &only_table, "{}").await.said(),
        (406, "NotAcceptable".into())
    );
}

#[tokio::test]
async fn discovery_is_told_in_both_forms() {
    let cluster = Cluster::start();
    assert!(
        cluster.get("/").await.value()["paths"]
            .as_array()
            .expect("paths")
            .contains(&json!("/apis/apps/v1"))
    );
    assert_eq!(cluster.get("/api").await.value()["versions"], json!(["v1"]));
    let groups = cluster.get("/apis").await.value();
    assert_eq!(groups["groups"][0]["preferredVersion"]["groupVersion"], "apps/v1");
    let resources = cluster.get("/api/v1").await.value();
    let resources = resources["resources"].as_array().expect("resources").clone();
    let named = |name: &str| resources.iter().find(|one| one["name"] == name).expect("there").clone();
    assert_eq!(named("pods")["shortNames"], json!(["po"]));
    assert_eq!(named("pods/eviction")["group"], "policy");
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let all = cluster.ask("GET", "/apis", &[("accept", accept)], "").await;
    assert_eq!(
        all.headers["content-type"],
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    );
    assert_eq!(all.value()["items"][0]["metadata"]["name"], "apps");
    let open = cluster.get("/openapi/v2").await;
    assert_eq!((open.code, &open.body[..]), (200, objects::openapi::v2::document()));
    let index = cluster.get("/openapi/v3").await.value();
    let path = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
        .as_str()
        .expect("a path")
        .to_owned();
    assert_eq!(cluster.get(&path).await.code, 200);
}

/// Lines of a watch.
struct Lines {
    body: Incoming,
    rest: Vec<u8>,
}

impl Lines {
    async fn open(cluster: &Cluster, path: &str, accept: &str) -> Self {
        let response = cluster
            .send(true, request("GET", path, &[("accept", accept)], ""))
            .await;
        assert_eq!(response.status(), 200);
        Self {
            body: response.into_body(),
            rest: Vec::new(),
        }
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("JSON"));
            }
            let frame = tokio::time::timeout(Duration::from_secs(10), self.body.frame())
                .await
                .expect("in time")?;
            self.rest
                .extend_from_slice(&frame.expect("a frame").into_data().expect("data"));
        }
    }
}

#[tokio::test]
async fn a_watch_is_a_line_for_each_event() {
    let cluster = Cluster::start();
    cluster.json("POST", MAPS, map("a")).await;
    let streaming =
        "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0&allowWatchBookmarks=true";
    let mut watch = Lines::open(
        &cluster,
        &format!("{MAPS}?{streaming}&timeoutSeconds=1"),
        "application/json",
    )
    .await;
    assert_eq!(watch.next().await.expect("an event")["type"], "ADDED");
    let mark = watch.next().await.expect("an event");
    assert_eq!(
        mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    cluster.ask("DELETE", &format!("{MAPS}/a"), &[], "").await;
    assert_eq!(watch.next().await.expect("an event")["type"], "DELETED");
    let last = watch.next().await.expect("a bookmark before the end");
    assert_eq!(last["type"], "BOOKMARK");
    assert_eq!(
        last["object"]["metadata"]["resourceVersion"],
        cluster.api.revision().to_string()
    );
    assert!(watch.next().await.is_none());
    let mut tables = Lines::open(
        &cluster,
        "/api/v1/namespaces?watch=true",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
    )
    .await;
    let first = tables.next().await.expect("an event");
    assert_eq!(first["object"]["rows"][0]["cells"][0], "default");
    assert!(
        !first["object"]["columnDefinitions"]
            .as_array()
            .expect("columns")
            .is_empty()
    );
    let second = tables.next().await.expect("an event");
    assert_eq!(second["object"]["columnDefinitions"], json!([]));
    cluster.api.compact();
    let late = cluster.get(&format!("{MAPS}?watch=1&resourceVersion=2")).await;
    assert_eq!(late.said(), (410, "Expired".into()));
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_nothing_and_is_cut_off() {
    let api = Api::new(Settings {
        event_window: apiserver::EventWindow {
            events: 64,
            ..Default::default()
        },
        ..Settings::default()
    })
    .expect("starts");
    let mut options = Options::new(TcpListener::bind("127.0.0.1:0").expect("a port"), api.clone()).expect("options");
    options.tokens.add("t", user("slow", &[]));
    let server = Server::new(options).expect("a server");
    let cluster = Cluster {
        port: server.address().port(),
        authority: server.certificate().to_owned(),
        client: Default::default(),
        api,
        serving: tokio::spawn(async move { server.serve().await.expect("serves") }),
    };
    let watch = request(
        "GET",
        &format!("{MAPS}?watch=1&resourceVersion={}", cluster.api.revision()),
        &[("authorization", "Bearer t")],
        "",
    );
    let response = cluster.send(false, watch).await;
    assert_eq!(response.status(), 200);
    let maps = objects::kind::find("", "v1", "configmaps").expect("served");
    let large = json!({"metadata": {"name": "a"}, "data": {"n": "x".repeat(100_000)}});
    cluster.api.create(maps, "default", large).expect("created");
    for n in 0..400 {
        cluster
            .api
            .edit(maps, "default", "a", apiserver::Part::Main, |map| {
                map["data"]["v"] = n.to_string().into()
            })
            .expect("edited");
        tokio::task::yield_now().await;
    }
    let mut lines = Lines {
        body: response.into_body(),
        rest: Vec::new(),
    };
    let mut seen = 0;
    let end = loop {
        let line = lines.next().await.expect("an end that is told");
        if line["type"] == "ERROR" {
            break line;
        }
        seen += 1;
    };
    assert_eq!(end["object"]["reason"], "Expired");
    assert!(seen < 400, "{seen}");
}

#[tokio::test]
async fn logs_and_commands_come_from_the_node() {
    let cluster = Cluster::start();
    cluster.json("POST", PODS, pod("a")).await;
    let unbound = cluster.get(&format!("{PODS}/a/log")).await;
    assert_eq!(unbound.value()["message"], "pod a does not have a host assigned");
    cluster.api.bind("default", "a", "n").expect("bound");
    assert_eq!(cluster.get(&format!("{PODS}/a/log")).await.code, 503);
    cluster.api.streams().register("n", Arc::new(Echo));
    let log = cluster.get(&format!("{PODS}/a/log?tailLines=3")).await;
    assert_eq!(log.body, "a/a tail=Some(3)\n");
    assert_eq!(cluster.get(&format!("{PODS}/a/log?container=b")).await.code, 400);
    let path = format!("{PODS}/a/exec?command=x&command=y&command=z&stdin=true&stdout=true");
    for (protocol, asked) in [
        ("v5.channel.k8s.io", "v4.channel.k8s.io, v5.channel.k8s.io"),
        ("v4.channel.k8s.io", "v4.channel.k8s.io"),
    ] {
        let headers = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", asked),
        ];
        let response = cluster.send(true, request("GET", &path, &headers, "")).await;
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()["sec-websocket-protocol"], protocol);
        let upgraded = hyper::upgrade::on(response).await.expect("upgraded");
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await;
        socket.send(Message::binary(&b"\0hello"[..])).await.expect("sent");
        assert_eq!(
            socket.next().await.expect("a message").expect("whole"),
            Message::binary(&b"\x01hello"[..])
        );
        if protocol == "v4.channel.k8s.io" {
            // There is no way to close the input alone.
            continue;
        }
        socket.send(Message::binary(&b"\xff\0"[..])).await.expect("sent");
        let end = socket.next().await.expect("a message").expect("whole").into_data();
        assert_eq!(end[0], 3);
        let status: Value = serde_json::from_slice(&end[1..]).expect("JSON");
        assert_eq!(
            status["details"]["causes"][0],
            json!({"reason": "ExitCode", "message": "3"})
        );
    }
    let spdy = cluster
        .ask("POST", &path, &[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")], "")
        .await;
    assert_eq!(spdy.code, 400);
}

#[tokio::test]
async fn http2_is_spoken_too() {
    let cluster = Cluster::start();
    let stream = cluster.connect(true, b"h2").await;
    let (mut sender, connection) = conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .expect("HTTP/2");
    tokio::spawn(connection);
    let request = Request::builder()
        .uri(format!("https://localhost{PODS}"))
        .body(Full::<Bytes>::default())
        .expect("a request");
    let answer = Answer::of(sender.send_request(request).await.expect("an answer")).await;
    assert_eq!(answer.value()["kind"], "PodList");
}

#[tokio::test]
async fn sub_resources_do_their_part() {
    let cluster = Cluster::start();
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let web = json!({"metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod("")["spec"]},
    }});
    assert_eq!(cluster.json("POST", deployments, web).await.code, 201);
    let scale = format!("{deployments}/web/scale");
    let merge = [("content-type", "application/merge-patch+json")];
    let scaled = cluster
        .ask("PATCH", &scale, &merge, json!({"spec": {"replicas": 3}}).to_string())
        .await
        .value();
    assert_eq!(
        (&scaled["kind"], &scaled["spec"]["replicas"]),
        (&json!("Scale"), &json!(3))
    );
    assert_eq!(scaled["status"]["selector"], "app=web");
    let deployment = cluster.get(&format!("{deployments}/web")).await.value();
    assert_eq!(
        (&deployment["spec"]["replicas"], &deployment["metadata"]["generation"]),
        (&json!(3), &json!(2))
    );
    cluster.json("POST", PODS, pod("a")).await;
    let bound = cluster
        .json("POST", &format!("{PODS}/a/binding"), json!({"target": {"name": "n"}}))
        .await;
    assert_eq!(bound.code, 201);
    let evicted = cluster
        .json(
            "POST",
            &format!("{PODS}/a/eviction"),
            json!({"metadata": {"name": "a"}, "delete_options": null}),
        )
        .await;
    assert_eq!(evicted.code, 201);
    let left = cluster.get(&format!("{PODS}/a")).await.value();
    assert_eq!(left["metadata"]["deletionGracePeriodSeconds"], 30, "{left}");
}
