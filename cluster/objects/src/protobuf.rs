//! Request bodies in protobuf, which newer clients send for every kind that Kubernetes brings along.
//!
//! The body is an envelope that names the kind; the table says what the numbers in it mean. Answers stay JSON.
//! See <https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding> and
//! <https://protobuf.dev/programming-guides/encoding/>.

#[cfg(test)]
mod encode;
pub(crate) mod wire;

use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::{
    schema::{self, Field, Message, Shape, Type, Wire},
    strict,
};
use wire::{Reader, Word};

/// Bytes with which every body begins.
const MAGIC: &[u8] = b"k8s\0";
/// Bytes of a body: as much as Kubernetes takes.
const LONGEST: usize = 3 << 20;
/// Values in a body: an empty one takes two bytes in it, and a hundred times as much once it is read.
const MOST_VALUES: usize = 1 << 19;
/// What Kubernetes calls no time at all: the first second of the year 1.
const NO_TIME: i64 = -62_135_596_800;
/// The last second of the year 9999: no later time has a text.
const LATEST: i64 = 253_402_300_799;

/// A body that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// Another format.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Envelope,
    /// Nothing after the first bytes.
    #[error("empty body")]
    Empty,
    /// The envelope does not tell what is in it.
    #[error("Object 'Kind' is missing in the protobuf envelope")]
    Kind,
    /// A kind that is not served.
    #[error("no kind {kind:?} is registered for version {api_version:?} in scheme")]
    Unknown {
        /// `apiVersion` of the envelope.
        api_version: String,
        /// `kind` of the envelope.
        kind: String,
    },
    /// What is in the envelope is compressed, or so.
    #[error("content encoding {0:?} of the protobuf envelope is not understood")]
    Encoding(String),
    /// More bytes than are taken.
    #[error("a protobuf body may have {LONGEST} bytes and {MOST_VALUES} values")]
    Large,
    /// It ends within a value.
    #[error("unexpected EOF")]
    Cut,
    /// A number that is none, or a form that does not exist.
    #[error("proto: illegal tag, length or number")]
    Malformed,
    /// A field has another form than the table says.
    #[error("proto: wrong wireType for field {0}")]
    Form(&'static str),
    /// The bytes of a field do not mean what they should.
    #[error("proto: field {0} holds no value of its type")]
    Value(&'static str),
}

/// `apiVersion`, `kind` and object of a body. The object bears both, too.
///
/// # Errors
/// The body is no envelope, names a kind that is not served, is too large, or is no protobuf of that kind.
pub fn decode(body: &[u8]) -> Result<(String, String, Value), ProtobufError> {
    decode_or(body, "", "")
}

/// As [`decode`], of a body whose envelope may leave out what it holds because the path says it.
pub fn decode_or(body: &[u8], api_version: &str, kind: &str) -> Result<(String, String, Value), ProtobufError> {
    if body.len() > LONGEST {
        return Err(ProtobufError::Large);
    }
    let envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::Envelope)?;
    if envelope.is_empty() {
        return Err(ProtobufError::Empty);
    }
    let mut type_meta = (String::new(), String::new());
    let mut raw: &[u8] = &[];
    let mut reader = Reader::new(envelope);
    while let Some((number, word)) = reader.next()? {
        match (number, word) {
            (1, Word::Bytes(bytes)) => {
                let mut reader = Reader::new(bytes);
                while let Some((number, word)) = reader.next()? {
                    match (number, word) {
                        (1, Word::Bytes(bytes)) => type_meta.0 = text("apiVersion", bytes)?,
                        (2, Word::Bytes(bytes)) => type_meta.1 = text("kind", bytes)?,
                        _ => {}
                    }
                }
            }
            (2, Word::Bytes(bytes)) => raw = bytes,
            (3, Word::Bytes(bytes)) if !bytes.is_empty() => {
                return Err(ProtobufError::Encoding(text("contentEncoding", bytes)?));
            }
            _ => {}
        }
    }
    let (mut own_version, mut own_kind) = type_meta;
    if own_kind.is_empty() {
        own_kind = kind.into();
    }
    if own_version.is_empty() {
        own_version = api_version.into();
    }
    if own_kind.is_empty() {
        return Err(ProtobufError::Kind);
    }
    let Some(message) = schema::named(&own_version, &own_kind) else {
        return Err(ProtobufError::Unknown {
            api_version: own_version,
            kind: own_kind,
        });
    };
    let mut object = Map::new();
    object.insert("apiVersion".into(), own_version.as_str().into());
    object.insert("kind".into(), own_kind.as_str().into());
    Decoder { values: 0 }.message(message, raw, &mut object)?;
    let mut object = Value::Object(object);
    strict::prune_as(message, &mut object);
    Ok((own_version, own_kind, object))
}

struct Decoder {
    /// How many values were read.
    values: usize,
}

/// Messages of the table do not contain themselves, so that the depth is that of the table.
impl Decoder {
    fn message(
        &mut self,
        message: &'static Message,
        bytes: &[u8],
        into: &mut Map<String, Value>,
    ) -> Result<(), ProtobufError> {
        let mut reader = Reader::new(bytes);
        while let Some((number, word)) = reader.next()? {
            self.values += 1;
            if self.values > MOST_VALUES {
                return Err(ProtobufError::Large);
            }
            match message.wire(number) {
                // A newer client's field: dropped, as protobuf has it.
                None => {}
                Some(Wire::Inline(id)) => {
                    let Word::Bytes(bytes) = word else {
                        return Err(ProtobufError::Form(id.message().short()));
                    };
                    self.message(id.message(), bytes, into)?;
                }
                Some(Wire::Field(at)) => self.field(&message.fields[at], word, into)?,
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &'static Field, word: Word, into: &mut Map<String, Value>) -> Result<(), ProtobufError> {
        match field.shape {
            Shape::One => {
                let old = into.get_mut(field.name).map(Value::take);
                let value = self.value(field, word, old)?;
                into.insert(field.name.into(), value);
            }
            Shape::List => {
                let list = into.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
                let Value::Array(items) = list else {
                    return Err(ProtobufError::Value(field.name));
                };
                match (field.ty, word) {
                    (Type::Int32 | Type::Int64 | Type::Bool, Word::Bytes(packed)) => {
                        let mut reader = Reader::new(packed);
                        while let Some(number) = reader.packed()? {
                            items.push(self.value(field, Word::Number(number), None)?);
                        }
                    }
                    (_, word) => items.push(self.value(field, word, None)?),
                }
            }
            Shape::Map => {
                let Word::Bytes(bytes) = word else {
                    return Err(ProtobufError::Form(field.name));
                };
                let (mut key, mut value) = (String::new(), None);
                let mut reader = Reader::new(bytes);
                while let Some((number, word)) = reader.next()? {
                    match (number, word) {
                        (1, Word::Bytes(bytes)) => key = text(field.name, bytes)?,
                        (2, word) => value = Some(self.value(field, word, None)?),
                        _ => {}
                    }
                }
                let map = into.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
                let Value::Object(map) = map else {
                    return Err(ProtobufError::Value(field.name));
                };
                // An entry without a value has the zero one, which `prune` makes of null.
                map.insert(key, value.unwrap_or_default());
            }
        }
        Ok(())
    }

    /// One value; a message that is there already is added to.
    fn value(&mut self, field: &'static Field, word: Word, old: Option<Value>) -> Result<Value, ProtobufError> {
        let name = field.name;
        Ok(match (field.ty, word) {
            (Type::Bool, Word::Number(number)) => (number != 0).into(),
            // Numbers are cut to their width, as protobuf has it.
            (Type::Int32, Word::Number(number)) => (number as i32).into(),
            (Type::Int64, Word::Number(number)) => (number as i64).into(),
            (Type::String, Word::Bytes(bytes)) => text(name, bytes)?.into(),
            (Type::Bytes, Word::Bytes(bytes)) => STANDARD.encode(bytes).into(),
            (Type::Time, Word::Bytes(bytes)) => time(name, bytes, crate::time::seconds)?,
            (Type::MicroTime, Word::Bytes(bytes)) => time(name, bytes, crate::time::micros)?,
            (Type::Quantity, Word::Bytes(bytes)) => {
                let text = text(name, inner(name, bytes)?)?;
                if text.is_empty() { "0".into() } else { text.into() }
            }
            (Type::FieldsV1, Word::Bytes(bytes)) => {
                serde_json::from_slice(inner(name, bytes)?).map_err(|_| ProtobufError::Value(name))?
            }
            (Type::IntOrString, Word::Bytes(bytes)) => int_or_string(name, bytes)?,
            (Type::Message(id), Word::Bytes(bytes)) => {
                let mut object = match old {
                    Some(Value::Object(object)) => object,
                    _ => Map::new(),
                };
                self.message(id.message(), bytes, &mut object)?;
                Value::Object(object)
            }
            _ => return Err(ProtobufError::Form(name)),
        })
    }
}

fn text(name: &'static str, bytes: &[u8]) -> Result<String, ProtobufError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| ProtobufError::Value(name))
}

/// The one field of a message that wraps a text or bytes.
fn inner<'a>(name: &'static str, bytes: &'a [u8]) -> Result<&'a [u8], ProtobufError> {
    let mut inner: &[u8] = &[];
    let mut reader = Reader::new(bytes);
    while let Some((number, word)) = reader.next()? {
        match (number, word) {
            (1, Word::Bytes(bytes)) => inner = bytes,
            (1, _) => return Err(ProtobufError::Form(name)),
            _ => {}
        }
    }
    Ok(inner)
}

fn time(name: &'static str, bytes: &[u8], written: fn(SystemTime) -> String) -> Result<Value, ProtobufError> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, word)) = reader.next()? {
        match (number, word) {
            (1, Word::Number(number)) => seconds = number as i64,
            (2, Word::Number(number)) => nanos = number as i32,
            (1 | 2, _) => return Err(ProtobufError::Form(name)),
            _ => {}
        }
    }
    if bytes.is_empty() || seconds == NO_TIME {
        return Ok(Value::Null);
    }
    let inside = (0..=LATEST).contains(&seconds) && (0..1_000_000_000).contains(&nanos);
    let since = Duration::new(seconds.unsigned_abs(), if inside { nanos.unsigned_abs() } else { 0 });
    match SystemTime::UNIX_EPOCH.checked_add(since).filter(|_| inside) {
        Some(time) => Ok(written(time).into()),
        None => Err(ProtobufError::Value(name)),
    }
}

fn int_or_string(name: &'static str, bytes: &[u8]) -> Result<Value, ProtobufError> {
    let (mut is_text, mut int, mut string) = (false, 0, String::new());
    let mut reader = Reader::new(bytes);
    while let Some((number, word)) = reader.next()? {
        match (number, word) {
            (1, Word::Number(number)) => is_text = number == 1,
            (2, Word::Number(number)) => int = number as i32,
            (3, Word::Bytes(bytes)) => string = text(name, bytes)?,
            (1..=3, _) => return Err(ProtobufError::Form(name)),
            _ => {}
        }
    }
    Ok(if is_text { json!(string) } else { json!(int) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let pair = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        (0..hex.len()).step_by(2).map(pair).collect()
    }

    /// What kubectl 1.32 sends for `create deployment web --image=nginx --replicas=3`.
    const DEPLOYMENT: &str = "6b3873000a150a07617070732f7631120a4465706c6f796d656e7412b8010a1f0a0377656212001a0022002a003200380042005a0a0a0361\
        707012037765621286010803120c0a0a0a0361707012037765621a6c0a1c0a0012001a0022002a003200380042005a0a0a03617070120377\
        6562124c122e0a056e67696e7812056e67696e782a00320a0a001000185022002a0042006a007200800100880100900100a201001a003200\
        42004a0052005800600068008201008a01009a0100c2010022020a00280038001a0c0800100018002000280038001a002200";

    #[test]
    fn what_kubectl_sends_is_read() {
        let sent = [
            // create configmap cm1 --from-literal=a=b
            (
                "6b3873000a0f0a0276311209436f6e6669674d6170121d0a130a03636d3112001a0022002a0032003800420012060a01611201621a002200",
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm1"}, "data": {"a": "b"}}),
            ),
            // create secret generic s1 --from-literal=p=hunter2
            (
                "6b3873000a0c0a027631120653656372657412240a120a02733112001a0022002a00320038004200120c0a0170120768756e746572321a001a002200",
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s1"}, "data": {"p": "aHVudGVyMg=="}}),
            ),
            // create service nodeport np --tcp=80:http --node-port=30080
            (
                "6b3873000a0d0a027631120753657276696365126a0a1d0a026e7012001a0022002a003200380042005a090a0361707012026e7012450a200a07\
                 38302d6874747012035443501850220a080110001a04687474702880eb0112090a0361707012026e701a0022084e6f6465506f72743a00420052\
                 005a00600068001a020a001a002200",
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "np", "labels": {"app": "np"}},
                    "spec": {"ports": [{"name": "80-http", "protocol": "TCP", "port": 80, "targetPort": "http", "nodePort": 30080}],
                        "selector": {"app": "np"}, "type": "NodePort"}, "status": {"loadBalancer": {}}}),
            ),
            // create quota q --hard=cpu=1,pods=2
            (
                "6b3873000a130a027631120d5265736f7572636551756f746112300a110a017112001a0022002a0032003800420012190a0a0a0363707512030a\
                 01310a0b0a04706f647312030a01321a001a002200",
                json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"},
                    "spec": {"hard": {"cpu": "1", "pods": "2"}}, "status": {}}),
            ),
            // create pdb p --selector=a=b --min-available=50%
            (
                "6b3873000a200a09706f6c6963792f76311213506f6444697372757074696f6e42756467657412360a110a017012001a0022002a003200380042\
                 0012150a09080110001a0335302512080a060a01611201621a0a080018002000280030001a002200",
                json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "p"},
                    "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}},
                    "status": {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}}),
            ),
            // create token sa --duration=10m
            (
                "6b3873000a280a1861757468656e7469636174696f6e2e6b38732e696f2f7631120c546f6b656e52657175657374121d0a100a0012001a0022002a\
                 00320038004200120320d8041a040a0012001a002200",
                json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {},
                    "spec": {"expirationSeconds": 600}, "status": {"token": ""}}),
            ),
        ];
        for (hex, object) in sent {
            let hex: String = hex.split_whitespace().collect();
            let (api_version, kind, decoded) = decode(&bytes(&hex)).expect("kubectl's own");
            assert_eq!(
                (json!(api_version), json!(kind)),
                (object["apiVersion"].clone(), object["kind"].clone())
            );
            for (name, value) in object.as_object().expect("an object") {
                assert_eq!(&decoded[name], value, "{decoded}");
            }
        }
    }

    #[test]
    fn every_special_type_comes_through() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "a", "generation": 5_000_000_000_i64, "creationTimestamp": "2024-02-29T12:00:00Z", "finalizers": ["x", "y"],
                "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {".": {}}}}]},
            "spec": {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "w", "configMap": {"name": "c", "optional": false}}],
                "hostNetwork": true, "securityContext": {"supplementalGroups": [1, -2]},
                "containers": [{"name": "c", "livenessProbe": {"httpGet": {"port": "web"}, "periodSeconds": 3},
                    "readinessProbe": {"tcpSocket": {"port": 80}}, "resources": {"requests": {"cpu": "250m"}}}]}});
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "n"},
            "spec": {"renewTime": "2024-01-01T00:00:00.000001Z", "leaseDurationSeconds": 40}});
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "propagationPolicy": "Foreground"});
        for object in [pod, lease, options] {
            let decoded = decode(&encode::body(&object)).expect("encoded by the same table").2;
            for (name, value) in object.as_object().expect("an object") {
                assert!(contains(&decoded[name], value), "{name}: {decoded}");
            }
        }
    }

    /// Whether all of `part` is there; fields that are never left out are there besides.
    fn contains(whole: &Value, part: &Value) -> bool {
        match (whole, part) {
            (Value::Object(whole), Value::Object(part)) => part
                .iter()
                .all(|(name, part)| whole.get(name).is_some_and(|whole| contains(whole, part))),
            (Value::Array(whole), Value::Array(part)) => {
                whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| contains(whole, part))
            }
            (whole, part) => whole == part,
        }
    }

    #[test]
    fn what_is_no_body_is_refused() {
        let named = |kind: &str| encode::envelope("v1", kind, &[]);
        for (body, fault) in [
            (b"{}".to_vec(), ProtobufError::Envelope),
            (MAGIC.to_vec(), ProtobufError::Empty),
            (named(""), ProtobufError::Kind),
            (encode::envelope("v1", "Pod", &[0x0a]), ProtobufError::Cut),
            (
                encode::envelope("v1", "Pod", &[0x08, 0x01]),
                ProtobufError::Form("metadata"),
            ),
            (encode::envelope("v1", "Pod", &[0x0b]), ProtobufError::Malformed),
            (vec![0; LONGEST + 1], ProtobufError::Large),
            (
                encode::envelope("v1", "Pod", &[0x0a, 0].repeat(MOST_VALUES + 1)),
                ProtobufError::Large,
            ),
        ] {
            assert_eq!(decode(&body).expect_err("refused"), fault);
        }
        assert!(matches!(decode(&named("CronJob")), Err(ProtobufError::Unknown { .. })));
        assert_eq!(decode_or(&named(""), "v1", "Pod").expect("the path says it").1, "Pod");
    }

    #[test]
    fn a_body_that_is_cut_off_is_refused_unless_between_fields_of_the_envelope() {
        let hex: String = DEPLOYMENT.split_whitespace().collect();
        let body = bytes(&hex);
        let taken: Vec<_> = (0..body.len())
            .filter(|length| decode(&body[..*length]).is_ok())
            .collect();
        assert_eq!(taken, [27, body.len() - 4, body.len() - 2]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(tail in proptest::collection::vec(any::<u8>(), 0..200), kind in 0_usize..4) {
            let (version, kind) = [("v1", "Pod"), ("apps/v1", "Deployment"), ("v1", "Event"), ("v1", "DeleteOptions")][kind];
            let _ = decode(&encode::envelope(version, kind, &tail));
            let _ = decode(&[MAGIC, &tail].concat());
        }

        #[test]
        fn no_changed_byte_makes_it_panic(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            let hex: String = DEPLOYMENT.split_whitespace().collect();
            let mut body = bytes(&hex);
            let at = at.index(body.len());
            body[at] = byte;
            let _ = decode(&body);
        }
    }
}
