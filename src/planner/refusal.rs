//! Why a demand was not placed: reasons with counts in kube-scheduler's words, the gang's own sentence,
//! the nearest miss, and what could cure it. Autoscalers and people parse the first sentence.
//! Its one `Display` serves conditions, events, explanations, and tests. Names no pod.

use std::fmt;

use crate::base::names::Name;
use crate::plugins::cures::Cures;

/// A "no".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of no.
    pub cause: Cause,
    /// How many nodes exist.
    pub nodes: usize,
    /// Reasons with the number of nodes they hold for, sorted as kube-scheduler sorts them:
    /// as the strings `COUNT TEXT`. A node that lacks several resources counts for each.
    pub reasons: Vec<Reason>,
    /// The gang's own sentence; `None` for a single pod.
    pub gang: Option<GangShortfall>,
    /// The node that came closest for the member that did not fit, of those that rules on node objects allow.
    pub nearest: Option<NearestMiss>,
    /// Whether all possibilities were looked at.
    pub search: SearchEnd,
    /// Which kinds of change could turn it.
    pub cured_by: Cures,
}

/// Kinds of no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// More or other nodes would help.
    Unschedulable,
    /// It would fit, but on nodes that are kept for a gang that stands before it.
    KeptForAnother,
    /// It asks for something that Muster does not honour; no node would help.
    Unsupported,
}

/// One reason, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// On how many nodes; 0 where the reason is not about nodes.
    pub count: usize,
    /// In kube-scheduler's words where it has the same reason.
    pub text: Name,
}

/// What a gang lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GangShortfall {
    /// Members that must be placed together.
    pub needed: usize,
    /// Members for which room was found.
    pub fitting: usize,
    /// Whether more could have been placed.
    pub certainty: Certainty,
}

/// How sure a count is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// No more than that.
    AtMost,
    /// As many at least: members differ, and the search looked for the minimum, not for the most.
    AtLeast,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchEnd {
    /// There is no placement.
    Exhausted,
    /// The bound on its work ended it; a placement may exist.
    Bound {
        /// Steps done.
        steps: u64,
    },
}

/// The node that lacked least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearestMiss {
    /// Its name.
    pub node: Name,
    /// What it lacks for one member, by resource, in the units of `Amounts`.
    pub lacking: Vec<(Name, i64)>,
}

impl Refusal {
    /// The refusal of what no node of the cluster could give as things stand, in these words.
    pub(super) fn unsupported(
        nodes: usize,
        texts: impl IntoIterator<Item = Name>,
        cured_by: Cures,
    ) -> Self {
        Self {
            cause: Cause::Unsupported,
            nodes,
            reasons: texts.into_iter().map(|text| Reason { count: 0, text }).collect(),
            gang: None,
            nearest: None,
            search: SearchEnd::Exhausted,
            cured_by,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Unsupported => {
                f.write_str("not supported by this scheduler: ")?;
                return write_joined(f, self.reasons.iter().map(|reason| &reason.text), "; ");
            }
            Cause::Unschedulable | Cause::KeptForAnother => {}
        }
        if self.nodes == 0 {
            // Without a full stop, as kube-scheduler writes it.
            f.write_str("no nodes available to schedule pods")?;
        } else {
            write!(f, "0/{} nodes are available: ", self.nodes)?;
            write_joined(f, self.reasons.iter(), ", ")?;
            f.write_str(".")?;
        }
        if let Some(gang) = self.gang {
            let before = if self.nodes == 0 { ". " } else { " " };
            write!(f, "{before}{gang}")?;
        }
        match self.search {
            SearchEnd::Exhausted => Ok(()),
            SearchEnd::Bound { steps } => {
                write!(f, " The search ended at its bound of {steps} steps; a placement may exist.")
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            0 => f.write_str(&self.text),
            count => write!(f, "{count} {}", self.text),
        }
    }
}

impl fmt::Display for GangShortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = if self.needed == 1 { "member" } else { "members" };
        write!(f, "The gang needs {} {members} placed together; ", self.needed)?;
        match (self.certainty, self.fitting) {
            (Certainty::AtMost, 0) => f.write_str("none fits."),
            (Certainty::AtMost, 1) => f.write_str("at most 1 fits."),
            (Certainty::AtMost, fitting) => write!(f, "at most {fitting} fit."),
            (Certainty::AtLeast, 0) => f.write_str("room was found for none."),
            (Certainty::AtLeast, fitting) => write!(f, "room was found for {fitting}."),
        }
    }
}

fn write_joined<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = T>,
    separator: &str,
) -> fmt::Result {
    for (at, item) in items.enumerate() {
        if at > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}
