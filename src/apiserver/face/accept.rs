//! What form of answer a client asks for: the `Accept` header as kube-apiserver reads it.
//! Clients list forms in the order in which they would like them; the first that is served wins.
//! Only JSON is served; protobuf and CBOR are passed over, and every known client lists JSON too.

use super::tables::IncludeObject;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The objects as they are.
    Plain,
    /// A `meta.k8s.io/v1` Table.
    Table(IncludeObject),
    /// `PartialObjectMetadata`, or a list of them.
    Metadata,
    /// Discovery of all groups at once, `apidiscovery.k8s.io/v2`.
    AggregatedDiscovery,
}

impl Form {
    /// The `Content-Type` of an answer in this form.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Plain | Self::Table(_) | Self::Metadata => "application/json",
            Self::AggregatedDiscovery => {
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            }
        }
    }
}

/// The first form of an `Accept` header that is served; `None` if there is none.
/// `include` is how much of the objects the rows of a Table shall carry.
pub(super) fn negotiate(header: Option<&str>, include: IncludeObject) -> Option<Form> {
    let header = header.unwrap_or("").trim();
    if header.is_empty() {
        return Some(Form::Plain);
    }
    header.split(',').find_map(|range| form(range, include))
}

fn form(range: &str, include: IncludeObject) -> Option<Form> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next().unwrap_or("");
    if !matches!(media, "application/json" | "application/*" | "*/*") {
        return None;
    }
    let (mut kind, mut group, mut version) = ("", "", "");
    for part in parts {
        match part.split_once('=') {
            Some(("as", value)) => kind = value,
            Some(("g", value)) => group = value,
            Some(("v", value)) => version = value,
            Some(_) | None => {}
        }
    }
    match (kind, group, version) {
        ("", _, _) => Some(Form::Plain),
        ("Table", "meta.k8s.io", "v1") => Some(Form::Table(include)),
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1") => {
            Some(Form::Metadata)
        }
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => Some(Form::AggregatedDiscovery),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, negotiate};
    use crate::apiserver::face::tables::IncludeObject;

    #[test]
    fn the_first_served_form_wins() {
        let include = IncludeObject::Metadata;
        let negotiated = [
            (None, Some(Form::Plain)),
            (Some("*/*"), Some(Form::Plain)),
            (
                Some(
                    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                ),
                Some(Form::Table(include)),
            ),
            (
                Some(
                    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                ),
                Some(Form::Metadata),
            ),
            (
                Some(
                    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
                ),
                Some(Form::AggregatedDiscovery),
            ),
            (
                Some("application/json;as=Unheard;g=meta.k8s.io;v=v1,application/json"),
                Some(Form::Plain),
            ),
            (Some("application/vnd.kubernetes.protobuf"), None),
        ];
        for (header, form) in negotiated {
            assert_eq!(negotiate(header, include), form, "{header:?}");
        }
    }
}
