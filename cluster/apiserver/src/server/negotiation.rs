//! In which form a client takes an answer.

use objects::{Kind, Reason, Status};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The object, or the list, as it is.
    Whole,
    /// `meta.k8s.io` Table of this version.
    Table(&'static str),
    /// `PartialObjectMetadata`, or a list of them.
    Metadata(&'static str),
}

/// What a clause of `Accept` says.
struct Clause<'a> {
    media: &'a str,
    form: &'a str,
    group: &'a str,
    version: &'a str,
}

impl<'a> Clause<'a> {
    fn read(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let mut clause = Self {
            media: parts.next().unwrap_or_default(),
            form: "",
            group: "",
            version: "",
        };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key {
                "as" => clause.form = value,
                "g" => clause.group = value,
                "v" => clause.version = value,
                _ => {}
            }
        }
        clause
    }

    fn is_json(&self) -> bool {
        matches!(self.media, "application/json" | "*/*" | "application/*" | "")
    }
}

const SERVED: &str = "only the following media types are accepted: application/json";

fn version(text: &str) -> Option<&'static str> {
    ["v1", "v1beta1"].into_iter().find(|one| *one == text)
}

/// The first form that is both taken and served.
///
/// # Errors
/// `NotAcceptable` where there is none.
pub(crate) fn form(accept: &str, kind: &Kind, list: bool, tables: bool) -> Result<Form, Status> {
    for clause in accept.split(',').map(Clause::read).filter(Clause::is_json) {
        let version = version(clause.version).filter(|_| clause.group == "meta.k8s.io");
        match (clause.form, version) {
            ("", _) => return Ok(Form::Whole),
            ("Table", Some(version)) if tables && kind.stored => return Ok(Form::Table(version)),
            ("PartialObjectMetadata", Some(version)) if !list => return Ok(Form::Metadata(version)),
            ("PartialObjectMetadataList", Some(version)) if list => return Ok(Form::Metadata(version)),
            _ => {}
        }
    }
    Err(Status::new(Reason::NotAcceptable, SERVED))
}

/// Version of the aggregated discovery that a client takes before anything else.
pub(crate) fn aggregated(accept: &str) -> Option<&'static str> {
    for clause in accept.split(',').map(Clause::read).filter(Clause::is_json) {
        if clause.form.is_empty() {
            return None;
        }
        if clause.form == "APIGroupDiscoveryList" && clause.group == "apidiscovery.k8s.io" {
            let known = ["v2", "v2beta1"].into_iter().find(|one| *one == clause.version);
            if known.is_some() {
                return known;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use objects::kind::find;

    use super::*;

    const KUBECTL: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

    #[test]
    fn the_first_form_that_is_served_is_taken() {
        let pods = find("", "v1", "pods").expect("served");
        assert_eq!(form(KUBECTL, pods, true, true), Ok(Form::Table("v1")));
        assert_eq!(form(KUBECTL, pods, true, false), Ok(Form::Whole));
        assert_eq!(
            form("application/vnd.kubernetes.protobuf,application/json", pods, true, true),
            Ok(Form::Whole)
        );
        assert_eq!(form("", pods, false, true), Ok(Form::Whole));
        let only_table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let binding = find("", "v1", "bindings").expect("served");
        assert_eq!(
            form(only_table, binding, false, true).expect_err("none").reason.code(),
            406
        );
        assert_eq!(
            form("text/html", pods, false, true).expect_err("none").reason.code(),
            406
        );
        let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        assert_eq!(form(partial, pods, true, true), Ok(Form::Metadata("v1")));
    }

    #[test]
    fn aggregated_discovery_is_given_to_who_asks_for_it_first() {
        let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        assert_eq!(aggregated(accept), Some("v2"));
        assert_eq!(aggregated("application/json"), None);
    }
}
