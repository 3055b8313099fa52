//! The state directory: whether a deployment can spool what it cannot upload, and what is spooled.
//!
//! Leaves no file behind.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::doctor::check::{CheckId, CheckResult};
use crate::error::Error;
use crate::record::format_rfc3339;
use crate::state::dirs::{StateDirs, StateWrite};
use crate::state::quarantine;
use crate::state::spool::{SPOOL_DIR, Spool};
use crate::system::atomic_file::is_unsupported;
use crate::system::clock::utc_now;
use crate::system::random::unique_id;

/// Checks whether the spool can be written.
///
/// A folder that is created for it stays, because a deployment may be about to use it.
pub(crate) fn check_state_dir(dirs: &StateDirs) -> CheckResult {
    match dirs.write_in(SPOOL_DIR, write_test_file) {
        Ok(StateWrite {
            value,
            primary_dir_error: None,
        }) => {
            let repairs = dirs.take_repair_notes();
            if !repairs.is_empty() {
                let fix = "check that the files in it are yours";
                return CheckResult::warning(CheckId::StateFolder, repairs.join("; "), fix);
            }
            let seen = format!("`{}` can be written", value.display());
            CheckResult::ok(CheckId::StateFolder, seen)
        }
        Ok(StateWrite {
            value,
            primary_dir_error: Some(error),
        }) => CheckResult::warning(
            CheckId::StateFolder,
            format!(
                "{error}: uploads are spooled in `{}`, which a restart may empty",
                value.display()
            ),
            "make the usual folder writable, or set HOME or XDG_STATE_HOME",
        ),
        Err(error) => {
            let error = Error {
                message: format!("{}: failed uploads are lost", error.message),
                hint: "make it writable, or set HOME or XDG_STATE_HOME".to_owned(),
                ..error
            };
            CheckResult::from_error(CheckId::StateFolder, &error)
        }
    }
}

fn write_test_file(folder: &Path) -> io::Result<PathBuf> {
    // A hidden file is not mistaken for a spooled item.
    let name = format!(".doctor-{}", unique_id(utc_now()));
    let path = folder.join(name);
    let written = write_and_sync(&path);
    let removed = fs::remove_file(&path);
    written?;
    removed?;
    Ok(folder.to_owned())
}

fn write_and_sync(path: &Path) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(b"x")?;
    match file.sync_all() {
        Err(error) if !is_unsupported(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Checks what is spooled, and what cannot be uploaded.
pub(crate) fn check_spool(dirs: &StateDirs) -> CheckResult {
    let contents = Spool::new(dirs).list();
    if let Some(error) = contents.errors.first() {
        let fix = "make the folder readable";
        return CheckResult::failed(CheckId::Spool, &error.message, fix)
            .with_exit_code(error.exit_code());
    }

    let mut spooled_at = Vec::new();
    let mut unusable = contents.foreign.len() + quarantine::list_quarantine(dirs).len();
    for path in &contents.items {
        match Spool::read_item(path) {
            Ok(Some((item, _))) => spooled_at.push(item.at),
            Ok(None) => {}
            Err(_) => unusable += 1,
        }
    }
    if spooled_at.is_empty() && unusable == 0 {
        return CheckResult::ok(CheckId::Spool, "nothing is spooled");
    }

    let mut seen = format!("{} spooled", spooled_at.len());
    if let Some(first) = spooled_at.iter().min() {
        seen = format!("{seen}, since {}", format_rfc3339(*first));
    }
    if unusable > 0 {
        seen = format!("{seen}; {unusable} quarantined, damaged, or of another program");
    }
    let fix = match (spooled_at.len(), unusable) {
        (_, 0) => "upload it with `config-backup replay`, or deploy",
        (0, _) => "see `config-backup status`",
        _ => "upload it with `config-backup replay`, and see `config-backup status` for the rest",
    };
    CheckResult::warning(CheckId::Spool, seen, fix)
}
