//! Broken helpers: scripts around the real helper that prove that an oracle detects violations.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use test_support::{World, helper_path};

/// Has a script play the helper: `wrong`, in which `$helper` is the real one and `$folder` is the script's own; then the real one.
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
