//! The user name in an ARN: what follows its last `/`, or its last `:` if there is no `/`.

use config_backup::record::deployment::{UserIdentity, display_user, user_name_from_arn};

/// Any text is an ARN.
pub fn run(data: &[u8]) {
    let arn = String::from_utf8_lossy(data);
    judge(&arn, user_name_from_arn(&arn));
    assert_eq!(
        display_user(&arn, UserIdentity::Name),
        user_name_from_arn(&arn)
    );
    assert_eq!(display_user(&arn, UserIdentity::Arn), arn);
}

/// The definition, letter by letter from the end.
pub fn judge(arn: &str, name: &str) {
    let border = if arn.contains('/') { '/' } else { ':' };
    let mut expected: Vec<char> = arn.chars().rev().take_while(|c| *c != border).collect();
    expected.reverse();
    assert_eq!(name, String::from_iter(expected), "of `{arn}`");
}
