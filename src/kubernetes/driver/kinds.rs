//! The kinds that the driver knows, and which of them must be listed before it may decide.
//! Knows no object beyond whose it is.
//! Invariant: every kind has a view, also one that these settings never watch.

use std::collections::BTreeSet;

use crate::cluster::facts::GroupSource;
use crate::cluster::facts::SelectingKind;
use crate::cluster::storage::facts::StorageKind;
use crate::engine::settings::Settings;
use crate::kubernetes::translate::Kind;
use crate::kubernetes::translate::objects::Metadata;
use crate::kubernetes::watch::Object;

/// Every kind.
pub(super) fn all_kinds() -> impl Iterator<Item = Kind> {
    let groups = [GroupSource::Coscheduling, GroupSource::Native].map(Kind::Group);
    [Kind::Pod, Kind::Node, Kind::Namespace, Kind::Record, Kind::DeviceClass]
        .into_iter()
        .chain(groups)
        .chain(StorageKind::ALL.map(Kind::Storage))
        .chain(SelectingKind::ALL.map(Kind::Selecting))
}

/// The kinds that are listed first, whatever the server serves besides.
pub(super) fn first_kinds(settings: &Settings) -> BTreeSet<Kind> {
    [Kind::Pod, Kind::Node, Kind::Namespace]
        .into_iter()
        .chain(StorageKind::ALL.map(Kind::Storage))
        .chain(settings.selecting_kinds().iter().copied().map(Kind::Selecting))
        .collect()
}

/// Whose object it is.
pub(super) fn identity(object: &Object) -> (Kind, &Metadata) {
    match object {
        Object::Pod(read) => (Kind::Pod, &read.object.metadata),
        Object::Node(read) => (Kind::Node, &read.object.metadata),
        Object::Group(source, read) => (Kind::Group(*source), &read.object.metadata),
        Object::Record(read) => (Kind::Record, &read.object.metadata),
        Object::Namespace(read) => (Kind::Namespace, &read.object.metadata),
        Object::Storage(kind, read) => (Kind::Storage(*kind), &read.object.metadata),
        Object::DeviceClass(read) => (Kind::DeviceClass, &read.object.metadata),
        Object::Selecting(kind, read) => (Kind::Selecting(*kind), &read.object.metadata),
    }
}
