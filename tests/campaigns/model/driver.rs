//! Runs the steps of a history with the real helper, on two machines with one customer folder, in a
//! world that other customers share.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::events::{ModelDeployment, ModelEvent, ModelPlan};
use super::killable_helper::KillableHelper;
use super::observer::{ModelObserver, unix_seconds};
use super::steps::{CONTENTS, GARBAGE, ModelStep, NetworkState, ObjectKind};
use crate::md5_digest::md5_hex;
use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::oracle::{format_rfc3339, key_timestamp, unix_now};
use test_support::terraform_steps::{
    CustomerUnit, parse_external_answer, string_field, wrap_request,
};
use test_support::{BUCKET, CONFIG, World, assert_no_secret, to_text};

/// A bound port that does not listen.
const REFUSED_ENDPOINT: &str = "http://127.0.0.1:1";

/// A plan continues without an answer after 3 s, also on a busy machine.
const NEARLY_ALL_OF_A_PLAN: Duration = Duration::from_millis(2500);

type FateRule = Box<dyn Fn(&str) -> RequestFate + Send + Sync>;

/// The machines, folder and network of one customer.
pub(crate) struct ModelDriver<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) customer: String,
    /// The config of each content number, and its digest.
    pub(crate) contents: Vec<(String, String)>,
    /// The current machine.
    pub(crate) machine: usize,
    pub(crate) gave_up: usize,
    unit: CustomerUnit,
    content: usize,
    saved: Option<(Value, ModelPlan)>,
    /// The last request of this machine, and its answer.
    last: Option<(Value, Value)>,
    files: usize,
}

impl<'a> ModelDriver<'a> {
    pub(crate) fn new(world: &'a mut World, customer: &str) -> Self {
        let mut unit = CustomerUnit::in_folder(world, customer);
        // No network of the histories leaves a request unanswered, so only a busy machine uses up
        // this time.
        unit.set_variable("timeout", "60");
        let contents = (0..CONTENTS)
            .map(|number| config_content(customer, number))
            .map(|body| (body.clone(), md5_hex(body.as_bytes())))
            .collect();
        let mut driver = Self {
            world,
            customer: customer.to_owned(),
            contents,
            machine: 0,
            gave_up: 0,
            unit,
            content: 0,
            saved: None,
            last: None,
            files: 0,
        };
        driver.edit_config(0);
        driver.switch_machine(1);
        driver.switch_machine(0);
        driver
    }

    pub(crate) fn home_dir(&self, machine: usize) -> PathBuf {
        self.world.path().join(self.home_name(machine))
    }

    fn home_name(&self, machine: usize) -> String {
        format!("machine {machine} of {}", self.customer)
    }

    fn switch_machine(&mut self, machine: usize) {
        self.machine = machine;
        let home = self.home_name(machine);
        self.world.move_to(&home);
    }

    fn edit_config(&mut self, content: usize) {
        self.content = content;
        self.unit.write_config(&self.contents[content].0);
    }

    /// Takes a step.
    pub(crate) fn take_step(&mut self, step: ModelStep) -> ModelEvent {
        match step {
            ModelStep::Edit(content) => self.edit_config(content),
            ModelStep::Move => {
                // A run of Terragrunt stays on its machine.
                self.last = None;
                self.switch_machine(1 - self.machine);
            }
            ModelStep::Repeat => return self.repeat_deployment(),
            ModelStep::Garbage(kind) => self.put_garbage_into_spool(kind),
            ModelStep::Plan => {
                let (context, plan) = self.plan(NetworkState::Good);
                self.saved = Some((context, plan.clone()));
                return ModelEvent::Planned(plan);
            }
            ModelStep::Apply(network) => return ModelEvent::Deployed(self.apply(network)),
            ModelStep::Skewed(by) => {
                // Spooled items have the real time of this machine, and are compared with it in the
                // same step.
                let by = if self.keeps_a_config() { 0 } else { by };
                let mut deployment = self.apply(NetworkState::Good);
                self.skew_times(&mut deployment, by);
                self.last = None;
                return ModelEvent::Deployed(deployment);
            }
            ModelStep::Replay(network) => return self.replay(network),
        }
        ModelEvent::Nothing
    }

    fn plan(&mut self, network: NetworkState) -> (Value, ModelPlan) {
        self.connect_network(if network.is_down() {
            network
        } else {
            NetworkState::Good
        });
        let asked = Instant::now();
        let context = self.unit.plan(self.world);
        let text = |key| string_field(&context, key).to_owned();
        let (id, backup_id, status) = (text("deployment_id"), text("backup_id"), text("status"));
        let gave_up = status == "error" && asked.elapsed() > NEARLY_ALL_OF_A_PLAN;
        self.gave_up += usize::from(gave_up);
        let plan = ModelPlan {
            id,
            backup_id,
            in_step: !text("backup_key").is_empty(),
            status,
            content: self.content,
            network,
            gave_up,
        };
        (context, plan)
    }

    fn apply(&mut self, network: NetworkState) -> ModelDeployment {
        let saved = self.saved.take();
        let was_saved = saved.is_some();
        let (context, plan) = saved.unwrap_or_else(|| self.plan(network));
        let started = now_seconds();
        let request = wrap_request(&self.unit.deploy_request(&context));
        let input = request.to_string();
        let is_twice = matches!(network, NetworkState::Killed { again: true, .. });
        let spool = ModelObserver::spool_dir(&self.home_dir(self.machine));
        let (((output, is_again), network), _) =
            self.run_under_network(network, |world, killable| {
                let run = || killable.run(world.helper_command(&["deploy"]), input.as_bytes());
                match run() {
                    None if is_twice => {
                        wait_for_released_locks(&spool);
                        (run(), true)
                    }
                    output => (output, false),
                }
            });
        let ended = now_seconds();
        let answer = output.map(|output| {
            assert_eq!(
                (output.status.code(), to_text(&output.stderr).as_str()),
                (Some(0), ""),
                "{output:?}"
            );
            parse_external_answer(&to_text(&output.stdout))
        });
        assert_no_secret("what `deploy` printed", &format!("{answer:?}"));
        let status = answer
            .as_ref()
            .map(|answer| string_field(answer, "status").to_owned());
        self.last = answer.map(|answer| (request, answer));
        ModelDeployment {
            plan,
            saved: was_saved,
            content: self.content,
            network,
            status,
            is_again,
            started,
            ended,
            config_at: started,
            record_at: started,
        }
    }

    /// Runs the last deployment again, if it had ended.
    fn repeat_deployment(&mut self) -> ModelEvent {
        let Some((request, first)) = self.last.clone() else {
            return ModelEvent::Nothing;
        };
        self.connect_network(NetworkState::Good);
        let second = parse_external_answer(&self.world.run_protocol_command("deploy", &request));
        ModelEvent::Repeated { first, second }
    }

    fn replay(&mut self, network: NetworkState) -> ModelEvent {
        let ((output, network), _) = self.run_under_network(network, |world, killable| {
            killable.run(world.helper_command(&["replay"]), b"")
        });
        let code = output.as_ref().and_then(|output| output.status.code());
        let output = output
            .map(|output| to_text(&output.stdout))
            .unwrap_or_default();
        ModelEvent::Replayed {
            network,
            code,
            output,
        }
    }

    /// Runs `work` with a network; returns its result, the network as it was met, and whether a
    /// process was killed.
    fn run_under_network<T>(
        &mut self,
        network: NetworkState,
        work: impl FnOnce(&World, &KillableHelper) -> T,
    ) -> ((T, NetworkState), bool) {
        let killable = KillableHelper::default();
        let Some(fate) = self.fate_rule(network, &killable) else {
            self.connect_network(network);
            return ((work(self.world, &killable), network), false);
        };
        let (fate, touched) = fate;
        let proxy = FaultyProxy::start(&self.world.server.endpoint(), fate);
        self.world.restore_endpoints();
        self.world.set_endpoint(&proxy.endpoint());
        let done = work(self.world, &killable);
        proxy.finish();
        self.world.restore_endpoints();
        if killable.was_killed() {
            wait_for_released_locks(&ModelObserver::spool_dir(&self.home_dir(self.machine)));
        }
        // A fault that did not occur counts as a good network.
        let network = if network.is_open() && !touched.load(Ordering::SeqCst) {
            NetworkState::Good
        } else {
            network
        };
        ((done, network), killable.was_killed())
    }

    fn connect_network(&mut self, network: NetworkState) {
        self.world.restore_endpoints();
        match network {
            NetworkState::Offline => self.world.set_endpoint(REFUSED_ENDPOINT),
            NetworkState::WithoutS3 => self.world.set_s3_endpoint(REFUSED_ENDPOINT),
            _ => {}
        }
    }

    /// The rule of the proxy, if the network needs one, and whether it has changed a request.
    fn fate_rule(
        &self,
        network: NetworkState,
        killable: &KillableHelper,
    ) -> Option<(FateRule, Arc<AtomicBool>)> {
        let (touched, seen) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
        let touch = Arc::clone(&touched);
        let fate: FateRule = match network {
            NetworkState::Good | NetworkState::Offline | NetworkState::WithoutS3 => return None,
            NetworkState::LostOnce(number) => Box::new(move |line| {
                let lose =
                    line.starts_with("PUT ") && seen.fetch_add(1, Ordering::SeqCst) + 1 == number;
                if lose {
                    RequestFate::LoseAnswer
                } else {
                    RequestFate::Pass
                }
            }),
            NetworkState::Lost(object) => {
                let customer = &self.customer;
                let head = match object {
                    ObjectKind::Copy => {
                        format!("PUT /{BUCKET}/terragrunt/{customer}/config-history/")
                    }
                    ObjectKind::Config => {
                        format!("PUT /{BUCKET}/terragrunt/{customer}/config.yaml")
                    }
                    ObjectKind::Record => format!("PUT /{BUCKET}/usage-logs/{customer}/"),
                };
                Box::new(move |line| {
                    let lose = line.starts_with(&head);
                    touch.fetch_or(lose, Ordering::SeqCst);
                    if lose {
                        RequestFate::LoseAnswer
                    } else {
                        RequestFate::Pass
                    }
                })
            }
            NetworkState::Killed { request, done, .. } => {
                let killable = killable.clone();
                Box::new(move |_| {
                    if seen.fetch_add(1, Ordering::SeqCst) + 1 != request {
                        return RequestFate::Pass;
                    }
                    touch.store(true, Ordering::SeqCst);
                    if done {
                        let killable = killable.clone();
                        return RequestFate::Instead(Arc::new(move || killable.kill()));
                    }
                    killable.kill();
                    RequestFate::Silence
                })
            }
        };
        Some((fate, touched))
    }

    /// Puts a foreign file into the spool.
    fn put_garbage_into_spool(&mut self, kind: usize) {
        let spool = ModelObserver::spool_dir(&self.home_dir(self.machine));
        fs::create_dir_all(&spool).expect("a spool");
        self.files += 1;
        let body = match kind % GARBAGE {
            0 => format!("garbage-{}\n", self.files),
            1 => format!(
                "{{\"schema\":2,\"note\":\"garbage-{}\"}}\nof a later version",
                self.files
            ),
            _ => format!(
                "{{\"schema\":1,\"what\":\"config\",\"note\":\"garbage-{}",
                self.files
            ),
        };
        fs::write(
            spool.join(format!(
                "20260101T000000Z-config-garbage{}.item",
                self.files
            )),
            body,
        )
        .expect("a file");
    }

    fn keeps_a_config(&self) -> bool {
        let files = fs::read_dir(ModelObserver::spool_dir(&self.home_dir(self.machine)))
            .into_iter()
            .flatten();
        files
            .map(|file| file.expect("an entry").file_name())
            .any(|name| name.to_string_lossy().contains("-config-"))
    }

    /// Shifts the times of uploaded objects, as if the clock were wrong by this many seconds.
    fn skew_times(&self, deployment: &mut ModelDeployment, by: i64) {
        let server = &self.world.server;
        let key = format!("terragrunt/{}/config.yaml", self.customer);
        let Some(config) = server
            .object(BUCKET, &key)
            .filter(|it| by != 0 && it.metadata.get("deployment-id") == Some(&deployment.plan.id))
        else {
            return;
        };
        let shifted = |time: &str| {
            format_rfc3339(u64::try_from(unix_seconds(time) + by).expect("after 1970"))
        };
        let captured = shifted(&config.metadata["captured-at"]);
        let mut metadata: BTreeMap<&str, &str> = config
            .metadata
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        metadata.insert("captured-at", &captured);
        let metadata: Vec<(&str, &str)> = metadata.into_iter().collect();
        let copy = format!(
            "terragrunt/{}/config-history/{}_{}.yaml",
            self.customer,
            key_timestamp(&captured),
            config.metadata["md5"]
        );
        for key in [&key, &copy] {
            server
                .put(BUCKET, key, &config.body, &metadata)
                .expect("an object");
        }
        let (record_key, mut record) = self.record(&deployment.plan.id);
        let timestamp = shifted(string_field(&record, "timestamp"));
        (record["backup_key"], record["timestamp"]) = (copy.into(), timestamp.clone().into());
        let folder = format!("usage-logs/{}/{}", self.customer, key_timestamp(&timestamp));
        let tail = &md5_hex(deployment.plan.id.as_bytes())[..8];
        server.delete(BUCKET, &record_key).expect("it is deleted");
        server
            .put(
                BUCKET,
                &format!("{folder}-{tail}.json"),
                format!("{record}\n").as_bytes(),
                &[],
            )
            .expect("an object");
        (deployment.started, deployment.ended) = (deployment.started + by, deployment.ended + by);
    }

    fn record(&self, id: &str) -> (String, Value) {
        let keys = self
            .world
            .server
            .keys(BUCKET, &format!("usage-logs/{}/", self.customer));
        let record = |key: &String| {
            serde_json::from_slice(&self.world.server.object(BUCKET, key).expect("it").body)
                .expect("a record")
        };
        let mut records = keys.iter().map(|key| (key.clone(), record(key)));
        records
            .find(|(_, record): &(_, Value)| record["deployment_id"] == id)
            .expect("the record of a deployment that went well")
    }
}

/// Waits until no process locks spool files: a killed process may have passed its locks to a child.
fn wait_for_released_locks(spool: &Path) {
    for file in fs::read_dir(spool).into_iter().flatten() {
        fs::File::open(file.expect("an entry").path())
            .expect("a file")
            .lock()
            .expect("a lock");
    }
}

fn config_content(customer: &str, number: usize) -> String {
    let config = CONFIG.replace("airbnb", customer);
    if number == CONTENTS - 1 {
        config + "broken: [\n"
    } else {
        config.replace("M30", &format!("M{}0", number + 3))
    }
}

fn now_seconds() -> i64 {
    i64::try_from(unix_now()).expect("this century")
}
