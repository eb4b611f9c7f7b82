//! The playground's kubelets and controllers, in the API's own process, and the tally of what they and the
//! scheduler have come to.

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
use crate::apiserver::server::Server;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::kubernetes::clock::Clock;
use crate::sim::attached::Attached;
use crate::sim::kubelet::KubeletSettings;
use crate::sim::machinery::ControllerMode;
use crate::sim::machinery::Machinery;

/// Writes in one go, before others get to the API.
const WRITES_AT_ONCE: usize = 128;

/// Machinery at work.
#[derive(Debug)]
pub(super) struct Machines {
    tally: Arc<Mutex<Tally>>,
    busy: Arc<AtomicBool>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Machines {
    /// Starts. Worlds that end when they are idle renew no leases, since those never end.
    pub(super) fn start(server: SharedServer, clock: Clock, until_idle: bool) -> Self {
        let mut settings = KubeletSettings::wall_clock();
        if until_idle {
            settings.lease_interval = None;
        }
        let attached = Attached::new(Machinery::new(settings, ControllerMode::Running));
        let tally = Arc::new(Mutex::new(Tally::new()));
        let busy = Arc::new(AtomicBool::new(true));
        // So that what is told at once is right.
        server.write(|api| lock(&tally).look(clock.now(), api));
        let (stop, stopped) = oneshot::channel();
        let work = work(server, clock, attached, Arc::clone(&tally), Arc::clone(&busy), stopped);
        Self { tally, busy, stop, task: tokio::spawn(work) }
    }

    /// Everything in numbers.
    pub(super) fn totals(&self) -> Totals {
        lock(&self.tally).totals()
    }

    /// Looks at the tally.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Tally) -> R) -> R {
        look(&lock(&self.tally))
    }

    /// True while a kubelet or controller has something left to do by itself.
    pub(super) fn has_work(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// Ends.
    pub(super) async fn stop(self) {
        // An error means that the task has ended already.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

async fn work(
    server: SharedServer,
    clock: Clock,
    mut attached: Attached,
    tally: Arc<Mutex<Tally>>,
    busy: Arc<AtomicBool>,
    mut stop: oneshot::Receiver<()>,
) {
    let mut changes = server.changes();
    loop {
        let now = clock.now();
        let (step, version) = server.write(|api| {
            let step = attached.step(now, api, WRITES_AT_ONCE);
            lock(&tally).look(now, api);
            (step, api.version())
        });
        for (write, failure) in &step.refused {
            tracing::debug!(path = %write.path, code = failure.code, "{}", failure.message);
        }
        if !step.is_idle() {
            tokio::task::yield_now().await;
            if stop.try_recv().is_ok() {
                return;
            }
            continue;
        }
        let wakeup = attached.wakeup();
        busy.store(wakeup.is_some(), Ordering::Release);
        let sleep = tokio::time::sleep_until(
            clock.instant(wakeup.unwrap_or(Time::FAR_FUTURE).max(now + TICK)),
        );
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                _ = &mut stop => return,
                () = &mut sleep => break,
                () = changes.changed() => {
                    // Our own look at the server announces itself, too; only a later write is news.
                    if server.read(Server::version) != version {
                        break;
                    }
                }
            }
        }
        busy.store(true, Ordering::Release);
    }
}

/// What is due within this time is done together.
const TICK: Span = Span::milliseconds(5);

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
