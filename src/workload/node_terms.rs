//! Terms of node selectors from what is written: operators by their words, and what makes no sense named.
//! A term that does not parse is kept with its reason; as upstream, it matches no node.
//! Knows neither pods nor files: both pods and configurations have such terms.

use super::constraints::NodeOperator;
use super::constraints::NodeRequirement;
use super::constraints::NodeTerm;
use crate::base::label_syntax::is_label_key;
use crate::base::label_syntax::is_label_value;
use crate::base::names::Name;

/// The one field that `matchFields` may be about.
const NAME_FIELD: &str = "metadata.name";

/// A requirement as it is written.
#[derive(Clone, Copy, Debug)]
pub struct WrittenRequirement<'a> {
    /// A label's key, or a field.
    pub key: &'a str,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt`, or `Lt`.
    pub operator: &'a str,
    /// What is compared with.
    pub values: &'a [String],
}

/// What a requirement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    /// `matchExpressions`.
    Labels,
    /// `matchFields`.
    Fields,
}

/// The term of these `matchExpressions` and `matchFields`; `name` makes names of texts.
pub fn term(
    expressions: &[WrittenRequirement<'_>],
    fields: &[WrittenRequirement<'_>],
    mut name: impl FnMut(&str) -> Name,
) -> NodeTerm {
    let mut malformed = None;
    let mut read = |list: &str, written: &[WrittenRequirement<'_>], on: Judged| {
        let mut sound = Vec::new();
        for (index, one) in written.iter().enumerate() {
            match operator(one, on) {
                Ok(operator) => sound.push(NodeRequirement {
                    key: name(one.key),
                    operator,
                    values: one.values.iter().map(|value| name(value)).collect(),
                }),
                Err(why) => {
                    malformed = malformed.take().or(Some(format!("{list}[{index}]: {why}")));
                }
            }
        }
        sound
    };
    let match_expressions = read("matchExpressions", expressions, Judged::Labels);
    let match_fields = read("matchFields", fields, Judged::Fields);
    NodeTerm { match_expressions, match_fields, malformed: malformed.map(Into::into) }
}

/// The operator of a requirement that makes sense, or what is wrong with it.
fn operator(written: &WrittenRequirement<'_>, on: Judged) -> Result<NodeOperator, String> {
    let WrittenRequirement { key, operator: word, values } = *written;
    let operator = match word {
        "In" => NodeOperator::In,
        "NotIn" => NodeOperator::NotIn,
        "Exists" => NodeOperator::Exists,
        "DoesNotExist" => NodeOperator::DoesNotExist,
        "Gt" => NodeOperator::Gt,
        "Lt" => NodeOperator::Lt,
        other => return Err(format!("operator \"{other}\" does not exist")),
    };
    match on {
        Judged::Fields => check_field(operator, written)?,
        Judged::Labels => check_count(operator, written)?,
    }
    if on == Judged::Labels {
        if !is_label_key(key) {
            return Err(format!("\"{key}\" is no label key"));
        }
        // Of Gt and Lt as well, so that they never compare with a negative number.
        if let Some(value) = values.iter().find(|value| !is_label_value(value)) {
            return Err(format!("\"{value}\" is no label value"));
        }
    }
    Ok(operator)
}

fn check_field(operator: NodeOperator, written: &WrittenRequirement<'_>) -> Result<(), String> {
    match operator {
        NodeOperator::In | NodeOperator::NotIn => {
            if written.values.len() != 1 || written.key != NAME_FIELD {
                return Err(
                    "a field requirement is on metadata.name and has exactly one value".to_owned()
                );
            }
            Ok(())
        }
        NodeOperator::Exists | NodeOperator::DoesNotExist | NodeOperator::Gt | NodeOperator::Lt => {
            Err(format!("operator {} is not for fields", written.operator))
        }
    }
}

fn check_count(operator: NodeOperator, written: &WrittenRequirement<'_>) -> Result<(), String> {
    let WrittenRequirement { operator: word, values, .. } = *written;
    match operator {
        NodeOperator::In | NodeOperator::NotIn if values.is_empty() => {
            Err(format!("operator {word} needs at least one value"))
        }
        NodeOperator::Exists | NodeOperator::DoesNotExist if !values.is_empty() => {
            Err(format!("operator {word} takes no values"))
        }
        NodeOperator::Gt | NodeOperator::Lt
            if values.len() != 1 || values[0].parse::<i64>().is_err() =>
        {
            Err(format!("operator {word} needs exactly one value, a whole number"))
        }
        NodeOperator::In
        | NodeOperator::NotIn
        | NodeOperator::Exists
        | NodeOperator::DoesNotExist
        | NodeOperator::Gt
        | NodeOperator::Lt => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::WrittenRequirement;
    use super::term;

    #[test]
    fn what_makes_no_sense_is_named_and_the_rest_is_kept() {
        let values = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
        let cases: [(&str, &str, &[&str], &str); 9] = [
            ("zone", "In", &["a"], ""),
            ("zone", "In", &[], "operator In needs at least one value"),
            ("zone", "Near", &["a"], "operator \"Near\" does not exist"),
            ("zone", "Exists", &["a"], "operator Exists takes no values"),
            ("size", "Gt", &["few"], "operator Gt needs exactly one value, a whole number"),
            ("size", "Lt", &["4"], ""),
            ("size", "Gt", &["-3"], "\"-3\" is no label value"),
            ("not a key", "Exists", &[], "\"not a key\" is no label key"),
            ("zone", "NotIn", &["not a value"], "\"not a value\" is no label value"),
        ];
        for (key, operator, given, expected) in cases {
            let values = values(given);
            let written = WrittenRequirement { key, operator, values: &values };
            let read = term(&[written], &[], |text| text.into());
            let malformed = read.malformed.as_deref().unwrap_or_default();
            assert_eq!(malformed.trim_start_matches("matchExpressions[0]: "), expected);
            assert_eq!(read.match_expressions.len(), usize::from(expected.is_empty()));
        }
        let one = values(&["n1"]);
        let name = WrittenRequirement { key: "metadata.name", operator: "In", values: &one };
        assert_eq!(term(&[], &[name], |text| text.into()).malformed, None);
        let other = WrittenRequirement { key: "metadata.uid", ..name };
        let read = term(&[], &[name, other], |text| text.into());
        assert_eq!(
            read.malformed.as_deref(),
            Some(
                "matchFields[1]: a field requirement is on metadata.name and has exactly one value"
            )
        );
        assert_eq!(read.match_fields.len(), 1);
    }
}
