//! Deployments in a world with a fault, with a log of their answers and results.
//!
//! The steps are those of Terraform. The runner of a step is a parameter: strace, a limited shell,
//! or a broken helper. A trial never asserts: it counts each violation under the promise that it
//! breaks.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::config_versions::{ConfigVersion, TrialVersions};
use crate::violations::{ViolationCounts, record_of_deployment};
use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::oracle::{unix_now, wait_for_next_second};
use test_support::terraform_steps::{CustomerUnit, wrap_request};
use test_support::{SECRET_CANARIES, World, refused_endpoint, to_text};

/// The default deadline of the module.
const DEADLINE: Duration = Duration::from_secs(10);
/// The time that a busy machine or strace may add to the deadline.
const BUSY_MACHINE_MARGIN: Duration = Duration::from_secs(20);
/// After this time a step counts as hanging.
const HANG_TIMEOUT: Duration = Duration::from_mins(2);

#[derive(Debug)]
pub(crate) struct StepResult {
    /// The exit code; `None` if a signal ended the step.
    pub(crate) exit: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
    pub(crate) took: Duration,
}

/// Runs a command with a query.
pub(crate) type StepRunner<'a> = &'a dyn Fn(&World, &str, &Value) -> StepResult;

pub(crate) fn run_helper(world: &World, command: &str, query: &Value) -> StepResult {
    run_with_query(world.helper_command(&[command]), query)
}

/// A runner with a shell script, which finds the helper in `$1` and the command in `$2`.
pub(crate) fn run_behind_script(script: &str) -> impl Fn(&World, &str, &Value) -> StepResult {
    move |world, command, query| {
        let mut shell = world.command("/bin/sh");
        shell
            .args(["-c", script, "sh"])
            .arg(test_support::helper_path())
            .arg(command);
        run_with_query(shell, query)
    }
}

/// Runs a command with a query on stdin, and kills it after [`HANG_TIMEOUT`].
pub(crate) fn run_with_query(mut command: Command, query: &Value) -> StepResult {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let pid = child.id();
    // A step that ends without reading its query closes the pipe; its exit code counts.
    let _ = child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(query.to_string().as_bytes());
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let output = ended.recv_timeout(HANG_TIMEOUT).unwrap_or_else(|_| {
        send_signal("KILL", pid.into());
        ended.recv().expect("what is killed ends")
    });
    let output = output.expect("it ends");
    StepResult {
        exit: output.status.code(),
        output: to_text(&output.stdout),
        errors: to_text(&output.stderr),
        took: started.elapsed(),
    }
}

/// Sends a signal to a process or, with a negative id, to a process group. It may have just ended.
pub(crate) fn send_signal(name: &str, pid: i64) {
    let arguments = [
        "-c",
        "kill -s \"$1\" -- \"$2\" 2>&-",
        "sh",
        name,
        &pid.to_string(),
    ];
    Command::new("/bin/sh")
        .args(arguments)
        .status()
        .expect("sh");
}

/// The state of a world before its trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrialScene {
    /// No fault, and an empty spool.
    Online,
    /// No network until the last deployment.
    Offline,
    /// No fault, but an earlier deployment is still spooled.
    Late,
    /// The deployment was started by a process that was killed before its first request.
    Resumed,
}

/// A deployment and its answer.
#[derive(Debug)]
pub(crate) struct TrialDeployment {
    pub(crate) id: String,
    pub(crate) version: ConfigVersion,
    /// The answer of `deploy`; `None` if it did not end.
    pub(crate) answer: Option<Value>,
    /// Whether its record was in the bucket when it ended.
    pub(crate) is_logged: bool,
}

/// A world with its deployments so far and their violations.
pub(crate) struct DeploymentTrial {
    pub(crate) name: String,
    pub(crate) world: World,
    pub(crate) unit: CustomerUnit,
    pub(crate) deployed: Vec<TrialDeployment>,
    /// The files that were durable before a step was killed: their content must arrive.
    pub(crate) spooled: Vec<String>,
    /// The longest permitted time of a deployment.
    pub(crate) limit: Duration,
    pub(crate) violations: ViolationCounts,
    /// Whether the next deployment is started by a process that is killed.
    is_resumed: bool,
}

impl TrialDeployment {
    pub(crate) fn status(&self) -> Option<&str> {
        self.answer.as_ref()?["status"].as_str()
    }

    pub(crate) fn message(&self) -> &str {
        self.answer
            .as_ref()
            .and_then(|answer| answer["message"].as_str())
            .unwrap_or_default()
    }
}

impl DeploymentTrial {
    /// A new world, before the fault.
    pub(crate) fn new(name: String, scene: TrialScene) -> Self {
        let world = World::new();
        let unit = CustomerUnit::new(&world);
        let (deployed, kept, violations) = (Vec::new(), Vec::new(), ViolationCounts::default());
        let is_resumed = scene == TrialScene::Resumed;
        let mut trial = Self {
            name,
            world,
            unit,
            deployed,
            spooled: kept,
            limit: DEADLINE + BUSY_MACHINE_MARGIN,
            violations,
            is_resumed,
        };
        if matches!(scene, TrialScene::Offline | TrialScene::Late) {
            trial.world.set_endpoint(&refused_endpoint());
        }
        if scene == TrialScene::Late {
            trial.deploy(&TrialVersions::get().early, &run_helper);
            // In the same second the next record might need another name, so the result would
            // depend on chance.
            wait_for_next_second(unix_now());
            trial.world.restore_endpoints();
        }
        trial
    }

    /// Deploys one version of the config, both steps run by `runner`.
    pub(crate) fn deploy(&mut self, version: &ConfigVersion, runner: StepRunner) {
        self.unit.write_config(&version.bytes);
        let mut took = Duration::ZERO;
        let context = self.plan(runner, &mut took);
        let request = wrap_request(&self.unit.deploy_request(&context));
        self.begin_if_resumed(&request);
        let deploy = runner(&self.world, "deploy", &request);
        took += deploy.took;
        let answer = self.check_answer("deploy", &deploy);
        self.check_duration("both steps together", took);
        self.check_cause([&context.to_string(), &deploy.output], took);
        self.record_deployment(&context, version, answer);
    }

    /// In the scene [`TrialScene::Resumed`], once: starts a deployment and kills the process at its
    /// first request.
    pub(crate) fn begin_if_resumed(&mut self, request: &Value) {
        if !std::mem::take(&mut self.is_resumed) {
            return;
        }
        let (sender, came) = mpsc::channel();
        let sender = std::sync::Mutex::new(sender);
        let proxy = FaultyProxy::start("", move |_| {
            // Only the first request matters; the receiver may have ended.
            let _ = sender.lock().expect("no panic").send(());
            RequestFate::Silence
        });
        self.world.set_endpoint(&proxy.endpoint());
        let mut command = self.world.helper_command(&["deploy"]);
        // No other program may inherit the locks of the process that is killed.
        command.env("PATH", "/nonexistent");
        let mut helper = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        helper
            .stdin
            .take()
            .expect("a pipe")
            .write_all(request.to_string().as_bytes())
            .expect("it reads");
        came.recv().expect("a request");
        helper.kill().expect("it runs");
        helper.wait().expect("it ends");
        self.world.restore_endpoints();
    }

    /// Runs `context`; without an answer, it returns that of `helper.sh`.
    pub(crate) fn plan(&mut self, runner: StepRunner, took: &mut Duration) -> Value {
        let context = runner(&self.world, "context", &self.unit.query());
        *took += context.took;
        self.check_answer("context", &context).unwrap_or_else(|| {
            let id = format!("20261124T000000Z-{:016x}", self.deployed.len());
            json!({"status": "error", "deployment_id": id, "backup_id": id, "backup_key": "", "config_hash": "", "spent_ms": "0"})
        })
    }

    /// Records a deployment, and checks at once that it reported what is missing.
    pub(crate) fn record_deployment(
        &mut self,
        context: &Value,
        version: &ConfigVersion,
        answer: Option<Value>,
    ) {
        let id = context["deployment_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let logged = record_of_deployment(&self.world, &id).is_some();
        let deployed = TrialDeployment {
            id,
            version: version.clone(),
            answer,
            is_logged: logged,
        };
        self.violations
            .check_report_of_deployment(&self.name, &self.world, &deployed);
        self.deployed.push(deployed);
    }

    /// Ends the fault, deploys once more, and checks everything.
    pub(crate) fn finish(mut self) -> ViolationCounts {
        self.world.restore_endpoints();
        self.deploy(&TrialVersions::get().healed, &run_helper);
        self.violations
            .check_bucket(&self.name, &self.world, &self.deployed);
        self.violations
            .check_spooled(&self.name, &self.world, &self.deployed, &self.spooled);
        self.violations
    }

    /// Checks for one JSON object of strings on stdout, nothing on stderr, and exit code 0.
    pub(crate) fn check_answer(&mut self, command: &str, ran: &StepResult) -> Option<Value> {
        self.check_step(command, ran);
        let answer: Option<Value> = serde_json::from_str(&ran.output).ok();
        let answer = answer.filter(|answer| {
            answer
                .as_object()
                .is_some_and(|it| it.values().all(Value::is_string))
        });
        if answer.is_none() || ran.output.matches('\n').count() != 1 {
            self.violations.failed.push(format!(
                "{}: `{command}` answered not with one object of strings: {ran:?}",
                self.name
            ));
        }
        answer
    }

    /// Checks the deadline.
    pub(crate) fn check_duration(&mut self, what: &str, took: Duration) {
        if took > self.limit {
            self.violations
                .blocked
                .push(format!("{}: {what} took {took:?}", self.name));
        }
    }

    /// No message may blame the deadline while there is time left, because no scene waits.
    fn check_cause(&mut self, said: [&String; 2], took: Duration) {
        let blamed = said
            .into_iter()
            .filter(|_| took < DEADLINE / 4)
            .find(|said| said.contains("no answer within"));
        self.violations
            .misled
            .extend(blamed.map(|said| format!("{}: after {took:?}: {said}", self.name)));
    }

    fn check_step(&mut self, command: &str, ran: &StepResult) {
        if ran.exit != Some(0) || !ran.errors.is_empty() {
            self.violations.failed.push(format!(
                "{}: `{command}` is to exit with 0 and a clean stderr: {ran:?}",
                self.name
            ));
        }
        if SECRET_CANARIES
            .iter()
            .any(|canary| ran.output.contains(canary) || ran.errors.contains(canary))
        {
            self.violations.leaked.push(format!(
                "{}: `{command}` printed a secret of the config: {ran:?}",
                self.name
            ));
        }
    }
}
