//! Other S3 servers than the embedded one: versitygw, on a folder, and moto, in memory. Each runs as a process of its own on
//! a port of its own, with the bucket, and ends with the value. Neither plays STS.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::by_s3::Hand;
use crate::support::{BUCKET, World, project};

/// A server's process, which listens on a port of this machine.
struct Running {
    process: Child,
    endpoint: String,
    /// What it wrote on stderr.
    complaints: PathBuf,
}

impl Running {
    /// Starts the pinned tool `name` with what `complete` adds to its command, given a port; returns when it listens.
    fn start(world: &World, name: &str, complete: impl Fn(&mut Command, u16)) -> Self {
        let program = project().join(".tools/bin").join(name);
        assert!(program.exists(), "{} is missing: run `make tools`", program.display());
        let complaints = world.path().join(format!("{name}.log"));
        // The port is free when it is asked for and may be taken a moment later: then the server ends, and another one is tried.
        for _ in 0..5 {
            let port = free_port();
            let mut command = world.command(&program);
            complete(&mut command, port);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&complaints).expect("a file"));
            let process = command.spawn().expect("it starts");
            let mut running = Self { process, endpoint: format!("http://127.0.0.1:{port}"), complaints: complaints.clone() };
            if running.answers(port) {
                return running;
            }
        }
        panic!("{name} ended five times before it listened: {}", fs::read_to_string(complaints).expect("its log"));
    }

    /// Waits until somebody listens, or the process has ended.
    fn answers(&mut self, port: u16) -> bool {
        for _ in 0..10_000_000_u32 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return self.process.try_wait().expect("a process").is_none();
            }
            if self.process.try_wait().expect("a process").is_some() {
                return false;
            }
            thread::yield_now();
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A running versitygw.
pub(crate) struct Gateway {
    pub(crate) endpoint: String,
    bucket: PathBuf,
    log: PathBuf,
    _running: Running,
}

impl Gateway {
    /// Starts one with the bucket, which takes the credentials of the profile `default`.
    pub(crate) fn start(world: &World) -> Self {
        let (data, meta) = (world.path().join("gateway"), world.path().join("metadata-of-gateway"));
        let (bucket, log) = (data.join(BUCKET), world.path().join("requests-of-gateway"));
        for folder in [&bucket, &meta] {
            fs::create_dir_all(folder).expect("a folder");
        }
        let running = Running::start(world, "versitygw", |command, port| {
            command
                .args(["--port", &format!("127.0.0.1:{port}"), "--quiet", "--region", "us-east-1"])
                .arg("--access-log")
                .arg(&log)
                .args(["posix", "--sidecar"])
                .args([&meta, &data])
                .env("ROOT_ACCESS_KEY", "AKIADEFAULT")
                .env("ROOT_SECRET_KEY", "secret-of-default");
        });
        Self { endpoint: running.endpoint.clone(), bucket, log, _running: running }
    }

    /// How many `GetObject` and `ListObjectsV2` its log has.
    pub(crate) fn asked(&self) -> (usize, usize) {
        (occurrences(&self.log, " s3_GetObject "), occurrences(&self.log, " s3_ListObjectsV2 "))
    }

    /// The keys below a prefix, by the files that stand for them.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        collect(&self.bucket.join(prefix), &mut keys);
        let mut keys: Vec<String> =
            keys.iter().map(|path| path.strip_prefix(&self.bucket).expect("below").to_str().expect("UTF-8").to_owned()).collect();
        keys.sort();
        keys
    }

    pub(crate) fn body(&self, key: &str) -> Vec<u8> {
        fs::read(self.bucket.join(key)).expect("an object")
    }

    pub(crate) fn records(&self) -> Vec<Value> {
        self.keys("usage-logs").iter().map(|key| serde_json::from_slice(&self.body(key)).expect("a record")).collect()
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry")) {
        if entry.file_type().expect("a type").is_dir() { collect(&entry.path(), files) } else { files.push(entry.path()) }
    }
}

fn occurrences(log: &Path, words: &str) -> usize {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).matches(words).count()
}

/// A running moto, which takes any credentials.
pub(crate) struct Moto {
    pub(crate) endpoint: String,
    running: Running,
}

impl Moto {
    /// Starts one with the bucket.
    pub(crate) fn start(world: &World) -> Self {
        let running = Running::start(world, "moto_server", |command, port| {
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        });
        Hand::new(&running.endpoint).make_bucket();
        Self { endpoint: running.endpoint.clone(), running }
    }

    /// How many `GetObject` and `ListObjectsV2` its log has.
    pub(crate) fn asked(&self) -> (usize, usize) {
        let count = |words: &str| occurrences(&self.running.complaints, words);
        (count(&format!("\"GET /{BUCKET}/usage-logs/")), count(&format!("\"GET /{BUCKET}/?")))
    }
}
