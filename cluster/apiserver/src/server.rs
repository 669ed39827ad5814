//! HTTPS for everybody who is not in this process.

mod answer;
mod authentication;
mod authorization;
mod body;
mod certificates;
mod channels;
mod connection;
mod discovery;
mod extension;
mod limits;
mod negotiation;
mod parameters;
mod path;
mod pod;
mod request_log;
mod resource;
mod shape;
mod watching;

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
};

use tokio::sync::Semaphore;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::ring,
        server::{VerifierBuilderError, WebPkiClientVerifier},
    },
};

pub use authentication::Tokens;
pub use authorization::{AllowAuthenticated, Attributes, Authorizer};
pub use certificates::{Authority, Pair};
pub use extension::{Extension, ExtensionRequest, ExtensionResponse};
pub use request_log::{RequestEntry, RequestLog};

use crate::Api;

/// What a server is made of.
pub struct Options {
    /// Where it listens: loopback, unless somebody wants others to come.
    pub listener: TcpListener,
    /// What it serves.
    pub api: Api,
    /// Signs its certificate, and those of clients that it takes.
    pub authority: Authority,
    /// Bearer tokens that it takes.
    pub tokens: Tokens,
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
    /// Answers below `/plimsoll/v1`.
    pub extension: Option<Arc<dyn Extension>>,
}

impl Options {
    /// A server with an authority of its own, where everybody who is known may do everything but readers.
    ///
    /// # Errors
    /// Where no authority can be made.
    pub fn new(listener: TcpListener, api: Api) -> Result<Self, ServerError> {
        Ok(Self {
            listener,
            api,
            authority: Authority::new()?,
            tokens: Tokens::default(),
            authorizer: Arc::new(AllowAuthenticated::default()),
            extension: None,
        })
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No certificate.
    #[error("failed to {act}")]
    Certificate {
        /// What was tried.
        act: &'static str,
        /// Why it failed.
        source: rcgen::Error,
    },
    /// A certificate or key that is not PEM.
    #[error("failed to read a certificate")]
    Pem {
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// TLS takes the certificates not.
    #[error("failed to set up TLS")]
    Tls {
        /// Why.
        source: rustls::Error,
    },
    /// Clients' certificates cannot be checked.
    #[error("failed to set up the check of client certificates")]
    ClientCertificates {
        /// Why.
        source: VerifierBuilderError,
    },
    /// The listener is of no use.
    #[error("failed to listen")]
    Listen {
        /// Why.
        source: io::Error,
    },
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    certificate: String,
    shared: Arc<Shared>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A way in to a server beside its own listener, for clients that come from another network.
pub struct Door {
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    /// Serves whoever connects there until the future is dropped, which ends every connection.
    ///
    /// # Errors
    /// Where the listener is of no use.
    pub async fn serve(self, listener: TcpListener) -> Result<(), ServerError> {
        let listen = |source| ServerError::Listen { source };
        listener.set_nonblocking(true).map_err(listen)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(listen)?;
        connection::accept(&listener, &self.acceptor, &self.shared).await;
        Ok(())
    }
}

pub(crate) struct Shared {
    pub(crate) api: Api,
    tokens: Tokens,
    authorizer: Arc<dyn Authorizer>,
    extension: Option<Arc<dyn Extension>>,
    streams: limits::OpenStreams,
    bodies: Semaphore,
    log: Arc<RequestLog>,
}

impl Server {
    /// A server that is ready to serve. Clients that connect before [`Server::serve`] wait.
    ///
    /// # Errors
    /// Where it cannot listen, or its certificate cannot be made.
    pub fn new(options: Options) -> Result<Self, ServerError> {
        let listen = |source| ServerError::Listen { source };
        let address = options.listener.local_addr().map_err(listen)?;
        options.listener.set_nonblocking(true).map_err(listen)?;
        let acceptor = acceptor(&options.authority, address.ip())?;
        Ok(Self {
            listener: options.listener,
            address,
            acceptor,
            certificate: options.authority.certificate().to_owned(),
            shared: Arc::new(Shared {
                api: options.api,
                tokens: options.tokens,
                authorizer: options.authorizer,
                extension: options.extension,
                streams: limits::OpenStreams::default(),
                bodies: Semaphore::new(limits::BODIES),
                log: Arc::default(),
            }),
        })
    }

    /// What it serves.
    pub fn api(&self) -> Api {
        self.shared.api.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// By which clients know it: the authority's certificate as PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// What was asked.
    pub fn requests(&self) -> Arc<RequestLog> {
        self.shared.log.clone()
    }

    /// Another way in to the same.
    pub fn door(&self) -> Door {
        Door {
            acceptor: self.acceptor.clone(),
            shared: self.shared.clone(),
        }
    }

    /// Serves until the future is dropped, which ends every connection.
    ///
    /// # Errors
    /// Where the listener is of no use any more.
    pub async fn serve(self) -> Result<(), ServerError> {
        let listener = tokio::net::TcpListener::from_std(self.listener);
        let listener = listener.map_err(|source| ServerError::Listen { source })?;
        connection::accept(&listener, &self.acceptor, &self.shared).await;
        Ok(())
    }
}

fn acceptor(authority: &Authority, address: IpAddr) -> Result<TlsAcceptor, ServerError> {
    let provider = Arc::new(ring::default_provider());
    let tls = |source| ServerError::Tls { source };
    let (root, _) = authority.pair().der()?;
    let mut roots = RootCertStore::empty();
    roots.add(root).map_err(tls)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|source| ServerError::ClientCertificates { source })?;
    let mut addresses = vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 96, 0, 1])];
    if !addresses.contains(&address) {
        addresses.push(address);
    }
    let (certificate, key) = authority.server(&addresses)?.der()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)
        .map_err(tls)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
