//! Arguments of kube-scheduler's plugins: read strictly, checked as upstream checks them.
//! What they mean is for `profile` to say. Knows no file: arguments come as values, so errors name their path.
//! Numbers only: nothing here is a float.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::spreading;
use super::spreading::PodTopologySpread;
use crate::base::names::Name;
use crate::workload::constraints::NodeTerm;
use crate::workload::constraints::PreferredTerm;
use crate::workload::node_terms;
use crate::workload::node_terms::WrittenRequirement;
use crate::workload::profile::Strategy;

/// Arguments of one plugin that differ from none at all, read and checked.
#[derive(Debug)]
pub(super) enum Arguments {
    /// `addedAffinity`.
    NodeAffinity(AddedAffinity),
    /// Of NodeResourcesFit.
    Fit(NodeResourcesFit),
    /// Of InterPodAffinity.
    InterPodAffinity(InterPodAffinity),
    /// Of PodTopologySpread.
    Spread(PodTopologySpread),
    /// The resources that NodeResourcesBalancedAllocation balances, in the order in which they are written.
    Balanced(Vec<Name>),
    /// Of VolumeBinding.
    VolumeBinding(VolumeBinding),
    /// Those of a plugin whose arguments have no effect, by the fields that are written.
    Other(String, Vec<String>),
}

/// The affinity that a profile adds to every pod's own.
#[derive(Debug, Default)]
pub(super) struct AddedAffinity {
    pub(super) required: Option<Vec<NodeTerm>>,
    pub(super) preferred: Vec<PreferredTerm>,
}

/// The form of each plugin's arguments is known by the plugin's name.
pub(super) fn read(plugin: &str, path: &str, args: &Value) -> Result<Arguments, String> {
    match plugin {
        "NodeAffinity" => added_affinity(path, args).map(Arguments::NodeAffinity),
        "NodeResourcesFit" => sound_arguments(path, args).map(Arguments::Fit),
        "NodeResourcesBalancedAllocation" => {
            let read: BalancedAllocation = sound_arguments(path, args)?;
            Ok(Arguments::Balanced(read.resources.iter().map(|one| (*one.name).into()).collect()))
        }
        "InterPodAffinity" => sound_arguments(path, args).map(Arguments::InterPodAffinity),
        spreading::PLUGIN => sound_arguments(path, args).map(Arguments::Spread),
        "VolumeBinding" => sound_arguments(path, args).map(Arguments::VolumeBinding),
        "DefaultPreemption" => checked::<DefaultPreemption>(plugin, path, args),
        "DynamicResources" => checked::<DynamicResources>(plugin, path, args),
        _without_arguments => {
            Err(format!("{path}: the plugin {plugin} takes no arguments; remove them"))
        }
    }
}

/// Arguments that have limits.
pub(super) trait Checked: DeserializeOwned {
    /// What is out of its limits: field and remedy.
    fn fault(&self) -> Option<String>;
}

fn sound_arguments<T: Checked>(path: &str, args: &Value) -> Result<T, String> {
    let read: T = strict(path, args)?;
    match read.fault() {
        Some(fault) => Err(format!("{path}.{fault}")),
        None => Ok(read),
    }
}

fn checked<T: Checked>(plugin: &str, path: &str, args: &Value) -> Result<Arguments, String> {
    sound_arguments::<T>(path, args)?;
    let fields = args.as_object().into_iter().flatten().map(|(field, _)| field.clone());
    Ok(Arguments::Other(
        plugin.to_owned(),
        fields.filter(|field| !["apiVersion", "kind"].contains(&field.as_str())).collect(),
    ))
}

fn strict<T: DeserializeOwned>(path: &str, args: &Value) -> Result<T, String> {
    let mut args = args.clone();
    if let Some(fields) = args.as_object_mut() {
        fields.shift_remove("apiVersion");
        fields.shift_remove("kind");
    }
    serde_path_to_error::deserialize(args).map_err(|error| {
        match error.path().to_string().as_str() {
            "." => format!("{path}: {}", error.inner()),
            field => format!("{path}.{field}: {}", error.inner()),
        }
    })
}

fn outside(field: &str, value: Option<i64>, least: i64, most: i64) -> Option<String> {
    let value = value.filter(|value| !(least..=most).contains(value))?;
    Some(format!("{field}: {value} must be between {least} and {most}"))
}

/// Arguments of NodeResourcesFit.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct NodeResourcesFit {
    pub(super) ignored_resources: Vec<String>,
    pub(super) ignored_resource_groups: Vec<String>,
    pub(super) scoring_strategy: Option<ScoringStrategy>,
}

/// How NodeResourcesFit scores.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct ScoringStrategy {
    r#type: String,
    resources: Vec<ResourceSpec>,
    requested_to_capacity_ratio: Option<RequestedToCapacityRatio>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceSpec {
    name: String,
    weight: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RequestedToCapacityRatio {
    shape: Vec<ShapePoint>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShapePoint {
    utilization: i64,
    score: i64,
}

impl Checked for NodeResourcesFit {
    fn fault(&self) -> Option<String> {
        if let Some(group) = self.ignored_resource_groups.iter().find(|group| group.contains('/')) {
            return Some(format!("ignoredResourceGroups: {group:?} must not contain '/'"));
        }
        let strategy = self.scoring_strategy.as_ref()?;
        let known = ["LeastAllocated", "MostAllocated", RATIO];
        if !known.contains(&strategy.r#type.as_str()) {
            return Some(format!(
                "scoringStrategy.type: {:?} must be LeastAllocated, MostAllocated, or RequestedToCapacityRatio",
                strategy.r#type
            ));
        }
        let ratio = strategy.requested_to_capacity_ratio.as_ref();
        let field = "scoringStrategy.requestedToCapacityRatio.shape";
        let is_used = strategy.r#type == RATIO || ratio.is_some();
        if is_used && ratio.is_none_or(|ratio| ratio.shape.is_empty()) {
            return Some(format!("{field}: is missing; write at least one point"));
        }
        weights("scoringStrategy.resources", &strategy.resources)
            .or_else(|| shape(field, &ratio?.shape))
    }
}

/// The type of strategy that has a shape.
const RATIO: &str = "RequestedToCapacityRatio";

/// Scores are written from 0 to 10 and count from 0 to 100.
const SCORE_UNIT: i64 = 10;

impl ScoringStrategy {
    /// The strategy, and the resources with their weights, of which none is 0.
    pub(super) fn read(self) -> (Strategy, Vec<(Name, i64)>) {
        let resources = self.resources.iter().map(|resource| {
            let weight = resource.weight.filter(|weight| *weight > 0).unwrap_or(1);
            (resource.name.as_str().into(), weight)
        });
        let ratio = self.requested_to_capacity_ratio;
        let strategy = match self.r#type.as_str() {
            "MostAllocated" => Strategy::MostAllocated,
            RATIO => Strategy::RequestedToCapacityRatio(
                ratio.map_or_else(Vec::new, |ratio| points(&ratio.shape)),
            ),
            _least => Strategy::LeastAllocated,
        };
        (strategy, resources.collect())
    }
}

fn weights(field: &str, resources: &[ResourceSpec]) -> Option<String> {
    resources.iter().find_map(|resource| {
        let field = format!("{field}[{}].weight", resource.name);
        outside(&field, resource.weight, 0, 100)
    })
}

/// Points with scores from 0 to 100.
fn points(shape: &[ShapePoint]) -> Vec<(i64, i64)> {
    shape.iter().map(|point| (point.utilization, point.score * SCORE_UNIT)).collect()
}

/// Points of a function: increasing utilizations from 0 to 100, scores from 0 to 10.
fn shape(field: &str, points: &[ShapePoint]) -> Option<String> {
    let unordered = points.windows(2).any(|pair| pair[0].utilization >= pair[1].utilization);
    if unordered {
        return Some(format!("{field}: utilizations must increase from point to point"));
    }
    points.iter().find_map(|point| {
        outside(&format!("{field}.utilization"), Some(point.utilization), 0, 100)
            .or_else(|| outside(&format!("{field}.score"), Some(point.score), 0, 10))
    })
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct BalancedAllocation {
    resources: Vec<ResourceSpec>,
}

impl Checked for BalancedAllocation {
    fn fault(&self) -> Option<String> {
        weights("resources", &self.resources)
    }
}

/// Arguments of InterPodAffinity.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct InterPodAffinity {
    pub(super) hard_pod_affinity_weight: Option<i64>,
    pub(super) ignore_preferred_terms_of_existing_pods: bool,
}

impl Checked for InterPodAffinity {
    fn fault(&self) -> Option<String> {
        outside("hardPodAffinityWeight", self.hard_pod_affinity_weight, 0, 100)
    }
}

/// Arguments of VolumeBinding.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct VolumeBinding {
    pub(super) bind_timeout_seconds: Option<i64>,
    shape: Vec<ShapePoint>,
}

impl VolumeBinding {
    /// The points of its `shape`, with scores from 0 to 100; none where none are written.
    pub(super) fn points(&self) -> Vec<(i64, i64)> {
        points(&self.shape)
    }
}

impl Checked for VolumeBinding {
    fn fault(&self) -> Option<String> {
        outside("bindTimeoutSeconds", self.bind_timeout_seconds, 0, i64::MAX)
            .or_else(|| shape("shape", &self.shape))
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct DefaultPreemption {
    min_candidate_nodes_percentage: Option<i64>,
    min_candidate_nodes_absolute: Option<i64>,
}

impl Checked for DefaultPreemption {
    fn fault(&self) -> Option<String> {
        outside("minCandidateNodesPercentage", self.min_candidate_nodes_percentage, 0, 100).or_else(
            || outside("minCandidateNodesAbsolute", self.min_candidate_nodes_absolute, 0, i64::MAX),
        )
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[allow(dead_code, reason = "named in a warning where they are written")]
struct DynamicResources {
    filter_timeout: Option<String>,
    binding_timeout: Option<String>,
}

impl Checked for DynamicResources {
    fn fault(&self) -> Option<String> {
        None
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct NodeAffinityArguments {
    added_affinity: Affinity,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Affinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: Option<Selector>,
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")]
    preferred: Vec<Preferred>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Selector {
    node_selector_terms: Vec<Term>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preferred {
    weight: i32,
    preference: Term,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Term {
    match_expressions: Vec<Requirement>,
    match_fields: Vec<Requirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    key: String,
    operator: String,
    #[serde(default)]
    values: Vec<String>,
}

fn added_affinity(path: &str, args: &Value) -> Result<AddedAffinity, String> {
    let read: NodeAffinityArguments = strict(path, args)?;
    let path = format!("{path}.addedAffinity");
    let mut added = AddedAffinity::default();
    if let Some(selector) = &read.added_affinity.required {
        let terms = selector.node_selector_terms.iter();
        added.required = Some(terms.map(|term| sound(&path, term)).collect::<Result<_, _>>()?);
    }
    for preferred in &read.added_affinity.preferred {
        if !(1..=100).contains(&preferred.weight) {
            return Err(format!("{path}: weight {} must be between 1 and 100", preferred.weight));
        }
        let term = sound(&path, &preferred.preference)?;
        added.preferred.push(PreferredTerm { weight: preferred.weight, term });
    }
    Ok(added)
}

/// A term of a configuration must make sense: whoever wrote it can mend it.
fn sound(path: &str, term: &Term) -> Result<NodeTerm, String> {
    fn list(requirements: &[Requirement]) -> Vec<WrittenRequirement<'_>> {
        let written = requirements.iter().map(|one| WrittenRequirement {
            key: &one.key,
            operator: &one.operator,
            values: &one.values,
        });
        written.collect()
    }
    let (expressions, fields) = (list(&term.match_expressions), list(&term.match_fields));
    let read = node_terms::term(&expressions, &fields, |text| text.into());
    match &read.malformed {
        Some(why) => Err(format!("{path}: {why}")),
        None => Ok(read),
    }
}
