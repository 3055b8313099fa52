//! What differs between the unit on disk and the one that this version writes, for `init --check`.
//!
//! A unit has no differences if `init` would change nothing in it, and if the user changed nothing
//! but the settings. Reads only.

use crate::customer_folder::unit_files::{
    FileAction, MANIFEST_FILE, TERRAGRUNT_HCL, UnitFile, UnitManifest, has_crlf, is_script,
};
use crate::customer_folder::unit_folder::{
    UnitFolder, UnitOrigin, has_executable_mode, read_unit_file,
};
use crate::error::Error;

// The settings in `terragrunt.hcl`, which belong to the user.
const SETTINGS_HEAD: &str = "\n  settings = {\n";
const SETTINGS_END: &str = "\n  }\n";

const WINDOWS_LINE_ENDS: &str = "has the line ends of Windows";

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitDifference {
    /// The file; empty if the difference is about the whole folder.
    pub(crate) file: &'static str,
    /// What is wrong with it, as the end of a sentence.
    pub(crate) problem: &'static str,
    /// Whether `init` leaves it as it is unless `--force` is given.
    pub(crate) needs_force: bool,
}

impl UnitDifference {
    fn new(file: &'static str, problem: &'static str) -> Self {
        Self {
            file,
            problem,
            needs_force: false,
        }
    }

    fn with_force(self) -> Self {
        Self {
            needs_force: true,
            ..self
        }
    }
}

/// Lists the differences to the unit of a folder whose root file is `root`, by file name.
pub(crate) fn list_unit_differences(
    unit: &UnitFolder,
    root: &str,
) -> Result<Vec<UnitDifference>, Error> {
    if !unit.path.is_dir() {
        return Ok(vec![UnitDifference::new("", "does not exist")]);
    }
    if unit.is_foreign() {
        let problem = match unit.origin {
            UnitOrigin::LegacyModule => "has the legacy module",
            _ => "has files that config-backup did not write",
        };
        return Ok(vec![UnitDifference::new("", problem).with_force()]);
    }

    let mut differences = Vec::new();
    for (file, action) in &unit.files {
        let content = read_unit_file(&unit.path, file.name)?.unwrap_or_default();
        let difference = find_difference(file, *action, &content, root);
        let is_mode_wrong =
            is_script(file.name) && !has_executable_mode(&unit.path.join(file.name));
        match difference {
            None if is_mode_wrong => {
                differences.push(UnitDifference::new(file.name, "is not executable"));
            }
            _ => differences.extend(difference),
        }
    }
    // `init` would write the manifest of the files above.
    if differences.iter().all(|difference| difference.needs_force) {
        let manifest = read_unit_file(&unit.path, MANIFEST_FILE.name)?;
        differences.extend(find_manifest_difference(manifest.as_deref(), root));
    }
    Ok(differences)
}

fn find_difference(
    file: &UnitFile,
    action: FileAction,
    content: &[u8],
    root: &str,
) -> Option<UnitDifference> {
    let difference = |problem| Some(UnitDifference::new(file.name, problem));
    match action {
        FileAction::Create => difference("does not exist"),
        FileAction::Upgrade => difference("is of another version"),
        FileAction::RepairLineEnds => difference(WINDOWS_LINE_ENDS),
        FileAction::Leave if *file.content_for(root) != *content => {
            difference("includes another root file")
        }
        FileAction::Leave => None,
        FileAction::Keep if has_same_text_around_settings(file, content, root) => None,
        FileAction::Keep => {
            Some(UnitDifference::new(file.name, "was changed by hand").with_force())
        }
    }
}

/// Whether a file is `terragrunt.hcl` with other settings.
fn has_same_text_around_settings(file: &UnitFile, content: &[u8], root: &str) -> bool {
    let written = file.content_for(root);
    file.name == TERRAGRUNT_HCL
        && match (split_settings(&written), split_settings(content)) {
            (Some(written), Some(current)) => written == current,
            _ => false,
        }
}

/// The text before and after the settings.
fn split_settings(terragrunt_hcl: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(terragrunt_hcl).ok()?;
    let (before, rest) = text.split_once(SETTINGS_HEAD)?;
    let (_, after) = rest.split_once(SETTINGS_END)?;
    Some((before, after))
}

/// The manifest also shows that a file which the user changed was written by another version.
fn find_manifest_difference(manifest: Option<&[u8]>, root: &str) -> Option<UnitDifference> {
    let problem = match manifest {
        None => "does not exist",
        Some(bytes) if bytes == UnitManifest::render(root).as_bytes() => return None,
        Some(bytes) if has_crlf(bytes) => WINDOWS_LINE_ENDS,
        Some(_) => "does not fit the files of this version",
    };
    Some(UnitDifference::new(MANIFEST_FILE.name, problem))
}
