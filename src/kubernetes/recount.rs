//! The recount: from time to time everything is listed aside from the watches and compared with what is believed.
//! Differences that events under way explain go away by themselves; one that stays, and that a read confirms, means
//! that a watch has lost something: the process must end, since double booking is worse than a restart.
//! Knows neither views nor engine: the driver compares, here it is listed and waited.

use std::fmt;
use std::time::Duration;

use axum::http::Request;
use kube::Api;
use kube::Client;
use kube::Resource;
use kube::api::ListParams;
use kube::core::ApiResource;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tracing::debug;
use tracing::info;
use tracing::warn;

use super::apis::GroupApis;
use super::apis::of_kind;
use super::execute::Wire;
use super::traffic::Recounted;
use super::traffic::Traffic;
use super::translate::Kind;
use super::translate::Read;
use super::translate::objects::HasMetadata;
use super::translate::objects::PodObject;
use super::watch::Object;
use super::watch::Watched;
use super::watch::is_denied;
use super::watch::selecting_object;
use super::watch::storage_object;
use super::watch_line;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::cluster::facts::GroupSource;
use crate::cluster::facts::SelectingKind;
use crate::cluster::storage::facts::StorageKind;

/// Objects of one page.
const PAGE: u32 = 500;

/// A difference between a list and what is known, which an event under way may still explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Which kind.
    pub kind: Kind,
    /// Which object.
    pub name: ObjectName,
    /// Its uid.
    pub uid: Name,
    /// What the list says.
    pub claim: Claim,
}

/// What a list says against what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The object exists in this version; it is not known, or only in an earlier one.
    Exists(u64),
    /// The object is gone; it is known.
    Gone,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name, uid) = (self.kind.as_str(), &self.name, &self.uid);
        match self.claim {
            Claim::Exists(version) => write!(
                f,
                "the API server shows {name} ({kind}, uid {uid}) in version {version}, and no watch has told of it"
            ),
            Claim::Gone => write!(
                f,
                "{name} ({kind}, uid {uid}) is gone from the API server, and no watch has told of it"
            ),
        }
    }
}

/// How far the driver is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Not every kind was listed for the first time.
    Listing,
    /// Everything is known; another process leads, or this one has not caught up.
    StandingBy,
    /// Decisions are made.
    Deciding,
}

/// What a recount asks the driver.
#[derive(Debug)]
pub enum Check {
    /// A list of `kind` is about to be taken. Answered by how far the driver is.
    Begin(Kind, oneshot::Sender<Progress>),
    /// A page of it of which only versions are compared: namespace and name, uid, version.
    /// Answered by what may be wrong.
    Versions(Kind, Vec<(ObjectName, Name, u64)>, oneshot::Sender<Vec<Doubt>>),
    /// A page of it. Answered by what may be wrong.
    Page(Vec<Object>, oneshot::Sender<Vec<Doubt>>),
    /// The list is complete; it shows everything as of `version`. Answered by what may be wrong.
    End {
        /// Of what.
        kind: Kind,
        /// The list's own version.
        version: u64,
        /// Where the answer goes.
        reply: oneshot::Sender<Vec<Doubt>>,
    },
    /// Which of these doubts remain?
    Again(Vec<Doubt>, oneshot::Sender<Vec<Doubt>>),
    /// Nothing explains this one.
    Confirmed(Doubt),
    /// All kinds were listed: what is computed from them is to be recounted too.
    Sums,
}

/// The task.
#[derive(Clone)]
pub struct Recount {
    /// For the lists; not the client of writes.
    pub client: Client,
    /// The client of writes, for the lists of one who has just been elected.
    pub warm: Client,
    /// For the question which PodGroup APIs there are.
    pub wire: Wire,
    /// To the driver.
    pub checks: mpsc::Sender<Check>,
    /// From one recount to the next.
    pub period: Duration,
    /// How long an event may be under way: by then a dead watch has been renewed.
    pub grace: Duration,
    /// Of one page.
    pub page_limit: Duration,
    /// The kinds that select pods of which the engine has to know.
    pub selecting: &'static [SelectingKind],
    /// Counters.
    pub traffic: std::sync::Arc<Traffic>,
}

impl fmt::Debug for Recount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recount").field("period", &self.period).finish_non_exhaustive()
    }
}

/// Why a recount came to nothing.
pub(super) enum Unfinished {
    /// The server did not answer as it should; the next recount may do better.
    Server(String),
    /// A kind of storage, or DeviceClasses, cannot be listed: nobody relies on it as long.
    Denied,
    /// Nothing is decided here yet; whoever takes the lead catches up then.
    NotDeciding,
    /// A watch has not caught up in time.
    Behind(String),
    /// The driver is gone, and the process with it.
    Over,
}

impl Recount {
    /// Recounts until the driver is gone.
    pub async fn run(self) {
        loop {
            tokio::time::sleep(self.period).await;
            let result = match self.once().await {
                Ok(result) => result,
                Err(Unfinished::Over) => return,
                Err(Unfinished::NotDeciding | Unfinished::Denied) => continue,
                Err(Unfinished::Server(why) | Unfinished::Behind(why)) => {
                    warn!(why = %why, "the recount came to nothing; the next one is due as usual");
                    Recounted::Failed
                }
            };
            debug!(?result, "recounted");
            self.traffic.count(|counts| *counts.recounts.entry(result).or_default() += 1);
        }
    }

    async fn once(&self) -> Result<Recounted, Unfinished> {
        let apis = GroupApis::discover(&self.wire).await.map_err(Unfinished::Server)?;
        let mut doubts = self.list(Kind::Node, apis, Object::Node).await?;
        doubts.extend(self.list(Kind::Namespace, apis, Object::Namespace).await?);
        doubts.extend(self.list(Kind::Pod, apis, Object::Pod).await?);
        if apis.coscheduling {
            let kind = Kind::Group(GroupSource::Coscheduling);
            doubts.extend(self.list(kind, apis, coscheduling_object).await?);
        }
        if apis.native.is_some() {
            let kind = Kind::Group(GroupSource::Native);
            doubts.extend(self.list(kind, apis, native_object).await?);
        }
        if apis.records {
            doubts.extend(self.list(Kind::Record, apis, Object::Record).await?);
        }
        for kind in StorageKind::ALL {
            match self.list(Kind::Storage(kind), apis, storage_object(kind)).await {
                Err(Unfinished::Denied) => {}
                listed => doubts.extend(listed?),
            }
        }
        for kind in self.selecting {
            doubts.extend(self.list(Kind::Selecting(*kind), apis, selecting_object(*kind)).await?);
        }
        if apis.device_classes {
            match self.list(Kind::DeviceClass, apis, Object::DeviceClass).await {
                Err(Unfinished::Denied) => {}
                listed => doubts.extend(listed?),
            }
        }
        self.tell(Check::Sums).await?;
        if doubts.is_empty() {
            return Ok(Recounted::Agreed);
        }
        info!(doubts = doubts.len(), first = %doubts[0], "recount: waiting whether events under way explain it");
        tokio::time::sleep(self.grace).await;
        let remaining = self.ask(|reply| Check::Again(doubts, reply)).await?;
        for doubt in remaining {
            if self.is_confirmed(&doubt, apis).await? {
                // The read may have overtaken an event that has come by now.
                let still = self.ask(|reply| Check::Again(vec![doubt], reply)).await?;
                for doubt in still {
                    self.tell(Check::Confirmed(doubt)).await?;
                }
            }
        }
        Ok(Recounted::Explained)
    }

    /// Lists a kind, from the store and not the cache, and has each page compared.
    async fn list<T>(
        &self,
        kind: Kind,
        apis: GroupApis,
        object: fn(Box<Read<T>>) -> Object,
    ) -> Result<Vec<Doubt>, Unfinished>
    where
        T: DeserializeOwned + Default + HasMetadata + Clone + fmt::Debug + Send + Sync + 'static,
    {
        if self.ask(|reply| Check::Begin(kind, reply)).await? != Progress::Deciding {
            return Err(Unfinished::NotDeciding);
        }
        let api: Api<Watched<T>> = Api::all_with(self.line(kind), &of_kind(kind, apis));
        let mut doubts = Vec::new();
        let mut parameters = ListParams::default().limit(PAGE);
        loop {
            let page = api.list(&parameters).await.map_err(|error| unlisted(kind, &error))?;
            let objects = page.items.into_iter().map(|watched| object(watched.into_read()));
            let objects: Vec<Object> = objects.collect();
            doubts.extend(self.ask(|reply| Check::Page(objects, reply)).await?);
            parameters.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if parameters.continue_token.is_some() {
                continue;
            }
            let version = page.metadata.resource_version.unwrap_or_default().parse().unwrap_or(0);
            doubts.extend(self.ask(|reply| Check::End { kind, version, reply }).await?);
            return Ok(doubts);
        }
    }

    /// Whether the API server still says what the list said.
    async fn is_confirmed(&self, doubt: &Doubt, apis: GroupApis) -> Result<bool, Unfinished> {
        let namespace = Some(&*doubt.name.namespace).filter(|namespace| !namespace.is_empty());
        let resource: ApiResource = of_kind(doubt.kind, apis);
        // The path depends on the resource alone, whatever the type of the object.
        let collection = Watched::<PodObject>::url_path(&resource, namespace);
        let request = Request::get(format!("{collection}/{}", doubt.name.name))
            .body(Vec::new())
            .expect("names of objects are valid in paths");
        let found = match self.line(doubt.kind).request::<Value>(request).await {
            Ok(found) => found.pointer("/metadata/uid").and_then(Value::as_str) == Some(&doubt.uid),
            Err(kube::Error::Api(status)) if status.code == 404 => false,
            Err(error) => {
                return Err(Unfinished::Server(format!("a read of {}: {error}", doubt.name)));
            }
        };
        Ok(match doubt.claim {
            Claim::Exists(_) => found,
            Claim::Gone => !found,
        })
    }

    fn line(&self, kind: Kind) -> Client {
        watch_line::over(self.client.clone(), kind, self.page_limit, self.traffic.clone())
    }

    /// The same over connections that are open already: whoever has just been elected writes nothing yet.
    pub(super) fn warm_line(&self, kind: Kind) -> Client {
        watch_line::over(self.warm.clone(), kind, self.page_limit, self.traffic.clone())
    }

    async fn tell(&self, check: Check) -> Result<(), Unfinished> {
        self.checks.send(check).await.map_err(|_| Unfinished::Over)
    }

    pub(super) async fn ask<A>(
        &self,
        check: impl FnOnce(oneshot::Sender<A>) -> Check,
    ) -> Result<A, Unfinished> {
        let (reply, answer) = oneshot::channel();
        self.tell(check(reply)).await?;
        answer.await.map_err(|_| Unfinished::Over)
    }
}

/// Why a kind was not listed.
pub(super) fn unlisted(kind: Kind, error: &kube::Error) -> Unfinished {
    match (kind, error) {
        (Kind::Storage(_) | Kind::DeviceClass, kube::Error::Api(status)) if is_denied(status) => {
            Unfinished::Denied
        }
        _ => Unfinished::Server(format!("a list of {}: {error}", kind.as_str())),
    }
}

type GroupRead = Box<Read<super::translate::objects::GroupObject>>;

/// A PodGroup of the CRD.
pub(super) fn coscheduling_object(read: GroupRead) -> Object {
    Object::Group(GroupSource::Coscheduling, read)
}

/// A native PodGroup.
pub(super) fn native_object(read: GroupRead) -> Object {
    Object::Group(GroupSource::Native, read)
}
