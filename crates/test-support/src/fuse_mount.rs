//! A FUSE file system that misbehaves, served by `fuse.py` beside this file.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::world::project_dir;

/// How the file system misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountMode {
    /// No request is ever read.
    Dead,
    /// Each request is read and none is answered: who waits cannot even be killed.
    Deaf,
    /// What is looked up does not exist, and everything else is as with `Deaf`.
    Half,
    /// Each request fails after most of a second.
    Slow,
    /// Each request fails at once.
    Eio,
}

pub const MOUNT_MODES: [MountMode; 5] = [
    MountMode::Dead,
    MountMode::Deaf,
    MountMode::Half,
    MountMode::Slow,
    MountMode::Eio,
];

impl MountMode {
    fn name(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Deaf => "deaf",
            Self::Half => "half",
            Self::Slow => "slow",
            Self::Eio => "eio",
        }
    }
}

/// A mounted file system. It ends when it is dropped.
pub struct FuseMount {
    server: Child,
    stdin: Option<ChildStdin>,
    folder: PathBuf,
}

/// Whether this process may mount anything. CI must.
pub fn is_possible() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    let is_possible = id.stdout == b"0\n" && Path::new("/dev/fuse").exists();
    assert!(
        is_possible || std::env::var_os("CI").is_none(),
        "CI needs root and /dev/fuse"
    );
    is_possible
}

impl FuseMount {
    pub fn start(mode: MountMode, folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        let script = project_dir().join("crates/test-support/src/fuse.py");
        let mut server = Command::new("python3")
            .arg(script)
            .arg(mode.name())
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut line = String::new();
        let stdout = server.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert_eq!(line, "mounted\n");
        Self {
            stdin: server.stdin.take(),
            server,
            folder: folder.to_owned(),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Unmounts it. All that waits for it gets an error.
    pub fn end(self) {
        drop(self);
    }
}

impl Drop for FuseMount {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.server.wait();
    }
}
