//! What is wrong with the input, said so that it can be mended: where, what, and how.
//! Knows no kind and no rule: whoever finds something wrong fills these in.
//! Each error is one line when it is shown; long values are cut.

use std::fmt;

use super::read::Origin;

/// What is wrong with one field, before it is known where the object came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// The field's path, such as `spec.containers[0].resources.requests[cpu]`; empty where no field is meant.
    pub field: String,
    /// The offending value as written; `None` where the value is missing or already part of the problem.
    pub value: Option<String>,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead; may be empty where the problem says it.
    pub remedy: String,
}

/// One reason why the input is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// The file and document.
    pub origin: Origin,
    /// Kind and name, such as `Pod default/train-0`; empty where it could not be read that far.
    pub object: String,
    /// What is wrong.
    pub complaint: Complaint,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        if let Some(value) = &self.value {
            write!(f, "\"{}\": ", shortened(value))?;
        }
        f.write_str(&self.problem)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.object.is_empty() {
            write!(f, "{}: ", self.object)?;
        }
        self.complaint.fmt(f)
    }
}

/// A value fit for one line: at most 60 characters, the rest as an ellipsis.
fn shortened(value: &str) -> String {
    const SHOWN: usize = 60;
    if value.chars().count() <= SHOWN {
        return value.to_owned();
    }
    value.chars().take(SHOWN - 1).chain(std::iter::once('…')).collect()
}
