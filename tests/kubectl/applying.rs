//! `kubectl apply --server-side`: twice, against other managers, with force, and after client-side apply.

use crate::DEPLOYMENT;
use crate::playing::playing;

#[test]
fn server_side_apply_creates_repeats_conflicts_and_forces() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("serverside");
    let applied = "deployment.apps/web serverside-applied\n";
    assert_eq!(kubectl.ok_with("apply --server-side -f -", DEPLOYMENT), applied);
    let version = kubectl.ok("get deployment web -o jsonpath={.metadata.resourceVersion}");
    assert_eq!(kubectl.ok_with("apply --server-side -f -", DEPLOYMENT), applied);
    let again = kubectl.ok("get deployment web -o jsonpath={.metadata.resourceVersion}");
    assert_eq!(version, again, "nothing changed");
    let managers =
        "get deployment web --show-managed-fields -o jsonpath={.metadata.managedFields[*].manager}";
    assert_eq!(kubectl.ok(managers), "kubectl");

    kubectl.ok("scale deployment web --replicas=5");
    kubectl.ok("set image deployment/web main=example.org/web:9 --field-manager=hand");
    let error = kubectl.fails_with("apply --server-side -f -", DEPLOYMENT);
    assert!(error.contains("Apply failed with 2 conflicts"), "{error}");
    assert!(error.contains("conflicts with \"hand\" using apps/v1:"), "{error}");
    assert!(error.contains(".spec.template.spec.containers[name=\"main\"].image"), "{error}");
    kubectl.ok_with("apply --server-side --force-conflicts -f -", DEPLOYMENT);
    let image = "get deployment web -o jsonpath={.spec.template.spec.containers[0].image}";
    assert_eq!(kubectl.ok(image), "example.org/web:1");

    let other = DEPLOYMENT.replace("replicas: 2", "replicas: 4");
    let error = kubectl.fails_with("apply --server-side --field-manager=other -f -", &other);
    assert!(
        error.contains("Apply failed with 1 conflict: conflict with \"kubectl\": .spec.replicas"),
        "{error}"
    );
    let without = DEPLOYMENT.replace("  replicas: 2\n", "");
    kubectl.ok_with("apply --server-side -f -", &without);
    assert_eq!(kubectl.ok("get deployment web -o jsonpath={.spec.replicas}"), "1");
}

#[test]
fn what_was_applied_by_the_client_can_be_applied_by_the_server() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("upgraded");
    kubectl.ok_with("apply -f -", DEPLOYMENT);
    let changed = DEPLOYMENT.replace("replicas: 2", "replicas: 3").replace("FIRST", "SECOND");
    kubectl.ok_with("apply --server-side -f -", &changed);
    let found = kubectl.ok(
        "get deployment web -o jsonpath={.spec.replicas}{.spec.template.spec.containers[0].env[*].name}",
    );
    assert_eq!(found, "3SECOND");
    let error =
        kubectl.fails_with("apply --server-side -f -", &changed.replace("replicas:", "replica:"));
    assert!(error.contains(".spec.replica: field not declared in schema"), "{error}");
}

#[test]
fn a_job_that_the_client_applied_is_applied_by_the_server_without_a_warning() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("upgradedjob");
    const JOB: &str = "
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: example.org/work:1}]
";
    kubectl.ok_with("apply -f -", JOB);
    let output = kubectl.all_with("apply --server-side -f -", JOB);
    assert_eq!(output, "job.batch/once serverside-applied\n", "and nothing else");
}

#[test]
fn an_owner_in_the_foreground_and_orphans() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("cascades");
    kubectl.ok("create configmap owner");
    let uid = kubectl.ok("get configmap owner -o jsonpath={.metadata.uid}");
    let child = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, ownerReferences: [{{apiVersion: v1, \
             kind: ConfigMap, name: owner, uid: {uid}, blockOwnerDeletion: true}}]}}}}"
        )
    };
    kubectl.ok_with("create -f -", &child("child"));
    kubectl.ok("delete configmap owner --cascade=orphan");
    assert_eq!(kubectl.ok("get configmap child -o jsonpath={.metadata.ownerReferences}"), "");
    kubectl.ok("create configmap owner");
    let uid = kubectl.ok("get configmap owner -o jsonpath={.metadata.uid}");
    let second = child("second");
    let second = second.replace(
        second.split("uid: ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or(""),
        &uid,
    );
    kubectl.ok_with("create -f -", &second);
    kubectl.ok("delete configmap owner --cascade=foreground --timeout=5s");
    assert!(kubectl.fails("get configmap second").contains("NotFound"));
}
