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

/// The deadline of a deployment, as the module has it by default.
const DEADLINE: Duration = Duration::from_secs(10);
/// What a busy machine, or strace, may add to the deadline before it counts as broken.
const BUSY_MACHINE_MARGIN: Duration = Duration::from_secs(20);
/// After this long, a step is taken for one that never ends.
const HANG_TIMEOUT: Duration = Duration::from_mins(2);

/// What came of one step.
#[derive(Debug)]
pub(crate) struct StepResult {
    /// The exit code; `None` for a step that a signal ended.
    pub(crate) exit: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
    pub(crate) took: Duration,
}

/// Whoever runs a verb with a query.
pub(crate) type StepRunner<'a> = &'a dyn Fn(&World, &str, &Value) -> StepResult;

/// The helper as it is.
pub(crate) fn run_helper(world: &World, verb: &str, query: &Value) -> StepResult {
    run_with_query(world.helper_command(&[verb]), query)
}

/// The helper behind a script of `sh`, which finds its path in `$1` and the verb in `$2`.
pub(crate) fn run_behind_script(script: &str) -> impl Fn(&World, &str, &Value) -> StepResult {
    move |world, verb, query| {
        let mut shell = world.command("/bin/sh");
        shell
            .args(["-c", script, "sh"])
            .arg(test_support::helper_path())
            .arg(verb);
        run_with_query(shell, query)
    }
}

/// Runs a command with a query on its stdin, but not for ever.
pub(crate) fn run_with_query(mut command: Command, query: &Value) -> StepResult {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let pid = child.id();
    // Whoever ends without reading its query closes the pipe: that is counted by its exit code.
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

/// Sends a signal to a process, or, by its negative number, to a group of them; one that has just ended is no failure.
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

/// What a world is like when its trial begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrialScene {
    /// All is well, and nothing is kept.
    Online,
    /// The network is gone until the healing.
    Offline,
    /// All is well again, and an earlier deployment is still kept.
    Late,
    /// The deployment under test was begun by a process that was killed before it had sent anything.
    Resumed,
}

/// A deployment, and what it said.
#[derive(Debug)]
pub(crate) struct TrialDeployment {
    pub(crate) id: String,
    pub(crate) version: ConfigVersion,
    /// The answer of `deploy`; `None` where it did not come to its end.
    pub(crate) answer: Option<Value>,
    /// Whether its record was in the bucket when it ended; otherwise it can only come late.
    pub(crate) is_logged: bool,
}

/// A world, all its deployments so far, and what was wrong with them.
pub(crate) struct DeploymentTrial {
    pub(crate) name: String,
    pub(crate) world: World,
    pub(crate) unit: CustomerUnit,
    pub(crate) deployed: Vec<TrialDeployment>,
    /// The names of the files that were kept for good before a step was ended: what they hold must come.
    pub(crate) spooled: Vec<String>,
    /// The longest that a deployment may take here.
    pub(crate) limit: Duration,
    pub(crate) violations: ViolationCounts,
    /// Whether the next deployment is begun by a process that is killed.
    is_resumed: bool,
}

impl TrialDeployment {
    /// The status that the deployment reported.
    pub(crate) fn status(&self) -> Option<&str> {
        self.answer.as_ref()?["status"].as_str()
    }

    /// The message that the deployment reported, or nothing.
    pub(crate) fn message(&self) -> &str {
        self.answer
            .as_ref()
            .and_then(|answer| answer["message"].as_str())
            .unwrap_or_default()
    }
}

impl DeploymentTrial {
    /// A fresh world, in which the hardship is yet to come.
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
            // In the same second the next record would want the same name, or not: what follows shall not depend on it.
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

    /// In the scene [`TrialScene::Resumed`], and only once: begins a deployment and kills the process at its first request.
    pub(crate) fn begin_if_resumed(&mut self, request: &Value) {
        if !std::mem::take(&mut self.is_resumed) {
            return;
        }
        let (sender, came) = mpsc::channel();
        let sender = std::sync::Mutex::new(sender);
        let proxy = FaultyProxy::start("", move |_| {
            // The receiver may be gone: the first request is enough.
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

    /// Asks `context`; where it does not answer, answers as `helper.sh` would in its place.
    pub(crate) fn plan(&mut self, runner: StepRunner, took: &mut Duration) -> Value {
        let context = runner(&self.world, "context", &self.unit.query());
        *took += context.took;
        self.check_answer("context", &context).unwrap_or_else(|| {
            let id = format!("20261124T000000Z-{:016x}", self.deployed.len());
            json!({"status": "error", "deployment_id": id, "backup_id": id, "backup_key": "", "config_hash": "", "spent_ms": "0"})
        })
    }

    /// Enters a deployment into the books, and looks at once whether it was honest.
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

    /// Ends the hardship with a healthy deployment, and closes the books.
    pub(crate) fn finish(mut self) -> ViolationCounts {
        self.world.restore_endpoints();
        self.deploy(&TrialVersions::get().healed, &run_helper);
        self.violations
            .check_bucket(&self.name, &self.world, &self.deployed);
        self.violations
            .check_spooled(&self.name, &self.world, &self.deployed, &self.spooled);
        self.violations
    }

    /// One JSON object of strings on stdout, nothing on stderr, exit 0.
    pub(crate) fn check_answer(&mut self, verb: &str, ran: &StepResult) -> Option<Value> {
        self.check_step(verb, ran);
        let answer: Option<Value> = serde_json::from_str(&ran.output).ok();
        let answer = answer.filter(|answer| {
            answer
                .as_object()
                .is_some_and(|it| it.values().all(Value::is_string))
        });
        if answer.is_none() || ran.output.matches('\n').count() != 1 {
            self.violations.failed.push(format!(
                "{}: `{verb}` answered not with one object of strings: {ran:?}",
                self.name
            ));
        }
        answer
    }

    /// Whether the deadline was kept.
    pub(crate) fn check_duration(&mut self, what: &str, took: Duration) {
        if took > self.limit {
            self.violations
                .blocked
                .push(format!("{}: {what} took {took:?}", self.name));
        }
    }

    /// Time is not the cause while there is time left, and in no scene of ours is anybody waited for. What comes later may
    /// only know the worst, which is noted before anything is tried.
    fn check_cause(&mut self, said: [&String; 2], took: Duration) {
        let blamed = said
            .into_iter()
            .filter(|_| took < DEADLINE / 4)
            .find(|said| said.contains("no answer within"));
        self.violations
            .misled
            .extend(blamed.map(|said| format!("{}: after {took:?}: {said}", self.name)));
    }

    fn check_step(&mut self, verb: &str, ran: &StepResult) {
        if ran.exit != Some(0) || !ran.errors.is_empty() {
            self.violations.failed.push(format!(
                "{}: `{verb}` is to exit with 0 and a clean stderr: {ran:?}",
                self.name
            ));
        }
        if SECRET_CANARIES
            .iter()
            .any(|canary| ran.output.contains(canary) || ran.errors.contains(canary))
        {
            self.violations.leaked.push(format!(
                "{}: `{verb}` printed a secret of the config: {ran:?}",
                self.name
            ));
        }
    }
}
