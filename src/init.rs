//! `init`: puts the Terragrunt unit into a customer folder, or brings it up to this version.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cli::{Exit, InitArguments};
use crate::files::{self, Mode};
use crate::unit::{Action, FILES, File, MANIFEST, decide, is_earlier_module, read_manifest};

/// The unit's folder in a customer folder.
const UNIT: &str = "config-backup";

/// Puts the unit there. Exit: 0 done, 1 refused because of files that are not ours, 3 no such customer folder.
pub fn run(arguments: &InitArguments, output: &mut impl Write) -> Result<Exit> {
    let customer = &arguments.customer_folder;
    if !customer.is_dir() {
        writeln!(output, "config-backup: `{}` is no folder; name the folder with the customer's config.yaml", customer.display())?;
        return Ok(Exit(3));
    }
    let unit = customer.join(UNIT);
    let manifest = read(&unit, MANIFEST.name)?;
    let written = manifest.as_deref().map(|bytes| read_manifest(&String::from_utf8_lossy(bytes))).unwrap_or_default();
    let plan = plan(&unit, &written)?;

    // A folder that we never wrote into is somebody else's: our files between theirs would make neither work.
    let foreign = manifest.is_none() && plan.iter().any(|(_, action)| *action == Action::Keep);
    if foreign {
        explain(&unit, &plan, arguments.force, output)?;
        if !arguments.force {
            return Ok(Exit(1));
        }
    }
    fs::create_dir_all(&unit).with_context(|| format!("make the folder `{}`", unit.display()))?;
    for (file, action) in &plan {
        carry_out(&unit, file, *action, arguments.force, output)?;
    }
    write(&unit, &MANIFEST)?;
    hints(customer, &unit, output)?;
    Ok(Exit(0))
}

fn plan(unit: &Path, written: &BTreeMap<String, String>) -> Result<Vec<(&'static File, Action)>> {
    let decided = FILES.iter().map(|file| Ok((file, decide(file, read(unit, file.name)?.as_deref(), written))));
    decided.collect()
}

fn carry_out(unit: &Path, file: &File, action: Action, force: bool, output: &mut impl Write) -> Result<()> {
    let name = file.name;
    let done = match action {
        Action::Leave => format!("{UNIT}/{name} is up to date"),
        Action::Create => "created".to_owned() + &format!(" {UNIT}/{name}"),
        Action::Upgrade => format!("upgraded {UNIT}/{name}"),
        Action::Keep if force => {
            let aside = files::set_aside(&unit.join(name)).with_context(|| format!("keep what `{name}` holds"))?;
            let aside = aside.file_name().unwrap_or_default().display();
            format!("replaced {UNIT}/{name}; what it held is now {UNIT}/{aside}")
        }
        Action::Keep => format!("kept {UNIT}/{name}, which was changed since it was written; --force replaces it"),
    };
    if matches!(action, Action::Create | Action::Upgrade) || (action == Action::Keep && force) {
        write(unit, file)?;
    } else if action == Action::Leave {
        set_mode(&unit.join(name), name).with_context(|| format!("set the mode of `{}`", unit.join(name).display()))?;
    }
    writeln!(output, "{done}").context("write to stdout")
}

/// Says what is there and what `--force` will do, or does, about it.
fn explain(unit: &Path, plan: &[(&File, Action)], force: bool, output: &mut impl Write) -> Result<()> {
    let main = read(unit, "main.tf")?.unwrap_or_default();
    let theirs: Vec<&str> = plan.iter().filter(|(_, action)| *action == Action::Keep).map(|(file, _)| file.name).collect();
    let theirs = theirs.join(", ");
    let folder = unit.display();
    if is_earlier_module(&String::from_utf8_lossy(&main)) {
        writeln!(output, "`{folder}` holds the earlier module.")?;
        writeln!(output, "Its backup and its usage records stay in the bucket: upgrade.tf makes Terraform forget them, not destroy them,")?;
        writeln!(output, "and `config-backup report` reads them with the new ones. The first plan wants the AWS provider once more;")?;
        writeln!(output, "the README of config-backup shows how to do without.")?;
    } else {
        writeln!(output, "`{folder}` holds files that config-backup did not write.")?;
    }
    let others = others(unit)?;
    if !others.is_empty() {
        writeln!(
            output,
            "Not part of the unit, and left alone: {}. Remove what belongs to the earlier module: it would clash.",
            others.join(", ")
        )?;
    }
    if force {
        return Ok(());
    }
    writeln!(output, "Nothing was written. `config-backup init --force` replaces {theirs}, keeping what they hold as *.bak,")?;
    writeln!(output, "and adds the other files.").context("write to stdout")
}

/// Terraform files beside ours.
fn others(unit: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(unit).with_context(|| format!("read the folder `{}`", unit.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| [".tf", ".tofu", ".tf.json"].iter().any(|suffix| name.ends_with(suffix)))
        .filter(|name| FILES.iter().all(|file| file.name != name))
        .collect();
    names.sort();
    Ok(names)
}

fn read(unit: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let path = unit.join(name);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read `{}`", path.display())),
    }
}

fn write(unit: &Path, file: &File) -> Result<()> {
    let path = unit.join(file.name);
    let mode = if is_program(file.name) { Mode::Program } else { Mode::Plain };
    files::put(&path, &[file.content], mode).map(drop).with_context(|| format!("write `{}`", path.display()))
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

/// What the unit needs around it and does not find.
fn hints(customer: &Path, unit: &Path, output: &mut impl Write) -> Result<()> {
    if !customer.join("config.yaml").exists() {
        writeln!(
            output,
            "Note: `{}` has no config.yaml yet; without it deployments are logged but nothing is backed up.",
            customer.display()
        )?;
    }
    let start = customer.canonicalize().with_context(|| format!("find `{}`", customer.display()))?;
    if !start.ancestors().any(|folder| folder.join("root.hcl").exists()) {
        writeln!(output, "Note: there is no root.hcl here or above, which {}/terragrunt.hcl includes.", unit.display())?;
    }
    writeln!(output, "Deploy with `terragrunt apply --all`, or this unit alone with `terragrunt apply --working-dir={UNIT}`.")
        .context("write to stdout")
}
