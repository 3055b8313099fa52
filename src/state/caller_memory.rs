//! Who deployed last with a profile, so that a deployment that cannot ask STS is not anonymous.
//!
//! A memory is evidence and not an answer: the program asks STS later and compares.

use crate::s3::store::CallerIdentity;
use crate::state::dirs::StateDirs;
use crate::state::note_file::{read_note, write_note};

/// The subdirectory of the state directory.
pub const CALLERS_DIR: &str = "callers";

/// The caller that STS named last for a profile.
#[must_use]
pub fn read_caller(state_dirs: &StateDirs, profile: &str) -> Option<CallerIdentity> {
    read_note(state_dirs, CALLERS_DIR, profile)
}

/// Remembers a caller. Writes only if it is another one than before.
pub fn write_caller(state_dirs: &StateDirs, profile: &str, caller: &CallerIdentity) {
    if read_caller(state_dirs, profile).as_ref() != Some(caller) {
        // Without a memory, a later deployment may have to stay anonymous.
        write_note(state_dirs, CALLERS_DIR, profile, caller);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_last_caller_of_each_profile() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state_dirs = StateDirs::from_private_dirs([dir.path().to_owned()]);
        let caller = |name: &str| CallerIdentity {
            arn: format!("arn:aws:iam::123456789012:user/{name}"),
            user_id: name.to_owned(),
            account: "123456789012".to_owned(),
        };
        assert_eq!(read_caller(&state_dirs, "team"), None);
        for name in ["john", "jane"] {
            write_caller(&state_dirs, "team", &caller(name));
            assert_eq!(read_caller(&state_dirs, "team"), Some(caller(name)));
        }
        assert_eq!(read_caller(&state_dirs, ""), None);
    }
}
