//! A policy as IAM takes it, and its JSON.
//!
//! Must not know what a policy says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::ser::{Serialize, Serializer};

/// A policy of an identity or of a bucket.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyDocument {
    version: &'static str,
    statement: Vec<PolicyStatement>,
}

impl PolicyDocument {
    pub(crate) fn new(statements: Vec<PolicyStatement>) -> Self {
        Self {
            version: "2012-10-17",
            statement: statements,
        }
    }

    /// The JSON, indented and in ASCII: IAM takes no character beyond U+00FF as it is.
    ///
    /// # Panics
    /// Never: strings, lists and objects are always JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self).expect("a tree of strings");
        escape_non_ascii(&json)
    }
}

/// One statement of a policy. The order of the fields is that of the JSON.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyStatement {
    sid: &'static str,
    effect: PolicyEffect,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<PolicyPrincipal>,
    action: PolicyStrings,
    resource: PolicyStrings,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "serialize_conditions"
    )]
    condition: Vec<PolicyCondition>,
}

#[derive(Debug, Clone, Copy, serde::Serialize)]
enum PolicyEffect {
    Allow,
    Deny,
}

/// Whom a statement of a bucket's policy is about.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) enum PolicyPrincipal {
    #[serde(rename = "*")]
    Everyone,
    #[serde(rename = "AWS")]
    Arns(PolicyStrings),
}

/// One operator with one key: no policy here has two conditions with the same operator.
#[derive(Debug, Clone)]
struct PolicyCondition {
    operator: &'static str,
    key: &'static str,
    values: PolicyStrings,
}

impl PolicyStatement {
    pub(crate) fn allow(
        sid: &'static str,
        actions: &[&str],
        resources: impl Into<PolicyStrings>,
    ) -> Self {
        Self::new(PolicyEffect::Allow, sid, actions, resources.into())
    }

    /// Denies something to everyone.
    pub(crate) fn deny(
        sid: &'static str,
        actions: &[&str],
        resources: impl Into<PolicyStrings>,
    ) -> Self {
        let statement = Self::new(PolicyEffect::Deny, sid, actions, resources.into());
        statement.with_principal(Some(PolicyPrincipal::Everyone))
    }

    fn new(
        effect: PolicyEffect,
        sid: &'static str,
        actions: &[&str],
        resource: PolicyStrings,
    ) -> Self {
        Self {
            sid,
            effect,
            principal: None,
            action: actions.iter().copied().collect(),
            resource,
            condition: Vec::new(),
        }
    }

    pub(crate) fn with_principal(self, principal: Option<PolicyPrincipal>) -> Self {
        Self { principal, ..self }
    }

    pub(crate) fn with_condition(
        mut self,
        operator: &'static str,
        key: &'static str,
        values: impl Into<PolicyStrings>,
    ) -> Self {
        self.condition.push(PolicyCondition {
            operator,
            key,
            values: values.into(),
        });
        self
    }
}

fn serialize_conditions<S: Serializer>(
    conditions: &[PolicyCondition],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let by_operator = conditions.iter().map(|condition| {
        let by_key = BTreeMap::from([(condition.key, &condition.values)]);
        (condition.operator, by_key)
    });
    serializer.collect_map(by_operator)
}

/// Strings of a policy. IAM takes one string for a list of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyStrings(Vec<String>);

impl<T: Into<String>> FromIterator<T> for PolicyStrings {
    fn from_iter<I: IntoIterator<Item = T>>(strings: I) -> Self {
        Self(strings.into_iter().map(Into::into).collect())
    }
}

impl From<String> for PolicyStrings {
    fn from(string: String) -> Self {
        Self(vec![string])
    }
}

impl From<&str> for PolicyStrings {
    fn from(string: &str) -> Self {
        string.to_owned().into()
    }
}

impl Serialize for PolicyStrings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [string] => serializer.serialize_str(string),
            strings => serializer.collect_seq(strings),
        }
    }
}

/// JSON that says the same in ASCII.
fn escape_non_ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        // A line break stands between the strings, never in one. DEL is ASCII, but no text.
        if c == '\n' || (c.is_ascii() && !c.is_ascii_control()) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_fields_in_the_order_of_the_documentation() {
        let allow = PolicyStatement::allow("Read", &["s3:GetObject"], "arn:one");
        let deny = PolicyStatement::deny("OnlyTls", &["a", "b"], "arn:two")
            .with_condition("Null", "k", "true")
            .with_condition("Bool", "l", "false");
        let policy = PolicyDocument::new(vec![allow, deny]);
        let json = serde_json::to_string(&policy).expect("JSON");
        let expected = r#"{"Version":"2012-10-17","Statement":[
            {"Sid":"Read","Effect":"Allow","Action":"s3:GetObject","Resource":"arn:one"},
            {"Sid":"OnlyTls","Effect":"Deny","Principal":"*","Action":["a","b"],
             "Resource":"arn:two","Condition":{"Null":{"k":"true"},"Bool":{"l":"false"}}}]}"#;
        let expected: String = expected.lines().map(str::trim).collect();
        assert_eq!(json, expected);
    }

    #[test]
    fn writes_principals_below_their_kind() {
        let arns: PolicyStrings = ["arn:one", "arn:two"].into_iter().collect();
        let json = serde_json::to_string(&PolicyPrincipal::Arns(arns)).expect("JSON");
        assert_eq!(json, r#"{"AWS":["arn:one","arn:two"]}"#);
    }

    #[test]
    fn writes_strings_in_ascii_that_say_the_same() {
        let text = "a${*}%{if}\"\\\u{1b}é株\u{1f600}";
        let policy = PolicyDocument::new(vec![PolicyStatement::allow("Read", &["a"], text)]);
        let json = policy.to_json();
        let escaped = r#""a${*}%{if}\"\\\u001b\u00e9\u682a\ud83d\ude00""#;
        assert!(json.contains(escaped), "{json}");
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(value["Statement"][0]["Resource"], text);
    }
}
