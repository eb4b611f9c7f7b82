//! What cannot help a pod that other pods keep waiting does not wake it: who comes helps nobody who wants to be apart,
//! who leaves nobody who wants to be near, and no node matters that is in the same domain as before.

use std::sync::Arc;

use muster::base::labels::LabelSelector;
use muster::base::names::Name;
use muster::cluster::Cluster;
use muster::cluster::change::Changes;
use muster::cluster::facts::NodeFact;
use muster::cluster::ids::PodId;
use muster::cluster::relations::Life;
use muster::workload::ask::Ask;
use muster::workload::constraints::{Taint, TaintEffect};
use muster::workload::relations::{InclusionPolicy, PodLabels, PodTerm, Relations, Spread};

use crate::beside::{self, Pod};

const WAITS: u32 = 1_000;

fn node(name: &str, zone: &str, others: &[(&str, &str)]) -> NodeFact {
    let mut labels: Vec<(Name, Name)> =
        vec![("host".into(), name.into()), ("zone".into(), zone.into())];
    labels.extend(others.iter().map(|(key, value)| ((*key).into(), (*value).into())));
    labels.sort();
    NodeFact {
        name: name.into(),
        uid: name.into(),
        labels,
        allocatable: vec![("pods".into(), 9)],
        ..NodeFact::default()
    }
}

fn tainted(fact: NodeFact) -> NodeFact {
    let taint = Taint { key: "x".into(), value: "".into(), effect: TaintEffect::NoSchedule };
    NodeFact { taints: vec![taint], ..fact }
}

fn selector(app: &str) -> Option<LabelSelector> {
    Some(LabelSelector::parse(&format!("app={app}")).expect("it parses"))
}

fn term(app: &str, key: &str) -> PodTerm {
    PodTerm {
        selector: selector(app),
        namespaces: vec!["team".into()],
        namespace_selector: None,
        topology_key: key.into(),
    }
}

fn near(app: &str, key: &str) -> Relations {
    Relations { affinity: vec![term(app, key)], ..Relations::default() }
}

fn apart(app: &str, key: &str) -> Relations {
    Relations { anti_affinity: vec![term(app, key)], ..Relations::default() }
}

fn spread(app: &str, taints: InclusionPolicy) -> Relations {
    let constraint = Spread {
        max_skew: 1,
        topology_key: "zone".into(),
        selector: selector(app),
        namespace: "team".into(),
        min_domains: 1,
        node_affinity_policy: InclusionPolicy::Honor,
        node_taints_policy: taints,
    };
    Relations { spread: vec![constraint], ..Relations::default() }
}

fn pod(namespace: &str, app: &str, relations: Relations) -> Pod {
    let pairs = vec![("app".into(), app.into())];
    let labels = Arc::new(PodLabels { namespace: namespace.into(), pairs });
    Pod {
        ask: Arc::new(Ask { relations: relations.boxed(), ..Ask::default() }),
        labels,
        life: Life::Staying,
    }
}

/// `busy` in zone a with a db, a web, and a guard that keeps every web off its host; `idle` in zone b.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.observe_node(&node("busy", "a", &[]));
    cluster.observe_node(&node("idle", "b", &[]));
    for (id, app, relations) in [
        (0, "db", Relations::default()),
        (1, "web", Relations::default()),
        (2, "guard", apart("web", "host")),
    ] {
        beside::run(&mut cluster, id, &pod("team", app, relations), &"busy".into());
    }
    cluster
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// A pod of the app comes to `idle`.
    Comes(&'static str),
    /// The same in another namespace.
    ComesElsewhere(&'static str),
    /// The pod of this number leaves.
    Leaves(u32),
    /// The node comes to be in zone c.
    Moves(&'static str),
    /// The node gets a label that nobody reads.
    IsLabelled(&'static str),
    /// The node gets a taint.
    IsTainted(&'static str),
    /// The node's object goes.
    Goes(&'static str),
    /// An empty node in a zone of its own comes.
    Joins,
}

const DB: u32 = 0;
const WEB: u32 = 1;
const GUARD: u32 = 2;

const DEEDS: [Deed; 19] = [
    Deed::Comes("db"),
    Deed::Comes("web"),
    Deed::Comes("guard"),
    Deed::Comes("other"),
    Deed::ComesElsewhere("db"),
    Deed::ComesElsewhere("web"),
    Deed::Leaves(DB),
    Deed::Leaves(WEB),
    Deed::Leaves(GUARD),
    Deed::Moves("busy"),
    Deed::Moves("idle"),
    Deed::IsLabelled("busy"),
    Deed::IsLabelled("idle"),
    Deed::IsTainted("busy"),
    Deed::IsTainted("idle"),
    Deed::Goes("busy"),
    Deed::Goes("idle"),
    Deed::Joins,
    Deed::ComesElsewhere("other"),
];

fn zone_of(name: &str) -> &'static str {
    if name == "busy" { "a" } else { "b" }
}

/// Lets it happen; returns what it changes on its own node.
fn happen(cluster: &mut Cluster, deed: Deed) -> Changes {
    let come = |cluster: &mut Cluster, namespace: &str, app: &str| {
        let wants = if app == "guard" { apart("web", "host") } else { Relations::default() };
        beside::run(cluster, 9, &pod(namespace, app, wants), &"idle".into());
        Changes::NONE
    };
    match deed {
        Deed::Comes(app) => come(cluster, "team", app),
        Deed::ComesElsewhere(app) => come(cluster, "east", app),
        Deed::Leaves(id) => cluster.release(PodId(id)),
        Deed::Moves(name) => cluster.observe_node(&node(name, "c", &[])),
        Deed::IsLabelled(name) => {
            cluster.observe_node(&node(name, zone_of(name), &[("disk", "ssd")]))
        }
        Deed::IsTainted(name) => cluster.observe_node(&tainted(node(name, zone_of(name), &[]))),
        Deed::Goes(name) => cluster.remove_node(name),
        Deed::Joins => cluster.observe_node(&node("new", "n", &[])),
    }
}

/// The deeds that are said to help a waiting pod, each done alone.
fn helping(app: &str, wants: &Relations) -> Vec<Deed> {
    let helps = |deed: &Deed| {
        let mut cluster = cluster();
        let ask = beside::describe(&mut cluster, WAITS, &pod("team", app, wants.clone()));
        let signature = cluster.signature_of(PodId(WAITS));
        cluster.take_moved();
        happen(&mut cluster, *deed);
        let moved = cluster.take_moved();
        cluster.relations().could_help(&moved, (ask, cluster.ask(ask)), signature)
    };
    DEEDS.into_iter().filter(helps).collect()
}

#[test]
fn who_wants_to_be_near_is_helped_by_those_who_come_and_by_nodes_that_take_them_along() {
    let moved = [Deed::Moves("busy"), Deed::Goes("busy")];
    let expected = [&[Deed::Comes("db")], &moved[..]].concat();
    assert_eq!(helping("plain", &near("db", "zone")), expected);
    // A pod that is one of them itself may be the first, once there is none.
    let first = [&[Deed::Comes("db"), Deed::Leaves(DB)], &moved[..]].concat();
    assert_eq!(helping("db", &near("db", "zone")), first);
    let on_hosts = [Deed::Comes("db"), Deed::Goes("busy")];
    assert_eq!(helping("plain", &near("db", "host")), on_hosts);
}

#[test]
fn who_wants_to_be_apart_is_helped_by_those_who_leave() {
    let on_hosts = [Deed::Leaves(WEB), Deed::Goes("busy")];
    assert_eq!(helping("plain", &apart("web", "host")), on_hosts);
    let in_zones = [Deed::Leaves(DB), Deed::Moves("busy"), Deed::Goes("busy")];
    assert_eq!(helping("plain", &apart("db", "zone")), in_zones);
}

#[test]
fn who_is_kept_away_is_helped_by_its_keepers_leaving() {
    let wants = Relations::default();
    assert_eq!(helping("web", &wants), [Deed::Leaves(GUARD), Deed::Goes("busy")]);
    assert_eq!(helping("plain", &wants), [], "nobody is against it");
}

#[test]
fn who_is_spread_is_helped_by_counts_and_domains() {
    let counts = [Deed::Comes("web"), Deed::Leaves(WEB)];
    let domains = [Deed::Moves("busy"), Deed::Moves("idle")];
    let nodes = [Deed::Goes("busy"), Deed::Goes("idle"), Deed::Joins];
    let expected = [&counts[..], &domains[..], &nodes[..]].concat();
    assert_eq!(helping("web-like", &spread("web", InclusionPolicy::Ignore)), expected);
    let taints = [Deed::IsTainted("busy"), Deed::IsTainted("idle")];
    let expected = [&counts[..], &domains[..], &taints[..], &nodes[..]].concat();
    assert_eq!(helping("web-like", &spread("web", InclusionPolicy::Honor)), expected);
}
