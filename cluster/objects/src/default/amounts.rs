//! Amounts are kept in their shortest form, and lists of resources exact to a thousandth.

use serde_json::Value;

use crate::quantity::Quantity;

/// Rewrites the amounts of a list of resources.
pub(super) fn resources(list: &mut Value) {
    let amounts = list.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut);
    for amount in amounts {
        if let Some(known) = Quantity::of(amount) {
            write(amount, known.rounded_to_milli());
        }
    }
}

/// Rewrites the amounts of the list of resources at a path, if there is one.
pub(super) fn at(object: &mut Value, path: &[&str]) {
    let found = path.iter().try_fold(object, |value, key| value.get_mut(*key));
    found.map(resources);
}

/// Rewrites one amount.
pub(super) fn one(amount: &mut Value) {
    if let Some(known) = Quantity::of(amount) {
        write(amount, known);
    }
}

fn write(amount: &mut Value, known: Quantity) {
    let text = known.to_string();
    if amount.as_str() != Some(&text) {
        *amount = text.into();
    }
}
