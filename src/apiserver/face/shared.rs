//! One server for many users: HTTP connections, kubelets, and controllers of the same process.
//! A lock held for one request at a time, and signals for whoever waits for changes: one for
//! everything and one for each kind, so that a write wakes only the watches of its kind.
//! Invariant: nobody writes text or waits for a socket while holding the lock.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use axum::http::{Request, Response, header};
use smallvec::SmallVec;
use tokio::sync::Notify;

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
    anything: Arc<Signal>,
}

#[derive(Debug)]
struct Locked {
    server: Server,
    /// The version up to which changes were announced.
    announced: u64,
    /// For each shelf by its index: the change that was announced last, and who waits for the next.
    shelves: Vec<(u64, Arc<Signal>)>,
}

/// Whose waiters to wake once the lock is free.
type Moved = SmallVec<[Arc<Signal>; 4]>;

/// Wakes whoever waits, in the order in which they came: a world in virtual time must be the same each time it runs,
/// and tokio's channel for this purpose wakes its receivers in an order that it draws.
#[derive(Debug, Default)]
struct Signal {
    /// How often it was given.
    given: AtomicU64,
    waiters: Notify,
}

impl Signal {
    fn give(&self) {
        self.given.fetch_add(1, Ordering::AcqRel);
        self.waiters.notify_waiters();
    }

    /// Listens from now on.
    fn listen(self: &Arc<Self>) -> Changes {
        Changes { signal: Arc::clone(self), seen: self.given.load(Ordering::Acquire) }
    }
}

/// Tells when something was written. What was written before it was made counts as seen.
#[derive(Clone, Debug)]
pub struct Changes {
    signal: Arc<Signal>,
    seen: u64,
}

impl Changes {
    /// Waits until something has been written since this last returned; at once if it has already.
    pub async fn changed(&mut self) {
        loop {
            // Made before the look, so that a signal after the look is heard.
            let notified = self.signal.waiters.notified();
            let given = self.signal.given.load(Ordering::Acquire);
            if given != self.seen {
                self.seen = given;
                return;
            }
            notified.await;
        }
    }
}

impl SharedServer {
    /// Shares a server.
    pub fn new(server: Server) -> Self {
        let locked = Locked { announced: server.version(), server, shelves: Vec::new() };
        let inner = Inner { locked: Mutex::new(locked), anything: Arc::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Answers one HTTP request; a watch with what it has at once.
    pub fn handle<B: AsRef<[u8]>>(&self, now: Time, request: &Request<B>) -> Response<Vec<u8>> {
        self.execute(now, incoming(request)).into_response()
    }

    /// Answers one request with values that are yet to be written as text.
    pub fn execute(&self, now: Time, incoming: Incoming<'_>) -> Outcome {
        let mut locked = self.lock();
        let outcome = locked.server.execute(now, incoming);
        let moved = locked.moved();
        drop(locked);
        if !moved.is_empty() {
            self.announce(&moved);
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
        let _ = locked.moved();
        let everybody: Moved =
            locked.shelves.iter().map(|(_, signal)| Arc::clone(signal)).collect();
        drop(locked);
        self.announce(&everybody);
        result
    }

    /// Begins to listen for changes of any kind.
    pub fn changes(&self) -> Changes {
        self.inner.anything.listen()
    }

    /// Begins to listen for changes of the objects on one shelf.
    pub(super) fn changes_of(&self, shelf: ShelfId) -> Changes {
        let mut locked = self.lock();
        locked.grow();
        locked.shelves[shelf.0].1.listen()
    }

    /// Works on the server in a way that changes no object and no watch.
    pub fn begin<R>(&self, work: impl FnOnce(&mut Server) -> R) -> R {
        work(&mut self.lock().server)
    }

    fn announce(&self, moved: &[Arc<Signal>]) {
        for signal in moved {
            signal.give();
        }
        self.inner.anything.give();
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
        for (shelf, (sequence, signal)) in self.shelves.iter_mut().enumerate() {
            let next = self.server.shelves().shelf(ShelfId(shelf)).next_sequence();
            if *sequence != next {
                *sequence = next;
                moved.push(Arc::clone(signal));
            }
        }
        moved
    }

    /// Shelves are added with each CustomResourceDefinition and never taken away.
    fn grow(&mut self) {
        let shelves = self.server.shelves();
        for shelf in shelves.ids().skip(self.shelves.len()) {
            let sequence = shelves.shelf(shelf).next_sequence();
            self.shelves.push((sequence, Arc::default()));
        }
    }
}
