//! An order as requests and replies, one at a time, until its outcome is known. Pure: who drives it sends, waits,
//! and says what time it is. Serves the real rim and the virtual world, so that both speak the same protocol.
//! Invariants: a request whose reply tells nothing is followed by a read; nothing is called failed that may
//! still take effect; a compare-and-swap that is found done counts as done, whoever sent it.

use axum::http::Request;
use axum::http::StatusCode;
use serde_json::Value;

use super::AfterBind;
use super::NativeVersion;
use super::Reply;
use super::after_bind;
use super::after_read;
use super::bind;
use super::gang;
use super::message;
use super::read;
use super::read_pod;
use super::record;
use super::storage;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Time;
use crate::cluster::facts::CommitMark;
use crate::engine::action::VolumeWrite;
use crate::engine::event::Outcome;
use crate::engine::order::Action;
use crate::engine::order::GroupRef;
use crate::engine::order::Order;
use crate::engine::order::OrderId;
use crate::engine::order::PodRef;
use crate::engine::order::RecordRef;
use crate::engine::record::RecordPhase;
use crate::kubernetes::traffic::Purpose;
use crate::kubernetes::translate::COMMIT_ANNOTATION;
use crate::kubernetes::translate::record_of;

/// Who writes, and through which versions of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// How native PodGroups are addressed.
    pub native: NativeVersion,
    /// This process, unlike every other: part of what makes a fence change bytes.
    pub identity: Name,
    /// The lease that must be held while binds go out. `None` where nobody else can lead.
    pub lease: Option<Lease>,
}

/// A lease and who must hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its namespace and name.
    pub name: ObjectName,
    /// `spec.holderIdentity` as it must be.
    pub holder: Name,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send [`Exchange::request`].
    Send,
    /// Wait a little, longer each time, then send [`Exchange::request`]; why. Give up with `Outcome::Unknown`
    /// and this text once the time for the order is over.
    Rest(String),
    /// It is over.
    Settled(Outcome),
}

/// Which request comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// The write, or the last of several reads.
    Main,
    /// A read, since a reply told nothing; what it told.
    InDoubt(String),
    /// Verify: the lease.
    Lease,
    /// Verify: the PodGroup.
    Group,
    /// Evict: the word before.
    Announcement,
}

/// One order under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    order: OrderId,
    action: Action,
    stage: Stage,
    /// How often the main request was sent.
    sent: u32,
}

impl Exchange {
    /// An order of which nothing was sent yet.
    pub fn new(order: Order, writer: &Writer) -> Self {
        let Order { id, action } = order;
        let stage = match &action {
            Action::Verify { .. } if writer.lease.is_some() => Stage::Lease,
            Action::Verify { .. } => Stage::Group,
            Action::Evict { .. } => Stage::Announcement,
            Action::Bind { .. }
            | Action::Propose(_)
            | Action::Commit { .. }
            | Action::Seal { .. }
            | Action::Abort { .. }
            | Action::FinishAbort { .. }
            | Action::RemoveRecord { .. }
            | Action::Volume { .. }
            | Action::Fence { .. } => Stage::Main,
        };
        Self { order: id, action, stage, sent: 0 }
    }

    /// Which order.
    pub const fn order(&self) -> OrderId {
        self.order
    }

    /// What it does.
    pub const fn action(&self) -> &Action {
        &self.action
    }

    /// The request that comes next; it reads if its method is GET, else it writes.
    pub fn request(&mut self, writer: &Writer, now: Time) -> (Purpose, Request<Vec<u8>>) {
        match &self.stage {
            Stage::Main => {
                self.sent += 1;
                self.main_request(writer, now)
            }
            Stage::InDoubt(_) => (Purpose::InDoubt, self.read_in_doubt(writer)),
            Stage::Lease => match &writer.lease {
                Some(lease) => (Purpose::Verify, read_lease(lease)),
                // The lease was given up meanwhile: nobody's name is in this answer.
                None => (Purpose::Verify, read("/apis/coordination.k8s.io/v1".to_owned())),
            },
            Stage::Group => {
                let group = self.group().expect("only a verification reads a group by itself");
                (Purpose::Verify, gang::read_group(&group.name, writer.native))
            }
            Stage::Announcement => match &self.action {
                Action::Evict { pod, cause, message, .. } => {
                    (Purpose::Evict, gang::announce_eviction(pod, *cause, message, now))
                }
                Action::Bind { .. }
                | Action::Propose(_)
                | Action::Commit { .. }
                | Action::Verify { .. }
                | Action::Seal { .. }
                | Action::Abort { .. }
                | Action::FinishAbort { .. }
                | Action::RemoveRecord { .. }
                | Action::Volume { .. }
                | Action::Fence { .. } => unreachable!("only evictions are announced"),
            },
        }
    }

    fn main_request(&self, writer: &Writer, now: Time) -> (Purpose, Request<Vec<u8>>) {
        let native = writer.native;
        match &self.action {
            Action::Bind { pod, node, epoch, role, .. } => {
                (Purpose::Bind, bind(pod, node, *epoch, *role))
            }
            Action::Propose(record) => (Purpose::Record, record::propose(record, native)),
            Action::Commit { group, mark } => (Purpose::Commit, gang::commit(group, *mark, native)),
            Action::Verify { record, .. } => (Purpose::Verify, record::read(&record.name)),
            Action::Seal { record, .. } => {
                (Purpose::Record, record::move_to(record, RecordPhase::Bound))
            }
            Action::Abort { record, .. } => {
                (Purpose::Record, record::move_to(record, RecordPhase::Aborting))
            }
            Action::FinishAbort { record, .. } => {
                (Purpose::Record, record::move_to(record, RecordPhase::Aborted))
            }
            Action::RemoveRecord { record } => (Purpose::Record, record::remove(record)),
            Action::Fence { pod, gang, epoch } => {
                let nonce = format!("{}/{}/{}", writer.identity, self.order.0, self.sent);
                (Purpose::Fence, gang::fence(pod, gang, *epoch, &nonce, now))
            }
            Action::Evict { pod, .. } => (Purpose::Evict, gang::delete_pod(pod)),
            Action::Volume { write, .. } => (Purpose::Volume, storage::write(write)),
        }
    }

    /// The read that tells what became of the main request.
    fn read_in_doubt(&self, writer: &Writer) -> Request<Vec<u8>> {
        match &self.action {
            Action::Bind { pod, .. } | Action::Fence { pod, .. } | Action::Evict { pod, .. } => {
                read_pod(&pod.name)
            }
            Action::Propose(record) => record::read(&record.name),
            Action::Volume { write, .. } => storage::read(write),
            Action::Commit { group, .. } => gang::read_group(&group.name, writer.native),
            Action::Verify { record, .. }
            | Action::Seal { record, .. }
            | Action::Abort { record, .. }
            | Action::FinishAbort { record, .. }
            | Action::RemoveRecord { record } => record::read(&record.name),
        }
    }

    const fn group(&self) -> Option<&GroupRef> {
        match &self.action {
            Action::Commit { group, .. } | Action::Verify { group, .. } => Some(group),
            Action::Bind { .. }
            | Action::Propose(_)
            | Action::Seal { .. }
            | Action::Abort { .. }
            | Action::FinishAbort { .. }
            | Action::RemoveRecord { .. }
            | Action::Fence { .. }
            | Action::Volume { .. }
            | Action::Evict { .. } => None,
        }
    }

    /// Takes in the reply to [`Exchange::request`].
    pub fn after(&mut self, writer: &Writer, reply: &Reply) -> Next {
        match std::mem::replace(&mut self.stage, Stage::Main) {
            Stage::Main => self.after_main(reply),
            Stage::InDoubt(why) => self.after_read_in_doubt(reply, why),
            Stage::Announcement => Next::Send,
            Stage::Lease => match answer(reply) {
                Answer::Object(lease) => {
                    let holder = text(lease, "/spec/holderIdentity");
                    if writer.lease.as_ref().is_some_and(|lease| *lease.holder == *holder) {
                        self.stage = Stage::Group;
                        return Next::Send;
                    }
                    Next::Settled(Outcome::Conflict(format!("{holder:?} holds the lease")))
                }
                Answer::Missing => {
                    Next::Settled(Outcome::Conflict("nobody holds the lease".to_owned()))
                }
                Answer::Refused(why) => Next::Settled(Outcome::Refused(why)),
                Answer::Nothing(why) | Answer::Conflict(why) | Answer::Later(why) => {
                    self.stage = Stage::Lease;
                    Next::Rest(why)
                }
            },
            Stage::Group => self.after_group(reply),
        }
    }

    fn after_group(&mut self, reply: &Reply) -> Next {
        let Action::Verify { group, mark, .. } = &self.action else {
            unreachable!("only a verification reads a group by itself")
        };
        match answer(reply) {
            Answer::Object(object) if text(object, "/metadata/uid") != &*group.uid => {
                Next::Settled(Outcome::Gone)
            }
            Answer::Object(object) if mark_of(object) == Some(*mark) => Next::Send,
            Answer::Object(_) => {
                Next::Settled(Outcome::Conflict("the PodGroup does not carry this plan".to_owned()))
            }
            Answer::Missing => Next::Settled(Outcome::Gone),
            Answer::Refused(why) => Next::Settled(Outcome::Refused(why)),
            Answer::Nothing(why) | Answer::Conflict(why) | Answer::Later(why) => {
                self.stage = Stage::Group;
                Next::Rest(why)
            }
        }
    }

    fn after_main(&mut self, reply: &Reply) -> Next {
        match &self.action {
            Action::Bind { .. } => {
                let after = after_bind(reply);
                self.after_a_bind(after)
            }
            Action::Verify { record, mark, .. } => match answer(reply) {
                Answer::Object(object) => Next::Settled(verified(object, &record.name, *mark)),
                Answer::Missing => Next::Settled(Outcome::Gone),
                Answer::Refused(why) => Next::Settled(Outcome::Refused(why)),
                Answer::Nothing(why) | Answer::Conflict(why) | Answer::Later(why) => {
                    Next::Rest(why)
                }
            },
            Action::Propose(_)
            | Action::Commit { .. }
            | Action::Seal { .. }
            | Action::Abort { .. }
            | Action::FinishAbort { .. }
            | Action::RemoveRecord { .. }
            | Action::Fence { .. }
            | Action::Volume { .. }
            | Action::Evict { .. } => self.after_write(reply),
        }
    }

    fn after_a_bind(&mut self, after: AfterBind) -> Next {
        match after {
            AfterBind::Known(outcome) => Next::Settled(outcome),
            AfterBind::SendAgain(why) => Next::Rest(why),
            AfterBind::ReadPod(why) => {
                self.stage = Stage::InDoubt(why);
                Next::Send
            }
        }
    }

    /// The reply to a write that is no bind.
    fn after_write(&mut self, reply: &Reply) -> Next {
        match answer(reply) {
            Answer::Object(object) => Next::Settled(self.written(object)),
            // What a deletion wants to be gone is gone, and what is gone cannot be written.
            Answer::Missing if self.sent == 1 => Next::Settled(Outcome::Gone),
            Answer::Missing => Next::Settled(match &self.action {
                Action::RemoveRecord { .. } | Action::Evict { .. } => Outcome::Done,
                Action::Bind { .. }
                | Action::Propose(_)
                | Action::Commit { .. }
                | Action::Verify { .. }
                | Action::Seal { .. }
                | Action::Abort { .. }
                | Action::FinishAbort { .. }
                | Action::Volume { .. }
                | Action::Fence { .. } => Outcome::Gone,
            }),
            Answer::Refused(why) => Next::Settled(Outcome::Refused(why)),
            Answer::Later(why) => Next::Rest(why),
            Answer::Nothing(why) | Answer::Conflict(why) => {
                self.stage = Stage::InDoubt(why);
                Next::Send
            }
        }
    }

    /// What a write that went well came to.
    fn written(&self, object: &Value) -> Outcome {
        match &self.action {
            Action::RemoveRecord { .. } | Action::Evict { .. } => Outcome::Done,
            Action::Fence { .. } => fenced(object),
            Action::Bind { .. }
            | Action::Propose(_)
            | Action::Commit { .. }
            | Action::Verify { .. }
            | Action::Seal { .. }
            | Action::Abort { .. }
            | Action::Volume { .. }
            | Action::FinishAbort { .. } => Outcome::Written { resource_version: version(object) },
        }
    }

    /// The reply to a read that was to tell what became of a write; `why` it was in doubt.
    fn after_read_in_doubt(&mut self, reply: &Reply, why: String) -> Next {
        if let Action::Bind { pod, node, .. } = &self.action {
            let after = after_read(reply, pod, node, &why);
            return match after {
                // The read told nothing either: it is repeated, not the bind.
                AfterBind::ReadPod(why) => {
                    self.stage = Stage::InDoubt(why.clone());
                    Next::Rest(why)
                }
                after @ (AfterBind::Known(_) | AfterBind::SendAgain(_)) => self.after_a_bind(after),
            };
        }
        let object = match answer(reply) {
            Answer::Object(object) => object,
            Answer::Missing => return self.missing_in_doubt(why),
            Answer::Refused(why) => return Next::Settled(Outcome::Refused(why)),
            Answer::Nothing(_) | Answer::Conflict(_) | Answer::Later(_) => {
                self.stage = Stage::InDoubt(why.clone());
                return Next::Rest(why);
            }
        };
        if let Action::Fence { pod, .. } = &mut self.action {
            // What was read is what the next fence is about, unless a bind came first.
            if text(object, "/metadata/uid") == &*pod.uid {
                match text(object, "/spec/nodeName") {
                    "" => pod.resource_version = version(object),
                    node => return Next::Settled(Outcome::BoundTo(node.into())),
                }
            }
        }
        match &self.action {
            Action::Propose(record) => {
                let (name, from) = (&record.name, record.resource_version);
                Move { name, from, mark: record.mark, to: record.phase }.judge(object, why)
            }
            Action::Seal { record, mark } => moved(record, *mark, RecordPhase::Bound, object, why),
            Action::Abort { record, mark } => {
                moved(record, *mark, RecordPhase::Aborting, object, why)
            }
            Action::FinishAbort { record, mark } => {
                moved(record, *mark, RecordPhase::Aborted, object, why)
            }
            Action::RemoveRecord { record } if version(object) == record.resource_version => {
                Next::Rest(why)
            }
            Action::RemoveRecord { record } => Next::Settled(superseded(object, &record.name)),
            Action::Commit { group, mark } => committed(object, group, *mark, why),
            Action::Volume { write, .. } => volume_written(object, write, why),
            // Fence and eviction are sent again: twice does no harm.
            Action::Fence { pod, .. } | Action::Evict { pod, .. } => same_pod(object, pod, why),
            Action::Bind { .. } | Action::Verify { .. } => Next::Rest(why),
        }
    }

    /// A write is in doubt, and its object is not there.
    fn missing_in_doubt(&self, why: String) -> Next {
        match &self.action {
            Action::Propose(record) if record.resource_version == 0 => Next::Rest(why),
            Action::RemoveRecord { .. } | Action::Evict { .. } => Next::Settled(Outcome::Done),
            Action::Bind { .. }
            | Action::Propose(_)
            | Action::Commit { .. }
            | Action::Verify { .. }
            | Action::Seal { .. }
            | Action::Abort { .. }
            | Action::FinishAbort { .. }
            | Action::Volume { .. }
            | Action::Fence { .. } => Next::Settled(Outcome::Gone),
        }
    }
}

/// What a reply tells.
enum Answer<'a> {
    /// It went well; the object.
    Object(&'a Value),
    /// There is no such object.
    Missing,
    /// A precondition did not hold, or the object exists.
    Conflict(String),
    /// It was not taken, and never will be.
    Refused(String),
    /// It was not taken, but may be later.
    Later(String),
    /// It may have been taken or not.
    Nothing(String),
}

fn answer(reply: &Reply) -> Answer<'_> {
    let (status, body) = match reply {
        Reply::Lost(why) => return Answer::Nothing(why.clone()),
        Reply::Answered { status, body } => (*status, body),
    };
    if status.is_success() {
        return Answer::Object(body);
    }
    let why = message(status, body);
    match status {
        StatusCode::NOT_FOUND => Answer::Missing,
        StatusCode::CONFLICT => Answer::Conflict(why),
        StatusCode::TOO_MANY_REQUESTS => Answer::Later(why),
        StatusCode::REQUEST_TIMEOUT => Answer::Nothing(why),
        status if status.is_client_error() => Answer::Refused(why),
        _ => Answer::Nothing(why),
    }
}

/// A record's creation (`from` is 0) or move by compare-and-swap.
struct Move<'a> {
    name: &'a ObjectName,
    from: u64,
    mark: CommitMark,
    to: RecordPhase,
}

impl Move<'_> {
    /// What a read of the record says about it, `why` it was in doubt.
    fn judge(&self, object: &Value, why: String) -> Next {
        if self.from != 0 && version(object) == self.from {
            return Next::Rest(why);
        }
        let record = record_of(object, self.name);
        if record.mark == self.mark && record.phase == self.to {
            return Next::Settled(Outcome::Written { resource_version: version(object) });
        }
        Next::Settled(Outcome::Superseded(Box::new(record)))
    }
}

fn moved(
    record: &RecordRef,
    mark: CommitMark,
    to: RecordPhase,
    object: &Value,
    why: String,
) -> Next {
    Move { name: &record.name, from: record.resource_version, mark, to }.judge(object, why)
}

fn superseded(object: &Value, name: &ObjectName) -> Outcome {
    Outcome::Superseded(Box::new(record_of(object, name)))
}

fn verified(object: &Value, name: &ObjectName, mark: CommitMark) -> Outcome {
    let record = record_of(object, name);
    if record.mark == mark && record.phase == RecordPhase::Proposed {
        return Outcome::Done;
    }
    Outcome::Superseded(Box::new(record))
}

/// What a read of the PodGroup says about the decision for `mark`.
fn committed(object: &Value, group: &GroupRef, mark: CommitMark, why: String) -> Next {
    if text(object, "/metadata/uid") != &*group.uid {
        return Next::Settled(Outcome::Gone);
    }
    if mark_of(object) == Some(mark) {
        return Next::Settled(Outcome::Written { resource_version: version(object) });
    }
    if version(object) == group.resource_version {
        return Next::Rest(why);
    }
    Next::Settled(Outcome::Conflict(why))
}

/// What a read of a claim or a volume says about a write to it.
fn volume_written(object: &Value, write: &VolumeWrite, why: String) -> Next {
    let (uid, judged) = write.preconditions();
    if text(object, "/metadata/uid") != &**uid {
        return Next::Settled(Outcome::Gone);
    }
    if storage::is_done(write, object) {
        return Next::Settled(Outcome::Written { resource_version: version(object) });
    }
    if version(object) == judged {
        return Next::Rest(why);
    }
    Next::Settled(Outcome::Conflict(why))
}

fn same_pod(object: &Value, pod: &PodRef, why: String) -> Next {
    if text(object, "/metadata/uid") == &*pod.uid {
        return Next::Rest(why);
    }
    Next::Settled(Outcome::Gone)
}

/// The reply to a fence is the pod as it is now.
fn fenced(object: &Value) -> Outcome {
    match text(object, "/spec/nodeName") {
        "" => Outcome::Written { resource_version: version(object) },
        node => Outcome::BoundTo(node.into()),
    }
}

fn read_lease(lease: &Lease) -> Request<Vec<u8>> {
    let (namespace, name) = (&lease.name.namespace, &lease.name.name);
    read(format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"))
}

fn mark_of(group: &Value) -> Option<CommitMark> {
    let annotations = group.pointer("/metadata/annotations")?;
    annotations.get(COMMIT_ANNOTATION)?.as_str()?.parse().ok()
}

fn version(object: &Value) -> u64 {
    text(object, "/metadata/resourceVersion").parse().unwrap_or(0)
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}
