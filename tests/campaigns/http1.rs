//! The subset of HTTP/1.1 that S3 clients use: reads complete messages and preserves their bytes.

use std::io::{self, BufRead, Read as _};

/// The longest header line and body of the tests.
const LONGEST_LINE: u64 = 64 << 10;
const LONGEST_BODY: usize = 64 << 20;

/// A head with its empty line, and the body as it came over the wire, with the marks of its chunks if it had any.
#[derive(Debug, Clone)]
pub(crate) struct HttpMessage {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// Whose body it is: without a stated length, a request has none, and an answer lasts as long as its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageSide {
    Request,
    Answer,
    /// The answer to a HEAD states the length of a body that never comes.
    AnswerToHead,
}

impl HttpMessage {
    /// All of it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }
}

/// The head of the next message; nothing where the connection has ended.
pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.take(LONGEST_LINE).read_line(&mut head)? == 0 {
            return if head.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    }
    Ok(Some(head))
}

/// The body that belongs to a head.
pub(crate) fn read_body(
    reader: &mut impl BufRead,
    head: &str,
    side: MessageSide,
) -> io::Result<Vec<u8>> {
    let status = head.split(' ').nth(1).unwrap_or_default();
    if side == MessageSide::AnswerToHead
        || (side == MessageSide::Answer && ["204", "304"].contains(&status))
    {
        return Ok(Vec::new());
    }
    if find_header(head, "transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    {
        return read_chunks(reader);
    }
    let mut body = Vec::new();
    match (find_header(head, "content-length"), side) {
        (Some(length), _) => {
            body.resize(parse_number(length, 10)?, 0);
            reader.read_exact(&mut body)?;
        }
        (None, MessageSide::Request) => {}
        (None, _) => drop(reader.read_to_end(&mut body)?),
    }
    Ok(body)
}

/// The answer to a request, past those that only say that one is to come (`100 Continue`).
pub(crate) fn read_answer(reader: &mut impl BufRead, side: MessageSide) -> io::Result<HttpMessage> {
    loop {
        let head = read_head(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if !head.starts_with("HTTP/1.1 1") {
            let body = read_body(reader, &head, side)?;
            return Ok(HttpMessage { head, body });
        }
    }
}

/// The value of a header.
pub(crate) fn find_header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let named = |line: &'a str| {
        line.split_once(':')
            .filter(|(it, _)| it.eq_ignore_ascii_case(name))
    };
    head.lines()
        .skip(1)
        .find_map(named)
        .map(|(_, value)| value.trim())
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.take(LONGEST_LINE).read_line(&mut line)?;
        body.extend_from_slice(line.as_bytes());
        let size = parse_number(line.split(';').next().unwrap_or_default().trim(), 16)?;
        if size == 0 {
            break;
        }
        let start = body.len();
        body.resize(start + size + 2, 0);
        reader.read_exact(&mut body[start..])?;
    }
    // Trailers, and the empty line behind them.
    while !body.ends_with(b"\r\n\r\n") {
        if reader.take(LONGEST_LINE).read_until(b'\n', &mut body)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(body)
}

fn parse_number(text: &str, radix: u32) -> io::Result<usize> {
    let number = usize::from_str_radix(text, radix)
        .ok()
        .filter(|number| *number <= LONGEST_BODY);
    number.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("no length: {text}")))
}

#[test]
fn reads_several_messages_from_one_connection() {
    // RFC 9112, sections 6 and 7.1: a length, chunks with a trailer, the answer to a HEAD, and one that ends with the connection.
    let requests = "PUT /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                    4;x=y\r\nWiki\r\n0\r\nT: u\r\n\r\nGET /c HTTP/1.1\r\n\r\n";
    let mut reader = requests.as_bytes();
    for (line, body) in [
        ("PUT /a", "abc"),
        ("POST /b", "4;x=y\r\nWiki\r\n0\r\nT: u\r\n\r\n"),
        ("GET /c", ""),
    ] {
        let head = read_head(&mut reader).unwrap().unwrap();
        assert!(
            head.starts_with(line) && head.ends_with("\r\n\r\n"),
            "{head}"
        );
        assert_eq!(
            read_body(&mut reader, &head, MessageSide::Request).unwrap(),
            body.as_bytes()
        );
    }
    assert!(read_head(&mut reader).unwrap().is_none());
    let answers = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nHTTP/1.0 200 OK\r\n\r\nrest";
    let mut reader = answers.as_bytes();
    assert_eq!(
        read_answer(&mut reader, MessageSide::AnswerToHead)
            .unwrap()
            .body,
        b""
    );
    assert_eq!(
        read_answer(&mut reader, MessageSide::Answer).unwrap().body,
        b"rest"
    );
}
