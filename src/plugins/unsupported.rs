//! What Muster does not honour yet refuses the pod by name, instead of being ignored.
//! No change to the cluster cures it.
//! Which things those are is found where objects are read; here it only becomes a rule like the others.

use super::cures::Cures;
use super::{Filter, Rule};
use crate::base::names::Name;
use crate::workload::ask::Ask;

/// The row.
pub const RULE: Rule =
    Rule { name: "Unsupported", filter: Filter::Ask(faults), score: None, cured_by: Cures::NONE };

/// What the ask wants and does not get; each entry names field and remedy.
pub fn faults(ask: &Ask) -> &[Name] {
    &ask.unsupported
}

#[cfg(test)]
mod tests {
    use super::super::admits;
    use super::super::fixture::node;
    use super::{Ask, faults};

    #[test]
    fn a_pod_that_wants_what_is_not_honoured_goes_nowhere() {
        let fine = Ask::default();
        let wants = Ask {
            unsupported: vec!["spec.containers[0].ports[0].hostPort".into()],
            ..Ask::default()
        };
        assert!(faults(&fine).is_empty() && admits(&fine, &node("a")));
        assert_eq!(faults(&wants), wants.unsupported);
        assert!(!admits(&wants, &node("a")));
    }
}
