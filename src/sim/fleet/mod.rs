//! The fleet file: a short YAML list of nodes becomes full Node objects, as a cluster with NVIDIA's
//! device plugin and GPU Feature Discovery shows them. Text in, objects out; reading the file is the caller's.
//! Invariants: no two nodes have one name; with any problem there are no nodes, and every problem is told.
//!
//! ```yaml
//! nodes:
//! - {name: "a[1-4]", gpus: 8 x NVIDIA-H100-80GB-HBM3, rack: a}
//! - {name: "cpu[1-2]", cpu: 64, memory: 256Gi}
//! ```

mod cards;
mod file;
mod names;
mod node;
mod shape;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use self::file::Entry;
use self::file::FleetFile;
use self::node::Place;
use self::node::TOPOLOGIES;
use self::shape::Problems;
use self::shape::Shape;
use crate::config::diagnosis;

/// What is wrong with a fleet file: every problem, each with place, field, value, and remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetError {
    /// The file, as the user named it.
    pub file: String,
    /// One sentence each.
    pub problems: Vec<String>,
}

impl fmt::Display for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}: {problem}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for FleetError {}

/// The Node objects of a fleet file, in the order of the file. `file` is its name, for messages.
///
/// # Errors
/// YAML that does not parse, fields that do not exist, values that cannot be, names that occur twice.
pub fn read(file: &str, text: &str) -> Result<Vec<Value>, FleetError> {
    let fail = |problems: Vec<String>| FleetError { file: file.to_owned(), problems };
    let fleet: FleetFile = serde_saphyr::from_str(text)
        .map_err(|error| fail(vec![diagnosis::of(&error, text).to_string()]))?;
    let mut problems = Vec::new();
    if fleet.defaults.name.is_some() {
        problems.push("defaults: name: names belong to entries of nodes: leave it out".to_owned());
    }
    if fleet.nodes.is_empty() {
        problems.push("nodes: the list is empty: write at least one entry".to_owned());
    }
    let mut nodes = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (index, entry) in fleet.nodes.iter().enumerate() {
        let line = entry.referenced.line();
        let mut found = Problems::default();
        let entry = entry.value.over(&fleet.defaults);
        for node in nodes_of(&entry, nodes.len(), &mut found) {
            let name = node["metadata"]["name"].as_str().unwrap_or("").to_owned();
            if let Some(first) = seen.insert(name.clone(), index) {
                found.add(
                    "name",
                    &name,
                    &format!("is there twice (first in nodes[{first}]): rename one"),
                );
                break;
            }
            nodes.push(node);
        }
        let name = entry.name.as_deref().unwrap_or("no name");
        problems.extend(
            found
                .0
                .iter()
                .map(|problem| format!("line {line}: nodes[{index}] ({name}): {problem}")),
        );
    }
    if problems.is_empty() { Ok(nodes) } else { Err(fail(problems)) }
}

/// The nodes of one entry; `before` nodes stand before it in the fleet.
fn nodes_of(entry: &Entry, before: usize, problems: &mut Problems) -> Vec<Value> {
    let Some(pattern) = &entry.name else {
        problems.0.push("name: missing: write a name, or names such as a[1-4]".to_owned());
        return Vec::new();
    };
    let names = match names::expand(pattern) {
        Ok(names) if before + names.len() > names::NAMES_MAX => {
            let remedy = format!("makes the fleet larger than {} nodes", names::NAMES_MAX);
            problems.add("name", pattern, &remedy);
            return Vec::new();
        }
        Ok(names) => names,
        Err(remedy) => {
            problems.add("name", pattern, &remedy);
            return Vec::new();
        }
    };
    if let Some((name, fault)) =
        names.iter().find_map(|name| names::fault_of(name).map(|fault| (name, fault)))
    {
        problems.add("name", name, &format!("is no name: {fault}"));
    }
    let shape = Shape::of(entry, problems);
    let wanted = entry.topology.as_deref().unwrap_or(TOPOLOGIES[0].name);
    let Some(topology) = TOPOLOGIES.iter().find(|topology| topology.name == wanted) else {
        let known: Vec<_> = TOPOLOGIES.iter().map(|topology| topology.name).collect();
        problems.add(
            "topology",
            wanted,
            &format!("is no label set: write one of {}", known.join(", ")),
        );
        return Vec::new();
    };
    let places = [
        dealt("zone", &entry.zone, names.len(), problems),
        dealt("block", &entry.block, names.len(), problems),
        dealt("rack", &entry.rack, names.len(), problems),
        dealt("clique", &entry.clique, names.len(), problems),
    ];
    let share = |places: &[String], index: usize| {
        (!places.is_empty()).then(|| places[index * places.len() / names.len()].clone())
    };
    names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let [zone, block, rack, clique] = places.each_ref().map(|places| share(places, index));
            let place = Place { number: before + index, zone, block, rack, clique };
            node::object(name, entry, &shape, &place, *topology)
        })
        .collect()
}

/// The places of a field among which `nodes` nodes are dealt in order; empty where the field is absent.
fn dealt(
    field: &str,
    pattern: &Option<String>,
    nodes: usize,
    problems: &mut Problems,
) -> Vec<String> {
    let Some(pattern) = pattern else { return Vec::new() };
    match names::expand(pattern) {
        Ok(places) if !places.is_empty() && nodes.is_multiple_of(places.len()) => places,
        Ok(places) => {
            let remedy = format!(
                "stands for {} places, among which {nodes} nodes cannot be dealt equally: write a range whose length divides {nodes}",
                places.len()
            );
            problems.add(field, pattern, &remedy);
            Vec::new()
        }
        Err(remedy) => {
            problems.add(field, pattern, &remedy);
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests;
