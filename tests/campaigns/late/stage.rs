//! Plays the steps of a history with the real helper.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use super::history::{CredentialsSource, DeployStep, LateNetwork, LateStep, PEOPLE};
use test_support::oracle::{unix_now, wait_for_next_second};
use test_support::terraform_steps::{CustomerUnit, string_field};
use test_support::{BUCKET, CONFIG, World, refused_endpoint, to_text};

const HOMES: [&str; 2] = ["home of the first machine", "home of the second machine"];

/// A deployment as its machine saw it.
#[derive(Debug, Clone)]
pub(super) struct PlayedDeployment {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) message: String,
    pub(super) has_plan_asked_sts: bool,
}

/// A customer's bucket and the two machines.
pub(super) struct LateStage {
    pub(super) world: World,
}

impl LateStage {
    pub(super) fn new(arrange: impl FnOnce(&mut World)) -> Self {
        let mut world = World::new();
        // Without git and tools, which take most of the time and do not matter here.
        world.set_variable("PATH", Some("/usr/bin:/bin"));
        for home in HOMES {
            world.move_to(home);
            let mut config = String::new();
            for (name, _) in PEOPLE {
                let _ = write!(
                    config,
                    "[profile expired-{name}]\ncredential_process = /bin/false\n"
                );
            }
            fs::write(world.home().join(".aws/config"), config).expect("profiles");
        }
        arrange(&mut world);
        Self { world }
    }

    /// Takes a step in a second of its own, so that the order of the steps is known to the second.
    pub(super) fn take_step(&mut self, step: &LateStep) -> Option<PlayedDeployment> {
        wait_for_next_second(unix_now());
        match step {
            LateStep::Deploy(step) => Some(self.deploy(step)),
            LateStep::Replay { machine, person } => {
                self.replay(*machine, *person);
                None
            }
        }
    }

    fn deploy(&mut self, step: &DeployStep) -> PlayedDeployment {
        self.world.move_to(HOMES[step.machine]);
        let unit = CustomerUnit::new(&self.world);
        let name = PEOPLE[step.person].0;
        let profile = match step.source {
            CredentialsSource::Profile => format!("profile: {name}"),
            CredentialsSource::ExpiredProfile => format!("profile: expired-{name}"),
            CredentialsSource::Environment => "other: value".to_owned(),
        };
        unit.write_config(content_of(step.content).replace("profile: default", &profile));
        self.become_person(step.planner, step.source);
        self.connect(step.plan);
        let context = unit.plan(&self.world);
        self.become_person(step.person, step.source);
        self.connect(step.apply);
        let has_plan_asked_sts = !string_field(&context, "caller_arn").is_empty();
        let deployed = unit.apply(&self.world, context);
        PlayedDeployment {
            id: deployed.deployment_id().to_owned(),
            status: string_field(&deployed.answer, "status").to_owned(),
            message: deployed.message().to_owned(),
            has_plan_asked_sts,
        }
    }

    fn become_person(&mut self, person: usize, source: CredentialsSource) {
        let key = match source {
            CredentialsSource::Environment => Some(PEOPLE[person].0),
            CredentialsSource::Profile | CredentialsSource::ExpiredProfile => None,
        };
        self.set_environment_key(key);
    }

    fn set_environment_key(&mut self, name: Option<&str>) {
        let access_key = name.map(|name| format!("AKIA{}", name.to_uppercase()));
        let secret_key = name.map(|name| format!("secret-of-{name}"));
        let world = &mut self.world;
        world.set_variable("AWS_ACCESS_KEY_ID", access_key.as_deref());
        world.set_variable("AWS_SECRET_ACCESS_KEY", secret_key.as_deref());
    }

    fn connect(&mut self, network: LateNetwork) {
        self.world.restore_endpoints();
        match network {
            LateNetwork::Good => {}
            LateNetwork::Offline => self.world.set_endpoint(&refused_endpoint()),
            LateNetwork::WithoutS3 => self.world.set_s3_endpoint(&refused_endpoint()),
        }
    }

    fn replay(&mut self, machine: usize, person: usize) {
        self.world.move_to(HOMES[machine]);
        self.set_environment_key(Some(PEOPLE[person].0));
        self.connect(LateNetwork::Good);
        let output = self.world.helper_command(&["replay"]).output();
        assert!(output.expect("replay").status.code().is_some());
    }

    /// The logins are renewed, and both machines send what they have.
    pub(super) fn send_everything(&mut self) {
        for (machine, home) in HOMES.into_iter().enumerate() {
            self.world.move_to(home);
            let file = self.world.home().join(".aws/config");
            let mut config = String::new();
            for (name, _) in PEOPLE {
                let key = format!("AKIA{}", name.to_uppercase());
                let _ = write!(
                    config,
                    "[profile expired-{name}]\naws_access_key_id = {key}\n\
                     aws_secret_access_key = secret-of-{name}\n"
                );
            }
            fs::write(file, config).expect("profiles");
            self.replay(machine, 0);
        }
    }

    /// The files in both spools and quarantines.
    pub(super) fn spooled_files(&self) -> Vec<String> {
        let mut names = Vec::new();
        for home in HOMES {
            let state = self
                .world
                .path()
                .join(home)
                .join(".local/state/config-backup");
            for folder in ["spool", "quarantine"] {
                let entries = fs::read_dir(state.join(folder)).into_iter().flatten();
                names.extend(entries.flatten().map(|it| it.path().display().to_string()));
            }
        }
        names
    }

    pub(super) fn records(&self) -> Vec<Value> {
        let records = self.world.usage_records();
        records.into_iter().map(|(_, record)| record).collect()
    }

    pub(super) fn current_config(&self) -> Option<String> {
        let object = self
            .world
            .server
            .object(BUCKET, "terragrunt/airbnb/config.yaml");
        object.map(|object| to_text(&object.body))
    }

    /// What `restore` gives back.
    pub(super) fn restored_config(&self) -> String {
        let restore = ["restore", "airbnb", "--stdout", "--profile", "default"];
        let output = self.world.helper_command(&restore).output();
        to_text(&output.expect("restore").stdout)
    }

    /// Whether `verify` finds nothing.
    pub(super) fn verified(&self) -> Result<(), String> {
        let verify = ["verify", "--profile", "default"];
        let output = self.world.helper_command(&verify).output().expect("verify");
        if output.status.success() {
            Ok(())
        } else {
            Err(to_text(&output.stdout))
        }
    }
}

/// A config; its number stands in it.
fn content_of(number: usize) -> String {
    CONFIG.replace("M30", &format!("M{}0", number + 3))
}

/// The number of a config's content.
pub(super) fn content_number(config: &str) -> Option<usize> {
    let (_, size) = config.split_once("instance_size: M")?;
    let digit = size.chars().next()?.to_digit(10)?;
    usize::try_from(digit).ok()?.checked_sub(3)
}
