//! Watches: kube's paged list-and-watch per kind, with our own back-off and our own lean structs.
//! Each object is read once, here, beside the driver; what does not parse becomes a malformed object, never a
//! broken list. Decides nothing: every message goes to the driver in order.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::Resource;
use kube::core::ApiResource;
use kube::core::DynamicResourceScope;
use kube::core::Status;
use kube::runtime::watcher;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde::de::Error as _;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::warn;

use super::apis::GroupApis;
use super::traffic::Traffic;
use super::translate::Kind;
use super::translate::Read;
use super::translate::RecordObject;
use super::translate::device_class::DeviceClassObject;
use super::translate::objects::GroupObject;
use super::translate::objects::HasMetadata;
use super::translate::objects::NamespaceObject;
use super::translate::objects::NodeObject;
use super::translate::objects::PodObject;
use super::translate::read_text;
use super::translate::selecting::SelectingObject;
use super::translate::storage::objects::StorageObject;
use crate::base::random::Random;
use crate::cluster::facts::GroupSource;
use crate::cluster::facts::SelectingKind;
use crate::cluster::storage::facts::StorageKind;

/// Pause after the first error; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(800);

/// Longest pause between attempts.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Errors that are farther apart than this have nothing to do with each other: the pauses begin anew.
/// A list that begins, or ends, proves nothing: the watch after it may fail every time.
const QUIET: Duration = Duration::from_secs(30);

/// After so many failures in a row to start a watch, everything is listed anew: the version may be of the past.
const START_FAILURES_MAX: u32 = 5;

/// What a watch says to the driver.
#[derive(Debug)]
pub enum Message {
    /// A list begins.
    Began(Kind),
    /// An object of a list.
    Listed(Object),
    /// The list is complete.
    Ended(Kind),
    /// An object was added or changed.
    Applied(Object),
    /// An object is gone.
    Deleted(Object),
    /// A kind of storage cannot be listed: the right is missing, or the server does not serve it. It is tried again.
    Denied(StorageKind),
    /// Which PodGroup APIs are served. Comes first, and again when that changes;
    /// the objects of an API that is not served any more are gone.
    Served(GroupApis),
    /// It was just asked again which APIs are served: a time to tell what is wrong around this process.
    LookedAround,
}

/// An object as read.
#[derive(Debug)]
pub enum Object {
    /// A pod.
    Pod(Box<Read<PodObject>>),
    /// A node.
    Node(Box<Read<NodeObject>>),
    /// A namespace.
    Namespace(Box<Read<NamespaceObject>>),
    /// A PodGroup.
    Group(GroupSource, Box<Read<GroupObject>>),
    /// The record of a gang's plan.
    Record(Box<Read<RecordObject>>),
    /// An object of storage.
    Storage(StorageKind, Box<Read<StorageObject>>),
    /// An object that selects pods.
    Selecting(SelectingKind, Box<Read<SelectingObject>>),
    /// A DeviceClass.
    DeviceClass(Box<Read<DeviceClassObject>>),
}

/// An object as kube's watcher wants it: it looks at `metadata.resourceVersion` and nothing else.
#[derive(Clone, Debug)]
pub struct Watched<T> {
    metadata: ObjectMeta,
    read: Read<T>,
}

impl<T> Watched<T> {
    /// The object as read.
    pub fn into_read(self) -> Box<Read<T>> {
        Box::new(self.read)
    }
}

/// What makes an object of what was read of a kind of storage.
pub(super) fn storage_object(kind: StorageKind) -> fn(Box<Read<StorageObject>>) -> Object {
    match kind {
        StorageKind::Claim => |read| Object::Storage(StorageKind::Claim, read),
        StorageKind::Volume => |read| Object::Storage(StorageKind::Volume, read),
        StorageKind::Class => |read| Object::Storage(StorageKind::Class, read),
        StorageKind::CsiNode => |read| Object::Storage(StorageKind::CsiNode, read),
        StorageKind::Driver => |read| Object::Storage(StorageKind::Driver, read),
        StorageKind::Capacity => |read| Object::Storage(StorageKind::Capacity, read),
        StorageKind::Attachment => |read| Object::Storage(StorageKind::Attachment, read),
    }
}

/// What makes an object of what was read of a kind that selects pods.
pub(super) fn selecting_object(kind: SelectingKind) -> fn(Box<Read<SelectingObject>>) -> Object {
    match kind {
        SelectingKind::Service => |read| Object::Selecting(SelectingKind::Service, read),
        SelectingKind::ReplicationController => {
            |read| Object::Selecting(SelectingKind::ReplicationController, read)
        }
        SelectingKind::ReplicaSet => |read| Object::Selecting(SelectingKind::ReplicaSet, read),
        SelectingKind::StatefulSet => |read| Object::Selecting(SelectingKind::StatefulSet, read),
    }
}

impl<'de, T: DeserializeOwned + Default + HasMetadata> Deserialize<'de> for Watched<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text, since it may have to be read again without a field that does not parse. It can be had where an
        // object stands in a list, and in a watch behind its `type`, which API servers write first.
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let read: Read<T> = read_text(text.get()).map_err(D::Error::custom)?;
        let version = &read.object.metadata().resource_version;
        let resource_version = (!version.is_empty()).then(|| version.clone());
        Ok(Self { metadata: ObjectMeta { resource_version, ..ObjectMeta::default() }, read })
    }
}

impl<T> Resource for Watched<T> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(of: &ApiResource) -> Cow<'_, str> {
        of.kind.as_str().into()
    }
    fn group(of: &ApiResource) -> Cow<'_, str> {
        of.group.as_str().into()
    }
    fn version(of: &ApiResource) -> Cow<'_, str> {
        of.version.as_str().into()
    }
    fn api_version(of: &ApiResource) -> Cow<'_, str> {
        of.api_version.as_str().into()
    }
    fn plural(of: &ApiResource) -> Cow<'_, str> {
        of.plural.as_str().into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// One kind to watch.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Which.
    pub kind: Kind,
    /// How long one watch request lasts.
    pub timeout: Duration,
    /// Where messages go; waits while the driver is behind.
    pub messages: mpsc::Sender<Message>,
    /// Counters.
    pub traffic: Arc<Traffic>,
}

impl Watch {
    /// Watches until the driver is gone.
    pub async fn run<T>(self, api: Api<Watched<T>>, object: fn(Box<Read<T>>) -> Object)
    where
        T: DeserializeOwned
            + Default
            + HasMetadata
            + Clone
            + std::fmt::Debug
            + Send
            + Sync
            + 'static,
    {
        let seconds = u32::try_from(self.timeout.as_secs()).unwrap_or(u32::MAX);
        let config = watcher::Config::default().timeout(seconds);
        let mut pause = Pause::new(self.kind);
        // Each turn is a watcher of its own, which lists before it watches.
        while !self.messages.is_closed() {
            let mut stream = pin!(watcher(api.clone(), config.clone()));
            let mut start_failures = 0;
            while let Some(event) = stream.next().await {
                match event {
                    Ok(event) => {
                        start_failures = 0;
                        if self.messages.send(self.message(event, object)).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        self.note_error(&error);
                        if let Kind::Storage(kind) = self.kind
                            && lacks_right(&error)
                            && self.messages.send(Message::Denied(kind)).await.is_err()
                        {
                            return;
                        }
                        let starting = matches!(error, watcher::Error::WatchStartFailed(_));
                        start_failures = if starting { start_failures + 1 } else { 0 };
                        tokio::time::sleep(pause.next(Instant::now())).await;
                        if start_failures >= START_FAILURES_MAX || must_list_anew(&error) {
                            break;
                        }
                    }
                }
            }
        }
    }

    fn message<T>(
        &self,
        event: watcher::Event<Watched<T>>,
        object: fn(Box<Read<T>>) -> Object,
    ) -> Message {
        let object = |watched: Watched<T>| object(Box::new(watched.read));
        match event {
            watcher::Event::Init => {
                self.traffic.count(|counts| *counts.lists.entry(self.kind).or_default() += 1);
                Message::Began(self.kind)
            }
            watcher::Event::InitApply(watched) => Message::Listed(object(watched)),
            watcher::Event::InitDone => Message::Ended(self.kind),
            watcher::Event::Apply(watched) => Message::Applied(object(watched)),
            watcher::Event::Delete(watched) => Message::Deleted(object(watched)),
        }
    }

    /// Says what is wrong once, however often it fails in the same way; the metric counts every time.
    fn note_error(&self, error: &watcher::Error) {
        if self.traffic.watch_failed(self.kind, error.to_string()) {
            warn!(
                kind = self.kind.as_str(),
                %error,
                "cannot be listed or watched; it is tried again and again, and nothing more is said until it works \
                 or fails in another way"
            );
        }
    }
}

/// Whether a list was refused for lack of a right, or because nobody serves the kind.
fn lacks_right(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => is_denied(status),
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchError(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => false,
    }
}

/// Whether an answer says that there is no right to ask, or nothing to ask for.
pub(super) const fn is_denied(status: &Status) -> bool {
    matches!(status.code, 401 | 403 | 404)
}

/// Whether only a new list can be trusted after an error.
pub(super) fn must_list_anew(error: &watcher::Error) -> bool {
    match error {
        // kube keeps the version when starting a watch fails, even where the answer is 410 Gone.
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 410,
        // What could not be read was a change of something, and kube goes on with the next one.
        watcher::Error::WatchFailed(
            kube::Error::SerdeError(_) | kube::Error::LinesCodecMaxLineLengthExceeded,
        ) => true,
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchError(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => false,
    }
}

/// Doubling pauses with a little seeded spread, so that the watches of one process do not knock in step.
#[derive(Debug)]
pub(super) struct Pause {
    next: Duration,
    /// When the latest pause is over.
    until: Option<Instant>,
    spread: Random,
}

impl Pause {
    fn new(kind: Kind) -> Self {
        let seed = match kind {
            Kind::Pod => 1,
            Kind::Node => 2,
            Kind::Group(GroupSource::Coscheduling) => 3,
            Kind::Group(GroupSource::Native) => 4,
            Kind::Record => 5,
            Kind::Namespace => 6,
            Kind::Storage(kind) => 7 + kind as u64,
            Kind::Selecting(kind) => 20 + kind as u64,
            Kind::DeviceClass => 30,
        };
        Self::seeded(seed)
    }

    /// Pauses whose spread follows from `seed`.
    pub(super) fn seeded(seed: u64) -> Self {
        Self { next: PAUSE_MIN, until: None, spread: Random::new(seed) }
    }

    /// How long to wait after an error that came `now`.
    pub(super) fn next(&mut self, now: Instant) -> Duration {
        if self.until.is_some_and(|until| now.saturating_duration_since(until) >= QUIET) {
            self.next = PAUSE_MIN;
        }
        let spread = u32::try_from(self.spread.below(25)).unwrap_or(0);
        let pause = self.next + self.next * spread / 100;
        self.next = (self.next * 2).min(PAUSE_MAX);
        self.until = Some(now + pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use kube::core::WatchEvent;
    use kube::runtime::watcher;
    use tokio::time::Instant;

    use super::{PAUSE_MAX, Pause, QUIET, Watched, must_list_anew};
    use crate::kubernetes::translate::Kind;
    use crate::kubernetes::translate::objects::PodObject;

    #[test]
    fn an_object_that_does_not_parse_does_not_break_its_list() {
        let list = json!([
            {"metadata": {"name": "a", "resourceVersion": "1"}, "spec": {"priority": "high"}},
            {"metadata": {"name": "b", "resourceVersion": "2"}},
        ]);
        let watched: Vec<Watched<PodObject>> = serde_json::from_value(list).expect("it is a list");
        assert_eq!(watched[0].read.problems.len(), 1);
        assert_eq!(watched[1].metadata.resource_version.as_deref(), Some("2"));
    }

    #[test]
    fn a_change_is_read_as_the_server_writes_it() {
        let line = r#"{"type":"MODIFIED","object":{"kind":"Pod","metadata":{"name":"a","resourceVersion":"3",
            "managedFields":[{"manager":"x"}]},"spec":{"priority":"high","nodeName":"n1"}}}"#;
        let event = serde_json::from_str(line).expect("it is a change");
        let WatchEvent::Modified(watched) = event else { panic!("{event:?}") };
        let watched: Watched<PodObject> = watched;
        assert_eq!(watched.metadata.resource_version.as_deref(), Some("3"));
        assert_eq!(watched.read.object.spec.node_name.as_deref(), Some("n1"));
        assert_eq!(watched.read.problems.len(), 1);
    }

    #[test]
    fn pauses_grow_to_their_limit_and_begin_anew_after_a_quiet_time() {
        let mut pause = Pause::new(Kind::Pod);
        let mut now = Instant::now();
        let mut fail = |after: Duration| {
            let waited = pause.next(now + after);
            now += after + waited;
            waited
        };
        let first = fail(Duration::ZERO);
        assert!(
            first >= Duration::from_millis(800) && first < Duration::from_millis(1000),
            "{first:?}"
        );
        // A list that goes well in between, for a second or for twenty, changes nothing.
        let last = (0..20).map(|_| fail(Duration::from_secs(20))).last().expect("twenty pauses");
        assert!(last >= PAUSE_MAX && last <= PAUSE_MAX * 5 / 4, "{last:?}");
        assert!(fail(QUIET) < Duration::from_secs(1));
    }

    #[test]
    fn what_was_unreadable_and_what_is_too_old_is_listed_anew() {
        let unreadable = serde_json::from_str::<u8>("x").expect_err("it is no number");
        let gone = kube::core::Status::failure("too old", "Expired").with_code(410).boxed();
        let trouble = kube::core::Status::failure("no", "InternalError").with_code(500).boxed();
        for (error, anew) in [
            (watcher::Error::WatchFailed(kube::Error::SerdeError(unreadable)), true),
            (watcher::Error::WatchStartFailed(kube::Error::Api(gone)), true),
            (watcher::Error::WatchStartFailed(kube::Error::Api(trouble)), false),
            (watcher::Error::NoResourceVersion, false),
        ] {
            assert_eq!(must_list_anew(&error), anew, "{error}");
        }
    }
}
