//! The long answer for people.

use super::stage::{Stage, group, member, pod};
use crate::base::names::ObjectName;
use crate::cluster::facts::{GroupSource, PodFact};

#[test]
fn a_refused_gang_is_explained_with_what_is_nearest_and_what_would_help() {
    let mut stage = Stage::new(&[("n1", 3), ("n2", 1)]);
    stage.put(PodFact { priority: 9, ..pod("first", 8) });
    stage.put_group(group("train", 2));
    stage.put(member("train-0", "train", 2));
    stage.put(member("train-1", "train", 2));
    stage.settle();
    let explanation = stage.engine.explain(stage.now, &ObjectName::new("team", "train-1"));
    let explanation = explanation.expect("a member leads to its gang");
    assert_eq!(
        (explanation.kind, &*explanation.name, explanation.place_in_turn),
        ("PodGroup", "train", Some((2, 2)))
    );
    assert_eq!(explanation.reason, Some("Unschedulable"));
    assert!(explanation.nearest_miss.is_some() && !explanation.cured_by.is_empty());
    let text = explanation.to_string();
    for part in [
        "PodGroup team/train",
        "waits: Unschedulable",
        "0/2 nodes",
        "turn: 2 of 2",
        "train-0 waiting",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    let json = serde_json::to_value(&explanation).expect("explanations are plain data");
    assert_eq!(json["members"][0]["state"], "waiting");
}

#[test]
fn of_two_gangs_of_one_name_the_other_is_pointed_out() {
    let mut stage = Stage::new(&[("n1", 3)]);
    let mut native = group("train", 2);
    native.name.source = GroupSource::Native;
    native.uid = "native".into();
    let mut other = member("b", "train", 1);
    other.group = Some(native.name.clone());
    stage.put_group(native);
    stage.put(other);
    let explained = |stage: &Stage, name: &str| {
        let explanation = stage.engine.explain(stage.now, &ObjectName::new("team", name));
        explanation.expect("it exists")
    };
    stage.settle();
    assert_eq!(explained(&stage, "train").namesake, None);
    stage.put_group(group("train", 2));
    stage.put(member("a", "train", 1));
    stage.settle();
    let shown = explained(&stage, "train");
    assert_eq!(&*shown.members[0].pod, "a");
    let namesake = shown.namesake.as_deref().expect("the native one has its name");
    assert!(
        namesake.contains("scheduling.k8s.io") && namesake.ends_with("its pod b"),
        "{namesake}"
    );
    assert!(shown.to_string().contains(namesake));
    assert_eq!(&*explained(&stage, "b").members[0].pod, "b");
}

#[test]
fn bound_pods_and_other_schedulers_pods_are_explained_too() {
    let mut stage = Stage::new(&[("n1", 3)]);
    stage.put(pod("a", 1));
    stage.put(PodFact { scheduler: "volcano".into(), ..pod("b", 1) });
    stage.settle();
    let explain = |name: &str| stage.engine.explain(stage.now, &ObjectName::new("team", name));
    let bound = explain("a").expect("it exists");
    assert_eq!((bound.members[0].state, bound.members[0].node.as_deref()), ("bound", Some("n1")));
    let foreign = explain("b").expect("it exists");
    assert!(foreign.message.is_some_and(|message| message.contains("volcano")));
    assert_eq!(explain("c"), None);
}
