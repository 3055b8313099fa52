//! The little XML that s3s does not write for us.

/// `text` as the content of an element.
pub(crate) fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The escaped text of the first element of this name that contains only text.
pub(crate) fn find_element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

/// The body of an S3 error; all arguments except the id are already escaped.
pub(crate) fn error_xml(code: &str, message: &str, details: &str, request_id: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{details}\
         <RequestId>{request_id}</RequestId><HostId>embedded-aws</HostId></Error>"
    )
}

/// The extra element of a redirect: the host, which is the same for every region.
pub(crate) fn bucket_endpoint(host: &str, bucket: &str) -> String {
    format!(
        "<Endpoint>{}</Endpoint><Bucket>{}</Bucket>",
        escape_xml(host),
        escape_xml(bucket)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_cannot_close_an_element() {
        assert_eq!(escape_xml("</a>&amp;"), "&lt;/a&gt;&amp;amp;");
    }

    #[test]
    fn finds_only_complete_elements() {
        assert_eq!(
            find_element("<E><Code>A</Code><Code>B</Code></E>", "Code"),
            Some("A")
        );
        assert_eq!(find_element("<E><Code>A</E>", "Code"), None);
    }
}
