//! Label selectors: the query-string syntax (`a=b,c in (d,e),!f`) and the `LabelSelector` object.
//! Semantics and syntax follow `k8s.io/apimachinery/pkg/labels`: a negative requirement
//! (`!=`, `notin`) is met by an object that lacks the key. Knows no kind of object.
//! Invariant: a parsed selector prints as a string that parses to an equal selector.

use std::fmt;

use serde_json::Value;

use super::names::Name;

/// How a requirement judges the value of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// The key is there and its value is one of the values (`=`, `==`, `in`).
    In,
    /// The key is absent or its value is none of the values (`!=`, `notin`).
    NotIn,
    /// The key is there.
    Exists,
    /// The key is absent.
    DoesNotExist,
    /// The value is an integer above the given one.
    GreaterThan,
    /// The value is an integer below the given one.
    LessThan,
}

/// One condition of a selector.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    /// The label's key.
    pub key: Name,
    /// The comparison.
    pub operator: Operator,
    /// The values compared with; sorted and without repeats.
    pub values: Vec<Name>,
}

/// A conjunction of requirements; empty selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelSelector {
    /// All of these must hold.
    pub requirements: Vec<Requirement>,
}

/// A selector that cannot be read; the text is what an API server would answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);

impl Requirement {
    /// A requirement with its values in order.
    pub fn new(key: &str, operator: Operator, mut values: Vec<Name>) -> Self {
        values.sort();
        values.dedup();
        Self { key: key.into(), operator, values }
    }

    /// True if a label set with `value` under the key (`None`: key absent) meets this.
    pub fn holds(&self, value: Option<&str>) -> bool {
        match self.operator {
            Operator::In => value.is_some_and(|value| self.has(value)),
            Operator::NotIn => value.is_none_or(|value| !self.has(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => {
                self.compare(value).is_some_and(|(found, bound)| found > bound)
            }
            Operator::LessThan => self.compare(value).is_some_and(|(found, bound)| found < bound),
        }
    }

    fn has(&self, value: &str) -> bool {
        self.values.iter().any(|candidate| &**candidate == value)
    }

    fn compare(&self, value: Option<&str>) -> Option<(i64, i64)> {
        let bound = self.values.first()?.parse().ok()?;
        Some((value?.parse().ok()?, bound))
    }
}

impl LabelSelector {
    /// Selects everything.
    pub const fn everything() -> Self {
        Self { requirements: Vec::new() }
    }

    /// True if it selects everything.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Reads the query-string syntax.
    ///
    /// # Errors
    /// When the text is not a selector; the message names the place, as upstream does.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser { tokens: tokens(text), at: 0 };
        let selector = parser
            .selector()
            .map_err(|reason| SelectorError(format!("unable to parse requirement: {reason}")))?;
        Ok(selector)
    }

    /// Reads a `LabelSelector` object (`matchLabels`, `matchExpressions`); `null` selects nothing
    /// upstream, so callers that meet an absent selector must decide before they come here.
    ///
    /// # Errors
    /// When a part has the wrong type, or an operator is unknown or has the wrong number of values.
    pub fn from_json(object: &Value) -> Result<Self, SelectorError> {
        if !object.is_object() {
            return Err(SelectorError("a selector must be an object".to_owned()));
        }
        let mut requirements = Vec::new();
        match object.get("matchLabels") {
            None | Some(Value::Null) => {}
            Some(Value::Object(labels)) => {
                for (key, value) in labels {
                    let value = text(value, &format!("matchLabels.{key}"))?;
                    requirements.push(Requirement::new(key, Operator::In, vec![value.into()]));
                }
            }
            Some(_) => return Err(SelectorError("matchLabels must be an object".to_owned())),
        }
        for expression in list(object.get("matchExpressions"), "matchExpressions")? {
            requirements.push(read_expression(expression)?);
        }
        requirements.sort();
        Ok(Self { requirements })
    }

    /// True if the labels that `label` looks up meet every requirement.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| requirement.holds(label(&requirement.key)))
    }

    /// True if `labels` (a JSON object of strings, or anything else for none) meets every requirement.
    pub fn matches_json(&self, labels: Option<&Value>) -> bool {
        self.matches(|key| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str))
    }
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, SelectorError> {
    value.as_str().ok_or_else(|| SelectorError(format!("{field} must be a string")))
}

/// The items of a list; absent and `null` are the empty one.
fn list<'a>(value: Option<&'a Value>, field: &str) -> Result<&'a [Value], SelectorError> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(SelectorError(format!("{field} must be a list"))),
    }
}

fn read_expression(expression: &Value) -> Result<Requirement, SelectorError> {
    let key = expression.get("key").and_then(Value::as_str).unwrap_or_default();
    if key.is_empty() {
        return Err(SelectorError("matchExpressions[].key must be a string".to_owned()));
    }
    let values = list(expression.get("values"), "matchExpressions[].values")?;
    let values: Vec<Name> = values
        .iter()
        .map(|value| text(value, "matchExpressions[].values[]").map(Name::from))
        .collect::<Result<_, _>>()?;
    let named = expression.get("operator").and_then(Value::as_str).unwrap_or_default();
    let operator = match named {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        _ => {
            return Err(SelectorError(format!(
                "\"{named}\" is not a valid label selector operator"
            )));
        }
    };
    match operator {
        Operator::In | Operator::NotIn if values.is_empty() => Err(SelectorError(format!(
            "{key}: values must be specified when `operator` is 'In' or 'NotIn'"
        ))),
        Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
            Err(SelectorError(format!(
                "{key}: values may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            )))
        }
        Operator::In
        | Operator::NotIn
        | Operator::Exists
        | Operator::DoesNotExist
        | Operator::GreaterThan
        | Operator::LessThan => Ok(Requirement::new(key, operator, values)),
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = self.values.iter().map(|value| &**value).collect::<Vec<_>>().join(",");
        let key = &self.key;
        match (self.operator, self.values.len()) {
            (Operator::In, 1) => write!(f, "{key}={list}"),
            (Operator::In, _) => write!(f, "{key} in ({list})"),
            (Operator::NotIn, 1) => write!(f, "{key}!={list}"),
            (Operator::NotIn, _) => write!(f, "{key} notin ({list})"),
            (Operator::Exists, _) => f.write_str(key),
            (Operator::DoesNotExist, _) => write!(f, "!{key}"),
            (Operator::GreaterThan, _) => write!(f, "{key}>{list}"),
            (Operator::LessThan, _) => write!(f, "{key}<{list}"),
        }
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(&'static str),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Sign(sign) => f.write_str(sign),
        }
    }
}

const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let end = rest
                .find(|c: char| c.is_whitespace() || "=!(),<>".contains(c))
                .unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn next_is(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Sign(found)) if *found == sign);
        if found {
            self.at += 1;
        }
        found
    }

    fn selector(&mut self) -> Result<LabelSelector, String> {
        let mut requirements = Vec::new();
        while self.at < self.tokens.len() {
            requirements.push(self.requirement()?);
            match self.next() {
                None => break,
                Some(Token::Sign(",")) if self.at < self.tokens.len() => {}
                Some(Token::Sign(",")) => {
                    return Err("found '', expected: identifier after ','".to_owned());
                }
                Some(other) => {
                    return Err(format!("found '{other}', expected: ',' or 'end of string'"));
                }
            }
        }
        requirements.sort();
        Ok(LabelSelector { requirements })
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        if self.next_is("!") {
            let key = self.key()?;
            return Ok(Requirement::new(&key, Operator::DoesNotExist, Vec::new()));
        }
        let key = self.key()?;
        match self.tokens.get(self.at).cloned() {
            None | Some(Token::Sign(",")) => {
                Ok(Requirement::new(&key, Operator::Exists, Vec::new()))
            }
            Some(Token::Sign("=" | "==")) => self.equality(&key, Operator::In),
            Some(Token::Sign("!=")) => self.equality(&key, Operator::NotIn),
            Some(Token::Sign(">")) => self.order(&key, Operator::GreaterThan),
            Some(Token::Sign("<")) => self.order(&key, Operator::LessThan),
            Some(Token::Word(word)) if word == "in" => self.set(&key, Operator::In),
            Some(Token::Word(word)) if word == "notin" => self.set(&key, Operator::NotIn),
            Some(other) => Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
        }
    }

    fn key(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word),
            Some(other) => {
                Err(format!("found '{other}', expected: !, identifier, or 'end of string'"))
            }
            None => Err("found '', expected: identifier".to_owned()),
        }
    }

    fn equality(&mut self, key: &str, operator: Operator) -> Result<Requirement, String> {
        self.at += 1;
        let value = match self.tokens.get(self.at).cloned() {
            Some(Token::Word(word)) => {
                self.at += 1;
                word
            }
            // "a=" compares with the empty value.
            None | Some(Token::Sign(",")) => String::new(),
            Some(other) => return Err(format!("found '{other}', expected: identifier")),
        };
        Ok(Requirement::new(key, operator, vec![value.as_str().into()]))
    }

    fn order(&mut self, key: &str, operator: Operator) -> Result<Requirement, String> {
        let requirement = self.equality(key, operator)?;
        match requirement.values.first().map(|value| value.parse::<i64>()) {
            Some(Ok(_)) => Ok(requirement),
            Some(Err(_)) | None => Err(
                "values[0]: Invalid value: for 'Gt', 'Lt' operators, the value must be an integer"
                    .to_owned(),
            ),
        }
    }

    fn set(&mut self, key: &str, operator: Operator) -> Result<Requirement, String> {
        self.at += 1;
        if !self.next_is("(") {
            let found = self.next().map(|token| token.to_string()).unwrap_or_default();
            return Err(format!("found '{found}' expected: '('"));
        }
        let mut values = Vec::new();
        loop {
            match self.next() {
                Some(Token::Word(word)) => {
                    values.push(word.as_str().into());
                    match self.next() {
                        Some(Token::Sign(",")) => {}
                        Some(Token::Sign(")")) => break,
                        Some(other) => {
                            return Err(format!("found '{other}', expected: ',' or ')'"));
                        }
                        None => return Err("found '', expected: ',' or ')'".to_owned()),
                    }
                }
                Some(Token::Sign(",")) => values.push("".into()),
                Some(Token::Sign(")")) => {
                    values.push("".into());
                    break;
                }
                Some(other) => {
                    return Err(format!("found '{other}', expected: ',', ')' or identifier"));
                }
                None => return Err("found '', expected: ',', ')' or identifier".to_owned()),
            }
        }
        Ok(Requirement::new(key, operator, values))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::LabelSelector;

    fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
        let selector = LabelSelector::parse(selector).expect("the test's selector parses");
        selector
            .matches(|key| labels.iter().find(|(name, _)| *name == key).map(|(_, value)| *value))
    }

    #[test]
    fn equality_and_sets_select_as_upstream() {
        let labels = [("app", "web"), ("tier", "front"), ("index", "7"), ("empty", "")];
        for selector in [
            "",
            "app",
            "app=web",
            "app == web",
            "app!=db",
            "absent!=x",
            "absent notin (x,y)",
            "app in (web, db),tier",
            "!absent",
            "index>6,index<8",
            "empty=",
            "empty in ()",
        ] {
            assert!(selects(selector, &labels), "{selector} selects");
        }
        for selector in [
            "app=db",
            "app!=web",
            "absent",
            "!app",
            "absent in (x)",
            "app notin (web)",
            "index>7",
            "app>1",
            "absent=",
        ] {
            assert!(!selects(selector, &labels), "{selector} does not select");
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        for text in
            ["a=b", "a!=b", "a in (b,c)", "a notin (b,c)", "a", "!a", "a>1", "a<2", "a=b,c", "x="]
        {
            let selector = LabelSelector::parse(text).expect("parses");
            assert_eq!(selector.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_selector_is_refused_with_its_place() {
        for (text, reason) in [
            ("a=b=c", "unable to parse requirement: found '=', expected: ',' or 'end of string'"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a,", "unable to parse requirement: found '', expected: identifier after ','"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            (
                ",",
                "unable to parse requirement: found ',', expected: !, identifier, or 'end of string'",
            ),
        ] {
            assert_eq!(
                LabelSelector::parse(text).expect_err("is refused").to_string(),
                reason,
                "{text}"
            );
        }
    }

    #[test]
    fn selector_objects_select() {
        let selector = LabelSelector::from_json(&json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["back"]}, {"key": "x", "operator": "DoesNotExist"}],
        }))
        .expect("parses");
        assert!(selector.matches_json(Some(&json!({"app": "web"}))));
        assert!(!selector.matches_json(Some(&json!({"app": "web", "tier": "back"}))));
        assert!(!selector.matches_json(Some(&json!({"app": "web", "x": ""}))));
        assert!(!selector.matches_json(None));
        let wrong = LabelSelector::from_json(
            &json!({"matchExpressions": [{"key": "a", "operator": "Is"}]}),
        );
        assert_eq!(
            wrong.expect_err("is refused").to_string(),
            "\"Is\" is not a valid label selector operator"
        );
    }

    #[test]
    fn a_selector_object_of_which_a_part_cannot_be_read_selects_nothing_by_mistake() {
        for (object, reason) in [
            (json!("app=web"), "a selector must be an object"),
            (json!({"matchLabels": "app=web"}), "matchLabels must be an object"),
            (json!({"matchLabels": {"app": 1}}), "matchLabels.app must be a string"),
            (json!({"matchExpressions": {"key": "a"}}), "matchExpressions must be a list"),
            (
                json!({"matchExpressions": [{"operator": "Exists"}]}),
                "matchExpressions[].key must be a string",
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "In", "values": "b"}]}),
                "matchExpressions[].values must be a list",
            ),
            (
                json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", 3]}]}),
                "matchExpressions[].values[] must be a string",
            ),
        ] {
            let refused = LabelSelector::from_json(&object).expect_err("is refused");
            assert_eq!(refused.to_string(), reason, "{object}");
        }
        let empty = json!({"matchLabels": null, "matchExpressions": null});
        assert!(LabelSelector::from_json(&empty).expect("parses").is_everything());
    }
}
