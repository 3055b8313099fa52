//! The folder of our unit as it is on disk: what each file needs, and which other Terraform files are in it.
//!
//! Reads only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::fault::{Fault, Kind};
use crate::hcl::{self, Block};
use crate::unit::{Action, FILES, File, MANIFEST, Manifest, TERRAGRUNT_HCL, decide, has_crlf, is_legacy_module, root_of};

/// The lock file of Terraform.
pub const LOCK_FILE: &str = ".terraform.lock.hcl";
/// What the names of files end with that Terraform and OpenTofu read.
const TERRAFORM_ENDS: [&str; 4] = [".tf", ".tofu", ".tf.json", ".tofu.json"];
/// The providers that the unit itself uses.
const OUR_PROVIDERS: [&str; 2] = ["external", "terraform"];

/// The unit's folder.
#[derive(Debug)]
pub struct UnitFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Who wrote into it.
    pub origin: Origin,
    /// What to do with each file.
    pub files: Vec<(&'static File, Action)>,
    /// Whether the manifest has the line ends of Windows.
    pub has_crlf_manifest: bool,
    /// The root file in `terragrunt.hcl`, where its line is as we write it.
    pub root: Option<String>,
    /// Terraform files that are not of the unit.
    pub leftovers: Vec<Leftover>,
    /// Whether the lock file names the AWS provider, which only the legacy module needs.
    pub has_legacy_lock: bool,
}

/// Who wrote into a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `init`, by the manifest.
    Init,
    /// The legacy module is there.
    LegacyModule,
    /// Unknown; the folder may be empty or missing.
    Unknown,
}

/// A Terraform file that is not of the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its name.
    pub name: String,
    /// Why Terraform fails with it in the unit's folder.
    pub clash: Option<String>,
}

impl UnitFolder {
    /// Reads the folder; a folder that does not exist has no files.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let manifest = read_file(path, MANIFEST.name)?;
        let written = manifest.as_deref().map(|bytes| Manifest::parse(&String::from_utf8_lossy(bytes))).unwrap_or_default();
        let mut files = Vec::new();
        for file in FILES {
            files.push((file, decide(file, read_file(path, file.name)?.as_deref(), &written)));
        }
        let main = read_file(path, "main.tf")?.unwrap_or_default();
        let lock = read_file(path, LOCK_FILE)?.unwrap_or_default();
        let origin = match &manifest {
            Some(_) => Origin::Init,
            None if is_legacy_module(&String::from_utf8_lossy(&main)) => Origin::LegacyModule,
            None => Origin::Unknown,
        };
        Ok(Self {
            path: path.to_owned(),
            origin,
            files,
            has_crlf_manifest: manifest.is_some_and(|bytes| has_crlf(&bytes)),
            root: read_file(path, TERRAGRUNT_HCL)?.and_then(|bytes| root_of(&bytes).map(str::to_owned)),
            leftovers: leftovers(path)?,
            has_legacy_lock: String::from_utf8_lossy(&lock).contains("hashicorp/aws\""),
        })
    }

    /// The names of the files that need `action`.
    #[must_use]
    pub fn names(&self, action: Action) -> Vec<&'static str> {
        self.files.iter().filter(|(_, needed)| *needed == action).map(|(file, _)| file.name).collect()
    }

    /// Whether the folder has files of another module, which `init` never mixes with ours.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.origin != Origin::Init && (!self.names(Action::Keep).is_empty() || !self.leftovers.is_empty())
    }

    /// The leftovers that clash with the unit; files that Terragrunt overwrites in each run do not.
    #[must_use]
    pub fn clashes(&self, overwritten: &[String]) -> Vec<String> {
        let clashing = self.leftovers.iter().filter(|leftover| !overwritten.contains(&leftover.name));
        clashing.filter_map(|leftover| Some(format!("`{}` {}", leftover.name, leftover.clash.as_ref()?))).collect()
    }
}

/// The bytes of a file in the folder; `None` where it does not exist.
pub fn read_file(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, Fault> {
    let path = folder.join(name);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::new(Kind::Local, format!("cannot read `{}`: {error}", path.display()), "make the unit's files readable")),
    }
}

fn leftovers(folder: &Path) -> Result<Vec<Leftover>, Fault> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let text = format!("cannot read the folder `{}`: {error}", folder.display());
            return Err(Fault::new(Kind::Local, text, "make the unit's folder readable"));
        }
    };
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_leftover = |name: &String| TERRAFORM_ENDS.iter().any(|end| name.ends_with(end)) && FILES.iter().all(|file| file.name != name);
    let mut names: Vec<String> = names.filter(is_leftover).collect();
    names.sort();
    let mut found = Vec::new();
    for name in names {
        let bytes = read_file(folder, &name)?.unwrap_or_default();
        found.push(Leftover { clash: clash(&name, &String::from_utf8_lossy(&bytes)), name });
    }
    Ok(found)
}

/// Why Terraform fails with a file beside ours; `None` where it does not.
fn clash(name: &str, text: &str) -> Option<String> {
    if Path::new(name).extension().is_some_and(|extension| extension == "json") {
        let keys: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
        let known = ["terraform", "provider", "resource", "data"].into_iter().find(|key| keys.contains_key(*key))?;
        return Some(format!("has `{known}` settings of another module"));
    }
    hcl::blocks(text).iter().find_map(clash_of_block)
}

fn clash_of_block(block: &Block) -> Option<String> {
    let label = block.labels.first().map_or("", String::as_str);
    let provider = label.split('_').next().unwrap_or_default();
    match block.kind.as_str() {
        "terraform" => {
            let inner =
                block.nested().into_iter().find(|inner| ["backend", "cloud", "required_providers"].contains(&inner.kind.as_str()))?;
            Some(format!("declares `{}` a second time", inner.kind))
        }
        "provider" if !OUR_PROVIDERS.contains(&label) => Some(format!("needs the provider `{label}`")),
        "resource" | "data" if !OUR_PROVIDERS.contains(&provider) => Some(format!("needs the provider `{provider}`")),
        "resource" | "data" | "variable" | "output" | "check" if is_ours(block) => {
            Some(format!("declares the {} `{}` a second time", block.kind, block.labels.join(".")))
        }
        _ => None,
    }
}

fn is_ours(block: &Block) -> bool {
    let terraform = FILES.iter().filter(|file| TERRAFORM_ENDS.iter().any(|end| file.name.ends_with(end)));
    let ours = terraform.flat_map(|file| hcl::blocks(&String::from_utf8_lossy(file.content)));
    ours.into_iter().any(|ours| (&ours.kind, &ours.labels) == (&block.kind, &block.labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_clashes_that_makes_terraform_fail() {
        for (name, text, expected) in [
            ("provider.tf", "# Generated by Terragrunt. Sig: nIlQXj57tbuaRZEa\nprovider \"aws\" {}\n", Some("needs the provider `aws`")),
            ("versions.tf", "terraform {\n  required_providers {\n  }\n}\n", Some("declares `required_providers` a second time")),
            ("backend.tf", "terraform {\n  backend \"s3\" {}\n}\n", Some("declares `backend` a second time")),
            ("s3.tf", "resource \"aws_s3_object\" \"x\" {}\n", Some("needs the provider `aws`")),
            ("vars.tf", "variable \"bucket\" {}\n", Some("declares the variable `bucket` a second time")),
            ("x.tf.json", "{\"provider\": {\"aws\": {}}}", Some("has `provider` settings of another module")),
            ("locals.tf", "terraform {\n  required_version = \">= 1\"\n}\nlocals {}\nvariable \"mine\" {}\n", None),
            ("x.tf.json", "{\"locals\": {}}", None),
            ("empty.tf", "", None),
        ] {
            assert_eq!(clash(name, text).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_folder_without_a_manifest_is_foreign_if_another_module_is_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = || UnitFolder::read(folder.path()).expect("it");
        assert!(!read().is_foreign() && !UnitFolder::read(&folder.path().join("none")).expect("it").is_foreign());
        fs::write(folder.path().join(LOCK_FILE), "provider \"registry.terraform.io/hashicorp/aws\" {}\n").expect("a file");
        assert!(!read().is_foreign() && read().has_legacy_lock);
        fs::write(folder.path().join("backend.tf"), "terraform {\n  backend \"s3\" {}\n}\n").expect("a file");
        assert!(read().is_foreign());
        fs::write(folder.path().join(MANIFEST.name), MANIFEST.content).expect("a file");
        assert!(!read().is_foreign() && read().clashes(&[]).len() == 1 && read().clashes(&["backend.tf".to_owned()]).is_empty());
    }
}
