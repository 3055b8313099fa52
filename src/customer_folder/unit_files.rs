//! The Terragrunt unit, embedded from `terraform/`, and what to do with a file of it that exists already.
//!
//! Pure: `unit_folder` reads, `init` writes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::digest::sha256_hex;

/// The unit's folder in a customer folder.
pub const UNIT_FOLDER_NAME: &str = "config-backup";
/// The root file that `terragrunt.hcl` includes unless `init` writes another name.
pub const DEFAULT_ROOT_NAME: &str = "root.hcl";
/// The file that has the name of the root file.
pub const TERRAGRUNT_HCL: &str = "terragrunt.hcl";

/// What stands before and after the name of the root file. Exactly one line of `terragrunt.hcl` has both.
const ROOT_NAME_PREFIX: &str = "find_in_parent_folders(\"";
const ROOT_NAME_SUFFIX: &str = "\", \"${get_terragrunt_dir()}/no_root.hcl\")";
/// The line of the manifest that says which root file `terragrunt.hcl` includes as it was written.
const MANIFEST_ROOT_PREFIX: &str = "# terragrunt.hcl includes the root file: ";

/// One file of the unit.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Its name; the unit has no folders.
    pub name: &'static str,
    /// Its bytes, with [`DEFAULT_ROOT`] as the root file.
    pub content: &'static [u8],
}

impl File {
    /// Its bytes in a folder whose root file is `root`.
    #[must_use]
    pub fn content_for(&self, root: &str) -> Cow<'static, [u8]> {
        if self.name == TERRAGRUNT_HCL {
            replace_root_name(Cow::Borrowed(self.content), root)
        } else {
            Cow::Borrowed(self.content)
        }
    }
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(File { name: $name, content: include_bytes!(concat!("../../terraform/", $name)) }),*]
    };
}

/// All files of the unit but the [`MANIFEST`].
pub const UNIT_FILES: &[File] = files![
    ".gitattributes",
    "README.md",
    "helper.sh",
    "main.tf",
    "no_root.hcl",
    "outputs.tf",
    "requirements.tf",
    "requirements.tofu",
    "terragrunt.hcl",
    "variables.tf",
    "view_usage_logs.sh",
];

/// The digests of the files, in the form that `sha256sum -c` reads: shows what was changed since it was written.
pub const MANIFEST_FILE: File = File {
    name: "unit.sha256",
    content: include_bytes!("../../terraform/unit.sha256"),
};

/// What to do with one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAction {
    /// The file is missing.
    Create,
    /// The file is as this version writes it.
    Leave,
    /// Only the line ends differ: a checkout with `core.autocrlf` made them CR LF.
    RepairLineEnds,
    /// The file is as another version wrote it.
    Upgrade,
    /// The user changed the file, or it was never part of the unit.
    Keep,
}

/// What a manifest says was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitManifest {
    /// SHA-256 digests by file name.
    digests: BTreeMap<String, String>,
    /// The root file that `terragrunt.hcl` included.
    root_name: Option<String>,
}

impl UnitManifest {
    /// Reads a manifest; skips lines that have no digest.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let root = text
            .lines()
            .find_map(|line| line.strip_prefix(MANIFEST_ROOT_PREFIX))
            .map(|name| name.trim_end().to_owned());
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once("  "));
        Self {
            digests: lines
                .map(|(digest, name)| (name.trim_end().to_owned(), digest.to_owned()))
                .collect(),
            root_name: root,
        }
    }

    /// The manifest of a folder whose root file is `root`.
    #[must_use]
    pub fn render(root: &str) -> String {
        let head = "# What `config-backup init` wrote here; `sha256sum -c unit.sha256` shows what was changed since.\n";
        let lines = UNIT_FILES
            .iter()
            .map(|file| format!("{}  {}\n", sha256_hex(&file.content_for(root)), file.name));
        format!(
            "{head}{MANIFEST_ROOT_PREFIX}{root}\n{}",
            lines.collect::<String>()
        )
    }
}

/// Decides what to do with `file`, which has the bytes `there` on disk and was last written as `manifest` says.
///
/// The name of the root file belongs to the customer folder: a file that differs in it alone counts as unchanged.
#[must_use]
pub fn decide_action(file: &File, there: Option<&[u8]>, manifest: &UnitManifest) -> FileAction {
    let Some(there) = there else {
        return FileAction::Create;
    };
    let repaired = normalize_line_ends(there);
    let is_terragrunt_hcl = file.name == TERRAGRUNT_HCL;
    let standard = if is_terragrunt_hcl {
        replace_root_name(repaired.clone(), DEFAULT_ROOT_NAME)
    } else {
        repaired.clone()
    };
    if standard == file.content {
        return if repaired.len() == there.len() {
            FileAction::Leave
        } else {
            FileAction::RepairLineEnds
        };
    }
    let root = manifest.root_name.as_deref().unwrap_or(DEFAULT_ROOT_NAME);
    let written = if is_terragrunt_hcl {
        replace_root_name(repaired, root)
    } else {
        repaired
    };
    match manifest.digests.get(file.name) {
        Some(digest) if *digest == sha256_hex(&written) => FileAction::Upgrade,
        _ => FileAction::Keep,
    }
}

/// Whether a file has the line ends of Windows.
#[must_use]
pub fn has_crlf(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|two| two == b"\r\n")
}

/// The bytes with LF in place of CR LF.
fn normalize_line_ends(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !has_crlf(bytes) {
        return Cow::Borrowed(bytes);
    }
    let mut repaired = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        if *byte != b'\r' || bytes.get(at + 1) != Some(&b'\n') {
            repaired.push(*byte);
        }
    }
    Cow::Owned(repaired)
}

/// The root file that a `terragrunt.hcl` of this unit includes; `None` where its line was rewritten.
#[must_use]
pub fn find_root_name(terragrunt_hcl: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(terragrunt_hcl).ok()?;
    Some(&text[find_root_name_span(text)?])
}

/// `terragrunt.hcl` with another root file; as it is where its line was rewritten.
#[must_use]
pub fn replace_root_name<'a>(terragrunt_hcl: Cow<'a, [u8]>, root: &str) -> Cow<'a, [u8]> {
    let Ok(text) = std::str::from_utf8(&terragrunt_hcl) else {
        return terragrunt_hcl;
    };
    match find_root_name_span(text) {
        Some(span) if &text[span.clone()] != root => {
            Cow::Owned(format!("{}{root}{}", &text[..span.start], &text[span.end..]).into_bytes())
        }
        _ => terragrunt_hcl,
    }
}

fn find_root_name_span(text: &str) -> Option<std::ops::Range<usize>> {
    let end = text.find(ROOT_NAME_SUFFIX)?;
    let start = text[..end].rfind(ROOT_NAME_PREFIX)? + ROOT_NAME_PREFIX.len();
    is_valid_root_name(&text[start..end]).then_some(start..end)
}

/// Whether a name can stand in the quoted text of `terragrunt.hcl` and of the manifest as it is.
#[must_use]
pub fn is_valid_root_name(name: &str) -> bool {
    let is_relative = !name.starts_with('/') && !name.ends_with('/');
    !name.trim().is_empty()
        && name.trim() == name
        && is_relative
        && !name.contains(['"', '\\', '$', '%'])
        && !name.contains(char::is_control)
}

/// Whether a `main.tf` is the legacy module's, which kept backup and record as objects of the AWS provider.
#[must_use]
pub fn is_legacy_module(main_tf: &str) -> bool {
    let words: Vec<&str> = main_tf.split_whitespace().collect();
    words.windows(3).any(|three| {
        three[0] == "resource"
            && three[1] == "\"aws_s3_object\""
            && matches!(three[2], "\"config_backup\"" | "\"usage_log\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN_FILE: File = File {
        name: "main.tf",
        content: b"new\n",
    };

    fn terragrunt_hcl() -> &'static File {
        UNIT_FILES
            .iter()
            .find(|file| file.name == TERRAGRUNT_HCL)
            .expect("it")
    }

    #[test]
    fn the_manifest_fits_the_files() {
        assert_eq!(
            String::from_utf8_lossy(MANIFEST_FILE.content),
            UnitManifest::render(DEFAULT_ROOT_NAME),
            "run `make manifest`"
        );
    }

    #[test]
    fn only_what_the_user_changed_is_kept() {
        // printf 'old\n' | sha256sum
        let written = UnitManifest::parse(
            "# head\n01d09d19c2139a46aebfb577780d123d7396e97201bc7ead210a2ebff8239dee  main.tf\r\n",
        );
        assert_eq!(
            (written.digests.len(), written.root_name.as_deref()),
            (1, None)
        );
        assert_eq!(
            UnitManifest::parse("# of  main.tf\nnone\n"),
            UnitManifest::default()
        );
        for (there, action) in [
            (&b"new\n"[..], FileAction::Leave),
            (b"new\r\n", FileAction::RepairLineEnds),
            (b"mine\n", FileAction::Keep),
            (b"new\r\r\n", FileAction::Keep),
            (b"old\n", FileAction::Upgrade),
            (b"old\r\n", FileAction::Upgrade),
        ] {
            assert_eq!(
                decide_action(&MAIN_FILE, Some(there), &written),
                action,
                "{there:?}"
            );
        }
        assert_eq!(
            decide_action(&MAIN_FILE, None, &written),
            FileAction::Create
        );
        assert_eq!(
            decide_action(&MAIN_FILE, Some(b"old\n"), &UnitManifest::default()),
            FileAction::Keep
        );
    }

    #[test]
    fn terragrunt_hcl_has_one_line_with_the_root_file_and_only_that_line_changes() {
        let shipped = String::from_utf8_lossy(terragrunt_hcl().content);
        let line = "find_in_parent_folders(\"root.hcl\", \"${get_terragrunt_dir()}/no_root.hcl\")";
        assert_eq!(shipped.matches(line).count(), 1);
        assert_eq!(shipped.matches(ROOT_NAME_SUFFIX).count(), 1);
        assert_eq!(find_root_name(terragrunt_hcl().content), Some("root.hcl"));
        let written = terragrunt_hcl().content_for("live/common.hcl");
        assert_eq!(
            String::from_utf8_lossy(&written),
            shipped.replace(line, &line.replace("root.hcl\",", "live/common.hcl\","))
        );
        assert_eq!(find_root_name(&written), Some("live/common.hcl"));
        assert_eq!(
            replace_root_name(written, DEFAULT_ROOT_NAME),
            terragrunt_hcl().content
        );
        assert_eq!(MAIN_FILE.content_for("common.hcl"), MAIN_FILE.content);
    }

    #[test]
    fn the_name_of_the_root_file_is_no_change_by_the_user() {
        let by_init = UnitManifest::parse(&UnitManifest::render("common.hcl"));
        let common = terragrunt_hcl().content_for("common.hcl");
        assert_eq!(
            decide_action(terragrunt_hcl(), Some(&common), &by_init),
            FileAction::Leave
        );
        let by_hand = terragrunt_hcl().content_for("env.hcl");
        assert_eq!(
            decide_action(terragrunt_hcl(), Some(&by_hand), &by_init),
            FileAction::Leave
        );
        // An older version with another line, whose root file was then changed by hand.
        let older = |root: &str| [&terragrunt_hcl().content_for(root), &b"# older\n"[..]].concat();
        let digests =
            BTreeMap::from([(TERRAGRUNT_HCL.to_owned(), sha256_hex(&older("common.hcl")))]);
        let manifest = UnitManifest {
            digests,
            root_name: Some("common.hcl".to_owned()),
        };
        assert_eq!(
            decide_action(terragrunt_hcl(), Some(&older("env.hcl")), &manifest),
            FileAction::Upgrade
        );
        let crlf = String::from_utf8_lossy(&older("env.hcl")).replace('\n', "\r\n");
        assert_eq!(
            decide_action(terragrunt_hcl(), Some(crlf.as_bytes()), &manifest),
            FileAction::Upgrade
        );
        assert_eq!(
            decide_action(
                terragrunt_hcl(),
                Some(&older("env.hcl")),
                &UnitManifest::default()
            ),
            FileAction::Keep
        );
    }

    #[test]
    fn a_root_file_has_a_relative_name_that_needs_no_escape() {
        for name in [
            "root.hcl",
            "terragrunt.hcl",
            "live/common.hcl",
            "Wurzel é.hcl",
            "my root.hcl",
        ] {
            assert!(is_valid_root_name(name), "{name}");
            assert_eq!(
                find_root_name(&terragrunt_hcl().content_for(name)),
                Some(name)
            );
        }
        for name in [
            "",
            " ",
            "a\"b",
            "${x}",
            "%{x}",
            "a\\b",
            "/abs.hcl",
            "a\nb",
            "folder/",
            " root.hcl",
        ] {
            assert!(!is_valid_root_name(name), "{name}");
        }
    }

    #[test]
    fn the_legacy_module_is_recognized_by_its_resources() {
        assert!(is_legacy_module(
            "resource \"aws_s3_object\" \"config_backup\" {\n}"
        ));
        assert!(is_legacy_module(
            "resource   \"aws_s3_object\"   \"usage_log\" {"
        ));
        assert!(!is_legacy_module(
            "resource \"aws_s3_object\" \"other\" {}\n# aws_s3_object.config_backup"
        ));
        assert!(
            UNIT_FILES
                .iter()
                .all(|file| !is_legacy_module(&String::from_utf8_lossy(file.content)))
        );
    }
}
