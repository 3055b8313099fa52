//! The Terragrunt unit, embedded byte for byte from `terraform/`, and what to do with a file that is there already.
//!
//! Pure: `init` reads and writes.

use std::collections::BTreeMap;

use crate::digest::sha256_hex;

/// One file of the unit.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Its name; the unit has no folders.
    pub name: &'static str,
    /// Its bytes.
    pub content: &'static [u8],
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(File { name: $name, content: include_bytes!(concat!("../terraform/", $name)) }),*]
    };
}

/// All files of the unit but the [`MANIFEST`].
pub const FILES: &[File] = files![
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

/// The digests of the files, in the form that `sha256sum -c` reads: tells what was changed since it was written.
pub const MANIFEST: File = File { name: "unit.sha256", content: include_bytes!("../terraform/unit.sha256") };

/// What to do with one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is not there.
    Create,
    /// It is as it should be.
    Leave,
    /// It is as another version wrote it.
    Upgrade,
    /// Somebody changed it, or it was never ours.
    Keep,
}

/// Decides what to do with `file`, of which `there` is on disk and `manifest` says what was written last.
#[must_use]
pub fn decide(file: &File, there: Option<&[u8]>, manifest: &BTreeMap<String, String>) -> Action {
    match there {
        None => Action::Create,
        Some(bytes) if bytes == file.content => Action::Leave,
        Some(bytes) if manifest.get(file.name) == Some(&sha256_hex(bytes)) => Action::Upgrade,
        Some(_) => Action::Keep,
    }
}

/// The manifest as it must be: what [`MANIFEST`] holds when it is in step with [`FILES`].
#[must_use]
pub fn manifest() -> String {
    let head = "# What `config-backup init` wrote here; `sha256sum -c unit.sha256` shows what was changed since.\n";
    let lines = FILES.iter().map(|file| format!("{}  {}\n", sha256_hex(file.content), file.name));
    head.to_owned() + &lines.collect::<String>()
}

/// Reads a manifest: names and SHA-256 digests. Lines that are none are passed over.
#[must_use]
pub fn read_manifest(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, name)| (name.to_owned(), digest.to_owned()))
        .collect()
}

/// Whether a `main.tf` is the earlier module's, which kept backup and record as objects of the AWS provider.
#[must_use]
pub fn is_earlier_module(main_tf: &str) -> bool {
    let words: Vec<&str> = main_tf.split_whitespace().collect();
    words
        .windows(3)
        .any(|three| three[0] == "resource" && three[1] == "\"aws_s3_object\"" && matches!(three[2], "\"config_backup\"" | "\"usage_log\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_in_step_with_the_files() {
        let there = String::from_utf8_lossy(MANIFEST.content);
        assert_eq!(there, manifest(), "run `make manifest`");
    }

    #[test]
    fn only_what_somebody_changed_is_kept() {
        let file = File { name: "main.tf", content: b"new" };
        // printf old | sha256sum
        let written = read_manifest("# head\ncba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4  main.tf\n");
        assert_eq!(written.len(), 1);
        assert_eq!(read_manifest("# of  main.tf\nnone\n"), BTreeMap::new());
        assert_eq!(decide(&file, None, &written), Action::Create);
        assert_eq!(decide(&file, Some(b"new"), &written), Action::Leave);
        assert_eq!(decide(&file, Some(b"mine"), &written), Action::Keep);
        assert_eq!(decide(&file, Some(b"old"), &BTreeMap::new()), Action::Keep);
        assert_eq!(decide(&file, Some(b"old"), &written), Action::Upgrade);
    }

    #[test]
    fn the_earlier_module_is_known_by_its_resources() {
        assert!(is_earlier_module("resource \"aws_s3_object\" \"config_backup\" {\n}"));
        assert!(is_earlier_module("resource   \"aws_s3_object\"   \"usage_log\" {"));
        assert!(!is_earlier_module("resource \"aws_s3_object\" \"other\" {}\n# aws_s3_object.config_backup"));
        assert!(FILES.iter().all(|file| !is_earlier_module(&String::from_utf8_lossy(file.content))));
    }
}
