//! Protobuf bodies: `kubectl create namespace`, `create job`, `auth can-i`, and the other commands of
//! kubectl that make an object by themselves send it as protobuf and nothing else. They are turned
//! into the JSON that the store reads; answers are always JSON, which those clients accept too.
//! Invariant: what is not listed here is refused by name, never dropped in silence.

use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

use super::messages::{Field, KINDS, Kind};
use crate::apiserver::store::failure::Failure;

/// The media type of these bodies.
pub(super) const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Reads a body as the object that it is.
///
/// # Errors
/// 415 for a kind that is read as JSON only, 400 for bytes that are none of it.
pub(super) fn object(body: &[u8]) -> Result<Value, Failure> {
    let envelope = body.strip_prefix(MAGIC).ok_or_else(|| broken("it does not begin with k8s"))?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), [].as_slice());
    for part in parts(envelope) {
        match part? {
            (1, Part::Bytes(bytes)) => {
                for part in parts(bytes) {
                    match part? {
                        (1, Part::Bytes(bytes)) => api_version = text(bytes)?,
                        (2, Part::Bytes(bytes)) => kind = text(bytes)?,
                        (_, Part::Bytes(_) | Part::Number(_)) => {}
                    }
                }
            }
            (2, Part::Bytes(bytes)) => raw = bytes,
            (_, Part::Bytes(_) | Part::Number(_)) => {}
        }
    }
    let known =
        KINDS.iter().find(|(version, name, _)| (*version, *name) == (&*api_version, &*kind));
    let Some((_, _, fields)) = known else { return Err(unread(&api_version, &kind)) };
    let mut object = json!({"apiVersion": api_version, "kind": kind});
    let read = message(raw, fields, &kind)?;
    object.as_object_mut().expect("just made as an object").extend(read);
    Ok(object)
}

fn unread(api_version: &str, kind: &str) -> Failure {
    Failure::new(
        415,
        "UnsupportedMediaType",
        format!(
            "{kind} of {api_version} is read as JSON or YAML only, not as protobuf; with kubectl, \
             write it to a file (--dry-run=client -o yaml) and apply that"
        ),
    )
}

fn broken(why: &str) -> Failure {
    Failure::bad_request(format!("the body is no protobuf of Kubernetes: {why}"))
}

/// A field's value as it stands on the wire.
#[derive(Debug)]
enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message one after another, with their numbers.
fn parts(mut bytes: &[u8]) -> impl Iterator<Item = Result<(u64, Part<'_>), Failure>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let part = next_part(&mut bytes);
        if part.is_none() {
            bytes = &[];
        }
        Some(part.ok_or_else(|| broken("it is cut short")))
    })
}

fn next_part<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Part<'a>)> {
    let key = varint(bytes)?;
    let part = match key & 7 {
        0 => Part::Number(varint(bytes)?),
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            let (field, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Part::Bytes(field)
        }
        // Kubernetes has no fixed-width numbers in the kinds that are read here.
        _ => return None,
    };
    Some((key >> 3, part))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn text(bytes: &[u8]) -> Result<String, Failure> {
    String::from_utf8(bytes.to_vec()).map_err(|_| broken("a text is not UTF-8"))
}

/// Reads a message by its fields; `of` is what complaints call it.
fn message(bytes: &[u8], fields: &[Field], of: &str) -> Result<Map<String, Value>, Failure> {
    let mut object = Map::new();
    for part in parts(bytes) {
        let (number, part) = part?;
        let Some(field) = fields.iter().find(|field| u64::from(field.number) == number) else {
            return Err(broken(&format!(
                "field {number} of {of} is not read here; send JSON or YAML"
            )));
        };
        read(&mut object, field, part)?;
    }
    Ok(object)
}

fn read(object: &mut Map<String, Value>, field: &Field, part: Part<'_>) -> Result<(), Failure> {
    let name = field.name;
    let wrong = || broken(&format!("{name} has the wrong type"));
    let value = match (field.kind, part) {
        (Kind::Skipped, _) => None,
        (Kind::Text, Part::Bytes(bytes)) => {
            Some(text(bytes)?).filter(|t| !t.is_empty()).map(Value::from)
        }
        (Kind::Number, Part::Number(number)) => {
            Some(signed(number)).filter(|n| *n != 0).map(Value::from)
        }
        (Kind::GivenNumber, Part::Number(number)) => Some(signed(number).into()),
        (Kind::Flag, Part::Number(number)) => (number != 0).then_some(Value::Bool(true)),
        (Kind::GivenFlag, Part::Number(number)) => Some((number != 0).into()),
        (Kind::IntOrString, Part::Bytes(bytes)) => Some(int_or_string(bytes)?),
        (Kind::Message(fields), Part::Bytes(bytes)) => {
            Some(Value::Object(message(bytes, fields, name)?))
        }
        (Kind::Plain(fields), Part::Bytes(bytes)) => {
            Some(message(bytes, fields, name)?).filter(|read| !read.is_empty()).map(Value::Object)
        }
        (Kind::Texts, Part::Bytes(bytes)) => {
            push(object, name, text(bytes)?.into());
            None
        }
        (Kind::Messages(fields), Part::Bytes(bytes)) => {
            push(object, name, Value::Object(message(bytes, fields, name)?));
            None
        }
        (Kind::TextMap | Kind::BytesMap | Kind::QuantityMap, Part::Bytes(bytes)) => {
            let (key, value) = entry(bytes, field.kind)?;
            let map = object.entry(name).or_insert_with(|| json!({}));
            map.as_object_mut().expect("maps are objects").insert(key, value);
            None
        }
        (
            Kind::Text | Kind::IntOrString | Kind::Message(_) | Kind::Plain(_) | Kind::Texts,
            Part::Number(_),
        )
        | (
            Kind::Messages(_) | Kind::TextMap | Kind::BytesMap | Kind::QuantityMap,
            Part::Number(_),
        )
        | (Kind::Number | Kind::GivenNumber | Kind::Flag | Kind::GivenFlag, Part::Bytes(_)) => {
            return Err(wrong());
        }
    };
    if let Some(value) = value {
        object.insert(name.to_owned(), value);
    }
    Ok(())
}

fn push(object: &mut Map<String, Value>, name: &str, value: Value) {
    let list = object.entry(name).or_insert_with(|| json!([]));
    list.as_array_mut().expect("repeated fields are lists").push(value);
}

/// Negative numbers are sent as the two's complement of 64 bits.
fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn int_or_string(bytes: &[u8]) -> Result<Value, Failure> {
    let (mut is_text, mut number, mut string) = (false, 0, String::new());
    for part in parts(bytes) {
        match part? {
            (1, Part::Number(kind)) => is_text = kind == 1,
            (2, Part::Number(value)) => number = signed(value),
            (3, Part::Bytes(bytes)) => string = text(bytes)?,
            (_, Part::Number(_) | Part::Bytes(_)) => {}
        }
    }
    Ok(if is_text { string.into() } else { number.into() })
}

/// One entry of a map: its key, and its value as JSON.
fn entry(bytes: &[u8], kind: Kind) -> Result<(String, Value), Failure> {
    let (mut key, mut raw) = (String::new(), [].as_slice());
    for part in parts(bytes) {
        match part? {
            (1, Part::Bytes(bytes)) => key = text(bytes)?,
            (2, Part::Bytes(bytes)) => raw = bytes,
            (_, Part::Number(_) | Part::Bytes(_)) => {}
        }
    }
    let value = match kind {
        Kind::BytesMap => json!(ByteString(raw.to_vec())),
        Kind::QuantityMap => {
            let quantity =
                message(raw, &[Field { number: 1, name: "string", kind: Kind::Text }], "quantity")?;
            quantity.get("string").cloned().unwrap_or_else(|| json!("0"))
        }
        Kind::Skipped
        | Kind::Text
        | Kind::Number
        | Kind::GivenNumber
        | Kind::Flag
        | Kind::GivenFlag
        | Kind::IntOrString
        | Kind::Message(_)
        | Kind::Plain(_)
        | Kind::Texts
        | Kind::Messages(_)
        | Kind::TextMap => text(raw)?.into(),
    };
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::object;
    use serde_json::json;

    /// What kubectl 1.37.1 sends for `kubectl create deployment d --image=img --replicas=3 --port=80 -- cmd arg`.
    const DEPLOYMENT: &[u8] = b"k8s\x00\n\x15\n\x07apps/v1\x12\nDeployment\x12\xb6\x01\n\x1b\n\x01d\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00Z\x08\n\x03app\x12\x01d\x12\x88\x01\x08\x03\x12\n\n\x08\n\x03app\x12\x01d\x1ap\n\x1a\n\x00\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00Z\x08\n\x03app\x12\x01d\x12R\x124\n\x03img\x12\x03img\x1a\x03cmd\x1a\x03arg*\x002\n\n\x00\x10\x00\x18P\"\x00*\x00B\x00j\x00r\x00\x80\x01\x00\x88\x01\x00\x90\x01\x00\xa2\x01\x00\x1a\x002\x00B\x00J\x00R\x00X\x00`\x00h\x00\x82\x01\x00\x8a\x01\x00\x9a\x01\x00\xc2\x01\x00\"\x02\n\x00(\x008\x00\x1a\x0c\x08\x00\x10\x00\x18\x00 \x00(\x008\x00\x1a\x00\"\x00";

    #[test]
    fn what_kubectl_sends_reads_as_what_it_means() {
        let expected = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "d", "labels": {"app": "d"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "d"}}, "template": {
                "metadata": {"labels": {"app": "d"}},
                "spec": {"containers": [{"name": "img", "image": "img", "command": ["cmd", "arg"],
                    "ports": [{"containerPort": 80}]}]}}}});
        assert_eq!(object(DEPLOYMENT).expect("it is read"), expected);
        let secret = b"k8s\x00\n\x0c\n\x02v1\x12\x06Secret\x12\x1d\n\x11\n\x01c\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00\x12\x06\n\x01k\x12\x01v\x1a\x00\x1a\x00\"\x00";
        assert_eq!(object(secret).expect("it is read")["data"], json!({"k": "dg=="}));
        let quota = b"k8s\x00\n\x13\n\x02v1\x12\rResourceQuota\x120\n\x11\n\x01q\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00\x12\x19\n\n\n\x03cpu\x12\x03\n\x012\n\x0b\n\x04pods\x12\x03\n\x013\x1a\x00\x1a\x00\"\x00";
        assert_eq!(
            object(quota).expect("it is read")["spec"],
            json!({"hard": {"cpu": "2", "pods": "3"}})
        );
        let budget = b"k8s\x00\n \n\tpolicy/v1\x12\x13PodDisruptionBudget\x126\n\x11\n\x01p\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00\x12\x15\n\t\x08\x01\x10\x00\x1a\x0350%\x12\x08\n\x06\n\x01a\x12\x01b\x1a\n\x08\x00\x18\x00 \x00(\x000\x00\x1a\x00\"\x00";
        assert_eq!(object(budget).expect("it is read")["spec"]["minAvailable"], json!("50%"));
    }

    #[test]
    fn owners_are_read() {
        let owned = b"k8s\x00\n\x0f\n\x02v1\x12\tConfigMap\x12\x23\n\x21\n\x01c\x6a\x1c\n\x07CronJob\x1a\x02cj\x22\x01u\x2a\x08batch/v1\x30\x01";
        assert_eq!(
            object(owned).expect("it is read")["metadata"],
            json!({"name": "c", "ownerReferences": [
                {"kind": "CronJob", "name": "cj", "uid": "u", "apiVersion": "batch/v1", "controller": true},
            ]})
        );
    }

    #[test]
    fn what_is_not_read_is_refused() {
        assert_eq!(object(b"{}").expect_err("JSON").code, 400);
        // Cut before its length or inside of it; where no field is cut the rest is a message too.
        for end in 28..DEPLOYMENT.len() - 4 {
            assert!(object(&DEPLOYMENT[..end]).is_err(), "cut after {end} bytes");
        }
        let role = b"k8s\x00\n(\n\x1crbac.authorization.k8s.io/v1\x12\x08RoleList\x12\x00";
        let refusal = object(role).expect_err("no such kind");
        assert_eq!(refusal.code, 415);
        assert!(refusal.message.contains("--dry-run=client"), "{}", refusal.message);
    }
}
