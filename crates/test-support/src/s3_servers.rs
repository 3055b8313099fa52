//! S3 servers other than the embedded one: versitygw on a folder, and moto in memory. Each is a
//! process with its own port and the test bucket, and stops when it is dropped. Neither serves STS.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc};
use std::thread;

use serde_json::Value;

use crate::oracle::python_path;
use crate::s3_client::S3TestClient;
use crate::world::{BUCKET, World, project_dir, to_text};

/// The process of a server, killed when this is dropped.
struct ServerProcess(Child);

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server from `.tools/bin`.
fn pinned_server(name: &str) -> PathBuf {
    let program = project_dir().join(".tools/bin").join(name);
    assert!(
        program.exists(),
        "{} is missing: run `make tools`",
        program.display()
    );
    program
}

/// A running versitygw.
pub struct VersityGateway {
    pub endpoint: String,
    bucket: PathBuf,
    log: PathBuf,
    running: ServerProcess,
}

impl VersityGateway {
    /// Starts versitygw with the bucket and the credentials of the profile `default`.
    pub fn start(world: &World) -> Self {
        let (data, meta) = (
            world.path().join("gateway"),
            world.path().join("metadata-of-gateway"),
        );
        let (bucket, log) = (data.join(BUCKET), world.path().join("requests-of-gateway"));
        for folder in [&bucket, &meta] {
            fs::create_dir_all(folder).expect("a folder");
        }
        let complaints = world.path().join("gateway.log");
        // Another process may take the free port first: then the gateway exits, and another port is
        // tried.
        for _ in 0..5 {
            let port = free_port();
            let mut command = world.command(pinned_server("versitygw"));
            command
                .stdout(Stdio::null())
                .args([
                    "--port",
                    &format!("127.0.0.1:{port}"),
                    "--quiet",
                    "--region",
                    "us-east-1",
                ])
                .arg("--access-log")
                .arg(&log)
                .args(["posix", "--sidecar"])
                .args([&meta, &data])
                .env("ROOT_ACCESS_KEY", "AKIADEFAULT")
                .env("ROOT_SECRET_KEY", "secret-of-default")
                .stderr(fs::File::create(&complaints).expect("a file"));
            let running = ServerProcess(command.spawn().expect("versitygw starts"));
            let mut gateway = Self {
                endpoint: format!("http://127.0.0.1:{port}"),
                bucket: bucket.clone(),
                log: log.clone(),
                running,
            };
            if gateway.wait_until_listening(port) {
                return gateway;
            }
        }
        panic!(
            "versitygw ended five times before it listened: {}",
            fs::read_to_string(complaints).expect("its log")
        );
    }

    /// Waits until the port accepts connections, or the process has ended.
    fn wait_until_listening(&mut self, port: u16) -> bool {
        for _ in 0..10_000_000_u32 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return true;
            }
            if self.running.0.try_wait().expect("a process").is_some() {
                return false;
            }
            thread::yield_now();
        }
        false
    }

    /// The numbers of `GetObject` and `ListObjectsV2` in its log.
    pub fn asked(&self) -> (usize, usize) {
        let log = to_text(&fs::read(&self.log).unwrap_or_default());
        (
            log.matches(" s3_GetObject ").count(),
            log.matches(" s3_ListObjectsV2 ").count(),
        )
    }

    pub fn list_keys(&self, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        collect_files(&self.bucket.join(prefix), &mut keys);
        let mut keys: Vec<String> = keys
            .iter()
            .map(|path| {
                path.strip_prefix(&self.bucket)
                    .expect("below")
                    .to_str()
                    .expect("UTF-8")
                    .to_owned()
            })
            .collect();
        keys.sort();
        keys
    }

    pub fn read_object(&self, key: &str) -> Vec<u8> {
        fs::read(self.bucket.join(key)).expect("an object")
    }

    pub fn read_records(&self) -> Vec<Value> {
        self.list_keys("usage-logs")
            .iter()
            .map(|key| serde_json::from_slice(&self.read_object(key)).expect("a record"))
            .collect()
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry"))
    {
        if entry.file_type().expect("a type").is_dir() {
            collect_files(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}

/// The process that forks moto servers, of which a test program needs one.
static MOTO_STARTER: LazyLock<Mutex<MotoStarter>> = LazyLock::new(Mutex::default);

/// Imports moto once, in a process that ends with this one, because its stdin is closed then.
#[derive(Default)]
struct MotoStarter {
    /// The process with its stdin, and its stdout.
    process: Option<(Child, BufReader<ChildStdout>)>,
    started: usize,
}

impl MotoStarter {
    /// Starts a server; returns its stderr, and a file that ends the server when it is dropped.
    fn start_server(&mut self, world: &World) -> (File, File) {
        self.started += 1;
        let folder = world.path().join(format!("moto-{}", self.started));
        let (child, output) = self.process.get_or_insert_with(|| {
            let mut command = Command::new(python_path());
            command
                .env_clear()
                .env("LANG", "C.UTF-8")
                .args(["-B", "-c", include_str!("moto_servers.py")])
                .arg(project_dir().join(".tools/lib/moto"));
            let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
            let mut child = spawned.expect("python starts");
            let output = BufReader::new(child.stdout.take().expect("a pipe"));
            (child, output)
        });
        let input = child.stdin.as_mut().expect("a pipe");
        writeln!(input, "{}", folder.to_str().expect("UTF-8")).expect("moto can be asked for");
        let mut answer = String::new();
        output.read_line(&mut answer).expect("an answer");
        assert_eq!(answer, "\n", "no moto started: run `make tools`");
        let log = File::open(folder.join("log")).expect("the pipe of the log");
        let leash = File::create(folder.join("leash")).expect("the pipe of the leash");
        (log, leash)
    }
}

/// A running moto, which accepts any credentials.
pub struct MotoServer {
    pub endpoint: String,
    /// Its stderr, with a line for each request.
    said: Arc<Mutex<String>>,
    _leash: File,
}

impl MotoServer {
    pub fn start(world: &World) -> Self {
        let mut starter = MOTO_STARTER.lock().unwrap_or_else(PoisonError::into_inner);
        let (log, leash) = starter.start_server(world);
        drop(starter);
        let lines = BufReader::new(log).split(b'\n');
        let said = Arc::new(Mutex::new(String::new()));
        let (tell, told) = mpsc::channel();
        let heard = Arc::clone(&said);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = to_text(&line);
                if let Some((_, endpoint)) = line.split_once("Running on ") {
                    let _ = tell.send(endpoint.to_owned());
                }
                let mut said = heard.lock().expect("no panic");
                said.push_str(&line);
                said.push('\n');
            }
        });
        // If moto exits before it prints its address, the channel closes.
        let endpoint = told
            .recv()
            .unwrap_or_else(|_| panic!("moto ended: {}", said.lock().expect("no panic")));
        S3TestClient::new(&endpoint).create_bucket();
        Self {
            endpoint,
            said,
            _leash: leash,
        }
    }

    /// The numbers of `GetObject` and `ListObjectsV2` in its log.
    pub fn asked(&self) -> (usize, usize) {
        let said = self.said.lock().expect("no panic");
        let count = |words: &str| said.matches(words).count();
        (
            count(&format!("\"GET /{BUCKET}/usage-logs/")),
            count(&format!("\"GET /{BUCKET}/?")),
        )
    }
}
