//! The rules without which a gang could be bound in part, each by itself, so that the model can take one away
//! and show what happens. Data only: the machine knows what each means.
//! Invariant: the product keeps all of them; nothing but the model says otherwise.

/// Which rules are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// No bind goes out before its plan is recorded and decided.
    pub record_before_binds: bool,
    /// A plan is decided on the object that carries the minimum, in the version that the plan was made from.
    pub commit_on_group: bool,
    /// A bind names the version of the pod that was known before the plan was verified.
    pub binds_name_versions: bool,
    /// A plan is verified after the versions that its binds name are known, not before.
    pub versions_before_verification: bool,
    /// Unbound members of a plan that is undone are touched, so that no bind under way can apply.
    pub fences: bool,
    /// A bind that may have taken effect is never called failed.
    pub doubt_is_no_failure: bool,
    /// A repaired plan holds the members that are bound already, where they are.
    pub repairs_pin_the_bound: bool,
    /// Steps of the preparation are undone before their plan counts as undone.
    pub steps_are_undone: bool,
}

impl Rules {
    /// All of them.
    pub const ALL: Self = Self {
        record_before_binds: true,
        commit_on_group: true,
        binds_name_versions: true,
        versions_before_verification: true,
        fences: true,
        doubt_is_no_failure: true,
        repairs_pin_the_bound: true,
        steps_are_undone: true,
    };
}
