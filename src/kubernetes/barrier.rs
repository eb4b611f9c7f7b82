//! The read barrier of a new leader: what is believed must not be older than its lease, or it might undo what the
//! leader before it has done. Everything is listed once more, by version only, and the watches are waited for.
//! Waits for no bookmark. Invariant: it ends well only when each kind has caught up with a list taken after the lease.

use std::time::Duration;

use futures::future::try_join_all;
use kube::Resource;
use kube::api::ListParams;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::info;
use tracing::warn;

use super::apis::GroupApis;
use super::apis::of_kind;
use super::driver::Fault;
use super::lease::candidate::Candidate;
use super::lease::candidate::Ended;
use super::recount::Check;
use super::recount::Doubt;
use super::recount::Progress;
use super::recount::Recount;
use super::recount::Unfinished;
use super::recount::unlisted;
use super::translate::Kind;
use super::translate::objects::PodObject;
use super::versions;
use super::watch::Watched;
use crate::cluster::facts::GroupSource;
use crate::cluster::storage::facts::StorageKind;

/// Objects of one page: names and versions only.
const PAGE: u32 = 10_000;

/// From one look at whether the watches have caught up to the next.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Pause after a list that failed.
const PAUSE: Duration = Duration::from_millis(200);

/// Watches that have not caught up by then are dead.
const PATIENCE: Duration = Duration::from_secs(10);

impl Recount {
    /// Waits until everything is known that was written before now; asks until the server answers.
    ///
    /// # Errors
    /// A watch that does not catch up; the text says what it lacks. The process should start again.
    pub async fn catch_up(&self) -> Result<(), String> {
        loop {
            match self.try_to_catch_up().await {
                Ok(()) => return Ok(()),
                Err(Unfinished::Server(why)) => {
                    warn!(why = %why, "elected, but not caught up; asking again");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(Unfinished::Behind(why)) => return Err(why),
                Err(Unfinished::NotDeciding | Unfinished::Denied | Unfinished::Over) => {
                    return Err("the driver has ended".to_owned());
                }
            }
        }
    }

    async fn try_to_catch_up(&self) -> Result<(), Unfinished> {
        let started = Instant::now();
        self.all_listed().await?;
        // What every server has is not kept waiting for the question what else this one has.
        let always = [Kind::Node, Kind::Namespace, Kind::Pod].into_iter();
        let always = always.chain(StorageKind::ALL.map(Kind::Storage));
        let always = always.chain(self.selecting.iter().copied().map(Kind::Selecting));
        let always = self.all_versions(always.collect(), GroupApis::default());
        let (mut doubts, of_gangs) = tokio::try_join!(always, self.versions_of_gangs())?;
        doubts.extend(of_gangs);
        let (behind, give_up) = (doubts.len(), Instant::now() + PATIENCE);
        while let Some(doubt) = doubts.first() {
            if Instant::now() >= give_up {
                let why = format!("after {} s: {doubt}", PATIENCE.as_secs());
                return Err(Unfinished::Behind(why));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            let again = std::mem::take(&mut doubts);
            doubts = self.ask(|reply| Check::Again(again, reply)).await?;
        }
        let took = started.elapsed();
        info!(
            behind,
            milliseconds = took.as_millis(),
            "caught up with what was written before the election"
        );
        Ok(())
    }

    async fn all_listed(&self) -> Result<(), Unfinished> {
        loop {
            let progress = self.ask(|reply| Check::Begin(Kind::Node, reply)).await;
            if progress? != Progress::Listing {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// PodGroups, and the records of their plans, as far as the server has them.
    async fn versions_of_gangs(&self) -> Result<Vec<Doubt>, Unfinished> {
        let apis = GroupApis::discover(&self.wire).await.map_err(Unfinished::Server)?;
        let mut kinds = Vec::new();
        kinds.extend(apis.coscheduling.then_some(Kind::Group(GroupSource::Coscheduling)));
        kinds.extend(apis.native.map(|_| Kind::Group(GroupSource::Native)));
        kinds.extend(apis.records.then_some(Kind::Record));
        self.all_versions(kinds, apis).await
    }

    async fn all_versions(
        &self,
        kinds: Vec<Kind>,
        apis: GroupApis,
    ) -> Result<Vec<Doubt>, Unfinished> {
        let lists = kinds.into_iter().map(|kind| self.versions_if_allowed(kind, apis));
        Ok(try_join_all(lists).await?.into_iter().flatten().collect())
    }

    /// The same as [`Self::versions`]; nothing of a kind of storage that cannot be listed, on which nobody relies.
    async fn versions_if_allowed(
        &self,
        kind: Kind,
        apis: GroupApis,
    ) -> Result<Vec<Doubt>, Unfinished> {
        match self.versions(kind, apis).await {
            Err(Unfinished::Denied) => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// Lists the versions of a kind, from the store and not the cache.
    async fn versions(&self, kind: Kind, apis: GroupApis) -> Result<Vec<Doubt>, Unfinished> {
        self.ask(|reply| Check::Begin(kind, reply)).await?;
        let (line, resource) = (self.warm_line(kind), of_kind(kind, apis));
        // The path depends on the resource alone, whatever the type of the object.
        let list = kube::core::Request::new(Watched::<PodObject>::url_path(&resource, None));
        let mut doubts = Vec::new();
        let mut parameters = ListParams::default().limit(PAGE);
        loop {
            let page = versions::page(&line, &list, &parameters).await;
            let page = page.map_err(|error| unlisted(kind, &error))?;
            let found = self.ask(|reply| Check::Versions(kind, page.objects, reply)).await;
            doubts.extend(found?);
            parameters.continue_token = page.next;
            if parameters.continue_token.is_none() {
                let version = page.version;
                let gone = self.ask(|reply| Check::End { kind, version, reply }).await;
                doubts.extend(gone?);
                return Ok(doubts);
            }
        }
    }
}

/// Stands for election; once elected, catches up, and then lets the driver decide.
pub(super) async fn elect(
    candidate: Candidate,
    recount: Recount,
    lead: oneshot::Sender<()>,
    given_up: oneshot::Receiver<()>,
) -> Result<(), Fault> {
    let (sender, elected) = oneshot::channel();
    let catch_up = async {
        if elected.await.is_ok() {
            if let Err(why) = recount.catch_up().await {
                return Fault::Blind(why);
            }
            // The driver is gone only when the process ends.
            let _ = lead.send(());
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        ended = candidate.run(sender, given_up) => match ended {
            Ended::GivenUp => Ok(()),
            Ended::Lost(how) => Err(Fault::LeadershipLost(how)),
        },
        fault = catch_up => Err(fault),
    }
}
