//! edit, patch, label, annotate, taint, cordon, scale, wait, rollout.

use crate::DEPLOYMENT;
use crate::POD;
use crate::playing::playing;

fn node(name: &str) -> String {
    format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\n")
}

#[test]
fn patches_of_all_three_kinds_change_what_they_say() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("patching");
    kubectl.ok_with("apply -f -", DEPLOYMENT);
    let images = "get deployment web -o jsonpath={.spec.template.spec.containers[*].image}";
    let strategic =
        r#"{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"s"}]}}}}"#;
    assert_eq!(
        kubectl.ok(&format!("patch deployment web -p '{strategic}'")),
        "deployment.apps/web patched\n"
    );
    let mut after: Vec<String> = kubectl.ok(images).split(' ').map(str::to_owned).collect();
    after.sort_unstable();
    assert_eq!(after, ["example.org/web:1", "s"], "strategic merge keeps the other container");
    let delete =
        r#"{"spec":{"template":{"spec":{"containers":[{"name":"side","$patch":"delete"}]}}}}"#;
    kubectl.ok(&format!("patch deployment web -p '{delete}'"));
    assert_eq!(kubectl.ok(images), "example.org/web:1");
    let merge = r#"{"spec":{"template":{"spec":{"containers":[{"name":"only","image":"m"}]}}}}"#;
    kubectl.ok(&format!("patch deployment web --type=merge -p '{merge}'"));
    assert_eq!(kubectl.ok(images), "m", "a merge patch replaces lists");
    let json = r#"[{"op":"test","path":"/spec/replicas","value":2},{"op":"replace","path":"/spec/replicas","value":7}]"#;
    kubectl.ok(&format!("patch deployment web --type=json -p '{json}'"));
    assert_eq!(kubectl.ok("get deployment web -o jsonpath={.spec.replicas}"), "7");
    let error = kubectl.fails(&format!("patch deployment web --type=json -p '{json}'"));
    // The real server has the path among the causes, and kubectl leaves those out.
    assert!(error.contains("The request is invalid"), "{error}");
    assert_eq!(
        kubectl.ok(r#"patch deployment web -p '{"spec":{"replicas":7}}'"#),
        "deployment.apps/web patched (no change)\n"
    );
}

#[test]
fn edit_sends_what_the_editor_changed() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("editing");
    kubectl.ok_with("apply -f -", DEPLOYMENT);
    let editor = "sed -i s,example.org/web:1,example.org/web:2,";
    let said = kubectl.ok_with_variable("edit deployment web", "KUBE_EDITOR", editor);
    assert_eq!(said, "deployment.apps/web edited\n");
    let image =
        kubectl.ok("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}");
    assert_eq!(image, "example.org/web:2");
}

#[test]
fn nodes_are_tainted_cordoned_and_uncordoned() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("tainting");
    kubectl.ok_with("create -f -", &node("changing-a1"));
    kubectl.ok("taint node changing-a1 nvidia.com/gpu=present:NoSchedule");
    kubectl.ok("taint node changing-a1 other=x:NoExecute");
    kubectl.ok("taint node changing-a1 nvidia.com/gpu=changed:NoSchedule --overwrite");
    let taints = kubectl
        .ok("get node changing-a1 -o jsonpath={.spec.taints[*].key}={.spec.taints[*].value}");
    assert!(taints.contains("nvidia.com/gpu") && taints.contains("changed"), "{taints}");
    kubectl.ok("taint node changing-a1 nvidia.com/gpu-");
    assert_eq!(kubectl.ok("get node changing-a1 -o jsonpath={.spec.taints[*].key}"), "other");
    assert_eq!(kubectl.ok("cordon changing-a1"), "node/changing-a1 cordoned\n");
    assert!(kubectl.ok("get node changing-a1").contains("SchedulingDisabled"));
    assert_eq!(kubectl.ok("uncordon changing-a1"), "node/changing-a1 uncordoned\n");
    assert!(!kubectl.ok("get node changing-a1").contains("SchedulingDisabled"));
}

#[test]
fn labels_annotations_and_scale() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("labelling");
    kubectl.ok_with("apply -f -", DEPLOYMENT);
    assert_eq!(kubectl.ok("label deployment web tier=front"), "deployment.apps/web labeled\n");
    assert!(kubectl.fails("label deployment web tier=back").contains("--overwrite"));
    kubectl.ok("label deployment web tier=back --overwrite");
    assert_eq!(kubectl.ok("get deployments -l tier=back -o name"), "deployment.apps/web\n");
    kubectl.ok("label deployment web tier-");
    assert_eq!(kubectl.ok("get deployments -l tier -o name"), "");
    kubectl.ok("annotate deployment web 'note=two words'");
    assert_eq!(
        kubectl.ok("get deployment web -o jsonpath={.metadata.annotations.note}"),
        "two words"
    );
    assert_eq!(kubectl.ok("scale deployment web --replicas=5"), "deployment.apps/web scaled\n");
    assert_eq!(kubectl.ok("get deployment web -o jsonpath={.spec.replicas}"), "5");
    assert!(
        kubectl
            .fails("scale deployment web --current-replicas=9 --replicas=1")
            .contains("Expected replicas to be 9")
    );
}

#[test]
fn wait_and_rollout_end_when_the_status_says_so() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("waiting");
    kubectl.ok_with("create -f -", POD);
    assert!(
        kubectl
            .fails("wait pod/trainer --for=condition=Ready --timeout=100ms")
            .contains("timed out")
    );
    let ready = kubectl.start("wait pod/trainer --for=condition=Ready --timeout=20s");
    let phase =
        kubectl.start("wait pod/trainer --for=jsonpath={.status.phase}=Running --timeout=20s");
    let gone = kubectl.start("wait pod/trainer --for=delete --timeout=20s");
    let status =
        r#"{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}"#;
    kubectl.ok(&format!("patch pod trainer --subresource=status --type=merge -p '{status}'"));
    for child in [ready, phase] {
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "pod/trainer condition met\n");
    }
    kubectl.ok("delete pod trainer --grace-period=0 --force");
    assert!(gone.wait_with_output().expect("it ends").status.success());

    kubectl.ok_with("apply -f -", DEPLOYMENT);
    let rollout = kubectl.start("rollout status deployment/web --timeout=20s");
    let done = r#"{"status":{"observedGeneration":1,"replicas":2,"updatedReplicas":2,"readyReplicas":2,"availableReplicas":2}}"#;
    kubectl.ok(&format!("patch deployment web --subresource=status --type=merge -p '{done}'"));
    let output = rollout.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(r#"deployment "web" successfully rolled out"#), "{said}");
    kubectl.ok("rollout restart deployment/web");
    assert_eq!(kubectl.ok("get deployment web -o jsonpath={.metadata.generation}"), "2");
}
