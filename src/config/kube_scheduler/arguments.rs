//! Arguments of kube-scheduler's plugins: read strictly, checked as upstream checks them.
//! What they mean is for `profile` to say. Knows no file: arguments come as values, so errors name their path.
//! Numbers only: nothing here is a float.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::workload::constraints::NodeTerm;
use crate::workload::constraints::PreferredTerm;
use crate::workload::node_terms;
use crate::workload::node_terms::WrittenRequirement;

/// Arguments of one plugin that differ from none at all, read and checked.
#[derive(Debug)]
pub(super) enum Arguments {
    /// `addedAffinity`.
    NodeAffinity(AddedAffinity),
    /// Others, by the fields that are written.
    Other(Vec<String>),
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
        "NodeResourcesFit" => checked::<NodeResourcesFit>(path, args),
        "NodeResourcesBalancedAllocation" => checked::<BalancedAllocation>(path, args),
        "InterPodAffinity" => checked::<InterPodAffinity>(path, args),
        "PodTopologySpread" => checked::<PodTopologySpread>(path, args),
        "VolumeBinding" => checked::<VolumeBinding>(path, args),
        "DefaultPreemption" => checked::<DefaultPreemption>(path, args),
        "DynamicResources" => checked::<DynamicResources>(path, args),
        _without_arguments => {
            Err(format!("{path}: the plugin {plugin} takes no arguments; remove them"))
        }
    }
}

/// Arguments that have limits.
trait Checked: DeserializeOwned {
    /// What is out of its limits: field and remedy.
    fn fault(&self) -> Option<String>;
}

fn checked<T: Checked>(path: &str, args: &Value) -> Result<Arguments, String> {
    let read: T = strict(path, args)?;
    if let Some(fault) = read.fault() {
        return Err(format!("{path}.{fault}"));
    }
    let fields = args.as_object().into_iter().flatten().map(|(field, _)| field.clone());
    Ok(Arguments::Other(
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[derive(Default)]
struct NodeResourcesFit {
    #[allow(dead_code, reason = "named in a warning where it is written")]
    ignored_resources: Vec<String>,
    ignored_resource_groups: Vec<String>,
    scoring_strategy: Option<ScoringStrategy>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ScoringStrategy {
    r#type: String,
    resources: Vec<ResourceSpec>,
    requested_to_capacity_ratio: Option<RequestedToCapacityRatio>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceSpec {
    name: String,
    weight: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RequestedToCapacityRatio {
    shape: Vec<ShapePoint>,
}

#[derive(Deserialize)]
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
        let known = ["", "LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"];
        if !known.contains(&strategy.r#type.as_str()) {
            return Some(format!(
                "scoringStrategy.type: {:?} must be LeastAllocated, MostAllocated, or RequestedToCapacityRatio",
                strategy.r#type
            ));
        }
        let ratio = strategy.requested_to_capacity_ratio.as_ref();
        weights("scoringStrategy.resources", &strategy.resources)
            .or_else(|| shape("scoringStrategy.requestedToCapacityRatio.shape", &ratio?.shape))
    }
}

fn weights(field: &str, resources: &[ResourceSpec]) -> Option<String> {
    resources.iter().find_map(|resource| {
        let field = format!("{field}[{}].weight", resource.name);
        outside(&field, resource.weight, 0, 100)
    })
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

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct InterPodAffinity {
    hard_pod_affinity_weight: Option<i64>,
    #[allow(dead_code, reason = "named in a warning where it is written")]
    ignore_preferred_terms_of_existing_pods: bool,
}

impl Checked for InterPodAffinity {
    fn fault(&self) -> Option<String> {
        outside("hardPodAffinityWeight", self.hard_pod_affinity_weight, 0, 100)
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct PodTopologySpread {
    default_constraints: Vec<Value>,
    defaulting_type: String,
}

impl Checked for PodTopologySpread {
    fn fault(&self) -> Option<String> {
        match self.defaulting_type.as_str() {
            "List" => None,
            "" | "System" if self.default_constraints.is_empty() => None,
            "" | "System" => {
                Some("defaultConstraints: must be empty unless defaultingType is List".to_owned())
            }
            other => Some(format!("defaultingType: {other:?} must be System or List")),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct VolumeBinding {
    bind_timeout_seconds: Option<i64>,
    shape: Vec<ShapePoint>,
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
