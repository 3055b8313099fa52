//! `init --check`: says what `init` would change, and what is wrong with config.yaml. Must not write.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{InitArgs, InitCheck, choose_root, reject_folder};
use crate::customer_folder::unit_differences::list_unit_differences;
use crate::customer_folder::unit_files::UNIT_FOLDER_NAME;
use crate::customer_folder::unit_folder::UnitFolder;
use crate::doctor::check::CheckStatus;
use crate::doctor::folder_checks::CustomerFolder;
use crate::error::{Error, write_line};
use crate::exit_code::ExitCode;

/// Prints a line for each difference, or that there is none.
pub(super) fn check_folder(
    customer: &Path,
    check: InitCheck,
    arguments: &InitArgs,
    output: &mut impl Write,
) -> Result<ExitCode> {
    if !customer.is_dir() {
        return reject_folder(customer, output);
    }

    let mut lines = Vec::new();
    if check != InitCheck::Config {
        lines.extend(list_difference_lines(customer, arguments)?);
    }
    if check != InitCheck::Unit {
        let config = CustomerFolder::read(Some(customer)).check_config();
        if config.status != CheckStatus::Ok {
            let path = customer.join("config.yaml");
            lines.push(format!(
                "`{}`: {}; {}",
                path.display(),
                config.seen,
                config.fix
            ));
        }
    }

    for line in &lines {
        write_line(output, line).context("cannot write to stdout")?;
    }
    if !lines.is_empty() {
        return Ok(ExitCode::FindingsReported);
    }
    let folder = customer.display();
    let line = format!("`{folder}` is up to date");
    write_line(output, &line).context("cannot write to stdout")?;
    Ok(ExitCode::Ok)
}

fn list_difference_lines(customer: &Path, arguments: &InitArgs) -> Result<Vec<String>, Error> {
    let unit = UnitFolder::read(&customer.join(UNIT_FOLDER_NAME))?;
    let root = choose_root(customer, arguments, &unit)?;
    let mut lines = Vec::new();
    for difference in list_unit_differences(&unit, &root.name)? {
        let path = match difference.file {
            "" => unit.path.clone(),
            name => unit.path.join(name),
        };
        let folder = customer.display();
        let fix = match (difference.needs_force, &arguments.root) {
            (true, _) => {
                format!("`config-backup init --force {folder}`, which keeps the old files as *.bak")
            }
            (false, Some(root)) => format!("`config-backup init --root {root} {folder}`"),
            (false, None) => format!("`config-backup init {folder}`"),
        };
        lines.push(format!(
            "`{}` {}; run {fix}",
            path.display(),
            difference.problem
        ));
    }
    Ok(lines)
}
