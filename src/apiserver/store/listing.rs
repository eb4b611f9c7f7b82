//! Lists: consistent pages at one version, and the rules of resourceVersion in lists.
//! A continue token pins the version of the first page; later pages are today's objects with the
//! changes since then undone. Knows no HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::failure::Subject;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::selection::Selection;
use crate::apiserver::store::shelf::Object;
use crate::apiserver::store::shelf::Shelf;
use crate::apiserver::store::shelf::Shelves;
use crate::apiserver::store::view::Shown;
use crate::base::names::ObjectName;

/// How the given resourceVersion of a list is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionMatch {
    /// The version asked for or a later one.
    NotOlderThan,
    /// Just that version.
    Exact,
}

/// What a list is asked with.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// Which objects.
    pub selection: Selection,
    /// Objects per page; 0 for no limit.
    pub limit: usize,
    /// The token of the page before; empty for the first.
    pub continue_token: String,
    /// `resourceVersion` as given; empty if it was not.
    pub version: String,
    /// `resourceVersionMatch`, if given.
    pub version_match: Option<VersionMatch>,
}

/// A page of objects.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Through which resource they are shown.
    pub resource: Arc<Resource>,
    /// The objects, ordered by namespace and name.
    pub objects: Vec<Object>,
    /// The version at which the list is true.
    pub version: u64,
    /// Where the next page begins, if there is one.
    pub continue_token: Option<String>,
    /// How many objects follow; `None` where nobody counted, as upstream under a selector.
    pub remaining: Option<usize>,
}

const GONE: &str = "The provided continue parameter is too old to display a consistent list result. You can start a \
    new list without the continue parameter, or use the continue token in this response to retrieve the remainder of \
    the results. Continuing with the provided token results in an inconsistent list - objects that were created, \
    modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// Lists objects of `resource`.
///
/// # Errors
/// 400 or 422 for options that contradict each other, 410 for a version that history no longer
/// reaches, 504 for one that does not exist yet.
pub fn list(
    shelves: &Shelves,
    resource: &Arc<Resource>,
    query: &ListQuery,
) -> Result<Listing, Failure> {
    let shelf = shelves.shelf(resource.shelf);
    let (version, after) = start(shelves, query)?;
    let overlay = shelf.undo_to(version).map_err(|_| gone(query, after.as_ref()))?;
    let mut page = Page { query, after: after.as_ref(), objects: Vec::new(), more: 0, last: None };
    if overlay.is_empty() {
        page.fill(candidates(shelf, query));
    } else {
        page.fill(as_it_was(shelf, query, overlay).iter());
    }
    let Page { objects, more, last, .. } = page;
    let continue_token =
        last.filter(|_| more > 0).map(|last| format!("{version}/{}/{}", last.namespace, last.name));
    let remaining = (more > 0 && query.selection.is_everything()).then_some(more);
    Ok(Listing { resource: Arc::clone(resource), objects, version, continue_token, remaining })
}

/// The version to list at, and the name after which to begin.
fn start(shelves: &Shelves, query: &ListQuery) -> Result<(u64, Option<ObjectName>), Failure> {
    check_options(query)?;
    let current = shelves.version();
    if !query.continue_token.is_empty() {
        let (version, after) = read_token(&query.continue_token)?;
        return Ok((if version == 0 { current } else { version }, Some(after)));
    }
    let asked = read_version(&query.version).map_err(|failure| {
        Failure::bad_request(format!("invalid resource version: {}", failure.message))
    })?;
    if asked > current {
        return Err(Failure::version_too_large(asked, current));
    }
    let exact = query.version_match == Some(VersionMatch::Exact)
        || (query.version_match.is_none() && query.limit > 0 && asked > 0);
    Ok((if exact { asked } else { current }, None))
}

fn check_options(query: &ListQuery) -> Result<(), Failure> {
    let mut errors = Vec::new();
    let field = "resourceVersionMatch";
    if query.version_match.is_some() {
        if query.version.is_empty() {
            errors.push(FieldError::forbidden(
                field,
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if !query.continue_token.is_empty() {
            errors.push(FieldError::forbidden(
                field,
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        if query.version_match == Some(VersionMatch::Exact) && query.version == "0" {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            errors.push(FieldError::forbidden(field, why));
        }
    }
    if !errors.is_empty() {
        return Err(options_invalid(&errors));
    }
    if !query.continue_token.is_empty() && !matches!(query.version.as_str(), "" | "0") {
        return Err(Failure::bad_request(
            "specifying resource version is not allowed when using continue",
        ));
    }
    Ok(())
}

/// 422 for list options that contradict each other.
pub fn options_invalid(errors: &[FieldError]) -> Failure {
    options_of("ListOptions").invalid("", errors)
}

/// What refusals call the options of a request: `ListOptions`, `CreateOptions`, and so on.
pub(super) const fn options_of(kind: &str) -> Subject<'_> {
    Subject { group: "meta.k8s.io", resource: "", kind }
}

/// A resourceVersion as clients give it; empty means 0.
///
/// # Errors
/// 400 when it is no number.
pub fn read_version(text: &str) -> Result<u64, Failure> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| {
        let why = format!("strconv.ParseUint: parsing {}: invalid syntax", Value::from(text));
        Failure::bad_request(FieldError::invalid("resourceVersion", text, why).to_string())
    })
}

fn read_token(token: &str) -> Result<(u64, ObjectName), Failure> {
    let mut parts = token.splitn(3, '/');
    let version = parts.next().and_then(|version| version.parse().ok());
    match (version, parts.next(), parts.next()) {
        (Some(version), Some(namespace), Some(name)) => {
            Ok((version, ObjectName::new(namespace, name)))
        }
        _ => Err(Failure::bad_request("continue key is not valid: unrecognized start key")),
    }
}

fn gone(query: &ListQuery, after: Option<&ObjectName>) -> Failure {
    match after {
        None => Failure::expired("The resourceVersion for the provided list is too old."),
        Some(after) => {
            debug_assert!(
                !query.continue_token.is_empty(),
                "only a token names a place to begin after"
            );
            Failure::expired(GONE).with_continue(format!("0/{}/{}", after.namespace, after.name))
        }
    }
}

fn candidates<'a>(
    shelf: &'a Shelf,
    query: &'a ListQuery,
) -> Box<dyn Iterator<Item = &'a Object> + 'a> {
    let namespace = query.namespace.as_deref();
    if let (Some(name), Some(namespace)) = (query.selection.required("metadata.name"), namespace) {
        return Box::new(shelf.get(namespace, name).into_iter());
    }
    match query.selection.required("spec.nodeName") {
        Some(node) if !node.is_empty() => {
            let here = move |object: &&Object| {
                namespace.is_none_or(|namespace| object.namespace() == namespace)
            };
            Box::new(shelf.on_node(node).filter(here))
        }
        Some(_) | None => Box::new(shelf.iter(namespace)),
    }
}

fn as_it_was(
    shelf: &Shelf,
    query: &ListQuery,
    overlay: BTreeMap<ObjectName, Option<Object>>,
) -> Vec<Object> {
    let namespace = query.namespace.as_deref();
    let mut objects: BTreeMap<ObjectName, Object> =
        shelf.iter(namespace).map(|object| (object.name(), Arc::clone(object))).collect();
    for (name, before) in overlay {
        if namespace.is_some_and(|namespace| *name.namespace != *namespace) {
            continue;
        }
        match before {
            Some(before) => objects.insert(name, before),
            None => objects.remove(&name),
        };
    }
    objects.into_values().collect()
}

struct Page<'a> {
    query: &'a ListQuery,
    after: Option<&'a ObjectName>,
    objects: Vec<Object>,
    more: usize,
    last: Option<ObjectName>,
}

impl Page<'_> {
    fn fill<'a>(&mut self, objects: impl Iterator<Item = &'a Object>) {
        for object in objects {
            if let Some(after) = self.after {
                let here = (object.namespace(), object.own_name());
                if here <= (&*after.namespace, &*after.name) {
                    continue;
                }
            }
            if !self.query.selection.takes(object) {
                continue;
            }
            if self.query.limit > 0 && self.objects.len() == self.query.limit {
                self.more += 1;
            } else {
                self.objects.push(Arc::clone(object));
            }
        }
        self.last = self.objects.last().map(|object| object.name());
    }
}

impl Listing {
    /// The list's `metadata`.
    pub fn metadata(&self) -> Value {
        let mut metadata = serde_json::json!({"resourceVersion": self.version.to_string()});
        if let Some(token) = &self.continue_token {
            metadata["continue"] = token.as_str().into();
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        metadata
    }

    /// The list as JSON text, made of the objects' own texts.
    pub fn text(&self) -> Vec<u8> {
        let resource = &self.resource;
        let metadata = self.metadata();
        let (kind, version) = (&resource.list_kind, resource.api_version());
        let head = format!(
            "{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\"items\":["
        );
        let mut text = head.into_bytes();
        for (index, object) in self.objects.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            let shown = Shown { resource: Arc::clone(resource), object: Arc::clone(object) };
            text.extend_from_slice(&shown.text());
        }
        text.extend_from_slice(b"]}");
        text
    }
}
