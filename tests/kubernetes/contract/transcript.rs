//! Sends the requests of a case and writes down what came: one line per request with its code, below it what the
//! case wants shown, one value a line.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use super::case::Asked;
use super::case::Case;
use super::normal::Normal;
use super::target::Answer;
use super::target::Target;

/// Members of a `Status` that say nothing about a refusal beyond its code.
const FORMALITIES: [&str; 5] = ["kind", "apiVersion", "metadata", "status", "code"];

/// Stands for what time does to every store: the history up to now is forgotten.
const COMPACT: &str = "COMPACT";

/// Kept values by name.
type Kept = BTreeMap<String, String>;

/// How long an awaited code may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest name of a namespace.
const NAMESPACE_LENGTH_MAX: usize = 63;

/// Performs `case` and tells what came, one part for each request.
pub(crate) async fn transcript(case: &Case, name: &str, target: &Target) -> Vec<String> {
    let mut namespace = format!("contract-{name}");
    namespace.truncate(NAMESPACE_LENGTH_MAX);
    let namespace = namespace.trim_end_matches('-').to_owned();
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    let request = http::Request::post("/api/v1/namespaces")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(object.to_string().into_bytes())
        .expect("it is well formed");
    let made = target.send(request, None).await;
    assert_eq!(made.code, 201, "{}", String::from_utf8_lossy(&made.body));

    let mut kept = Kept::from([("ns".to_owned(), namespace)]);
    let mut normal = Normal::default();
    let mut parts = Vec::new();
    for asked in case.requests() {
        let answer = answered(asked, &kept, target).await;
        parts.push(told(asked, &answer, &mut normal));
        keep(asked, &answer, &mut kept);
    }
    parts
}

/// The answer to one request; where the case waits for a code, the first answer with it.
async fn answered(asked: &Asked, kept: &Kept, target: &Target) -> Answer {
    if asked.send == COMPACT {
        target.compact().await;
        return Answer { code: 200, warnings: Vec::new(), body: Vec::new() };
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = target.send(request_of(asked, kept), asked.lines).await;
        let awaited = asked.until.is_none_or(|code| code == answer.code);
        if awaited || Instant::now() > deadline {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `template` with kept values in it, each changed by `escape`.
fn filled(template: &str, kept: &Kept, escape: fn(&str) -> String) -> String {
    let mut text = template.to_owned();
    for (name, value) in kept {
        text = text.replace(&format!("$({name})"), &escape(value));
    }
    assert!(!text.contains("$("), "nothing of that name was kept: {text}");
    text
}

/// Percent-encodes what has a meaning in a query.
fn escaped(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    value.bytes().map(one).collect()
}

fn request_of(asked: &Asked, kept: &Kept) -> http::Request<Vec<u8>> {
    let (method, target) = asked.send.split_once(' ').expect("a method and a target");
    let target = filled(target, kept, escaped);
    let target = if target.starts_with('/') {
        target
    } else {
        format!("/api/v1/namespaces/{}/{target}", kept["ns"])
    };
    let body = match (&asked.text, &asked.body) {
        (Some(text), _) => filled(text, kept, str::to_owned).into_bytes(),
        (None, Value::Null) => Vec::new(),
        (None, body) => filled(&body.to_string(), kept, str::to_owned).into_bytes(),
    };
    let mut request = http::Request::builder().method(method).uri(target);
    if !body.is_empty() {
        request = request.header(http::header::CONTENT_TYPE, media_type(asked.form.as_deref()));
    }
    if let Some(accept) = &asked.accept {
        request = request.header(http::header::ACCEPT, accepted(accept));
    }
    request.body(body).expect("the case's request is well formed")
}

fn media_type(form: Option<&str>) -> &str {
    match form {
        None => "application/json",
        Some("json") => "application/json-patch+json",
        Some("merge") => "application/merge-patch+json",
        Some("strategic") => "application/strategic-merge-patch+json",
        Some("apply") => "application/apply-patch+yaml",
        Some(media_type) => media_type,
    }
}

fn accepted(name: &str) -> &str {
    match name {
        "table" => "application/json;as=Table;v=v1;g=meta.k8s.io",
        "metadata" => "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
        "metadata-list" => "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
        media_type => media_type,
    }
}

fn parsed(answer: &Answer) -> Vec<Value> {
    let stream = serde_json::Deserializer::from_slice(&answer.body).into_iter::<Value>();
    let values: Result<Vec<Value>, _> = stream.collect();
    values.unwrap_or_else(|_| vec![Value::String(String::from_utf8_lossy(&answer.body).into())])
}

fn told(asked: &Asked, answer: &Answer, normal: &mut Normal) -> String {
    let form = asked.form.as_deref().map(|form| format!(" ({form})")).unwrap_or_default();
    let mut text = format!("{}{form}: {}\n", asked.send, answer.code);
    for warning in &answer.warnings {
        text.push_str(&format!("  warning: {}\n", normal.text(warning)));
    }
    for value in parsed(answer) {
        // Normal in the order of appearance, also what is not shown: both servers answer it all.
        let value = normal.value(&value);
        if answer.code >= 300 && value["kind"] == "Status" {
            tell_refusal(&mut text, &value, answer.code);
        } else {
            for pointer in &asked.show {
                tell_part(&mut text, &value, pointer);
            }
        }
    }
    text
}

fn tell_refusal(text: &mut String, status: &Value, code: u16) {
    let Some(status) = status.as_object() else { return };
    if status.get("code") != Some(&json!(code)) {
        text.push_str(&format!("  code: {}\n", status.get("code").unwrap_or(&Value::Null)));
    }
    for (key, value) in status.iter().filter(|(key, _)| !FORMALITIES.contains(&key.as_str())) {
        text.push_str(&format!("  {key}: {}\n", line(value)));
    }
}

fn tell_part(text: &mut String, value: &Value, pointer: &str) {
    let parts: Vec<&str> = pointer.split('/').skip(1).collect();
    let mut found = selected(value, &parts);
    if !pointer.contains("managedFields") {
        found.iter_mut().for_each(without_owners);
    }
    let shown = match (found.as_slice(), pointer.contains('*')) {
        ([], false) => "(absent)".to_owned(),
        ([one], false) => line(one),
        (all, _) => all.iter().map(line).collect::<Vec<_>>().join(" "),
    };
    let name = if pointer.is_empty() { "/" } else { pointer };
    text.push_str(&format!("  {name}: {shown}\n"));
}

/// Who owns which field is a subject of its own, and long.
fn without_owners(value: &mut Value) {
    if let Some(object) = value.as_object_mut() {
        object.shift_remove("managedFields");
    }
    if let Some(metadata) = value.get_mut("metadata") {
        without_owners(metadata);
    }
    if let Some(object) = value.get_mut("object") {
        without_owners(object);
    }
}

fn selected(value: &Value, parts: &[&str]) -> Vec<Value> {
    let Some((first, rest)) = parts.split_first() else { return vec![value.clone()] };
    if *first == "*" {
        let items = value.as_array().into_iter().flatten();
        return items.flat_map(|item| selected(item, rest)).collect();
    }
    let key = first.replace("~1", "/").replace("~0", "~");
    let next = match value {
        Value::Array(items) => key.parse().ok().and_then(|index: usize| items.get(index)),
        Value::Object(object) => object.get(&key),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    next.map(|next| selected(next, rest)).unwrap_or_default()
}

/// One value on one line; plain text as it is where that is unmistakable.
fn line(value: &Value) -> String {
    match value {
        Value::String(text) if !text.contains('\n') && !text.is_empty() => text.clone(),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => value.to_string(),
    }
}

fn keep(asked: &Asked, answer: &Answer, kept: &mut Kept) {
    for (name, pointer) in &asked.keep {
        let value = parsed(answer).last().and_then(|value| value.pointer(pointer).cloned());
        let value = value.unwrap_or_else(|| panic!("{}: nothing at {pointer}", asked.send));
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        kept.insert(name.clone(), value);
    }
}
