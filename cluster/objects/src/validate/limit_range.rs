//! Limit ranges.

use serde_json::Value;

use super::{
    faults::{Faults, Path},
    resources,
};
use crate::{meta, name, quantity::Quantity};

const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];

pub(super) fn check(faults: &mut Faults, range: &Value) {
    let path = Path::of("spec");
    let path = path.child("limits");
    let limits = meta::list(range, &["spec", "limits"]);
    for (index, limit) in limits.iter().enumerate() {
        let path = path.index(index);
        let kind = meta::text(limit, &["type"]);
        let path_of_kind = path.child("type");
        faults.each(&path_of_kind, kind, name::qualified(kind));
        if !kind.contains('/') && !matches!(kind, "" | "Pod" | "Container" | "PersistentVolumeClaim") {
            faults.invalid(&path_of_kind, kind, "must be a standard limit type or fully qualified");
        }
        if limits[..index].iter().any(|one| meta::text(one, &["type"]) == kind) {
            faults.duplicate(&path_of_kind, kind);
        }
        lists(faults, &path, limit, kind);
        let mut seen: Vec<&str> = Vec::new();
        for list in LISTS {
            for (resource, _) in meta::map(limit, &[list]).into_iter().flatten() {
                if !seen.contains(&resource.as_str()) {
                    seen.push(resource);
                    compare(faults, &path, limit, resource);
                }
            }
        }
    }
}

fn lists(faults: &mut Faults, path: &Path<'_>, limit: &Value, kind: &str) {
    for list in LISTS {
        let path = path.child(list);
        let amounts = meta::map(limit, &[list]);
        let is_default = matches!(list, "default" | "defaultRequest");
        if kind == "Pod" && is_default {
            if amounts.is_some_and(|amounts| !amounts.is_empty()) {
                faults.forbidden(&path, "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        for (resource, _) in amounts.into_iter().flatten() {
            let path = path.key(resource);
            if matches!(kind, "Pod" | "Container") {
                resources::container_name(faults, &path, resource);
            } else {
                resources::any_name(faults, &path, resource);
            }
        }
    }
    let has_storage = |list| meta::at(limit, &[list, "storage"]).is_some();
    if kind == "PersistentVolumeClaim" && !has_storage("min") && !has_storage("max") {
        let detail = "either minimum or maximum storage value is required, but neither was provided";
        faults.required(&path.child("limits"), detail);
    }
}

fn compare(faults: &mut Faults, path: &Path<'_>, limit: &Value, resource: &str) {
    let of = |list| meta::at(limit, &[list, resource]).and_then(Quantity::of);
    let [most, least, default, request, ratio] = LISTS.map(of);
    let mut above =
        |list, shown: Option<Quantity>, low: Option<Quantity>, high: Option<Quantity>, what: (&str, &str)| {
            if let (Some(low), Some(high), Some(shown)) = (low, high, shown)
                && low > high
            {
                let path = path.child(list);
                let detail = format!("{} value {low} is greater than {} value {high}", what.0, what.1);
                faults.invalid(&path.key(resource), &shown.to_string()[..], &detail);
            }
        };
    above("min", least, least, most, ("min", "max"));
    above("defaultRequest", request, least, request, ("min", "default request"));
    above("defaultRequest", request, request, most, ("default request", "max"));
    above(
        "defaultRequest",
        request,
        request,
        default,
        ("default request", "default limit"),
    );
    above("default", least, least, default, ("min", "default"));
    above("default", most, default, most, ("default", "max"));
    let path_of_ratio = path.child("maxLimitRequestRatio");
    if let Some(ratio) = ratio {
        if ratio < Quantity::whole(1) {
            let detail = format!("ratio {ratio} is less than 1");
            faults.invalid(&path_of_ratio.key(resource), &ratio.to_string()[..], &detail);
        }
        if let (Some(least), Some(most)) = (least, most) {
            let largest = most.float() / least.float();
            if ratio.float() > largest {
                let detail = format!("ratio {ratio} is greater than max/min = {largest:.6}");
                faults.invalid(&path_of_ratio.key(resource), &ratio.to_string()[..], &detail);
            }
        }
    }
    if let (Some(default), Some(request)) = (default, request)
        && !resources::may_overcommit(resource)
        && default != request
    {
        let path = path.child("defaultRequest");
        let detail = format!("default value {default} must equal to defaultRequest value {request} in {resource}");
        faults.invalid(&path.key(resource), &request.to_string()[..], &detail);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::told;

    #[test]
    fn least_is_no_more_than_most() {
        let told = |limit| told("", "limitranges", json!({"spec": {"limits": [limit]}}));
        assert_eq!(
            told(json!({"type": "Container", "min": {"cpu": "1"}, "max": {"cpu": "2"}, "default": {"cpu": "1500m"}})),
            [""; 0]
        );
        assert_eq!(
            told(json!({"type": "Pod", "min": {"cpu": "3"}, "max": {"cpu": "2"}})),
            ["spec.limits[0].min[cpu]: Invalid value: \"3\": min value 3 is greater than max value 2"]
        );
        assert_eq!(
            told(json!({"type": "Pod", "default": {"cpu": "3"}})),
            ["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"]
        );
        assert_eq!(
            told(json!({"type": "Pod", "maxLimitRequestRatio": {"cpu": "500m"}})),
            ["spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less than 1"]
        );
    }
}
