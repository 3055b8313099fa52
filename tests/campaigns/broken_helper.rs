//! Broken helpers: scripts around the real helper that prove that an oracle detects violations.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use test_support::{World, helper_path};

/// A replay that takes every spooled config for one of the next century, and so overwrites newer ones.
pub(crate) const REPLAYS_CONFIGS_AS_NEWER: &str = r#"if [ "$1" = replay ]; then
  for item in "$HOME"/.local/state/config-backup/spool/*-config-*.item; do
    [ ! -e "$item" ] || /bin/sed -i '1s/"at":"20/"at":"21/' "$item"
  done
fi"#;

/// Replaces the helper by a script that runs `wrong` and then the real helper. `wrong` finds the
/// real one in `$helper`, and a folder of its own in `$folder`.
pub(crate) fn wrap_helper(world: &mut World, wrong: &str) {
    let folder = world.path().join("wrong");
    fs::create_dir_all(&folder).expect("a folder");
    let script = folder.join("helper");
    let text = format!(
        "#!/bin/sh\nhelper='{}'\nfolder='{}'\n{wrong}\nexec \"$helper\" \"$@\"\n",
        helper_path().display(),
        folder.display()
    );
    fs::write(&script, text).expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it can be run");
    world.set_helper(script);
}
