//! Images of a node: unpacked once, shared by all containers below an overlay.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use image::Image;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

/// An image that is there.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// `NAME@sha256:…`.
    pub(crate) id: String,
    /// The root that containers have below their own changes.
    pub(crate) root: PathBuf,
    /// What it runs if the pod does not say.
    pub(crate) cmd: Vec<String>,
    /// `NAME=VALUE`.
    pub(crate) env: Vec<String>,
}

/// Why an image is not there.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum PullError {
    /// There is no such image here, and nowhere to get it from.
    #[error("{0}")]
    Unknown(String),
    /// The name is none.
    #[error("Failed to apply default image tag \"{0}\": couldn't parse image name \"{0}\": invalid reference format")]
    Name(String),
}

type Slot = Arc<OnceCell<Result<Arc<Prepared>, PullError>>>;

/// The images of all nodes: what is unpacked for one is there for all.
#[derive(Debug)]
pub struct Images {
    directory: PathBuf,
    slots: Mutex<HashMap<String, Slot>>,
}

const PROBE: &str = "plimsoll/probe";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The image that a name means, without registry and tag where it is the probe.
fn plain(name: &str) -> &str {
    let bare = name.strip_prefix("docker.io/").unwrap_or(name);
    let bare = bare.split_once('@').map_or(bare, |(name, _)| name);
    match bare.strip_prefix(PROBE) {
        Some("") => PROBE,
        Some(rest) if rest.starts_with(':') => PROBE,
        _ => name,
    }
}

impl Images {
    /// Kept below `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            slots: Mutex::default(),
        }
    }

    /// Whether it is there without being brought.
    pub(crate) fn is_present(&self, name: &str) -> bool {
        let name = plain(name);
        name == PROBE || self.slot(name).get().is_some_and(Result::is_ok)
    }

    /// Brings an image.
    pub(crate) async fn get(&self, name: &str) -> Result<Arc<Prepared>, PullError> {
        let known = plain(name).to_owned();
        let slot = self.slot(&known);
        let directory = self.directory.clone();
        let brought = slot.get_or_init(|| async move {
            let work = tokio::task::spawn_blocking(move || bring(&known, &directory));
            match work.await {
                Ok(brought) => brought,
                Err(error) => Err(PullError::Unknown(error.to_string())),
            }
        });
        let result = brought.await.clone();
        if result.is_err() {
            // The next attempt looks again.
            self.slots
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(plain(name));
        }
        result
    }

    /// `imageID` of one that is there; empty if it is not.
    pub(crate) fn id_of(&self, name: &str) -> String {
        let slot = self.slot(plain(name));
        slot.get()
            .and_then(|brought| brought.as_ref().ok())
            .map(|image| image.id.clone())
            .unwrap_or_default()
    }

    fn slot(&self, name: &str) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(name.to_owned()).or_default().clone()
    }

    /// Names and sizes, as `status.images` of a node has them.
    pub(crate) fn listed(&self) -> BTreeMap<String, usize> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let present = slots
            .iter()
            .filter(|(_, slot)| slot.get().is_some_and(Result::is_ok))
            .map(|(name, _)| (name.clone(), 0));
        let mut all: BTreeMap<String, usize> = present.collect();
        all.insert(PROBE.into(), image::PROBE.len());
        all
    }
}

fn bring(name: &str, directory: &Path) -> Result<Arc<Prepared>, PullError> {
    if name.is_empty()
        || name.contains(char::is_whitespace)
        || name.chars().any(char::is_uppercase) && !name.contains(':')
    {
        return Err(PullError::Name(name.into()));
    }
    let unknown = |error: image::Error| {
        let mut text = format!("failed to pull and unpack image \"{name}\": {error}");
        if let Some(cause) = std::error::Error::source(&error) {
            text.push_str(&format!(": {cause}"));
        }
        if let Some(hint) = error.hint() {
            text.push_str(&format!(" ({hint})"));
        }
        PullError::Unknown(text)
    };
    let image = Image::parse(name).map_err(unknown)?;
    let digest = match &image {
        Image::Probe => Sha256::digest(image::PROBE),
        _ => Sha256::digest(name.as_bytes()),
    };
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let root = image.unpack(&directory.join(&hash[..16])).map_err(unknown)?;
    Ok(Arc::new(Prepared {
        id: format!("{name}@sha256:{hash}"),
        root: root.path,
        cmd: vec![if image == Image::Probe { "sleep" } else { "/bin/sh" }.into()],
        env: vec![PATH.into()],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_probe_is_there_and_others_are_an_honest_error() {
        let directory = tempfile::tempdir().unwrap();
        let images = Images::new(directory.path());
        assert!(images.is_present("plimsoll/probe:latest"));
        let probe = images.get("docker.io/plimsoll/probe:v1").await.unwrap();
        assert!(probe.root.join("bin/sleep").exists());
        let error = images.get("nginx:1.27").await.unwrap_err().to_string();
        assert!(
            error.starts_with("failed to pull and unpack image \"nginx:1.27\": unknown image"),
            "{error}"
        );
        assert!(!images.is_present("nginx:1.27"));
    }
}
