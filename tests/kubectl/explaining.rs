//! `kubectl explain` of built-in and custom kinds.

use crate::playing::playing;

#[test]
fn explain_shows_fields_types_and_descriptions() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("explaining");
    let pod = kubectl.ok("explain pod");
    assert!(pod.contains("KIND:       Pod") && pod.contains("VERSION:    v1"), "{pod}");
    assert!(pod.contains("A group of containers that run together"), "{pod}");
    assert!(pod.contains("spec\t<PodSpec>"), "{pod}");
    let limits = kubectl.ok("explain pod.spec.containers.resources.limits");
    assert!(limits.contains("FIELD: limits <map[string]"), "{limits}");
    let all = kubectl.ok("explain deployment --recursive");
    assert!(all.contains("containers\t<[]Container>"), "{all}");
    assert!(kubectl.fails("explain pod.spec.nothing").contains("does not exist"));
    kubectl.ok_with(
        "create -f -",
        "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ships.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Ship, listKind: ShipList, plural: ships, singular: ship}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        description: A vessel.
        properties:
          spec: {type: object, properties: {masts: {type: integer, description: How many stand.}}}
",
    );
    kubectl.ok("wait --for=condition=Established crd/ships.example.com --timeout=5s");
    let ship = kubectl.ok("explain ship.spec.masts");
    assert!(ship.contains("FIELD: masts <integer>") && ship.contains("How many stand."), "{ship}");
    let crd = kubectl.ok("explain crd.spec.versions.schema.openAPIV3Schema.properties");
    assert!(crd.contains("JSONSchemaProps"), "{crd}");
}
