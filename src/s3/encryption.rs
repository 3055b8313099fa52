//! The encryption that a PUT asks S3 for.

use std::fmt;
use std::str::FromStr;

use aws_sdk_s3::types::ServerSideEncryption;
use serde::{Deserialize, Serialize};

/// What a user can set, for messages.
pub(crate) const ENCRYPTION_FORM: &str = "AES256, aws:kms or aws:kms:KEY";
const KMS_PREFIX: &str = "aws:kms:";
/// A UUID, or `mrk-` and 32 hex digits. Without this rule `aws:kms:dsse` would name a key.
const KEY_ID_CHARS: usize = 36;
/// The longest ARN of AWS.
const MAX_KEY_BYTES: usize = 2048;

/// Spool files contain it in the form in which users set it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ObjectEncryption {
    /// With keys of S3.
    Aes256,
    /// With a key of KMS: its id, alias or ARN. `None` for the key that AWS manages.
    Kms(Option<String>),
}

impl ObjectEncryption {
    pub(crate) fn algorithm(&self) -> ServerSideEncryption {
        match self {
            Self::Aes256 => ServerSideEncryption::Aes256,
            Self::Kms(_) => ServerSideEncryption::AwsKms,
        }
    }

    pub(crate) fn kms_key(&self) -> Option<String> {
        match self {
            Self::Aes256 => None,
            Self::Kms(key) => key.clone(),
        }
    }
}

impl fmt::Display for ObjectEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aes256 => f.write_str("AES256"),
            Self::Kms(None) => f.write_str("aws:kms"),
            Self::Kms(Some(key)) => write!(f, "{KMS_PREFIX}{key}"),
        }
    }
}

impl FromStr for ObjectEncryption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "AES256" => return Ok(Self::Aes256),
            "aws:kms" => return Ok(Self::Kms(None)),
            _ => {}
        }
        match text.strip_prefix(KMS_PREFIX) {
            Some(key) if is_key_name(key) => Ok(Self::Kms(Some(key.to_owned()))),
            _ => Err(format!(
                "must be {ENCRYPTION_FORM}; KEY is a key id, alias/NAME or an ARN"
            )),
        }
    }
}

impl TryFrom<String> for ObjectEncryption {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ObjectEncryption> for String {
    fn from(encryption: ObjectEncryption) -> Self {
        encryption.to_string()
    }
}

/// Whether this is the id, the alias or the ARN of a key. The characters are those of a header.
fn is_key_name(key: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/:".contains(&byte);
    if key.len() > MAX_KEY_BYTES || !key.bytes().all(is_allowed) {
        return false;
    }
    if let Some(arn) = key.strip_prefix("arn:") {
        return is_key_arn(arn);
    }
    is_key_alias(key) || is_key_id(key)
}

/// `aws:kms:REGION:ACCOUNT:key/ID`, or with an alias.
fn is_key_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    let [partition, "kms", region, account, resource] = parts[..] else {
        return false;
    };
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let is_key = match resource.strip_prefix("key/") {
        Some(id) => is_key_id(id),
        None => is_key_alias(resource),
    };
    partition.starts_with("aws") && !region.is_empty() && is_account && is_key
}

fn is_key_alias(text: &str) -> bool {
    match text.strip_prefix("alias/") {
        Some(name) => !name.is_empty() && !name.contains(':'),
        None => false,
    }
}

fn is_key_id(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.len() == KEY_ID_CHARS && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_ID: &str = "1b9c2f1e-0000-4000-8000-000000000000";

    #[test]
    fn reads_and_writes_what_a_user_can_set() {
        for text in [
            "AES256".to_owned(),
            "aws:kms".to_owned(),
            format!("aws:kms:{KEY_ID}"),
            "aws:kms:mrk-0123456789abcdef0123456789abcdef".to_owned(),
            "aws:kms:alias/config-backup".to_owned(),
            "aws:kms:alias/aws/s3".to_owned(),
            format!("aws:kms:arn:aws:kms:us-east-1:123456789012:key/{KEY_ID}"),
            "aws:kms:arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/backup".to_owned(),
        ] {
            let encryption: ObjectEncryption = text.parse().expect("an encryption");
            assert_eq!(encryption.to_string(), text);
            let json = serde_json::to_string(&encryption).expect("JSON");
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(
                serde_json::from_str::<ObjectEncryption>(&json).expect("it"),
                encryption
            );
        }
    }

    #[test]
    fn refuses_everything_else() {
        let arn = "aws:kms:arn:aws:kms:us-east-1:123456789012:";
        for text in [
            "",
            "aes256",
            "AES256 ",
            "aws:kms:",
            "aws:kms:dsse",
            "aws:KMS",
            "kms",
            "aws:kms:alias/",
            "aws:kms:alias/a b",
            "aws:kms:alias/a\r\nx-amz-acl: public-read",
            "aws:kms:1b9c2f1e-0000-4000-8000-00000000000",
            "aws:kms:arn:aws:s3:us-east-1:123456789012:key/1b9c2f1e-0000-4000-8000-000000000000",
            "aws:kms:arn:aws:kms:us-east-1::alias/a",
            &format!("{arn}key/short"),
            &format!("{arn}alias/"),
            &format!("aws:kms:alias/{}", "a".repeat(2048)),
        ] {
            assert!(text.parse::<ObjectEncryption>().is_err(), "{text:?}");
        }
    }
}
