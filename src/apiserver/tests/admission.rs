//! Admission: priorities, namespaces, and what is reserved.

use serde_json::Value;
use serde_json::json;

use super::PODS;
use super::done;
use super::pod;
use super::refused;
use super::send;
use super::send_as;
use super::server;

const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";

fn class(name: &str, value: i64) -> Value {
    json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value})
}

fn of_class(name: &str, class: &str) -> Value {
    let mut pod = pod(name);
    pod["spec"]["priorityClassName"] = class.into();
    pod
}

#[test]
fn a_pods_priority_comes_from_its_class() {
    let mut server = server();
    let mut never = class("batch", 100);
    never["preemptionPolicy"] = "Never".into();
    done(&mut server, "POST", CLASSES, never);
    let made = done(&mut server, "POST", PODS, of_class("a", "batch"));
    assert_eq!(
        (&made["spec"]["priority"], &made["spec"]["preemptionPolicy"]),
        (&json!(100), &json!("Never"))
    );
    let made = done(&mut server, "POST", PODS, of_class("b", "system-node-critical"));
    assert_eq!(made["spec"]["priority"], 2_000_001_000);
    assert_eq!(
        refused(&mut server, "POST", PODS, of_class("c", "absent")),
        (403, "pods \"c\" is forbidden: no PriorityClass with name absent was found".to_owned())
    );
    let mut other = of_class("d", "batch");
    other["spec"]["priority"] = 5.into();
    assert_eq!(
        refused(&mut server, "POST", PODS, other),
        (
            403,
            "pods \"d\" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority \
             admission controller computed 100 from the given PriorityClass name"
                .to_owned()
        )
    );
}

#[test]
fn a_default_class_is_there_once() {
    let mut server = server();
    let mut default = class("usual", 7);
    default["globalDefault"] = true.into();
    done(&mut server, "POST", CLASSES, default.clone());
    let made = done(&mut server, "POST", PODS, pod("a"));
    assert_eq!(
        (&made["spec"]["priority"], &made["spec"]["priorityClassName"]),
        (&json!(7), &json!("usual"))
    );
    default["metadata"]["name"] = "second".into();
    assert_eq!(
        refused(&mut server, "POST", CLASSES, default),
        (
            403,
            "priorityclasses.scheduling.k8s.io \"second\" is forbidden: PriorityClass usual is already marked as \
             default. Only one default can exist"
                .to_owned()
        )
    );
}

#[test]
fn priority_classes_have_bounds_and_do_not_change() {
    let mut server = server();
    assert_eq!(
        refused(&mut server, "POST", CLASSES, class("much", 1_000_000_001)),
        (
            422,
            "PriorityClass.scheduling.k8s.io \"much\" is invalid: value: Forbidden: maximum allowed value of a user \
             defined priority is 1000000000"
                .to_owned()
        )
    );
    assert_eq!(refused(&mut server, "POST", CLASSES, class("system-mine", 1)).0, 422);
    let mut made = done(&mut server, "POST", CLASSES, class("batch", 1));
    made["value"] = 2.into();
    assert_eq!(
        refused(&mut server, "PUT", &format!("{CLASSES}/batch"), made),
        (
            422,
            "PriorityClass.scheduling.k8s.io \"batch\" is invalid: value: Forbidden: may not be changed in an update."
                .to_owned()
        )
    );
}

#[test]
fn a_namespace_must_exist_and_takes_its_content_along() {
    let mut server = server();
    let elsewhere = "/api/v1/namespaces/team/pods";
    assert_eq!(
        refused(&mut server, "POST", elsewhere, pod("a")),
        (404, "namespaces \"team\" not found".to_owned())
    );
    let team = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
    let made = done(&mut server, "POST", "/api/v1/namespaces", team);
    assert_eq!(made["status"]["phase"], "Active");
    assert_eq!(made["metadata"]["labels"]["kubernetes.io/metadata.name"], "team");
    done(&mut server, "POST", elsewhere, pod("a"));
    let binding = json!({"target": {"kind": "Node", "name": "n"}});
    done(&mut server, "POST", &format!("{elsewhere}/a/binding"), binding);
    let going = done(&mut server, "DELETE", "/api/v1/namespaces/team", json!(null));
    assert_eq!(going["status"]["phase"], "Terminating");
    let (code, message) = refused(&mut server, "POST", elsewhere, pod("b"));
    assert_eq!(
        (code, message.as_str()),
        (
            403,
            "pods \"b\" is forbidden: unable to create new content in namespace team because it is being terminated"
        )
    );
    let pod = done(&mut server, "GET", &format!("{elsewhere}/a"), json!(null));
    assert!(pod["metadata"]["deletionTimestamp"].is_string(), "the pod ends with its grace");
    done(&mut server, "DELETE", &format!("{elsewhere}/a"), json!({"gracePeriodSeconds": 0}));
    assert_eq!(send(&mut server, "GET", "/api/v1/namespaces/team", json!(null)).0, 404);
    assert_eq!(
        refused(&mut server, "DELETE", "/api/v1/namespaces/default", json!(null)),
        (403, "namespaces \"default\" is forbidden: this namespace may not be deleted".to_owned())
    );
}

#[test]
fn a_native_pod_group_stays_while_it_has_live_pods() {
    let mut server = server();
    let groups = "/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups";
    let group =
        json!({"metadata": {"name": "g"}, "spec": {"schedulingPolicy": {"gang": {"minCount": 1}}}});
    done(&mut server, "POST", groups, group);
    let mut member = pod("a");
    member["spec"]["schedulingGroup"] = json!({"podGroupName": "g"});
    done(&mut server, "POST", PODS, member);
    done(&mut server, "DELETE", &format!("{groups}/g"), json!(null));
    assert_eq!(send(&mut server, "GET", &format!("{groups}/g"), json!(null)).0, 200);
    done(&mut server, "DELETE", &format!("{PODS}/a"), json!(null));
    assert_eq!(send(&mut server, "GET", &format!("{groups}/g"), json!(null)).0, 404);
}

#[test]
fn a_native_pod_group_goes_when_its_last_pod_has_ended() {
    let mut server = server();
    let groups = "/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups";
    let group =
        json!({"metadata": {"name": "g"}, "spec": {"schedulingPolicy": {"gang": {"minCount": 1}}}});
    done(&mut server, "POST", groups, group);
    let mut member = pod("a");
    member["spec"]["schedulingGroup"] = json!({"podGroupName": "g"});
    done(&mut server, "POST", PODS, member);
    done(&mut server, "DELETE", &format!("{groups}/g"), json!(null));
    let ended = json!({"status": {"phase": "Succeeded"}});
    let merge = "application/merge-patch+json";
    assert_eq!(send_as(&mut server, "PATCH", &format!("{PODS}/a/status"), merge, ended).0, 200);
    assert_eq!(send(&mut server, "GET", &format!("{groups}/g"), json!(null)).0, 404);
}

#[test]
fn everybody_may_do_everything() {
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "create", "resource": "pods", "namespace": "default"}}});
    let answer = done(
        &mut server(),
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        review,
    );
    assert_eq!(answer["status"]["allowed"], true);
}

#[test]
fn a_claim_that_names_no_class_gets_the_default_one() {
    const STORAGE_CLASSES: &str = "/apis/storage.k8s.io/v1/storageclasses";
    const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
    let mut server = server();
    let claim = |name: &str| {
        let requests = json!({"requests": {"storage": "1Gi"}});
        let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": requests});
        let (version, kind) = ("v1", "PersistentVolumeClaim");
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec})
    };
    let made = done(&mut server, "POST", CLAIMS, claim("early"));
    assert_eq!(made["spec"]["storageClassName"], json!(null), "there is no default yet");
    for (name, default) in [("plain", "false"), ("b", "true"), ("a", "true")] {
        let annotations = json!({"storageclass.kubernetes.io/is-default-class": default});
        let class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "p",
            "metadata": {"name": name, "annotations": annotations},
        });
        done(&mut server, "POST", STORAGE_CLASSES, class);
    }
    let made = done(&mut server, "POST", CLAIMS, claim("late"));
    assert_eq!(made["spec"]["storageClassName"], "a", "of one age, the first by name");
    let mut none = claim("none");
    none["spec"]["storageClassName"] = "".into();
    let made = done(&mut server, "POST", CLAIMS, none);
    assert_eq!(made["spec"]["storageClassName"], "", "the empty class is a class");
}
