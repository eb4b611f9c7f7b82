//! The ephemeral volume controller: a claim for each `ephemeral` volume of a pod, made from the pod's own template,
//! owned by the pod, and gone with it. Binds nothing and knows no node.
//! Invariant: a claim that is somebody else's is left alone.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use super::path_of_claim;
use crate::base::names::ObjectName;
use crate::sim::controllers::template::owner_reference;
use crate::sim::machinery::Sight;
use crate::sim::object::Object;
use crate::sim::write::Write;

/// The claims of pods that bring some along.
#[derive(Debug, Default)]
pub(super) struct Ephemeral {
    /// As they are to be made, by name.
    wanted: BTreeMap<ObjectName, Value>,
    /// Of pods that are gone: by name, the uid of the pod.
    left: BTreeMap<ObjectName, String>,
}

impl Ephemeral {
    /// Takes in what was seen of a pod. True if that changes what is wanted.
    pub(super) fn see_pod(&mut self, sight: Sight<'_>) -> bool {
        let (Sight::Present(pod) | Sight::Gone(pod)) = sight;
        let mut news = false;
        for (name, claim) in claims_of(pod) {
            let uid = Object(pod).uid().to_owned();
            let goes = matches!(sight, Sight::Gone(_)) || Object(pod).deleting();
            if goes {
                // A successor of the same name may want its own already.
                let own = self.wanted.get(&name).is_some_and(|known| *known == claim);
                if own {
                    self.wanted.remove(&name);
                }
            }
            news |= match sight {
                Sight::Gone(_) => self.left.insert(name, uid).is_none(),
                Sight::Present(_) if goes => false,
                Sight::Present(_) => self.wanted.insert(name, claim.clone()) != Some(claim),
            };
        }
        news
    }

    /// Makes the claims that are missing, and takes away those of pods that are gone.
    pub(super) fn settle(&mut self, claims: &BTreeMap<ObjectName, Value>, writes: &mut Vec<Write>) {
        self.left.retain(|name, owner| {
            let own = claims.get(name).filter(|claim| {
                Object(claim).controller().is_some_and(|controller| controller.uid == *owner)
            });
            if let Some(claim) = own.filter(|claim| !Object(claim).deleting()) {
                writes.push(Write::delete(path_of_claim(name), Object(claim).uid(), None));
            }
            own.is_some()
        });
        for (name, claim) in self.wanted.iter().filter(|(name, _)| !claims.contains_key(name)) {
            let path = format!("/api/v1/namespaces/{}/persistentvolumeclaims", name.namespace);
            writes.push(Write::create(path, claim));
        }
    }
}

/// The claims that a pod brings along, by name.
fn claims_of(pod: &Value) -> Vec<(ObjectName, Value)> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let ephemeral = volumes.filter(|volume| volume["ephemeral"].is_object());
    ephemeral.map(|volume| claim_of(Object(pod), volume)).collect()
}

fn claim_of(pod: Object<'_>, volume: &Value) -> (ObjectName, Value) {
    let template = &volume["ephemeral"]["volumeClaimTemplate"];
    let name = format!("{}-{}", pod.name(), volume["name"].as_str().unwrap_or_default());
    let mut owner = owner_reference(pod);
    owner["apiVersion"] = "v1".into();
    owner["kind"] = "Pod".into();
    let claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": pod.namespace(),
            "labels": template["metadata"]["labels"],
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": [owner],
        },
        "spec": template["spec"],
    });
    (ObjectName::new(pod.namespace(), &name), claim)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;
    use serde_json::json;

    use super::Ephemeral;
    use crate::base::names::ObjectName;
    use crate::sim::machinery::Sight;
    use crate::sim::write::Verb;

    fn pod(uid: &str) -> Value {
        let template =
            json!({"metadata": {"labels": {"a": "b"}}, "spec": {"storageClassName": "x"}});
        json!({
            "metadata": {"name": "p", "namespace": "d", "uid": uid},
            "spec": {"volumes": [
                {"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}},
                {"name": "other", "emptyDir": {}},
            ]},
        })
    }

    fn writes(
        ephemeral: &mut Ephemeral,
        claims: &BTreeMap<ObjectName, Value>,
    ) -> Vec<(Verb, Value)> {
        let mut writes = Vec::new();
        ephemeral.settle(claims, &mut writes);
        let body = |text: &[u8]| serde_json::from_slice(text).expect("it was written as JSON");
        writes.iter().map(|write| (write.verb, body(write.text()))).collect()
    }

    #[test]
    fn a_pod_gets_the_claims_that_it_brings_along_and_takes_them_with_it() {
        let (mut ephemeral, mut claims) = (Ephemeral::default(), BTreeMap::new());
        assert!(ephemeral.see_pod(Sight::Present(&pod("u"))));
        assert!(!ephemeral.see_pod(Sight::Present(&pod("u"))), "nothing new");
        let made = writes(&mut ephemeral, &claims);
        let [(Verb::Create, claim)] = &made[..] else { panic!("one claim: {made:?}") };
        assert_eq!(claim["metadata"]["name"], "p-scratch");
        assert_eq!(claim["metadata"]["ownerReferences"][0]["uid"], "u");
        assert_eq!(claim["metadata"]["labels"], json!({"a": "b"}));
        assert_eq!(claim["spec"], json!({"storageClassName": "x"}));
        let mut known = claim.clone();
        known["metadata"]["uid"] = "c".into();
        claims.insert(ObjectName::new("d", "p-scratch"), known);
        assert_eq!(writes(&mut ephemeral, &claims), []);
        assert!(ephemeral.see_pod(Sight::Gone(&pod("u"))));
        let gone = writes(&mut ephemeral, &claims);
        assert_eq!((gone.len(), gone[0].0), (1, Verb::Delete));
        assert_eq!(gone[0].1["preconditions"]["uid"], "c");
        claims.clear();
        assert_eq!(writes(&mut ephemeral, &claims), []);
    }

    #[test]
    fn a_claim_of_another_pod_stays_and_a_successor_gets_its_own() {
        let (mut ephemeral, mut claims) = (Ephemeral::default(), BTreeMap::new());
        let reference = json!({"kind": "Pod", "name": "p", "uid": "other", "controller": true});
        let foreign = json!({"metadata": {"name": "p-scratch", "ownerReferences": [reference]}});
        claims.insert(ObjectName::new("d", "p-scratch"), foreign);
        ephemeral.see_pod(Sight::Present(&pod("u")));
        ephemeral.see_pod(Sight::Present(&pod("v")));
        ephemeral.see_pod(Sight::Gone(&pod("u")));
        assert_eq!(writes(&mut ephemeral, &claims), []);
        claims.clear();
        let made = writes(&mut ephemeral, &claims);
        assert_eq!(made[0].1["metadata"]["ownerReferences"][0]["uid"], "v");
    }
}
