//! create, apply, apply again, dry run, and what the server refuses.

use crate::DEPLOYMENT;
use crate::POD;
use crate::playing::assert_table;
use crate::playing::playing;

#[test]
fn create_refuses_unknown_and_duplicate_fields_by_path() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("strict");
    let unknown =
        POD.replace("schedulerName: muster", "schedulerName: muster\n  schedulersName: x");
    let error = kubectl.fails_with("create -f -", &unknown);
    assert!(
        error.contains(r#"strict decoding error: unknown field "spec.schedulersName""#),
        "{error}"
    );
    let wrong = POD.replace("labels: {app: trainer}", "labels: {app: 1}");
    assert!(kubectl.fails_with("create -f -", &wrong).contains("cannot unmarshal number"));
    kubectl.ok_with("create --validate=warn -f -", &unknown);
    let error = kubectl.fails_with("create -f -", POD);
    assert!(error.contains(r#"pods "trainer" already exists"#), "{error}");
    let nowhere = POD.replace("name: trainer", "name: t\n  namespace: nowhere");
    let error = kubectl.fails_with("create --namespace=nowhere -f -", &nowhere);
    assert!(error.contains(r#"namespaces "nowhere" not found"#), "{error}");
}

#[test]
fn kinds_that_are_not_served_are_named() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("unserved");
    for (version, kind) in [("networking.k8s.io/v1", "Ingress"), ("v2", "Pod"), ("v1", "Pood")] {
        let manifest = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n");
        let error = kubectl.fails_with("apply -f -", &manifest);
        let expected = format!(
            "no matches for kind \"{kind}\" in version \"{version}\"\nensure CRDs are installed first"
        );
        assert!(error.contains(&expected), "{error}");
    }
    let error = kubectl.fails("create role reader --verb=get --resource=pods");
    assert!(error.contains("the server could not find the requested resource"), "{error}");
}

#[test]
fn a_job_is_made_from_a_cron_job_and_belongs_to_it() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("fromcron");
    kubectl.ok("create cronjob cj --image=example.org/work:1 --schedule=@daily");
    assert_eq!(kubectl.ok("create job now --from=cronjob/cj"), "job.batch/now created\n");
    let owner = "get job now -o jsonpath={.metadata.ownerReferences[*].kind}/{.metadata.ownerReferences[*].name}";
    assert_eq!(kubectl.ok(owner), "CronJob/cj");
}

#[test]
fn apply_creates_changes_and_removes_by_what_was_applied_before() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("applying");
    assert_eq!(kubectl.ok_with("apply -f -", DEPLOYMENT), "deployment.apps/web created\n");
    assert_eq!(kubectl.ok_with("apply -f -", DEPLOYMENT), "deployment.apps/web unchanged\n");
    let changed = DEPLOYMENT.replace("replicas: 2", "replicas: 3").replace(
        "- {name: FIRST, value: one}",
        "- {name: SECOND, value: two}\n        - {name: THIRD, value: three}",
    );
    // Another hand adds to the list; what was not applied by this one stays.
    let patch = r#"{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"OTHER","value":"x"}]}]}}}}"#;
    kubectl.ok(&format!("patch deployment web -p '{patch}'"));
    let difference = kubectl.fed_diff(&changed);
    assert!(
        difference.contains("-  replicas: 2") && difference.contains("+  replicas: 3"),
        "{difference}"
    );
    assert_eq!(kubectl.ok_with("apply -f -", &changed), "deployment.apps/web configured\n");
    let names = kubectl
        .ok("get deployment web -o jsonpath={.spec.template.spec.containers[0].env[*].name}");
    let mut names: Vec<&str> = names.split(' ').collect();
    names.sort_unstable();
    assert_eq!(names, ["OTHER", "SECOND", "THIRD"]);
    let deployments = kubectl.ok("get deployments");
    assert_table(
        &deployments,
        &["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"],
        &["web", "0/3", "0", "0"],
    );
    assert_eq!(
        kubectl.ok_with("apply --dry-run=server -f -", &POD.replace("trainer", "dry")),
        "pod/dry created (server dry run)\n"
    );
    assert!(kubectl.fails("get pod dry").contains("NotFound"));
}

#[test]
fn custom_resources_are_served_with_their_columns() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("customs");
    kubectl.ok_with(
        "apply -f -",
        "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crews.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Crew, listKind: CrewList, plural: crews, singular: crew, shortNames: [cw]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Members, type: integer, jsonPath: .spec.members}
    - {name: Phase, type: string, jsonPath: .status.phase}
    - {name: Owner, type: string, priority: 1, jsonPath: '.metadata.labels.owner'}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [members]
            properties: {members: {type: integer, minimum: 1}}
          status:
            type: object
            properties: {phase: {type: string}}
",
    );
    kubectl.ok("wait --for=condition=Established crd/crews.example.org --timeout=5s");
    let crew = "
apiVersion: example.org/v1
kind: Crew
metadata: {name: one, labels: {owner: me}}
spec: {members: 4}
";
    assert_eq!(kubectl.ok_with("apply -f -", crew), "crew.example.org/one created\n");
    assert_eq!(
        kubectl.ok_with("apply -f -", &crew.replace('4', "5")),
        "crew.example.org/one configured\n"
    );
    let crews = kubectl.ok("get cw");
    assert_table(&crews, &["NAME", "MEMBERS", "PHASE"], &["one", "5"]);
    let crews = kubectl.ok("get crews -o wide");
    assert_table(&crews, &["NAME", "MEMBERS", "PHASE", "OWNER"], &["one", "5", "me"]);
    let error = kubectl.fails_with("apply -f -", &crew.replace('4', "0"));
    assert!(error.contains("spec.members"), "{error}");
    let error = kubectl.fails_with(
        "create -f -",
        &crew.replace("members: 4", "members: 4, crew: 1").replace("one", "two"),
    );
    assert!(error.contains(r#"unknown field "spec.crew""#), "{error}");
    assert!(kubectl.ok("describe crew one").contains("Members:"));
    let error = kubectl.fails(r#"patch crew one --type=strategic -p '{"spec":{"members":3}}'"#);
    assert!(error.contains("application/strategic-merge-patch+json"), "{error}");
    kubectl.ok(r#"patch crew one --type=merge -p '{"spec":{"members":3}}'"#);
    assert_eq!(kubectl.ok("get crew one -o jsonpath={.spec.members}"), "3");
    kubectl.ok("delete crew one");
}
