//! The spec language: YAML types, spans, validation, JSON Schema.
//!
//! Text becomes a [`node::Node`] tree with spans, is edited (matrix, vars, sabotage) and only then decoded into the
//! types of this crate, so that every fault has a line and a column. The crate does no IO and reads no clock.

pub mod benchmark;
pub mod check;
pub mod cluster;
pub mod decode;
pub mod document;
pub mod edit;
pub mod family;
pub mod fault;
pub mod lint;
pub mod load;
pub mod manifest;
pub mod matcher;
pub mod node;
pub mod patience;
pub mod place;
pub mod quantity;
pub mod requirement;
pub mod sabotage;
pub mod schema;
pub mod span;
pub mod step;
pub mod substitute;
pub mod validate;
pub mod workload;

pub use benchmark::{Benchmark, BenchmarkDocument};
pub use check::{Check, Subject};
pub use cluster::{Cluster, NodeConfig};
pub use document::{Concurrency, Document, FlakyMeans, KnownFailure, Metadata, Retries, Target, Test, Timeouts};
pub use family::{Families, Family};
pub use fault::{Fault, Severity};
pub use load::{Change, Kind, Loaded, LoadedDocument, Variant, load, not_utf8};
pub use manifest::Manifest;
pub use matcher::{Matcher, Op};
pub use place::Places;
pub use quantity::{Bytes, Millicores, Rate, Span};
pub use requirement::Requirement;
pub use sabotage::{Inject, Proof, ProofPolicy, Sabotage};
pub use schema::json_schema;
pub use span::{Position, Spanned};
pub use step::{Action, Step, Window};
pub use workload::Workload;

/// The one `apiVersion` this reader knows.
pub const API_VERSION: &str = "plimsoll.dev/v1";
