//! A bucket, AWS profiles, and the helper run as Terraform or a user runs it. Each world has its
//! own folder, HOME and port.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use embedded_aws::{AwsIdentity, BucketConfig, EmbeddedServer, ServerOptions};
use serde_json::Value;
use tempfile::TempDir;

/// The default bucket of the product.
pub const BUCKET: &str = "mongodb-arena";
/// The customer config that the tests deploy, with canaries for secrets.
pub const CONFIG: &str = include_str!("../../../terragrunt/airbnb/config.yaml");
/// MD5 of [`CONFIG`], by `md5sum terragrunt/airbnb/config.yaml`.
pub const CONFIG_MD5: &str = "698bc8b0da0b9bb6e25a76e112e4bd97";
/// The ARN of the profile `default`.
pub const JOHN_ARN: &str =
    "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/john.doe";
/// The ARN of the profile `jane`.
pub const JANE_ARN: &str = "arn:aws:iam::123456789012:user/jane.roe";
/// The ARN of the profile `max`.
pub const MAX_ARN: &str = "arn:aws:sts::123456789012:assumed-role/Deployer/max.muster";
/// Secrets that may appear only in copies of the config.
pub const SECRET_CANARIES: [&str; 5] = [
    "yhrqvogk",
    "1b9c2f1e-canary-private-key-6d0a",
    "canary-admin-password",
    "canary-user-password",
    "canary-portal-password",
];

/// A profile whose `credential_process` prints the canary `canary-user-password` and fails. Its first
/// letter is written in octal, because other tests look for canaries in the list of all processes.
pub const PROFILE_OF_FAILING_PROCESS: &str = "[profile team]\n\
     credential_process = /bin/sh -c 'printf \"\\143anary-user-password\"; printf \"\\143anary-user-password\" >&2; exit 1'\n";

/// A machine and an AWS account.
pub struct World {
    /// S3 and STS.
    pub server: EmbeddedServer,
    folder: TempDir,
    endpoint: String,
    /// The endpoint of S3, if it is not `endpoint`.
    s3_endpoint: Option<String>,
    /// The folder of HOME; each machine has its own.
    home: String,
    /// The helper, if it is not the built one.
    helper: Option<PathBuf>,
    /// Variables to set or, without a value, to remove.
    variables: Vec<(String, Option<String>)>,
}

impl World {
    /// A world with a bucket in us-east-1, the default region.
    pub fn new() -> Self {
        Self::with_bucket_in("us-east-1")
    }

    pub fn with_bucket_in(region: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("config backup ")
            .tempdir()
            .expect("a temporary folder");
        let person = |name: &str, arn: &str, deny: &[&str]| AwsIdentity {
            access_key: format!("AKIA{}", name.to_uppercase()),
            secret_key: format!("secret-of-{name}"),
            arn: arn.to_owned(),
            user_id: format!("AIDA{}", name.to_uppercase()),
            account: "123456789012".to_owned(),
            deny: deny
                .iter()
                .map(|operation| (*operation).to_owned())
                .collect(),
        };
        let identities = vec![
            person("default", JOHN_ARN, &[]),
            person("jane", JANE_ARN, &[]),
            person("max", MAX_ARN, &[]),
            person(
                "reader",
                "arn:aws:iam::123456789012:user/reader",
                &["PutObject"],
            ),
            person(
                "today",
                "arn:aws:iam::123456789012:user/today",
                &["ListObjectVersions"],
            ),
            person("denied", "arn:aws:iam::123456789012:user/denied", &["*"]),
            // Users with the three permissions of the README, or without one of them.
            person(
                "keeper",
                "arn:aws:iam::123456789012:user/keeper",
                &["DeleteObject"],
            ),
            person(
                "blind",
                "arn:aws:iam::123456789012:user/blind",
                &["ListObjectsV2", "HeadBucket"],
            ),
            person(
                "writer",
                "arn:aws:iam::123456789012:user/writer",
                &["GetObject", "HeadObject"],
            ),
            AwsIdentity {
                account: "210987654321".to_owned(),
                ..person("guest", "arn:aws:iam::210987654321:user/guest", &[])
            },
        ];
        let aws = folder.path().join("home/.aws");
        fs::create_dir_all(&aws).expect("a HOME");
        let profile = |it: &AwsIdentity| {
            let name = it.secret_key.trim_start_matches("secret-of-");
            format!(
                "[{name}]\naws_access_key_id = {}\naws_secret_access_key = {}\n\n",
                it.access_key, it.secret_key
            )
        };
        let profiles: Vec<String> = identities.iter().map(profile).collect();
        fs::write(aws.join("credentials"), profiles.concat()).expect("profiles");
        let server = EmbeddedServer::start(ServerOptions {
            data: folder.path().join("s3"),
            buckets: vec![BucketConfig {
                name: BUCKET.to_owned(),
                region: region.to_owned(),
            }],
            identities,
            listen: ([127, 0, 0, 1], 0).into(),
            log: None,
        })
        .expect("a server");
        let endpoint = server.endpoint();
        Self {
            server,
            folder,
            endpoint,
            s3_endpoint: None,
            home: "home".to_owned(),
            helper: None,
            variables: Vec::new(),
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn home(&self) -> PathBuf {
        self.path().join(&self.home)
    }

    /// Switches to another machine: a new HOME with the same profiles.
    pub fn move_to(&mut self, home: &str) {
        let credentials = fs::read(self.home().join(".aws/credentials")).expect("profiles");
        home.clone_into(&mut self.home);
        fs::create_dir_all(self.home().join(".aws")).expect("a HOME");
        fs::write(self.home().join(".aws/credentials"), credentials).expect("profiles");
    }

    /// Sets or removes an environment variable of later commands.
    pub fn set_variable(&mut self, name: &str, value: Option<&str>) {
        self.variables.retain(|(known, _)| known != name);
        self.variables
            .push((name.to_owned(), value.map(str::to_owned)));
    }

    /// Replaces the helper by another executable.
    pub fn set_helper(&mut self, program: PathBuf) {
        self.helper = Some(program);
    }

    /// The state directory of the helper.
    pub fn state_dir(&self) -> PathBuf {
        self.home().join(".local/state/config-backup")
    }

    /// The file names in the spool, sorted.
    pub fn spooled_items(&self) -> Vec<String> {
        let entries = fs::read_dir(self.state_dir().join("spool"))
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Sends all requests to another endpoint.
    pub fn set_endpoint(&mut self, endpoint: &str) {
        endpoint.clone_into(&mut self.endpoint);
    }

    /// Sends only the S3 requests to another endpoint.
    pub fn set_s3_endpoint(&mut self, endpoint: &str) {
        self.s3_endpoint = Some(endpoint.to_owned());
    }

    /// Sends all requests to the server of this world again.
    pub fn restore_endpoints(&mut self) {
        self.endpoint = self.server.endpoint();
        self.s3_endpoint = None;
    }

    /// A command with the environment of this world. Of the machine it inherits only PATH, and the
    /// profile file of `make coverage`.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        // The helper is on PATH.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = helper_path()
            .parent()
            .map(Path::to_owned)
            .into_iter()
            .chain(std::env::split_paths(&path));
        let mut command = Command::new(program);
        command
            .env_clear()
            .env(
                "PATH",
                std::env::join_paths(folders).expect("folders without a colon"),
            )
            .env("HOME", self.home())
            .env("TMPDIR", self.path())
            .env("LANG", "C.UTF-8")
            .env(
                "AWS_ENDPOINT_URL_S3",
                self.s3_endpoint.as_ref().unwrap_or(&self.endpoint),
            )
            .env("AWS_ENDPOINT_URL_STS", &self.endpoint)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            // Terragrunt, Terraform and OpenTofu live for a second: a quarter of their CPU time is
            // the garbage collection of Go.
            .env("GOGC", "off")
            .env("GOMEMLIMIT", "1GiB")
            .current_dir(self.path())
            .stdin(Stdio::null());
        if let Some(file) = std::env::var_os("LLVM_PROFILE_FILE") {
            command.env("LLVM_PROFILE_FILE", file);
        }
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// A command of the helper.
    pub fn helper_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(self.helper.clone().unwrap_or_else(helper_path));
        command.args(arguments);
        command
    }

    /// Runs a protocol command with `query` on stdin and returns stdout; it must exit 0 with an
    /// empty stderr.
    pub fn run_protocol_command(&self, command: &str, query: &Value) -> String {
        let output = run_with_input(
            self.helper_command(&[command]),
            query.to_string().as_bytes(),
        );
        assert_eq!(output.status.code(), Some(0), "{command}: {output:?}");
        assert_eq!(to_text(&output.stderr), "", "{command} wrote to stderr");
        to_text(&output.stdout)
    }

    /// As [`World::run_protocol_command`], with the answer parsed as JSON.
    pub fn ask(&self, command: &str, query: &Value) -> Value {
        let answer = self.run_protocol_command(command, query);
        assert!(
            answer.ends_with("}\n") && answer.matches('\n').count() == 1,
            "one line: {answer}"
        );
        serde_json::from_str(&answer).expect("JSON")
    }

    /// The bytes of airbnb's `config.yaml` in the bucket.
    pub fn stored_config(&self) -> Vec<u8> {
        let object = self.server.object(BUCKET, "terragrunt/airbnb/config.yaml");
        object.expect("config.yaml").body
    }

    /// How many requests asked to delete something, successful or not.
    pub fn count_deletions(&self) -> usize {
        let requests = self.server.requests();
        let deletions = requests
            .iter()
            .filter(|it| it.operation.starts_with("Delete"));
        deletions.count()
    }

    /// The usage records in the bucket, by key.
    pub fn usage_records(&self) -> Vec<(String, Value)> {
        let keys = self.server.keys(BUCKET, "usage-logs/");
        let record = |key: &String| {
            serde_json::from_slice(&self.server.object(BUCKET, key).expect("it").body)
                .expect("a record")
        };
        keys.iter().map(|key| (key.clone(), record(key))).collect()
    }

    /// The number of successful requests of an operation on keys with this prefix.
    pub fn count_requests(&self, operation: &str, prefix: &str) -> usize {
        let requests = self.server.requests();
        let counted = requests.iter().filter(|it| {
            it.operation == operation && it.key.starts_with(prefix) && it.status < 300
        });
        counted.count()
    }
}

/// The path of the helper, which Cargo passes to every test that it runs.
pub fn helper_path() -> PathBuf {
    std::env::var_os("CARGO_BIN_EXE_config-backup")
        .expect("the test is run by Cargo")
        .into()
}

pub fn project_dir() -> PathBuf {
    let this_crate = Path::new(env!("CARGO_MANIFEST_DIR"));
    this_crate
        .ancestors()
        .nth(2)
        .expect("crates/test-support of the project")
        .to_owned()
}

/// Runs a command with `input` on its stdin.
pub fn run_with_input(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A process may close its input without reading it.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("it ends")
}

pub fn to_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An address of this machine that refuses connections.
///
/// A port that was free a moment ago will not do: the server of another test may be given it, and take what comes.
pub fn refused_endpoint() -> String {
    "http://127.0.0.1:1".to_owned()
}

pub fn assert_no_secret(what: &str, text: &str) {
    for canary in SECRET_CANARIES {
        assert!(!text.contains(canary), "`{canary}` stands in {what}");
    }
}
