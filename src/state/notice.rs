//! Notices that are given once on each machine.

use std::fs;

use crate::state::dirs::StateDirs;

const NOTICES_DIR: &str = "notices";

/// Whether the notice `name` is given for the first time, or that cannot be remembered.
#[must_use]
pub fn is_first_notice(state_dirs: &StateDirs, name: &str) -> bool {
    let mut known = state_dirs.subdirs(NOTICES_DIR);
    if known.any(|dir| dir.join(name).exists()) {
        return false;
    }
    // If it cannot be written, the notice is given again, which is better than never.
    let _ = state_dirs.write_in(NOTICES_DIR, |dir| fs::write(dir.join(name), ""));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_given_once_if_it_can_be_remembered() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state_dirs = StateDirs::from_private_dirs([dir.path().to_owned()]);
        assert!(is_first_notice(&state_dirs, "a"));
        assert!(!is_first_notice(&state_dirs, "a"));
        assert!(is_first_notice(&state_dirs, "b"));
        assert!(is_first_notice(&StateDirs::default(), "a"));
        assert!(is_first_notice(&StateDirs::default(), "a"));
    }
}
