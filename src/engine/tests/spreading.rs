//! Pods that do not say how they are spread: what a profile says of it follows what selects them. Gangs that are spread
//! among themselves: what wakes them, and what does not.

use std::sync::Arc;

use super::stage::{Stage, group, member, node, pod};
use crate::base::labels::LabelSelector;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::cluster::facts::{NodeFact, PodFact, SelectingFact, SelectingKind};
use crate::engine::event::Event;
use crate::engine::settings::Settings;
use crate::workload::profile::{DefaultSpread, Profile};
use crate::workload::relations::{InclusionPolicy, PodLabels, Spread, SpreadBy};

/// One zone more or less, at most, and no node outside of zones.
fn spreading() -> Settings {
    let constraint = Spread {
        max_skew: 1,
        topology_key: "zone".into(),
        selector: None,
        namespace: "".into(),
        min_domains: 1,
        node_affinity_policy: InclusionPolicy::Honor,
        node_taints_policy: InclusionPolicy::Ignore,
    };
    let default_spread = Some(DefaultSpread {
        required: vec![constraint],
        wished: Vec::new(),
        by: SpreadBy::Profile,
    });
    let profile = Profile { default_spread, ..Profile::default() };
    Settings {
        profiles: vec![("muster".into(), Arc::new(profile))],
        schedule_timeout: Span::seconds(600),
        ..Settings::default()
    }
}

fn selecting(kind: SelectingKind, name: &str, selector: &str) -> Event {
    let selector = LabelSelector::parse(selector).expect("the test's selector parses");
    let name = ObjectName::new("team", name);
    Event::Selecting(Box::new(SelectingFact { kind, name, uid: "1".into(), selector }))
}

fn labelled(fact: PodFact, app: &str) -> PodFact {
    let pairs = vec![("app".into(), app.into())];
    PodFact { labels: Arc::new(PodLabels { namespace: "team".into(), pairs }), ..fact }
}

/// `n1` in no zone, `a1` in zone a.
fn stage() -> Stage {
    let mut stage = Stage::with(spreading(), &[]);
    stage.tell(Event::Node(Box::new(node("n1", 8))));
    let in_zone = NodeFact { labels: vec![("zone".into(), "a".into())], ..node("a1", 1) };
    stage.tell(Event::Node(Box::new(in_zone)));
    stage
}

const NO_ZONE: &str = "web Unschedulable: 0/2 nodes are available: 1 Insufficient nvidia.com/gpu, \
                       1 node(s) didn't match pod topology spread constraints (missing required label). (web)";

#[test]
fn a_pod_waits_by_what_selects_it_and_goes_once_that_changes() {
    let mut stage = stage();
    stage.tell(selecting(SelectingKind::Service, "web", "app=web"));
    stage.put(labelled(pod("web", 2), "web"));
    stage.put(labelled(pod("batch", 2), "batch"));
    stage.settle();
    assert_eq!(stage.binds, ["batch n1"]);
    assert_eq!(stage.waiting(), [NO_ZONE]);
    let refused = stage.engine.counters().refused;
    stage.tell(selecting(SelectingKind::Service, "web", "app=web"));
    stage.tell(selecting(SelectingKind::Service, "other", "app=api"));
    stage.tell(selecting(SelectingKind::ReplicaSet, "web", "app=web"));
    stage.settle();
    assert_eq!(stage.engine.counters().refused, refused, "none of these selects it otherwise");
    stage.tell(selecting(SelectingKind::Service, "web", "app=api"));
    stage.settle();
    assert_eq!(stage.binds, ["batch n1", "web n1"]);
}

/// A gang of so many that is spread over zones a, b, and c, where c has room for one until `c` leaves. Pods `a` and `b`
/// take a seat each in the other zones, where there are many.
fn short_of_zone_c(members: u32, running_in_a: u32) -> Stage {
    let mut stage = Stage::with(spreading(), &[]);
    for (name, zone, gpus) in [("a1", "a", 20), ("b1", "b", 20), ("c1", "c", 2)] {
        let labels = vec![("zone".into(), zone.into())];
        stage.tell(Event::Node(Box::new(NodeFact { labels, ..node(name, gpus) })));
        stage.put(PodFact { node: Some(name.into()), ..pod(zone, 1) });
    }
    stage.tell(selecting(SelectingKind::Service, "web", "app=web"));
    for at in 0..running_in_a {
        let runs = PodFact { node: Some("a1".into()), ..pod(&format!("web-{at}"), 1) };
        stage.put(labelled(runs, "web"));
    }
    stage.put_group(group("g", members));
    for at in 0..members {
        stage.put(labelled(member(&format!("g-{at}"), "g", 1), "web"));
    }
    stage.settle();
    assert_eq!(stage.binds, [""; 0]);
    stage
}

#[test]
fn a_gang_that_is_spread_among_itself_is_woken_only_by_room_that_it_lacks() {
    // Two each, and c holds one: more room in a or b is of no use.
    let mut stage = short_of_zone_c(6, 0);
    let refused = stage.engine.counters().refused;
    stage.delete("a");
    stage.settle();
    stage.delete("b");
    stage.settle();
    assert_eq!(stage.engine.counters().refused, refused, "nobody was tried again");
    stage.delete("c");
    stage.settle();
    assert_eq!(stage.binds.len(), 6);
}

#[test]
fn room_where_a_domain_stays_ahead_wakes_no_gang() {
    // Three run in a: five go to b and c, where the last goes nowhere but to c.
    let mut stage = short_of_zone_c(5, 3);
    let refused = stage.engine.counters().refused;
    stage.delete("a");
    stage.settle();
    assert_eq!(stage.engine.counters().refused, refused, "nobody was tried again");
    stage.delete("c");
    stage.settle();
    assert_eq!(stage.binds.len(), 5);
}

#[test]
fn members_of_a_gang_follow_their_controller() {
    let mut stage = stage();
    stage.put_group(group("set", 2));
    for name in ["set-0", "set-1"] {
        stage.put(PodFact {
            controller: Some("StatefulSet/set".into()),
            selected_by: Some(SelectingKind::StatefulSet),
            ..labelled(member(name, "set", 0), "set")
        });
    }
    stage.tell(selecting(SelectingKind::StatefulSet, "set", "app=set"));
    stage.tell(selecting(SelectingKind::ReplicaSet, "set", "app=another"));
    stage.settle();
    assert_eq!(stage.binds, ["set-0 a1", "set-1 a1"], "the only zone holds both");
}

#[test]
fn a_recount_finds_nothing_wrong_with_pods_that_wait_or_run() {
    let mut stage = stage();
    stage.tell(selecting(SelectingKind::Service, "all", "app=web"));
    stage.put(labelled(pod("web", 2), "web"));
    stage.put(labelled(pod("zoned", 1), "web"));
    stage.settle();
    assert_eq!(stage.binds, ["zoned a1"]);
    // Whoever runs keeps what it was placed by; whoever waits follows.
    stage.tell(selecting(SelectingKind::Service, "more", "app=web,tier=front"));
    let facts: Vec<PodFact> = stage.pods_now().cloned().collect();
    assert_eq!(facts.len(), 2);
    for fact in facts {
        let disagreement = stage.engine.disagreement(&Event::Pod(Box::new(fact.clone())));
        assert_eq!(disagreement, None, "{}", fact.name);
        let other = Event::Pod(Box::new(labelled(fact, "other")));
        assert!(stage.engine.disagreement(&other).is_some(), "it can tell");
    }
    assert_eq!(stage.engine.audit(), Ok(()));
    let told = selecting(SelectingKind::Service, "all", "app=web");
    assert_eq!(stage.engine.disagreement(&told), None);
    let other = selecting(SelectingKind::Service, "all", "app=api");
    assert!(stage.engine.disagreement(&other).is_some());
}

#[test]
fn what_selects_is_forgotten_with_its_object_and_not_with_an_older_one_of_its_name() {
    let mut stage = stage();
    stage.tell(selecting(SelectingKind::Service, "web", "app=web"));
    stage.put(labelled(pod("web", 2), "web"));
    stage.settle();
    assert_eq!(stage.waiting(), [NO_ZONE]);
    let gone = |uid: &str| Event::SelectingGone {
        kind: SelectingKind::Service,
        name: ObjectName::new("team", "web"),
        uid: uid.into(),
    };
    stage.tell(gone("0"));
    stage.settle();
    assert_eq!(stage.waiting(), [NO_ZONE]);
    stage.tell(gone("1"));
    stage.settle();
    assert_eq!(stage.binds, ["web n1"]);
}
