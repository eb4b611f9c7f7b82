//! What the server refuses, and in which words: strict decoding, field errors with their causes.

use serde_json::Value;
use serde_json::json;

use super::PODS;
use super::done;
use super::pod;
use super::refused;
use super::send;
use super::server;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

fn with_resources(resources: Value) -> Value {
    let mut pod = pod("p");
    pod["spec"]["containers"][0]["resources"] = resources;
    pod
}

fn message(body: Value, target: &str) -> String {
    let (code, message) = refused(&mut server(), "POST", target, body);
    assert!(matches!(code, 400 | 403 | 422), "{code}: {message}");
    message
}

#[test]
fn strict_decoding_names_unknown_and_repeated_fields_by_path() {
    let mut server = server();
    let text = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},
        "spec":{"containers":[{"name":"a","image":"i","imagee":"x"}],"nodeSelektor":{},"containers":[{"name":"a","image":"i","imagee":"x"}]}}"#;
    let mut ask = |validation: &str| {
        let request =
            http::Request::post(format!("{PODS}?dryRun=All&fieldValidation={validation}"))
                .body(text.as_bytes().to_vec())
                .expect("the test's request is well formed");
        let response = server.handle(super::START, &request);
        let warnings: Vec<String> = response
            .headers()
            .get_all("warning")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .map(str::to_owned)
            .collect();
        let body: Value = serde_json::from_slice(response.body()).expect("answers are JSON");
        (response.status().as_u16(), warnings, body)
    };
    let (code, _, body) = ask("Strict");
    assert_eq!(code, 400);
    assert_eq!(
        body["message"],
        "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: duplicate field \"spec.containers\", \
         unknown field \"spec.containers[0].imagee\", unknown field \"spec.nodeSelektor\""
    );
    let (code, warnings, body) = ask("Warn");
    assert_eq!(code, 201);
    assert_eq!(warnings[1], "299 - \"unknown field \\\"spec.containers[0].imagee\\\"\"");
    assert_eq!(warnings.len(), 3);
    assert_eq!(body["spec"].get("nodeSelektor"), None);
    let (code, warnings, _) = ask("Ignore");
    assert_eq!((code, warnings.len()), (201, 0));
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    let mut wrong = pod("p");
    wrong["spec"]["containers"][0]["args"] = "one".into();
    assert_eq!(
        message(wrong, PODS),
        "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field \
         spec.containers[0].args of type slice"
    );
}

#[test]
fn amounts_are_judged_with_field_and_value() {
    for (resources, expected) in [
        (
            json!({"requests": {"cpu": "1x"}}),
            "spec.containers[0].resources.requests[cpu]: Invalid value: \"1x\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ),
        (
            json!({"limits": {"nvidia.com/gpu": "500m"}}),
            "[spec.containers[0].resources.limits[nvidia.com/gpu]: Invalid value: \"500m\": must be an integer, spec.containers[0].resources.requests[nvidia.com/gpu]: Invalid value: \"500m\": must be an integer]",
        ),
        (
            json!({"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "2"}}),
            "spec.containers[0].resources.requests: Invalid value: \"1\": must be equal to nvidia.com/gpu limit of 2",
        ),
        (
            json!({"requests": {"nvidia.com/gpu": "1"}}),
            "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
        ),
        (
            json!({"requests": {"memory": "-1"}}),
            "spec.containers[0].resources.requests[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
        ),
        (
            json!({"limits": {"gpu": "1"}}),
            "[spec.containers[0].resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource for containers, spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource for containers]",
        ),
    ] {
        assert_eq!(
            message(with_resources(resources), PODS),
            format!("Pod \"p\" is invalid: {expected}")
        );
    }
}

#[test]
fn amounts_may_be_written_as_numbers() {
    let mut server = server();
    let made = done(
        &mut server,
        "POST",
        PODS,
        with_resources(json!({"limits": {"nvidia.com/gpu": 2, "cpu": 1}})),
    );
    let resources = &made["spec"]["containers"][0]["resources"];
    assert_eq!(resources["requests"], json!({"nvidia.com/gpu": "2", "cpu": "1"}));
    assert_eq!(made["status"]["qosClass"], "Burstable");
}

#[test]
fn causes_carry_field_and_reason() {
    let mut wrong = pod("Web_1");
    wrong["metadata"]["labels"] = json!({"-a": "b c"});
    wrong["spec"]["containers"] = json!([{"name": "a", "image": "i"}, {"name": "a"}]);
    wrong["spec"]["tolerations"] = json!([{"operator": "Equal"}]);
    let (code, answer) = send(&mut server(), "POST", PODS, wrong);
    assert_eq!((code, &answer["reason"]), (422, &json!("Invalid")));
    assert_eq!(answer["details"]["kind"], "Pod");
    assert_eq!(answer["details"]["name"], "Web_1");
    let causes: Vec<(&str, &str)> = answer["details"]["causes"]
        .as_array()
        .expect("has causes")
        .iter()
        .map(|cause| {
            (
                cause["reason"].as_str().unwrap_or_default(),
                cause["field"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        causes,
        [
            ("FieldValueInvalid", "metadata.name"),
            ("FieldValueInvalid", "metadata.labels"),
            ("FieldValueInvalid", "metadata.labels"),
            ("FieldValueDuplicate", "spec.containers[1].name"),
            ("FieldValueRequired", "spec.containers[1].image"),
            ("FieldValueInvalid", "spec.tolerations[0].operator"),
        ]
    );
}

#[test]
fn a_pod_changes_only_where_it_may() {
    let mut server = server();
    let mut gated = pod("web");
    gated["spec"]["schedulingGates"] = json!([{"name": "example.com/wait"}]);
    let made = done(&mut server, "POST", PODS, gated);
    assert_eq!(made["status"]["conditions"][0]["reason"], "SchedulingGated");
    let target = format!("{PODS}/web");
    let mut change = |edit: &dyn Fn(&mut Value)| {
        let mut pod = done(&mut server, "GET", &target, json!(null));
        edit(&mut pod);
        send(&mut server, "PUT", &target, pod)
    };
    assert_eq!(
        change(&|pod| pod["spec"]["nodeSelector"] = json!({"zone": "a"})).0,
        200,
        "a gated pod may be narrowed"
    );
    assert_eq!(change(&|pod| pod["spec"]["schedulingGates"] = json!([])).0, 200);
    assert_eq!(change(&|pod| pod["spec"]["containers"][0]["image"] = "busybox:2".into()).0, 200);
    let (code, answer) = change(&|pod| pod["spec"]["nodeName"] = "a1".into());
    assert_eq!(code, 422);
    let message = answer["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("Pod \"web\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`"), "{message}");
    let (code, answer) = change(&|pod| pod["spec"]["tolerations"] = json!([]));
    // What admission added comes back; nothing else was taken away.
    assert_eq!((code, answer["spec"]["tolerations"].as_array().map(Vec::len)), (200, Some(2)));
    let (_, answer) =
        change(&|pod| pod["spec"]["schedulingGates"] = json!([{"name": "example.com/new"}]));
    assert_eq!(
        answer["details"]["causes"][0]["message"],
        "Forbidden: only deletion is allowed, but found new scheduling gate 'example.com/new'"
    );
}

fn deployment(edit: impl Fn(&mut Value)) -> Value {
    let mut deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "i"}]}},
        },
    });
    edit(&mut deployment);
    deployment
}

#[test]
fn workloads_are_judged() {
    for (edit, expected) in [
        (
            (&|d: &mut Value| d["spec"]["replicas"] = (-1).into()) as &dyn Fn(&mut Value),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            &|d| d["spec"]["selector"]["matchLabels"]["app"] = "db".into(),
            "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
        ),
        (
            &|d| d["spec"]["template"]["spec"]["restartPolicy"] = "Never".into(),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ),
    ] {
        assert_eq!(
            message(deployment(edit), DEPLOYMENTS),
            format!("Deployment.apps \"web\" is invalid: {expected}")
        );
    }
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
        "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "i"}]}}},
    });
    assert_eq!(
        message(job, JOBS),
        "Job.batch \"j\" is invalid: spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""
    );
}

#[test]
fn a_job_finds_its_pods_by_labels_that_the_server_gives() {
    let mut server = server();
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "i"}]}}},
    });
    let made = done(&mut server, "POST", JOBS, job);
    let uid = made["metadata"]["uid"].clone();
    assert_eq!(
        made["spec"]["selector"]["matchLabels"],
        json!({"batch.kubernetes.io/controller-uid": uid})
    );
    assert_eq!(made["spec"]["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"], "j");
    assert_eq!(
        (&made["spec"]["completions"], &made["spec"]["backoffLimit"]),
        (&json!(1), &json!(6))
    );
    let mut changed = made.clone();
    changed["spec"]["completions"] = 5.into();
    assert_eq!(
        refused(&mut server, "PUT", &format!("{JOBS}/j"), changed),
        (
            422,
            "Job.batch \"j\" is invalid: spec.completions: Invalid value: 5: field is immutable"
                .to_owned()
        )
    );
}

#[test]
fn bodies_that_do_not_fit_their_path_are_refused() {
    let mut node = super::node("a1");
    assert_eq!(
        message(node.clone(), PODS),
        "Node in version \"v1\" cannot be handled as a Pod: no kind \"Node\" is served at this path"
    );
    node["apiVersion"] = "v2".into();
    assert_eq!(
        message(node, "/api/v1/nodes"),
        "the API version in the data (v2) does not match the expected API version (v1)"
    );
    let mut elsewhere = pod("p");
    elsewhere["metadata"]["namespace"] = "kube-system".into();
    assert_eq!(
        message(elsewhere, PODS),
        "the namespace of the provided object does not match the namespace sent on the request"
    );
    let mut unnamed = pod("");
    assert_eq!(
        message(unnamed.clone(), PODS),
        "Pod \"\" is invalid: metadata.name: Required value: name or generateName is required"
    );
    unnamed["metadata"] = json!({"generateName": "train-"});
    let made = done(&mut server(), "POST", PODS, unnamed);
    let name = made["metadata"]["name"].as_str().unwrap_or_default();
    assert!(name.starts_with("train-") && name.len() == 11, "{name}");
}

#[test]
fn native_pod_groups_and_nodes_are_judged() {
    let groups = "/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups";
    let group = |policy: Value| json!({"apiVersion": "scheduling.k8s.io/v1beta1", "kind": "PodGroup", "metadata": {"name": "g"}, "spec": {"schedulingPolicy": policy}});
    assert_eq!(
        message(group(json!({"gang": {"minCount": 0}})), groups),
        "PodGroup.scheduling.k8s.io \"g\" is invalid: spec.schedulingPolicy.gang.minCount: Required value"
    );
    let mut server = server();
    let mut made = done(&mut server, "POST", groups, group(json!({"gang": {"minCount": 2}})));
    assert_eq!(made["metadata"]["finalizers"], json!(["scheduling.k8s.io/podgroup-protection"]));
    assert_eq!(made["spec"]["priority"], 0);
    made["spec"]["schedulingPolicy"]["gang"]["minCount"] = 3.into();
    let made = done(&mut server, "PUT", &format!("{groups}/g"), made);
    assert_eq!(made["spec"]["schedulingPolicy"]["gang"]["minCount"], 3);
    assert_eq!(made["metadata"].get("generation"), None, "upstream counts none");
    let mut node = super::node("a1");
    node["spec"] = json!({"taints": [{"key": "a", "effect": "Sometimes"}]});
    assert_eq!(
        message(node, "/api/v1/nodes"),
        "Node \"a1\" is invalid: metadata.taints[0].effect: Unsupported value: \"Sometimes\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\""
    );
}
