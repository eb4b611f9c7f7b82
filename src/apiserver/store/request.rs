//! Requests as values: which verb, on what, with which options. Read from method, path, and query of
//! an HTTP request, by the rules of Kubernetes paths.
//! Knows no object and reads no body; a request that is understood may still be refused by the store.
//! What the catalog does not serve has no request: it is a 404 here.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::failure::Fault;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::failure::Subject;
use crate::apiserver::store::listing::ListQuery;
use crate::apiserver::store::listing::VersionMatch;
use crate::apiserver::store::listing::options_invalid;
use crate::apiserver::store::listing::options_of;
use crate::apiserver::store::resource::Catalog;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::Scope;
use crate::apiserver::store::resource::Subresource;
use crate::apiserver::store::selection::Selection;
use crate::apiserver::store::watch::Bookmarks;
use crate::apiserver::store::watch::InitialEvents;
use crate::apiserver::store::watch::WatchQuery;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read many.
    List,
    /// Follow changes.
    Watch,
    /// Make one.
    Create,
    /// Replace one.
    Update,
    /// Change parts of one.
    Patch,
    /// Delete one.
    Delete,
    /// Delete many.
    DeleteCollection,
}

impl Verb {
    /// The verb as authorization and audit name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

/// What to do about fields that the server does not know, or sees twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Drop them without a word.
    Ignore,
    /// Drop them and warn; the default.
    #[default]
    Warn,
    /// Refuse the request.
    Strict,
}

/// Whether a write is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    /// It is.
    #[default]
    Kept,
    /// `dryRun=All`: judged and answered, but not kept.
    DryRun,
}

/// Whether an apply takes fields that others own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It fails where others own what it would change.
    No,
    /// It takes what it wants.
    Yes,
}

/// The longest name of a field manager, in bytes.
const MANAGER_BYTES: usize = 128;

const PATCH_OPTIONS: Subject<'static> =
    Subject { group: "meta.k8s.io", resource: "", kind: "PatchOptions" };

/// Query parameters of a request, decoded. Later values of a repeated key win.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads a query string, without its `?`.
    pub fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key), decoded(value))
        });
        Self(pairs.collect())
    }

    /// A parameter; empty if it was not given.
    pub fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// True for `true`, `1`, and the other spellings of Go's `ParseBool`.
    pub fn flag(&self, key: &str) -> bool {
        matches!(self.get(key), "1" | "t" | "T" | "true" | "TRUE" | "True")
    }
}

/// Undoes the percent-encoding of a query; what is not UTF-8 becomes replacement characters.
fn decoded(text: &str) -> String {
    percent_decoded(&text.replace('+', " "))
}

fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A request to a resource.
#[derive(Clone, Debug)]
pub struct Request {
    /// The verb.
    pub verb: Verb,
    /// The resource.
    pub resource: Arc<Resource>,
    /// The namespace; empty for cluster-scoped resources and for all namespaces.
    pub namespace: String,
    /// The object's name; empty for a collection.
    pub name: String,
    /// The subresource, if the path names one.
    pub subresource: Option<Subresource>,
    /// The query.
    pub parameters: Parameters,
}

/// The parts of a path below `/api` or `/apis`.
struct Parts<'a> {
    group: &'a str,
    version: &'a str,
    rest: &'a [&'a str],
}

impl Request {
    /// Reads method, path, and query.
    ///
    /// # Errors
    /// 404 for a path that is not served, 405 for a method that it does not have.
    pub fn route(
        catalog: &Catalog,
        method: &str,
        path: &str,
        query: &str,
    ) -> Result<Self, Failure> {
        let decoded: Vec<String> =
            path.split('/').filter(|segment| !segment.is_empty()).map(percent_decoded).collect();
        let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let parts = match segments.as_slice() {
            ["api", version, rest @ ..] => Parts { group: "", version, rest },
            ["apis", group, version, rest @ ..] => Parts { group, version, rest },
            _ => return Err(Failure::no_such_path()),
        };
        let (namespace, rest) = match parts.rest {
            // A namespace's own path, not one below it.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"]
                if parts.group.is_empty() =>
            {
                ("", parts.rest)
            }
            ["namespaces", namespace, rest @ ..] => (*namespace, rest),
            rest => ("", rest),
        };
        let (plural, name, below) = match rest {
            [plural] => (*plural, "", None),
            [plural, name] => (*plural, *name, None),
            [plural, name, below] => (*plural, *name, Some(*below)),
            _ => return Err(Failure::no_such_path()),
        };
        let resource =
            catalog.find(parts.group, parts.version, plural).ok_or_else(Failure::no_such_path)?;
        let parameters = Parameters::parse(query);
        let subresource = below.map(|below| subresource(resource, below)).transpose()?;
        let verb = verb(method, name, subresource, &parameters)?;
        let request = Self {
            verb,
            resource: Arc::clone(resource),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource,
            parameters,
        };
        request.check_scope()?;
        Ok(request)
    }

    fn check_scope(&self) -> Result<(), Failure> {
        match self.resource.scope {
            Scope::Cluster if !self.namespace.is_empty() => Err(Failure::no_such_path()),
            Scope::Namespaced if self.namespace.is_empty() => match self.verb {
                Verb::List | Verb::Watch if self.name.is_empty() => Ok(()),
                Verb::Create if self.name.is_empty() => Err(Failure::method_not_allowed()),
                Verb::DeleteCollection => Err(Failure::method_not_allowed()),
                Verb::Get
                | Verb::List
                | Verb::Watch
                | Verb::Create
                | Verb::Update
                | Verb::Patch
                | Verb::Delete => Err(Failure::no_such_path()),
            },
            Scope::Cluster | Scope::Namespaced => Ok(()),
        }
    }

    /// `dryRun`.
    ///
    /// # Errors
    /// 422 for a value other than `All`.
    pub fn persistence(&self) -> Result<Persistence, Failure> {
        match self.parameters.get("dryRun") {
            "" => Ok(Persistence::Kept),
            "All" => Ok(Persistence::DryRun),
            other => {
                // The option is a list, which is shown whole.
                let given = Value::Array(vec![other.into()]);
                Err(self.option_refused(&FieldError::not_supported("dryRun", given, &["All"])))
            }
        }
    }

    /// `fieldValidation`.
    ///
    /// # Errors
    /// 422 for a value that is none.
    pub fn field_validation(&self) -> Result<FieldValidation, Failure> {
        match self.parameters.get("fieldValidation") {
            "" | "Warn" => Ok(FieldValidation::Warn),
            "Ignore" => Ok(FieldValidation::Ignore),
            "Strict" => Ok(FieldValidation::Strict),
            other => {
                let known = ["", "Ignore", "Strict", "Warn"];
                Err(self.option_refused(&FieldError::not_supported(
                    "fieldValidation",
                    other,
                    &known,
                )))
            }
        }
    }

    /// `force` and `fieldManager` of a server-side apply.
    ///
    /// # Errors
    /// 422 without a manager, or with one whose name is not valid.
    pub fn force(&self) -> Result<Force, Failure> {
        let mut errors = self.manager_errors();
        if self.parameters.get("fieldManager").is_empty() {
            let why = "is required for apply patch";
            errors.insert(0, FieldError::required("fieldManager", why));
        }
        if !errors.is_empty() {
            return Err(PATCH_OPTIONS.invalid("", &errors));
        }
        Ok(if self.parameters.flag("force") { Force::Yes } else { Force::No })
    }

    /// Checks the options that other patches must not have.
    ///
    /// # Errors
    /// 422 for `force`, or a manager's name that is not valid.
    pub fn check_patch_options(&self) -> Result<(), Failure> {
        let mut errors = self.manager_errors();
        if !self.parameters.get("force").is_empty() {
            let why = "may not be specified for non-apply patch";
            errors.insert(0, FieldError::forbidden("force", why));
        }
        if errors.is_empty() { Ok(()) } else { Err(PATCH_OPTIONS.invalid("", &errors)) }
    }

    fn manager_errors(&self) -> Vec<FieldError> {
        let manager = self.parameters.get("fieldManager");
        let mut errors = Vec::new();
        if manager.len() > MANAGER_BYTES {
            errors.push(FieldError::new("fieldManager", Fault::TooLong(MANAGER_BYTES), ""));
        }
        if manager.chars().any(char::is_control) {
            errors.push(FieldError::invalid(
                "fieldManager",
                manager,
                "should only contain printable characters",
            ));
        }
        errors
    }

    /// 422 for an option of a write.
    fn option_refused(&self, error: &FieldError) -> Failure {
        let kind = match self.verb {
            Verb::Create => "CreateOptions",
            Verb::Update => "UpdateOptions",
            Verb::Patch => "PatchOptions",
            Verb::Delete | Verb::DeleteCollection => "DeleteOptions",
            Verb::Get | Verb::List | Verb::Watch => "ListOptions",
        };
        options_of(kind).invalid("", std::slice::from_ref(error))
    }

    /// The selectors, with the name in the path as one of them.
    ///
    /// # Errors
    /// 400 when a selector cannot be read.
    pub fn selection(&self) -> Result<Selection, Failure> {
        let mut fields = self.parameters.get("fieldSelector").to_owned();
        if !self.name.is_empty() {
            fields = format!(
                "metadata.name={}{}{fields}",
                self.name,
                if fields.is_empty() { "" } else { "," }
            );
        }
        Selection::parse(&self.resource, self.parameters.get("labelSelector"), &fields)
    }

    /// The query of a list.
    ///
    /// # Errors
    /// 400 or 422 for options that cannot be read.
    pub fn list_query(&self) -> Result<ListQuery, Failure> {
        if !self.parameters.get("sendInitialEvents").is_empty() {
            let why = "sendInitialEvents is forbidden for list";
            return Err(options_invalid(&[FieldError::forbidden("sendInitialEvents", why)]));
        }
        let limit = self.parameters.get("limit");
        let limit: Result<i64, _> = if limit.is_empty() { Ok(0) } else { limit.parse() };
        Ok(ListQuery {
            namespace: self.one_namespace(),
            selection: self.selection()?,
            // A negative limit is none.
            limit: limit.map_or_else(
                |_| Err(not_a_number(self.parameters.get("limit"))),
                |limit| Ok(usize::try_from(limit).unwrap_or(0)),
            )?,
            continue_token: self.parameters.get("continue").to_owned(),
            version: self.parameters.get("resourceVersion").to_owned(),
            version_match: self.version_match()?,
        })
    }

    /// The query of a watch.
    ///
    /// # Errors
    /// 400 or 422 for options that cannot be read.
    pub fn watch_query(&self) -> Result<WatchQuery, Failure> {
        Ok(WatchQuery {
            namespace: self.one_namespace(),
            selection: self.selection()?,
            version: self.parameters.get("resourceVersion").to_owned(),
            version_match: self.version_match()?,
            initial: match self.parameters.get("sendInitialEvents") {
                "" => InitialEvents::Unsaid,
                _ if self.parameters.flag("sendInitialEvents") => InitialEvents::Send,
                _ => InitialEvents::Skip,
            },
            bookmarks: if self.parameters.flag("allowWatchBookmarks") {
                Bookmarks::Allowed
            } else {
                Bookmarks::Unwanted
            },
        })
    }

    /// The namespace to look in: `None` for all. Cluster-scoped objects are kept under the empty one.
    fn one_namespace(&self) -> Option<String> {
        let all = self.resource.scope == Scope::Namespaced && self.namespace.is_empty();
        (!all).then(|| self.namespace.clone())
    }

    fn version_match(&self) -> Result<Option<VersionMatch>, Failure> {
        match self.parameters.get("resourceVersionMatch") {
            "" => Ok(None),
            "NotOlderThan" => Ok(Some(VersionMatch::NotOlderThan)),
            "Exact" => Ok(Some(VersionMatch::Exact)),
            other => {
                let known = ["Exact", "NotOlderThan", ""];
                Err(options_invalid(&[FieldError::not_supported(
                    "resourceVersionMatch",
                    other,
                    &known,
                )]))
            }
        }
    }
}

/// 400 for a parameter that must be a whole number, worded as upstream's parser does.
pub(crate) fn not_a_number(given: &str) -> Failure {
    let given = Value::from(given);
    Failure::bad_request(format!("strconv.ParseInt: parsing {given}: invalid syntax"))
}

fn subresource(resource: &Resource, name: &str) -> Result<Subresource, Failure> {
    resource
        .subresources
        .iter()
        .copied()
        .find(|known| known.name() == name)
        .ok_or_else(Failure::no_such_path)
}

fn verb(
    method: &str,
    name: &str,
    subresource: Option<Subresource>,
    parameters: &Parameters,
) -> Result<Verb, Failure> {
    let verb = match (method, name.is_empty()) {
        ("GET" | "HEAD", _) if parameters.flag("watch") && subresource.is_none() => Verb::Watch,
        ("GET" | "HEAD", true) => Verb::List,
        ("GET" | "HEAD", false) => Verb::Get,
        ("POST", true) => Verb::Create,
        ("PUT", false) => Verb::Update,
        ("PATCH", false) => Verb::Patch,
        ("DELETE", true) => Verb::DeleteCollection,
        ("DELETE", false) => Verb::Delete,
        ("POST", false) if subresource.is_some() => Verb::Create,
        _ => return Err(Failure::method_not_allowed()),
    };
    let served = match subresource {
        None => true,
        Some(Subresource::Status | Subresource::Scale) => {
            matches!(verb, Verb::Get | Verb::Update | Verb::Patch)
        }
        Some(Subresource::Binding | Subresource::Eviction) => verb == Verb::Create,
        Some(Subresource::Finalize) => verb == Verb::Update,
    };
    if served { Ok(verb) } else { Err(Failure::method_not_allowed()) }
}
