//! Who deployed last with a profile, so that a deployment that cannot ask STS is not anonymous.
//!
//! A memory is evidence and not an answer: the program asks STS later and compares.

use std::fs;

use crate::digest::sha256_hex;
use crate::s3::store::CallerIdentity;
use crate::state::dirs::StateDirs;
use crate::system::atomic_file::{self, FileMode};

/// The subdirectory of the state directory.
pub const CALLERS_DIR: &str = "callers";

/// The caller that STS named last for a profile.
#[must_use]
pub fn read_caller(state_dirs: &StateDirs, profile: &str) -> Option<CallerIdentity> {
    let name = file_name(profile);
    for dir in state_dirs.subdirs(CALLERS_DIR) {
        if let Ok(bytes) = fs::read(dir.join(&name))
            && let Ok(caller) = serde_json::from_slice(&bytes)
        {
            return Some(caller);
        }
    }
    None
}

/// Remembers a caller. Writes only if it is another one than before.
pub fn write_caller(state_dirs: &StateDirs, profile: &str, caller: &CallerIdentity) {
    if read_caller(state_dirs, profile).as_ref() == Some(caller) {
        return;
    }
    let Ok(bytes) = serde_json::to_vec(caller) else {
        return;
    };
    // Without a memory, a later deployment may have to stay anonymous.
    let _ = state_dirs.write_in(CALLERS_DIR, |dir| {
        let path = dir.join(file_name(profile));
        atomic_file::write_atomically(&path, &[&bytes], FileMode::Private)
    });
}

/// A profile's name can have any character.
fn file_name(profile: &str) -> String {
    let digest = sha256_hex(profile.as_bytes());
    format!("{}.json", &digest[..16])
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
