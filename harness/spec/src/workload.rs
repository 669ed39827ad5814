//! What runs: a container in short form, an OCI bundle, or a Kubernetes object.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Bytes, Manifest, Millicores, requirement::NamespaceKind};

/// A workload: a map with one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Workload {
    /// Short form; the harness writes the `config.json`.
    Container(Box<Container>),
    /// An OCI bundle directory, its `config.json` patched.
    Bundle(Bundle),
    /// A Kubernetes manifest, unchanged.
    Object(Manifest),
}

/// An OCI bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bundle {
    /// Directory, relative to the spec; `bundles/probe` is made of the embedded probe.
    pub path: String,
    /// JSON Patch (RFC 6902) applied to `config.json`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patch: Vec<PatchOperation>,
}

/// One operation of a JSON Patch (RFC 6902 section 4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchOperation {
    /// What to do.
    pub op: PatchVerb,
    /// JSON pointer (RFC 6901) to where.
    pub path: String,
    /// Source of `move` and `copy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Value of `add`, `replace` and `test`; `null` is one.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// A value that is written is there, even if it is `null`.
pub(crate) fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// The six verbs of a JSON Patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PatchVerb {
    /// Add a member or insert an element.
    Add,
    /// Take away.
    Remove,
    /// Put another value in place.
    Replace,
    /// Move from another place.
    Move,
    /// Copy from another place.
    Copy,
    /// Fail unless equal.
    Test,
}

/// A container in short form. What is left out is what `runc spec` would choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Container {
    /// `plimsoll/probe`, `dir:PATH` or `tar:PATH`.
    pub image: String,
    /// Argument vector of the process; the probe's verbs are in its `PATH`.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment, beside `PATH`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Working directory, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Ids of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// Host name (needs a private `uts` namespace).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// NIS domain name (needs a private `uts` namespace).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// `private`, `host`, `container:WORKLOAD` or `path:FILE`. Left out: all private but `user` and `time`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub namespaces: BTreeMap<NamespaceKind, NamespaceChoice>,
    /// User ids inside and outside (with `namespaces.user: private`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids inside and outside (with `namespaces.user: private`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
    /// Limits and requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Mounts after the standard ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Capability sets, instead of `runc spec`'s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// `no_new_privs` of the process (true unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_new_privileges: Option<bool>,
    /// Mount the root read-only (false unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_root: Option<bool>,
    /// Seccomp profile in the form of `linux.seccomp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Value>,
    /// Kernel parameters of the container's namespaces.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// Resource limits of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rlimits: Option<Vec<Rlimit>>,
    /// Paths that are made unreadable, instead of the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked_paths: Option<Vec<String>>,
    /// Paths that are made read-only, instead of the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readonly_paths: Option<Vec<String>>,
    /// How the root comes about (`overlay` unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rootfs: Option<RootfsKind>,
    /// OOM score adjustment, -1000 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// Annotations of `config.json`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Whatever else: JSON Patch (RFC 6902) applied to the `config.json` that the fields above make.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patch: Vec<PatchOperation>,
}

/// How the root file system comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RootfsKind {
    /// A fresh upper directory over the image.
    Overlay,
    /// The image itself, bind mounted.
    Bind,
}

/// Which namespace of a kind a container gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NamespaceChoice {
    /// A new one.
    Private,
    /// The one in which the subject was started.
    Host,
    /// That of another workload, which must run already.
    Container(String),
    /// The one behind a file.
    Path(String),
}

impl JsonSchema for NamespaceChoice {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NamespaceChoice".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "`private`, `host`, `container:WORKLOAD` or `path:FILE`.",
            "pattern": "^(private|host|container:.+|path:/.+)$",
        })
    }
}

impl TryFrom<String> for NamespaceChoice {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "private" => Ok(Self::Private),
            "host" => Ok(Self::Host),
            _ => match text.split_once(':') {
                Some(("container", name)) if !name.is_empty() => Ok(Self::Container(name.into())),
                Some(("path", path)) if path.starts_with('/') => Ok(Self::Path(path.into())),
                _ => Err(format!(
                    "`{text}` is not `private`, `host`, `container:WORKLOAD` or `path:FILE`"
                )),
            },
        }
    }
}

impl From<NamespaceChoice> for String {
    fn from(choice: NamespaceChoice) -> Self {
        match choice {
            NamespaceChoice::Private => "private".into(),
            NamespaceChoice::Host => "host".into(),
            NamespaceChoice::Container(name) => format!("container:{name}"),
            NamespaceChoice::Path(path) => format!("path:{path}"),
        }
    }
}

/// Ids of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// User id inside.
    #[serde(default)]
    pub uid: u32,
    /// Group id inside.
    #[serde(default)]
    pub gid: u32,
    /// Further groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_gids: Vec<u32>,
    /// File mode creation mask, 0 to 0o777: octal digits as text (`"0027"`), or a number (`0o027`).
    #[serde(default, deserialize_with = "umask", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<WrittenUmask>")]
    pub umask: Option<u32>,
}

/// A mask as a person writes it.
struct WrittenUmask;

impl JsonSchema for WrittenUmask {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Umask".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "File mode creation mask: octal digits as text, or a number.",
            "oneOf": [
                {"type": "string", "pattern": "^0?[0-7]{1,3}$"},
                {"type": "integer", "minimum": 0, "maximum": 0o777},
            ],
        })
    }
}

/// A mask in either form. An error names what was written.
fn umask<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let written = Value::deserialize(deserializer)?;
    let mask = match &written {
        Value::String(text) => {
            let is_octal = (1..=4).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
            is_octal.then(|| u32::from_str_radix(text, 8).ok()).flatten()
        }
        Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        _ => None,
    };
    mask.filter(|mask| *mask <= 0o777).map(Some).ok_or_else(|| {
        let shown = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
        serde::de::Error::custom(format!("`{shown}` is not a file mode creation mask such as \"0027\""))
    })
}

/// A range of ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdMapping {
    /// First id inside.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// First id outside.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many.
    pub size: u32,
}

/// Limits and requests, as Kubernetes writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// What the container may not exceed.
    #[serde(default)]
    pub limits: Limits,
    /// What the container gets under contention.
    #[serde(default)]
    pub requests: Requests,
}

/// What a container may not exceed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// CFS quota per 100 ms period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Millicores>,
    /// Memory; swap is limited to none beyond it where swap is accounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Number of processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<i64>,
    /// CPUs to run on, as in `0-1,3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpuset: Option<String>,
}

/// What a container gets under contention.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requests {
    /// Becomes `cpu.shares`, 1024 a core (converted to `cpu.weight` on cgroup v2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Millicores>,
    /// Becomes the memory reservation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
}

/// A mount, as in `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    /// Where, inside.
    pub destination: String,
    /// File system type, or `bind`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Device or directory; `${dir.NAME}` is a fresh directory of the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Options as mount(8) and the runtime spec name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// Capability sets by name; a set left out is empty, unless `drop` or `add` edit the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capabilities {
    /// Added to the default bounding, effective and permitted sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    /// Taken from every default set; `ALL` empties them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Exactly this bounding set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounding: Option<Vec<String>>,
    /// Exactly this effective set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Vec<String>>,
    /// Exactly this permitted set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permitted: Option<Vec<String>>,
    /// Exactly this inheritable set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inheritable: Option<Vec<String>>,
    /// Exactly this ambient set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ambient: Option<Vec<String>>,
}

/// A resource limit, as in `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rlimit {
    /// `RLIMIT_…`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Soft limit.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}
