//! One page of a list of which only the versions of the objects are read: as protobuf where the server speaks it, which
//! is a third of the bytes and of the server's work, else as JSON, which every server speaks.
//! Knows messages of `k8s.io/apimachinery` (`runtime.Unknown`, `meta.v1`) only as far as versions need.

use axum::http::HeaderValue;
use axum::http::header::ACCEPT;
use futures::AsyncReadExt;
use kube::Client;
use kube::api::ListParams;
use kube::core::ObjectList;
use prost::Message;
use prost::bytes::Bytes;
use serde::Deserialize;

use crate::base::names::Name;
use crate::base::names::ObjectName;

/// What client-go's metadata client asks for, in this order.
const FORMS: HeaderValue = HeaderValue::from_static(
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
     application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
);

/// What Kubernetes puts before protobuf, in storage and on the wire.
const PROTOBUF: &[u8] = b"k8s\0";

/// A page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Namespace and name, uid, and version of each object.
    pub(super) objects: Vec<(ObjectName, Name, u64)>,
    /// The list's own version.
    pub(super) version: u64,
    /// Asks for the next page, where there is one.
    pub(super) next: Option<String>,
}

/// Asks `line` for a page of the objects at `list`.
///
/// # Errors
/// As the server answers, or when nobody can read what it does.
pub(super) async fn page(
    line: &Client,
    list: &kube::core::Request,
    parameters: &ListParams,
) -> Result<Page, kube::Error> {
    let mut request = list.list_metadata(parameters).map_err(kube::Error::BuildRequest)?;
    request.headers_mut().insert(ACCEPT, FORMS);
    let mut body = Vec::new();
    let mut stream = line.request_stream(request).await?;
    stream.read_to_end(&mut body).await.map_err(kube::Error::ReadEvents)?;
    read(body).map_err(kube::Error::Service)
}

/// Reads a page in either form.
fn read(body: Vec<u8>) -> Result<Page, tower::BoxError> {
    if !body.starts_with(PROTOBUF) {
        let list: ObjectList<Object> = serde_json::from_slice(&body)?;
        let (objects, list) = (list.items, list.metadata);
        return Ok(Page {
            objects: objects.into_iter().map(|object| known(object.metadata)).collect(),
            version: number(&list.resource_version.unwrap_or_default()),
            next: list.continue_.filter(|next| !next.is_empty()),
        });
    }
    let envelope = Envelope::decode(Bytes::from(body).slice(PROTOBUF.len()..))?;
    let list = MetadataList::decode(envelope.raw)?;
    let metadata = list.items.into_iter().filter_map(|item| item.metadata);
    let of_list = list.metadata.unwrap_or_default();
    Ok(Page {
        objects: metadata.map(known).collect(),
        version: number(&of_list.resource_version),
        next: Some(of_list.next).filter(|next| !next.is_empty()),
    })
}

fn known(metadata: Metadata) -> (ObjectName, Name, u64) {
    let name = ObjectName::new(&metadata.namespace, &metadata.name);
    (name, Name::from(metadata.uid), number(&metadata.resource_version))
}

/// Versions are decimal numbers, which Kubernetes promises since 1.35; any other counts as older than all.
fn number(version: &str) -> u64 {
    version.parse().unwrap_or(0)
}

/// An object of which only the metadata were asked for, as JSON.
#[derive(Clone, Deserialize)]
struct Object {
    metadata: Metadata,
}

/// `meta.v1.ObjectMeta`, without what its owners manage.
#[derive(Clone, PartialEq, Eq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(string, tag = "5")]
    uid: String,
    #[prost(string, tag = "6")]
    resource_version: String,
}

/// `runtime.Unknown`: what stands around every object.
#[derive(Clone, PartialEq, Eq, Message)]
struct Envelope {
    #[prost(bytes = "bytes", tag = "2")]
    raw: Bytes,
}

/// `meta.v1.PartialObjectMetadataList`.
#[derive(Clone, PartialEq, Eq, Message)]
struct MetadataList {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ListMetadata>,
    #[prost(message, repeated, tag = "2")]
    items: Vec<PartialMetadata>,
}

/// `meta.v1.ListMeta`.
#[derive(Clone, PartialEq, Eq, Message)]
struct ListMetadata {
    #[prost(string, tag = "2")]
    resource_version: String,
    #[prost(string, tag = "3")]
    next: String,
}

/// `meta.v1.PartialObjectMetadata`.
#[derive(Clone, PartialEq, Eq, Message)]
struct PartialMetadata {
    #[prost(message, optional, tag = "1")]
    metadata: Option<Metadata>,
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::Page;
    use super::read;
    use crate::base::names::Name;
    use crate::base::names::ObjectName;

    /// `GET /api/v1/namespaces?limit=1` of kube-apiserver 1.37.1, as it came.
    const OF_THE_REAL_SERVER: &str = "
        azhzAAorCg5tZXRhLms4cy5pby92MRIZUGFydGlhbE9iamVjdE1ldGFkYXRhTGlzdBLQAgpbCgASBTYxNjk4Gk5leUoySWpv
        aWJXVjBZUzVyT0hNdWFXOHZkakVpTENKeWRpSTZOakUyT1Rnc0luTjBZWEowSWpvaUwyUmxabUYxYkhSY2RUQXdNREFpZlEg
        BBLwAQrtAQoHZGVmYXVsdBIAGgAiACokYWFiNmRhYjMtNTNhNi00YzAwLWJmNWQtNTQwZWM2ZTZiZjk4MgIyMzgAQggIneiL
        2AYQAFomChtrdWJlcm5ldGVzLmlvL21ldGFkYXRhLm5hbWUSB2RlZmF1bHSKAX0KDmt1YmUtYXBpc2VydmVyEgZVcGRhdGUa
        AnYxIggIneiL2AYQADIIRmllbGRzVjE6SQpHeyJmOm1ldGFkYXRhIjp7ImY6bGFiZWxzIjp7Ii4iOnt9LCJmOmt1YmVybmV0
        ZXMuaW8vbWV0YWRhdGEubmFtZSI6e319fX1CABoAIgA=";

    const CONTINUE: &str =
        "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NjE2OTgsInN0YXJ0IjoiL2RlZmF1bHRcdTAwMDAifQ";

    fn default_namespace(next: Option<&str>) -> Page {
        Page {
            objects: vec![(
                ObjectName::new("", "default"),
                Name::from("aab6dab3-53a6-4c00-bf5d-540ec6e6bf98"),
                23,
            )],
            version: 61698,
            next: next.map(str::to_owned),
        }
    }

    #[test]
    fn protobuf_of_the_real_server_is_read() {
        let body = BASE64_STANDARD.decode(OF_THE_REAL_SERVER.replace([' ', '\n'], ""));
        let page = read(body.expect("the constant is base64")).expect("it is a page");
        assert_eq!(page, default_namespace(Some(CONTINUE)));
    }

    #[test]
    fn json_says_the_same() {
        let body = r#"{"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"resourceVersion": "61698", "continue": ""},
            "items": [{"metadata": {"name": "default", "resourceVersion": "23",
                "uid": "aab6dab3-53a6-4c00-bf5d-540ec6e6bf98", "labels": {"a": "b"}}}]}"#;
        let page = read(body.as_bytes().to_vec()).expect("it is a page");
        assert_eq!(page, default_namespace(None));
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        let whole = BASE64_STANDARD.decode(OF_THE_REAL_SERVER.replace([' ', '\n'], ""));
        let whole = whole.expect("the constant is base64");
        assert!(read(whole[..whole.len() / 2].to_vec()).is_err());
        assert!(read(b"{\"items\": [".to_vec()).is_err());
        assert!(read(Vec::new()).is_err());
    }
}
