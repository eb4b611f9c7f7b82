//! Policies that a replay can run side by side: settings of the one engine, not branches in it.
//! A policy is a row of the table: a name, what it does, and how it changes the defaults.
//! Knows no trace and no cluster.

use crate::base::time::Span;
use crate::engine::settings::Notices;
use crate::engine::settings::Settings;

/// The scheduler that the pods of a trace name.
pub const SCHEDULER_NAME: &str = "muster";

/// A policy: a name and how it changes the default settings.
#[derive(Debug)]
pub struct Policy {
    /// Its name in `--policy NAME`.
    pub name: &'static str,
    /// What it does, for help and reports.
    pub about: &'static str,
    change: fn(&mut Settings),
}

/// Every policy there is; the first is the default.
pub const POLICIES: [Policy; 2] = [
    Policy {
        name: "muster",
        about: "the defaults: by priority and age, what does not fit is passed, and a place is kept after 300 s",
        change: |_| {},
    },
    Policy {
        name: "skipping",
        about: "the same, but no place is ever kept: small jobs may pass a big one for ever",
        change: |settings| settings.overtaking_after = Span(i64::MAX),
    },
];

/// The policy called `name`.
pub fn policy(name: &str) -> Option<&'static Policy> {
    POLICIES.iter().find(|policy| policy.name == name)
}

impl Policy {
    /// The engine's settings under this policy. Nobody reads notices in a replay.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings {
            scheduler_names: vec![SCHEDULER_NAME.into()],
            notices: Notices::Silent,
            ..Settings::default()
        };
        (self.change)(&mut settings);
        settings
    }
}
