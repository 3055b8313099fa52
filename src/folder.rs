//! A customer folder as a deployment would find it, for `doctor`: its config, the unit, and what stands around it.
//!
//! Reads only, and never shows a value of the config.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config;
use crate::facts::{self, Facts};
use crate::fault::{Fault, Kind};
use crate::finding::Finding;
use crate::hcl::{self, Block};
use crate::unit::{Action, FILES, MANIFEST, decide, is_earlier_module, read_manifest};

/// The unit's folder in a customer folder.
const UNIT: &str = "config-backup";
/// How deep, and how many, files are looked for that could depend on the unit.
const DEEPEST: usize = 8;
const MOST_FILES: usize = 2000;
/// The largest file that is looked into, in bytes.
const LARGEST: u64 = 1 << 20;

/// A folder, and what its config says.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The facts, or why there are none.
    facts: Result<Facts, Fault>,
    /// Whether it must be a customer folder, for somebody named it.
    named: bool,
}

impl Folder {
    /// The folder that is named, or the one we are in.
    #[must_use]
    pub fn read(named: Option<&Path>) -> Self {
        let path = named.unwrap_or(Path::new(".")).to_owned();
        let facts = config::read(&path.join("config.yaml")).map(|config| facts::read(&config.bytes));
        Self { path, facts, named: named.is_some() }
    }

    /// The profile of its config, or nothing.
    #[must_use]
    pub fn profile(&self) -> String {
        self.facts.as_ref().map(|facts| facts.profile.clone()).unwrap_or_default()
    }

    /// The customer, as a deployment would have it; `None` outside of a customer folder.
    #[must_use]
    pub fn customer(&self) -> Option<String> {
        if !self.is_customers() {
            return None;
        }
        let said = self.facts.as_ref().map(|facts| facts.customer.clone()).unwrap_or_default();
        Some(said).filter(|said| !said.is_empty()).or_else(|| self.name())
    }

    fn name(&self) -> Option<String> {
        Some(self.path.canonicalize().ok()?.file_name()?.to_string_lossy().into_owned())
    }

    fn unit(&self) -> PathBuf {
        self.path.join(UNIT)
    }

    /// Where nothing was named, there may be no customer here.
    fn is_customers(&self) -> bool {
        self.named || self.facts.is_ok() || self.unit().is_dir()
    }

    /// Everything that is found in it and around it.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        if !self.is_customers() {
            let why = "not asked: this is no customer folder";
            return ["config.yaml", "unit", "root.hcl", "dependents"].map(|check| Finding::unknown(check, why)).into();
        }
        vec![self.config(), self.wired(), self.root(), self.dependents()]
    }

    fn config(&self) -> Finding {
        let facts = match &self.facts {
            Ok(facts) => facts,
            Err(fault) => {
                let fix = "put the customer's config.yaml there, or name the customer folder";
                return Finding::bad("config.yaml", fault.exit_code(), &fault.text, fix);
            }
        };
        if !facts.problems.is_empty() {
            let fix = "correct it: it is backed up all the same, but the usage records lack what cannot be read";
            return Finding::bad("config.yaml", 3, facts.problems.join("; "), fix);
        }
        let folder = self.name().unwrap_or_default();
        if facts.customer.is_empty() {
            return Finding::note(
                "config.yaml",
                format!("it names no customer: the folder's name is taken, `{folder}`"),
                "set customer.name",
            );
        }
        if !folder.is_empty() && facts.customer != folder {
            let seen = "customer.name is not the folder's name, under which the states are kept";
            return Finding::note("config.yaml", seen, "let the two agree");
        }
        Finding::ok("config.yaml", "it can be read, and has what a usage record needs")
    }

    /// Whether the unit is there as this version writes it, and runs.
    fn wired(&self) -> Finding {
        let unit = self.unit();
        let init = self.init("");
        if !unit.is_dir() {
            return Finding::bad("unit", 1, format!("there is no folder `{}`: deployments here are not backed up", unit.display()), init);
        }
        let manifest = read(&unit.join(MANIFEST.name));
        let written = manifest.as_deref().map(read_manifest).unwrap_or_default();
        let mut of = [(Action::Create, Vec::new()), (Action::Upgrade, Vec::new()), (Action::Keep, Vec::new())];
        for file in FILES {
            let there = match fs::read(unit.join(file.name)) {
                Ok(bytes) => Some(bytes),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => {
                    let text = format!("read `{}`: {error}", unit.join(file.name).display());
                    return Finding::fault("unit", &Fault::new(Kind::Local, text, "make the unit's files readable"));
                }
            };
            let action = decide(file, there.as_deref(), &written);
            if let Some((_, names)) = of.iter_mut().find(|(known, _)| *known == action) {
                names.push(file.name);
            }
        }
        let [(_, missing), (_, older), (_, changed)] = of;
        if manifest.is_none() && !changed.is_empty() {
            let earlier = is_earlier_module(&read(&unit.join("main.tf")).unwrap_or_default());
            let whose = if earlier { "the earlier module" } else { "files that config-backup did not write" };
            let fix = self.init(" --force") + ", which keeps them as *.bak";
            return Finding::bad("unit", 1, format!("`{}` holds {whose}", unit.display()), fix);
        }
        if !missing.is_empty() {
            return Finding::bad("unit", 1, format!("files of it are missing: {}", missing.join(", ")), init);
        }
        if !older.is_empty() {
            return Finding::bad("unit", 1, format!("files of another version: {}", older.join(", ")), init);
        }
        if let Some(finding) = self.left_out() {
            return finding;
        }
        if !changed.is_empty() {
            let seen = format!("changed since they were written: {}", changed.join(", "));
            return Finding::note("unit", seen, "if that is not meant, ".to_owned() + &self.init(" --force"));
        }
        Finding::ok("unit", format!("`{}` is as version {} writes it", unit.display(), env!("CARGO_PKG_VERSION")))
    }

    fn init(&self, option: &str) -> String {
        format!("run `config-backup init {}{option}`", self.path.display())
    }

    /// Whether Terragrunt may leave the unit out, or run it after others only.
    fn left_out(&self) -> Option<Finding> {
        let path = self.unit().join("terragrunt.hcl");
        let mut files = vec![path.clone()];
        files.extend(self.root_hcl());
        for file in files {
            let blocks = hcl::blocks(&read(&file).unwrap_or_default());
            if blocks.iter().any(|block| block.kind == "exclude" && !block.is("if", "false")) {
                let seen = format!("`{}` has an `exclude` block: the unit may not run, and then nothing is logged", file.display());
                return Some(Finding::bad("unit", 1, seen, "take it away; check for drift with `--filter '!./config-backup'`"));
            }
            if file == path && blocks.iter().any(|block| block.kind == "dependency" || block.kind == "dependencies") {
                let seen = format!("`{}` depends on other units: where one fails, nothing is logged", file.display());
                return Some(Finding::bad("unit", 1, seen, "take its `dependency` and `dependencies` blocks away"));
            }
        }
        None
    }

    fn root_hcl(&self) -> Option<PathBuf> {
        let start = self.path.canonicalize().ok()?;
        start.ancestors().map(|folder| folder.join("root.hcl")).find(|path| path.exists())
    }

    fn root(&self) -> Finding {
        match self.root_hcl() {
            Some(path) => Finding::ok("root.hcl", format!("`{}`", path.display())),
            None => Finding::bad(
                "root.hcl",
                1,
                "there is none in the customer folder or above, and the unit includes it",
                "write one, as terragrunt/airbnb/root.hcl of the project",
            ),
        }
    }

    /// Units that would run only if ours does, and that a failure of ours would stop.
    fn dependents(&self) -> Finding {
        let mut files = Vec::new();
        collect(&self.path, DEEPEST, &mut files);
        if files.len() >= MOST_FILES {
            return Finding::unknown("dependents", format!("there are more than {MOST_FILES} files, and no more are looked into"));
        }
        let unit = self.unit();
        let names: Vec<String> = files
            .iter()
            .filter(|file| hcl::blocks(&read(file).unwrap_or_default()).iter().any(|block| depends(block, file, &unit)))
            .map(|file| format!("`{}`", file.strip_prefix(&self.path).unwrap_or(file).display()))
            .collect();
        if names.is_empty() {
            return Finding::ok("dependents", "no unit of this folder depends on it");
        }
        let seen = format!("units that depend on it, and so wait for it and need what it puts out: {}", names.join(", "));
        Finding::bad("dependents", 1, seen, "take those `dependency` blocks and `dependencies` paths away")
    }
}

/// Whether a block of `file` makes a unit depend on ours.
fn depends(block: &Block, file: &Path, unit: &Path) -> bool {
    let paths = match block.kind.as_str() {
        "dependency" => block.texts("config_path"),
        "dependencies" => block.texts("paths"),
        _ => return false,
    };
    let here = file.parent().unwrap_or(Path::new("."));
    paths.into_iter().any(|path| {
        let path = path.trim_end_matches("/terragrunt.hcl").trim_end_matches('/');
        let path = path.replace("${get_terragrunt_dir()}", &here.display().to_string());
        if path.contains("${") {
            // Whatever stands before it, in a customer folder there is one unit of this name.
            return path.rsplit('/').next() == Some(UNIT);
        }
        match (here.join(&path).canonicalize(), unit.canonicalize()) {
            (Ok(path), Ok(unit)) => path == unit,
            _ => false,
        }
    })
}

/// The HCL files below a folder, but those of our unit and what the tools keep there.
fn collect(folder: &Path, deeper: usize, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if name.to_string_lossy().starts_with('.') || files.len() >= MOST_FILES {
            continue;
        }
        if kind.is_dir() && deeper > 0 && name != UNIT {
            collect(&path, deeper - 1, files);
        } else if kind.is_file() && path.extension().is_some_and(|it| it == "hcl") {
            files.push(path);
        }
    }
}

/// A file's text; `None` where it cannot be read, or is far too large to be one that people write.
fn read(path: &Path) -> Option<String> {
    let small = fs::metadata(path).is_ok_and(|it| it.is_file() && it.len() <= LARGEST);
    small.then(|| fs::read(path).ok()).flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
