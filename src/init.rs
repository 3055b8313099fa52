//! `init`: writes the Terragrunt unit into a customer folder, or upgrades it to this version.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cli::{Exit, InitArguments};
use crate::fault::Fault;
use crate::files::{self, Mode};
use crate::finding::{Finding, Status};
use crate::neighbours::Neighbours;
use crate::root_file::{self, RootFile};
use crate::unit::{Action, File, MANIFEST, Manifest, TERRAGRUNT_HCL, UNIT, root_of, with_root};
use crate::unit_folder::{LOCK_FILE, Origin, UnitFolder, read_file};
use crate::{host, machine, readiness};

/// How long Terragrunt may take to say whether a deployment would run.
const MAX_CHECK: Duration = Duration::from_secs(10);

/// Writes the unit. Exit: 0 a deployment would be logged, 1 refused or not ready, 3 no such customer folder or root file.
pub fn run(arguments: &InitArguments, output: &mut impl Write) -> Result<Exit> {
    let customer = &arguments.customer_folder;
    if !customer.is_dir() {
        let folder = customer.display();
        writeln!(output, "config-backup: `{folder}` is not a folder; name the folder with the customer's config.yaml")?;
        return Ok(Exit(3));
    }
    let unit = UnitFolder::read(&customer.join(UNIT))?;
    if unit.is_foreign() {
        explain(&unit, arguments.force, output)?;
        if !arguments.force {
            return Ok(Exit(1));
        }
    }
    let root = match root_of_unit(arguments, &unit) {
        Ok(root) => root,
        Err(fault) => {
            writeln!(output, "config-backup: {fault}")?;
            return Ok(Exit(fault.exit_code()));
        }
    };
    fs::create_dir_all(&unit.path).with_context(|| format!("make the folder `{}`", unit.path.display()))?;
    for (file, action) in &unit.files {
        carry_out(&unit.path, file, *action, &root.name, arguments, output)?;
    }
    write(&unit.path, MANIFEST.name, Manifest::text(&root.name).as_bytes())?;
    if arguments.force {
        set_leftovers_aside(&unit, output)?;
    }
    explain_root(&root, output)?;
    conclude(customer, output)
}

/// The root file to include.
fn root_of_unit(arguments: &InitArguments, unit: &UnitFolder) -> Result<RootFile, Fault> {
    let customer = &arguments.customer_folder;
    let customer = customer.canonicalize().unwrap_or_else(|_| customer.clone());
    // The unit of the legacy module includes a root file like the other units.
    let legacy = customer.join(UNIT).join(TERRAGRUNT_HCL);
    let neighbours = Neighbours::read(&customer, Some(legacy.as_path()).filter(|path| unit.is_foreign() && path.exists()));
    let written = unit.root.as_deref().filter(|_| !unit.is_foreign());
    root_file::choose(&customer, arguments.root.as_deref(), written, &neighbours)
}

fn carry_out(unit: &Path, file: &File, action: Action, root: &str, arguments: &InitArguments, output: &mut impl Write) -> Result<()> {
    let name = file.name;
    let wanted = file.content_for(root);
    let there = read_file(unit, name)?;
    let done = match action {
        Action::Leave if there.as_deref() != Some(&*wanted) => format!("{UNIT}/{name} includes `{root}` now"),
        Action::Leave => {
            set_mode(&unit.join(name), name).with_context(|| format!("set the mode of `{}`", unit.join(name).display()))?;
            return writeln!(output, "{UNIT}/{name} is up to date").context("write to stdout");
        }
        Action::Create => format!("created {UNIT}/{name}"),
        Action::Upgrade => format!("upgraded {UNIT}/{name}"),
        Action::RepairLineEnds => format!("repaired line ends of {UNIT}/{name}"),
        Action::Keep if arguments.force => {
            let aside = files::set_aside(&unit.join(name)).with_context(|| format!("copy `{}`", unit.join(name).display()))?;
            format!("replaced {UNIT}/{name}; what it had is now in {UNIT}/{}", aside.file_name().unwrap_or_default().display())
        }
        Action::Keep => return keep(unit, name, &there.unwrap_or_default(), root, arguments, output),
    };
    write(unit, name, &wanted)?;
    writeln!(output, "{done}").context("write to stdout")
}

/// Leaves a file that the user changed, except for the name of the root file where the user asks for another one.
fn keep(unit: &Path, name: &str, there: &[u8], root: &str, arguments: &InitArguments, output: &mut impl Write) -> Result<()> {
    let is_asked = name == TERRAGRUNT_HCL && arguments.root.is_some();
    let renamed = match root_of(there) {
        Some(written) if is_asked && written != root => {
            write(unit, name, &with_root(there.into(), root))?;
            format!(", and includes `{root}` now")
        }
        None if is_asked => "; its `include` block was rewritten, so --root has no effect".to_owned(),
        _ => String::new(),
    };
    writeln!(output, "kept {UNIT}/{name}, which was changed since it was written{renamed}; --force replaces it").context("write to stdout")
}

/// Says what the folder has and what `--force` does about it.
fn explain(unit: &UnitFolder, force: bool, output: &mut impl Write) -> Result<()> {
    let folder = unit.path.display();
    if unit.origin == Origin::LegacyModule {
        writeln!(output, "`{folder}` has the legacy module. Its state object stays where it is, and nothing is destroyed.")?;
        writeln!(
            output,
            "The unit has a state of its own and needs no AWS provider. Reports read the records of the legacy module as before."
        )?;
    } else {
        writeln!(output, "`{folder}` has files that config-backup did not write.")?;
    }
    if force {
        return Ok(());
    }
    let mut theirs: Vec<String> = unit.names(Action::Keep).iter().map(|name| (*name).to_owned()).collect();
    theirs.extend(leftovers(unit));
    writeln!(
        output,
        "Nothing was written. `config-backup init --force` sets these files aside as *.bak and writes the unit: {}",
        theirs.join(", ")
    )
    .context("write to stdout")
}

/// The files that `--force` sets aside and does not replace.
fn leftovers(unit: &UnitFolder) -> Vec<String> {
    let lock = unit.has_legacy_lock.then(|| LOCK_FILE.to_owned());
    unit.leftovers.iter().map(|leftover| leftover.name.clone()).chain(lock).collect()
}

fn set_leftovers_aside(unit: &UnitFolder, output: &mut impl Write) -> Result<()> {
    for name in leftovers(unit) {
        let path = unit.path.join(&name);
        let aside = files::set_aside(&path).with_context(|| format!("copy `{}`", path.display()))?;
        fs::remove_file(&path).with_context(|| format!("remove `{}`", path.display()))?;
        let aside = aside.file_name().unwrap_or_default().display();
        writeln!(output, "set aside {UNIT}/{name}, which is now {UNIT}/{aside}")?;
    }
    Ok(())
}

fn write(unit: &Path, name: &str, content: &[u8]) -> Result<()> {
    let path = unit.join(name);
    let mode = if is_program(name) { Mode::Program } else { Mode::Plain };
    files::put(&path, &[content], mode).map(drop).with_context(|| format!("write `{}`", path.display()))
}

fn is_program(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "sh")
}

fn set_mode(path: &Path, name: &str) -> io::Result<()> {
    #[cfg(unix)]
    if is_program(name) {
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
        Some(path) => writeln!(output, "The unit's state is where the root file `{}` says.", path.display())?,
        None => writeln!(output, "Note: there is no root file `{}` here or above; the unit keeps its state in its own folder.", root.name)?,
    }
    for note in &root.notes {
        writeln!(output, "Note: {note}.")?;
    }
    Ok(())
}

/// The last word: how to deploy, or why a deployment would not be logged.
fn conclude(customer: &Path, output: &mut impl Write) -> Result<Exit> {
    if !customer.join("config.yaml").exists() {
        let folder = customer.display();
        writeln!(output, "Note: `{folder}` has no config.yaml yet; without it deployments are logged but nothing is backed up.")?;
    }
    let ready = readiness::check(customer, MAX_CHECK);
    if let Some(why) = &ready.unchecked {
        writeln!(output, "Not checked by terragrunt: {why}.")?;
    }
    // `doctor` reports a missing helper; here it counts where it is known which one a deployment runs.
    let set = || host::var("CONFIG_BACKUP_HELPER").map(|name| (name, false));
    let helper = ready.helper.or_else(set).and_then(|(name, is_fetched)| machine::missing_helper(&name, is_fetched));
    let findings = [Some(ready.root), Some(ready.unit), Some(ready.dependents), helper];
    let bad: Vec<Finding> = findings.into_iter().flatten().filter(|finding| finding.status == Status::Bad).collect();
    for Finding { check, seen, fix, .. } in &bad {
        writeln!(output, "Not ready: {check}: {seen}; {fix}.")?;
    }
    if !bad.is_empty() {
        return Ok(Exit(1));
    }
    writeln!(output, "Deploy with `terragrunt apply --all`, or this unit alone with `terragrunt apply --working-dir={UNIT}`.")
        .context("write to stdout")?;
    Ok(Exit(0))
}
