//! Objects in the form that a client takes: whole, as rows of a table, or their metadata only.

use std::time::SystemTime;

use bytes::Bytes;
use objects::{Kind, Status, table};
use serde_json::{Value, json};

use super::{
    answer::{self, Answer},
    negotiation::Form,
};
use crate::{metadata::bad, page::Page};

/// What stands in a row beside its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    Nothing,
    Metadata,
    Object,
}

impl Include {
    /// # Errors
    /// `BadRequest` for a policy that is none.
    pub(crate) fn named(name: &str) -> Result<Self, Status> {
        match name {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::Nothing),
            "Object" => Ok(Self::Object),
            other => Err(bad(format!(
                "TableOptions.meta.k8s.io \"\" is invalid: includeObject: Unsupported value: \"{other}\": supported \
                 values: \"Metadata\", \"None\", \"Object\""
            ))),
        }
    }
}

/// How objects of a kind are told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) kind: &'static Kind,
    pub(crate) form: Form,
    pub(crate) include: Include,
}

impl Shape {
    /// One object. Of several tables only the first needs its columns.
    pub(crate) fn object(&self, object: &Value, columns: bool) -> Value {
        match self.form {
            Form::Whole => object.clone(),
            Form::Metadata(version) => metadata_of(object, version),
            Form::Table(version) => {
                let revision = &object["metadata"]["resourceVersion"];
                let mut table = table_of(version, json!({"resourceVersion": revision}));
                if columns {
                    table["columnDefinitions"] = table::columns(self.kind).into();
                }
                table["rows"] = json!([self.row(object, version, SystemTime::now())]);
                table
            }
        }
    }

    pub(crate) fn answer(&self, code: u16, object: &Value) -> Answer {
        match self.form {
            Form::Whole => answer::json(code, object),
            _ => answer::json(code, &self.object(object, true)),
        }
    }

    pub(crate) fn list(&self, page: Page) -> Answer {
        let mut metadata = json!({"resourceVersion": page.revision.to_string()});
        if let Some(next) = page.next {
            metadata["continue"] = next.into();
        }
        if let Some(remaining) = page.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        match self.form {
            Form::Whole => {
                let kind = self.kind;
                let head = format!(
                    "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
                    kind.kind,
                    kind.api_version()
                );
                answer::list(head, page.items.iter().map(|stored| stored.text.clone()).collect())
            }
            Form::Metadata(version) => {
                let head = format!(
                    "{{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":\
                     {metadata},\"items\":["
                );
                let each = page
                    .items
                    .iter()
                    .map(|stored| bytes_of(&metadata_of(&stored.value(), version)));
                answer::list(head, each.collect())
            }
            Form::Table(version) => {
                let now = SystemTime::now();
                let columns = Value::from(table::columns(self.kind));
                let head = format!(
                    "{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":{metadata},\
                     \"columnDefinitions\":{columns},\"rows\":["
                );
                let each = page
                    .items
                    .iter()
                    .map(|stored| bytes_of(&self.row(&stored.value(), version, now)));
                answer::list(head, each.collect())
            }
        }
    }

    fn row(&self, object: &Value, version: &str, now: SystemTime) -> Value {
        let mut row = json!({"cells": table::cells(self.kind, object, now)});
        if let Some(conditions) = table::row_conditions(self.kind, object) {
            row["conditions"] = conditions;
        }
        match self.include {
            Include::Nothing => row["object"] = Value::Null,
            Include::Metadata => row["object"] = metadata_of(object, version),
            Include::Object => row["object"] = object.clone(),
        }
        row
    }
}

fn bytes_of(value: &Value) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

fn metadata_of(object: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object["metadata"],
    })
}

fn table_of(version: &str, metadata: Value) -> Value {
    json!({
        "kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": metadata,
        "columnDefinitions": [], "rows": [],
    })
}
