//! The same deployments against another S3: versitygw, on a folder. STS stays the embedded one, since it has none.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::by_hand::{Unit, string};
use crate::oracle::digest;
use crate::support::{BUCKET, CONFIG, CONFIG_MD5, World, nobody_there, project, text};

/// A running versitygw, ended with the value.
struct Gateway {
    process: Child,
    endpoint: String,
    bucket: PathBuf,
}

impl Gateway {
    /// Starts one with the bucket, which takes the credentials of the profile `default`.
    fn start(world: &World) -> Self {
        let program = project().join(".tools/bin/versitygw");
        assert!(program.exists(), "{} is missing: run `make tools`", program.display());
        let (data, meta) = (world.path().join("gateway"), world.path().join("metadata-of-gateway"));
        let (bucket, complaints) = (data.join(BUCKET), world.path().join("gateway.log"));
        for folder in [&bucket, &meta] {
            fs::create_dir_all(folder).expect("a folder");
        }
        // The port is free when it is asked for and may be taken a moment later: then the gateway ends, and another one is tried.
        for _ in 0..5 {
            let port = free_port();
            let mut command = Command::new(&program);
            command
                .args(["--port", &format!("127.0.0.1:{port}"), "--quiet", "--region", "us-east-1", "posix", "--sidecar"])
                .args([&meta, &data])
                .env("ROOT_ACCESS_KEY", "AKIADEFAULT")
                .env("ROOT_SECRET_KEY", "secret-of-default")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(fs::File::create(&complaints).expect("a file"));
            let process = command.spawn().expect("versitygw starts");
            let mut gateway = Self { process, endpoint: format!("http://127.0.0.1:{port}"), bucket: bucket.clone() };
            if gateway.answers(port) {
                return gateway;
            }
        }
        panic!("versitygw ended five times before it listened: {}", fs::read_to_string(complaints).expect("its log"));
    }

    /// Waits until somebody listens, or the process has ended.
    fn answers(&mut self, port: u16) -> bool {
        for _ in 0..10_000_000_u32 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return true;
            }
            if self.process.try_wait().expect("a process").is_some() {
                return false;
            }
            thread::yield_now();
        }
        false
    }

    /// The keys below a prefix, by the files that stand for them.
    fn keys(&self, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        collect(&self.bucket.join(prefix), &mut keys);
        let mut keys: Vec<String> =
            keys.iter().map(|path| path.strip_prefix(&self.bucket).expect("below").to_str().expect("UTF-8").to_owned()).collect();
        keys.sort();
        keys
    }

    fn body(&self, key: &str) -> Vec<u8> {
        fs::read(self.bucket.join(key)).expect("an object")
    }

    fn records(&self) -> Vec<Value> {
        self.keys("usage-logs").iter().map(|key| serde_json::from_slice(&self.body(key)).expect("a record")).collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry")) {
        if entry.file_type().expect("a type").is_dir() { collect(&entry.path(), files) } else { files.push(entry.path()) }
    }
}

#[test]
fn deployments_and_report_are_the_same_on_versitygw() {
    let mut world = World::new();
    let gateway = Gateway::start(&world);
    world.set_s3_endpoint(&gateway.endpoint);
    let mut unit = Unit::new(&world);
    let current = "terragrunt/airbnb/config.yaml";

    let first = unit.deploy(&world).went_well();
    assert!(first.backup.is_some());
    assert_eq!(gateway.body(current), CONFIG.as_bytes());
    let history = gateway.keys("terragrunt/airbnb/config-history");
    assert_eq!(history.len(), 1);
    assert!(history[0].ends_with(&format!("_{CONFIG_MD5}.yaml")), "{history:?}");
    assert_eq!(gateway.body(&history[0]), CONFIG.as_bytes());
    let records = gateway.records();
    assert_eq!((records.len(), string(&records[0], "backup"), string(&records[0], "backup_key")), (1, "uploaded", history[0].as_str()));

    let second = unit.deploy(&world).went_well();
    assert!(second.backup.is_none(), "its metadata came back: in step");
    assert_eq!(gateway.keys("terragrunt/airbnb/config-history"), history);
    assert_eq!(gateway.records().iter().filter(|it| it["backup"] == "unchanged").count(), 1);

    let changed = CONFIG.replace("M30", "M40");
    unit.write(&changed);
    unit.deploy(&world).went_well();
    assert_eq!(gateway.body(current), changed.as_bytes());
    let history = gateway.keys("terragrunt/airbnb/config-history");
    assert!(history.len() == 2 && history.iter().any(|key| key.ends_with(&format!("_{}.yaml", digest("md5", changed.as_bytes())))));
    assert_eq!(gateway.records().len(), 3, "each under a name of its own, also within a second");

    let report = world.helper(&["report", "airbnb", "--profile", "default"]).output().expect("report");
    let records = gateway.records();
    let day = &string(&records[2], "timestamp")[..10];
    assert!(text(&report.stdout).ends_with(&format!("{day},airbnb,john.doe,5,airbnb-project,arena-cluster\n")), "{report:?}");
    assert!(world.server.requests().iter().all(|it| it.operation == "GetCallerIdentity"), "S3 was the gateway");
}

#[test]
fn what_was_kept_reaches_versitygw_later_and_bad_keys_are_told() {
    let mut world = World::new();
    let gateway = Gateway::start(&world);
    let mut unit = Unit::new(&world);
    world.set_endpoint(&nobody_there());
    unit.deploy(&world).warning();
    world.heal();
    world.set_s3_endpoint(&gateway.endpoint);
    unit.deploy(&world).went_well();
    assert_eq!((gateway.records().len(), world.spooled().len()), (2, 0));
    assert_eq!(gateway.records().iter().filter(|it| it["late"] == true).count(), 1);
    world.set_variable("AWS_ACCESS_KEY_ID", Some("AKIADEFAULT"));
    world.set_variable("AWS_SECRET_ACCESS_KEY", Some("secret-of-yesterday"));
    let report = world.helper(&["report"]).output().expect("report");
    assert_eq!(report.status.code(), Some(4), "{report:?}");
}
