//! `init`: writes the Terragrunt unit into customer folders, or upgrades it to this version.
//! `init --check` changes nothing, and says what differs.

mod check;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use crate::commands::init::check::check_folder;
use crate::customer_folder::rendered_unit::UnitHelper;
use crate::customer_folder::root_file::{RootFile, choose_root_file};
use crate::customer_folder::sibling_units::SiblingUnits;
use crate::customer_folder::unit_files::{
    FileAction, MANIFEST_FILE, TERRAGRUNT_HCL, UNIT_FOLDER_NAME, UnitFile, UnitManifest,
    find_root_name, is_script, replace_root_name,
};
use crate::customer_folder::unit_folder::{LOCK_FILE, UnitFolder, UnitOrigin, read_unit_file};
use crate::doctor::check::CheckResult;
use crate::doctor::machine_checks::check_helper_is_found;
use crate::doctor::readiness::check_readiness;
use crate::error::{Error, print_error, write_line, write_message};
use crate::exit_code::ExitCode;
use crate::system::atomic_file::{self, FileMode};
use crate::system::env::env_var;

#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folders with a customer's config.yaml
    #[arg(value_name = "CUSTOMER_FOLDER", default_value = ".")]
    pub customer_folders: Vec<PathBuf>,
    /// Replace changed files and set aside Terraform files that are not of the unit, each as *.bak
    #[arg(long)]
    pub force: bool,
    /// The root file whose state settings the unit uses [default: the one that the other units include]
    #[arg(long, value_name = "NAME")]
    pub root: Option<String>,
    /// Change nothing, and exit with 7 if the unit is not as this version writes it, or if
    /// config.yaml is invalid or names another customer than its folder
    #[arg(
        long,
        value_name = "PART",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all",
        conflicts_with = "force"
    )]
    pub check: Option<InitCheck>,
}

/// What `init --check` looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InitCheck {
    /// The unit and config.yaml
    All,
    /// The unit
    Unit,
    /// config.yaml
    Config,
}

/// How long Terragrunt may take to say whether a deployment would run.
const READINESS_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes the unit into each folder; an error in one does not stop the others.
///
/// Exits with the worst code: 0 if a deployment would be logged, 1 if a folder is not ready or has
/// foreign files, and 3 if a customer folder or the root file does not exist. With `--check`, 7 if
/// there are differences.
pub fn run_init(
    arguments: &InitArgs,
    output: &mut impl Write,
    messages: &mut impl Write,
) -> Result<ExitCode> {
    let folders = &arguments.customer_folders;
    let mut worst = ExitCode::Ok;
    for folder in folders {
        let done = match arguments.check {
            Some(check) => check_folder(folder, check, arguments, output),
            None => init_folder(folder, arguments, output),
        };
        let exit_code = match done {
            Ok(exit_code) => exit_code,
            Err(error) if folders.len() > 1 => print_error(&error, messages),
            Err(error) => return Err(error),
        };
        worst = worse_exit_code(worst, exit_code);
    }
    Ok(worst)
}

/// Findings are the least: the command did its work.
fn worse_exit_code(one: ExitCode, other: ExitCode) -> ExitCode {
    let rank = |exit_code| match exit_code {
        ExitCode::Ok => 0,
        ExitCode::FindingsReported => 1,
        other => 1 + other.code(),
    };
    if rank(other) > rank(one) { other } else { one }
}

fn init_folder(customer: &Path, arguments: &InitArgs, output: &mut impl Write) -> Result<ExitCode> {
    if arguments.customer_folders.len() > 1 {
        let line = format!("{}:", customer.display());
        write_line(output, &line).context("cannot write to stdout")?;
    }
    if !customer.is_dir() {
        return reject_folder(customer, output);
    }

    let unit = UnitFolder::read(&customer.join(UNIT_FOLDER_NAME))?;
    if unit.is_foreign() {
        explain_foreign_folder(&unit, output)?;
        if !arguments.force {
            explain_force(&unit, output)?;
            return Ok(ExitCode::Error);
        }
    }

    let root = match choose_root(customer, arguments, &unit) {
        Ok(root) => root,
        Err(error) => {
            write_message(output, &error.to_string())?;
            return Ok(error.exit_code());
        }
    };
    write_unit(arguments, &unit, &root.name, output)?;
    explain_root(&root, output)?;
    report_readiness(customer, output)
}

fn reject_folder(customer: &Path, output: &mut impl Write) -> Result<ExitCode> {
    let folder = customer.display();
    let line =
        format!("`{folder}` is not a folder; name the folder with the customer's config.yaml");
    write_message(output, &line)?;
    Ok(ExitCode::InvalidInput)
}

/// Chooses the root file to include.
fn choose_root(
    customer: &Path,
    arguments: &InitArgs,
    unit: &UnitFolder,
) -> Result<RootFile, Error> {
    let customer = customer
        .canonicalize()
        .unwrap_or_else(|_| customer.to_owned());

    // The unit of the legacy module includes a root file like the other units.
    let terragrunt_hcl = customer.join(UNIT_FOLDER_NAME).join(TERRAGRUNT_HCL);
    let is_legacy = unit.is_foreign() && terragrunt_hcl.exists();
    let legacy = is_legacy.then_some(terragrunt_hcl.as_path());
    let siblings = SiblingUnits::read(&customer, legacy);

    let written = match &unit.root_name {
        Some(name) if !unit.is_foreign() => Some(name.as_str()),
        _ => None,
    };
    choose_root_file(&customer, arguments.root.as_deref(), written, &siblings)
}

fn write_unit(
    arguments: &InitArgs,
    unit: &UnitFolder,
    root: &str,
    output: &mut impl Write,
) -> Result<()> {
    fs::create_dir_all(&unit.path)
        .with_context(|| format!("cannot create the folder `{}`", unit.path.display()))?;
    let mut writer = UnitWriter {
        folder: &unit.path,
        root,
        arguments,
        output,
    };
    for (file, action) in &unit.files {
        writer.apply_action(file, *action)?;
    }
    let manifest = UnitManifest::render(root);
    writer.write_file(MANIFEST_FILE.name, manifest.as_bytes())?;

    if arguments.force {
        for name in list_files_to_set_aside(unit) {
            writer.set_aside(&name)?;
        }
    }
    Ok(())
}

/// Writes files into the unit's folder, and reports each.
struct UnitWriter<'a, W> {
    folder: &'a Path,
    /// The name of the root file.
    root: &'a str,
    arguments: &'a InitArgs,
    output: &'a mut W,
}

impl<W: Write> UnitWriter<'_, W> {
    fn apply_action(&mut self, file: &UnitFile, action: FileAction) -> Result<()> {
        let name = file.name;
        let content = file.content_for(self.root);
        let current = read_unit_file(self.folder, name)?;

        let report = match action {
            FileAction::Leave if current.as_deref() != Some(&*content) => {
                format!("{UNIT_FOLDER_NAME}/{name} includes `{}` now", self.root)
            }
            FileAction::Leave => {
                self.make_executable(name)?;
                return self.report(&format!("{UNIT_FOLDER_NAME}/{name} is up to date"));
            }
            FileAction::Create => format!("created {UNIT_FOLDER_NAME}/{name}"),
            FileAction::Upgrade => format!("upgraded {UNIT_FOLDER_NAME}/{name}"),
            FileAction::RepairLineEnds => {
                format!("repaired line ends of {UNIT_FOLDER_NAME}/{name}")
            }
            FileAction::Keep if self.arguments.force => {
                let backup = self.copy_to_backup(name)?;
                format!(
                    "replaced {UNIT_FOLDER_NAME}/{name}; \
                     what it had is now in {UNIT_FOLDER_NAME}/{backup}"
                )
            }
            FileAction::Keep => {
                return self.keep_changed_file(name, &current.unwrap_or_default());
            }
        };
        self.write_file(name, &content)?;
        self.report(&report)
    }

    /// Leaves a file that the user changed.
    ///
    /// Only the name of the root file changes in it, if the user asks for another one.
    fn keep_changed_file(&mut self, name: &str, current: &[u8]) -> Result<()> {
        let is_requested = name == TERRAGRUNT_HCL && self.arguments.root.is_some();
        let renamed = match find_root_name(current) {
            Some(written) if is_requested && written != self.root => {
                self.write_file(name, &replace_root_name(current.into(), self.root))?;
                format!(", and includes `{}` now", self.root)
            }
            None if is_requested => {
                "; its `include` block was rewritten, so --root has no effect".to_owned()
            }
            _ => String::new(),
        };
        self.report(&format!(
            "kept {UNIT_FOLDER_NAME}/{name}, which was changed since it was written{renamed}; \
             --force replaces it"
        ))
    }

    fn set_aside(&mut self, name: &str) -> Result<()> {
        let backup = self.copy_to_backup(name)?;
        let path = self.folder.join(name);
        fs::remove_file(&path).with_context(|| format!("cannot remove `{}`", path.display()))?;
        self.report(&format!(
            "set aside {UNIT_FOLDER_NAME}/{name}, which is now {UNIT_FOLDER_NAME}/{backup}"
        ))
    }

    /// Copies a file beside itself, and returns the name of the copy.
    fn copy_to_backup(&self, name: &str) -> Result<String> {
        let path = self.folder.join(name);
        let backup = atomic_file::copy_to_backup(&path)
            .with_context(|| format!("cannot copy `{}`", path.display()))?;
        let name = backup.file_name().unwrap_or_default();
        Ok(name.display().to_string())
    }

    fn write_file(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        let mode = if is_script(name) {
            FileMode::Executable
        } else {
            FileMode::Shared
        };
        atomic_file::write_atomically(&path, &[content], mode)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(())
    }

    fn make_executable(&self, name: &str) -> Result<()> {
        if !is_script(name) {
            return Ok(());
        }
        let path = self.folder.join(name);
        set_executable_mode(&path)
            .with_context(|| format!("cannot set the mode of `{}`", path.display()))
    }

    fn report(&mut self, line: &str) -> Result<()> {
        write_line(self.output, line).context("cannot write to stdout")
    }
}

#[cfg(unix)]
fn set_executable_mode(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o100 != 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o755))
}

#[cfg(not(unix))]
fn set_executable_mode(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Says what else the folder has.
fn explain_foreign_folder(unit: &UnitFolder, output: &mut impl Write) -> Result<()> {
    let folder = unit.path.display();
    if unit.origin != UnitOrigin::LegacyModule {
        let line = format!("`{folder}` has files that config-backup did not write.");
        return Ok(write_line(output, &line)?);
    }
    let line = format!(
        "`{folder}` has the legacy module. \
         Its state object stays where it is, and nothing is destroyed."
    );
    write_line(output, &line)?;
    let line = "The unit has a state of its own and needs no AWS provider. \
                Reports read the records of the legacy module as before.";
    Ok(write_line(output, line)?)
}

/// Says what `--force` would do.
fn explain_force(unit: &UnitFolder, output: &mut impl Write) -> Result<()> {
    let mut names = Vec::new();
    for name in unit.files_needing(FileAction::Keep) {
        names.push(name.to_owned());
    }
    names.extend(list_files_to_set_aside(unit));
    let line = format!(
        "Nothing was written. `config-backup init --force` sets these files aside as *.bak \
         and writes the unit: {}",
        names.join(", ")
    );
    Ok(write_line(output, &line)?)
}

/// The files that `--force` sets aside and does not replace.
fn list_files_to_set_aside(unit: &UnitFolder) -> Vec<String> {
    let mut names = Vec::new();
    for leftover in &unit.leftovers {
        names.push(leftover.name.clone());
    }
    if unit.has_legacy_lock {
        names.push(LOCK_FILE.to_owned());
    }
    names
}

/// Says which root file the unit includes, because that file says where the unit's state is.
fn explain_root(root: &RootFile, output: &mut impl Write) -> Result<()> {
    let line = match &root.path {
        Some(path) => format!(
            "The unit's state is where the root file `{}` says.",
            path.display()
        ),
        None => format!(
            "Note: neither this folder nor one above has the root file `{}`; \
             the unit keeps its state in its own folder.",
            root.name
        ),
    };
    write_line(output, &line)?;
    if let Some(note) = &root.note {
        write_line(output, &format!("Note: {note}."))?;
    }
    Ok(())
}

/// Says how to deploy, or why a deployment would not be logged.
fn report_readiness(customer: &Path, output: &mut impl Write) -> Result<ExitCode> {
    if !customer.join("config.yaml").exists() {
        let folder = customer.display();
        let line = format!(
            "Note: `{folder}` has no config.yaml yet; \
             without it deployments are logged but nothing is backed up."
        );
        write_line(output, &line)?;
    }

    let readiness = check_readiness(customer, READINESS_TIMEOUT);
    if let Some(cause) = &readiness.terragrunt_unavailable {
        write_line(output, &format!("Not checked by terragrunt: {cause}."))?;
    }
    let helper = readiness.helper.or_else(named_helper);
    let mut results = vec![readiness.root, readiness.unit, readiness.dependents];
    if let Some(helper) = helper {
        results.extend(check_helper_is_found(&helper));
    }
    results.retain(CheckResult::has_failed);

    for result in &results {
        let check = result.check.name();
        let line = format!("Not ready: {check}: {}; {}.", result.seen, result.fix);
        write_line(output, &line)?;
    }
    if !results.is_empty() {
        return Ok(ExitCode::Error);
    }
    let line = format!(
        "Deploy with `terragrunt apply --all`, or this unit alone with \
         `terragrunt apply --working-dir={UNIT_FOLDER_NAME}`."
    );
    write_line(output, &line)?;
    Ok(ExitCode::Ok)
}

/// The helper in the environment.
///
/// Without it, a missing helper is left to `doctor`: the deployment may run in another environment.
fn named_helper() -> Option<UnitHelper> {
    let program = env_var("CONFIG_BACKUP_HELPER")?;
    Some(UnitHelper {
        program,
        is_downloadable: false,
    })
}
