//! Watches over HTTP: a body that goes on, one JSON line an event, as objects, Tables, or metadata.
//! A watch is a cursor into the store's history, so a slow reader costs nothing but its own delay:
//! one that falls behind what the history holds is told 410 and starts over.
//! Knows no socket; the connection asks for the next piece when it has sent the last.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use super::Clock;
use super::accept::Form;
use super::shared::{Changes, SharedServer};
use super::tables::{Headings, IncludeObject, Style, partial_metadata, table};
use crate::apiserver::store::watch::Watch;
use crate::apiserver::store::watch::WatchEvent;

/// How often an idle watch is told where it stands, as kube-apiserver does.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// How long before its time-out a watch is told so too, that the next may go on from there.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// How long a watch goes on that names no `timeoutSeconds`.
const LONGEST: Duration = Duration::from_secs(3600);

/// A watch that is being sent.
pub(super) struct Sending {
    pub(super) server: SharedServer,
    pub(super) clock: Clock,
    pub(super) watch: Watch,
    pub(super) form: Form,
    /// Turns true when the server is shutting down.
    pub(super) stopping: watch::Receiver<bool>,
    /// `timeoutSeconds`, if it was given.
    pub(super) timeout: Option<Duration>,
}

/// The body of a watch's answer. Ends at the time-out, at an error, or when the server stops.
pub(super) fn body(sending: Sending) -> Body {
    let changes = sending.server.changes_of(sending.watch.resource().shelf);
    let end = Instant::now() + sending.timeout.unwrap_or(LONGEST);
    let state = State {
        changes,
        headings: Headings::Shown,
        end: Box::pin(tokio::time::sleep_until(end)),
        bookmark: Box::pin(tokio::time::sleep_until(next_bookmark(end))),
        ended: false,
        sending,
    };
    Body::from_stream(stream::unfold(Box::new(state), |mut state| async move {
        let lines = state.next().await?;
        Some((Ok::<_, Infallible>(lines), state))
    }))
}

/// When a watch that ends at `end` is told next where it stands.
fn next_bookmark(end: Instant) -> Instant {
    let now = Instant::now();
    let regular = now + BOOKMARK_EVERY;
    let last = end.checked_sub(BOOKMARK_BEFORE_END).filter(|last| *last > now);
    last.map_or(regular, |last| last.min(regular))
}

struct State {
    sending: Sending,
    changes: Changes,
    headings: Headings,
    end: Pin<Box<Sleep>>,
    bookmark: Pin<Box<Sleep>>,
    ended: bool,
}

impl State {
    /// The next lines; `None` at the end of the watch.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.ended {
            let watch = &mut self.sending.watch;
            let events = self.sending.server.read(|server| server.poll(watch));
            self.ended = self.sending.watch.has_ended();
            if !events.is_empty() {
                return Some(self.lines(&events));
            }
            if self.ended {
                break;
            }
            let stopping = &mut self.sending.stopping;
            tokio::select! {
                // In this order always, so that a world in virtual time is the same each time it runs.
                biased;
                () = self.changes.changed() => {}
                () = &mut self.bookmark => {
                    let next = next_bookmark(self.end.deadline());
                    self.bookmark.as_mut().reset(next);
                    if let Some(event) = self.sending.watch.bookmark() {
                        return Some(self.lines(&[event]));
                    }
                }
                () = &mut self.end => self.ended = true,
                () = stopped(stopping) => self.ended = true,
            }
        }
        None
    }

    fn lines(&mut self, events: &[WatchEvent]) -> Bytes {
        let mut lines = Vec::new();
        for event in events {
            match self.sending.form {
                Form::Plain | Form::AggregatedDiscovery => lines.extend(event.line()),
                Form::Metadata => push(&mut lines, event, partial_metadata),
                Form::Table(include) => self.push_table(&mut lines, event, include),
            }
        }
        lines.into()
    }

    fn push_table(&mut self, lines: &mut Vec<u8>, event: &WatchEvent, include: IncludeObject) {
        let resource = self.sending.watch.resource();
        let now = (self.sending.clock)();
        let headings = &mut self.headings;
        push(lines, event, |object| {
            let style = Style { headings: *headings, ..Style::of(resource, include) };
            *headings = Headings::Omitted;
            let metadata = json!({"resourceVersion": object.pointer("/metadata/resourceVersion")});
            // A bookmark has no object that could be a row.
            let row = event.shown().map(|_| object);
            table(style, row.into_iter(), metadata, now)
        });
    }
}

/// Waits until the server stops; for ever where nobody can stop it.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    if stopping.wait_for(|stopping| *stopping).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Adds an event's line with its object in another form; errors keep theirs.
fn push(lines: &mut Vec<u8>, event: &WatchEvent, form: impl FnOnce(&Value) -> Value) {
    let object = match event {
        WatchEvent::Added(shown) | WatchEvent::Modified(shown) | WatchEvent::Deleted(shown) => {
            form(&shown.json())
        }
        WatchEvent::Bookmark(object) => form(object),
        WatchEvent::Error(status) => status.clone(),
    };
    lines.extend(json!({"type": event.kind(), "object": object}).to_string().into_bytes());
    lines.push(b'\n');
}
