//! Why the driver, and the process with it, ends although nobody asked it to. Words only; nothing is decided here.
//! Every fault is one that a restart from listings mends.
//! May not hide what differed: each text names it, since it is all that remains of the process.

use std::fmt;

use crate::base::names::ObjectName;
use crate::kubernetes::translate::Kind;

/// Why the driver stops although nobody asked it to. The process ends; a restart begins from listings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A listing shows an older version of an object than was seen before: the server's store was set back.
    WentBack {
        /// Which kind.
        kind: Kind,
        /// Which object.
        name: ObjectName,
    },
    /// A list of a kind is older than objects that were seen before it.
    StoreWentBack {
        /// Which kind.
        kind: Kind,
        /// The version of the list.
        listed: u64,
        /// The highest version seen before.
        seen: u64,
    },
    /// A recount found what nothing explains; the text says what.
    Differs(String),
    /// This process was elected, and its watches do not catch up with what was written before.
    Blind(String),
    /// Leadership was lost: another process may lead by now.
    LeadershipLost(String),
    /// A task of the rim has ended, which it never does by itself.
    TaskEnded,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WentBack { kind, name } => write!(
                f,
                "the API server lists an older version of {name} ({}) than it showed before: \
                 its store was set back, so everything that is believed has to be read anew",
                kind.as_str()
            ),
            Self::StoreWentBack { kind, listed, seen } => write!(
                f,
                "the API server lists {} as of version {listed}, after it showed version {seen}: \
                 its store was set back, so everything that is believed has to be read anew",
                kind.as_str()
            ),
            Self::Differs(what) => {
                write!(f, "a recount found that what is believed is not so: {what}")
            }
            Self::Blind(what) => {
                write!(f, "elected, but not everything is known that was written before: {what}")
            }
            Self::LeadershipLost(how) => write!(f, "leadership was lost: {how}"),
            Self::TaskEnded => {
                f.write_str("a task of the connection to the API server has ended unexpectedly")
            }
        }
    }
}
