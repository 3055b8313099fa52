//! What can be a bucket's name, an account, a key or a principal of AWS, by the form alone.
//!
//! Pure: asks nobody whether there is such a thing.

use std::net::Ipv4Addr;

/// What no bucket for everybody's objects is called, for S3 keeps these beginnings and ends for other things.
const RESERVED_BEGINNINGS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// Why a bucket cannot be called so; `None` where it can.
#[must_use]
pub fn bucket_name_error(name: &str) -> Option<String> {
    let is_edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_inner = |byte: u8| is_edge(byte) || byte == b'.' || byte == b'-';
    let bytes = name.as_bytes();
    if !(3..=63).contains(&bytes.len()) {
        return Some("it has not 3 to 63 characters".to_owned());
    }
    if !bytes.iter().all(|&byte| is_inner(byte))
        || !is_edge(bytes[0])
        || !is_edge(bytes[bytes.len() - 1])
    {
        return Some("only a-z, 0-9, and between them `.` and `-` may stand in it".to_owned());
    }
    if name.contains("..") || name.parse::<Ipv4Addr>().is_ok() {
        return Some("it is read as a host name, and that is none".to_owned());
    }
    let beginning = RESERVED_BEGINNINGS.iter().find(|it| name.starts_with(**it));
    let reserved = beginning.or_else(|| RESERVED_ENDS.iter().find(|it| name.ends_with(**it)))?;
    Some(format!("S3 keeps `{reserved}` for other things"))
}

/// Whether this is an account's number.
#[must_use]
pub fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The region of a KMS key, by its ARN: `arn:<partition>:kms:<region>:<account>:key/<id>`. An alias gives no permission.
#[must_use]
pub fn kms_key_region<'a>(arn: &'a str, partition: &str) -> Option<&'a str> {
    let [region, account, resource] = split_arn(arn, partition, "kms")?;
    let id = resource.strip_prefix("key/")?;
    let is_id = !id.is_empty()
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_region = !region.is_empty()
        && region
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (is_id && is_region && is_account_id(account)).then_some(region)
}

/// Whether this is a user, a role or an account, by its ARN: `arn:<partition>:iam::<account>:role/<name>`.
#[must_use]
pub fn is_principal_arn(arn: &str, partition: &str) -> bool {
    let Some(["", account, resource]) = split_arn(arn, partition, "iam") else {
        return false;
    };
    let name = resource
        .strip_prefix("role/")
        .or_else(|| resource.strip_prefix("user/"));
    let is_named = name.is_some_and(|name| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&byte);
        !name.is_empty() && !name.ends_with('/') && name.bytes().all(is_inner)
    });
    is_account_id(account) && (resource == "root" || is_named)
}

/// Region, account and resource of an ARN of a service.
fn split_arn<'a>(arn: &'a str, partition: &str, service: &str) -> Option<[&'a str; 3]> {
    let rest = arn
        .strip_prefix("arn:")?
        .strip_prefix(partition)?
        .strip_prefix(':')?
        .strip_prefix(service)?
        .strip_prefix(':')?;
    let mut parts = rest.splitn(3, ':');
    Some([parts.next()?, parts.next()?, parts.next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    // The rules and the examples are those of the S3 User Guide, "General purpose bucket naming rules".
    #[test]
    fn bucket_names_are_those_that_s3_takes() {
        for name in [
            "docexamplebucket-1a1b2c3d4",
            "log-delivery-march-2020",
            "my-hosted-content",
            "example.com",
            "abc",
            &"a".repeat(63),
        ] {
            assert_eq!(bucket_name_error(name), None, "{name}");
        }
        for name in [
            "ab",
            "DocExampleBucket",
            "a_b",
            "-ab",
            "ab-",
            "a..b",
            "192.168.5.4",
            "xn--a",
            "a-s3alias",
            "a\"b",
            "a/b",
            "",
            "é-é",
            "sthree-a",
            "a--ol-s3",
        ] {
            assert!(bucket_name_error(name).is_some(), "{name}");
        }
        assert!(bucket_name_error(&"a".repeat(64)).is_some());
    }

    #[test]
    fn accounts_keys_and_principals_are_known_by_their_form() {
        assert!(
            is_account_id("123456789012")
                && !is_account_id("12345678901")
                && !is_account_id("12345678901a")
        );
        let key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        assert_eq!(kms_key_region(key, "aws"), Some("us-east-1"));
        for (arn, partition) in [
            (key, "aws-cn"),
            ("arn:aws:kms:us-east-1:123456789012:alias/x", "aws"),
            ("arn:aws:kms::123456789012:key/x", "aws"),
            ("arn:aws:kms:us-east-1:123456789012:key/*", "aws"),
            ("arn:aws:kms:us-east-1:123456789012:key/", "aws"),
            ("arn:aws:kms:US_EAST:123456789012:key/x", "aws"),
            ("arn:aws:kms:us-east-1:12345678901:key/x", "aws"),
            ("arn:aws:iam:us-east-1:123456789012:key/x", "aws"),
            ("1234abcd-12ab-34cd-56ef-1234567890ab", "aws"),
        ] {
            assert_eq!(kms_key_region(arn, partition), None, "{arn}");
        }
        for arn in ["role/a/b-c", "user/jane.roe", "root"] {
            assert!(
                is_principal_arn(&format!("arn:aws:iam::123456789012:{arn}"), "aws"),
                "{arn}"
            );
        }
        for arn in [
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a/",
            "arn:aws:iam::123456789012:roots",
        ] {
            assert!(!is_principal_arn(arn, "aws"), "{arn}");
        }
        for arn in [
            "arn:aws:iam::123456789012:role/*",
            "arn:aws:iam::1:root",
            "arn:aws:iam::123456789012:group/x",
            "*",
            "",
        ] {
            assert!(!is_principal_arn(arn, "aws"), "{arn}");
        }
        assert!(
            !is_principal_arn("arn:aws:sts::123456789012:assumed-role/a/b", "aws"),
            "a session comes and goes"
        );
    }
}
