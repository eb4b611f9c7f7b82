//! Watches as cursors: a watch remembers its place in a shelf's history, and each poll reads on from
//! there. Selected objects that change so that they are no longer selected are shown as deleted, and
//! the other way round as added. Knows no connection and no clock; who streams decides when to poll
//! and when to send a bookmark.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::listing::VersionMatch;
use crate::apiserver::store::listing::options_invalid;
use crate::apiserver::store::listing::read_version;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::selection::Selection;
use crate::apiserver::store::shelf::Change;
use crate::apiserver::store::shelf::Object;
use crate::apiserver::store::shelf::Shelves;
use crate::apiserver::store::shelf::Stored;
use crate::apiserver::store::view::Shown;

/// Whether the state at the start is sent as events, as `sendInitialEvents` asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitialEvents {
    /// Not said: sent if no version, or version 0, is asked for.
    #[default]
    Unsaid,
    /// Sent, and closed by a bookmark that says so.
    Send,
    /// Not sent.
    Skip,
}

/// What a watch is asked with.
#[derive(Clone, Debug, Default)]
pub struct WatchQuery {
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// Which objects.
    pub selection: Selection,
    /// `resourceVersion` as given; empty if it was not.
    pub version: String,
    /// `resourceVersionMatch`, if given.
    pub version_match: Option<VersionMatch>,
    /// `sendInitialEvents`.
    pub initial: InitialEvents,
    /// `allowWatchBookmarks`: whether bookmarks may be sent.
    pub bookmarks: Bookmarks,
}

/// Whether a client understands bookmarks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bookmarks {
    /// It does not.
    #[default]
    Unwanted,
    /// It does.
    Allowed,
}

/// What happened to an object, in the words of the API.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// It exists, or is selected now.
    Added(Shown),
    /// It changed.
    Modified(Shown),
    /// It is gone, or is selected no longer.
    Deleted(Shown),
    /// Nothing up to this version is outstanding; an object with nothing but that version.
    Bookmark(Value),
    /// The watch ends with this `Status`.
    Error(Value),
}

impl WatchEvent {
    /// The event's `type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Added(_) => "ADDED",
            Self::Modified(_) => "MODIFIED",
            Self::Deleted(_) => "DELETED",
            Self::Bookmark(_) => "BOOKMARK",
            Self::Error(_) => "ERROR",
        }
    }

    /// The object it is about, unless it is a bookmark or an error.
    pub const fn shown(&self) -> Option<&Shown> {
        match self {
            Self::Added(shown) | Self::Modified(shown) | Self::Deleted(shown) => Some(shown),
            Self::Bookmark(_) | Self::Error(_) => None,
        }
    }

    /// One line of a watch's answer: `{"type": ..., "object": ...}` and a line feed.
    pub fn line(&self) -> Vec<u8> {
        let text = match self {
            Self::Added(shown) | Self::Modified(shown) | Self::Deleted(shown) => shown.text(),
            Self::Bookmark(value) | Self::Error(value) => value.to_string().into_bytes().into(),
        };
        let mut line = format!("{{\"type\":\"{}\",\"object\":", self.kind()).into_bytes();
        line.extend_from_slice(&text);
        line.extend_from_slice(b"}\n");
        line
    }
}

/// A watch under way.
#[derive(Clone, Debug)]
pub struct Watch {
    resource: Arc<Resource>,
    namespace: Option<String>,
    selection: Selection,
    bookmarks: Bookmarks,
    waiting: VecDeque<WatchEvent>,
    /// The next change to read.
    sequence: u64,
    /// Changes up to this version are known to the client.
    version: u64,
    /// The version of which the client was told last.
    told: u64,
    cuts_seen: usize,
    ended: bool,
}

/// How many events one poll gives at most, so that a watch from long ago does not hold others up.
const EVENTS_PER_POLL: usize = 1000;

impl Watch {
    /// Begins a watch. A version that history no longer reaches is not refused here: as upstream
    /// does it, the first poll says so in the stream.
    ///
    /// # Errors
    /// 400 or 422 when the options contradict each other.
    pub fn begin(
        shelves: &Shelves,
        resource: &Arc<Resource>,
        query: WatchQuery,
    ) -> Result<Self, Failure> {
        check_options(&query)?;
        let asked = read_version(&query.version)?;
        let mut watch = Self {
            resource: Arc::clone(resource),
            namespace: query.namespace,
            selection: query.selection,
            bookmarks: query.bookmarks,
            waiting: VecDeque::new(),
            sequence: shelves.shelf(resource.shelf).next_sequence(),
            version: shelves.version(),
            told: 0,
            cuts_seen: 0,
            ended: false,
        };
        match query.initial {
            InitialEvents::Unsaid if asked == 0 => watch.show_all(shelves),
            InitialEvents::Send if asked > shelves.version() => {
                return Err(Failure::version_too_large(asked, shelves.version()));
            }
            InitialEvents::Send => {
                watch.show_all(shelves);
                let mut bookmark = watch.bookmark_object();
                bookmark["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
                watch.waiting.push_back(WatchEvent::Bookmark(bookmark));
            }
            InitialEvents::Skip if asked == 0 => {}
            InitialEvents::Unsaid | InitialEvents::Skip => watch.go_back_to(shelves, asked),
        }
        watch.told = watch.version;
        Ok(watch)
    }

    /// The resource that is watched.
    pub fn resource(&self) -> &Arc<Resource> {
        &self.resource
    }

    /// The namespace that is watched; `None` for all.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// True once nothing will come any more.
    pub fn has_ended(&self) -> bool {
        self.ended && self.waiting.is_empty()
    }

    /// Ends the watch after an error of the given kind.
    pub fn end_with(&mut self, failure: &Failure) {
        self.waiting.push_back(WatchEvent::Error(failure.to_json()));
        self.ended = true;
    }

    /// Ends the watch without a word, as a cut connection does.
    pub fn cut(&mut self) {
        self.waiting.clear();
        self.ended = true;
    }

    /// Ends the watch as if its version had left the history.
    pub fn expire(&mut self) {
        let failure = too_old(self.version, self.version + 1);
        self.waiting.clear();
        self.end_with(&failure);
    }

    /// Takes note of how many cuts there were when it began; see [`Watch::cuts_seen`].
    pub fn note_cuts(&mut self, seen: usize) {
        self.cuts_seen = seen;
    }

    /// How many cuts of watches there were when it began.
    pub fn cuts_seen(&self) -> usize {
        self.cuts_seen
    }

    /// The events since the last poll, in order, at most a thousand; none when nothing happened.
    pub fn poll(&mut self, shelves: &Shelves) -> Vec<WatchEvent> {
        let mut events: Vec<WatchEvent> = Vec::new();
        while events.len() < EVENTS_PER_POLL {
            if let Some(event) = self.waiting.pop_front() {
                events.push(event);
                continue;
            }
            if self.ended {
                break;
            }
            match shelves.shelf(self.resource.shelf).change(self.sequence) {
                Ok(None) => {
                    self.version = self.version.max(shelves.version());
                    break;
                }
                Ok(Some(change)) => {
                    self.sequence += 1;
                    if change.version > self.version {
                        self.version = change.version;
                        let event = self.event_of(change);
                        self.told = if event.is_some() { self.version } else { self.told };
                        events.extend(event);
                    }
                }
                Err(oldest) => self.end_with(&too_old(self.version, oldest)),
            }
        }
        events
    }

    /// A bookmark at the watch's place, for clients that allow it and were told of an earlier one. Valid right after
    /// a poll that gave fewer events than it may.
    pub fn bookmark(&mut self) -> Option<WatchEvent> {
        match self.bookmarks {
            Bookmarks::Unwanted => None,
            Bookmarks::Allowed if self.told == self.version => None,
            Bookmarks::Allowed => {
                self.told = self.version;
                Some(WatchEvent::Bookmark(self.bookmark_object()))
            }
        }
    }

    fn bookmark_object(&self) -> Value {
        json!({
            "kind": *self.resource.kind,
            "apiVersion": self.resource.api_version(),
            "metadata": {"resourceVersion": self.version.to_string(), "creationTimestamp": null},
        })
    }

    fn show_all(&mut self, shelves: &Shelves) {
        let shelf = shelves.shelf(self.resource.shelf);
        for object in shelf.iter(self.namespace.as_deref()) {
            if self.selection.takes(object) {
                self.waiting.push_back(WatchEvent::Added(self.shown(object)));
            }
        }
    }

    fn go_back_to(&mut self, shelves: &Shelves, version: u64) {
        match shelves.shelf(self.resource.shelf).sequence_after(version) {
            Ok(sequence) => {
                self.sequence = sequence;
                self.version = version;
            }
            Err(oldest) => self.end_with(&too_old(version, oldest)),
        }
    }

    fn event_of(&self, change: &Change) -> Option<WatchEvent> {
        if self.namespace.as_deref().is_some_and(|namespace| change.after.namespace() != namespace)
        {
            return None;
        }
        let was = change.before.as_ref().filter(|before| self.selection.takes(before));
        let is = !change.deleted && self.selection.takes(&change.after);
        match (was, is) {
            (None, false) => None,
            (None, true) => Some(WatchEvent::Added(self.shown(&change.after))),
            (Some(_), true) => Some(WatchEvent::Modified(self.shown(&change.after))),
            (Some(_), false) if change.deleted => {
                Some(WatchEvent::Deleted(self.shown(&change.after)))
            }
            // It is shown as it was when it was selected last, under the version of the change.
            (Some(before), false) => {
                let mut value = Value::clone(&before.value());
                value["metadata"]["resourceVersion"] = change.version.to_string().into();
                Some(WatchEvent::Deleted(self.shown(&Stored::unstored(value))))
            }
        }
    }

    fn shown(&self, object: &Object) -> Shown {
        Shown { resource: Arc::clone(&self.resource), object: Arc::clone(object) }
    }
}

fn too_old(asked: u64, oldest: u64) -> Failure {
    Failure::expired(format!("too old resource version: {asked} ({oldest})"))
}

/// A watch cannot be of one version only.
fn exact_refused(version_match: Option<VersionMatch>) -> Option<FieldError> {
    (version_match == Some(VersionMatch::Exact))
        .then(|| FieldError::not_supported("resourceVersionMatch", "Exact", &["NotOlderThan"]))
}

fn check_options(query: &WatchQuery) -> Result<(), Failure> {
    let field = "resourceVersionMatch";
    let mut errors = Vec::new();
    match query.initial {
        InitialEvents::Unsaid if query.version_match.is_some() => {
            let why =
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(FieldError::forbidden(field, why));
            errors.extend(exact_refused(query.version_match));
        }
        InitialEvents::Unsaid => {}
        InitialEvents::Send | InitialEvents::Skip => {
            if query.version_match.is_none() {
                let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                errors.push(FieldError::forbidden(field, why));
            }
            errors.extend(exact_refused(query.version_match));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(options_invalid(&errors)) }
}
