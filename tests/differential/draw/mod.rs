//! Draws small clusters by seed: up to five nodes, a few pods on them, and one pod to be placed.
//! Names and values come from small pools, so that things meet. Each theme draws some fields richly.

mod defaults;
mod nodes;
mod pods;
mod profiles;
mod relations;
mod resources;
mod scores;
mod volumes;

use muster::base::random::Random;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::case::Case;

/// Which fields a cluster is rich in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Requests in all their forms, and what nodes offer.
    Resources,
    /// Taints and tolerations, labels and node affinity, cordons, gates.
    Nodes,
    /// Host ports.
    Ports,
    /// Pod affinity and anti-affinity.
    Affinity,
    /// Spreading over domains.
    Spread,
    /// Claims, volumes, disks, and what CSI drivers say of nodes.
    Volumes,
    /// Profiles of a configuration.
    Profiles,
    /// Scores: strategies, weights, and everything that nodes are ranked by.
    Scores,
    /// A little of each.
    Everything,
    /// Spreading of pods that say nothing of it.
    Defaults,
    /// Pods that wait and are expected on nodes, of higher and lower priority.
    Nominated,
}

impl Theme {
    /// How a run is told to take only this one.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Resources => "resources",
            Self::Nodes => "nodes",
            Self::Ports => "ports",
            Self::Affinity => "affinity",
            Self::Spread => "spread",
            Self::Volumes => "volumes",
            Self::Profiles => "profiles",
            Self::Scores => "scores",
            Self::Everything => "everything",
            Self::Defaults => "defaults",
            Self::Nominated => "nominated",
        }
    }

    /// In how many of 100 draws a field of `theme` appears where it may.
    const fn share(self, theme: Self) -> u64 {
        match (self, theme) {
            (Self::Everything, _) => 15,
            (Self::Nominated, _) => 30,
            (Self::Profiles, Self::Nodes | Self::Ports) => 40,
            (Self::Profiles, Self::Affinity | Self::Spread | Self::Resources) => 20,
            (Self::Profiles, Self::Volumes) => 30,
            (Self::Scores, Self::Resources) => 50,
            (Self::Scores, Self::Nodes | Self::Affinity | Self::Spread | Self::Volumes) => 25,
            (Self::Defaults, Self::Nodes) => 20,
            (Self::Defaults, Self::Spread) => 10,
            (one, other) if one as u8 == other as u8 => 60,
            (_, _) => 0,
        }
    }
}

/// The namespaces that exist; each has a label of its own name and one that some share.
pub(crate) const NAMESPACES: [&str; 3] = ["default", "east", "west"];

/// The case of a seed.
pub(crate) fn draw(theme: Theme, seed: u64) -> Case {
    let mut random = Random::new(seed ^ ((theme as u64) << 56));
    let random = &mut random;
    let mut objects = namespaces();
    let names: Vec<String> = (1..=1 + random.below(5)).map(|at| format!("n{at}")).collect();
    objects.extend(names.iter().map(|name| nodes::node(random, theme, name)));
    if random.chance(theme.share(Theme::Volumes)) {
        objects.extend(volumes::objects(random, &names));
    }
    if theme == Theme::Defaults {
        objects.extend(defaults::objects(random));
    }
    let count = random.below(7);
    for at in 0..count {
        let node = if random.chance(3) { "gone".to_owned() } else { random.pick(&names).clone() };
        objects.push(pods::running(random, theme, &format!("r{at}"), &node));
    }
    if theme == Theme::Nominated {
        for at in 0..1 + random.below(3) {
            let node = random.pick(&names).clone();
            objects.push(pods::expected(random, theme, &format!("e{at}"), &node));
        }
    }
    let mut pod = pods::waiting(random, theme, &names);
    if theme == Theme::Nominated {
        pods::without_empty_spread(&mut pod);
    }
    let configuration = match theme {
        Theme::Profiles => Some(profiles::configuration(random, &names)),
        Theme::Scores => Some(scores::configuration(random)),
        Theme::Defaults => Some(defaults::configuration(random)),
        Theme::Resources
        | Theme::Nodes
        | Theme::Ports
        | Theme::Affinity
        | Theme::Spread
        | Theme::Volumes
        | Theme::Everything
        | Theme::Nominated => None,
    };
    Case { pod, objects, configuration }.into_kept()
}

fn namespaces() -> Vec<Value> {
    let namespace = |name: &&str| {
        let team = if *name == "west" { "blue" } else { "red" };
        let labels = json!({"kubernetes.io/metadata.name": name, "team": team});
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    };
    NAMESPACES.iter().map(namespace).collect()
}

/// A map without the fields that are null.
fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(fields.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

/// `some` in so many of 100 draws, else null.
fn maybe(random: &mut Random, percent: u64, some: impl FnOnce(&mut Random) -> Value) -> Value {
    if random.chance(percent) { some(random) } else { Value::Null }
}

/// A list of up to `most` elements, at least `least`.
fn list(
    random: &mut Random,
    least: u64,
    most: u64,
    mut one: impl FnMut(&mut Random) -> Value,
) -> Value {
    let count = least + random.below(most - least + 1);
    (0..count).map(|_| one(random)).collect()
}
