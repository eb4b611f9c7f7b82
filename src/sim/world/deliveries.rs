//! What watches deliver: each object of the kinds that matter, as it changes.
//!
//! A watch that ends (a scripted fault cuts it) is begun anew: what it missed is told as one more change, and
//! what is gone meanwhile as gone. Invariant: after a poll that tells nothing, everything was told.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::apiserver::server::Server;
use crate::apiserver::store::shelf::Object as StoredObject;
use crate::apiserver::store::watch::{Watch, WatchEvent};
use crate::base::names::ObjectName;
use crate::cluster::facts::{GroupSource, SelectingKind};
use crate::kubernetes::requests::RECORDS_PATH;
use crate::kubernetes::translate::Kind;
use crate::sim::machinery;

pub(super) const NODES: &str = "/api/v1/nodes";
pub(super) const NAMESPACES: &str = "/api/v1/namespaces";
pub(super) const PODS: &str = "/api/v1/pods";
pub(super) const DEVICE_CLASSES: &str = "/apis/resource.k8s.io/v1/deviceclasses";
pub(super) const LABELLED_GROUPS: &str = "/apis/scheduling.x-k8s.io/v1alpha1/podgroups";
pub(super) const NATIVE_GROUPS: &str = "/apis/scheduling.k8s.io/v1beta1/podgroups";

/// One change of one object.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) kind: Kind,
    /// As it is, or as it was last.
    pub(super) object: StoredObject,
    pub(super) gone: bool,
}

impl Delivery {
    /// The same kind in the words of the kubelet; `None` for what no machinery looks at.
    pub(super) const fn machinery_kind(&self) -> Option<machinery::Kind> {
        match self.kind {
            Kind::Pod => Some(machinery::Kind::Pod),
            Kind::Node => Some(machinery::Kind::Node),
            Kind::Group(_) => Some(machinery::Kind::PodGroup),
            Kind::Namespace | Kind::Record | Kind::Selecting(_) | Kind::DeviceClass => None,
            Kind::Storage(kind) => Some(machinery::Kind::Storage(kind)),
        }
    }
}

/// A watch on all objects of a kind.
#[derive(Debug)]
pub(super) struct Subscription {
    kind: Kind,
    path: &'static str,
    watch: Watch,
    /// What was told, to find out what went away while no watch was open.
    told: BTreeMap<ObjectName, StoredObject>,
}

/// Watches on everything that matters, in the order in which news is best told: what pods refer to comes first. Of the
/// kinds that select pods those matter that are named.
pub(super) fn subscribe(server: &mut Server, selecting: &[SelectingKind]) -> Vec<Subscription> {
    let storage = machinery::WATCHED.into_iter().filter_map(|(kind, path)| match kind {
        machinery::Kind::Storage(kind) => Some((Kind::Storage(kind), path)),
        machinery::Kind::Node
        | machinery::Kind::PodGroup
        | machinery::Kind::Job
        | machinery::Kind::Deployment
        | machinery::Kind::ReplicaSet
        | machinery::Kind::StatefulSet
        | machinery::Kind::DaemonSet
        | machinery::Kind::Pod => None,
    });
    let selecting = selecting.iter().map(|kind| (Kind::Selecting(*kind), path_of(*kind)));
    let before = [
        (Kind::Node, NODES),
        (Kind::Namespace, NAMESPACES),
        (Kind::Group(GroupSource::Coscheduling), LABELLED_GROUPS),
        (Kind::Group(GroupSource::Native), NATIVE_GROUPS),
        (Kind::Record, RECORDS_PATH),
        (Kind::DeviceClass, DEVICE_CLASSES),
    ];
    let all = before.into_iter().chain(storage).chain(selecting).chain([(Kind::Pod, PODS)]);
    all.map(|(kind, path)| Subscription {
        kind,
        path,
        watch: server.watch(path).expect("served from the start, and no fault is set yet"),
        told: BTreeMap::new(),
    })
    .collect()
}

const fn path_of(kind: SelectingKind) -> &'static str {
    match kind {
        SelectingKind::Service => "/api/v1/services",
        SelectingKind::ReplicationController => "/api/v1/replicationcontrollers",
        SelectingKind::ReplicaSet => "/apis/apps/v1/replicasets",
        SelectingKind::StatefulSet => "/apis/apps/v1/statefulsets",
    }
}

impl Subscription {
    /// What was not told yet. Changes of one object right after each other are told as one.
    pub(super) fn news(&mut self, server: &mut Server) -> Vec<Delivery> {
        let mut news: Vec<Delivery> = Vec::new();
        for event in server.poll(&mut self.watch) {
            match event {
                WatchEvent::Added(shown) | WatchEvent::Modified(shown) => {
                    self.present(shown.object, &mut news);
                }
                WatchEvent::Deleted(shown) => self.gone(shown.object, &mut news),
                WatchEvent::Bookmark(_) | WatchEvent::Error(_) => {}
            }
        }
        if self.watch.has_ended() {
            self.begin_anew(server, &mut news);
        }
        news
    }

    fn present(&mut self, object: StoredObject, news: &mut Vec<Delivery>) {
        let before = self.told.insert(object.name(), object.clone());
        // A pod of the input is created and given its past in two writes, of which nobody is to see the first.
        if let Some(last) = news.last_mut()
            && before.is_some_and(|before| Arc::ptr_eq(&before, &last.object))
        {
            last.object = object;
            return;
        }
        news.push(Delivery { kind: self.kind, object, gone: false });
    }

    fn gone(&mut self, object: StoredObject, news: &mut Vec<Delivery>) {
        self.told.remove(&object.name());
        news.push(Delivery { kind: self.kind, object, gone: true });
    }

    /// Lists everything and goes on from there. A refused watch is tried again with the next news.
    fn begin_anew(&mut self, server: &mut Server, news: &mut Vec<Delivery>) {
        let Ok(watch) = server.watch(self.path) else {
            return;
        };
        self.watch = watch;
        let mut missed = std::mem::take(&mut self.told);
        loop {
            let events = server.poll(&mut self.watch);
            if events.is_empty() {
                break;
            }
            for event in events {
                let Some(shown) = event.shown() else {
                    continue;
                };
                let object = shown.object.clone();
                match missed.remove(&object.name()) {
                    Some(before) if before.version == object.version => {
                        self.told.insert(object.name(), object);
                    }
                    // Another object of the same name: the first one's end was missed.
                    Some(before) if before.uid() != object.uid() => {
                        self.gone(before, news);
                        self.present(object, news);
                    }
                    Some(_) | None => self.present(object, news),
                }
            }
        }
        for (_, object) in missed {
            self.gone(object, news);
        }
    }
}
