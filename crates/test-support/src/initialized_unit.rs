//! The unit as `init` writes it, for tests of something else than `init`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What `init` wrote into the first of several customer folders with the same content.
///
/// `init` starts Terragrunt four times, which takes more CPU time than many of the tests that need a
/// unit.
#[derive(Debug, Default)]
pub struct InitializedUnit(OnceLock<Vec<UnitFile>>);

#[derive(Debug)]
struct UnitFile {
    /// Relative to the unit's folder.
    path: PathBuf,
    content: Vec<u8>,
    permissions: fs::Permissions,
}

impl InitializedUnit {
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Creates the unit in the folder `customer`: with `run_init` the first time, and then as a copy.
    pub fn create_in(&self, customer: &Path, run_init: impl FnOnce()) {
        let unit = customer.join("config-backup");
        let files = self.0.get_or_init(|| {
            run_init();
            let mut files = Vec::new();
            read_files(&unit, Path::new(""), &mut files);
            assert!(!files.is_empty(), "init wrote no unit");
            files
        });
        for file in files {
            let path = unit.join(&file.path);
            if path.exists() {
                // Written by `run_init` just now.
                continue;
            }
            fs::create_dir_all(path.parent().expect("a folder")).expect("the unit's folder");
            fs::write(&path, &file.content).expect("a file of the unit");
            fs::set_permissions(&path, file.permissions.clone()).expect("its permissions");
        }
    }
}

fn read_files(folder: &Path, below: &Path, files: &mut Vec<UnitFile>) {
    for entry in fs::read_dir(folder).expect("the unit's folder") {
        let entry = entry.expect("an entry");
        let (path, relative) = (entry.path(), below.join(entry.file_name()));
        if path.is_dir() {
            read_files(&path, &relative, files);
        } else {
            files.push(UnitFile {
                path: relative,
                content: fs::read(&path).expect("a file of the unit"),
                permissions: fs::metadata(&path).expect("its permissions").permissions(),
            });
        }
    }
}
