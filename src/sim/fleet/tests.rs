//! The fleet file as people write it: what comes of a line, and what is said about a wrong one.

use super::*;
use serde_json::json;

fn nodes(text: &str) -> Vec<Value> {
    match read("fleet.yaml", text) {
        Ok(nodes) => nodes,
        Err(error) => panic!("{error}"),
    }
}

fn problems(text: &str) -> String {
    read("fleet.yaml", text).expect_err("the file is wrong").to_string()
}

fn labels(node: &Value) -> BTreeMap<&str, &str> {
    let labels = node["metadata"]["labels"].as_object().expect("labels");
    labels.iter().map(|(key, value)| (key.as_str(), value.as_str().expect("text"))).collect()
}

#[test]
fn one_line_becomes_whole_node_objects() {
    let nodes = nodes("nodes:\n- {name: \"a[1-4]\", gpus: 8 x NVIDIA-H100-80GB-HBM3, rack: a}\n");
    let names: Vec<_> = nodes.iter().map(|node| &node["metadata"]["name"]).collect();
    assert_eq!(names, ["a1", "a2", "a3", "a4"]);
    let amounts = json!({"cpu": "192", "memory": "2048Gi", "ephemeral-storage": "1Ti", "pods": "110",
        "nvidia.com/gpu": "8"});
    let node = &nodes[1];
    assert_eq!(node["status"]["capacity"], amounts);
    assert_eq!(node["status"]["allocatable"], amounts);
    assert_eq!(node["status"]["nodeInfo"]["architecture"], "amd64");
    assert_eq!(node["status"]["addresses"][0]["address"], "172.16.0.2");
    let labels = labels(node);
    for (key, value) in [
        ("kubernetes.io/hostname", "a2"),
        ("kubernetes.io/arch", "amd64"),
        ("fabric.topograph.run/tier-0", "a"),
        ("nvidia.com/gpu.present", "true"),
        ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3"),
        ("nvidia.com/gpu.count", "8"),
        ("nvidia.com/gpu.replicas", "1"),
        ("nvidia.com/gpu.memory", "81559"),
        ("nvidia.com/gpu.family", "hopper"),
        ("nvidia.com/gpu.compute.major", "9"),
        ("nvidia.com/mig.capable", "true"),
        ("nvidia.com/gpu.sharing-strategy", "none"),
    ] {
        assert_eq!(labels.get(key), Some(&value), "{key}");
    }
    assert!(!labels.contains_key("nvidia.com/mig.strategy"));
}

#[test]
fn nodes_without_gpus_have_no_gpu_labels() {
    let nodes = nodes(
        "nodes:\n- {name: c, cpu: 64, memory: 256Gi, zone: z, region: r, unschedulable: true}\n",
    );
    assert_eq!(nodes[0]["status"]["capacity"]["cpu"], "64");
    assert_eq!(nodes[0]["spec"]["unschedulable"], true);
    let labels = labels(&nodes[0]);
    assert_eq!(labels["topology.kubernetes.io/zone"], "z");
    assert_eq!(labels["topology.kubernetes.io/region"], "r");
    assert!(labels.keys().all(|key| !key.starts_with("nvidia.com/")));
}

#[test]
fn the_mixed_strategy_has_a_resource_for_each_profile() {
    let nodes = nodes(
        "nodes:\n- name: m\n  gpus: 8 x NVIDIA-H100-80GB-HBM3\n  mig:\n  - {cards: 2, profiles: {1g.10gb: 6, 1g.10gb+me: 1}}\n  - {cards: 4, profiles: {3g.40gb: 2}}\n",
    );
    let capacity = &nodes[0]["status"]["capacity"];
    assert_eq!(capacity["nvidia.com/gpu"], "2");
    assert_eq!(capacity["nvidia.com/mig-1g.10gb"], "12");
    assert_eq!(capacity["nvidia.com/mig-1g.10gb.me"], "2");
    assert_eq!(capacity["nvidia.com/mig-3g.40gb"], "8");
    let labels = labels(&nodes[0]);
    assert_eq!(labels["nvidia.com/mig.strategy"], "mixed");
    assert_eq!(labels["nvidia.com/gpu.product"], "NVIDIA-H100-80GB-HBM3");
    assert_eq!(labels["nvidia.com/gpu.count"], "8");
    assert_eq!(labels["nvidia.com/mig-3g.40gb.count"], "8");
    assert_eq!(labels["nvidia.com/mig-3g.40gb.product"], "NVIDIA-H100-80GB-HBM3-MIG-3g.40gb");
    assert_eq!(labels["nvidia.com/mig-3g.40gb.memory"], "40448");
    assert_eq!(labels["nvidia.com/mig-3g.40gb.slices.gi"], "3");
}

#[test]
fn the_single_strategy_counts_instances_as_gpus() {
    let nodes = nodes(
        "nodes:\n- {name: s, gpus: 2 x NVIDIA-A100-SXM4-40GB, migStrategy: single, timeSlicing: 2, mig: [{profiles: {1g.5gb: 7}}]}\n",
    );
    assert_eq!(nodes[0]["status"]["capacity"]["nvidia.com/gpu"], "28");
    let labels = labels(&nodes[0]);
    assert_eq!(labels["nvidia.com/gpu.product"], "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb-SHARED");
    assert_eq!(labels["nvidia.com/gpu.memory"], "4864");
    assert_eq!(labels["nvidia.com/gpu.count"], "14");
    assert_eq!(labels["nvidia.com/gpu.replicas"], "2");
    assert_eq!(labels["nvidia.com/gpu.sharing-strategy"], "time-slicing");
    assert_eq!(labels["nvidia.com/mig.strategy"], "single");
    assert_eq!(labels["nvidia.com/gpu.slices.gi"], "1");
}

#[test]
fn shared_cards_are_advertised_many_times() {
    let nodes = nodes("nodes:\n- {name: s, gpus: 4 x Tesla-T4, mps: 8}\n");
    assert_eq!(nodes[0]["status"]["capacity"]["nvidia.com/gpu"], "32");
    assert_eq!(labels(&nodes[0])["nvidia.com/gpu.product"], "Tesla-T4-SHARED");
    assert_eq!(labels(&nodes[0])["nvidia.com/gpu.sharing-strategy"], "mps");
}

#[test]
fn nodes_are_dealt_to_their_racks_in_order() {
    let nodes = nodes(
        "nodes:\n- {name: \"n[1-8]\", block: b1, rack: \"r[1-4]\", topology: gke, clique: \"u.[1-2]\"}\n",
    );
    let racks: Vec<_> =
        nodes.iter().map(|node| labels(node)["cloud.google.com/gce-topology-subblock"]).collect();
    assert_eq!(racks, ["r1", "r1", "r2", "r2", "r3", "r3", "r4", "r4"]);
    let labels = labels(&nodes[7]);
    assert_eq!(labels["cloud.google.com/gce-topology-block"], "b1");
    assert_eq!(labels["cloud.google.com/gce-topology-host"], "n8");
    assert_eq!(labels["nvidia.com/gpu.clique"], "u.2");
}

#[test]
fn defaults_hold_where_an_entry_says_nothing() {
    let nodes = nodes(
        "defaults: {taints: [\"nvidia.com/gpu=present:NoSchedule\"], cpu: 8, labels: {a: b, c: d}, resources: {rdma/hca: 8}}\n\
         nodes:\n- {name: x, labels: {c: e}}\n- {name: y, taints: [], cpu: 500m}\n",
    );
    let taint = json!([{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]);
    assert_eq!(nodes[0]["spec"]["taints"], taint);
    assert_eq!(labels(&nodes[0])["a"], "b");
    assert_eq!(labels(&nodes[0])["c"], "e");
    assert_eq!(nodes[0]["status"]["capacity"]["rdma/hca"], "8");
    assert_eq!(nodes[1]["spec"], json!({}));
    assert_eq!(nodes[1]["status"]["capacity"]["cpu"], "500m");
}

/// Every file's first problem begins with the file's name and has the part that belongs to it.
fn assert_refused(cases: &[(&str, &str)]) {
    for (text, part) in cases {
        let shown = problems(text);
        assert!(
            shown.starts_with("fleet.yaml: ") && shown.contains(part),
            "{text}\n{shown}\nwants {part}"
        );
    }
}

#[test]
fn a_wrong_file_is_refused_with_place_field_value_and_remedy() {
    assert_refused(&[
        ("nodes: []\n", "the list is empty"),
        ("nodes:\n- {cpu: 1}\n", "line 2: nodes[0] (no name): name: missing"),
        (
            "nodes:\n- {name: a}\n- {name: a}\n",
            "line 3: nodes[1] (a): name: \"a\" is there twice (first in nodes[0])",
        ),
        ("nodes:\n- {name: \"a[1-2]\"}\n- {name: a2}\n", "\"a2\" is there twice"),
        ("nodes:\n- {name: A}\n", "name: \"A\" is no name: a node's name has lower-case"),
        ("nodes:\n- {name: a, cpu: 0}\n", "cpu: \"0\" leaves the node without capacity"),
        ("nodes:\n- {name: a, memory: 2Tb}\n", "memory: \"2Tb\" is no quantity: write a number"),
        ("nodes:\n- {name: a, pods: -1}\n", "pods: \"-1\" is negative"),
        ("nodes:\n- {name: a, pods: 1.5}\n", "pods: \"1.5\" is no whole number: write how many"),
        ("nodes:\n- {name: a, pods: 500m}\n", "pods: \"500m\" is no whole number: write how many"),
        (
            "nodes:\n- {name: a, taints: [x=y]}\n",
            "taints: \"x=y\" is no taint: write key=value:effect",
        ),
        (
            "nodes:\n- {name: \"a[1-3]\", rack: \"r[1-2]\"}\n",
            "rack: \"r[1-2]\" stands for 2 places",
        ),
        (
            "nodes:\n- {name: a, topology: mars}\n",
            "topology: \"mars\" is no label set: write one of topograph",
        ),
        (
            "nodes:\n- {name: a, resources: {cpu: 1}}\n",
            "resources.cpu: \"1\" has a field of its own",
        ),
        ("defaults: {name: a}\nnodes:\n- {name: b}\n", "defaults: name:"),
        ("nodes: [\n", "fleet.yaml: line"),
    ]);
}

#[test]
fn wrong_cards_are_refused_with_place_field_value_and_remedy() {
    assert_refused(&[
        (
            "nodes:\n- {name: a, gpu: 8}\n",
            "line 2, column 13: unknown field \"gpu\": did you mean \"gpus\"?",
        ),
        ("nodes:\n- {name: a, gpus: 8}\n", "gpus: \"8\" is not COUNT x PRODUCT"),
        ("nodes:\n- {name: a, gpus: 8 x H1000}\n", "names no card known here: write one of"),
        ("nodes:\n- {name: a, gpus: 0 x Tesla-T4}\n", "has a wrong count"),
        (
            "nodes:\n- {name: a, gpus: 1 x NVIDIA-H100-80GB-HBM3, mig: [{profiles: {4g.40gb: 2}}]}\n",
            "mig[0].profiles: \"2 x 4g.40gb\" do not fit on one NVIDIA-H100-80GB-HBM3 together",
        ),
        (
            "nodes:\n- {name: a, gpus: 1 x NVIDIA-H100-80GB-HBM3, mig: [{profiles: {1g.5gb: 2}}]}\n",
            "mig[0].profiles: \"1g.5gb\" is no profile of NVIDIA-H100-80GB-HBM3: write one of 1g.10gb",
        ),
        (
            "nodes:\n- {name: a, gpus: 1 x NVIDIA-H100-80GB-HBM3, mig: [{cards: 2, profiles: {}}]}\n",
            "mig[0].cards: \"2\" is not possible: 1 of the node's 1 cards are left",
        ),
        (
            "nodes:\n- {name: a, gpus: 2 x NVIDIA-H100-80GB-HBM3, migStrategy: single, \
             mig: [{cards: 1, profiles: {1g.10gb: 7}}]}\n",
            "needs every card cut",
        ),
        ("nodes:\n- {name: a, mig: []}\n", "mig: there are no cards: add gpus"),
        (
            "nodes:\n- {name: a, gpus: 1 x Tesla-T4, timeSlicing: 1}\n",
            "timeSlicing: \"1\" is no count of 2 to 1024",
        ),
    ]);
}

#[test]
fn every_problem_of_a_file_is_told_at_once() {
    let shown = problems("nodes:\n- {name: a, cpu: x, memory: y}\n- {name: b, pods: z}\n");
    assert_eq!(shown.lines().count(), 3, "{shown}");
}

#[test]
fn the_shipped_fleets_are_what_their_names_say() {
    let cases = [
        (include_str!("../../../testdata/clusters/playground.yaml"), 14, 74),
        (include_str!("../../../testdata/clusters/h100-64x8.yaml"), 64, 512),
        (include_str!("../../../testdata/clusters/mixed-mig.yaml"), 12, 60),
        (include_str!("../../../testdata/clusters/nodes-1000.yaml"), 1000, 8000),
    ];
    for (text, count, gpus) in cases {
        let nodes = nodes(text);
        let allocatable = nodes
            .iter()
            .filter_map(|node| node["status"]["allocatable"]["nvidia.com/gpu"].as_str())
            .map(|gpus| gpus.parse::<u32>().expect("a count"));
        assert_eq!((nodes.len(), allocatable.sum::<u32>()), (count, gpus), "{text}");
    }
}
