//! The little XML that s3s does not write for us.

/// `text` as the content of an element.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The text of the first element of that name that holds only text, still escaped as it stands in the document.
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

/// S3's body of a redirect to another region. `endpoint` is the host to address.
pub(crate) fn redirect(message: &str, endpoint: &str, bucket: &str, request_id: &str) -> String {
    let (endpoint, bucket) = (escape(endpoint), escape(bucket));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>PermanentRedirect</Code><Message>{message}</Message>\
         <Endpoint>{endpoint}</Endpoint><Bucket>{bucket}</Bucket><RequestId>{request_id}</RequestId><HostId>embedded-aws</HostId></Error>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_cannot_close_an_element() {
        assert_eq!(escape("</a>&amp;"), "&lt;/a&gt;&amp;amp;");
    }

    #[test]
    fn an_element_is_found_only_whole() {
        assert_eq!(element("<E><Code>A</Code><Code>B</Code></E>", "Code"), Some("A"));
        assert_eq!(element("<E><Code>A</E>", "Code"), None);
    }
}
