//! Versions and records written by hand, and people's verbs that look back at them.

use test_support::oracle::{digest, stamp};
use test_support::s3_backend::Site;
use test_support::{World, text};

/// An exit code, stdout and stderr.
pub(crate) type Said = (Option<i32>, String, String);

/// Runs a verb with the profile `default`.
pub(crate) fn run(world: &World, arguments: &[&str]) -> Said {
    run_as(world, "default", arguments)
}

/// Runs a verb with some profile.
pub(crate) fn run_as(world: &World, profile: &str, arguments: &[&str]) -> Said {
    let output = world.helper(arguments).args(["--profile", profile]).output().expect("it starts");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Runs a verb that must end with 0 and have nothing to say beside its answer.
pub(crate) fn answer(world: &World, arguments: &[&str]) -> String {
    let (code, answer, messages) = run(world, arguments);
    assert_eq!((code, messages.as_str()), (Some(0), ""), "{arguments:?}");
    answer
}

/// The MD5 of a body, by python3.
pub(crate) fn md5(body: &str) -> String {
    digest("md5", body.as_bytes())
}

/// Writes a version of the customer `acme`, without metadata, and gives its key.
pub(crate) fn version(site: &Site, at: &str, body: &str) -> String {
    let key = format!("terragrunt/acme/config-history/{}_{}.yaml", stamp(at), md5(body));
    site.hand.put(&key, body);
    key
}

/// Writes the record of a deployment of `acme` by a user, which used the version with this key.
pub(crate) fn record(site: &Site, at: &str, user: &str, key: &str) {
    let record = format!(
        "{{\"timestamp\":\"{at}\",\"customer\":\"acme\",\"user\":\"arn:aws:iam::123456789012:user/{user}\",\"config_hash\":\"\",\
         \"deployment_id\":\"{}-{user}\",\"backup_key\":\"{key}\"}}\n",
        at.replace(['-', ':'], "")
    );
    site.hand.put(&format!("usage-logs/acme/{}.json", stamp(at)), &record);
}

/// Asserts an exit code with nothing on stdout and one line on stderr.
pub(crate) fn assert_refused((code, output, messages): Said, exit: i32, words: &str) {
    assert_eq!((code, output.as_str(), messages.lines().count()), (Some(exit), "", 1), "{messages}");
    assert!(messages.contains(words), "{messages}");
}
