//! What a profile of kube-scheduler's configuration means for Muster: the filters that are off and the affinity that
//! is added are honoured; everything else that is written is named in a warning with what Muster does instead.
//! Invariant: nothing that is written is passed over in silence. Knows no other part of the file.

use std::sync::Arc;

use serde_json::Value;

use super::arguments;
use super::arguments::Arguments;
use super::file;
use super::file::Plugins;
use crate::config::ConfigurationError;
use crate::workload::profile::Profile;

/// A plugin of kube-scheduler 1.37 and what can be said of it here.
struct Known {
    name: &'static str,
    /// How its filter answers to being disabled.
    filter: FilterSwitch,
}

/// Whether a plugin's filter can be turned off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FilterSwitch {
    /// It has none.
    Absent,
    /// It is honoured.
    Honoured,
    /// It stays on: what depends on it could not be kept.
    StaysOn,
}

/// Every name of the 1.37 registry.
const KNOWN: [Known; 24] = {
    use FilterSwitch::{Absent, Honoured, StaysOn};
    const fn known(name: &'static str, filter: FilterSwitch) -> Known {
        Known { name, filter }
    }
    [
        known("DefaultBinder", Absent),
        known("DefaultPreemption", Absent),
        known("DeferredPodScheduling", Absent),
        known("DynamicResources", StaysOn),
        known("GangScheduling", Absent),
        known("ImageLocality", Absent),
        known("InterPodAffinity", StaysOn),
        known("NodeAffinity", Honoured),
        known("NodeDeclaredFeatures", Honoured),
        known("NodeName", Absent),
        known("NodePorts", Honoured),
        known("NodeResourcesBalancedAllocation", Absent),
        known("NodeResourcesFit", StaysOn),
        known("NodeUnschedulable", Honoured),
        known("NodeVolumeLimits", StaysOn),
        known("PodGroupPodsCount", Absent),
        known("PodTopologySpread", StaysOn),
        known("PrioritySort", Absent),
        known("SchedulingGates", Absent),
        known("TaintToleration", Honoured),
        known("TopologyPlacementGenerator", Absent),
        known("VolumeBinding", StaysOn),
        known("VolumeRestrictions", StaysOn),
        known("VolumeZone", StaysOn),
    ]
};

/// The plugin that Muster takes the place of: its users have it in their files.
const COSCHEDULING: &str = "Coscheduling";

/// Stands for all plugins where some are taken away.
const ALL: &str = "*";

/// Extension points at which plugins are rules of Muster.
const JUDGING: [&str; 3] = ["preFilter", "filter", "multiPoint"];

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
        apply(&path, &config.name, args, &mut profile, &mut warnings)?;
    }
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
fn is_on(plugins: &Plugins, point: &file::PluginSet, name: &str) -> bool {
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
            (FilterSwitch::Absent, _) | (_, true) => {}
            (FilterSwitch::StaysOn, false) => warnings.push(format!(
                "{path}.plugins: the filter of {} is disabled, but stays on here",
                known.name
            )),
            (FilterSwitch::Honoured, false) => {
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
            "score" | "preScore" => {
                "nodes are ranked by Muster's own order (wishes of the pod, then packing); no weight is used"
            }
            "queueSort" | "preEnqueue" => {
                "turns go by priority, age, and name, and pods with gates wait"
            }
            "postFilter" | "podGroupPostFilter" => "nothing is preempted",
            "placementGenerate" | "placementScore" => "groups are placed by Muster's own search",
            _binding => "groups are bound by Muster's own protocol",
        };
        warnings.push(format!("{path}.plugins.{point}: has no effect here: {instead}"));
    }
    let weighted = plugins.multi_point.enabled.iter().find(|plugin| plugin.weight.is_some());
    if let Some(plugin) = weighted {
        let name = &plugin.name.value;
        warnings
            .push(format!("{path}.plugins.multiPoint: the weight of {name} has no effect here"));
    }
    let enabled = plugins.points().into_iter().flat_map(|(_, set)| &set.enabled);
    if enabled.into_iter().any(|plugin| plugin.name.value == COSCHEDULING) {
        warnings
            .push(format!("{path}.plugins: {COSCHEDULING} is not needed: gangs are Muster's own"));
    }
    warnings
}

/// Takes in the arguments of one plugin.
fn apply(
    path: &str,
    name: &serde_saphyr::Spanned<String>,
    args: Option<&Value>,
    profile: &mut Profile,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigurationError> {
    let Some(args) = args else { return Ok(()) };
    let plugin = name.value.as_str();
    if plugin == COSCHEDULING {
        warnings.push(format!(
            "{path}: arguments of {COSCHEDULING} have no effect here; a PodGroup's scheduleTimeoutSeconds has"
        ));
        return Ok(());
    }
    if !is_known(plugin) {
        let message = format!("{path}: {plugin:?} is no plugin of kube-scheduler 1.37; remove it");
        return Err(placed(name, message));
    }
    let read = arguments::read(plugin, &format!("{path}.args"), args);
    match read.map_err(|message| placed(name, message))? {
        Arguments::NodeAffinity(added) => {
            profile.added_required = added.required;
            profile.added_preferred = added.preferred;
        }
        Arguments::Other(fields) => {
            let instead = instead(plugin);
            let told = fields
                .iter()
                .map(|field| format!("{path}.args.{field}: has no effect here: {instead}"));
            warnings.extend(told);
        }
    }
    Ok(())
}

/// What Muster does where a plugin's arguments have no effect.
fn instead(plugin: &str) -> &'static str {
    match plugin {
        "NodeResourcesFit" | "NodeResourcesBalancedAllocation" => {
            "every resource that a pod asks for counts, and nodes are packed"
        }
        "InterPodAffinity" => "preferred pod affinity does not rank nodes",
        "PodTopologySpread" => "pods are spread by their own constraints only",
        "VolumeBinding" => "volumes have limits of their own",
        "DefaultPreemption" => "nothing is preempted",
        _claims => "claims are not allocated",
    }
}
