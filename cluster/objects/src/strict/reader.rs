//! Reads JSON and notices fields that are there twice, of which the last counts.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{FieldFault, MOST};

/// The value of a JSON text, and the fields in it that are there twice.
///
/// # Errors
/// The text is no JSON, or is deeper than 128 levels.
pub fn read(text: &[u8]) -> Result<(Value, Vec<FieldFault>), serde_json::Error> {
    let mut faults = Vec::new();
    let mut path = String::new();
    let mut source = serde_json::Deserializer::from_slice(text);
    let place = Place {
        path: &mut path,
        faults: &mut faults,
    };
    let value = place.deserialize(&mut source)?;
    source.end()?;
    Ok((value, faults))
}

struct Place<'a> {
    path: &'a mut String,
    faults: &'a mut Vec<FieldFault>,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        let length = self.path.len();
        loop {
            self.path.push_str(&format!("[{}]", items.len()));
            let place = Place {
                path: &mut *self.path,
                faults: &mut *self.faults,
            };
            let item = source.next_element_seed(place)?;
            self.path.truncate(length);
            match item {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        let length = self.path.len();
        while let Some(name) = source.next_key::<String>()? {
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(&name);
            if fields.contains_key(&name) && self.faults.len() < MOST {
                self.faults.push(FieldFault::Duplicate(self.path.clone()));
            }
            let place = Place {
                path: &mut *self.path,
                faults: &mut *self.faults,
            };
            let value = source.next_value_seed(place)?;
            self.path.truncate(length);
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_of_two_counts() {
        let (value, faults) = read(br#"[{"a":1,"b":{"c":1,"c":[2]},"a":-3.5}]"#).expect("json");
        assert_eq!(value, serde_json::json!([{"a": -3.5, "b": {"c": [2]}}]));
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told, [r#"duplicate field "[0].b.c""#, r#"duplicate field "[0].a""#]);
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_refused() {
        assert!(read("[".repeat(100_000).as_bytes()).is_err());
        assert!(read(b"{} {}").is_err());
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_reads(text in "[\\[\\]{}:,\"a0-9 .eE-]{0,40}") {
            let ours = read(text.as_bytes()).ok().map(|(value, _)| value);
            prop_assert_eq!(ours, serde_json::from_str::<Value>(&text).ok());
        }
    }
}
