//! What a profile of kube-scheduler's configuration means for Muster: the filters that are off, the affinity that is
//! added, and the scores by which nodes are ranked are honoured; everything else that is written is named in a warning with what Muster does instead.
//! Invariant: nothing that is written is passed over in silence. Knows no other part of the file.

use std::sync::Arc;

use serde_json::Value;

use super::arguments;
use super::arguments::Arguments;
use super::file;
use super::file::Plugins;
use super::scores;
use super::scores::Written;
use super::spreading;
use crate::base::time::Span;
use crate::cluster::resources::ResourceClass;
use crate::config::ConfigurationError;
use crate::workload::profile::BOND_WEIGHT;
use crate::workload::profile::Ignored;
use crate::workload::profile::Profile;
use crate::workload::profile::TermsOfOthers;

/// A plugin of kube-scheduler 1.37 and what can be said of it here.
struct Known {
    name: &'static str,
    filter: Filter,
}

/// Whether a plugin filters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filter {
    /// It does not, or nothing that comes to a scheduler could fail it.
    Absent,
    /// It does, and can be turned off.
    Present,
}

/// Every name of the 1.37 registry.
const KNOWN: [Known; 24] = {
    use Filter::{Absent, Present};
    const fn known(name: &'static str, filter: Filter) -> Known {
        Known { name, filter }
    }
    [
        known("DefaultBinder", Absent),
        known("DefaultPreemption", Absent),
        known("DeferredPodScheduling", Absent),
        known("DynamicResources", Present),
        known("GangScheduling", Absent),
        known("ImageLocality", Absent),
        known("InterPodAffinity", Present),
        known("NodeAffinity", Present),
        known("NodeDeclaredFeatures", Present),
        known("NodeName", Absent),
        known("NodePorts", Present),
        known("NodeResourcesBalancedAllocation", Absent),
        known("NodeResourcesFit", Present),
        known("NodeUnschedulable", Present),
        known("NodeVolumeLimits", Present),
        known("PodGroupPodsCount", Absent),
        known("PodTopologySpread", Present),
        known("PrioritySort", Absent),
        known("SchedulingGates", Absent),
        known("TaintToleration", Present),
        known("TopologyPlacementGenerator", Absent),
        known("VolumeBinding", Present),
        known("VolumeRestrictions", Present),
        known("VolumeZone", Present),
    ]
};

/// The plugin that Muster takes the place of: its users have it in their files.
const COSCHEDULING: &str = "Coscheduling";

/// The greatest weight that upstream's type holds.
const WEIGHT_MAX: i64 = i32::MAX as i64;

/// Stands for all plugins where some are taken away.
const ALL: &str = "*";

/// Extension points at which plugins are rules of Muster.
const JUDGING: [&str; 5] = ["preFilter", "filter", "preScore", "score", "multiPoint"];

/// What a profile comes to.
#[derive(Debug, Default)]
pub(super) struct Meaning {
    /// `None` where it is the default profile.
    pub(super) profile: Option<Arc<Profile>>,
    /// What is written and not honoured.
    pub(super) warnings: Vec<String>,
}

/// The meaning of the profile at `profiles[index]`.
pub(super) fn meaning(
    index: usize,
    written: &file::Profile,
) -> Result<Meaning, ConfigurationError> {
    let mut warnings = Vec::new();
    let mut profile = Profile::default();
    let mut scores = Written::default();
    let path = format!("profiles[{index}]");
    if let Some(plugins) = &written.plugins {
        check_names(&path, plugins, &mut warnings)?;
        profile.filters_off = filters_off(&path, plugins, &mut warnings);
        warnings.extend(other_points(&path, plugins));
    }
    for (at, config) in written.plugin_config.iter().flatten().enumerate() {
        let path = format!("{path}.pluginConfig[{at}]");
        let name = config.name.value.as_str();
        let twice = written.plugin_config.iter().flatten().take(at);
        if twice.into_iter().any(|other| other.name.value == name) {
            return Err(placed(
                &config.name,
                format!("{path}: arguments of {name} are given twice"),
            ));
        }
        let args = config.args.as_ref().filter(|args| !args.is_null());
        let Some(args) = args else { continue };
        let read = arguments_of(&path, &config.name, args, &mut warnings)?;
        apply(&path, read, (&mut profile, &mut scores), &mut warnings);
    }
    let none = Plugins::default();
    let plugins = written.plugins.as_ref().unwrap_or(&none);
    let (spread_at, spread) = std::mem::take(&mut scores.spread);
    profile.weighing = scores::weighing(&path, plugins, scores, &mut warnings);
    let judged = (&profile, plugins);
    profile.default_spread = spreading::meaning(&spread_at, &spread, judged, &mut warnings);
    let profile = (profile != Profile::default()).then(|| Arc::new(profile));
    Ok(Meaning { profile, warnings })
}

fn placed<T>(at: &serde_saphyr::Spanned<T>, message: String) -> ConfigurationError {
    ConfigurationError { at: Some((at.referenced.line(), at.referenced.column())), message }
}

fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|known| known.name == name)
}

fn check_names(
    path: &str,
    plugins: &Plugins,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigurationError> {
    for (point, set) in plugins.points() {
        for plugin in &set.enabled {
            let name = plugin.name.value.as_str();
            if name != COSCHEDULING && !is_known(name) {
                let message = format!(
                    "{path}.plugins.{point}.enabled: {name:?} is no plugin of kube-scheduler 1.37, and others cannot \
                     run here; remove it"
                );
                return Err(placed(&plugin.name, message));
            }
            let weight = plugin.weight.as_ref().map_or(0, |weight| weight.value);
            if !(0..=WEIGHT_MAX).contains(&weight) {
                let message = format!(
                    "{path}.plugins.{point}.enabled: the weight {weight} of {name} must be between 0 and {WEIGHT_MAX}"
                );
                return Err(placed(&plugin.name, message));
            }
        }
        let unknown = |name: &&str| *name != ALL && *name != COSCHEDULING && !is_known(name);
        for name in set.disabled.iter().map(|plugin| plugin.name.value.as_str()).filter(unknown) {
            warnings.push(format!(
                "{path}.plugins.{point}.disabled: {name:?} is no plugin of kube-scheduler 1.37"
            ));
        }
    }
    Ok(())
}

/// Whether the plugin runs at a point, by upstream's order of precedence: the point's own lists before those of
/// `multiPoint`, and what is enabled before what is disabled. All plugins that filter do so by default.
pub(super) fn is_on(plugins: &Plugins, point: &file::PluginSet, name: &str) -> bool {
    for set in [point, &plugins.multi_point] {
        if set.enabled.iter().any(|plugin| plugin.name.value == name) {
            return true;
        }
        if set.disabled.iter().any(|plugin| [name, ALL].contains(&plugin.name.value.as_str())) {
            return false;
        }
    }
    true
}

/// The plugins whose filters are off, sorted.
fn filters_off(path: &str, plugins: &Plugins, warnings: &mut Vec<String>) -> Vec<&'static str> {
    let mut off = Vec::new();
    for known in &KNOWN {
        let filters = is_on(plugins, &plugins.filter, known.name);
        let prepares = is_on(plugins, &plugins.pre_filter, known.name);
        match (known.filter, filters && prepares) {
            (Filter::Absent, _) | (_, true) => {}
            (Filter::Present, false) => {
                if filters != prepares {
                    warnings.push(format!(
                        "{path}.plugins: {} is disabled at one of preFilter and filter; here both are one, and off",
                        known.name
                    ));
                }
                off.push(known.name);
            }
        }
    }
    off
}

/// Changes at extension points that Muster does not have.
fn other_points(path: &str, plugins: &Plugins) -> Vec<String> {
    let changed = |set: &file::PluginSet| !set.enabled.is_empty() || !set.disabled.is_empty();
    let mut warnings = Vec::new();
    for (point, set) in plugins.points() {
        if JUDGING.contains(&point) || !changed(set) {
            continue;
        }
        let instead = match point {
            "queueSort" | "preEnqueue" => {
                "turns go by priority, age, and name, and pods with gates wait"
            }
            "postFilter" | "podGroupPostFilter" => "nothing is preempted",
            "placementGenerate" | "placementScore" => "groups are placed by Muster's own search",
            _binding => "groups are bound by Muster's own protocol",
        };
        warnings.push(format!("{path}.plugins.{point}: has no effect here: {instead}"));
    }
    warnings.extend(scores::without_score(path, plugins));
    let enabled = plugins.points().into_iter().flat_map(|(_, set)| &set.enabled);
    if enabled.into_iter().any(|plugin| plugin.name.value == COSCHEDULING) {
        warnings
            .push(format!("{path}.plugins: {COSCHEDULING} is not needed: gangs are Muster's own"));
    }
    warnings
}

/// Reads the arguments of one plugin.
fn arguments_of(
    path: &str,
    name: &serde_saphyr::Spanned<String>,
    args: &Value,
    warnings: &mut Vec<String>,
) -> Result<Arguments, ConfigurationError> {
    let plugin = name.value.as_str();
    if plugin == COSCHEDULING {
        warnings.push(format!(
            "{path}: arguments of {COSCHEDULING} have no effect here; a PodGroup's scheduleTimeoutSeconds has"
        ));
        return Ok(Arguments::Other(plugin.to_owned(), Vec::new()));
    }
    if !is_known(plugin) {
        let message = format!("{path}: {plugin:?} is no plugin of kube-scheduler 1.37; remove it");
        return Err(placed(name, message));
    }
    let read = arguments::read(plugin, &format!("{path}.args"), args);
    read.map_err(|message| placed(name, message))
}

/// Takes in the arguments of one plugin.
fn apply(
    path: &str,
    read: Arguments,
    (profile, scores): (&mut Profile, &mut Written),
    warnings: &mut Vec<String>,
) {
    match read {
        Arguments::NodeAffinity(added) => {
            profile.added_required = added.required;
            profile.added_preferred = added.preferred;
        }
        Arguments::Fit(read) => {
            let names = |list: &[String]| list.iter().map(|name| name.as_str().into()).collect();
            profile.ignored = Ignored {
                resources: names(&read.ignored_resources),
                groups: names(&read.ignored_resource_groups),
            };
            warnings.extend(ignored_cards(path, &profile.ignored));
            scores.strategy = read.scoring_strategy;
        }
        Arguments::InterPodAffinity(read) => {
            let weight = read.hard_pod_affinity_weight;
            profile.bond_weight = weight.filter(|weight| *weight != BOND_WEIGHT);
            if read.ignore_preferred_terms_of_existing_pods {
                profile.terms_of_others = TermsOfOthers::CountForThoseWithTerms;
            }
        }
        Arguments::Spread(read) => scores.spread = (path.to_owned(), read),
        Arguments::Balanced(resources) => scores.balanced = Some(resources),
        Arguments::VolumeBinding(read) => {
            profile.bind_timeout = read.bind_timeout_seconds.map(bind_timeout);
            scores.storage = read.points();
        }
        Arguments::Other(plugin, fields) => {
            let instead = instead(&plugin);
            let told = fields
                .iter()
                .map(|field| format!("{path}.args.{field}: has no effect here: {instead}"));
            warnings.extend(told);
        }
    }
}

/// Upstream looks for the first time a second after it wrote, and then gives up if the time is over.
fn bind_timeout(seconds: i64) -> Span {
    const LONGEST: i64 = i64::MAX / Span::seconds(1).0;
    Span::seconds(seconds.clamp(1, LONGEST))
}

/// What stands before the slash in the names of cards.
const CARD_VENDORS: [&str; 3] = ["amd.com", "gpu.intel.com", "nvidia.com"];

/// Cards that are to be ignored, and are not.
fn ignored_cards(path: &str, ignored: &Ignored) -> Vec<String> {
    let is_card = |name: &str| ResourceClass::of(name) == ResourceClass::Accelerator;
    let cards = ignored.resources.iter().filter(|name| is_card(name));
    let cards = cards.map(|name| ("ignoredResources", name));
    let groups = ignored.groups.iter().filter(|group| CARD_VENDORS.contains(&&***group));
    let groups = groups.map(|group| ("ignoredResourceGroups", group));
    let told = cards.chain(groups).map(|(field, name)| {
        format!(
            "{path}.args.{field}: cards of {name} count all the same: a gang that is bound whole must not find them taken"
        )
    });
    told.collect()
}

/// What Muster does where a plugin's arguments have no effect.
fn instead(plugin: &str) -> &'static str {
    match plugin {
        "DefaultPreemption" => "nothing is preempted",
        _claims => "claims are not allocated",
    }
}
