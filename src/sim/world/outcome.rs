//! The result of a simulation, from the chronicle, the API, and the engine's word on what waits.
//! Reads only. Invariant: the order of each list is the contract's, whatever the order of the maps here.
//! Times are spans since time 0; what happened before it counts as having happened at it.

use super::World;
use super::chronicle::{Entry, What};
use super::deliveries;
use crate::base::time::{Span, Time};
use crate::sim::result::{
    API_VERSION, Binding, Eviction, KIND, PodState, SimulationResult, Waiting,
};

impl World {
    /// What `muster simulate` answers.
    pub fn result(&self) -> SimulationResult {
        let end = self.chronicle.last_change().unwrap_or(self.zero);
        let waiting = self.engine.waiting(self.now).into_iter().map(|gang| Waiting {
            namespace: gang.namespace.to_string(),
            gang: gang.gang.to_string(),
            pods: gang.pods.iter().map(ToString::to_string).collect(),
            reason: gang.reason.as_str(),
            message: gang.message,
        });
        SimulationResult {
            api_version: API_VERSION,
            kind: KIND,
            end: self.since_zero(end),
            bindings: self
                .chronicle
                .entries()
                .iter()
                .filter_map(|entry| self.binding(entry))
                .collect(),
            evictions: self
                .chronicle
                .entries()
                .iter()
                .filter_map(|entry| self.eviction(entry))
                .collect(),
            waiting: waiting.collect(),
            pods: self.pods(),
        }
    }

    fn binding(&self, entry: &Entry) -> Option<Binding> {
        let What::Bound { node } = &entry.what else {
            return None;
        };
        Some(Binding {
            at: self.since_zero(entry.at),
            namespace: entry.name.namespace.to_string(),
            pod: entry.name.name.to_string(),
            gang: entry.gang.clone(),
            node: node.clone(),
        })
    }

    fn eviction(&self, entry: &Entry) -> Option<Eviction> {
        let What::Evicted { node, reason } = &entry.what else {
            return None;
        };
        Some(Eviction {
            at: self.since_zero(entry.at),
            namespace: entry.name.namespace.to_string(),
            pod: entry.name.name.to_string(),
            gang: entry.gang.clone(),
            node: node.clone(),
            reason: reason.clone(),
            beneficiary: None,
        })
    }

    fn pods(&self) -> Vec<PodState> {
        let request = self.server.route("GET", deliveries::PODS).expect("served from the start");
        let mut pods: Vec<PodState> = self
            .server
            .objects(&request.resource)
            .map(|pod| {
                let value = pod.value();
                let node = value["spec"]["nodeName"].as_str().filter(|node| !node.is_empty());
                PodState {
                    namespace: pod.namespace().to_owned(),
                    name: pod.own_name().to_owned(),
                    node: node.map(str::to_owned),
                    phase: value["status"]["phase"].as_str().unwrap_or("Pending").to_owned(),
                }
            })
            .collect();
        pods.sort_by(|left, right| {
            (&left.namespace, &left.name).cmp(&(&right.namespace, &right.name))
        });
        pods
    }

    /// An instant as the contract writes it; what happened before time 0 counts as having happened at it.
    fn since_zero(&self, at: Time) -> String {
        (at - self.zero).max(Span::ZERO).to_string()
    }
}
