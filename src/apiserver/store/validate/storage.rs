//! Kinds of storage: claims, volumes, classes, and what CSI drivers say of nodes, attachments, and capacity.
//! Judges the object alone, with its former state where there is one; looks at no other object and changes nothing.
//! Of the volume types, only what says where a volume is or whose it is: what a driver reads is the driver's to check.

use serde_json::{Map, Value};

use crate::apiserver::store::failure::Fault;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::validate::metadata::qualified_complaints;
use crate::apiserver::store::validate::metadata::subdomain_complaints;
use crate::base::quantity::Quantity;

const ACCESS_MODES: [&str; 4] =
    ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];

const RECLAIM_POLICIES: [&str; 3] = ["Delete", "Recycle", "Retain"];

const IMMUTABLE: &str = "field is immutable";

const NODE_ID_BYTES_MAX: usize = 256;

/// Where a claim says how much it wants.
const REQUEST: &str = "/spec/resources/requests/storage";

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// One of these, where it is given.
fn known(object: &Value, pointer: &str, values: &[&str], errors: &mut Vec<FieldError>) {
    let value = text(object, pointer);
    if !value.is_empty() && !values.contains(&value) {
        errors.push(FieldError::not_supported(path_of(pointer), value, values));
    }
}

/// A name of an object, where it is given.
fn object_name(object: &Value, pointer: &str, errors: &mut Vec<FieldError>) {
    let name = text(object, pointer);
    if !name.is_empty() {
        let wrong = subdomain_complaints(name).into_iter();
        errors.extend(wrong.map(|why| FieldError::invalid(path_of(pointer), name, why)));
    }
}

fn path_of(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

fn access_modes(object: &Value, missing: &str, errors: &mut Vec<FieldError>) {
    let modes: Vec<&str> =
        list(object, "/spec/accessModes").map(|mode| mode.as_str().unwrap_or_default()).collect();
    let field = "spec.accessModes";
    if modes.is_empty() {
        errors.push(FieldError::required(field, missing));
    }
    for mode in modes.iter().filter(|mode| !ACCESS_MODES.contains(mode)) {
        errors.push(FieldError::not_supported(field, *mode, &ACCESS_MODES));
    }
    let others = modes.iter().any(|mode| ACCESS_MODES[..3].contains(mode));
    if modes.contains(&ACCESS_MODES[3]) && others {
        let why = "may not use ReadWriteOncePod with other access modes";
        errors.push(FieldError::forbidden(field, why));
    }
}

/// A quantity greater than nothing.
fn positive(value: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let quantity = value.as_str().and_then(|text| Quantity::parse(text).ok());
    if quantity.is_none_or(|quantity| quantity <= Quantity::ZERO) {
        errors.push(FieldError::invalid(field, value.clone(), "must be greater than zero"));
    }
}

/// Checks a claim.
pub(crate) fn claim(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    access_modes(new, "at least 1 access mode is required", &mut errors);
    let field = "spec.resources[storage]";
    match new.pointer(REQUEST) {
        None => errors.push(FieldError::required(field, "")),
        Some(request) => positive(request, field, &mut errors),
    }
    object_name(new, "/spec/storageClassName", &mut errors);
    known(new, "/spec/volumeMode", &VOLUME_MODES, &mut errors);
    object_name(new, "/spec/volumeAttributesClassName", &mut errors);
    if let Some(old) = old {
        claim_update(new, old, &mut errors);
    }
    errors
}

fn claim_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let spec = |object: &Value| object.get("spec").and_then(Value::as_object).cloned();
    let (mut after, before) = (spec(new).unwrap_or_default(), spec(old).unwrap_or_default());
    let mut keep = |key: &str| match before.get(key) {
        Some(value) => after.insert(key.to_owned(), value.clone()),
        None => after.shift_remove(key),
    };
    // Once, by whoever binds it.
    if text(old, "/spec/volumeName").is_empty() {
        keep("volumeName");
    }
    if old.pointer("/spec/storageClassName").is_none() {
        keep("storageClassName");
    }
    if text(new, "/status/phase") == "Bound" {
        keep("volumeAttributesClassName");
        let request = old.pointer(REQUEST).cloned();
        let requests = after.get_mut("resources").and_then(|all| all.get_mut("requests"));
        if let Some((requests, request)) = requests.and_then(Value::as_object_mut).zip(request) {
            requests.insert("storage".to_owned(), request);
        }
    }
    if after != before {
        let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.push(FieldError::forbidden("spec", why));
    }
    let size = |object: &Value, pointer: &str| Quantity::parse(text(object, pointer)).ok();
    let (before, after) = (size(old, REQUEST), size(new, REQUEST));
    let least = size(old, "/status/capacity/storage");
    // Down to what it has: so whoever asked for more than there is takes it back.
    let shrinks = before.zip(after).is_some_and(|(before, after)| after < before);
    if shrinks && after <= least.or_else(|| Quantity::parse("0").ok()) {
        let why = "field can not be less than status.capacity";
        errors.push(FieldError::forbidden("spec.resources.requests.storage", why));
    }
    immutable(new, old, "/spec/volumeMode", "volumeMode", errors);
}

fn immutable(new: &Value, old: &Value, pointer: &str, field: &str, errors: &mut Vec<FieldError>) {
    if new.pointer(pointer) != old.pointer(pointer) {
        let value = new.pointer(pointer).cloned().unwrap_or_default();
        errors.push(FieldError::invalid(field, value, IMMUTABLE));
    }
}

/// What of a volume's spec is not its source.
const NOT_SOURCE: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

fn sources(volume: &Value) -> Map<String, Value> {
    let spec = volume.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
    spec.into_iter().filter(|(key, _)| !NOT_SOURCE.contains(&key.as_str())).collect()
}

/// Checks a volume.
pub(crate) fn volume(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    access_modes(new, "", &mut errors);
    let empty = Map::new();
    let capacity = new.pointer("/spec/capacity").and_then(Value::as_object).unwrap_or(&empty);
    let field = "spec.capacity";
    if capacity.is_empty() {
        errors.push(FieldError::required(field, ""));
    }
    if capacity.len() != 1 || !capacity.contains_key("storage") {
        let shown = if capacity.is_empty() { Value::Null } else { capacity.clone().into() };
        errors.push(FieldError::not_supported(field, shown, &["storage"]));
    }
    for (name, amount) in capacity {
        positive(amount, &format!("{field}[{name}]"), &mut errors);
    }
    known(new, "/spec/persistentVolumeReclaimPolicy", &RECLAIM_POLICIES, &mut errors);
    let affinity = new.pointer("/spec/nodeAffinity");
    if let Some(affinity) = affinity.filter(|affinity| affinity.get("required").is_none()) {
        debug_assert!(affinity.is_object(), "its type was checked before");
        let why = "must specify required node constraints";
        errors.push(FieldError::required("spec.nodeAffinity.required", why));
    }
    let sources = sources(new);
    for second in sources.keys().skip(1) {
        let why = "may not specify more than 1 volume type";
        errors.push(FieldError::forbidden(format!("spec.{second}"), why));
    }
    if let Some(csi) = sources.get("csi") {
        for key in ["driver", "volumeHandle"] {
            if csi.get(key).and_then(Value::as_str).is_none_or(str::is_empty) {
                errors.push(FieldError::required(format!("spec.csi.{key}"), ""));
            }
        }
    }
    if sources.contains_key("local") && affinity.is_none() {
        let why = "Local volume requires node affinity";
        errors.push(FieldError::required("spec.nodeAffinity", why));
    }
    if sources.is_empty() {
        errors.push(FieldError::required("spec", "must specify a volume type"));
    }
    object_name(new, "/spec/storageClassName", &mut errors);
    known(new, "/spec/volumeMode", &VOLUME_MODES, &mut errors);
    if let Some(old) = old {
        if sources != self::sources(old) {
            let why = "spec.persistentvolumesource is immutable after creation";
            errors.push(FieldError::forbidden("spec.persistentvolumesource", why));
        }
        immutable(new, old, "/spec/volumeMode", "volumeMode", &mut errors);
        if old.pointer("/spec/nodeAffinity").is_some() {
            immutable(new, old, "/spec/nodeAffinity", "nodeAffinity", &mut errors);
        }
    }
    errors
}

/// Checks a storage class.
pub(crate) fn storage_class(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(old) = old {
        for key in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
            if new.get(key) != old.get(key) {
                // Upstream shows no value here.
                errors.push(FieldError::invalid(key, Value::Null, IMMUTABLE));
            }
        }
        return errors;
    }
    let provisioner = text(new, "/provisioner");
    if provisioner.is_empty() {
        errors.push(FieldError::required("provisioner", ""));
    } else {
        let wrong = qualified_complaints(&provisioner.to_lowercase()).into_iter();
        errors.extend(
            wrong.map(|why| FieldError::invalid("provisioner", provisioner.to_lowercase(), why)),
        );
    }
    known(new, "/reclaimPolicy", &["Delete", "Retain"], &mut errors);
    known(new, "/volumeBindingMode", &["Immediate", "WaitForFirstConsumer"], &mut errors);
    for (at, term) in list(new, "/allowedTopologies").enumerate() {
        for (index, wanted) in list(term, "/matchLabelExpressions").enumerate() {
            if list(wanted, "/values").next().is_none() {
                let field =
                    format!("allowedTopologies[{at}].matchLabelExpressions[{index}].values");
                errors.push(FieldError::required(field, ""));
            }
        }
    }
    errors
}

/// Checks what CSI drivers say of a node.
pub(crate) fn csi_node(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for (at, driver) in list(new, "/spec/drivers").enumerate() {
        let field = format!("spec.drivers[{at}]");
        let (name, node_id) = (text(driver, "/name"), text(driver, "/nodeID"));
        if name.is_empty() {
            errors.push(FieldError::required(format!("{field}.name"), ""));
        }
        let wrong = subdomain_complaints(&name.to_lowercase()).into_iter();
        let wrong = wrong.filter(|_| !name.is_empty());
        errors.extend(wrong.map(|why| FieldError::invalid(format!("{field}.name"), name, why)));
        if node_id.is_empty() {
            errors.push(FieldError::required(format!("{field}.nodeID"), ""));
        }
        if node_id.len() > NODE_ID_BYTES_MAX {
            let why = format!("must be {NODE_ID_BYTES_MAX} characters or less");
            errors.push(FieldError::invalid(format!("{field}.nodeID"), node_id, why));
        }
        let count = driver.pointer("/allocatable/count").and_then(Value::as_i64);
        if let Some(count) = count.filter(|count| *count < 0) {
            let why = "must be greater than or equal to 0";
            errors.push(FieldError::invalid(format!("{field}.allocatable.count"), count, why));
        }
        if names.contains(&name) {
            let fault = Fault::Duplicate(name.into());
            errors.push(FieldError::new(format!("{field}.name"), fault, ""));
        }
        names.push(name);
    }
    let without_limit = |driver: &Value| {
        let mut driver = driver.clone();
        driver.as_object_mut().map(|fields| fields.shift_remove("allocatable"));
        driver
    };
    for before in old.into_iter().flat_map(|old| list(old, "/spec/drivers")) {
        let same = |driver: &&Value| driver.get("name") == before.get("name");
        for driver in list(new, "/spec/drivers").filter(same) {
            if without_limit(driver) != without_limit(before) {
                let value = without_limit(driver);
                errors.push(FieldError::invalid("spec.drivers", value, IMMUTABLE));
            }
        }
    }
    errors
}

/// Checks an attachment.
pub(crate) fn volume_attachment(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if text(new, "/spec/attacher").is_empty() {
        errors.push(FieldError::required("spec.attacher", ""));
    }
    let source = |key: &str| new.pointer(&format!("/spec/source/{key}"));
    let why = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (source("inlineVolumeSpec"), source("persistentVolumeName")) {
        (None, None) => errors.push(FieldError::required("spec.source", why)),
        (Some(_), Some(_)) => errors.push(FieldError::forbidden("spec.source", why)),
        (None, Some(name)) if name == "" => {
            let why = "must specify non empty persistentVolumeName";
            errors.push(FieldError::required("spec.source.persistentVolumeName", why));
        }
        (Some(_), None) | (None, Some(_)) => {}
    }
    let node = text(new, "/spec/nodeName");
    let wrong = subdomain_complaints(node).into_iter();
    errors.extend(wrong.map(|why| FieldError::invalid("spec.nodeName", node, why)));
    if let Some(old) = old {
        immutable(new, old, "/spec", "spec", &mut errors);
    }
    errors
}

/// Checks what can be provisioned somewhere.
pub(crate) fn csi_storage_capacity(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(old) = old {
        for key in ["nodeTopology", "storageClassName"] {
            immutable(new, old, &format!("/{key}"), key, &mut errors);
        }
    }
    let class = text(new, "/storageClassName");
    let wrong = subdomain_complaints(class).into_iter();
    errors.extend(wrong.map(|why| FieldError::invalid("storageClassName", class, why)));
    for key in ["capacity", "maximumVolumeSize"] {
        let Some(value) = new.get(key) else { continue };
        let quantity = value.as_str().and_then(|text| Quantity::parse(text).ok());
        if quantity.is_none_or(|quantity| quantity.is_negative()) {
            let why = "must be greater than or equal to 0";
            errors.push(FieldError::invalid(key, value.clone(), why));
        }
    }
    errors
}
