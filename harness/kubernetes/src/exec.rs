//! A command in a container of a pod.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::AttachParams;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{Client, Error, reach, refused};

/// What a command said and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Exit status; none if the cluster did not tell.
    pub code: Option<i32>,
    /// Standard output (first 256 KiB).
    pub stdout: String,
    /// Standard error (first 256 KiB).
    pub stderr: String,
    /// What the cluster said of its end, if it did not end by itself.
    pub message: String,
}

const MOST: u64 = 256 << 10;

impl Client {
    /// Runs a command in a container of a pod, the first if none is named, and waits for its end.
    ///
    /// # Errors
    /// [`Error`]; that the command failed is no error.
    pub fn exec(&self, namespace: &str, pod: &str, container: Option<&str>, command: &[String]) -> Result<Said, Error> {
        let act = format!("exec {} in pod {namespace}/{pod}", command.join(" "));
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let mut how = AttachParams::default().stdin(false).stdout(true).stderr(true);
        if let Some(container) = container {
            how = how.container(container);
        }
        let deadline = self.deadline;
        let run = async {
            let mut process = pods
                .exec(pod, command, &how)
                .await
                .map_err(|error| refused(act.clone(), error))?;
            let (stdout, stderr, status) = (process.stdout(), process.stderr(), process.take_status());
            let ended = async {
                match status {
                    Some(status) => status.await,
                    None => None,
                }
            };
            let (stdout, stderr, status) = tokio::join!(read(stdout), read(stderr), ended);
            let (stdout, stderr) = (
                stdout.map_err(|source| reach(&act, source))?,
                stderr.map_err(|source| reach(&act, source))?,
            );
            // The streams are drained: what is left of the connection ends with the process.
            let ended = process.join().await;
            let status = match (status, ended) {
                (Some(status), _) => status,
                (None, Err(source)) => return Err(reach(&act, source)),
                (None, Ok(())) => Status::default(),
            };
            Ok(said(stdout, stderr, &status))
        };
        let timed = async { tokio::time::timeout(deadline, run).await };
        match self.runtime.block_on(timed) {
            Ok(said) => said,
            Err(_) => Err(Error::Slow { act, deadline }),
        }
    }
}

fn said(stdout: String, stderr: String, status: &Status) -> Said {
    let is_success = status.status.as_deref().is_none_or(|word| word == "Success");
    let details = status.details.iter();
    let told = details
        .flat_map(|details| details.causes.iter().flatten())
        .filter(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .find_map(|cause| cause.message.as_deref()?.parse().ok());
    Said {
        code: told.or(is_success.then_some(0)),
        stdout,
        stderr,
        message: status.message.clone().unwrap_or_default(),
    }
}

async fn read(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        (&mut stream).take(MOST).read_to_end(&mut bytes).await?;
        // What is beyond is read away, or the command would wait for ever.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_status_is_among_the_causes() {
        let status: Status = serde_json::from_value(serde_json::json!({
            "status": "Failure", "reason": "NonZeroExitCode", "message": "command terminated with exit code 3",
            "details": {"causes": [{"reason": "ExitCode", "message": "3", "field": ""}]},
        }))
        .unwrap();
        assert_eq!(said(String::new(), String::new(), &status).code, Some(3));
        let success: Status = serde_json::from_value(serde_json::json!({"status": "Success"})).unwrap();
        assert_eq!(said(String::new(), String::new(), &success).code, Some(0));
        let unknown: Status = serde_json::from_value(serde_json::json!({
            "status": "Failure", "reason": "InternalError", "message": "container not found",
        }))
        .unwrap();
        assert_eq!(said(String::new(), String::new(), &unknown).code, None);
    }
}
