//! What becomes of whole objects: every field that scheduling reads, and everything that is refused by name.

use serde_json::Value;
use serde_json::json;

use super::Kind;
use super::Translator;
use super::works_everywhere;
use crate::base::labels::LabelSelector;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::cluster::facts::GroupFact;
use crate::cluster::facts::GroupSource;
use crate::cluster::facts::NodeFact;
use crate::cluster::facts::PodFact;
use crate::cluster::facts::PodPhase;
use crate::engine::event::Event;
use crate::workload::constraints::NodeOperator;
use crate::workload::constraints::TaintEffect;
use crate::workload::constraints::TolerationOperator;
use crate::workload::relations::HostPort;
use crate::workload::relations::InclusionPolicy;
use crate::workload::relations::Protocol;
use crate::workload::relations::Spread;

fn pods(translator: &mut Translator, object: &Value) -> Vec<PodFact> {
    let translated = translator.applied(Kind::Pod, object);
    assert_eq!(translated.complaint, None);
    let fact = |event| {
        let Event::Pod(fact) = event else { panic!("a pod became something else: {event:?}") };
        *fact
    };
    translated.events.into_iter().map(fact).collect()
}

fn pod(object: &Value) -> PodFact {
    let mut facts = pods(&mut Translator::new(), object);
    assert_eq!(facts.len(), 1);
    facts.remove(0)
}

fn node(object: &Value) -> (NodeFact, Option<String>) {
    let mut translated = Translator::new().applied(Kind::Node, object);
    let Event::Node(fact) = translated.events.remove(0) else {
        panic!("a node became something else")
    };
    (*fact, translated.complaint)
}

fn group(source: GroupSource, object: &Value) -> GroupFact {
    let mut translated = Translator::new().applied(Kind::Group(source), object);
    let Event::Group(fact) = translated.events.remove(0) else {
        panic!("a group became something else")
    };
    *fact
}

/// A pod of namespace `d` with `spec` and one container.
fn with_spec(spec: Value) -> Value {
    let mut pod = json!({"metadata": {"name": "p", "namespace": "d", "uid": "u"}, "spec": spec});
    pod["spec"]["containers"] = json!([{"name": "c"}]);
    pod
}

fn unsupported(spec: Value) -> Vec<String> {
    pod(&with_spec(spec)).ask.unsupported.iter().map(|entry| entry.to_string()).collect()
}

#[test]
fn a_pod_as_the_api_server_sends_it() {
    let fact = pod(&json!({
        "metadata": {
            "name": "w-0", "namespace": "team", "uid": "u-1", "resourceVersion": "42",
            "creationTimestamp": "1970-01-01T00:00:05Z", "deletionTimestamp": null,
            "labels": {"scheduling.x-k8s.io/pod-group": "train"}, "annotations": {"any": "thing"},
            "ownerReferences": [{"kind": "Other", "name": "o"}, {"kind": "Job", "name": "train", "controller": true}],
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {
            "schedulerName": "muster", "priority": 7, "nodeSelector": {"b": "2", "a": "1"},
            "schedulingGates": [{"name": "example.com/wait"}],
            "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoSchedule"}, {"key": "l", "value": "v"},
                            {"operator": "Gt"}, {"operator": "Exists", "effect": "Sometimes"}],
            "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}],
        },
        "status": {"phase": "Pending"},
    }));
    assert_eq!(fact.name, ObjectName::new("team", "w-0"));
    assert_eq!((&*fact.uid, fact.resource_version), ("u-1", 42));
    assert_eq!(fact.created, Time::EPOCH + Span::seconds(5));
    assert_eq!((&*fact.scheduler, fact.priority), ("muster", 7));
    let group = fact.group.expect("it is labelled");
    assert_eq!(
        (group.name, group.source),
        (ObjectName::new("team", "train"), GroupSource::Coscheduling)
    );
    assert_eq!(
        (fact.node, fact.phase, fact.deleting, fact.pinned_to_node),
        (None, PodPhase::Pending, false, false)
    );
    assert_eq!(fact.gates.iter().map(|gate| &**gate).collect::<Vec<_>>(), ["example.com/wait"]);
    assert_eq!(fact.controller.as_deref(), Some("Job/train"));
    assert_eq!(fact.malformed, None);
    assert_eq!(fact.ask.requests, [("cpu".into(), 1000)]);
    assert_eq!(fact.ask.node_selector, [("a".into(), "1".into()), ("b".into(), "2".into())]);
    let operators: Vec<_> =
        fact.ask.tolerations.iter().map(|toleration| toleration.operator).collect();
    use TolerationOperator::{Equal, Exists, Never};
    assert_eq!(operators, [Exists, Equal, Never, Never]);
    assert_eq!(fact.ask.tolerations[0].effect, Some(TaintEffect::NoSchedule));
    assert!(fact.ask.unsupported.is_empty());
}

#[test]
fn a_bare_manifest_gets_what_the_api_server_would_fill_in() {
    let fact = pod(
        &json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}], "nodeName": ""}}),
    );
    assert_eq!(
        (&*fact.scheduler, fact.priority, fact.resource_version),
        ("default-scheduler", 0, 0)
    );
    assert_eq!((fact.created, fact.node, fact.group), (Time::EPOCH, None, None));
}

#[test]
fn phases_and_who_pins_a_pod_to_its_node() {
    let phase =
        |text: &str| pod(&json!({"metadata": {"name": "p"}, "status": {"phase": text}})).phase;
    assert_eq!(phase("Unknown"), PodPhase::Running);
    assert_eq!(phase("Succeeded"), PodPhase::Succeeded);
    assert_eq!(phase("Failed"), PodPhase::Failed);
    let pinned = |metadata: Value| pod(&json!({"metadata": metadata})).pinned_to_node;
    let owner = |kind: &str| json!({"name": "p", "ownerReferences": [{"kind": kind, "name": "o", "controller": true}]});
    assert!(pinned(owner("DaemonSet")));
    assert!(!pinned(owner("ReplicaSet")));
    assert!(pinned(json!({"name": "p", "annotations": {"kubernetes.io/config.mirror": "hash"}})));
    assert!(
        pod(&json!({"metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}}))
            .deleting
    );
}

#[test]
fn every_form_of_membership() {
    let of = |labels: Value, group: Value| {
        let object = json!({"metadata": {"name": "p", "namespace": "d", "labels": labels}, "spec": {"schedulingGroup": group}});
        let fact = pod(&object);
        (fact.group.map(|group| (group.name.to_string(), group.source)), fact.malformed)
    };
    let by_label = |name: &str| Some((format!("d/{name}"), GroupSource::Coscheduling));
    assert_eq!(
        of(json!({"scheduling.x-k8s.io/pod-group": "g"}), json!(null)),
        (by_label("g"), None)
    );
    assert_eq!(of(json!({"scheduling.k8s.io/pod-group": "g"}), json!(null)), (by_label("g"), None));
    assert_eq!(of(json!({"scheduling.x-k8s.io/pod-group": ""}), json!(null)), (None, None));
    let native = of(json!({}), json!({"podGroupName": "g"}));
    assert_eq!(native, (Some(("d/g".to_owned(), GroupSource::Native)), None));
    let (_, both) = of(
        json!({"scheduling.x-k8s.io/pod-group": "a", "scheduling.k8s.io/pod-group": "b"}),
        json!(null),
    );
    assert!(both.expect("they disagree").contains("keep one of them"));
    let (_, both) = of(json!({"scheduling.x-k8s.io/pod-group": "g"}), json!({"podGroupName": "g"}));
    assert!(both.expect("two groups").contains("member of one group"));
}

#[test]
fn node_affinity_with_every_operator_and_what_does_not_parse() {
    let term = |requirement: Value| json!({"matchExpressions": [requirement]});
    let fact = pod(&with_spec(json!({"affinity": {"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            term(json!({"key": "k", "operator": "In", "values": ["a", "b"]})),
            term(json!({"key": "k", "operator": "NotIn", "values": ["a"]})),
            term(json!({"key": "k", "operator": "Exists"})),
            term(json!({"key": "k", "operator": "DoesNotExist", "values": null})),
            term(json!({"key": "k", "operator": "Gt", "values": ["5"]})),
            term(json!({"key": "k", "operator": "Lt", "values": ["5"]})),
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]},
            {},
        ]},
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 30, "preference": term(json!({"key": "k", "operator": "Exists"}))},
        ],
    }}})));
    let terms = fact.ask.required_terms.as_ref().expect("there are terms");
    use NodeOperator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};
    let operators: Vec<_> =
        terms.iter().flat_map(|term| &term.match_expressions).map(|one| one.operator).collect();
    assert_eq!(operators, [In, NotIn, Exists, DoesNotExist, Gt, Lt]);
    assert_eq!(&*terms[6].match_fields[0].values[0], "n1");
    assert!(terms.iter().all(|term| term.malformed.is_none()));
    assert_eq!(fact.ask.preferred_terms[0].weight, 30);

    for (list, requirement) in [
        ("matchExpressions", json!({"key": "k", "operator": "Maybe"})),
        ("matchExpressions", json!({"key": "k", "operator": "In"})),
        ("matchExpressions", json!({"key": "k", "operator": "Exists", "values": ["a"]})),
        ("matchExpressions", json!({"key": "k", "operator": "Gt", "values": ["a"]})),
        ("matchExpressions", json!({"key": "k", "operator": "Lt", "values": ["1", "2"]})),
        ("matchFields", json!({"key": "metadata.name", "operator": "Exists"})),
        ("matchFields", json!({"key": "metadata.name", "operator": "In", "values": ["a", "b"]})),
        ("matchFields", json!({"key": "spec.x", "operator": "In", "values": ["a"]})),
    ] {
        let fact = pod(&with_spec(json!({"affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{list: [requirement]}]},
        }}})));
        let terms = fact.ask.required_terms.as_ref().expect("there is a term");
        assert!(terms[0].malformed.is_some(), "{list} {requirement}");
        assert_eq!(fact.malformed, None, "upstream, too, lets such a term match nothing");
    }
}

#[test]
fn what_is_not_honoured_yet_is_refused_by_name() {
    let found = unsupported(json!({"resourceClaims": [{"name": "gpu"}]}));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("spec.resourceClaims"), "{found:?}");
    let annotated = |key: &str| {
        pod(&json!({"metadata": {"name": "p", "annotations": {key: "rack"}}})).ask.unsupported.len()
    };
    assert_eq!(annotated("muster.dev/required-topology"), 1);
    assert_eq!(annotated("kueue.x-k8s.io/podset-required-topology"), 1);
    assert_eq!(annotated("kueue.x-k8s.io/podset-slice-required-topology"), 1);
}

#[test]
fn wishes_and_plain_volumes_refuse_nothing() {
    let found = unsupported(json!({
        "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "x"}}, {"name": "c", "secret": {}},
                    {"name": "d", "projected": {}}, {"name": "e", "downwardAPI": {}}, {"name": "f", "hostPath": {"path": "/"}}, {"name": "g", "csi": {"driver": "d"}}],
        "topologySpreadConstraints": [{"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}},
        "initContainers": [{"name": "i", "ports": [{"hostPort": 80}]}],
    }));
    assert!(found.is_empty(), "{found:?}");
    let annotations = json!({"muster.dev/preferred-topology": "rack", "kueue.x-k8s.io/podset-preferred-topology": "rack"});
    assert!(
        pod(&json!({"metadata": {"name": "p", "annotations": annotations}}))
            .ask
            .unsupported
            .is_empty()
    );
}

#[test]
fn equal_pods_share_one_ask_and_a_resized_pod_says_what_it_holds() {
    let mut translator = Translator::new();
    let object = |name: &str, status: Value| {
        json!({"metadata": {"name": name, "uid": name}, "status": status,
               "spec": {"nodeName": "n", "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}})
    };
    let one = pods(&mut translator, &object("a", json!({}))).remove(0);
    let other = pods(&mut translator, &object("b", json!({}))).remove(0);
    assert!(std::sync::Arc::ptr_eq(&one.ask, &other.ask));
    assert_eq!(one.held, None);
    let status = json!({"containerStatuses": [{"name": "c", "allocatedResources": {"cpu": "2"}}]});
    let resized = pods(&mut translator, &object("a", status)).remove(0);
    assert_eq!(resized.held, Some(vec![("cpu".into(), 2000)]));
    assert_eq!(resized.ask.requests, [("cpu".into(), 1000)]);
}

#[test]
fn a_malformed_pod_says_what_and_the_rest_of_it_counts() {
    let fact = pod(&json!({
        "metadata": {"name": "p", "uid": "u"},
        "spec": {"nodeName": "n", "priority": "high",
                 "containers": [{"name": "c", "resources": {"requests": {"cpu": "1", "memory": "lots"}}}]},
    }));
    let malformed = fact.malformed.expect("two fields are wrong");
    assert!(malformed.contains("spec.priority: \"high\""), "{malformed}");
    assert!(
        malformed.contains("spec.containers[0].resources.requests.memory: \"lots\""),
        "{malformed}"
    );
    assert_eq!(fact.node.as_deref(), Some("n"));
    assert_eq!(fact.ask.requests, [("cpu".into(), 1000)]);
}

#[test]
fn an_object_without_a_name_is_complained_about_and_told_to_nobody() {
    let translated = Translator::new().applied(Kind::Pod, &json!({"metadata": {}}));
    assert!(translated.events.is_empty());
    assert_eq!(
        translated.complaint.as_deref(),
        Some("pod without metadata.name is ignored; give it a name")
    );
    assert!(Translator::new().applied(Kind::Node, &json!([1])).events.is_empty());
}

#[test]
fn a_node_as_the_api_server_sends_it() {
    let (fact, complaint) = node(&json!({
        "metadata": {"name": "a1", "uid": "u", "labels": {"zone": "z", "arch": "amd64"}},
        "spec": {"unschedulable": true, "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]},
        "status": {"capacity": {"cpu": "9"}, "allocatable": {"cpu": "7900m", "memory": "1Gi", "nvidia.com/gpu": "0", "pods": "110"}},
    }));
    assert_eq!(complaint, None);
    assert_eq!((&*fact.name, fact.unschedulable), ("a1", true));
    assert_eq!(fact.labels[0], ("arch".into(), "amd64".into()));
    assert_eq!(fact.taints[0].effect, TaintEffect::NoSchedule);
    let expected = [("cpu", 7900), ("memory", 1 << 30), ("nvidia.com/gpu", 0), ("pods", 110)];
    assert_eq!(fact.allocatable, expected.map(|(name, amount)| (name.into(), amount)));
}

#[test]
fn a_node_without_allocatable_offers_its_capacity_and_a_wrong_one_is_complained_about() {
    let (fact, complaint) =
        node(&json!({"metadata": {"name": "a1"}, "status": {"capacity": {"pods": 3}}}));
    assert_eq!((fact.allocatable, complaint), (vec![("pods".into(), 3)], None));
    let (fact, complaint) = node(
        &json!({"metadata": {"name": "a1"}, "status": {"allocatable": {"cpu": "x", "pods": "3"}}}),
    );
    assert_eq!(fact.allocatable, [("pods".into(), 3)]);
    assert!(complaint.expect("cpu is wrong").starts_with("node a1: status.allocatable.cpu: \"x\""));
    let (fact, complaint) = node(&json!({"metadata": {"name": "a1"}}));
    assert!(fact.allocatable.is_empty());
    assert!(complaint.expect("it has nothing").contains("no pod fits here"));
}

#[test]
fn the_coscheduling_group_and_its_absurd_values() {
    let of = |spec: Value| {
        group(
            GroupSource::Coscheduling,
            &json!({"metadata": {"name": "g", "namespace": "d", "generation": 3}, "spec": spec}),
        )
    };
    let fact = of(
        json!({"minMember": 4, "scheduleTimeoutSeconds": 300, "minResources": {"nvidia.com/gpu": "8"}}),
    );
    assert_eq!((fact.minimum, fact.generation), (Some(4), 3));
    assert_eq!(fact.schedule_timeout, Some(Span::seconds(300)));
    assert_eq!(fact.min_resources, [("nvidia.com/gpu".into(), 8)]);
    assert_eq!(fact.malformed, None);
    assert_eq!(of(json!({})).minimum, Some(1));
    assert_eq!(of(json!({"scheduleTimeoutSeconds": 0})).schedule_timeout, None);
    assert_eq!(of(json!({"minMember": i32::MAX})).malformed, None);
    for absurd in [json!(0), json!(-1), json!(2_147_483_648_i64), json!("four"), json!(1.5)] {
        let fact = of(json!({"minMember": absurd}));
        let malformed = fact.malformed.expect("absurd");
        assert!(malformed.starts_with("spec.minMember: "), "{malformed}");
    }
    let wrong = of(json!({"minResources": {"cpu": "much"}})).malformed.expect("no quantity");
    assert!(wrong.starts_with("spec.minResources.cpu: \"much\""), "{wrong}");
    assert!(of(json!({"scheduleTimeoutSeconds": -5})).malformed.is_some());
}

#[test]
fn the_native_group_of_both_releases() {
    let of = |spec: Value, status: Value| {
        group(
            GroupSource::Native,
            &json!({"metadata": {"name": "g"}, "spec": spec, "status": status}),
        )
    };
    let gang = json!({"schedulingPolicy": {"gang": {"minCount": 2}}, "priority": 5});
    let condition = |kind: &str| json!({"conditions": [{"type": kind, "status": "True", "reason": "Scheduled", "message": "m", "observedGeneration": 1}]});
    for kind in ["PodGroupInitiallyScheduled", "PodGroupScheduled"] {
        let fact = of(gang.clone(), condition(kind));
        assert_eq!((fact.minimum, fact.priority, fact.malformed), (Some(2), Some(5), None));
        assert!(fact.status.condition.expect("it was written").holds);
    }
    let basic = of(json!({"schedulingPolicy": {"basic": {}}}), json!({}));
    assert_eq!((basic.minimum, basic.malformed), (None, None));
    for wrong in [
        json!({}),
        json!({"schedulingPolicy": {}}),
        json!({"schedulingPolicy": {"gang": {"minCount": 0}}}),
        json!({"schedulingPolicy": {"gang": {"minCount": 1}, "basic": {}}}),
    ] {
        assert!(of(wrong.clone(), json!({})).malformed.is_some(), "{wrong}");
    }
    let topology = of(
        json!({"schedulingPolicy": {"gang": {"minCount": 1}}, "schedulingConstraints": {"topology": [{"key": "rack"}]}}),
        json!({}),
    );
    assert!(
        topology.unsupported[0].starts_with("spec.schedulingConstraints.topology[].key \"rack\"")
    );
}

#[test]
fn the_tutorials_form_has_a_form_that_works_everywhere() {
    let tutorial = json!({"apiVersion": "scheduling.k8s.io/v1alpha1", "kind": "PodGroup", "metadata": {"name": "g"}, "spec": {"minMember": 4}});
    let written = works_everywhere(&tutorial).expect("it is that form");
    assert_eq!(Kind::of(&tutorial), None);
    assert_eq!(Kind::of(&written), Some(Kind::Group(GroupSource::Coscheduling)));
    assert_eq!(written["spec"]["minMember"], 4);
    assert_eq!(works_everywhere(&written), None);
}

#[test]
fn what_is_gone_is_told_by_name_and_uid() {
    let metadata = json!({"metadata": {"name": "x", "namespace": "d", "uid": "u"}});
    let mut translator = Translator::new();
    let name = ObjectName::new("d", "x");
    let gone = translator.deleted(Kind::Pod, &metadata).events;
    assert_eq!(gone, [Event::PodGone { name, uid: "u".into() }]);
    assert_eq!(translator.deleted(Kind::Node, &metadata).events, [Event::NodeGone("x".into())]);
    assert!(matches!(
        &translator.deleted(Kind::Group(GroupSource::Native), &metadata).events[..],
        [Event::GroupGone { .. }]
    ));
}

fn terms_of(pod_affinity: Value) -> PodFact {
    let affinity = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [pod_affinity]}});
    pod(&json!({
        "metadata": {"name": "p", "namespace": "d", "labels": {"app": "web", "hash": "7"}},
        "spec": {"affinity": affinity},
    }))
}

#[test]
fn terms_of_affinity_are_read_with_their_namespaces_and_the_pods_own_labels() {
    let read = |written: Value| {
        let fact = terms_of(written);
        assert_eq!(fact.malformed, None);
        fact.ask.relations.as_ref().expect("there is a term").anti_affinity[0].clone()
    };
    let of_web = json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}});
    let own = read(of_web.clone());
    assert_eq!((&*own.topology_key, &own.namespaces[..]), ("zone", &["d".into()][..]));
    assert_eq!(
        (own.selector.expect("it has one").to_string(), own.namespace_selector),
        ("app=web".into(), None)
    );
    let with = |more: Value| {
        let mut written = of_web.clone();
        let fields = written.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        read(written)
    };
    let named = with(json!({"namespaces": ["b", "a", "a"]}));
    assert_eq!(named.namespaces, ["a".into(), "b".into()]);
    let all = with(json!({"namespaceSelector": {}}));
    assert_eq!(
        (all.namespaces.len(), all.namespace_selector.map(|s| s.to_string())),
        (0, Some(String::new()))
    );
    let keys = json!({"matchLabelKeys": ["hash", "absent"], "mismatchLabelKeys": ["app"]});
    let selector = with(keys).selector.expect("it has one");
    assert_eq!(selector.to_string(), "app=web,app!=web,hash=7");
    let merged = json!({"topologyKey": "zone", "labelSelector": {"matchExpressions": [
        {"key": "hash", "operator": "In", "values": ["7"]}]}, "matchLabelKeys": ["hash"]});
    assert_eq!(read(merged).selector.expect("it has one").to_string(), "hash=7", "merged once");
    assert_eq!(read(json!({"topologyKey": "zone"})).selector, None);
    assert_eq!(
        read(json!({"topologyKey": "zone", "labelSelector": {}})).selector,
        Some(LabelSelector::everything())
    );
}

#[test]
fn preferred_terms_are_read_with_the_sign_of_their_field() {
    let term = json!({"topologyKey": "zone", "labelSelector": {}});
    let preferred = |weight: i64| json!({"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": weight, "podAffinityTerm": term}]});
    let read = |weight| {
        let affinity = json!({"podAffinity": preferred(7), "podAntiAffinity": preferred(weight)});
        pod(&json!({"metadata": {"name": "p"}, "spec": {"affinity": affinity}}))
    };
    let fact = read(100);
    let wishes = &fact.ask.relations.as_ref().expect("it has wishes").wishes;
    assert_eq!(wishes.iter().map(|wish| wish.weight).collect::<Vec<_>>(), [7, -100]);
    let problem = "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: \
                   Invalid value: 101: must be in the range 1-100";
    assert_eq!(read(101).malformed.as_deref(), Some(problem));
}

#[test]
fn terms_that_the_api_server_refuses_are_refused() {
    let path = "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]";
    for (written, problem) in [
        (json!({"labelSelector": {}}), "topologyKey: Required value: can not be empty"),
        (
            json!({"topologyKey": "z", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}),
            "labelSelector: Invalid value: \"Is\" is not a valid label selector operator",
        ),
    ] {
        assert_eq!(terms_of(written).malformed, Some(format!("{path}.{problem}").into()));
    }
}

#[test]
fn spread_constraints_are_read_and_wishes_among_them_filter_nothing() {
    let read = |constraints: Value| {
        pod(&json!({
            "metadata": {"name": "p", "namespace": "d", "labels": {"app": "web", "hash": "7"}},
            "spec": {"topologySpreadConstraints": constraints},
        }))
    };
    let full = json!({
        "maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 3,
        "labelSelector": {"matchLabels": {"app": "web"}}, "matchLabelKeys": ["hash", "absent"],
        "nodeAffinityPolicy": "Ignore", "nodeTaintsPolicy": "Honor",
    });
    let bare = json!({"maxSkew": 1, "topologyKey": "host", "whenUnsatisfiable": "DoNotSchedule"});
    let wish = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"});
    let fact = read(json!([full, bare, wish]));
    assert_eq!(fact.malformed, None);
    let spread = &fact.ask.relations.as_ref().expect("it is spread").spread;
    let expected = Spread {
        max_skew: 2,
        topology_key: "zone".into(),
        selector: Some(LabelSelector::parse("app=web,hash=7").expect("it parses")),
        namespace: "d".into(),
        min_domains: 3,
        node_affinity_policy: InclusionPolicy::Ignore,
        node_taints_policy: InclusionPolicy::Honor,
    };
    let defaults = Spread {
        max_skew: 1,
        topology_key: "host".into(),
        selector: None,
        min_domains: 1,
        node_affinity_policy: InclusionPolicy::Honor,
        node_taints_policy: InclusionPolicy::Ignore,
        ..expected.clone()
    };
    assert_eq!(spread[..], [expected, defaults]);
    for (field, value, problem) in [
        ("maxSkew", json!(0), "maxSkew: Invalid value: 0: must be greater than zero"),
        ("minDomains", json!(-1), "minDomains: Invalid value: -1: must be greater than zero"),
        ("topologyKey", json!(""), "topologyKey: Required value: can not be empty"),
        (
            "whenUnsatisfiable",
            json!("Never"),
            "whenUnsatisfiable: Unsupported value: \"Never\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\"",
        ),
        (
            "nodeTaintsPolicy",
            json!("Maybe"),
            "nodeTaintsPolicy: Unsupported value: \"Maybe\": supported values: \"Honor\", \"Ignore\"",
        ),
    ] {
        let mut wrong = full.clone();
        wrong[field] = value;
        let problem = format!("spec.topologySpreadConstraints[0].{problem}");
        assert_eq!(read(json!([wrong])).malformed, Some(problem.into()));
    }
}

#[test]
fn host_ports_of_containers_that_run_with_the_pod_are_read() {
    let spec = json!({
        "containers": [
            {"name": "a", "ports": [{"hostPort": 443, "hostIP": "10.0.0.1"}, {"containerPort": 8080}]},
            {"name": "b", "ports": [{"hostPort": 80, "hostIP": "0.0.0.0"}, {"hostPort": 53, "protocol": "UDP"}]},
        ],
        "initContainers": [
            {"name": "s", "restartPolicy": "Always", "ports": [{"hostPort": 81, "protocol": "SCTP"}]},
            {"name": "i", "ports": [{"hostPort": 82}]},
        ],
    });
    let read = |spec: &Value| pod(&json!({"metadata": {"name": "p"}, "spec": spec}));
    let fact = read(&spec);
    let relations = fact.ask.relations.as_ref().expect("it takes ports");
    let port = |port, protocol, address: Option<&str>| HostPort {
        port,
        protocol,
        address: address.map(Into::into),
    };
    let expected = [
        port(53, Protocol::Udp, None),
        port(80, Protocol::Tcp, None),
        port(81, Protocol::Sctp, None),
        port(443, Protocol::Tcp, Some("10.0.0.1")),
    ];
    assert_eq!(relations.host_ports, expected);
    let on_host = json!({"hostNetwork": true, "containers": [{"name": "a", "ports": [{"containerPort": 9100}]}]});
    let fact = read(&on_host);
    let relations = fact.ask.relations.as_ref().expect("it listens on the node");
    assert_eq!(relations.host_ports, [port(9100, Protocol::Tcp, None)]);
    for (wrong, problem) in [
        (
            json!({"hostPort": 70_000}),
            "spec.containers[0].ports[0].hostPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            json!({"hostPort": 80, "protocol": "ICMP"}),
            "spec.containers[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ),
    ] {
        let fact = read(&json!({"containers": [{"name": "a", "ports": [wrong]}]}));
        assert_eq!(fact.malformed.as_deref(), Some(problem));
    }
}
