//! Faults that a test installs: requests that fail before or after they apply, replies that are lost,
//! verbs that are denied, watches that are cut. A rule picks requests by verb, resource, and name, can
//! let some pass, and wears out. No rule, no fault; nothing here is random, so a run can be repeated.

use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::request::Request;
use crate::apiserver::store::request::Verb;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::Scope;
use crate::apiserver::store::watch::Watch;

/// What happens to a picked request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultEffect {
    /// It fails and nothing is applied.
    FailBefore(Failure),
    /// It is applied, and the client is told that it failed.
    FailAfter(Failure),
    /// The connection ends before it is applied: the client learns nothing.
    LoseRequest,
    /// It is applied and the connection ends: the client learns nothing.
    LoseReply,
    /// It is refused as RBAC refuses: 403 with verb, resource, and namespace.
    Deny,
}

/// Picks requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// These verbs; empty for all.
    pub verbs: Vec<Verb>,
    /// `pods`, `podgroups.scheduling.x-k8s.io`, `pods/binding`; empty for all resources.
    pub resource: String,
    /// This namespace; empty for all.
    pub namespace: String,
    /// This object; empty for all.
    pub name: String,
}

impl Target {
    /// `verb` on `resource`, which is written as in [`Target::resource`].
    pub fn of(verb: Verb, resource: &str) -> Self {
        Self { verbs: vec![verb], resource: resource.to_owned(), ..Self::default() }
    }

    /// The same for one object.
    #[must_use]
    pub fn named(mut self, namespace: &str, name: &str) -> Self {
        self.namespace = namespace.to_owned();
        self.name = name.to_owned();
        self
    }

    fn picks(&self, request: &Request) -> bool {
        let below = request.subresource.map_or("", |subresource| subresource.name());
        (self.verbs.is_empty() || self.verbs.contains(&request.verb))
            && self.picks_resource(&request.resource, below)
            && (self.namespace.is_empty() || self.namespace == request.namespace)
            && (self.name.is_empty() || self.name == request.name)
    }

    fn picks_resource(&self, resource: &Resource, below: &str) -> bool {
        if self.resource.is_empty() {
            return true;
        }
        let (named, named_below) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        named == resource.subject().to_string() && named_below == below
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultRule {
    /// Which requests.
    pub target: Target,
    /// So many picked requests pass first.
    pub skip: u32,
    /// So many are hit after that; `None` for all.
    pub times: Option<u32>,
    /// What happens to them.
    pub effect: FaultEffect,
}

/// How a cut watch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEnd {
    /// The connection ends.
    Cut,
    /// An `ERROR` event says that the version is too old.
    Expired,
}

/// The rules in force, and the watches cut so far.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Vec<FaultRule>,
    cuts: Vec<(String, WatchEnd)>,
}

impl Faults {
    /// Adds a rule; the first rule that hits a request decides.
    pub fn add(&mut self, rule: FaultRule) {
        self.rules.push(rule);
    }

    /// Removes all rules.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// Ends every watch of `resource` (as in [`Target::resource`]; empty for all) that is open now.
    pub fn cut_watches(&mut self, resource: &str, end: WatchEnd) {
        self.cuts.push((resource.to_owned(), end));
    }

    /// How many cuts there were: a watch notes this when it begins.
    pub fn cuts(&self) -> usize {
        self.cuts.len()
    }

    /// Ends `watch` if it was cut after `seen` cuts.
    pub fn cut_if_due(&self, watch: &mut Watch, seen: usize) {
        for (resource, end) in self.cuts.iter().skip(seen) {
            if resource.is_empty() || *resource == watch.resource().subject().to_string() {
                match end {
                    WatchEnd::Cut => watch.cut(),
                    WatchEnd::Expired => watch.expire(),
                }
                return;
            }
        }
    }

    /// The fault that hits `request`, if one does. Counts the request.
    pub fn strike(&mut self, request: &Request) -> Option<FaultEffect> {
        for rule in &mut self.rules {
            if !rule.target.picks(request) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            match &mut rule.times {
                Some(0) => continue,
                Some(left) => *left -= 1,
                None => {}
            }
            return Some(rule.effect.clone());
        }
        None
    }
}

/// The refusal of a request that its user may not make.
pub fn denied(request: &Request) -> Failure {
    let resource = &request.resource;
    let below =
        request.subresource.map_or(String::new(), |subresource| format!("/{}", subresource.name()));
    let place = match resource.scope {
        Scope::Namespaced if !request.namespace.is_empty() => {
            format!("in the namespace \"{}\"", request.namespace)
        }
        Scope::Namespaced | Scope::Cluster => "at the cluster scope".to_owned(),
    };
    let why = format!(
        "User \"system:anonymous\" cannot {} resource \"{}{below}\" in API group \"{}\" {place}",
        request.verb.name(),
        resource.plural,
        resource.group
    );
    resource.subject().forbidden(&request.name, &why)
}
