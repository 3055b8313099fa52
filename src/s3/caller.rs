//! The user behind the ARN of a caller.
//!
//! Decides from the ARN alone, so that records of any age show the same user: a record holds the
//! ARN, and nothing else may store what this module makes of it.

use std::ops::RangeInclusive;

/// What makes two ARNs the same user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum UserIdentity {
    /// By what follows the last `/` of the ARN, or by the role if a tool made up that name: a
    /// person with two roles is one user, and so are all runs of a CI job
    #[default]
    Name,
    /// By the full ARN
    Arn,
}

/// The session names that tools make up if the operator chooses none. They name no person, and most
/// of them differ in each deployment. `PLACEHOLDERS` explains the words in braces.
///
/// The SQL views have the same list.
pub const TOOL_SESSIONS: [&str; 34] = [
    // SDKs and the AWS CLI.
    "assume-role-from-profile-{time}",
    "assume-role-provider-{time}",
    "web-identity-token-{time}",
    "web-identity-token-profile-{time}",
    "botocore-session-{time}",
    "AWS-CLI-session-{time}",
    "aws-go-sdk-{time}",
    "aws-sdk-{any}-{time}",
    "aws-dotnet-sdk-session-{time}",
    // SDKs for Go, aws-vault, Terragrunt with a web identity, CodePipeline; run ids of GitHub.
    "{time}",
    // SDK for C++.
    "{uuid}",
    // SDK for Ruby.
    "{base64}",
    "default_session",
    // SDK for JavaScript, version 2.
    "token-file-web-identity",
    "web-identity",
    "temporary-credentials",
    // Terragrunt and Leapp.
    "terragrunt-{time}",
    "assumed-from-leapp",
    // AWS: instances, machines of Systems Manager, ECS tasks and certificates, CodeBuild, pods.
    "i-{id}",
    "mi-{id}",
    "{hash}",
    "AWSCodeBuild-{uuid}",
    "eks-{any}-{uuid}",
    // GitHub's action, and what some workflows add to its default.
    "GitHubActions",
    "GitHubActions-{number}",
    // CI systems, and the examples in their documentation.
    "GitLabRunner-{number}-{number}",
    "Jenkins",
    "Jenkins-{number}",
    "Jenkins-{any}-{number}",
    "buildkite-job-{uuid}",
    "build-session",
    "aws-vsts-tools",
    "terraform-run-{any}",
    "{ulid}@{any}",
];

/// What a word in braces stands for: so many characters of a class.
struct SessionPlaceholder {
    word: &'static str,
    is_member: fn(u8) -> bool,
    lengths: RangeInclusive<usize>,
}

/// At most as many characters as STS allows in a session name.
const MAX_SESSION_LENGTH: usize = 64;

const PLACEHOLDERS: [SessionPlaceholder; 8] = [
    SessionPlaceholder {
        word: "any",
        is_member: is_session_byte,
        lengths: 1..=MAX_SESSION_LENGTH,
    },
    // The number of a build or a project.
    SessionPlaceholder {
        word: "number",
        is_member: |byte| byte.is_ascii_digit(),
        lengths: 1..=20,
    },
    // Seconds since 1970 have ten digits; milliseconds, nanoseconds and .NET's ticks have more.
    // A shorter number can be a person's number in a company.
    SessionPlaceholder {
        word: "time",
        is_member: |byte| byte.is_ascii_digit(),
        lengths: 10..=20,
    },
    SessionPlaceholder {
        word: "uuid",
        is_member: |byte| byte.is_ascii_hexdigit() || byte == b'-',
        lengths: 36..=36,
    },
    // Of an instance.
    SessionPlaceholder {
        word: "id",
        is_member: |byte| byte.is_ascii_hexdigit(),
        lengths: 8..=17,
    },
    // Of an ECS task; the number of a certificate (IAM Roles Anywhere).
    SessionPlaceholder {
        word: "hash",
        is_member: |byte| byte.is_ascii_hexdigit(),
        lengths: 32..=MAX_SESSION_LENGTH,
    },
    // A UUID in Base64.
    SessionPlaceholder {
        word: "base64",
        is_member: |byte| byte.is_ascii_alphanumeric(),
        lengths: 48..=48,
    },
    // Of a run of Spacelift.
    SessionPlaceholder {
        word: "ulid",
        is_member: |byte| byte.is_ascii_digit() || byte.is_ascii_uppercase(),
        lengths: 26..=26,
    },
];

/// The roles of IAM Identity Center. Their session name is always the person.
const SSO_ROLE_PREFIX: &str = "AWSReservedSSO_";

/// The user as reports show it.
#[must_use]
pub fn display_user(arn: &str, identity: UserIdentity) -> &str {
    match identity {
        UserIdentity::Name => user_name_from_arn(arn),
        UserIdentity::Arn => arn,
    }
}

/// The role, if a tool made up the session name; otherwise what follows the last `/` of the ARN, or
/// the last `:` if there is no `/`.
///
/// For example, `arn:aws:iam::123456789012:root` gives `root`.
#[must_use]
pub fn user_name_from_arn(arn: &str) -> &str {
    role_of_tool_session(arn).unwrap_or_else(|| last_name_in_arn(arn))
}

/// What follows the last `/` of the ARN, also if a tool made it up.
#[must_use]
pub fn last_name_in_arn(arn: &str) -> &str {
    let separator = if arn.contains('/') { '/' } else { ':' };
    match arn.rsplit_once(separator) {
        Some((_, name)) => name,
        None => arn,
    }
}

/// The part of the ARN that is the same in all deployments of a user: without a session name that a
/// tool made up.
#[must_use]
pub fn stable_arn(arn: &str) -> &str {
    match (role_of_tool_session(arn), arn.rsplit_once('/')) {
        (Some(_), Some((role_arn, _))) => role_arn,
        _ => arn,
    }
}

fn role_of_tool_session(arn: &str) -> Option<&str> {
    let (role, session) = split_assumed_role(arn)?;
    if role.is_empty() || role.starts_with(SSO_ROLE_PREFIX) {
        return None;
    }
    let mut patterns = TOOL_SESSIONS.iter();
    patterns
        .any(|pattern| matches_pattern(pattern, session))
        .then_some(role)
}

/// The role and the session name of `arn:<partition>:sts::<account>:assumed-role/<role>/<session>`.
fn split_assumed_role(arn: &str) -> Option<(&str, &str)> {
    let mut segments = arn.split('/');
    let (head, role, session) = (segments.next()?, segments.next()?, segments.next()?);
    let mut fields = head.split(':');
    let is_assumed_role = segments.next().is_none()
        && fields.next() == Some("arn")
        && fields.nth(1) == Some("sts")
        && fields.nth(2) == Some("assumed-role")
        && fields.next().is_none();
    is_assumed_role.then_some((role, session))
}

fn matches_pattern(pattern: &str, session: &str) -> bool {
    let Some((literal, rest)) = pattern.split_once('{') else {
        return session == pattern;
    };
    let Some(session) = session.strip_prefix(literal) else {
        return false;
    };
    let Some((word, rest)) = rest.split_once('}') else {
        return false;
    };
    let mut placeholders = PLACEHOLDERS.iter();
    let Some(placeholder) = placeholders.find(|placeholder| placeholder.word == word) else {
        return false;
    };

    let (shortest, longest) = (placeholder.lengths.start(), placeholder.lengths.end());
    let mut bytes = session.bytes().take(*longest);
    let run = bytes
        .position(|byte| !(placeholder.is_member)(byte))
        .unwrap_or(session.len().min(*longest));
    // What follows may be of the same class.
    (*shortest..=run)
        .rev()
        .any(|length| matches_pattern(rest, &session[length..]))
}

/// Whether STS allows this character in a session name.
fn is_session_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user_in_session(session: &str) -> String {
        let arn = format!("arn:aws:sts::123456789012:assumed-role/Deployer/{session}");
        user_name_from_arn(&arn).to_owned()
    }

    #[test]
    fn users_are_named_by_the_tail_of_their_arn() {
        for (arn, name) in [
            (
                "arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_0/john.doe",
                "john.doe",
            ),
            ("arn:aws:iam::123456789012:root", "root"),
            ("arn:aws:iam::1:user/a/b/jane", "jane"),
            ("arn:aws-cn:iam::1:user/jane", "jane"),
            ("arn:aws:sts::1:federated-user/Bob", "Bob"),
            ("arn:aws-us-gov:sts::1:assumed-role/Admin/jane", "jane"),
            ("", ""),
            ("someone", "someone"),
            ("é/ü", "ü"),
        ] {
            assert_eq!(user_name_from_arn(arn), name);
            assert_eq!(stable_arn(arn), arn);
        }
    }

    /// One name of each pattern, as the tool makes it.
    #[test]
    fn a_session_name_that_a_tool_made_up_gives_the_role() {
        let sessions = [
            "assume-role-from-profile-1632246085998",
            "assume-role-provider-1632246085998",
            "web-identity-token-1632246085998",
            "web-identity-token-profile-1632246085998",
            "botocore-session-1521558860",
            "AWS-CLI-session-1523566057",
            "aws-go-sdk-1700000000000000000",
            "aws-sdk-js-session-1700000000000",
            "aws-dotnet-sdk-session-636238288466144357",
            "1700000000000000000",
            "7C9E6679-7425-40DE-944B-E07FC1F90AE7",
            "N2M5ZTY2NzktNzQyNS00MGRlLTk0NGItZTA3ZmMxZjkwYWU3",
            "default_session",
            "token-file-web-identity",
            "web-identity",
            "temporary-credentials",
            "terragrunt-1700000000000000000",
            "assumed-from-leapp",
            "i-0123456789abcdef0",
            "mi-0123456789abcdef0",
            "0f9de17a6465404e8b1b2356dc13c2f8",
            "AWSCodeBuild-146ccba7-69a4-42b1-935b-e5ea50fc7535",
            "eks-prod-runner-5d9f-7c9e6679-7425-40de-944b-e07fc1f90ae7",
            "GitHubActions",
            "GitHubActions-9876543210",
            "GitLabRunner-42-1001",
            "Jenkins",
            "Jenkins-1700000000000",
            "Jenkins-deploy-airbnb-17",
            "buildkite-job-0184990a-477b-4fa8-9968-496074483cee",
            "build-session",
            "aws-vsts-tools",
            "terraform-run-CZcmD7eagjhyX0vN",
            "01GXKZ2Y5J3V8C6T4Q9R7W1N0B@airbnb@acme",
        ];
        for (pattern, session) in TOOL_SESSIONS.iter().zip(sessions) {
            assert!(matches_pattern(pattern, session), "{pattern}: {session}");
            assert_eq!(user_in_session(session), "Deployer");
        }
        assert_eq!(
            stable_arn("arn:aws-cn:sts::1:assumed-role/Deployer/terragrunt-1700000000000000000"),
            "arn:aws-cn:sts::1:assumed-role/Deployer"
        );
    }

    #[test]
    fn a_session_name_that_a_person_chose_stays() {
        for session in [
            "john.doe",
            "jane-roe",
            "a1234567",
            "jdoe2",
            "1984-ann",
            "john.doe@example.com",
            "x-ray",
            "123456",
            "123456789",
            "i-robot",
            "i-beef",
            "deadbeef",
            "jenkins",
            "Jenkins-mary",
            "terragrunt",
            "terragrunt-john",
            "terragrunt-123456",
            "web-identity-token-john",
            "aws-sdk-john",
            "GitHubActions-john",
            "GitLabRunner-john",
            "eks-john",
            "JOHN.DOE@EXAMPLE.COM",
            "",
        ] {
            assert_eq!(user_in_session(session), session);
        }
    }

    #[test]
    fn only_the_session_of_an_ordinary_role_can_be_made_up() {
        let session = "terragrunt-1700000000000000000";
        for head in [
            "arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_0/",
            "arn:aws:sts::1:assumed-role//",
            "arn:aws:sts::1:assumed-role/a/b/",
            "arn:aws:sts::1:assumed-role/",
            "arn:aws:sts::1:federated-user/",
            "arn:aws:iam::1:user/",
            "arn:aws:iam::1:assumed-role/Deployer/",
            "arn:aws:sts:assumed-role/Deployer/",
            "arn:aws:sts::1:x:assumed-role/Deployer/",
            "a/assumed-role/Deployer/",
            "",
        ] {
            assert_eq!(user_name_from_arn(&format!("{head}{session}")), session);
        }
    }

    #[test]
    fn the_pattern_ends_where_the_name_ends() {
        for session in [
            "terragrunt-1700000000000000000x",
            "xterragrunt-1700000000000000000",
            "terragrunt-1700000000000000000000",
            "GitLabRunner-42-",
            "7c9e6679-7425-40de-944b-e07fc1f90ae",
            "terraform-run-é",
            "terraform-run-",
        ] {
            assert_eq!(user_in_session(session), session);
        }
    }

    #[test]
    fn by_arn_nothing_is_replaced() {
        let arn = "arn:aws:sts::1:assumed-role/Deployer/terragrunt-1700000000000000000";
        assert_eq!(display_user(arn, UserIdentity::Arn), arn);
        assert_eq!(display_user(arn, UserIdentity::Name), "Deployer");
        assert_eq!(last_name_in_arn(arn), "terragrunt-1700000000000000000");
    }

    #[test]
    fn patterns_use_only_words_that_are_explained() {
        for pattern in TOOL_SESSIONS {
            for part in pattern.split('{').skip(1) {
                let (word, _) = part.split_once('}').expect("a closing brace");
                assert!(PLACEHOLDERS.iter().any(|it| it.word == word), "{pattern}");
            }
        }
    }
}
