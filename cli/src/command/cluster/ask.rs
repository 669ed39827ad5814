//! The API of a cluster, through its kubeconfig.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use super::error::Error;
use super::place::file;

/// Longest wait for an answer: a node that is stopped gives its pods 30 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// A way to the API.
pub(super) struct Client {
    agent: ureq::Agent,
    server: String,
    token: Option<String>,
}

impl Client {
    /// By the current context of a kubeconfig.
    pub(super) fn of(path: &Path) -> Result<Self, Error> {
        let text = fs_err::read_to_string(path).map_err(file("read", path))?;
        let parsed = spec::node::parse(&text);
        let config = match (parsed.faults.first(), parsed.documents.first()) {
            (None, Some(node)) => node.to_json(),
            (Some(fault), _) => return Err(Unfit::of(path).error(fault.message.clone())),
            (None, None) => return Err(Unfit::of(path).error("it is empty".into())),
        };
        Entry::current(&config, &Unfit::of(path))?.client()
    }

    /// `GET`.
    pub(super) fn get(&self, path: &str) -> Result<Value, Error> {
        let url = format!("{}{path}", self.server);
        let mut request = self.agent.get(&url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        answer(url, request.call())
    }

    /// `POST`.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let url = format!("{}{path}", self.server);
        let mut request = self.agent.post(&url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        answer(url, request.send_json(body))
    }
}

fn answer(url: String, answered: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, Error> {
    let failed = |url: &str| {
        let url = url.to_owned();
        move |source| Error::Ask {
            url,
            source: Box::new(source),
        }
    };
    let mut response = answered.map_err(failed(&url))?;
    let code = response.status().as_u16();
    let text = response.body_mut().read_to_string().map_err(failed(&url))?;
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    if (200..300).contains(&code) {
        return Ok(body);
    }
    let message = body.get("message").and_then(Value::as_str);
    let text = body.as_str().filter(|text| !text.is_empty());
    Err(Error::Refused {
        code,
        message: message
            .or(text)
            .map_or_else(|| format!("`{url}` was refused"), str::to_owned),
    })
}

/// Says which kubeconfig does not fit.
struct Unfit(PathBuf);

impl Unfit {
    fn of(path: &Path) -> Self {
        Self(path.to_owned())
    }

    fn error(&self, why: String) -> Error {
        Error::Kubeconfig {
            path: self.0.clone(),
            why,
        }
    }
}

/// The cluster and the user of a context.
struct Entry<'c> {
    cluster: &'c Value,
    user: &'c Value,
    unfit: &'c Unfit,
}

impl<'c> Entry<'c> {
    fn current(config: &'c Value, unfit: &'c Unfit) -> Result<Self, Error> {
        let named = |list: &str, name: &Value, key: &str| {
            let entries = config.get(list).and_then(Value::as_array);
            let entry = entries.and_then(|all| all.iter().find(|entry| entry.get("name") == Some(name)));
            entry
                .and_then(|entry| entry.get(key))
                .ok_or_else(|| unfit.error(format!("it has no `{list}` entry called {name}")))
        };
        let null = Value::Null;
        let context = named("contexts", config.get("current-context").unwrap_or(&null), "context")?;
        Ok(Self {
            cluster: named("clusters", context.get("cluster").unwrap_or(&null), "cluster")?,
            user: named("users", context.get("user").unwrap_or(&null), "user")?,
            unfit,
        })
    }

    /// PEM from `KEY-data`, or from the file that `KEY` names.
    fn pem(&self, of: &Value, key: &str) -> Result<Option<Vec<u8>>, Error> {
        if let Some(data) = of.get(format!("{key}-data")).and_then(Value::as_str) {
            let decoded = STANDARD.decode(data);
            return decoded
                .map(Some)
                .map_err(|error| self.unfit.error(format!("`{key}-data`: {error}")));
        }
        match of.get(key).and_then(Value::as_str) {
            Some(path) => {
                let path = self.unfit.0.parent().unwrap_or(Path::new("")).join(path);
                fs_err::read(&path).map(Some).map_err(file("read", &path))
            }
            None => Ok(None),
        }
    }

    fn client(&self) -> Result<Client, Error> {
        let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(str::to_owned);
        let server = text(self.cluster, "server").ok_or_else(|| self.unfit.error("it names no server".into()))?;
        let wrong = |key: &'static str| move |error: ureq::Error| self.unfit.error(format!("`{key}`: {error}"));
        let mut tls =
            TlsConfig::builder().unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        if let Some(pem) = self.pem(self.cluster, "certificate-authority")? {
            let authority = Certificate::from_pem(&pem).map_err(wrong("certificate-authority"))?;
            tls = tls.root_certs(RootCerts::new_with_certs(&[authority]));
        }
        let certificate = self.pem(self.user, "client-certificate")?;
        let key = self.pem(self.user, "client-key")?;
        if let (Some(certificate), Some(key)) = (certificate, key) {
            let chain = [Certificate::from_pem(&certificate).map_err(wrong("client-certificate"))?];
            let key = PrivateKey::from_pem(&key).map_err(wrong("client-key"))?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        let agent = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .proxy(None)
            .build()
            .new_agent();
        Ok(Client {
            agent,
            server: server.trim_end_matches('/').to_owned(),
            token: text(self.user, "token"),
        })
    }
}
