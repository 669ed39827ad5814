//! A server on loopback, and a directory with a kubeconfig for those who come from outside the process.

use std::{net::TcpListener, path::Path, sync::Arc, time::Duration};

use apiserver::{Api, Options, RequestLog, Server, Settings};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::echo::Echo;

/// Clients keep their caches in its directory, too.
pub(crate) struct Scene {
    api: Api,
    home: TempDir,
    log: Arc<RequestLog>,
    runtime: Runtime,
}

impl Scene {
    pub(crate) fn start() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let home = tempfile::tempdir().expect("a directory");
        let api = Api::new(Settings::default()).expect("starts");
        api.streams().register("n", Arc::new(Echo));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let options = Options::new(listener, api.clone()).expect("options");
        let pair = options.authority.client("admin", "system:masters").expect("signed");
        let server = Server::new(options).expect("a server");
        let port = server.address().port();
        let scene = Self {
            api,
            home,
            log: server.requests(),
            runtime,
        };
        scene.write("ca.pem", server.certificate());
        scene.write("admin.pem", &pair.certificate);
        scene.write("admin.key", &pair.key);
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{port}', certificate-authority: ca.pem}}}}]\n\
             users: [{{name: u, user: {{client-certificate: admin.pem, client-key: admin.key}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        );
        scene.write("kubeconfig", &config);
        scene.runtime.spawn(server.serve());
        scene
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn requests(&self) -> &RequestLog {
        &self.log
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.home().join(name), text).expect("written");
    }

    /// Lets those who are asked do something.
    pub(crate) fn pause(&self) {
        let pause = async { tokio::time::sleep(Duration::from_millis(20)).await };
        self.runtime.block_on(pause);
    }

    /// Gives a pod to the node whose agent echoes.
    pub(crate) fn bind(&self, pod: &str) {
        self.api.bind("default", pod, "n").expect("bound");
    }
}
