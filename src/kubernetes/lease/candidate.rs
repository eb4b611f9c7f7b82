//! The task that stands by, takes the lease, renews it, and gives it up. Carries out what the election says.
//! Uses a client of its own, so that no bind and no watch can be in its way.
//! Invariants: the tenure is extended only by a write that succeeded, and ended before this task ends; of all that
//! stands by, only what keeps it from the lease is written, as an event about the lease.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::http::StatusCode;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::info;
use tracing::warn;

use super::election::Election;
use super::election::Next;
use super::election::Times;
use super::line::Lines;
use super::obstacle::Obstacle;
use super::record;
use super::record::LeaseRecord;
use super::record::Tenant;
use super::tenure::Tenure;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Time;
use crate::kubernetes::clock::Clock;
use crate::kubernetes::execute::Wire;
use crate::kubernetes::requests::Reply;
use crate::kubernetes::requests::Reporter;
use crate::kubernetes::traffic::Purpose;

/// Who stands for election, and how.
pub struct Candidate {
    /// To the API server, over a client of its own.
    pub wire: Wire,
    /// The lease.
    pub lease: ObjectName,
    /// This process.
    pub tenant: Tenant,
    /// Times of the election.
    pub times: Times,
    /// The local clock.
    pub clock: Clock,
    /// How it is heard that a leader's process is gone.
    pub lines: Lines,
    /// What others of this process may do.
    pub tenure: Arc<Tenure>,
    /// Who reports what keeps the lease from being had; nobody where no events are written.
    pub reporter: Option<Reporter>,
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Candidate").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// How a candidacy ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was given up, as told.
    GivenUp,
    /// Leadership was lost; the text says how.
    Lost(String),
}

/// The line to the holder that was seen last.
struct Call {
    holder: Name,
    gone: BoxFuture<'static, ()>,
}

impl Candidate {
    /// Stands by until elected (and says so by the version of the lease), then leads until `give_up` or a loss.
    pub async fn run(
        self,
        elected: oneshot::Sender<u64>,
        mut give_up: oneshot::Receiver<()>,
    ) -> Ended {
        let mut election = Election::new(self.tenant.identity.clone(), self.times);
        if !self.stand_by(&mut election, &mut give_up).await {
            return Ended::GivenUp;
        }
        let version = election.lease().map_or(0, LeaseRecord::version);
        info!(identity = %self.tenant.identity, lease = %self.lease, version, "elected leader");
        // The rim is gone only with the process.
        let _ = elected.send(version);
        let ended = self.lead(&mut election, &mut give_up).await;
        self.tenure.end();
        if ended == Ended::GivenUp
            && let Some(lease) = election.lease()
        {
            let request = lease.released(&self.lease, self.clock.now());
            match self.wire.write(Purpose::Lease, request).await.0 {
                Reply::Answered { status, .. } if status.is_success() => {
                    info!("the lease is released")
                }
                Reply::Answered { .. } | Reply::Lost(_) => {
                    warn!("the lease could not be released; others wait until it expires");
                }
            }
        }
        ended
    }

    /// True once the lease is held; false when told to give up.
    async fn stand_by(&self, election: &mut Election, give_up: &mut oneshot::Receiver<()>) -> bool {
        let mut call: Option<Call> = None;
        let mut obstacle = Obstacle::default();
        loop {
            let tried = match self.look(election).await {
                Ok(()) => self.try_to_take(election).await,
                Err(why) => Err(format!("it cannot be read: {why}")),
            };
            match tried {
                Ok(true) => return true,
                Ok(false) => obstacle.is_gone(),
                Err(why) => self.obstructed(&mut obstacle, why).await,
            }
            let pause = match election.next(self.clock.now()) {
                Next::Wait(until) => {
                    self.clock.instant(until).saturating_duration_since(Instant::now())
                }
                Next::Create | Next::Take(_) | Next::Lost => Duration::ZERO,
            };
            let pause = pause.max(self.short_pause());
            self.hold_line(&mut call, election);
            tokio::select! {
                biased;
                _ = &mut *give_up => return false,
                () = tokio::time::sleep(pause) => {}
                holder = gone(&mut call) => {
                    info!(%holder, "the leader's process is gone");
                    election.departed(holder);
                    call = None;
                }
            }
        }
    }

    /// Says what keeps the lease from being had: in the log when it is new, in an event when it lasts.
    async fn obstructed(&self, obstacle: &mut Obstacle, why: String) {
        let now = self.clock.now();
        if obstacle.met(now, &why) {
            warn!(lease = %self.lease, why = %why, "no leader can be elected; trying again");
        }
        let Some(reporter) = self.reporter.as_ref().filter(|_| obstacle.is_due(now)) else {
            return;
        };
        let request = obstacle.event(&self.lease, reporter, now);
        match self.wire.write(Purpose::Notice, request).await.0 {
            Reply::Answered { status, .. } if status.is_success() => obstacle.told(now),
            Reply::Answered { .. } | Reply::Lost(_) => obstacle.not_told(now),
        }
    }

    /// Takes the lease where it may be taken. True once it is held.
    async fn try_to_take(&self, election: &mut Election) -> Result<bool, String> {
        let now = self.clock.now();
        let request = match election.next(now) {
            Next::Create => self.tenant.create(&self.lease, now),
            Next::Take(lease) => lease.taken(&self.lease, &self.tenant, now),
            Next::Wait(_) | Next::Lost => return Ok(false),
        };
        self.write(election, request, now).await
    }

    async fn lead(&self, election: &mut Election, give_up: &mut oneshot::Receiver<()>) -> Ended {
        loop {
            let now = self.clock.now();
            match election.next(now) {
                Next::Wait(until) => tokio::select! {
                    biased;
                    _ = &mut *give_up => return Ended::GivenUp,
                    () = tokio::time::sleep_until(self.clock.instant(until)) => {}
                },
                Next::Take(lease) => {
                    let request = lease.taken(&self.lease, &self.tenant, now);
                    let deadline = election.deadline().unwrap_or(now);
                    let renewal = self.write(election, request, now);
                    let limit = self.clock.instant(deadline);
                    let renewed = tokio::time::timeout_at(limit, renewal).await;
                    if !matches!(renewed, Ok(Ok(true))) {
                        warn!(lease = %self.lease, ?renewed, "the lease was not renewed; trying again");
                        election.renewal_failed(self.clock.now());
                        // What the lease says tells more than the failure; without it, the deadline decides.
                        let _ = tokio::time::timeout_at(limit, self.look(election)).await;
                    }
                }
                Next::Create | Next::Lost => return Ended::Lost(self.loss(election)),
            }
        }
    }

    fn loss(&self, election: &Election) -> String {
        match election.lease() {
            None => format!("the lease {} was deleted", self.lease),
            Some(lease) if lease.holder() != &*self.tenant.identity => {
                format!("the lease {} is held by {:?}", self.lease, lease.holder())
            }
            Some(_) => format!(
                "the lease {} could not be renewed for {} s",
                self.lease,
                self.times.renew_deadline.0 / 1_000_000_000
            ),
        }
    }

    /// Reads the lease.
    async fn look(&self, election: &mut Election) -> Result<(), String> {
        match self.wire.read(Purpose::Lease, record::read(&self.lease)).await {
            Reply::Answered { status, body } if status.is_success() => {
                election.observe(self.clock.now(), Some(LeaseRecord::new(body)));
                Ok(())
            }
            Reply::Answered { status: StatusCode::NOT_FOUND, .. } => {
                election.observe(self.clock.now(), None);
                Ok(())
            }
            Reply::Answered { status, body } => {
                let message = body.get("message").and_then(serde_json::Value::as_str);
                Err(message.map_or_else(|| format!("HTTP {status}"), str::to_owned))
            }
            Reply::Lost(why) => Err(why),
        }
    }

    /// Writes the lease. True if it is held since `sent`; false if somebody was faster.
    async fn write(
        &self,
        election: &mut Election,
        request: Request<Vec<u8>>,
        sent: Time,
    ) -> Result<bool, String> {
        match self.wire.write(Purpose::Lease, request).await.0 {
            Reply::Answered { status, body } if status.is_success() => {
                election.won(sent, LeaseRecord::new(body));
                let deadline = sent + self.times.renew_deadline;
                self.tenure.extend(self.clock.instant(deadline));
                Ok(true)
            }
            // Somebody was faster, or an earlier write of ours was: reading tells.
            Reply::Answered { status: StatusCode::CONFLICT, .. } => Ok(false),
            Reply::Answered { status, body } => {
                let message = body["message"].as_str().unwrap_or_default();
                Err(format!("it cannot be written: HTTP {status}: {message}"))
            }
            Reply::Lost(why) => Err(format!("it cannot be written: {why}")),
        }
    }

    /// Holds the line to the holder that was seen last.
    fn hold_line(&self, call: &mut Option<Call>, election: &Election) {
        let Some(lease) = election.lease() else {
            *call = None;
            return;
        };
        let holder = lease.holder();
        if call.as_ref().is_some_and(|call| &*call.holder == holder) {
            return;
        }
        // Who is known to be gone would be found gone again at once, and the lease be tried again without a rest.
        let line = lease.line().filter(|_| !holder.is_empty() && !election.has_departed(holder));
        *call = line.map(|address| {
            let holder = Name::from(holder);
            Call { gone: (self.lines)(address.to_owned(), holder.clone()), holder }
        });
    }

    fn short_pause(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.times.retry_period.0 / 4).unwrap_or(0))
    }
}

/// The holder, once its process is gone.
async fn gone(call: &mut Option<Call>) -> Name {
    match call {
        Some(call) => {
            (&mut call.gone).await;
            call.holder.clone()
        }
        None => std::future::pending().await,
    }
}
