//! The steps of a script as written, and what they come to.
//! Each step has `at` and exactly one of `apply`, `patch`, `delete`, `evict`, and `fault`.
//! Does nothing itself: a step becomes an action of the world. A step that makes no sense ends the story.

use serde::Deserialize;
use serde_json::Value;

use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::faults::{FaultEffect, FaultRule, Target};
use crate::apiserver::store::request::Verb;
use crate::base::time::Span;
use crate::sim::manifests::error::InputError;
use crate::sim::manifests::kind::Kind;
use crate::sim::manifests::read::{Document, Origin};
use crate::sim::manifests::sort::sort;
use crate::sim::world::script::{Action, Reference};

/// One step.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// When, as a duration since time 0.
    at: String,
    /// Objects to create, or to merge into those that exist.
    apply: Option<Vec<Value>>,
    /// An object to patch, as `pod train-0` or `podgroup lab/train`.
    patch: Option<String>,
    /// The patch, by RFC 7386.
    with: Option<Value>,
    /// An object to delete.
    delete: Option<String>,
    /// A pod to evict.
    evict: Option<String>,
    /// `lose the request`, `lose the reply`, `answer 500`, or `deny`.
    fault: Option<String>,
    /// The requests that the fault hits, as `create pods/binding`.
    to: Option<String>,
    /// The object that they are about, in namespace `default`; all if absent.
    of: Option<String>,
    /// How many requests are hit; 1 if absent.
    times: Option<u32>,
}

impl Step {
    /// True for faults, under which promises are weaker for a while.
    pub(super) const fn is_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// When and what.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub(super) fn action(&self, file: &str) -> Result<(Span, Action), String> {
        let after = self.at.parse::<Span>().map_err(|error| format!("at: {error}"))?;
        let acts = [&self.patch, &self.delete, &self.evict, &self.fault];
        let acts = acts.into_iter().flatten().count() + self.apply.iter().len();
        if acts != 1 {
            return Err("write exactly one of apply, patch, delete, evict, fault".to_owned());
        }
        let action = if let Some(objects) = &self.apply {
            apply(file, objects)?
        } else if let Some(of) = &self.patch {
            let patch = self.with.clone().ok_or("patch: write the patch under with")?;
            Action::Patch { of: Reference::parse(of)?, patch }
        } else if let Some(of) = &self.delete {
            Action::Delete(Reference::parse(of)?)
        } else if let Some(of) = &self.evict {
            let of = Reference::parse(of)?;
            if of.kind != Kind::Pod {
                return Err("evict: only pods can be evicted".to_owned());
            }
            Action::Evict(of.name)
        } else {
            Action::Fault(self.rule(self.fault.as_deref().unwrap_or_default())?)
        };
        Ok((after, action))
    }

    fn rule(&self, fault: &str) -> Result<FaultRule, String> {
        let broken =
            || Failure::new(500, "InternalError", "an internal error of the server, by script");
        let effect = match fault {
            "lose the request" => FaultEffect::LoseRequest,
            "lose the reply" => FaultEffect::LoseReply,
            "answer 500" => FaultEffect::FailBefore(broken()),
            "deny" => FaultEffect::Deny,
            _ => return Err(format!("fault: {fault:?} is none")),
        };
        let to = self.to.as_deref().unwrap_or_default();
        let (verb, resource) = to.split_once(' ').ok_or("to: write a verb and a resource")?;
        let verb = match verb {
            "get" => Verb::Get,
            "create" => Verb::Create,
            "patch" => Verb::Patch,
            "delete" => Verb::Delete,
            _ => return Err(format!("to: {verb:?} is no verb of a script")),
        };
        let mut target = Target::of(verb, resource);
        if let Some(name) = &self.of {
            target = target.named("default", name);
        }
        Ok(FaultRule { target, skip: 0, times: Some(self.times.unwrap_or(1)), effect })
    }
}

/// Objects as they would be read from a file.
fn apply(file: &str, objects: &[Value]) -> Result<Action, String> {
    let documents = objects.iter().enumerate().map(|(index, object)| Document {
        origin: Origin { file: file.into(), document: index + 1, item: None },
        object: object.clone(),
    });
    let told = |errors: Vec<InputError>| {
        errors.iter().map(InputError::to_string).collect::<Vec<_>>().join("; ")
    };
    Ok(Action::Apply(sort(documents.collect()).map_err(told)?.arriving))
}
