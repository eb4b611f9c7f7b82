//! Members of a gang that share and compete for volumes: a plan is found exactly where some order of the members allows
//! one, each getting what kube-scheduler's binder would choose for it at its turn. The plain search tries every order
//! and every node, and reads rules off the facts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster::base::names::{Name, ObjectName};
use muster::base::random::Random;
use muster::cluster::Cluster;
use muster::cluster::audit::audit;
use muster::cluster::facts::NodeFact;
use muster::cluster::ids::PodId;
use muster::cluster::node_set::NodeSet;
use muster::cluster::relations::{Life, PodTraits};
use muster::cluster::storage::facts::{
    AccessModes, Backing, BindingMode, ClaimFact, ClaimShape, ClassFact, CsiNodeFact, StorageFact,
    VolumeFact, VolumeMode,
};
use muster::planner::Planner;
use muster::planner::demand::{Demand, Role};
use muster::planner::referee;
use muster::planner::refusal::SearchEnd;
use muster::workload::ask::Ask;
use muster::workload::constraints::{NodeOperator, NodeRequirement, NodeTerm};
use muster::workload::relations::PodLabels;
use muster::workload::volumes::{ClaimOrigin, ClaimUse, Disk, DiskAccess, DiskSource, PodVolume};

const DRIVER: &str = "csi.example.com";

/// A claim: what it asks for, and whether it can be provisioned.
#[derive(Clone, Debug)]
struct Claim {
    request: i64,
    provisioned: bool,
    for_one_pod: bool,
}

/// A volume, and the node that alone reaches it.
#[derive(Clone, Debug)]
struct Volume {
    capacity: i64,
    node: Option<usize>,
}

/// A node: pods that it takes, and volumes that the driver attaches.
#[derive(Clone, Debug)]
struct Node {
    pods: i64,
    attaches: Option<i64>,
}

/// What a member mounts: claims by number, and the disk that all members of the world know.
#[derive(Clone, Debug)]
struct Member {
    claims: Vec<usize>,
    disk: Option<DiskAccess>,
}

#[derive(Clone, Debug)]
struct World {
    nodes: Vec<Node>,
    claims: Vec<Claim>,
    volumes: Vec<Volume>,
    members: Vec<Member>,
    minimum: usize,
}

/// What a claim got: a volume, or a node to be provisioned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Got {
    Volume(usize),
    Provisioned(usize),
}

/// Who is where, and which claim got what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    placed: Vec<Option<usize>>,
    got: BTreeMap<usize, Got>,
}

impl World {
    fn draw(random: &mut Random) -> Self {
        let nodes: Vec<Node> = (0..1 + random.below(3))
            .map(|_| Node {
                pods: 1 + random.below(4) as i64,
                attaches: random.chance(40).then(|| random.below(3) as i64),
            })
            .collect();
        let claims: Vec<Claim> = (0..1 + random.below(4))
            .map(|_| Claim {
                request: 1 + random.below(3) as i64,
                provisioned: random.chance(30),
                for_one_pod: random.chance(10),
            })
            .collect();
        let volumes = (0..random.below(5))
            .map(|_| Volume {
                capacity: 1 + random.below(4) as i64,
                node: random.chance(70).then(|| random.below(nodes.len() as u64) as usize),
            })
            .collect();
        let members: Vec<Member> = (0..1 + random.below(4))
            .map(|_| {
                let mut own: Vec<usize> = (0..random.below(3))
                    .map(|_| random.below(claims.len() as u64) as usize)
                    .collect();
                own.sort_unstable();
                own.dedup();
                let access = match random.chance(50) {
                    true => DiskAccess::ReadOnly,
                    false => DiskAccess::ReadWrite,
                };
                Member { claims: own, disk: random.chance(15).then_some(access) }
            })
            .collect();
        let total = members.len() as u64;
        let minimum = if random.chance(70) { total } else { 1 + random.below(total) } as usize;
        Self { nodes, claims, volumes, members, minimum }
    }

    /// The most members that can be placed, one after the other.
    fn most_members(&self) -> usize {
        let start = State { placed: vec![None; self.members.len()], got: BTreeMap::new() };
        self.most_from(&start, &mut BTreeSet::new())
    }

    fn most_from(&self, state: &State, seen: &mut BTreeSet<State>) -> usize {
        let mut best = state.placed.iter().flatten().count();
        for member in (0..self.members.len()).filter(|member| state.placed[*member].is_none()) {
            for node in 0..self.nodes.len() {
                if best == self.members.len() {
                    return best;
                }
                if let Some(next) = self.after(state, member, node)
                    && seen.insert(next.clone())
                {
                    best = best.max(self.most_from(&next, seen));
                }
            }
        }
        best
    }

    /// The state with one more member on a node; `None` if kube-scheduler's filters say no.
    fn after(&self, state: &State, member: usize, node: usize) -> Option<State> {
        let own = &self.members[member];
        let placed = state.placed.iter().zip(&self.members);
        let placed: Vec<(usize, &Member)> =
            placed.filter_map(|(at, other)| Some(((*at)?, other))).collect();
        let here: Vec<&Member> =
            placed.iter().filter(|(at, _)| *at == node).map(|(_, other)| *other).collect();
        if here.len() as i64 >= self.nodes[node].pods {
            return None;
        }
        let alone = |claim: &usize| self.claims[*claim].for_one_pod;
        let used = |claim: &usize| placed.iter().any(|(_, other)| other.claims.contains(claim));
        if own.claims.iter().any(|claim| alone(claim) && used(claim)) {
            return None;
        }
        let both_read = |other: DiskAccess| {
            own.disk == Some(DiskAccess::ReadOnly) && other == DiskAccess::ReadOnly
        };
        if own.disk.is_some()
            && here.iter().filter_map(|other| other.disk).any(|disk| !both_read(disk))
        {
            return None;
        }
        if !self.attaches(&here, own, node) {
            return None;
        }
        let mut next = state.clone();
        next.placed[member] = Some(node);
        self.bind(&mut next, own, node).then_some(next)
    }

    /// Whether the driver can attach what it is to make for the newcomer beside what it makes for those that are here.
    fn attaches(&self, here: &[&Member], own: &Member, node: usize) -> bool {
        let made = |claim: &&usize| self.claims[**claim].provisioned;
        let others: BTreeSet<&usize> =
            here.iter().flat_map(|other| &other.claims).filter(made).collect();
        let new = own.claims.iter().filter(made).filter(|claim| !others.contains(claim)).count();
        let limit = self.nodes[node].attaches.unwrap_or(i64::MAX);
        new == 0 || (others.len() + new) as i64 <= limit
    }

    /// Gives each claim what it gets; small ones first, each the smallest volume that will do.
    fn bind(&self, state: &mut State, own: &Member, node: usize) -> bool {
        let mut open = Vec::new();
        for claim in &own.claims {
            match state.got.get(claim) {
                Some(Got::Provisioned(at)) if *at != node => return false,
                Some(Got::Volume(volume)) if !self.reaches(*volume, node) => return false,
                Some(_) => {}
                None => open.push(*claim),
            }
        }
        open.sort_by_key(|claim| self.claims[*claim].request);
        for claim in open {
            let taken: Vec<Got> = state.got.values().copied().collect();
            let fits = |volume: &usize| {
                !taken.contains(&Got::Volume(*volume))
                    && self.volumes[*volume].capacity >= self.claims[claim].request
                    && !self.claims[claim].provisioned
                    && self.reaches(*volume, node)
            };
            let smallest = (0..self.volumes.len())
                .filter(fits)
                .min_by_key(|at| (self.volumes[*at].capacity, *at));
            let got = match smallest {
                Some(volume) => Got::Volume(volume),
                None if self.claims[claim].provisioned => Got::Provisioned(node),
                None => return false,
            };
            state.got.insert(claim, got);
        }
        true
    }

    fn reaches(&self, volume: usize, node: usize) -> bool {
        self.volumes[volume].node.is_none_or(|at| at == node)
    }

    fn cluster(&self) -> Cluster {
        let mut cluster = Cluster::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let name: Name = format!("n{at}").into();
            cluster.observe_node(&NodeFact {
                uid: name.clone(),
                name: name.clone(),
                labels: vec![("host".into(), name.clone())],
                allocatable: vec![("pods".into(), node.pods)],
                ..NodeFact::default()
            });
            cluster.observe_storage(StorageFact::CsiNode(CsiNodeFact {
                node: name.clone(),
                uid: name,
                drivers: vec![(DRIVER.into(), node.attaches)],
                migrated: Vec::new(),
            }));
        }
        for (name, provisioner) in [("local", "kubernetes.io/no-provisioner"), ("made", DRIVER)] {
            cluster.observe_storage(StorageFact::Class(ClassFact {
                name: name.into(),
                uid: name.into(),
                provisioner: provisioner.into(),
                binding: BindingMode::WaitForFirstConsumer,
                topologies: Vec::new(),
            }));
        }
        for (at, volume) in self.volumes.iter().enumerate() {
            cluster.observe_storage(StorageFact::Volume(volume_fact(at, volume)));
        }
        for (at, claim) in self.claims.iter().enumerate() {
            cluster.observe_storage(StorageFact::Claim(claim_fact(at, claim)));
        }
        cluster
    }

    fn demand(&self, cluster: &mut Cluster) -> Demand {
        let labels = Arc::new(PodLabels { namespace: "d".into(), pairs: Vec::new() });
        let mut roles: Vec<Role> = Vec::new();
        for (id, member) in (0..).map(PodId).zip(&self.members) {
            let ask = cluster.intern(&ask(member));
            cluster.describe(id, &PodTraits { ask, labels: &labels, life: Life::Staying });
            let signature = cluster.signature_of(id);
            match roles.iter_mut().find(|role| (role.ask, role.signature) == (ask, signature)) {
                Some(role) => role.members.push(id),
                None => roles.push(Role { ask, signature, members: vec![id] }),
            }
        }
        Demand { roles, minimum: self.minimum, expected: Vec::new() }
    }
}

fn ask(member: &Member) -> Arc<Ask> {
    let claims = member.claims.iter().map(|at| {
        let claim = ObjectName::new("d", &format!("c{at}"));
        PodVolume::Claim(ClaimUse { claim, origin: ClaimOrigin::Named })
    });
    let source = DiskSource::Gce("disk".into());
    let disk = member.disk.map(|access| PodVolume::Disk(Disk { source, access }));
    Arc::new(Ask { volumes: claims.chain(disk).collect(), ..Ask::default() })
}

/// Names in an order that is that of the numbers: there are fewer than ten.
fn volume_fact(at: usize, volume: &Volume) -> VolumeFact {
    let on_node = |node: usize| {
        let values = vec![format!("n{node}").into()];
        let wanted = NodeRequirement { key: "host".into(), operator: NodeOperator::In, values };
        vec![NodeTerm { match_expressions: vec![wanted], ..NodeTerm::default() }]
    };
    let name: Name = format!("v{at}").into();
    VolumeFact {
        uid: name.clone(),
        name,
        resource_version: 1,
        deleting: false,
        available: true,
        claim: None,
        bound_by_controller: false,
        labels: Vec::new(),
        node_terms: volume.node.map(on_node),
        class: "local".into(),
        capacity: volume.capacity,
        modes: AccessModes::of(["ReadWriteOnce", "ReadWriteOncePod"]),
        mode: VolumeMode::Filesystem,
        attributes_class: "".into(),
        backing: Backing::Uncounted,
    }
}

fn claim_fact(at: usize, claim: &Claim) -> ClaimFact {
    let mode = if claim.for_one_pod { "ReadWriteOncePod" } else { "ReadWriteOnce" };
    let name = format!("c{at}");
    ClaimFact {
        name: ObjectName::new("d", &name),
        uid: name.as_str().into(),
        resource_version: 1,
        deleting: false,
        lost: false,
        volume: None,
        bind_completed: false,
        selected_node: None,
        controller: None,
        shape: ClaimShape {
            class: if claim.provisioned { "made" } else { "local" }.into(),
            request: Some(claim.request),
            modes: AccessModes::of([mode]),
            ..ClaimShape::default()
        },
    }
}

#[test]
fn a_plan_exists_exactly_where_some_order_gives_everybody_a_volume() {
    let (mut found, mut refused) = (0, 0);
    for seed in 0..12_000 {
        let mut random = Random::new(seed);
        let world = World::draw(&mut random);
        let most = world.most_members();
        let mut cluster = world.cluster();
        let demand = world.demand(&mut cluster);
        match Planner::default().plan(&mut cluster, &demand, &NodeSet::new()) {
            Ok(plan) => {
                found += 1;
                assert!(most >= world.minimum, "seed {seed}: {plan:?} of {most}: {world:?}");
                referee::judge(&cluster, &demand, &plan)
                    .unwrap_or_else(|violation| panic!("seed {seed}: {violation}: {world:?}"));
            }
            Err(refusal) => {
                refused += 1;
                assert!(most < world.minimum, "seed {seed}: {most} fit, but: {refusal}: {world:?}");
                assert_eq!(refusal.search, SearchEnd::Exhausted, "seed {seed}: {world:?}");
            }
        }
        assert!(cluster.storage().promises().is_empty(), "seed {seed}: the draft left a trace");
        audit(&cluster).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
    assert!(found > 3_000 && refused > 1_500, "{found} found, {refused} refused");
}
