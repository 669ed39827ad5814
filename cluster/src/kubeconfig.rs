//! The one way in: a file as every client of Kubernetes reads it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::identity::{ADMINISTRATOR, Identity, READER};

/// The text of a kubeconfig for the server at this URL. The current context shows the administrator's certificate; of the
/// others, `NAME-token` the administrator's bearer token, and `NAME-reader` that of somebody who may change nothing.
///
/// See <https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/>.
pub fn text(cluster: &str, server: &str, identity: &Identity) -> String {
    let cluster = format!("plimsoll-{cluster}");
    let (user, reader) = (ADMINISTRATOR.0, READER.0);
    let base64 = |text: &str| STANDARD.encode(text);
    format!(
        "\
apiVersion: v1
kind: Config
current-context: {cluster}
clusters:
- name: {cluster}
  cluster:
    server: {server}
    certificate-authority-data: {authority}
contexts:
- name: {cluster}
  context: {{cluster: {cluster}, user: {user}}}
- name: {cluster}-token
  context: {{cluster: {cluster}, user: {user}-token}}
- name: {cluster}-reader
  context: {{cluster: {cluster}, user: {reader}}}
users:
- name: {user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
- name: {user}-token
  user:
    token: {token}
- name: {reader}
  user:
    token: {reader_token}
preferences: {{}}
",
        authority = base64(&identity.authority.certificate),
        certificate = base64(&identity.administrator.certificate),
        key = base64(&identity.administrator.key),
        token = identity.token,
        reader_token = identity.reader_token,
    )
}
