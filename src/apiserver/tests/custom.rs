//! Custom resources: definitions serve their kind, schemas judge objects, definitions take them along.

use serde_json::Value;
use serde_json::json;

use super::START;
use super::done;
use super::refused;
use super::send;
use super::send_as;
use super::server;
use crate::apiserver::server::Server;
use crate::apiserver::store::state::Settings;
use crate::apiserver::store::state::TutorialPodGroups;

pub(super) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const GROUPS: &str = "/apis/scheduling.x-k8s.io/v1alpha1/namespaces/default/podgroups";

/// The definition that Muster ships.
pub(super) fn definition() -> Value {
    let text = include_str!("../../../deploy/crds/scheduling.x-k8s.io_podgroups.yaml");
    serde_saphyr::from_str(text).expect("the shipped definition is YAML")
}

fn with_groups() -> Server {
    let mut server = server();
    done(&mut server, "POST", DEFINITIONS, definition());
    server
}

fn group(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "scheduling.x-k8s.io/v1alpha1", "kind": "PodGroup", "metadata": {"name": name}, "spec": spec})
}

#[test]
fn a_definition_serves_its_kind_at_once_and_says_so() {
    let mut server = server();
    assert_eq!(refused(&mut server, "GET", GROUPS, json!(null)).0, 404);
    let created = done(&mut server, "POST", DEFINITIONS, definition());
    assert_eq!(created["status"]["conditions"][1]["type"], "Established");
    assert_eq!(created["status"]["storedVersions"], json!(["v1alpha1"]));
    let made = done(&mut server, "POST", GROUPS, group("train", json!({"minMember": 4})));
    assert_eq!(made["metadata"]["generation"], 1);
    let resource =
        server.catalog().find("scheduling.x-k8s.io", "v1alpha1", "podgroups").expect("is served");
    let columns: Vec<&str> = resource
        .custom()
        .expect("is custom")
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(columns, ["Phase", "MinMember", "Running", "Succeeded", "Failed", "Age"]);
}

#[test]
fn the_schema_judges_objects_in_upstreams_words() {
    let mut server = with_groups();
    for (spec, message) in [
        (
            json!({"minMember": 0}),
            "PodGroup.scheduling.x-k8s.io \"g\" is invalid: spec.minMember: Invalid value: 0: spec.minMember in body should be greater than or equal to 1",
        ),
        (
            json!({"minMember": "four"}),
            "PodGroup.scheduling.x-k8s.io \"g\" is invalid: spec.minMember: Invalid value: \"string\": spec.minMember in body must be of type integer: \"string\"",
        ),
        (
            json!({"minMember": 2_147_483_648_i64}),
            "PodGroup.scheduling.x-k8s.io \"g\" is invalid: spec.minMember: Invalid value: 2147483648: spec.minMember in body must be of type int32: \"integer\"",
        ),
    ] {
        assert_eq!(
            refused(&mut server, "POST", GROUPS, group("g", spec)),
            (422, message.to_owned())
        );
    }
    let (code, answer) =
        send(&mut server, "POST", GROUPS, group("g", json!({"minResources": {"cpu": "1x"}})));
    assert_eq!(
        (code, &answer["details"]["causes"][0]["field"]),
        (422, &json!("spec.minResources.cpu"))
    );
    assert_eq!(answer["details"]["causes"][0]["reason"], "FieldValueInvalid");
}

#[test]
fn unknown_fields_are_pruned_or_refused() {
    let mut server = with_groups();
    let spec = json!({"minMember": 2, "minMembers": 3});
    let made = done(&mut server, "POST", GROUPS, group("g", spec.clone()));
    assert_eq!(made["spec"], json!({"minMember": 2}));
    assert_eq!(
        refused(&mut server, "POST", &format!("{GROUPS}?fieldValidation=Strict"), group("h", spec)),
        (
            400,
            "PodGroup in version \"v1alpha1\" cannot be handled as a PodGroup: strict decoding error: unknown field \"spec.minMembers\""
                .to_owned()
        )
    );
}

#[test]
fn strategic_merge_is_for_built_in_kinds() {
    let mut server = with_groups();
    done(&mut server, "POST", GROUPS, group("g", json!({"minMember": 2})));
    let target = format!("{GROUPS}/g");
    let patch = json!({"spec": {"minMember": 3}});
    let (code, answer) = send_as(
        &mut server,
        "PATCH",
        &target,
        "application/strategic-merge-patch+json",
        patch.clone(),
    );
    assert_eq!((code, &answer["reason"]), (415, &json!("UnsupportedMediaType")));
    assert_eq!(
        answer["message"],
        "the body of the request was in an unknown format - accepted media types include: \
         application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    );
    let (code, answer) =
        send_as(&mut server, "PATCH", &target, "application/merge-patch+json", patch);
    assert_eq!(
        (code, &answer["spec"]["minMember"], &answer["metadata"]["generation"]),
        (200, &json!(3), &json!(2))
    );
}

#[test]
fn status_is_apart_and_an_update_needs_a_version() {
    let mut server = with_groups();
    let mut made = done(&mut server, "POST", GROUPS, group("g", json!({"minMember": 2})));
    made["status"] = json!({"phase": "Running"});
    made["spec"]["minMember"] = 9.into();
    let written = done(&mut server, "PUT", &format!("{GROUPS}/g/status"), made.clone());
    assert_eq!(
        (&written["spec"]["minMember"], &written["status"]["phase"]),
        (&json!(2), &json!("Running"))
    );
    assert_eq!(written["metadata"]["generation"], 1);
    made["metadata"]["resourceVersion"] = json!(null);
    assert_eq!(
        refused(&mut server, "PUT", &format!("{GROUPS}/g"), made),
        (
            422,
            "PodGroup.scheduling.x-k8s.io \"g\" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update"
                .to_owned()
        )
    );
}

#[test]
fn a_definition_says_where_its_replica_counts_are() {
    let scaled = |scale: Value| {
        let mut definition = definition();
        definition["spec"]["versions"][0]["subresources"]["scale"] = scale;
        definition
    };
    let mut server = server();
    let prefix = "CustomResourceDefinition.apiextensions.k8s.io \"podgroups.scheduling.x-k8s.io\" is invalid: ";
    let field = "spec.versions[0].subresources.scale";
    for (scale, message) in [
        (
            json!({"statusReplicasPath": ".status.running"}),
            format!("{field}.specReplicasPath: Required value"),
        ),
        (
            json!({"specReplicasPath": ".metadata.name", "statusReplicasPath": ".status.running"}),
            format!(
                "{field}.specReplicasPath: Invalid value: \".metadata.name\": should be a json path under .spec"
            ),
        ),
        (
            json!({"specReplicasPath": ".spec.minMember", "statusReplicasPath": ".status"}),
            format!(
                "{field}.statusReplicasPath: Invalid value: \".status\": should be a json path under .status"
            ),
        ),
    ] {
        let answer = refused(&mut server, "POST", DEFINITIONS, scaled(scale));
        assert_eq!(answer, (422, format!("{prefix}{message}")));
    }
    let right =
        json!({"specReplicasPath": ".spec.minMember", "statusReplicasPath": ".status.running"});
    done(&mut server, "POST", DEFINITIONS, scaled(right));
    done(&mut server, "POST", GROUPS, group("g", json!({"minMember": 2})));
    let scale = format!("{GROUPS}/g/scale");
    done(&mut server, "PUT", &scale, json!({"spec": {"replicas": 5}}));
    let group = done(&mut server, "GET", &format!("{GROUPS}/g"), json!(null));
    assert_eq!(group["spec"]["minMember"], 5);
}

#[test]
fn a_definition_takes_its_objects_along() {
    let mut server = with_groups();
    done(&mut server, "POST", GROUPS, group("g", json!({"minMember": 2})));
    let name = format!("{DEFINITIONS}/podgroups.scheduling.x-k8s.io");
    done(&mut server, "DELETE", &name, json!(null));
    assert_eq!(refused(&mut server, "GET", &name, json!(null)).0, 404);
    assert_eq!(refused(&mut server, "GET", GROUPS, json!(null)).0, 404);
    done(&mut server, "POST", DEFINITIONS, definition());
    let list = done(&mut server, "GET", GROUPS, json!(null));
    assert_eq!(list["items"], json!([]));
}

#[test]
fn the_tutorials_pod_group_is_another_name_of_the_shipped_kind() {
    let settings =
        Settings { tutorial_pod_groups: TutorialPodGroups::Accepted, ..Settings::default() };
    let mut server = Server::new(settings, START);
    done(&mut server, "POST", DEFINITIONS, definition());
    let tutorial = "/apis/scheduling.k8s.io/v1alpha1/namespaces/default/podgroups";
    let made = json!({
        "apiVersion": "scheduling.k8s.io/v1alpha1",
        "kind": "PodGroup",
        "metadata": {"name": "distributed-training"},
        "spec": {"minMember": 4, "scheduleTimeoutSeconds": 300},
    });
    let answer = done(&mut server, "POST", tutorial, made);
    assert_eq!(answer["apiVersion"], "scheduling.k8s.io/v1alpha1");
    let kept = done(&mut server, "GET", &format!("{GROUPS}/distributed-training"), json!(null));
    assert_eq!(
        (&kept["apiVersion"], &kept["spec"]["minMember"]),
        (&json!("scheduling.x-k8s.io/v1alpha1"), &json!(4))
    );
    let mut plain = with_groups();
    assert_eq!(refused(&mut plain, "GET", tutorial, json!(null)).0, 404);
}

/// A kind with rules in CEL.
fn with_rules() -> Server {
    let mut server = server();
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "plans.example.org"},
        "spec": {"group": "example.org", "scope": "Namespaced",
            "names": {"kind": "Plan", "listKind": "PlanList", "plural": "plans", "singular": "plan"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": {
                    "type": "object",
                    "required": ["phase"],
                    "properties": {
                        "least": {"type": "integer", "default": 1},
                        "most": {"type": "integer"},
                        "epoch": {"type": "integer", "x-kubernetes-validations": [
                            {"rule": "self >= oldSelf", "message": "must not go back"}]},
                        "phase": {"type": "string", "enum": ["Proposed", "Bound", "Aborted"], "x-kubernetes-validations": [
                            {"rule": "oldSelf == self || oldSelf == 'Proposed'", "messageExpression": "'no way from ' + oldSelf + ' to ' + self"}]},
                    },
                    "x-kubernetes-validations": [
                        {"rule": "!has(self.most) || self.least <= self.most"},
                        {"rule": "!has(self.most) || self.most < 100", "message": "too many", "reason": "FieldValueForbidden", "fieldPath": ".most"},
                    ],
                }},
            }}}],
        },
    });
    done(&mut server, "POST", DEFINITIONS, definition);
    server
}

const PLANS: &str = "/apis/example.org/v1/namespaces/default/plans";

fn plan(spec: Value) -> Value {
    json!({"apiVersion": "example.org/v1", "kind": "Plan", "metadata": {"name": "p"}, "spec": spec})
}

#[test]
fn rules_in_cel_are_enforced_with_their_messages() {
    let mut server = with_rules();
    let mut refusal = |spec: Value| refused(&mut server, "POST", PLANS, plan(spec)).1;
    assert_eq!(
        refusal(json!({"phase": "Proposed", "least": 3, "most": 2})),
        "Plan.example.org \"p\" is invalid: spec: Invalid value: failed rule: !has(self.most) || self.least <= self.most"
    );
    assert_eq!(
        refusal(json!({"phase": "Proposed", "most": 200})),
        "Plan.example.org \"p\" is invalid: spec.most: Forbidden: too many"
    );
    assert_eq!(
        refusal(json!({"least": 3, "most": 2})),
        "Plan.example.org \"p\" is invalid: [spec.phase: Required value, <nil>: Invalid value: \"null\": some validation rules \
         were not checked because the object was invalid; correct the existing errors to complete validation]"
    );
}

#[test]
fn transition_rules_compare_with_the_object_before() {
    let mut server = with_rules();
    done(&mut server, "POST", PLANS, plan(json!({"phase": "Proposed", "epoch": 4})));
    let target = format!("{PLANS}/p");
    let merge = "application/merge-patch+json";
    let mut patched =
        |spec: Value| send_as(&mut server, "PATCH", &target, merge, json!({"spec": spec}));
    assert_eq!(patched(json!({"phase": "Bound", "epoch": 5})).0, 200);
    let (code, answer) = patched(json!({"epoch": 3}));
    assert_eq!(
        (code, answer["message"].as_str()),
        (
            422,
            Some(
                "Plan.example.org \"p\" is invalid: spec.epoch: Invalid value: 3: must not go back"
            )
        )
    );
    let (_, answer) = patched(json!({"phase": "Proposed"}));
    assert_eq!(
        answer["message"],
        "Plan.example.org \"p\" is invalid: spec.phase: Invalid value: \"Proposed\": no way from Bound to Proposed"
    );
}

/// The definition of another kind, whose `spec` has this rule.
fn other_kind(server: &mut Server, rule: &str) -> Value {
    let path = format!("{DEFINITIONS}/plans.example.org");
    let mut definition = done(server, "GET", &path, json!(null));
    definition["metadata"] = json!({"name": "others.example.org"});
    definition["spec"]["names"] =
        json!({"kind": "Other", "listKind": "OtherList", "plural": "others", "singular": "other"});
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"]["x-kubernetes-validations"] = json!([{"rule": rule}]);
    definition
}

#[test]
fn a_definition_with_a_rule_that_cannot_be_read_is_refused() {
    for rule in ["self.?most.orValue(0) < 5", "self.most <"] {
        let mut server = with_rules();
        let definition = other_kind(&mut server, rule);
        let (code, message) = refused(&mut server, "POST", DEFINITIONS, definition);
        assert_eq!(code, 422);
        let place = "spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule: ";
        assert!(message.contains(place), "{message}");
        assert!(
            message.contains("this API reads less of CEL") && message.contains(rule),
            "{message}"
        );
    }
}

#[test]
fn an_object_is_refused_whose_rule_cannot_be_evaluated() {
    let mut server = with_rules();
    let definition = other_kind(&mut server, "cel.bind(most, self.most, most < 5)");
    done(&mut server, "POST", DEFINITIONS, definition);
    let other = json!({
        "apiVersion": "example.org/v1", "kind": "Other", "metadata": {"name": "o"},
        "spec": {"phase": "Bound", "most": 9},
    });
    let path = PLANS.replace("plans", "others");
    let (code, message) = refused(&mut server, "POST", &path, other);
    assert_eq!(code, 422);
    assert!(message.contains("cannot tell whether the rule holds: cel.bind("), "{message}");
}
