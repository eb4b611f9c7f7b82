//! What the planner says and chooses in cases that a person can check; the properties check the rest.

use std::sync::Arc;

use super::Planner;
use super::Settings;
use super::demand::Demand;
use super::demand::Role;
use super::refusal::Cause;
use crate::base::labels::LabelSelector;
use crate::base::random::Random;
use crate::cluster::Cluster;
use crate::cluster::Held;
use crate::cluster::facts::NodeFact;
use crate::cluster::ids::NodeId;
use crate::cluster::ids::PodId;
use crate::cluster::ids::SignatureId;
use crate::cluster::node_set::NodeSet;
use crate::cluster::relations::Life;
use crate::cluster::relations::PodTraits;
use crate::plugins::cures::Cures;
use crate::plugins::weighing::SCORES;
use crate::workload::ask::Ask;
use crate::workload::profile::Profile;
use crate::workload::profile::Weighing;
use crate::workload::relations::HostPort;
use crate::workload::relations::PodLabels;
use crate::workload::relations::PodTerm;
use crate::workload::relations::Protocol;
use crate::workload::relations::Relations;
use crate::workload::scored::Counted;

const GPU: &str = "nvidia.com/gpu";

fn node(name: &str, cards: i64) -> NodeFact {
    NodeFact {
        name: name.into(),
        uid: name.into(),
        allocatable: vec![("cpu".into(), 64_000), (GPU.into(), cards), ("pods".into(), 110)],
        ..NodeFact::default()
    }
}

fn cluster(facts: impl IntoIterator<Item = NodeFact>) -> Cluster {
    let mut cluster = Cluster::new();
    for fact in facts {
        cluster.observe_node(&fact);
    }
    cluster
}

fn cards(count: i64) -> Ask {
    Ask { requests: vec![("cpu".into(), 1_000), (GPU.into(), count)], ..Ask::default() }
}

/// Members by ask; pods are numbered in this order.
fn demand(cluster: &mut Cluster, roles: &[(Ask, u32)], minimum: usize) -> Demand {
    let mut next = 0;
    let roles = roles.iter().map(|(ask, count)| {
        let members = (next..next + count).map(PodId).collect();
        next += count;
        Role { ask: cluster.intern(&Arc::new(ask.clone())), signature: SignatureId::NONE, members }
    });
    Demand { roles: roles.collect(), minimum, expected: Vec::new() }
}

/// The node of each member, or the refusal's text.
fn outcome(cluster: &mut Cluster, demand: &Demand) -> Result<Vec<(u32, u32)>, String> {
    let plan = Planner::default().plan(cluster, demand, &NodeSet::new());
    let seats = plan.map_err(|refusal| refusal.to_string())?;
    Ok(seats.seats.iter().map(|seat| (seat.pod.0, seat.node.0)).collect())
}

#[test]
fn cards_are_packed_so_that_whole_nodes_stay_free() {
    let mut cluster = cluster([node("idle", 8), node("used", 8), node("nearly-full", 8)]);
    let held = vec![(GPU.into(), 3)];
    cluster.occupy(PodId(90), Held::Other { amounts: &held, counted: Counted::NONE }, NodeId(1));
    let held = vec![(GPU.into(), 7)];
    cluster.occupy(PodId(91), Held::Other { amounts: &held, counted: Counted::NONE }, NodeId(2));
    let singles = demand(&mut cluster, &[(cards(1), 7)], 7);
    let expected = [(0, 2), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 0)];
    assert_eq!(outcome(&mut cluster, &singles), Ok(expected.to_vec()));
}

#[test]
fn pods_without_cards_stay_off_nodes_that_have_them_where_they_can() {
    let plain = NodeFact {
        allocatable: vec![("cpu".into(), 2_000), ("pods".into(), 110)],
        ..node("plain", 0)
    };
    let mut cluster = cluster([node("gpu", 8), plain]);
    let none = Ask { requests: vec![("cpu".into(), 1_000)], ..Ask::default() };
    let three = demand(&mut cluster, &[(none, 3)], 3);
    assert_eq!(outcome(&mut cluster, &three), Ok(vec![(0, 1), (1, 1), (2, 0)]));
}

#[test]
fn a_gang_is_placed_whole_or_refused_with_the_most_that_fit() {
    let mut cluster = cluster([node("a", 8), node("b", 4)]);
    let whole = demand(&mut cluster, &[(cards(4), 3)], 3);
    assert_eq!(outcome(&mut cluster, &whole), Ok(vec![(0, 1), (1, 0), (2, 0)]));
    let too_big = demand(&mut cluster, &[(cards(4), 4)], 4);
    let text = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu. \
                The gang needs 4 members placed together; at most 3 fit.";
    assert_eq!(outcome(&mut cluster, &too_big), Err(text.into()));
    let elastic = demand(&mut cluster, &[(cards(4), 4)], 2);
    assert_eq!(
        outcome(&mut cluster, &elastic).map(|seats| seats.len()),
        Ok(3),
        "those beyond the minimum too"
    );
}

#[test]
fn a_leader_and_workers_are_placed_though_greed_would_strand_them() {
    let mut cluster = cluster([node("a", 9), node("b", 10)]);
    let gang = demand(&mut cluster, &[(cards(3), 3), (cards(5), 2)], 5);
    assert_eq!(outcome(&mut cluster, &gang), Ok(vec![(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)]));
    let gang = demand(&mut cluster, &[(cards(9), 1), (cards(10), 1), (cards(1), 1)], 3);
    let text = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu. \
                The gang needs 3 members placed together; at most 2 fit.";
    assert_eq!(outcome(&mut cluster, &gang), Err(text.into()));
}

#[test]
fn of_members_that_differ_the_most_are_placed_and_the_most_are_told() {
    // Largest first seats 5 and 4, and one 3 where two would go: three of five.
    let mut cluster = cluster([node("a", 9), node("b", 6)]);
    let roles = [(cards(5), 1), (cards(4), 1), (cards(3), 3)];
    let gang = demand(&mut cluster, &roles, 2);
    let seats = outcome(&mut cluster, &gang).expect("the minimum fits");
    assert_eq!(seats.len(), 4, "{seats:?}");
    let gang = demand(&mut cluster, &roles, 5);
    let text = outcome(&mut cluster, &gang).expect_err("18 cards are asked for, 15 are there");
    assert!(text.ends_with("needs 5 members placed together; at most 4 fit."), "{text}");
}

#[test]
fn a_search_cut_short_says_so() {
    let mut cluster = cluster([node("a", 9), node("b", 10)]);
    let gang = demand(&mut cluster, &[(cards(3), 3), (cards(5), 2)], 5);
    let mut planner = Planner::new(Settings { search_steps_max: 1 });
    let refusal =
        planner.plan(&mut cluster, &gang, &NodeSet::new()).expect_err("one step is too few");
    assert!(
        refusal.to_string().ends_with("at its bound of 1 steps; a placement may exist."),
        "{refusal}"
    );
}

#[test]
fn a_cluster_without_nodes_says_what_kube_scheduler_says() {
    let mut cluster = Cluster::new();
    let single = demand(&mut cluster, &[(cards(1), 1)], 1);
    assert_eq!(outcome(&mut cluster, &single), Err("no nodes available to schedule pods".into()));
    let pair = demand(&mut cluster, &[(cards(1), 2)], 2);
    let text = "no nodes available to schedule pods. \
                The gang needs 2 members placed together; none fits.";
    assert_eq!(outcome(&mut cluster, &pair), Err(text.into()));
}

#[test]
fn a_node_that_only_pods_name_is_not_a_node() {
    let mut cluster = Cluster::new();
    let ghost = cluster.node_or_unknown(&"ghost".into());
    let held = vec![("cpu".into(), 1)];
    cluster.occupy(PodId(9), Held::Other { amounts: &held, counted: Counted::NONE }, ghost);
    let single = demand(&mut cluster, &[(Ask::default(), 1)], 1);
    assert_eq!(outcome(&mut cluster, &single), Err("no nodes available to schedule pods".into()));
    cluster.observe_node(&node("ghost", 0));
    assert_eq!(outcome(&mut cluster, &single), Ok(vec![(0, ghost.0)]));
    let all = demand(
        &mut cluster,
        &[(Ask { requests: vec![("cpu".into(), 64_000)], ..Ask::default() }, 1)],
        1,
    );
    assert_eq!(
        outcome(&mut cluster, &all),
        Err("0/1 nodes are available: 1 Insufficient cpu.".into())
    );
}

#[test]
fn a_refusal_names_the_nearest_node_and_what_cures_it() {
    let mut cordoned = node("cordoned", 8);
    cordoned.unschedulable = true;
    let mut cluster = cluster([node("small", 2), node("smaller", 1), cordoned]);
    let single = demand(&mut cluster, &[(cards(4), 1)], 1);
    let refusal = Planner::default()
        .plan(&mut cluster, &single, &NodeSet::new())
        .expect_err("no open node has four cards");
    let text =
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient nvidia.com/gpu.";
    assert_eq!(refusal.to_string(), text);
    let nearest = refusal.nearest.expect("two nodes are open");
    assert_eq!((&*nearest.node, nearest.lacking), ("small", vec![(GPU.into(), 2)]));
    assert_eq!(refusal.cured_by, Cures::NODE_ADDED | Cures::UNCORDONED | Cures::CAPACITY);
}

#[test]
fn what_is_not_honoured_is_named_and_nothing_cures_it() {
    let mut cluster = cluster([node("a", 8)]);
    let wants = Ask { unsupported: vec!["spec.volumes[0]: remove it".into()], ..cards(1) };
    let gang = demand(&mut cluster, &[(cards(1), 1), (wants, 1)], 1);
    let refusal = Planner::default()
        .plan(&mut cluster, &gang, &NodeSet::new())
        .expect_err("it is not honoured");
    assert_eq!(refusal.cause, Cause::Unsupported);
    assert_eq!(refusal.to_string(), "not supported by this scheduler: spec.volumes[0]: remove it");
    assert_eq!(refusal.cured_by, Cures::NONE);
}

#[test]
fn a_kept_place_is_named_as_the_reason() {
    let mut cluster = cluster([node("kept", 8), node("full", 0)]);
    let single = demand(&mut cluster, &[(cards(1), 1)], 1);
    let kept: NodeSet = [NodeId(0)].into_iter().collect();
    let refusal =
        Planner::default().plan(&mut cluster, &single, &kept).expect_err("the rest is full");
    assert_eq!(refusal.cause, Cause::KeptForAnother);
    let text = "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, \
                1 node(s) were kept for a gang that stands before it.";
    assert_eq!(refusal.to_string(), text);
    assert!(refusal.cured_by.contains(Cures::PLACE_FREED));
}

#[test]
fn a_place_is_kept_where_most_is_free_now() {
    let mut cluster =
        cluster([node("busy", 8), node("idle", 8), node("half", 8), node("small", 4)]);
    for (node, used) in [(0, 8), (2, 4)] {
        let held = vec![(GPU.into(), used)];
        cluster.occupy(
            PodId(90 + node),
            Held::Other { amounts: &held, counted: Counted::NONE },
            NodeId(node),
        );
    }
    let pair = demand(&mut cluster, &[(cards(8), 2)], 2);
    let mut planner = Planner::default();
    assert!(planner.would_fit_empty(&mut cluster, &pair));
    // Neither busy nor half has a seat now: the lower id is kept beside the idle one.
    assert!(planner.choose_place(&mut cluster, &pair).iter().eq([NodeId(0), NodeId(1)]));
    let hopeless = demand(&mut cluster, &[(cards(8), 4)], 4);
    assert!(!planner.would_fit_empty(&mut cluster, &hopeless));
    assert!(planner.choose_place(&mut cluster, &hopeless).is_empty());
}

#[test]
fn the_floor_counts_open_nodes_and_not_the_gangs_own_pods() {
    let mut cordoned = node("cordoned", 8);
    cordoned.unschedulable = true;
    let mut cluster = cluster([node("a", 4), node("b", 4), cordoned]);
    let held = vec![(GPU.into(), 3)];
    cluster.occupy(PodId(7), Held::Other { amounts: &held, counted: Counted::NONE }, NodeId(0));
    let planner = Planner::default();
    let floor = |cards: i64| vec![(GPU.into(), cards)];
    assert_eq!(planner.check_floor(&cluster, &floor(5), &[]), Ok(()));
    assert_eq!(planner.check_floor(&cluster, &floor(6), &[]), Err(vec![(GPU.into(), 1)]));
    assert_eq!(planner.check_floor(&cluster, &floor(8), &[PodId(7)]), Ok(()));
    let unheard = vec![("example.com/unheard".into(), 2)];
    assert_eq!(planner.check_floor(&cluster, &unheard, &[]), Err(unheard.clone()));
}

#[test]
fn members_that_take_one_port_go_to_a_node_each() {
    let mut cluster = cluster([node("a", 8), node("b", 8), node("c", 8)]);
    let port = HostPort { port: 80, protocol: Protocol::Tcp, address: None };
    let relations = Relations { host_ports: vec![port], ..Relations::default() }.boxed();
    let web = Ask { relations, ..cards(1) };
    let three = demand(&mut cluster, &[(web.clone(), 3), (cards(1), 1)], 4);
    assert_eq!(outcome(&mut cluster, &three), Ok(vec![(0, 0), (1, 1), (2, 2), (3, 0)]));
    let four = demand(&mut cluster, &[(web, 4)], 4);
    let text = "0/3 nodes are available: \
                3 node(s) didn't have free ports for the requested pod ports. \
                The gang needs 4 members placed together; at most 3 fit.";
    assert_eq!(outcome(&mut cluster, &four), Err(text.into()));
}

/// A term about pods of the nameless namespace with this label.
fn about(app: &str, key: &str) -> PodTerm {
    PodTerm {
        selector: Some(LabelSelector::parse(&format!("app={app}")).expect("it parses")),
        namespaces: vec!["".into()],
        namespace_selector: None,
        topology_key: key.into(),
    }
}

/// A demand of members that carry the label `app`; pods are numbered in this order.
fn labelled(cluster: &mut Cluster, roles: &[(Ask, &str, u32)], minimum: usize) -> Demand {
    let mut next = 0;
    let mut described = Vec::new();
    for (ask, app, count) in roles {
        let ask = cluster.intern(&Arc::new(ask.clone()));
        let pairs = vec![("app".into(), (*app).into())];
        let labels = Arc::new(PodLabels { namespace: "".into(), pairs });
        let members: Vec<PodId> = (next..next + count).map(PodId).collect();
        next += count;
        for pod in &members {
            cluster.describe(*pod, &PodTraits { ask, labels: &labels, life: Life::Staying });
        }
        described.push((ask, members));
    }
    // Which selectors match is known once all asks are.
    let role = |(ask, members): (_, Vec<PodId>)| Role {
        ask,
        signature: cluster.signature_of(members[0]),
        members,
    };
    Demand { roles: described.into_iter().map(role).collect(), minimum, expected: Vec::new() }
}

fn racked(name: &str, cards: i64, rack: &str) -> NodeFact {
    NodeFact { labels: vec![("rack".into(), rack.into())], ..node(name, cards) }
}

#[test]
fn a_gang_that_must_be_together_finds_the_rack_that_holds_it() {
    let racks = (0..40).flat_map(|rack| (0..4).map(move |at| (rack, at)));
    let cards_of = |rack| if rack == 33 { 8 } else { 7 };
    let mut cluster = cluster(racks.map(|(rack, at)| {
        racked(&format!("n{}", 4 * rack + at), cards_of(rack), &format!("r{rack}"))
    }));
    let relations = Relations { affinity: vec![about("train", "rack")], ..Relations::default() };
    let together = Ask { relations: relations.boxed(), ..cards(1) };
    let gang = labelled(&mut cluster, &[(together, "train", 32)], 32);
    let seats = outcome(&mut cluster, &gang).expect("one rack has 32 cards");
    assert!(seats.iter().all(|(_, node)| node / 4 == 33), "{seats:?}");
}

#[test]
fn a_plan_lists_the_leader_before_those_that_must_be_near_it() {
    let mut cluster = cluster([racked("a", 8, "a"), racked("b", 8, "b")]);
    let relations = Relations { affinity: vec![about("leader", "rack")], ..Relations::default() };
    let worker = Ask { relations: relations.boxed(), ..cards(2) };
    let gang = labelled(&mut cluster, &[(worker, "worker", 3), (cards(1), "leader", 1)], 4);
    let seats = outcome(&mut cluster, &gang).expect("both racks hold it");
    assert_eq!(seats[0].0, 3, "the leader is the fourth pod: {seats:?}");
    assert!(seats.iter().all(|(_, node)| *node == seats[0].1), "{seats:?}");
}

#[test]
fn equal_members_on_a_node_each_are_refused_with_the_most_that_fit_and_no_long_search() {
    let mut cluster = cluster((0..300).map(|at| racked(&format!("n{at}"), 8, "a")).map(|fact| {
        let host = ("host".into(), fact.name.clone());
        NodeFact { labels: vec![host, fact.labels[0].clone()], ..fact }
    }));
    let relations = Relations { anti_affinity: vec![about("web", "host")], ..Relations::default() };
    let apart = Ask { relations: relations.boxed(), ..cards(1) };
    let gang = labelled(&mut cluster, &[(apart, "web", 400)], 400);
    let text = outcome(&mut cluster, &gang).expect_err("there are 300 nodes");
    let expected = "0/300 nodes are available: 300 node(s) didn't match pod anti-affinity rules. \
                    The gang needs 400 members placed together; at most 300 fit.";
    assert_eq!(text, expected);
}

/// Ranked by all of kube-scheduler's scores, with its default weights.
fn scored(ask: Ask) -> Ask {
    let mut weights: Vec<_> = SCORES.iter().map(|score| (score.name, score.weight)).collect();
    weights.sort_unstable();
    let resources = vec![("cpu".into(), 1), (GPU.into(), 3)];
    let balanced = vec!["cpu".into(), GPU.into()];
    let weighing = Weighing { weights, resources, balanced, ..Weighing::default() };
    let profile = Profile { weighing: Some(weighing), ..Profile::default() };
    Ask { profile: Some(Arc::new(profile)), ..ask }
}

#[test]
fn members_ranked_by_scores_go_where_each_would_go_alone_after_those_before_it() {
    let mut random = Random::new(5);
    for _ in 0..200 {
        let mut draw = |at: u32| node(&format!("n{at}"), random.below(7) as i64);
        let mut cluster = cluster((0..6).map(&mut draw));
        for pod in 90..90 + random.below(6) as u32 {
            let held = vec![("cpu".into(), 100 + random.below(30_000) as i64), (GPU.into(), 1)];
            let counted = Counted { cpu: held[0].1, memory: 0 };
            let on = NodeId(random.below(6) as u32);
            cluster.occupy(PodId(pod), Held::Other { amounts: &held, counted }, on);
        }
        let ask = scored(cards(1 + random.below(2) as i64));
        let gang = demand(&mut cluster, &[(ask.clone(), 7)], 1);
        let together: Vec<u32> = match outcome(&mut cluster, &gang) {
            Ok(seats) => seats.into_iter().map(|(_, node)| node).collect(),
            Err(_) => Vec::new(),
        };
        let mut alone = Vec::new();
        for pod in 0..7 {
            let role = Role { members: vec![PodId(pod)], ..gang.roles[0].clone() };
            let single = Demand { roles: vec![role], minimum: 1, expected: Vec::new() };
            let Ok(seats) = outcome(&mut cluster, &single) else { break };
            cluster.assume(PodId(pod), gang.roles[0].ask, NodeId(seats[0].1));
            alone.push(seats[0].1);
        }
        assert_eq!(together, alone);
    }
}

#[test]
fn members_that_differ_and_are_ranked_by_scores_find_room_before_rank() {
    // One after the other, the large ones are spread over both machines, and the last small one finds no seat.
    let mut cluster = cluster([node("a", 6), node("b", 4)]);
    let gang = demand(&mut cluster, &[(scored(cards(2)), 2), (scored(cards(3)), 2)], 4);
    let mut seats = outcome(&mut cluster, &gang).expect("the large ones fit on one machine");
    seats.sort_unstable();
    assert_eq!(seats, [(0, 1), (1, 1), (2, 0), (3, 0)]);
}
