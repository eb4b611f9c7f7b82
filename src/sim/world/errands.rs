//! What the engine and the kubelets want done, carried out at once as requests to the API.
//!
//! Decides nothing: a reply is judged by the same code as on a real cluster. A lost or doubtful reply is
//! followed up by reading the pod; what stays in doubt is tried again after growing pauses of virtual time,
//! and its outcome is unknown once the time for it has run out.

use axum::http::{Request, StatusCode, header};
use serde_json::Value;

use super::{Happening, ReplyOrder, WRITES_BETWEEN_NEWS, World};
use crate::apiserver::server::{Body, Delivery, Incoming, Outcome as Answered};
use crate::apiserver::store::state::Payload;
use crate::base::names::ObjectName;
use crate::base::time::{Span, Time};
use crate::engine::Cycle;
use crate::engine::event::{Event, Outcome};
use crate::engine::order::{Action, BindRole, Notice, Order, PodRef, WaitReason};
use crate::kubernetes::requests::{
    self, ConditionStamp, Exchange, NativeVersion, Next, Reply, Writer,
};
use crate::sim::attached;
use crate::sim::write::Write;

/// The first pause before a request that is in doubt is tried again; it doubles each time.
const FIRST_PAUSE: Span = Span::milliseconds(100);

/// An order that has no outcome yet.
#[derive(Debug)]
pub(super) struct Errand {
    exchange: Exchange,
    /// The pod that it evicts, if it does and the pod is made again.
    evicts: Option<(ObjectName, Value)>,
    until: Time,
    pause: Span,
}

impl World {
    /// Carries a cycle out: binds in plan order, then what is to be told.
    pub(super) fn carry_out(&mut self, cycle: Cycle) {
        for (index, order) in cycle.orders.into_iter().enumerate() {
            if self.has_ended {
                return;
            }
            self.execute(order);
            self.deliver_sometimes(index);
        }
        for (index, notice) in cycle.notices.into_iter().enumerate() {
            if self.has_ended {
                return;
            }
            self.publish(notice);
            self.deliver_sometimes(index);
        }
    }

    /// Takes news in after every so many writes.
    fn deliver_sometimes(&mut self, index: usize) {
        if (index + 1).is_multiple_of(WRITES_BETWEEN_NEWS) {
            self.deliver();
        }
    }

    /// Executes one order.
    fn execute(&mut self, order: Order) {
        let evicts = match &order.action {
            Action::Evict { pod, .. } => self.comeback_of(&pod.name),
            Action::Bind { .. }
            | Action::Propose(_)
            | Action::Commit { .. }
            | Action::Verify { .. }
            | Action::Seal { .. }
            | Action::Abort { .. }
            | Action::FinishAbort { .. }
            | Action::RemoveRecord { .. }
            | Action::Volume { .. }
            | Action::Fence { .. } => None,
        };
        self.note_plan(&order.action);
        let exchange = Exchange::new(order, &writer());
        let until = self.now + self.settings.orders_tried_for;
        self.attempt(Errand { exchange, evicts, until, pause: FIRST_PAUSE });
    }

    /// Notes at which place among all plans a bind is: a gang's binds come some calls after its plan.
    fn note_plan(&mut self, action: &Action) {
        match action {
            Action::Propose(record) => {
                self.plans += 1;
                self.plan_of.insert(record.group.name.clone(), self.plans);
            }
            Action::Bind { pod, gang, role, .. } => {
                let place = match role {
                    BindRole::Planned => self.plan_of.get(gang).copied(),
                    BindRole::Alone | BindRole::Late => None,
                };
                let place = place.unwrap_or_else(|| {
                    self.plans += 1;
                    self.plans
                });
                self.chronicle.plan(&pod.uid, place);
            }
            Action::Commit { .. }
            | Action::Verify { .. }
            | Action::Seal { .. }
            | Action::Abort { .. }
            | Action::FinishAbort { .. }
            | Action::RemoveRecord { .. }
            | Action::Volume { .. }
            | Action::Fence { .. }
            | Action::Evict { .. } => {}
        }
    }

    /// Sends until the order's outcome is known, and tells the engine, or plans the next attempt.
    pub(super) fn attempt(&mut self, mut errand: Errand) {
        let writer = writer();
        let outcome = loop {
            let (_, request) = errand.exchange.request(&writer, self.now);
            let reply = self.send(&request);
            if self.has_ended {
                // The owner of a pod that was evicted makes it again, whoever asked for the eviction.
                self.comebacks.extend(errand.evicts.filter(|(name, _)| self.is_leaving(name)));
                return;
            }
            match errand.exchange.after(&writer, &reply) {
                Next::Send => {}
                Next::Settled(outcome) => break outcome,
                Next::Rest(doubt) => {
                    let next = self.now + errand.pause;
                    if next > errand.until {
                        break Outcome::Unknown(doubt);
                    }
                    errand.pause = Span(errand.pause.0 * 2);
                    self.agenda.plan(next, Happening::Attempt(Box::new(errand)));
                    return;
                }
            }
        };
        if outcome == Outcome::Done
            && let Some((name, pod)) = errand.evicts
        {
            self.comebacks.insert(name, pod);
        }
        match self.settings.replies {
            ReplyOrder::BeforeFacts => {}
            ReplyOrder::AfterFacts => self.come_to_rest(),
        }
        let order = errand.exchange.order();
        self.engine.observe(self.now, Event::Settled { order, outcome });
    }

    /// True if the pod of that name is gone or on its way out.
    fn is_leaving(&self, name: &ObjectName) -> bool {
        let path = format!("/api/v1/namespaces/{}/pods/{}", name.namespace, name.name);
        self.server.get(&path).map_or(true, |pod| pod.is_terminating())
    }

    /// Writes a notice. Best effort: what the API refuses now is said again when it changes.
    fn publish(&mut self, notice: Notice) {
        let request = match notice {
            Notice::Waiting { pod, reason, message, .. } => self.condition(&pod, reason, &message),
            Notice::Group { name, uid, status } => {
                requests::group_status(&name, &uid, &status, NativeVersion::V1Beta1, self.now)
            }
            // Events repeat what conditions say, and nobody lists them here.
            Notice::Event { .. } => None,
        };
        if let Some(request) = request {
            self.send(&request);
        }
    }

    /// The request that writes why a pod waits; `None` once the pod is gone.
    fn condition(
        &self,
        pod: &PodRef,
        reason: WaitReason,
        message: &str,
    ) -> Option<Request<Vec<u8>>> {
        let path = format!("/api/v1/namespaces/{}/pods/{}", pod.name.namespace, pod.name.name);
        let stored = self.server.get(&path).ok()?;
        let stored = stored.value();
        let conditions = stored["status"]["conditions"].as_array();
        let is_false = conditions
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "PodScheduled" && condition["status"] == "False");
        let stamp = ConditionStamp {
            transition: (!is_false).then_some(self.now),
            observed_generation: stored["metadata"]["generation"].as_i64().unwrap_or(0),
            // Nothing comes between the word and its writing in this world.
            version: 0,
        };
        Some(requests::pod_condition(pod, reason, message, stamp))
    }

    /// Carries out what a kubelet wants written. What fails is written again by the kubelet.
    pub(super) fn write(&mut self, write: &Write) {
        self.server.execute(self.now, attached::incoming(write));
    }

    /// Sends a request of the scheduler.
    fn send(&mut self, request: &Request<Vec<u8>>) -> Reply {
        let mishap = self.count_call();
        if mishap.is_some_and(|mishap| !mishap.applies()) {
            return Reply::Lost("the connection ended before the request arrived".to_owned());
        }
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let body = request.body();
        let incoming = Incoming {
            method: request.method().as_str(),
            target: request.uri().path(),
            content_type: content_type.and_then(|value| value.to_str().ok()).unwrap_or_default(),
            payload: if body.is_empty() { Payload::Empty } else { Payload::Text(body) },
        };
        let answered = self.server.execute(self.now, incoming);
        match mishap {
            Some(_) => Reply::Lost("the connection ended before a reply came".to_owned()),
            None => reply(answered),
        }
    }
}

/// There is one scheduler here, and nobody to take the lead from it.
fn writer() -> Writer {
    Writer { native: NativeVersion::V1Beta1, identity: "muster".into(), lease: None }
}

/// An answer as the scheduler gets to see it.
fn reply(outcome: Answered) -> Reply {
    match outcome.delivery {
        Delivery::Lost => {
            return Reply::Lost("the connection ended before a reply came".to_owned());
        }
        Delivery::Delivered => {}
    }
    let (code, body) = match outcome.result {
        Ok(answer) => {
            let body = match answer.body {
                Body::Object(shown) => Value::clone(&shown.object.value()),
                Body::Document(document) => document,
                Body::List(_) | Body::Events(_) => Value::Null,
            };
            (answer.code, body)
        }
        Err(failure) => (failure.code, failure.to_json()),
    };
    Reply::Answered {
        status: StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        body,
    }
}
