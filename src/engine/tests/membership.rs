//! Who is a member of what, in any order of arrival.

use super::stage::{Stage, group, member};

#[test]
fn a_gang_waits_for_its_members_and_says_how_many_exist() {
    let mut stage = Stage::new(&[("n1", 8)]);
    for at in 0..3 {
        stage.put(member(&format!("train-{at}"), "train", 2));
    }
    stage.settle();
    assert_eq!(
        stage.waiting(),
        [
            "train WaitingForMembers: waiting for members: PodGroup train does not exist in namespace team (3 pods name it) (train-0 train-1 train-2)"
        ]
    );
    stage.put_group(group("train", 4));
    stage.settle();
    assert_eq!(
        stage.waiting(),
        ["train WaitingForMembers: waiting for members: 3 of 4 exist (train-0 train-1 train-2)"]
    );
    stage.put(member("train-3", "train", 2));
    stage.settle();
    assert_eq!(stage.binds, ["train-0 n1", "train-1 n1", "train-2 n1", "train-3 n1"]);
    assert!(stage.waiting().is_empty());
}
