//! delete in its forms: waiting, graceful, by label, by file, cascading, with finalizers.

use crate::DEPLOYMENT;
use crate::POD;
use crate::playing::playing;

#[test]
fn an_unbound_pod_goes_at_once_and_a_bound_one_with_grace() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("deleting");
    kubectl.ok_with("create -f -", POD);
    let said = kubectl.ok("delete pod trainer");
    assert!(said.starts_with(r#"pod "trainer" deleted"#), "{said}");
    assert_eq!(kubectl.ok("get pods -o name"), "");

    let bound = POD.replace("schedulerName: muster", "nodeName: far-away");
    kubectl.ok_with("create -f -", &bound);
    kubectl.ok("delete pod trainer --wait=false --grace-period=20");
    assert!(kubectl.ok("get pods").contains("Terminating"), "no kubelet has ended it");
    assert_eq!(
        kubectl.ok("get pod trainer -o jsonpath={.metadata.deletionGracePeriodSeconds}"),
        "20"
    );
    kubectl.ok("delete pod trainer --grace-period=0 --force");
    assert!(kubectl.fails("delete pod trainer").contains("NotFound"));
    assert_eq!(kubectl.ok("delete pod trainer --ignore-not-found"), "");
}

#[test]
fn many_are_deleted_by_label_file_and_namespace() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("many");
    let three: Vec<String> =
        ["a", "b", "c"].map(|name| POD.replace("name: trainer", &format!("name: {name}"))).into();
    let file = kubectl.file("three.yaml", &three.join("---"));
    kubectl.ok(&format!("apply -f {file}"));
    kubectl.ok("label pod b app=other --overwrite");
    let said = kubectl.ok("delete pods -l app=trainer");
    assert_eq!(said.lines().count(), 2, "{said}");
    assert_eq!(kubectl.ok("get pods -o name"), "pod/b\n");
    kubectl.ok(&format!("apply -f {file}"));
    kubectl.ok(&format!("delete -f {file}"));
    kubectl.ok(&format!("apply -f {file}"));
    kubectl.ok("delete pods --all");
    assert_eq!(kubectl.ok("get pods -o name"), "");
    kubectl.ok(&format!("apply -f {file}"));
    let said = kubectl.ok("delete namespace many --timeout=20s");
    assert!(said.contains(r#"namespace "many" deleted"#), "{said}");
    assert!(kubectl.fails("get namespace many").contains("NotFound"));
}

#[test]
fn what_an_object_owns_goes_with_it_unless_orphaned() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("cascading");
    for (cascade, left) in [("background", ""), ("foreground", ""), ("orphan", "pod/trainer\n")] {
        kubectl.ok_with("apply -f -", DEPLOYMENT);
        let uid = kubectl.ok("get deployment web -o jsonpath={.metadata.uid}");
        let owner = format!(
            "labels: {{app: trainer}}\n  ownerReferences: [{{apiVersion: apps/v1, kind: Deployment, name: web, uid: {uid}, controller: true, blockOwnerDeletion: true}}]"
        );
        kubectl.ok_with("create -f -", &POD.replace("labels: {app: trainer}", &owner));
        kubectl.ok(&format!("delete deployment web --cascade={cascade} --timeout=20s"));
        assert_eq!(kubectl.ok("get pods -o name"), left, "--cascade={cascade}");
    }
}

#[test]
fn a_finalizer_keeps_an_object_until_it_is_taken_away() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("finalizing");
    let held = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.org/hold]}\ndata: {a: b}\n";
    kubectl.ok_with("create -f -", held);
    let delete = kubectl.start("delete configmap held --timeout=20s");
    kubectl.ok("wait configmap/held --for=jsonpath={.metadata.deletionTimestamp} --timeout=20s");
    kubectl.ok(r#"patch configmap held --type=merge -p '{"metadata":{"finalizers":null}}'"#);
    let output = delete.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(kubectl.fails("get configmap held").contains("NotFound"));
}
