//! The files of a release, served over HTTP on this machine.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::oracle::python_digest;
use crate::{helper_path, to_text};

/// A folder with an archive for this machine and SHA256SUMS, and its address.
pub struct ReleaseServer {
    pub url: String,
    folder: PathBuf,
    /// The name of the archive.
    pub archive: String,
}

impl ReleaseServer {
    /// Packs the helper as `tools/dist` does, and serves `folder` until the process ends.
    ///
    /// The archive has a script that runs the built helper, because a debug build is large.
    pub fn start(folder: &Path, version: &str) -> Self {
        let name = format!("config-backup-{version}-{}", target_of_this_machine());
        let archive = format!("{name}.tar.gz");
        fs::create_dir_all(folder.join(&name)).expect("a folder");
        let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", helper_path().display());
        fs::write(folder.join(&name).join("config-backup"), script).expect("a file");
        let packed = Command::new("tar")
            .args(["-czf", &archive, &name])
            .current_dir(folder)
            .status();
        assert!(packed.expect("tar").success());

        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let root = folder.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                // A client may close the connection early.
                let _ = answer_request(stream, &root);
            }
        });
        let server = Self {
            url,
            folder: folder.to_owned(),
            archive,
        };
        server.write_sums(&format!("{}  {}\n", server.sha256(), server.archive));
        server
    }

    /// The SHA-256 of the archive.
    pub fn sha256(&self) -> String {
        let bytes = fs::read(self.folder.join(&self.archive)).expect("the archive");
        python_digest("sha256", &bytes)
    }

    pub fn write_sums(&self, text: &str) {
        fs::write(self.folder.join("SHA256SUMS"), text).expect("a file");
    }

    pub fn remove_sums(&self) {
        fs::remove_file(self.folder.join("SHA256SUMS")).expect("gone");
    }
}

fn target_of_this_machine() -> &'static str {
    match (cfg!(target_os = "macos"), cfg!(target_arch = "aarch64")) {
        (false, false) => "x86_64-unknown-linux-musl",
        (false, true) => "aarch64-unknown-linux-musl",
        (true, false) => "x86_64-apple-darwin",
        (true, true) => "aarch64-apple-darwin",
    }
}

fn answer_request(mut stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        request.push(byte[0]);
    }
    let request = to_text(&request);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let body = fs::read(folder.join(path.trim_start_matches('/')));
    let status = if body.is_ok() {
        "200 OK"
    } else {
        "404 Not Found"
    };
    let body = body.unwrap_or_default();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&body)
}
