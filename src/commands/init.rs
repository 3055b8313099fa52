//! `init`: writes the Terragrunt unit into a customer folder, or upgrades it to this version.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::customer_folder::root_file::{self, RootFile};
use crate::customer_folder::sibling_units::SiblingUnits;
use crate::customer_folder::unit_files::{
    File, FileAction, MANIFEST_FILE, TERRAGRUNT_HCL, UNIT_FOLDER_NAME, UnitManifest,
    find_root_name, replace_root_name,
};
use crate::customer_folder::unit_folder::{LOCK_FILE, UnitFolder, UnitOrigin, read_file};
use crate::doctor::check::{CheckResult, CheckStatus};
use crate::doctor::machine_checks;
use crate::doctor::readiness;
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::system::atomic_file::{self, FileMode};
use crate::system::host;
use clap::Args;
use std::path::PathBuf;

/// The arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder with the customer's config.yaml
    #[arg(default_value = ".")]
    pub customer_folder: PathBuf,
    /// Replace changed files and set aside Terraform files that are not of the unit, each as *.bak
    #[arg(long)]
    pub force: bool,
    /// The root file whose state settings the unit uses [default: the one that the other units include]
    #[arg(long, value_name = "NAME")]
    pub root: Option<String>,
}

/// How long Terragrunt may take to say whether a deployment would run.
const READINESS_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes the unit. Exit: 0 a deployment would be logged, 1 refused or not ready, 3 no such customer folder or root file.
pub fn run_init(arguments: &InitArgs, output: &mut impl Write) -> Result<ExitCode> {
    let customer = &arguments.customer_folder;
    if !customer.is_dir() {
        let folder = customer.display();
        writeln!(
            output,
            "config-backup: `{folder}` is not a folder; name the folder with the customer's config.yaml"
        )?;
        return Ok(ExitCode(3));
    }
    let unit = UnitFolder::read(&customer.join(UNIT_FOLDER_NAME))?;
    if unit.is_foreign() {
        explain_foreign_folder(&unit, arguments.force, output)?;
        if !arguments.force {
            return Ok(ExitCode(1));
        }
    }
    let root = match choose_root(arguments, &unit) {
        Ok(root) => root,
        Err(fault) => {
            writeln!(output, "config-backup: {fault}")?;
            return Ok(ExitCode(fault.exit_code()));
        }
    };
    fs::create_dir_all(&unit.path)
        .with_context(|| format!("make the folder `{}`", unit.path.display()))?;
    for (file, action) in &unit.files {
        apply_file_action(&unit.path, file, *action, &root.name, arguments, output)?;
    }
    write_unit_file(
        &unit.path,
        MANIFEST_FILE.name,
        UnitManifest::render(&root.name).as_bytes(),
    )?;
    if arguments.force {
        set_leftovers_aside(&unit, output)?;
    }
    explain_root(&root, output)?;
    report_readiness(customer, output)
}

/// The root file to include.
fn choose_root(arguments: &InitArgs, unit: &UnitFolder) -> Result<RootFile, Error> {
    let customer = &arguments.customer_folder;
    let customer = customer.canonicalize().unwrap_or_else(|_| customer.clone());
    // The unit of the legacy module includes a root file like the other units.
    let legacy = customer.join(UNIT_FOLDER_NAME).join(TERRAGRUNT_HCL);
    let neighbours = SiblingUnits::read(
        &customer,
        Some(legacy.as_path()).filter(|path| unit.is_foreign() && path.exists()),
    );
    let written = unit.root_name.as_deref().filter(|_| !unit.is_foreign());
    root_file::choose_root_file(&customer, arguments.root.as_deref(), written, &neighbours)
}

fn apply_file_action(
    unit: &Path,
    file: &File,
    action: FileAction,
    root: &str,
    arguments: &InitArgs,
    output: &mut impl Write,
) -> Result<()> {
    let name = file.name;
    let wanted = file.content_for(root);
    let there = read_file(unit, name)?;
    let done = match action {
        FileAction::Leave if there.as_deref() != Some(&*wanted) => {
            format!("{UNIT_FOLDER_NAME}/{name} includes `{root}` now")
        }
        FileAction::Leave => {
            make_script_executable(&unit.join(name), name)
                .with_context(|| format!("set the mode of `{}`", unit.join(name).display()))?;
            return writeln!(output, "{UNIT_FOLDER_NAME}/{name} is up to date")
                .context("write to stdout");
        }
        FileAction::Create => format!("created {UNIT_FOLDER_NAME}/{name}"),
        FileAction::Upgrade => format!("upgraded {UNIT_FOLDER_NAME}/{name}"),
        FileAction::RepairLineEnds => format!("repaired line ends of {UNIT_FOLDER_NAME}/{name}"),
        FileAction::Keep if arguments.force => {
            let aside = atomic_file::copy_to_backup(&unit.join(name))
                .with_context(|| format!("copy `{}`", unit.join(name).display()))?;
            format!(
                "replaced {UNIT_FOLDER_NAME}/{name}; what it had is now in {UNIT_FOLDER_NAME}/{}",
                aside.file_name().unwrap_or_default().display()
            )
        }
        FileAction::Keep => {
            return keep_changed_file(
                unit,
                name,
                &there.unwrap_or_default(),
                root,
                arguments,
                output,
            );
        }
    };
    write_unit_file(unit, name, &wanted)?;
    writeln!(output, "{done}").context("write to stdout")
}

/// Leaves a file that the user changed, except for the name of the root file where the user asks for another one.
fn keep_changed_file(
    unit: &Path,
    name: &str,
    there: &[u8],
    root: &str,
    arguments: &InitArgs,
    output: &mut impl Write,
) -> Result<()> {
    let is_asked = name == TERRAGRUNT_HCL && arguments.root.is_some();
    let renamed = match find_root_name(there) {
        Some(written) if is_asked && written != root => {
            write_unit_file(unit, name, &replace_root_name(there.into(), root))?;
            format!(", and includes `{root}` now")
        }
        None if is_asked => {
            "; its `include` block was rewritten, so --root has no effect".to_owned()
        }
        _ => String::new(),
    };
    writeln!(output, "kept {UNIT_FOLDER_NAME}/{name}, which was changed since it was written{renamed}; --force replaces it")
        .context("write to stdout")
}

/// Says what the folder has and what `--force` does about it.
fn explain_foreign_folder(unit: &UnitFolder, force: bool, output: &mut impl Write) -> Result<()> {
    let folder = unit.path.display();
    if unit.origin == UnitOrigin::LegacyModule {
        writeln!(
            output,
            "`{folder}` has the legacy module. Its state object stays where it is, and nothing is destroyed."
        )?;
        writeln!(
            output,
            "The unit has a state of its own and needs no AWS provider. Reports read the records of the legacy module as before."
        )?;
    } else {
        writeln!(
            output,
            "`{folder}` has files that config-backup did not write."
        )?;
    }
    if force {
        return Ok(());
    }
    let mut theirs: Vec<String> = unit
        .files_needing(FileAction::Keep)
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    theirs.extend(list_files_to_set_aside(unit));
    writeln!(
        output,
        "Nothing was written. `config-backup init --force` sets these files aside as *.bak and writes the unit: {}",
        theirs.join(", ")
    )
    .context("write to stdout")
}

/// The files that `--force` sets aside and does not replace.
fn list_files_to_set_aside(unit: &UnitFolder) -> Vec<String> {
    let lock = unit.has_legacy_lock.then(|| LOCK_FILE.to_owned());
    unit.leftovers
        .iter()
        .map(|leftover| leftover.name.clone())
        .chain(lock)
        .collect()
}

fn set_leftovers_aside(unit: &UnitFolder, output: &mut impl Write) -> Result<()> {
    for name in list_files_to_set_aside(unit) {
        let path = unit.path.join(&name);
        let aside = atomic_file::copy_to_backup(&path)
            .with_context(|| format!("copy `{}`", path.display()))?;
        fs::remove_file(&path).with_context(|| format!("remove `{}`", path.display()))?;
        let aside = aside.file_name().unwrap_or_default().display();
        writeln!(
            output,
            "set aside {UNIT_FOLDER_NAME}/{name}, which is now {UNIT_FOLDER_NAME}/{aside}"
        )?;
    }
    Ok(())
}

fn write_unit_file(unit: &Path, name: &str, content: &[u8]) -> Result<()> {
    let path = unit.join(name);
    let mode = if is_script(name) {
        FileMode::Executable
    } else {
        FileMode::Shared
    };
    atomic_file::write_atomically(&path, &[content], mode)
        .map(drop)
        .with_context(|| format!("write `{}`", path.display()))
}

fn is_script(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "sh")
}

fn make_script_executable(path: &Path, name: &str) -> io::Result<()> {
    #[cfg(unix)]
    if is_script(name) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path)?.permissions().mode();
        if mode & 0o100 == 0 {
            return fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o755));
        }
    }
    let _ = (path, name);
    Ok(())
}

/// Says which root file the unit includes, because its state is where that file says.
fn explain_root(root: &RootFile, output: &mut impl Write) -> Result<()> {
    match &root.path {
        Some(path) => writeln!(
            output,
            "The unit's state is where the root file `{}` says.",
            path.display()
        )?,
        None => writeln!(
            output,
            "Note: there is no root file `{}` here or above; the unit keeps its state in its own folder.",
            root.name
        )?,
    }
    for note in &root.notes {
        writeln!(output, "Note: {note}.")?;
    }
    Ok(())
}

/// The last word: how to deploy, or why a deployment would not be logged.
fn report_readiness(customer: &Path, output: &mut impl Write) -> Result<ExitCode> {
    if !customer.join("config.yaml").exists() {
        let folder = customer.display();
        writeln!(
            output,
            "Note: `{folder}` has no config.yaml yet; without it deployments are logged but nothing is backed up."
        )?;
    }
    let ready = readiness::check_readiness(customer, READINESS_TIMEOUT);
    if let Some(why) = &ready.unchecked_reason {
        writeln!(output, "Not checked by terragrunt: {why}.")?;
    }
    // `doctor` reports a missing helper; here it counts where it is known which one a deployment runs.
    let set = || host::env_var("CONFIG_BACKUP_HELPER").map(|name| (name, false));
    let helper = ready
        .helper
        .or_else(set)
        .and_then(|(name, is_fetched)| machine_checks::check_helper_is_found(&name, is_fetched));
    let findings = [
        Some(ready.root),
        Some(ready.unit),
        Some(ready.dependents),
        helper,
    ];
    let bad: Vec<CheckResult> = findings
        .into_iter()
        .flatten()
        .filter(|finding| finding.status == CheckStatus::Bad)
        .collect();
    for CheckResult {
        check, seen, fix, ..
    } in &bad
    {
        writeln!(output, "Not ready: {check}: {seen}; {fix}.")?;
    }
    if !bad.is_empty() {
        return Ok(ExitCode(1));
    }
    writeln!(output, "Deploy with `terragrunt apply --all`, or this unit alone with `terragrunt apply --working-dir={UNIT_FOLDER_NAME}`.")
        .context("write to stdout")?;
    Ok(ExitCode(0))
}
