//! The user name in an ARN: what follows its last `/`, or its last `:` if there is no `/`; or the
//! role, if a tool made up the name of the session.

use config_backup::s3::caller::{
    UserIdentity, display_user, last_name_in_arn, stable_arn, user_name_from_arn,
};

/// Any text is an ARN.
pub fn run(data: &[u8]) {
    let arn = String::from_utf8_lossy(data);
    judge(&arn, user_name_from_arn(&arn));
    judge_stable(&arn, stable_arn(&arn));
    assert_eq!(last_name_in_arn(&arn), tail_of(&arn));
    assert_eq!(
        display_user(&arn, UserIdentity::Name),
        user_name_from_arn(&arn)
    );
    assert_eq!(display_user(&arn, UserIdentity::Arn), arn);
}

/// The definition, letter by letter from the end.
pub fn judge(arn: &str, name: &str) {
    if name != tail_of(arn) {
        assert_eq!(Some(name), role_of(arn), "of `{arn}`");
    }
}

/// Only a session name may be missing, and only where the role is the user.
fn judge_stable(arn: &str, stable: &str) {
    if stable != arn {
        assert_eq!(format!("{stable}/{}", tail_of(arn)), arn);
        assert_eq!(Some(user_name_from_arn(arn)), role_of(arn));
    }
}

fn tail_of(arn: &str) -> String {
    let border = if arn.contains('/') { '/' } else { ':' };
    let mut tail: Vec<char> = arn.chars().rev().take_while(|c| *c != border).collect();
    tail.reverse();
    String::from_iter(tail)
}

/// The role of a session that is not of IAM Identity Center.
fn role_of(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.split('/').collect();
    let [head, role, _] = parts[..] else {
        return None;
    };
    let fields: Vec<&str> = head.split(':').collect();
    let ["arn", _, "sts", _, _, "assumed-role"] = fields[..] else {
        return None;
    };
    (!role.is_empty() && !role.starts_with("AWSReservedSSO_")).then_some(role)
}
