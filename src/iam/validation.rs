//! The form of names and ARNs that a user gives.
//!
//! It keeps wildcards and mistyped ARNs out of a policy. Whether such a thing exists, AWS says.

use crate::iam::scope::AwsPartition;

const ACCOUNT_ID_DIGITS: usize = 12;

/// Whether a name can stand in the ARN of a bucket without becoming a pattern or another resource.
/// S3 itself has more rules for names.
#[must_use]
pub fn is_bucket_name(name: &str) -> bool {
    let is_allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-'
    };
    !name.is_empty() && name.bytes().all(is_allowed)
}

#[must_use]
pub fn is_account_id(text: &str) -> bool {
    text.len() == ACCOUNT_ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The region in the ARN of a KMS key: `arn:<partition>:kms:<region>:<account>:key/<id>`. The ARN of
/// an alias grants nothing, so it is not taken.
#[must_use]
pub fn kms_key_region(arn: &str, partition: AwsPartition) -> Option<&str> {
    let [region, account, resource] = split_arn(arn, partition, "kms")?;
    let id = resource.strip_prefix("key/")?;

    let is_id_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_region_byte =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_key =
        is_account_id(account) && is_word_of(id, is_id_byte) && is_word_of(region, is_region_byte);
    if is_key { Some(region) } else { None }
}

/// Whether this is the ARN of a user, a role or an account, like
/// `arn:<partition>:iam::<account>:role/<name>`.
#[must_use]
pub fn is_principal_arn(arn: &str, partition: AwsPartition) -> bool {
    let Some(["", account, resource]) = split_arn(arn, partition, "iam") else {
        return false;
    };
    is_account_id(account) && (resource == "root" || is_user_or_role(resource))
}

fn is_user_or_role(resource: &str) -> bool {
    let Some(("user" | "role", name)) = resource.split_once('/') else {
        return false;
    };
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&byte);
    is_word_of(name, is_name_byte) && !name.ends_with('/')
}

fn is_word_of(text: &str, is_allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(is_allowed)
}

/// Region, account and resource in an ARN of a service.
fn split_arn<'a>(arn: &'a str, partition: AwsPartition, service: &str) -> Option<[&'a str; 3]> {
    let rest = arn.strip_prefix(&format!("arn:{partition}:{service}:"))?;
    let mut parts = rest.splitn(3, ':');
    Some([parts.next()?, parts.next()?, parts.next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_name_is_no_pattern_and_no_path() {
        for name in ["docexamplebucket-1a1b2c3d4", "example.com", "abc"] {
            assert!(is_bucket_name(name), "{name}");
        }
        for name in [
            "", "a*", "a?b", "a/b", "a:b", "${a}", "a\"b", "A_b", "é-é", "a b",
        ] {
            assert!(!is_bucket_name(name), "{name}");
        }
    }

    #[test]
    fn an_account_id_has_twelve_digits() {
        assert!(is_account_id("123456789012"));
        for text in ["12345678901", "12345678901a", "1234567890123", ""] {
            assert!(!is_account_id(text), "{text}");
        }
    }

    #[test]
    fn finds_the_region_of_a_kms_key_in_its_partition() {
        let key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        assert_eq!(kms_key_region(key, AwsPartition::Aws), Some("us-east-1"));
        assert_eq!(kms_key_region(key, AwsPartition::AwsCn), None);
        for arn in [
            "arn:aws:kms:us-east-1:123456789012:alias/x",
            "arn:aws:kms::123456789012:key/x",
            "arn:aws:kms:us-east-1:123456789012:key/*",
            "arn:aws:kms:us-east-1:123456789012:key/",
            "arn:aws:kms:US_EAST:123456789012:key/x",
            "arn:aws:kms:us-east-1:12345678901:key/x",
            "arn:aws:iam:us-east-1:123456789012:key/x",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
        ] {
            assert_eq!(kms_key_region(arn, AwsPartition::Aws), None, "{arn}");
        }
    }

    #[test]
    fn a_principal_is_a_user_a_role_or_an_account() {
        for resource in ["role/a/b-c", "user/jane.roe", "root"] {
            let arn = format!("arn:aws:iam::123456789012:{resource}");
            assert!(is_principal_arn(&arn, AwsPartition::Aws), "{arn}");
        }
        for arn in [
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a/",
            "arn:aws:iam::123456789012:role/*",
            "arn:aws:iam::123456789012:roots",
            "arn:aws:iam::123456789012:group/x",
            "arn:aws:iam::1:root",
            // A session comes and goes.
            "arn:aws:sts::123456789012:assumed-role/a/b",
            "*",
            "",
        ] {
            assert!(!is_principal_arn(arn, AwsPartition::Aws), "{arn}");
        }
    }
}
