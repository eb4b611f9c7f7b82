//! One server for many users: HTTP connections, kubelets, and controllers of the same process.
//! A lock held for one request at a time, and signals for whoever waits for changes: one for
//! everything and one for each kind, so that a write wakes only the watches of its kind.
//! Invariant: nobody writes text or waits for a socket while holding the lock.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use axum::http::{Request, Response, header};
use smallvec::SmallVec;
use tokio::sync::watch;

use crate::apiserver::server::Incoming;
use crate::apiserver::server::Outcome;
use crate::apiserver::server::Server;
use crate::apiserver::store::resource::ShelfId;
use crate::apiserver::store::state::Payload;
use crate::base::time::Time;

/// A server that connections and tasks share. Clones are the same server.
#[derive(Clone, Debug)]
pub struct SharedServer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    locked: Mutex<Locked>,
    anything: watch::Sender<u64>,
}

#[derive(Debug)]
struct Locked {
    server: Server,
    /// The version up to which changes were announced.
    announced: u64,
    /// For each shelf by its index: the change that was announced last, and who waits for the next.
    shelves: Vec<(u64, watch::Sender<u64>)>,
}

/// Whose waiters to wake once the lock is free.
type Moved = SmallVec<[(u64, watch::Sender<u64>); 4]>;

/// Tells when something was written. What was written before it was made counts as seen.
#[derive(Clone, Debug)]
pub struct Changes {
    receiver: watch::Receiver<u64>,
}

impl Changes {
    /// Waits until something has been written since this last returned; at once if it has already.
    pub async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            // The server is gone, so nothing will ever change again.
            std::future::pending::<()>().await;
        }
    }
}

impl SharedServer {
    /// Shares a server.
    pub fn new(server: Server) -> Self {
        let (anything, _) = watch::channel(server.version());
        let locked = Locked { announced: server.version(), server, shelves: Vec::new() };
        Self { inner: Arc::new(Inner { locked: Mutex::new(locked), anything }) }
    }

    /// Answers one HTTP request; a watch with what it has at once.
    pub fn handle<B: AsRef<[u8]>>(&self, now: Time, request: &Request<B>) -> Response<Vec<u8>> {
        self.execute(now, incoming(request)).into_response()
    }

    /// Answers one request with values that are yet to be written as text.
    pub fn execute(&self, now: Time, incoming: Incoming<'_>) -> Outcome {
        let mut locked = self.lock();
        let outcome = locked.server.execute(now, incoming);
        let version = locked.server.version();
        let moved = locked.moved();
        drop(locked);
        if !moved.is_empty() {
            self.announce(version, moved);
        }
        outcome
    }

    /// Looks at the server.
    pub fn read<R>(&self, look: impl FnOnce(&Server) -> R) -> R {
        look(&self.lock().server)
    }

    /// Works on the server, for example by its typed methods, and tells everybody who waits:
    /// also faults such as a cut watch, which move no version, must be seen.
    pub fn write<R>(&self, work: impl FnOnce(&mut Server) -> R) -> R {
        let mut locked = self.lock();
        let result = work(&mut locked.server);
        let version = locked.server.version();
        let _ = locked.moved();
        let everybody = locked.shelves.iter().cloned().collect();
        drop(locked);
        self.announce(version, everybody);
        result
    }

    /// Begins to listen for changes of any kind.
    pub fn changes(&self) -> Changes {
        Changes { receiver: self.inner.anything.subscribe() }
    }

    /// Begins to listen for changes of the objects on one shelf.
    pub(super) fn changes_of(&self, shelf: ShelfId) -> Changes {
        let mut locked = self.lock();
        locked.grow();
        Changes { receiver: locked.shelves[shelf.0].1.subscribe() }
    }

    /// Works on the server in a way that changes no object and no watch.
    pub fn begin<R>(&self, work: impl FnOnce(&mut Server) -> R) -> R {
        work(&mut self.lock().server)
    }

    fn announce(&self, version: u64, moved: Moved) {
        for (sequence, waiters) in moved {
            waiters.send_replace(sequence);
        }
        self.inner.anything.send_replace(version);
    }

    fn lock(&self) -> MutexGuard<'_, Locked> {
        let locked = self.inner.locked.lock();
        locked.expect("a panic while the store was half written must end its other users too")
    }
}

/// An HTTP request as the server reads it.
pub(super) fn incoming<B: AsRef<[u8]>>(request: &Request<B>) -> Incoming<'_> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let body = request.body().as_ref();
    Incoming {
        method: request.method().as_str(),
        target: request.uri().path_and_query().map_or("/", |target| target.as_str()),
        content_type: content_type.and_then(|value| value.to_str().ok()).unwrap_or_default(),
        payload: if body.is_empty() { Payload::Empty } else { Payload::Text(body) },
    }
}

impl Locked {
    /// The shelves that changed since this was last asked.
    fn moved(&mut self) -> Moved {
        let mut moved = Moved::new();
        if self.announced == self.server.version() {
            return moved;
        }
        self.announced = self.server.version();
        self.grow();
        for (shelf, (sequence, waiters)) in self.shelves.iter_mut().enumerate() {
            let next = self.server.shelves().shelf(ShelfId(shelf)).next_sequence();
            if *sequence != next {
                *sequence = next;
                moved.push((next, waiters.clone()));
            }
        }
        moved
    }

    /// Shelves are added with each CustomResourceDefinition and never taken away.
    fn grow(&mut self) {
        let shelves = self.server.shelves();
        for shelf in shelves.ids().skip(self.shelves.len()) {
            let sequence = shelves.shelf(shelf).next_sequence();
            self.shelves.push((sequence, watch::channel(sequence).0));
        }
    }
}
