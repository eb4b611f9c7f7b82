//! By which scores a profile ranks nodes: kube-scheduler's weighted sum where it says anything about scores, else
//! Muster's own order. Which plugins score and what each counts follows upstream's order of precedence.
//! Invariant: what is written about scores is either honoured or named in a warning.

use super::arguments::ScoringStrategy;
use super::file::{Plugin, Plugins};
use super::profile::is_on;
use super::spreading::PodTopologySpread;
use crate::base::names::Name;
use crate::plugins::weighing::{MOST, SCORES};
use crate::workload::profile::{Strategy, Weighing};

/// Plugins that cannot score nodes that they did not look at together first.
const PREPARED: [&str; 3] = ["InterPodAffinity", "PodTopologySpread", "TaintToleration"];

/// The plugin that looks for room.
const FIT: &str = "NodeResourcesFit";

/// The resources by which upstream scores where none are written.
const RESOURCES: [&str; 2] = ["cpu", "memory"];

/// Upstream's `shape` of VolumeBinding: the less is asked for of what there is, the better.
const STORAGE: [(i64, i64); 2] = [(0, MOST), (100, 0)];

/// What the arguments of plugins say about scores.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Of NodeResourcesFit.
    pub(super) strategy: Option<ScoringStrategy>,
    /// Of NodeResourcesBalancedAllocation.
    pub(super) balanced: Option<Vec<Name>>,
    /// Of PodTopologySpread, and where they stand.
    pub(super) spread: (String, PodTopologySpread),
    /// The `shape` of VolumeBinding; empty where none is written.
    pub(super) storage: Vec<(i64, i64)>,
}

/// The scores of a profile; `None` where nothing is written about scores, and room is looked for. The weights are within
/// their limits.
pub(super) fn weighing(
    path: &str,
    plugins: &Plugins,
    written: Written,
    warnings: &mut Vec<String>,
) -> Option<Weighing> {
    let is_changed = [&plugins.score, &plugins.pre_score]
        .iter()
        .any(|set| !set.enabled.is_empty() || !set.disabled.is_empty());
    let is_weighted = plugins.multi_point.enabled.iter().any(|plugin| {
        plugin.weight.is_some() && SCORES.iter().any(|score| score.name == plugin.name.value)
    });
    // Muster's own order is by room, which such pods do not look for: it would fill a node without end.
    let packs = is_on(plugins, &plugins.filter, FIT) && is_on(plugins, &plugins.pre_filter, FIT);
    let is_written =
        written.strategy.is_some() || written.balanced.is_some() || !written.storage.is_empty();
    if packs && !is_changed && !is_weighted && !is_written {
        return None;
    }
    let mut weighing = Weighing::default();
    for score in SCORES {
        if !is_on(plugins, &plugins.score, score.name) {
            continue;
        }
        if PREPARED.contains(&score.name) && !is_on(plugins, &plugins.pre_score, score.name) {
            warnings.push(format!(
                "{path}.plugins: {} is disabled at preScore and not at score; here both are one, and off",
                score.name
            ));
            continue;
        }
        let entry = |plugins: &[Plugin]| {
            let named = plugins.iter().find(|plugin| plugin.name.value == score.name)?;
            Some(named.weight.as_ref().map_or(0, |weight| weight.value))
        };
        let given = entry(&plugins.score.enabled).or_else(|| entry(&plugins.multi_point.enabled));
        // A plugin that is named without a weight counts once, whatever its default.
        let weight = given.map_or(score.weight, |weight| if weight == 0 { 1 } else { weight });
        weighing.weights.push((score.name, weight));
    }
    weighing.weights.sort_unstable();
    let default = || RESOURCES.map(|name| (name.into(), 1)).to_vec();
    (weighing.strategy, weighing.resources) =
        written.strategy.map_or_else(|| (Strategy::default(), Vec::new()), ScoringStrategy::read);
    if weighing.resources.is_empty() {
        weighing.resources = default();
    }
    weighing.balanced = written.balanced.unwrap_or_default();
    if weighing.balanced.is_empty() {
        weighing.balanced = RESOURCES.map(Into::into).to_vec();
    }
    weighing.storage = written.storage;
    if weighing.storage.is_empty() {
        weighing.storage = STORAGE.to_vec();
    }
    Some(weighing)
}

/// Plugins that are enabled at score, or given a weight, and have no score: by point.
pub(super) fn without_score(path: &str, plugins: &Plugins) -> Vec<String> {
    let scores = |plugin: &Plugin| SCORES.iter().any(|score| score.name == plugin.name.value);
    let weighted = plugins.multi_point.enabled.iter().filter(|plugin| plugin.weight.is_some());
    let at_score = plugins.score.enabled.iter().map(|plugin| ("score", plugin));
    let everywhere = weighted.map(|plugin| ("multiPoint", plugin));
    at_score
        .chain(everywhere)
        .filter(|(_, plugin)| !scores(plugin))
        .map(|(point, plugin)| {
            let name = &plugin.name.value;
            format!("{path}.plugins.{point}: {name} gives no score here")
        })
        .collect()
}
