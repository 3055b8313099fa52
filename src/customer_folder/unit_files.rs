//! The Terragrunt unit, embedded from `terraform/`, and what to do with a file of it on disk.
//!
//! Neither reads nor writes: `unit_folder` reads, and the command `init` writes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use crate::digest::sha256_hex;

/// The unit's folder in a customer folder.
pub(crate) const UNIT_FOLDER_NAME: &str = "config-backup";
/// The root file that `terragrunt.hcl` includes unless `init` writes another name.
pub(crate) const DEFAULT_ROOT_NAME: &str = "root.hcl";
/// The file that has the name of the root file.
pub(crate) const TERRAGRUNT_HCL: &str = "terragrunt.hcl";

// Exactly one line of `terragrunt.hcl` has both around the name of the root file.
const ROOT_NAME_PREFIX: &str = "find_in_parent_folders(\"";
const ROOT_NAME_SUFFIX: &str = "\", \"${get_terragrunt_dir()}/no_root.hcl\")";

const MANIFEST_HEAD: &str = "# What `config-backup init` wrote here; \
                             `sha256sum -c unit.sha256` shows what was changed since.\n";
/// The line of the manifest that says which root file `terragrunt.hcl` included.
const MANIFEST_ROOT_PREFIX: &str = "# terragrunt.hcl includes the root file: ";

/// One file of the unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnitFile {
    /// The unit has no folders, so this is also its path.
    pub(crate) name: &'static str,
    /// With [`DEFAULT_ROOT_NAME`] as the root file.
    pub(crate) content: &'static [u8],
}

impl UnitFile {
    /// Its bytes in a folder whose root file is `root`.
    pub(crate) fn content_for(&self, root: &str) -> Cow<'static, [u8]> {
        self.with_root_name(Cow::Borrowed(self.content), root)
    }

    /// `content` with another root file, if this file names one.
    fn with_root_name<'a>(&self, content: Cow<'a, [u8]>, root: &str) -> Cow<'a, [u8]> {
        if self.name == TERRAGRUNT_HCL {
            replace_root_name(content, root)
        } else {
            content
        }
    }
}

macro_rules! unit_files {
    ($($name:literal),* $(,)?) => {
        &[$(UnitFile {
            name: $name,
            content: include_bytes!(concat!("../../terraform/", $name)),
        }),*]
    };
}

/// All files of the unit except for the [`MANIFEST_FILE`].
pub(crate) const UNIT_FILES: &[UnitFile] = unit_files![
    ".gitattributes",
    ".gitignore",
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

/// The digests of the files, in the form that `sha256sum -c` reads.
///
/// It shows which files were changed since they were written.
pub(crate) const MANIFEST_FILE: UnitFile = UnitFile {
    name: "unit.sha256",
    content: include_bytes!("../../terraform/unit.sha256"),
};

/// What to do with one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileAction {
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
pub(crate) struct UnitManifest {
    /// SHA-256 digests by file name.
    digests: BTreeMap<String, String>,
    /// The root file that `terragrunt.hcl` included.
    root_name: Option<String>,
}

impl UnitManifest {
    /// Reads a manifest; skips lines that have no digest.
    pub(crate) fn parse(text: &str) -> Self {
        let mut manifest = Self::default();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix(MANIFEST_ROOT_PREFIX) {
                let name = name.trim_end().to_owned();
                manifest.root_name.get_or_insert(name);
            } else if let Some((digest, name)) = line.split_once("  ")
                && !line.starts_with('#')
            {
                let name = name.trim_end().to_owned();
                manifest.digests.insert(name, digest.to_owned());
            }
        }
        manifest
    }

    /// The text of the manifest of a folder whose root file is `root`.
    pub(crate) fn render(root: &str) -> String {
        let mut text = format!("{MANIFEST_HEAD}{MANIFEST_ROOT_PREFIX}{root}\n");
        for file in UNIT_FILES {
            let digest = sha256_hex(&file.content_for(root));
            let _ = writeln!(text, "{digest}  {}", file.name);
        }
        text
    }
}

/// Decides what to do with `file`, whose bytes on disk are `current`.
///
/// The name of the root file belongs to the customer folder. So a file counts as unchanged if it
/// differs only in that name.
pub(crate) fn decide_action(
    file: &UnitFile,
    current: Option<&[u8]>,
    manifest: &UnitManifest,
) -> FileAction {
    let Some(current) = current else {
        return FileAction::Create;
    };
    let normalized = normalize_line_ends(current);

    let as_shipped = file.with_root_name(normalized.clone(), DEFAULT_ROOT_NAME);
    if as_shipped == file.content {
        return if normalized.len() == current.len() {
            FileAction::Leave
        } else {
            FileAction::RepairLineEnds
        };
    }

    let root = manifest.root_name.as_deref().unwrap_or(DEFAULT_ROOT_NAME);
    let as_written = file.with_root_name(normalized, root);
    match manifest.digests.get(file.name) {
        Some(digest) if *digest == sha256_hex(&as_written) => FileAction::Upgrade,
        _ => FileAction::Keep,
    }
}

/// Whether a file of the unit is a program.
pub(crate) fn is_script(name: &str) -> bool {
    Path::new(name).extension() == Some("sh".as_ref())
}

/// Whether a file has the line ends of Windows.
pub(crate) fn has_crlf(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|two| two == b"\r\n")
}

/// The bytes with LF in place of CR LF.
fn normalize_line_ends(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !has_crlf(bytes) {
        return Cow::Borrowed(bytes);
    }
    let mut normalized = Vec::with_capacity(bytes.len());
    for (index, byte) in bytes.iter().enumerate() {
        if *byte != b'\r' || bytes.get(index + 1) != Some(&b'\n') {
            normalized.push(*byte);
        }
    }
    Cow::Owned(normalized)
}

/// The root file that a `terragrunt.hcl` of this unit includes; `None` if its line was rewritten.
pub(crate) fn find_root_name(terragrunt_hcl: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(terragrunt_hcl).ok()?;
    Some(&text[find_root_name_span(text)?])
}

/// `terragrunt.hcl` with another root file; unchanged if its line was rewritten.
pub(crate) fn replace_root_name<'a>(terragrunt_hcl: Cow<'a, [u8]>, root: &str) -> Cow<'a, [u8]> {
    let Ok(text) = std::str::from_utf8(&terragrunt_hcl) else {
        return terragrunt_hcl;
    };
    match find_root_name_span(text) {
        Some(span) if &text[span.clone()] != root => {
            let mut replaced = text.to_owned();
            replaced.replace_range(span, root);
            Cow::Owned(replaced.into_bytes())
        }
        _ => terragrunt_hcl,
    }
}

fn find_root_name_span(text: &str) -> Option<Range<usize>> {
    let end = text.find(ROOT_NAME_SUFFIX)?;
    let start = text[..end].rfind(ROOT_NAME_PREFIX)? + ROOT_NAME_PREFIX.len();
    if is_valid_root_name(&text[start..end]) {
        Some(start..end)
    } else {
        None
    }
}

/// Whether a name can stand unescaped in the quoted text of `terragrunt.hcl` and in the manifest.
pub(crate) fn is_valid_root_name(name: &str) -> bool {
    let is_relative = !name.starts_with('/') && !name.ends_with('/');
    let is_trimmed = name.trim() == name && !name.is_empty();
    let needs_no_escape = !name.contains(['"', '\\', '$', '%']);
    is_relative && is_trimmed && needs_no_escape && !name.contains(char::is_control)
}

/// Whether a `main.tf` is the legacy module's.
///
/// That module kept the backup and the record as objects of the AWS provider.
pub(crate) fn is_legacy_module(main_tf: &str) -> bool {
    let words: Vec<&str> = main_tf.split_whitespace().collect();
    for three in words.windows(3) {
        if let [
            "resource",
            "\"aws_s3_object\"",
            "\"config_backup\"" | "\"usage_log\"",
        ] = three
        {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN_FILE: UnitFile = UnitFile {
        name: "main.tf",
        content: b"new\n",
    };

    fn terragrunt_hcl() -> &'static UnitFile {
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
