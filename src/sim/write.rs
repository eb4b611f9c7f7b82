//! A write to the Kubernetes API as data. The kubelet and the controllers return these;
//! whoever runs them (virtual time, the playground, a client of a real API server) carries them out.
//! A write has no outcome here: its author watches objects, and writes again if nothing changed.

use std::sync::Arc;

use http::Request;
use http::header;
use serde_json::Value;
use serde_json::json;

/// What a [`Write`] does to its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `POST` of a whole object to a collection, or to a subresource such as `eviction`.
    Create,
    /// `PATCH` by RFC 7386: lists are replaced whole.
    MergePatch,
    /// `PATCH` by Kubernetes' own rules: lists such as `status.conditions` merge by their key.
    StrategicMergePatch,
    /// `DELETE` of one object with `DeleteOptions`.
    Delete,
}

impl Verb {
    /// The name of the HTTP method.
    pub const fn method_name(self) -> &'static str {
        match self {
            Self::Create => "POST",
            Self::MergePatch | Self::StrategicMergePatch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// The body's `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Create | Self::Delete => "application/json",
            Self::MergePatch => "application/merge-patch+json",
            Self::StrategicMergePatch => "application/strategic-merge-patch+json",
        }
    }
}

/// One API request that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// What is done.
    pub verb: Verb,
    /// The request's path, from `/api` or `/apis` on, without a query.
    pub path: String,
    /// The object, the patch, or the `DeleteOptions`, as JSON text. Kept as such, and shared by whoever may have to
    /// send it again: a fleet that starts has hundreds of thousands of writes under way.
    text: Arc<[u8]>,
}

impl Write {
    /// Creates `object` in the collection at `path`.
    pub fn create(path: impl Into<String>, object: &Value) -> Self {
        Self::new(Verb::Create, path, object)
    }

    /// Patches the object (or subresource) at `path`, replacing lists whole.
    pub fn merge(path: impl Into<String>, patch: &Value) -> Self {
        Self::new(Verb::MergePatch, path, patch)
    }

    /// Patches the object (or subresource) at `path`, merging lists by their keys. Built-in kinds only.
    pub fn strategic(path: impl Into<String>, patch: &Value) -> Self {
        Self::new(Verb::StrategicMergePatch, path, patch)
    }

    /// Deletes the object at `path`, if it still is the one with `uid`.
    /// `grace` seconds, where given, replace the object's own.
    pub fn delete(path: impl Into<String>, uid: &str, grace: Option<i64>) -> Self {
        let mut options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        });
        if let Some(seconds) = grace {
            options["gracePeriodSeconds"] = json!(seconds);
        }
        Self::new(Verb::Delete, path, &options)
    }

    fn new(verb: Verb, path: impl Into<String>, body: &Value) -> Self {
        let text = serde_json::to_vec(body).expect("a value can always be written");
        Self { verb, path: path.into(), text: text.into() }
    }

    /// The body as JSON text.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The body as a value.
    pub fn body(&self) -> Value {
        serde_json::from_slice(&self.text).expect("it was written from a value")
    }

    /// The same as an HTTP request.
    pub fn request(&self) -> Request<Vec<u8>> {
        Request::builder()
            .method(self.verb.method_name())
            .uri(&self.path)
            .header(header::CONTENT_TYPE, self.verb.content_type())
            .header(header::ACCEPT, "application/json")
            .body(self.text.to_vec())
            .expect("paths are built from names that the API has validated")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_becomes_the_request_that_an_api_server_expects() {
        let pod = "/api/v1/namespaces/a/pods/p";
        let cases = [
            (Write::create("/api/v1/nodes", &json!({})), "POST", "application/json"),
            (Write::merge(pod, &json!({})), "PATCH", "application/merge-patch+json"),
            (Write::strategic(pod, &json!({})), "PATCH", "application/strategic-merge-patch+json"),
            (Write::delete(pod, "u", Some(0)), "DELETE", "application/json"),
        ];
        for (write, method, content_type) in cases {
            let request = write.request();
            assert_eq!(request.method().as_str(), method);
            assert_eq!(request.uri().path(), write.path);
            assert_eq!(request.headers()[header::CONTENT_TYPE], content_type);
        }
    }

    #[test]
    fn a_delete_names_the_uid_it_means() {
        let body = Write::delete("/api/v1/nodes/n", "u-1", Some(0)).body();
        assert_eq!(body["preconditions"]["uid"], "u-1");
        assert_eq!(body["gracePeriodSeconds"], 0);
        assert_eq!(Write::delete("/x", "u", None).body().get("gracePeriodSeconds"), None);
    }
}
