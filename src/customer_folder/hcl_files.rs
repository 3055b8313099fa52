//! The HCL files of a customer folder, within limits that no folder written by people reaches.

use std::fs;
use std::path::{Path, PathBuf};

use hcl_edit::structure::Body;

use crate::customer_folder::hcl::parse_hcl;
use crate::customer_folder::unit_files::UNIT_FOLDER_NAME;

/// How many folders below the customer folder are searched.
const MAX_DEPTH: usize = 8;
/// How many files are listed.
pub(crate) const MAX_FILES: usize = 2000;
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The HCL files below a customer folder.
///
/// Skips those of our unit, and hidden folders such as `.terragrunt-cache`.
pub(crate) fn list_hcl_files(customer: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect_hcl_files(customer, MAX_DEPTH, &mut files);
    files
}

fn collect_hcl_files(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut entries: Vec<fs::DirEntry> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);

    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if name.to_string_lossy().starts_with('.') || files.len() >= MAX_FILES {
            continue;
        }
        if kind.is_dir() && depth > 0 && name != UNIT_FOLDER_NAME {
            collect_hcl_files(&path, depth - 1, files);
        } else if kind.is_file() && path.extension() == Some("hcl".as_ref()) {
            files.push(path);
        }
    }
}

/// What can be read of an HCL file; nothing of one that cannot be opened.
pub(crate) fn read_hcl_file(path: &Path) -> Body {
    match read_small_text(path) {
        Some(text) => parse_hcl(&text),
        None => Body::new(),
    }
}

/// A file's text; `None` if it cannot be read or is far too large for a file that people write.
pub(crate) fn read_small_text(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return None;
    }
    let bytes = fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
