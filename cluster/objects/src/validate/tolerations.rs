//! Tolerations of pods, and the taints they are for.

use serde_json::Value;

use super::faults::{Faults, Path};
use crate::{meta, name};

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) fn check(faults: &mut Faults, path: &Path<'_>, tolerations: &[Value]) {
    for (index, one) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let text = |key| meta::text(one, &[key]);
        let (key, operator, effect, value) = (text("key"), text("operator"), text("effect"), text("value"));
        if !key.is_empty() {
            faults.each(&path.child("key"), key, name::qualified(key));
        } else if operator != "Exists" {
            faults.invalid(
                &path.child("operator"),
                operator,
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            );
        }
        if meta::at(one, &["tolerationSeconds"]).is_some() && effect != "NoExecute" {
            faults.invalid(
                &path.child("effect"),
                effect,
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            );
        }
        match operator {
            "" | "Equal" => {
                let sentences = name::label_value(value);
                if !sentences.is_empty() {
                    faults.invalid(&path.child("operator"), value, &sentences.join(";"));
                }
            }
            "Exists" if value.is_empty() => {}
            "Exists" => faults.invalid(
                &path.child("operator"),
                one,
                "value must be empty when `operator` is 'Exists'",
            ),
            _ => faults.unsupported(&path.child("operator"), operator, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            faults.word(&path.child("effect"), effect, &EFFECTS);
        }
    }
}

pub(super) fn taints(faults: &mut Faults, path: &Path<'_>, taints: &[Value]) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (index, one) in taints.iter().enumerate() {
        let path = path.index(index);
        let text = |key| meta::text(one, &[key]);
        let (key, value, effect) = (text("key"), text("value"), text("effect"));
        faults.each(&path.child("key"), key, name::qualified(key));
        let sentences = name::label_value(value);
        if !sentences.is_empty() {
            faults.invalid(&path.child("value"), value, &sentences.join(";"));
        }
        faults.word(&path.child("effect"), effect, &EFFECTS);
        if seen.contains(&(key, effect)) {
            faults.duplicate_because(&path, one, "taints must be unique by key and effect pair");
        } else {
            seen.push((key, effect));
        }
    }
}
