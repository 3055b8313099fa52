//! Answers to listings that are not what S3 gives: those that must be refused, and unusual ones
//! that must be understood.

use test_support::broken_s3::{AnswerFraming, BrokenRequest, RawAnswer, contents_xml};

/// What a reader must do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpectedReaction {
    /// Report an error, and use nothing of it.
    Refuse,
    /// The same, if the reader asks for more than one page.
    RefuseSequence,
    /// Give the same result as with the right answer.
    Accept,
}

pub(super) struct AnswerKind {
    pub(super) name: &'static str,
    pub(super) reaction: ExpectedReaction,
    /// Whether it applies to listings of versions.
    pub(super) is_for_versions: bool,
    /// Bends the right answer; `None` where it does not apply.
    pub(super) bend: fn(&BrokenRequest, &str) -> Option<RawAnswer>,
}

const ROOT_END: &str = "</ListBucketResult>";
const NO_TOKEN: &str = "<IsTruncated>true</IsTruncated>";

#[allow(clippy::unnecessary_wraps)] // as the answers that do not always apply
fn ok(body: impl Into<Vec<u8>>) -> Option<RawAnswer> {
    Some(RawAnswer::new("200 OK", body))
}

#[allow(clippy::unnecessary_wraps)] // as above
fn framed(body: &str, framing: AnswerFraming) -> Option<RawAnswer> {
    Some(RawAnswer {
        framing,
        ..RawAnswer::new("200 OK", body)
    })
}

/// The part of an answer up to a fraction of its entries.
fn cut_at(xml: &str, numerator: usize, denominator: usize) -> String {
    xml[..xml.len() * numerator / denominator].to_owned()
}

/// The first entry of a listing, with its end.
fn first_entry(xml: &str) -> Option<String> {
    for name in ["Contents", "CommonPrefixes", "Version"] {
        let end = format!("</{name}>");
        if let Some((before, _)) = xml.split_once(&end) {
            let start = before.rfind(&format!("<{name}>"))?;
            return Some(format!("{}{end}", &before[start..]));
        }
    }
    None
}

/// Replaces a text that must be there.
fn replaced(xml: &str, from: &str, to: &str) -> Option<RawAnswer> {
    xml.contains(from).then(|| ok(xml.replacen(from, to, 1)))?
}

/// The stated count of keys, changed by so much.
fn with_key_count(xml: &str, difference: i64) -> Option<RawAnswer> {
    let (before, rest) = xml.split_once("<KeyCount>")?;
    let (count, after) = rest.split_once("</KeyCount>")?;
    let count: i64 = count.parse().expect("a number");
    ok(format!(
        "{before}<KeyCount>{}</KeyCount>{after}",
        count + difference
    ))
}

fn without(xml: &str, name: &str) -> Option<String> {
    let (before, rest) = xml.split_once(&format!("<{name}>"))?;
    let (_, after) = rest.split_once(&format!("</{name}>"))?;
    Some(format!("{before}{after}"))
}

/// A page that is not the last one, with this token.
fn continued(xml: &str, token: &str) -> Option<RawAnswer> {
    let xml = without(xml, "NextContinuationToken").unwrap_or_else(|| xml.to_owned());
    let more = format!("{NO_TOKEN}<NextContinuationToken>{token}</NextContinuationToken>");
    let xml = xml.replace("<IsTruncated>false</IsTruncated>", NO_TOKEN);
    ok(xml.replace(NO_TOKEN, &more))
}

fn with_entry(request: &BrokenRequest, xml: &str, key: &str) -> Option<RawAnswer> {
    let xml = without(xml, "KeyCount")?;
    let entry = contents_xml(&format!("{}{key}", request.prefix()), 1, "e");
    ok(xml.replace(ROOT_END, &format!("{entry}{ROOT_END}")))
}

const fn refused(
    name: &'static str,
    bend: fn(&BrokenRequest, &str) -> Option<RawAnswer>,
) -> AnswerKind {
    AnswerKind {
        name,
        reaction: ExpectedReaction::Refuse,
        is_for_versions: false,
        bend,
    }
}

const fn refused_for_all(
    name: &'static str,
    bend: fn(&BrokenRequest, &str) -> Option<RawAnswer>,
) -> AnswerKind {
    AnswerKind {
        is_for_versions: true,
        ..refused(name, bend)
    }
}

const fn sequence(
    name: &'static str,
    bend: fn(&BrokenRequest, &str) -> Option<RawAnswer>,
) -> AnswerKind {
    AnswerKind {
        reaction: ExpectedReaction::RefuseSequence,
        ..refused(name, bend)
    }
}

const fn accepted(
    name: &'static str,
    bend: fn(&BrokenRequest, &str) -> Option<RawAnswer>,
) -> AnswerKind {
    AnswerKind {
        reaction: ExpectedReaction::Accept,
        ..refused(name, bend)
    }
}

/// Texts that break off, or are not a listing.
pub(super) const DAMAGED_TEXTS: [AnswerKind; 22] = [
    refused_for_all("cut after the declaration", |_, _| {
        ok("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
    }),
    refused_for_all("cut at a quarter", |_, xml| ok(cut_at(xml, 1, 4))),
    refused_for_all("cut in the middle", |_, xml| ok(cut_at(xml, 1, 2))),
    refused_for_all("cut at nine tenths", |_, xml| ok(cut_at(xml, 9, 10))),
    refused_for_all("cut after the first entry", |_, xml| {
        let entry = first_entry(xml)?;
        let (before, _) = xml.split_once(&entry)?;
        ok(format!("{before}{entry}"))
    }),
    refused_for_all("cut before the root's end", |_, xml| {
        ok(&xml[..xml.rfind("</")?])
    }),
    refused_for_all("cut within the root's end", |_, xml| {
        ok(&xml[..xml.len() - 4])
    }),
    refused_for_all("shorter than its length", |_, xml| {
        let length = xml.len() as u64 + 100;
        framed(xml, AnswerFraming::StatedLength(length))
    }),
    refused_for_all("cut, until the connection ends", |_, xml| {
        framed(&cut_at(xml, 2, 3), AnswerFraming::Close)
    }),
    refused_for_all("chunks without an end", |_, xml| {
        framed(xml, AnswerFraming::ChunksWithoutEnd)
    }),
    refused_for_all("a page of HTML", |_, _| {
        ok("<!DOCTYPE html>\n<html><body>Log in</body></html>\n")
    }),
    refused_for_all("an empty answer", |_, _| ok("")),
    refused_for_all("204 and nothing", |_, _| {
        Some(RawAnswer::new("204 No Content", ""))
    }),
    refused_for_all("JSON", |_, _| ok("{\"keys\": []}")),
    refused_for_all("text", |_, _| ok("nothing here\n")),
    refused_for_all("an error with status 200", |_, _| {
        Some(RawAnswer::error("200 OK", "InternalError"))
    }),
    refused_for_all("another element as root", |_, _| {
        ok("<ListAllMyBucketsResult></ListAllMyBucketsResult>")
    }),
    refused_for_all("packed, and a header says so", |_, _| {
        let mut answer = RawAnswer::new("200 OK", &b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0"[..]);
        let encoding = "gzip".to_owned();
        answer.headers.push(("content-encoding", encoding));
        Some(answer)
    }),
    refused_for_all("an entry that is not closed", |_, xml| {
        let entry = first_entry(xml)?;
        let end = entry.rfind("</")?;
        replaced(xml, &entry, &entry[..end])
    }),
    refused_for_all("a control character in the middle", |_, xml| {
        let entry = first_entry(xml)?;
        replaced(xml, &entry, &format!("{entry}\u{1}<\u{2}"))
    }),
    refused_for_all("gigabytes of entries", |_, xml| {
        let entry = first_entry(xml)?;
        let (before, _) = xml.split_once(&entry)?;
        framed(before, AnswerFraming::Endless(entry.into(), 2 << 30))
    }),
    refused_for_all("gigabytes of spaces", |_, xml| {
        framed(xml, AnswerFraming::Endless(b" \n".to_vec(), 2 << 30))
    }),
];

/// Listings that contradict themselves or the request.
pub(super) const CONTRADICTIONS: [AnswerKind; 17] = [
    refused("one key more than stated", |_, xml| {
        // Some servers do not count folders.
        (!xml.contains("<CommonPrefixes>")).then(|| with_key_count(xml, -1))?
    }),
    refused("one key less than stated", |_, xml| with_key_count(xml, 1)),
    refused("a thousand keys less than stated", |_, xml| {
        with_key_count(xml, 1000)
    }),
    refused("a negative number of keys", |_, xml| {
        with_key_count(xml, -1000)
    }),
    refused("more to come, and no token", |_, xml| {
        let xml = without(xml, "NextContinuationToken").unwrap_or_else(|| xml.to_owned());
        ok(xml.replace("<IsTruncated>false</IsTruncated>", NO_TOKEN))
    }),
    refused("more to come, and an empty token", |_, xml| {
        continued(xml, "")
    }),
    refused("a key of another prefix", |_, xml| {
        let xml = without(xml, "KeyCount")?;
        let entry = contents_xml("zzz/other.json", 1, "e");
        ok(xml.replace(ROOT_END, &format!("{entry}{ROOT_END}")))
    }),
    refused("only keys of another prefix", |_, xml| {
        let entry = contents_xml("a/other.json", 1, "e");
        let xml = without(xml, "KeyCount")?;
        let (before, _) = xml.split_once(&first_entry(&xml)?)?;
        ok(format!("{before}{entry}{ROOT_END}"))
    }),
    refused("the answer to another request", |_, xml| {
        let (before, rest) = xml.split_once("<Prefix>")?;
        let (_, after) = rest.split_once("</Prefix>")?;
        ok(format!("{before}<Prefix>other/</Prefix>{after}"))
    }),
    refused("the same key twice", |_, xml| {
        let xml = without(xml, "KeyCount")?;
        let entry = first_entry(&xml).filter(|entry| entry.starts_with("<Contents>"))?;
        ok(xml.replace(&entry, &format!("{entry}{entry}")))
    }),
    refused("an entry without a key", |_, xml| {
        let entry = first_entry(xml).filter(|entry| entry.starts_with("<Contents>"))?;
        replaced(xml, &entry, &without(&entry, "Key")?)
    }),
    refused("an empty key", |_, xml| {
        let entry = first_entry(xml).filter(|entry| entry.starts_with("<Contents>"))?;
        let empty = format!("<Contents><Key></Key>{}", entry.split_once("</Key>")?.1);
        replaced(xml, &entry, &empty)
    }),
    sequence("the same token for ever", |request, xml| {
        request.token().map(|token| continued(xml, token))?
    }),
    sequence("two tokens in a circle", |request, xml| {
        let token = match request.token() {
            Some("circle-a") => "circle-b",
            _ => "circle-a",
        };
        continued(xml, token)
    }),
    sequence("the same keys with ever new tokens", |request, xml| {
        let number = request.token().map_or(0, str::len);
        let page = without(xml, "NextContinuationToken").unwrap_or_else(|| xml.to_owned());
        // A token that the server does not read: the same keys again.
        first_entry(&page).map(|_| continued(&page, &"!".repeat(number + 1)))?
    }),
    sequence("empty pages for ever", |request, _| {
        let number: usize = request.token().map_or(0, str::len);
        ok(format!(
            "<ListBucketResult>{NO_TOKEN}<NextContinuationToken>{}</NextContinuationToken>{ROOT_END}",
            "e".repeat(number + 1)
        ))
    }),
    sequence(
        "back to the first key on the second page",
        |request, xml| {
            request.token()?;
            with_entry(request, xml, "!")
        },
    ),
];

/// What servers other than S3 omit or add.
pub(super) const UNUSUAL: [AnswerKind; 10] = [
    accepted("no count of keys", |_, xml| ok(without(xml, "KeyCount")?)),
    accepted("not the last page, without a flag", |_, xml| {
        without(xml, "IsTruncated").map(ok)?
    }),
    accepted("the last page, with a token", |_, xml| {
        let last = "<IsTruncated>false</IsTruncated>";
        replaced(
            xml,
            last,
            &format!("{last}<NextContinuationToken>t</NextContinuationToken>"),
        )
    }),
    accepted("white space everywhere", |_, xml| {
        ok(xml.replace("><", ">\n\t  <") + "\n\n")
    }),
    accepted("a comment and a declaration", |_, xml| {
        ok(xml.replacen('\n', "\n<!-- <Contents> -->\n", 1) + "<!-- end -->")
    }),
    accepted("no namespace, no name, no prefix", |_, xml| {
        let xml = without(xml, "Prefix")?;
        ok(xml.replace(" xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"", ""))
    }),
    accepted("other elements", |_, xml| {
        let more = "<StorageClass>STANDARD</StorageClass><Owner><ID>1</ID></Owner></Contents>";
        ok(xml.replace("</Contents>", more) + "")
    }),
    accepted("keys in another order", |_, xml| {
        let entry = first_entry(xml)?;
        let rest = xml.replacen(&entry, "", 1);
        ok(rest.replace(ROOT_END, &format!("{entry}{ROOT_END}")))
    }),
    accepted("until the connection ends", |_, xml| {
        framed(xml, AnswerFraming::Close)
    }),
    accepted("folders are not counted", |_, xml| {
        let folders = xml.matches("<CommonPrefixes>").count();
        with_key_count(xml, -i64::try_from(folders).expect("few"))
    }),
];
