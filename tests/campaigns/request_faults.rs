//! The faults of one request, and the false answers that arrive in place of those of AWS.

use crate::http1::HttpMessage;
use crate::request_points::RequestShape;
use test_support::faulty_proxy::remove_checksum;

/// A fault of a request or its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestFault {
    /// The request is read and never answered.
    Silence,
    /// Only the head of the request is read.
    SilenceAfterHead,
    /// The answer comes byte by byte, too slow for any deadline.
    Drip,
    /// The answer comes slowly in pieces, but in time.
    Slow,
    /// The connection is reset after this percentage of the request body, before the server gets
    /// it.
    ResetRequest(usize),
    /// The server executes the request, and the connection is reset after this percentage of the
    /// answer.
    ResetAnswer(usize),
    /// The server executes the request, and the connection ends after this percentage of the
    /// answer.
    CutAnswer(usize),
    /// A bit of the request flips.
    FlipRequest(MessagePart),
    /// The server executes the request, and a bit of the answer flips.
    FlipAnswer(MessagePart),
    /// The server executes the request, and the answer states another checksum.
    WrongChecksum,
    /// A false answer reports success without the server.
    Swallow,
    /// A false answer replaces the server.
    Answer(FalseAnswer),
}

/// The position of a flipped bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessagePart {
    /// In the signature of a request, the status of an answer.
    Head,
    /// In the user metadata of this name.
    Metadata(&'static str),
    Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FalseAnswer {
    status: &'static str,
    headers: &'static str,
    body: AnswerBody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnswerBody {
    /// An error of S3 or STS with this code.
    Error(&'static str),
    /// An error with this code and sentence.
    ErrorSentence(&'static str, &'static str),
    Text(&'static str),
}

const HTML: AnswerBody = AnswerBody::Text(
    "<!DOCTYPE html>\n<html><body><h1>Please log in</h1>Room and name</body></html>\n",
);
const EXPLICIT_DENY: AnswerBody = AnswerBody::ErrorSentence(
    "AccessDenied",
    "User: u is not authorized to perform: a on resource: r \
     with an explicit deny in a service control policy",
);
const TRUNCATED: AnswerBody =
    AnswerBody::Text("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>Intern");
/// `<Error><Code>SlowDown</Code></Error>` with three flipped bits.
const GARBLED: AnswerBody = AnswerBody::Text("<Errnr><Code>SlowDown</Cnde></Error\u{7f}");

const fn says(status: &'static str, headers: &'static str, body: AnswerBody) -> RequestFault {
    RequestFault::Answer(FalseAnswer {
        status,
        headers,
        body,
    })
}

/// Every fault, with the name of its kind.
pub(crate) const ALL: [(&str, RequestFault); 47] = [
    ("silence", RequestFault::Silence),
    ("silence after the head", RequestFault::SilenceAfterHead),
    ("drip", RequestFault::Drip),
    ("slow", RequestFault::Slow),
    ("reset in the request", RequestFault::ResetRequest(0)),
    ("reset in the request", RequestFault::ResetRequest(50)),
    ("reset in the request", RequestFault::ResetRequest(100)),
    ("lost answer", RequestFault::ResetAnswer(0)),
    ("reset in the answer", RequestFault::ResetAnswer(20)),
    ("reset in the answer", RequestFault::ResetAnswer(99)),
    ("cut answer", RequestFault::CutAnswer(0)),
    ("cut answer", RequestFault::CutAnswer(10)),
    ("cut answer", RequestFault::CutAnswer(50)),
    ("cut answer", RequestFault::CutAnswer(99)),
    (
        "bit flip in the request",
        RequestFault::FlipRequest(MessagePart::Head),
    ),
    (
        "bit flip in the request",
        RequestFault::FlipRequest(MessagePart::Metadata("deployment-id")),
    ),
    (
        "bit flip in the request",
        RequestFault::FlipRequest(MessagePart::Body),
    ),
    (
        "bit flip in the answer",
        RequestFault::FlipAnswer(MessagePart::Head),
    ),
    (
        "bit flip in the answer",
        RequestFault::FlipAnswer(MessagePart::Metadata("md5")),
    ),
    (
        "bit flip in the answer",
        RequestFault::FlipAnswer(MessagePart::Body),
    ),
    ("wrong checksum", RequestFault::WrongChecksum),
    ("200 for nothing", RequestFault::Swallow),
    (
        "403",
        says("403 Forbidden", "", AnswerBody::Error("AccessDenied")),
    ),
    ("403 by a policy", says("403 Forbidden", "", EXPLICIT_DENY)),
    (
        "403 for a quota",
        says("403 Forbidden", "", AnswerBody::Error("QuotaExceeded")),
    ),
    ("403 of a web filter", says("403 Forbidden", "", HTML)),
    (
        "501",
        says(
            "501 Not Implemented",
            "",
            AnswerBody::Error("NotImplemented"),
        ),
    ),
    (
        "404",
        says("404 Not Found", "", AnswerBody::Error("NoSuchKey")),
    ),
    (
        "404",
        says("404 Not Found", "", AnswerBody::Error("NoSuchBucket")),
    ),
    (
        "409",
        says(
            "409 Conflict",
            "",
            AnswerBody::Error("ConditionalRequestConflict"),
        ),
    ),
    (
        "412",
        says(
            "412 Precondition Failed",
            "",
            AnswerBody::Error("PreconditionFailed"),
        ),
    ),
    (
        "429",
        says(
            "429 Too Many Requests",
            "retry-after: 3600\r\n",
            AnswerBody::Error("TooManyRequests"),
        ),
    ),
    (
        "500",
        says(
            "500 Internal Server Error",
            "",
            AnswerBody::Error("InternalError"),
        ),
    ),
    (
        "503",
        says(
            "503 Slow Down",
            "retry-after: 120\r\n",
            AnswerBody::Error("SlowDown"),
        ),
    ),
    (
        "301 to a region",
        says(
            "301 Moved Permanently",
            "x-amz-bucket-region: eu-west-1\r\n",
            AnswerBody::Error("PermanentRedirect"),
        ),
    ),
    (
        "301 to nowhere",
        says(
            "301 Moved Permanently",
            "",
            AnswerBody::Error("PermanentRedirect"),
        ),
    ),
    (
        "307",
        says(
            "307 Temporary Redirect",
            "location: http://127.0.0.1:1/\r\n",
            AnswerBody::Error("TemporaryRedirect"),
        ),
    ),
    (
        "200 with an error",
        says("200 OK", "", AnswerBody::Error("InternalError")),
    ),
    ("200 with an error", says("200 OK", "", TRUNCATED)),
    (
        "bad digest",
        says("400 Bad Request", "", AnswerBody::Error("BadDigest")),
    ),
    (
        "bad digest",
        says(
            "400 Bad Request",
            "",
            AnswerBody::Error("XAmzContentSHA256Mismatch"),
        ),
    ),
    (
        "expired",
        says("403 Forbidden", "", AnswerBody::Error("ExpiredToken")),
    ),
    ("HTML with 200", says("200 OK", "", HTML)),
    ("HTML with 502", says("502 Bad Gateway", "", HTML)),
    (
        "truncated XML",
        says("500 Internal Server Error", "", TRUNCATED),
    ),
    ("truncated XML", says("403 Forbidden", "", TRUNCATED)),
    ("garbled XML", says("503 Slow Down", "", GARBLED)),
];

impl RequestFault {
    /// Whether the fault applies to such a request.
    pub(crate) fn applies_to(&self, shape: RequestShape) -> bool {
        match self {
            Self::SilenceAfterHead
            | Self::ResetRequest(50 | 100)
            | Self::FlipRequest(MessagePart::Body) => shape.request_body,
            Self::FlipRequest(MessagePart::Metadata(_)) => shape.request_metadata,
            Self::FlipAnswer(MessagePart::Metadata(_)) => shape.answer_metadata,
            Self::FlipAnswer(MessagePart::Body) => shape.answer_body,
            Self::WrongChecksum | Self::Swallow => shape.put,
            _ => true,
        }
    }
}

impl FalseAnswer {
    /// The answer to a request, as bytes.
    pub(crate) fn bytes_for(&self, request: &str) -> Vec<u8> {
        let body = match self.body {
            AnswerBody::Text(text) => text.to_owned(),
            AnswerBody::Error(code) => error_xml(request, code, "not today"),
            AnswerBody::ErrorSentence(code, sentence) => error_xml(request, code, sentence),
        };
        let kind = if self.body == HTML {
            "text/html"
        } else {
            "application/xml"
        };
        let head = format!(
            "HTTP/1.1 {}\r\ncontent-type: {kind}\r\n{}content-length: {}\r\n\r\n",
            self.status,
            self.headers,
            body.len()
        );
        // The answer to a HEAD states the length of a body that is not sent.
        if request.starts_with("HEAD ") {
            head.into()
        } else {
            (head + &body).into()
        }
    }
}

/// An error in answer to a request. STS wraps errors in another element.
fn error_xml(request: &str, code: &str, sentence: &str) -> String {
    let error = format!("<Code>{code}</Code><Message>{sentence}</Message>");
    let (open, close) = if request.starts_with("POST / ") {
        ("<ErrorResponse><Error>", "</Error></ErrorResponse>")
    } else {
        ("<Error>", "</Error>")
    };
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{open}{error}{close}")
}

/// The answer to a successful PUT.
pub(crate) const DONE: &[u8] =
    b"HTTP/1.1 200 OK\r\netag: \"d41d8cd98f00b204e9800998ecf8427e\"\r\ncontent-length: 0\r\n\r\n";

/// Flips a bit; returns whether the message has this part.
pub(crate) fn flip_bit(message: &mut HttpMessage, part: MessagePart) -> bool {
    let place = match part {
        MessagePart::Body => {
            let middle = message.body.len() / 2;
            return message
                .body
                .get_mut(middle)
                .map(|byte| *byte ^= 1)
                .is_some();
        }
        MessagePart::Metadata(name) => message
            .head
            .find(&format!("x-amz-meta-{name}: "))
            .map(|start| start + "x-amz-meta-: ".len() + name.len()),
        MessagePart::Head => message.head.find("Signature=").or_else(|| {
            message
                .head
                .starts_with("HTTP/1.1 ")
                .then_some("HTTP/1.1 2".len())
        }),
    };
    // A digit stays a digit when its lowest bit flips.
    let digit = place.and_then(|start| {
        message.head[start..]
            .find(|c: char| c.is_ascii_digit())
            .map(|offset| start + offset)
    });
    let Some(digit) = digit else { return false };
    let mut head = std::mem::take(&mut message.head).into_bytes();
    head[digit] ^= 1;
    message.head = String::from_utf8(head).expect("digits");
    true
}

pub(crate) fn remove_stated_checksum(answer: &mut HttpMessage) {
    let head = remove_checksum(std::mem::take(&mut answer.head).into_bytes());
    answer.head = String::from_utf8(head).expect("text without a line of it");
}

/// Replaces the SHA-256 of the object by that of an empty one.
pub(crate) fn misstate_checksum(answer: &mut HttpMessage) {
    const OF_NOTHING: &str =
        "x-amz-checksum-sha256: 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\r\n";
    remove_stated_checksum(answer);
    answer.head.truncate(answer.head.len() - 2);
    answer.head.push_str(OF_NOTHING);
    answer.head.push_str("\r\n");
}

#[test]
fn a_flipped_bit_changes_one_digit_where_it_should() {
    let answer = |head: &str| HttpMessage {
        head: head.to_owned(),
        body: b"body".to_vec(),
    };
    let flipped = |head: &str, part| {
        let mut message = answer(head);
        flip_bit(&mut message, part).then_some((message.head, message.body))
    };
    let head = "HTTP/1.1 200 OK\r\nx-amz-meta-md5: ab4f\r\n\r\n";
    assert_eq!(
        flipped(head, MessagePart::Head).unwrap().0,
        head.replace("200", "210")
    );
    assert_eq!(
        flipped(head, MessagePart::Metadata("md5")).unwrap().0,
        head.replace("ab4f", "ab5f")
    );
    assert_eq!(flipped(head, MessagePart::Metadata("sha256")), None);
    assert_eq!(flipped(head, MessagePart::Body).unwrap().1, b"bo\x65y");
    let request = "PUT /b/k HTTP/1.1\r\nauthorization: AWS4-HMAC-SHA256 Credential=AKIA1, Signature=ab29\r\n\r\n";
    assert_eq!(
        flipped(request, MessagePart::Head).unwrap().0,
        request.replace("ab29", "ab39")
    );
}
