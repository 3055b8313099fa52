//! The folder of our unit as it is on disk: what each file needs, and which other Terraform files are in it.
//!
//! Reads only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::customer_folder::hcl::{self, HclBlock};
use crate::customer_folder::unit_files::{
    File, FileAction, MANIFEST_FILE, TERRAGRUNT_HCL, UNIT_FILES, UnitManifest, decide_action,
    find_root_name, has_crlf, is_legacy_module,
};
use crate::error::{Error, ErrorKind};

/// The lock file of Terraform.
pub const LOCK_FILE: &str = ".terraform.lock.hcl";
/// What the names of files end with that Terraform and OpenTofu read.
const TERRAFORM_FILE_SUFFIXES: [&str; 4] = [".tf", ".tofu", ".tf.json", ".tofu.json"];
/// The providers that the unit itself uses.
const UNIT_PROVIDERS: [&str; 2] = ["external", "terraform"];

/// The unit's folder.
#[derive(Debug)]
pub struct UnitFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Who wrote into it.
    pub origin: UnitOrigin,
    /// What to do with each file.
    pub files: Vec<(&'static File, FileAction)>,
    /// Whether the manifest has the line ends of Windows.
    pub has_crlf_manifest: bool,
    /// The root file in `terragrunt.hcl`, where its line is as we write it.
    pub root_name: Option<String>,
    /// Terraform files that are not of the unit.
    pub leftovers: Vec<LeftoverFile>,
    /// Whether the lock file names the AWS provider, which only the legacy module needs.
    pub has_legacy_lock: bool,
}

/// Who wrote into a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitOrigin {
    /// `init`, by the manifest.
    Init,
    /// The legacy module is there.
    LegacyModule,
    /// Unknown; the folder may be empty or missing.
    Unknown,
}

/// A Terraform file that is not of the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftoverFile {
    /// Its name.
    pub name: String,
    /// Why Terraform fails with it in the unit's folder.
    pub clash: Option<String>,
}

impl UnitFolder {
    /// Reads the folder; a folder that does not exist has no files.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let manifest = read_file(path, MANIFEST_FILE.name)?;
        let written = manifest
            .as_deref()
            .map(|bytes| UnitManifest::parse(&String::from_utf8_lossy(bytes)))
            .unwrap_or_default();
        let mut files = Vec::new();
        for file in UNIT_FILES {
            files.push((
                file,
                decide_action(file, read_file(path, file.name)?.as_deref(), &written),
            ));
        }
        let main = read_file(path, "main.tf")?.unwrap_or_default();
        let lock = read_file(path, LOCK_FILE)?.unwrap_or_default();
        let origin = match &manifest {
            Some(_) => UnitOrigin::Init,
            None if is_legacy_module(&String::from_utf8_lossy(&main)) => UnitOrigin::LegacyModule,
            None => UnitOrigin::Unknown,
        };
        Ok(Self {
            path: path.to_owned(),
            origin,
            files,
            has_crlf_manifest: manifest.is_some_and(|bytes| has_crlf(&bytes)),
            root_name: read_file(path, TERRAGRUNT_HCL)?
                .and_then(|bytes| find_root_name(&bytes).map(str::to_owned)),
            leftovers: list_leftovers(path)?,
            has_legacy_lock: String::from_utf8_lossy(&lock).contains("hashicorp/aws\""),
        })
    }

    /// The names of the files that need `action`.
    #[must_use]
    pub fn files_needing(&self, action: FileAction) -> Vec<&'static str> {
        self.files
            .iter()
            .filter(|(_, needed)| *needed == action)
            .map(|(file, _)| file.name)
            .collect()
    }

    /// Whether the folder has files of another module, which `init` never mixes with ours.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.origin != UnitOrigin::Init
            && (!self.files_needing(FileAction::Keep).is_empty() || !self.leftovers.is_empty())
    }

    /// The leftovers that clash with the unit; files that Terragrunt overwrites in each run do not.
    #[must_use]
    pub fn list_clashes(&self, overwritten: &[String]) -> Vec<String> {
        let clashing = self
            .leftovers
            .iter()
            .filter(|leftover| !overwritten.contains(&leftover.name));
        clashing
            .filter_map(|leftover| {
                Some(format!("`{}` {}", leftover.name, leftover.clash.as_ref()?))
            })
            .collect()
    }
}

/// The bytes of a file in the folder; `None` where it does not exist.
pub fn read_file(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, Error> {
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

fn list_leftovers(folder: &Path) -> Result<Vec<LeftoverFile>, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let text = format!("cannot read the folder `{}`: {error}", folder.display());
            return Err(Error::new(
                ErrorKind::Local,
                text,
                "make the unit's folder readable",
            ));
        }
    };
    let names = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_leftover = |name: &String| {
        TERRAFORM_FILE_SUFFIXES
            .iter()
            .any(|end| name.ends_with(end))
            && UNIT_FILES.iter().all(|file| file.name != name)
    };
    let mut names: Vec<String> = names.filter(is_leftover).collect();
    names.sort();
    let mut found = Vec::new();
    for name in names {
        let bytes = read_file(folder, &name)?.unwrap_or_default();
        found.push(LeftoverFile {
            clash: find_clash(&name, &String::from_utf8_lossy(&bytes)),
            name,
        });
    }
    Ok(found)
}

/// Why Terraform fails with a file beside ours; `None` where it does not.
fn find_clash(name: &str, text: &str) -> Option<String> {
    if Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        let keys: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).unwrap_or_default();
        let known = ["terraform", "provider", "resource", "data"]
            .into_iter()
            .find(|key| keys.contains_key(*key))?;
        return Some(format!("has `{known}` settings of another module"));
    }
    hcl::parse_blocks(text).iter().find_map(find_block_clash)
}

fn find_block_clash(block: &HclBlock) -> Option<String> {
    let label = block.labels.first().map_or("", String::as_str);
    let provider = label.split('_').next().unwrap_or_default();
    match block.kind.as_str() {
        "terraform" => {
            let inner = block.nested_blocks().into_iter().find(|inner| {
                ["backend", "cloud", "required_providers"].contains(&inner.kind.as_str())
            })?;
            Some(format!("declares `{}` a second time", inner.kind))
        }
        "provider" if !UNIT_PROVIDERS.contains(&label) => {
            Some(format!("needs the provider `{label}`"))
        }
        "resource" | "data" if !UNIT_PROVIDERS.contains(&provider) => {
            Some(format!("needs the provider `{provider}`"))
        }
        "resource" | "data" | "variable" | "output" | "check" if is_declared_by_unit(block) => {
            Some(format!(
                "declares the {} `{}` a second time",
                block.kind,
                block.labels.join(".")
            ))
        }
        _ => None,
    }
}

fn is_declared_by_unit(block: &HclBlock) -> bool {
    let terraform = UNIT_FILES.iter().filter(|file| {
        TERRAFORM_FILE_SUFFIXES
            .iter()
            .any(|end| file.name.ends_with(end))
    });
    let ours = terraform.flat_map(|file| hcl::parse_blocks(&String::from_utf8_lossy(file.content)));
    ours.into_iter()
        .any(|ours| (&ours.kind, &ours.labels) == (&block.kind, &block.labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_clashes_that_makes_terraform_fail() {
        for (name, text, expected) in [
            (
                "provider.tf",
                "# Generated by Terragrunt. Sig: nIlQXj57tbuaRZEa\nprovider \"aws\" {}\n",
                Some("needs the provider `aws`"),
            ),
            (
                "versions.tf",
                "terraform {\n  required_providers {\n  }\n}\n",
                Some("declares `required_providers` a second time"),
            ),
            (
                "backend.tf",
                "terraform {\n  backend \"s3\" {}\n}\n",
                Some("declares `backend` a second time"),
            ),
            (
                "s3.tf",
                "resource \"aws_s3_object\" \"x\" {}\n",
                Some("needs the provider `aws`"),
            ),
            (
                "vars.tf",
                "variable \"bucket\" {}\n",
                Some("declares the variable `bucket` a second time"),
            ),
            (
                "x.tf.json",
                "{\"provider\": {\"aws\": {}}}",
                Some("has `provider` settings of another module"),
            ),
            (
                "locals.tf",
                "terraform {\n  required_version = \">= 1\"\n}\nlocals {}\nvariable \"mine\" {}\n",
                None,
            ),
            ("x.tf.json", "{\"locals\": {}}", None),
            ("empty.tf", "", None),
        ] {
            assert_eq!(find_clash(name, text).as_deref(), expected, "{name}");
        }
    }

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
