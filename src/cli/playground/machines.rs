//! The playground's kubelets and controllers, in the API's own process, and the tally of what they and the
//! scheduler have come to.
//! Contains no rule of theirs: it tells them the time and what changed, and carries out what they write.
//! Invariant: while it works, the tally is taken before the API, so that nobody holds the API while somebody counts.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::tally::Tally;
use super::tally::Totals;
use crate::apiserver::face::SharedServer;
use crate::base::time::Time;
use crate::kubernetes::clock::Clock;
use crate::sim::attached::Attached;
use crate::sim::attached::incoming;
use crate::sim::kubelet::KubeletSettings;
use crate::sim::kubelet::Serves;
use crate::sim::machinery::ControllerMode;
use crate::sim::machinery::Machinery;

/// Writes between two looks at what changed, so that a burst of creations does not delay what runs.
const WRITES_BETWEEN_LOOKS: usize = 200;

/// Whether kubelets renew the leases of their nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leases {
    /// They do, as in a cluster.
    Renewed,
    /// They do not: renewals never end, and this world is to end when nothing more can happen.
    LeftAlone,
}

/// Machinery at work.
#[derive(Debug)]
pub(super) struct Machines {
    seen: Seen,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What the task shows to whoever looks.
#[derive(Clone, Debug)]
struct Seen {
    tally: Arc<Mutex<Tally>>,
    /// True while a kubelet or controller has something left to do by itself.
    busy: Arc<AtomicBool>,
}

impl Machines {
    /// Starts.
    pub(super) fn start(
        server: SharedServer,
        clock: Clock,
        leases: Leases,
        serves: Serves,
    ) -> Self {
        let mut settings = KubeletSettings { serves, ..KubeletSettings::wall_clock() };
        match leases {
            Leases::Renewed => {}
            Leases::LeftAlone => settings.lease_interval = None,
        }
        let attached = Attached::new(Machinery::new(settings, ControllerMode::Running));
        let seen = Seen {
            tally: Arc::new(Mutex::new(Tally::new())),
            busy: Arc::new(AtomicBool::new(true)),
        };
        // So that what is told at once is right.
        server.write(|api| lock(&seen.tally).look(clock.now(), api));
        let (stop, stopped) = oneshot::channel();
        let work = work(server, clock, attached, seen.clone(), stopped);
        Self { seen, stop, task: tokio::spawn(work) }
    }

    /// Everything in numbers.
    pub(super) fn totals(&self) -> Totals {
        lock(&self.seen.tally).totals()
    }

    /// Looks at the tally.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Tally) -> R) -> R {
        look(&lock(&self.seen.tally))
    }

    /// True while a kubelet or controller has something left to do by itself.
    pub(super) fn has_work(&self) -> bool {
        self.seen.busy.load(Ordering::Acquire)
    }

    /// Ends.
    pub(super) async fn stop(self) {
        // An error means that the task has ended already.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// Tends the kubelets and controllers, and beside them the tally and the word whether anything is left to do.
async fn work(
    server: SharedServer,
    clock: Clock,
    mut attached: Attached,
    seen: Seen,
    mut stop: oneshot::Receiver<()>,
) {
    let mut changes = server.changes();
    loop {
        let now = clock.now();
        {
            // First the tally: nobody must hold the API while somebody counts.
            let mut tally = lock(&seen.tally);
            server.begin(|api| {
                attached.observe(now, api);
                tally.look(now, api);
            });
        }
        let writes = attached.take_writes(now, WRITES_BETWEEN_LOOKS);
        for complaint in attached.machinery().complaints() {
            tracing::warn!(complaint, "the simulated fleet cannot do what is asked");
        }
        if !writes.is_empty() {
            seen.busy.store(true, Ordering::Release);
            for write in &writes {
                if let Err(failure) = server.execute(clock.now(), incoming(write)).result {
                    tracing::debug!(path = write.path, code = failure.code, "{}", failure.message);
                }
            }
            tokio::task::yield_now().await;
            if stop.try_recv().is_ok() {
                break;
            }
            continue;
        }
        let wakeup = attached.wakeup();
        seen.busy.store(wakeup.is_some(), Ordering::Release);
        tokio::select! {
            _ = &mut stop => break,
            () = tokio::time::sleep_until(clock.instant(wakeup.unwrap_or(Time::FAR_FUTURE))) => {}
            () = changes.changed() => {}
        }
    }
    // The process ends: taking a hundred thousand pods apart one by one would only hold it up.
    std::mem::forget((attached, server));
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
