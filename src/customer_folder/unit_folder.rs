//! The folder of our unit as it is on disk: who wrote it, and what each file needs.
//!
//! Reads only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::customer_folder::leftovers::{LeftoverFile, list_leftovers};
use crate::customer_folder::unit_files::{
    FileAction, MANIFEST_FILE, TERRAGRUNT_HCL, UNIT_FILES, UnitFile, UnitManifest, decide_action,
    find_root_name, has_crlf, is_legacy_module,
};
use crate::error::{Error, ErrorKind};

/// The lock file of Terraform.
pub(crate) const LOCK_FILE: &str = ".terraform.lock.hcl";

/// The unit's folder.
#[derive(Debug)]
pub(crate) struct UnitFolder {
    pub(crate) path: PathBuf,
    pub(crate) origin: UnitOrigin,
    /// What to do with each file.
    pub(crate) files: Vec<(&'static UnitFile, FileAction)>,
    /// Whether the manifest has the line ends of Windows.
    pub(crate) has_crlf_manifest: bool,
    /// The root file in `terragrunt.hcl`; `None` if its line was rewritten.
    pub(crate) root_name: Option<String>,
    pub(crate) leftovers: Vec<LeftoverFile>,
    /// Whether the lock file names the AWS provider, which only the legacy module needs.
    pub(crate) has_legacy_lock: bool,
}

/// Who wrote into a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnitOrigin {
    /// `init`: there is a manifest.
    Init,
    /// Its `main.tf` is the legacy module's.
    LegacyModule,
    /// The folder may also be empty or missing.
    Unknown,
}

impl UnitFolder {
    /// Reads the folder; a folder that does not exist has no files.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let manifest = read_unit_text(path, MANIFEST_FILE.name)?;
        let written = match &manifest {
            Some(text) => UnitManifest::parse(text),
            None => UnitManifest::default(),
        };

        let mut files = Vec::new();
        for file in UNIT_FILES {
            let content = read_unit_file(path, file.name)?;
            files.push((file, decide_action(file, content.as_deref(), &written)));
        }

        let main = read_unit_text(path, "main.tf")?.unwrap_or_default();
        let origin = match &manifest {
            Some(_) => UnitOrigin::Init,
            None if is_legacy_module(&main) => UnitOrigin::LegacyModule,
            None => UnitOrigin::Unknown,
        };
        let terragrunt_hcl = read_unit_file(path, TERRAGRUNT_HCL)?.unwrap_or_default();
        let lock = read_unit_text(path, LOCK_FILE)?.unwrap_or_default();

        Ok(Self {
            path: path.to_owned(),
            origin,
            files,
            has_crlf_manifest: manifest.is_some_and(|text| has_crlf(text.as_bytes())),
            root_name: find_root_name(&terragrunt_hcl).map(str::to_owned),
            leftovers: list_leftovers(path)?,
            has_legacy_lock: lock.contains("hashicorp/aws\""),
        })
    }

    /// The names of the files that need `action`.
    pub(crate) fn files_needing(&self, action: FileAction) -> Vec<&'static str> {
        let mut names = Vec::new();
        for (file, needed) in &self.files {
            if *needed == action {
                names.push(file.name);
            }
        }
        names
    }

    /// Whether the folder has files of another module, which `init` never mixes with ours.
    pub(crate) fn is_foreign(&self) -> bool {
        let has_foreign_files =
            !self.files_needing(FileAction::Keep).is_empty() || !self.leftovers.is_empty();
        self.origin != UnitOrigin::Init && has_foreign_files
    }

    /// The leftovers that clash with the unit, except for those that Terragrunt overwrites in each
    /// run.
    pub(crate) fn list_clashes(&self, overwritten: &[String]) -> Vec<String> {
        let mut clashes = Vec::new();
        for LeftoverFile { name, clash } in &self.leftovers {
            if let Some(clash) = clash
                && !overwritten.contains(name)
            {
                clashes.push(format!("`{name}` {clash}"));
            }
        }
        clashes
    }
}

/// The bytes of a file in the folder; `None` if it does not exist.
pub(crate) fn read_unit_file(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let path = folder.join(name);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(
            ErrorKind::Local,
            format!("cannot read `{}`: {error}", path.display()),
            "make the unit's files readable",
        )),
    }
}

/// Whether the owner may execute a file.
#[cfg(unix)]
pub(crate) fn has_executable_mode(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o100 != 0)
}

#[cfg(not(unix))]
pub(crate) fn has_executable_mode(_: &Path) -> bool {
    true
}

fn read_unit_text(folder: &Path, name: &str) -> Result<Option<String>, Error> {
    match read_unit_file(folder, name)? {
        Some(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_manifest_is_foreign_if_another_module_is_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = || UnitFolder::read(folder.path()).expect("it");
        assert!(
            !read().is_foreign()
                && !UnitFolder::read(&folder.path().join("none"))
                    .expect("it")
                    .is_foreign()
        );
        fs::write(
            folder.path().join(LOCK_FILE),
            "provider \"registry.terraform.io/hashicorp/aws\" {}\n",
        )
        .expect("a file");
        assert!(!read().is_foreign() && read().has_legacy_lock);
        fs::write(
            folder.path().join("backend.tf"),
            "terraform {\n  backend \"s3\" {}\n}\n",
        )
        .expect("a file");
        assert!(read().is_foreign());
        fs::write(
            folder.path().join(MANIFEST_FILE.name),
            MANIFEST_FILE.content,
        )
        .expect("a file");
        assert!(
            !read().is_foreign()
                && read().list_clashes(&[]).len() == 1
                && read().list_clashes(&["backend.tf".to_owned()]).is_empty()
        );
    }
}
