//! DaemonSets: a pod for each node that suits, and for no other, whatever becomes of nodes, pods, and the template.

use super::*;

const SET: &str = "/apis/apps/v1/namespaces/default/daemonsets/agent";

fn daemon_set() -> Value {
    let mut template = deployment(1, "one")["spec"]["template"].clone();
    template["spec"]["terminationGracePeriodSeconds"] = json!(5);
    json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": {
        "selector": {"matchLabels": {"app": "x"}}, "template": template,
    }})
}

/// The node that a pod's affinity names.
fn meant_for(pod: &Value) -> String {
    let affinity = &pod["spec"]["affinity"]["nodeAffinity"];
    let terms = &affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
    let field = &terms[0]["matchFields"][0];
    assert_eq!(
        (&field["key"], &field["operator"], terms.as_array().map(Vec::len)),
        (&json!("metadata.name"), &json!("In"), Some(1)),
        "{terms}"
    );
    field["values"][0].as_str().expect("a name").to_owned()
}

fn nodes_of(cluster: &Cluster) -> Vec<String> {
    let mut nodes: Vec<String> = cluster.pods().iter().map(meant_for).collect();
    nodes.sort();
    nodes
}

/// Binds every pending pod to the node that it is meant for.
fn bind_each(cluster: &mut Cluster) {
    for pod in cluster.pods() {
        if pod["spec"]["nodeName"].is_null() {
            let name = Object(&pod).name();
            let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
                "target": {"kind": "Node", "name": meant_for(&pod)}});
            let path = format!("{PODS}/{name}/binding");
            cluster.server.create(cluster.now, &path, binding).expect("it is free");
        }
    }
    cluster.pass(Span::seconds(1));
}

fn counts(cluster: &Cluster) -> [Value; 5] {
    let status = cluster.get(SET)["status"].clone();
    [
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberMisscheduled",
    ]
    .map(|field| status[field].clone())
}

#[test]
fn a_daemon_set_has_a_pod_for_each_node_that_suits_and_for_no_other() {
    let mut cluster = Cluster::new();
    cluster.create(DAEMON_SETS, daemon_set());
    assert_eq!(nodes_of(&cluster), ["a1", "a2"]);
    assert_eq!(counts(&cluster), [json!(2), json!(2), json!(0), json!(2), json!(0)]);
    let pod = &cluster.pods()[0];
    let tolerations = pod["spec"]["tolerations"].as_array().expect("there are some");
    let unschedulable = json!({"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"});
    assert!(tolerations.contains(&unschedulable), "{tolerations:?}");
    assert_eq!(Object(pod).controller().expect("owned").kind, "DaemonSet");
    bind_each(&mut cluster);
    assert_eq!(counts(&cluster), [json!(2), json!(2), json!(2), json!(2), json!(0)]);

    // A taint that is not tolerated keeps new pods away, and lets those that are there stay.
    let taint = |effect: &str| json!({"spec": {"taints": [{"key": "k", "effect": effect}]}});
    cluster.patch("/api/v1/nodes/a1", taint("NoSchedule"));
    assert_eq!(nodes_of(&cluster), ["a1", "a2"]);
    assert_eq!(counts(&cluster), [json!(1), json!(1), json!(1), json!(1), json!(1)]);
    cluster.patch("/api/v1/nodes/a1", taint("NoExecute"));
    cluster.pass(Span::seconds(60));
    assert_eq!(nodes_of(&cluster), ["a2"]);
    cluster.patch("/api/v1/nodes/a1", json!({"spec": {"taints": null}}));
    assert_eq!(nodes_of(&cluster), ["a1", "a2"], "and comes back when it is gone");

    cluster.patch(SET, json!({"spec": {"template": {"spec": {"nodeSelector": {"no": "such"}}}}}));
    cluster.pass(Span::seconds(60));
    assert!(cluster.pods().is_empty());
    assert_eq!(counts(&cluster)[0], json!(0));
}

#[test]
fn a_new_template_takes_the_place_of_the_old_one_node_at_a_time() {
    let mut cluster = Cluster::new();
    cluster.create(DAEMON_SETS, daemon_set());
    bind_each(&mut cluster);
    let two =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}}});
    cluster.patch(SET, two);
    let new = |cluster: &Cluster| {
        let pods = cluster.pods();
        pods.iter().filter(|pod| pod["spec"]["containers"][0]["image"] == "two").count()
    };
    for expected in 1..=2 {
        cluster.pass(Span::seconds(40));
        assert_eq!((new(&cluster), cluster.pods().len()), (expected, 2));
        bind_each(&mut cluster);
    }
    assert_eq!(counts(&cluster), [json!(2), json!(2), json!(2), json!(2), json!(0)]);
}

#[test]
fn a_pod_that_ends_is_made_again_after_pauses_that_grow() {
    let mut cluster = Cluster::new();
    cluster.create(DAEMON_SETS, daemon_set());
    let mut pauses = Vec::new();
    for _ in 0..4 {
        bind_each(&mut cluster);
        let pods = cluster.pods();
        let pod = pods.iter().find(|pod| meant_for(pod) == "a1").expect("it has one");
        let (name, uid) = (Object(pod).name().to_owned(), Object(pod).uid().to_owned());
        cluster.patch(&format!("{PODS}/{name}/status"), json!({"status": {"phase": "Failed"}}));
        let ended = cluster.now;
        let is_there = |cluster: &Cluster| {
            cluster.pods().iter().any(|pod| Object(pod).uid() == uid && !Object(pod).deleting())
        };
        while is_there(&cluster) && cluster.now < ended + Span::seconds(100) {
            cluster.pass(Span::milliseconds(500));
        }
        pauses.push((cluster.now - ended).0 / 500_000_000);
        cluster.pass(Span::seconds(40));
    }
    assert!(pauses.windows(2).all(|pair| pair[0] < pair[1]), "{pauses:?}");
    assert!(pauses[3] <= 18, "half seconds: {pauses:?}");
}
