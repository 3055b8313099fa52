//! Classifies the requests of a deployment: the step that sends it, its object, and the parts that
//! a fault can change.

use std::fmt;

use crate::http1::HttpMessage;

/// The method and object of a request, such as `PUT record`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RequestClass {
    method: &'static str,
    of: &'static str,
}

/// A request of a deployment: its step, class and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestPoint {
    pub(crate) step: &'static str,
    pub(crate) class: RequestClass,
    pub(crate) nth: usize,
}

/// The parts of a request and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools)] // facts that do not depend on each other
pub(crate) struct RequestShape {
    pub(crate) put: bool,
    pub(crate) request_metadata: bool,
    pub(crate) request_body: bool,
    pub(crate) answer_metadata: bool,
    pub(crate) answer_body: bool,
}

impl RequestClass {
    pub(crate) fn of(head: &str) -> Self {
        let mut words = head.split(' ');
        let first = words.next().unwrap_or_default();
        let method = ["HEAD", "PUT", "GET", "POST"]
            .into_iter()
            .find(|method| *method == first);
        let path = words
            .next()
            .unwrap_or_default()
            .split('?')
            .next()
            .unwrap_or_default();
        let of = match path {
            "/" => "identity",
            path if path.contains("/config-history/") => "history",
            path if path.ends_with("/config.yaml") => "config",
            path if path.contains("/usage-logs/") => "record",
            path if path.contains("/usage-chain/") => "seal",
            _ => "something",
        };
        Self {
            method: method.unwrap_or("?"),
            of,
        }
    }
}

impl fmt::Display for RequestPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} number {} of {}",
            self.class.method, self.class.of, self.nth, self.step
        )
    }
}

impl RequestShape {
    /// The parts that the head of a request shows.
    pub(crate) fn of(head: &str) -> Self {
        let request_metadata = head.contains("x-amz-meta-deployment-id");
        Self {
            put: head.starts_with("PUT "),
            request_metadata,
            ..Self::default()
        }
    }

    /// Adds the parts of the bodies and the answer.
    pub(crate) fn complete(&mut self, request: &HttpMessage, answer: &HttpMessage) {
        self.request_body = !request.body.is_empty();
        self.answer_metadata = answer.head.contains("x-amz-meta-md5");
        self.answer_body = !answer.body.is_empty();
    }
}

#[test]
fn requests_are_told_apart_by_method_and_key() {
    let is = |head: &str| {
        let class = RequestClass::of(head);
        (class.method, class.of)
    };
    assert_eq!(is("POST / HTTP/1.1\r\n"), ("POST", "identity"));
    assert_eq!(
        is("HEAD /mongodb-arena/terragrunt/airbnb/config.yaml HTTP/1.1\r\n"),
        ("HEAD", "config")
    );
    assert_eq!(
        is(
            "PUT /mongodb-arena/terragrunt/airbnb/config-history/2025-10-30_143052_m.yaml?x-id=PutObject HTTP/1.1"
        ),
        ("PUT", "history")
    );
    assert_eq!(
        is("GET /mongodb-arena/usage-logs/airbnb/2025-10-30_143052.json?x-id=GetObject HTTP/1.1"),
        ("GET", "record")
    );
    assert_eq!(is("DELETE /mongodb-arena/x HTTP/1.1"), ("?", "something"));
}
