//! What a URL asks for behind its question mark.

use std::{collections::HashMap, time::Duration};

use objects::{
    Kind, Reason, Status,
    selector::{Fields, Labels},
    strict::Mode,
};
use serde_json::{Map, Value};

use crate::{ListQuery, VersionMatch, WatchQuery, metadata::bad};

/// What a client may wait for at most; a day is as good as for ever, and can be added to the clock.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The parameters of a request. Where one is there twice, the first counts.
#[derive(Debug, Default)]
pub(crate) struct Parameters(HashMap<String, Vec<String>>);

impl Parameters {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let mut all: HashMap<String, Vec<String>> = HashMap::new();
        for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            // kube-rs begins with an empty one.
            if !key.is_empty() {
                all.entry(key.into_owned()).or_default().push(value.into_owned());
            }
        }
        Self(all)
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.all(name).first().map_or("", String::as_str)
    }

    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// As Kubernetes reads booleans: anything but `false` and `0`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.optional_flag(name).unwrap_or(false)
    }

    pub(crate) fn optional_flag(&self, name: &str) -> Option<bool> {
        let value = self.all(name).first()?;
        Some(!matches!(value.to_ascii_lowercase().as_str(), "false" | "0"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Status> {
        match self.text(name) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| bad(format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"))),
        }
    }

    pub(crate) fn dry_run(&self) -> Result<bool, Status> {
        match self.all("dryRun") {
            [] => Ok(false),
            all if all.iter().all(|one| one == "All") => Ok(true),
            all => Err(Status::new(
                Reason::Invalid,
                format!(
                    "Options.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: \"{}\": supported values: \"All\"",
                    all.join(",")
                ),
            )),
        }
    }

    pub(crate) fn field_validation(&self) -> Result<Mode, Status> {
        let text = self.text("fieldValidation");
        Mode::named(if text.is_empty() { "Warn" } else { text }).ok_or_else(|| {
            Status::new(
                Reason::Invalid,
                format!(
                    "Options.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"{text}\": supported \
                     values: \"Ignore\", \"Strict\", \"Warn\""
                ),
            )
        })
    }

    /// Who writes, for `metadata.managedFields`: what is said, or the client's name.
    pub(crate) fn manager(&self, agent: &str) -> String {
        let said = self.text("fieldManager");
        let name = if said.is_empty() {
            agent.split('/').next().unwrap_or_default()
        } else {
            said
        };
        name.chars().filter(|c| !c.is_control()).take(128).collect()
    }

    fn selectors(&self, kind: &Kind) -> Result<(Labels, Fields), Status> {
        let labels = Labels::parse(self.text("labelSelector"))
            .map_err(|error| bad(format!("unable to parse requirement: {error}")))?;
        let fields = Fields::parse(kind, self.text("fieldSelector")).map_err(|error| bad(error.to_string()))?;
        Ok((labels, fields))
    }

    pub(crate) fn list(&self, kind: &Kind) -> Result<ListQuery, Status> {
        let (labels, fields) = self.selectors(kind)?;
        let limit = self.number("limit")?.unwrap_or(0);
        let version = self.text("resourceVersion");
        let how = self.text("resourceVersionMatch");
        let resume = self.text("continue");
        if !how.is_empty() {
            if !resume.is_empty() {
                return Err(invalid(
                    "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided",
                ));
            }
            if version.is_empty() {
                return Err(invalid(
                    "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
                ));
            }
        }
        if !resume.is_empty() && !matches!(version, "" | "0") {
            return Err(bad("specifying resource version is not allowed when using continue"));
        }
        let version_match = match how {
            "Exact" if version == "0" => {
                return Err(invalid(
                    "resourceVersionMatch: Forbidden: resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"",
                ));
            }
            "Exact" => VersionMatch::Exact,
            // A piece of a list of a revision is of that revision.
            "" if limit > 0 && !matches!(version, "" | "0") => VersionMatch::Exact,
            "" | "NotOlderThan" => VersionMatch::NotOlderThan,
            other => {
                return Err(invalid(&format!(
                    "resourceVersionMatch: Unsupported value: \"{other}\": supported values: \"Exact\", \
                     \"NotOlderThan\", \"\""
                )));
            }
        };
        Ok(ListQuery {
            labels,
            fields,
            limit: usize::try_from(limit).ok().filter(|limit| *limit > 0),
            resume: (!resume.is_empty()).then(|| resume.to_owned()),
            resource_version: version.to_owned(),
            version_match,
        })
    }

    pub(crate) fn watch(&self, kind: &Kind) -> Result<WatchQuery, Status> {
        let (labels, fields) = self.selectors(kind)?;
        let how = self.text("resourceVersionMatch");
        let initial_events = match self.optional_flag("sendInitialEvents") {
            Some(_) if how != "NotOlderThan" => {
                return Err(invalid(
                    "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                ));
            }
            Some(true) if !self.flag("allowWatchBookmarks") => {
                return Err(invalid(
                    "allowWatchBookmarks: Forbidden: sendInitialEvents requires setting allowWatchBookmarks to true",
                ));
            }
            send => send.unwrap_or(false),
        };
        if !how.is_empty() && self.optional_flag("sendInitialEvents").is_none() {
            return Err(invalid(
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        Ok(WatchQuery {
            list: ListQuery {
                labels,
                fields,
                resource_version: self.text("resourceVersion").to_owned(),
                ..ListQuery::default()
            },
            initial_events,
        })
    }

    pub(crate) fn timeout(&self) -> Result<Option<Duration>, Status> {
        let seconds = self.number("timeoutSeconds")?;
        Ok(seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|seconds| *seconds > 0)
            .map(|seconds| Duration::from_secs(seconds).min(LONGEST)))
    }

    /// What a DELETE says in its URL, as the body would say it.
    pub(crate) fn delete_options(&self) -> Result<Value, Status> {
        let mut options = Map::new();
        if let Some(seconds) = self.number("gracePeriodSeconds")? {
            options.insert("gracePeriodSeconds".into(), seconds.into());
        }
        if let Some(orphan) = self.optional_flag("orphanDependents") {
            options.insert("orphanDependents".into(), orphan.into());
        }
        if !self.text("propagationPolicy").is_empty() {
            options.insert("propagationPolicy".into(), self.text("propagationPolicy").into());
        }
        if !self.all("dryRun").is_empty() {
            options.insert("dryRun".into(), self.all("dryRun").into());
        }
        Ok(options.into())
    }
}

fn invalid(why: &str) -> Status {
    Status::new(
        Reason::Invalid,
        format!("ListOptions.meta.k8s.io \"\" is invalid: {why}"),
    )
}
