//! Wrappers with the names of tools: scripts, links, version managers, and files that are no programs.
//!
//! The helper runs below the real tools: below OpenTofu as the `git` that it calls for a module, and
//! below Terragrunt by `terragrunt exec`. It must find their versions or none, and run nothing else:
//! each wrapper and each canary notes that it was run.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use test_support::campaign::Campaign;
use test_support::terraform_steps::{CustomerUnit, wrap_request};
use test_support::{World, project_dir};

/// The default deadline, and what a busy machine may add.
const MAX_TIME: Duration = Duration::from_secs(30);

/// What is in PATH under the name of a tool, in front of the tool itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WrapperKind {
    /// Nothing.
    None,
    /// A script that becomes the tool.
    ExecScript,
    /// A script that starts the tool.
    StartScript,
    /// A link in another folder, and PATH has no other.
    RelativeLink,
    Folder,
    Fifo,
    /// A script that hangs if it is asked for its version.
    HangingScript,
    /// A script that prints 100 MB if it is asked for its version.
    EndlessScript,
    /// A script with Windows line ends, which cannot be run.
    CrlfScript,
    /// The tool itself, but in the customer's folder, and PATH has no other.
    InCustomerFolder,
    /// The tool is not in PATH.
    NotInPath,
}

const KINDS: [WrapperKind; 11] = [
    WrapperKind::ExecScript,
    WrapperKind::InCustomerFolder,
    WrapperKind::RelativeLink,
    WrapperKind::HangingScript,
    WrapperKind::None,
    WrapperKind::StartScript,
    WrapperKind::Folder,
    WrapperKind::Fifo,
    WrapperKind::EndlessScript,
    WrapperKind::CrlfScript,
    WrapperKind::NotInPath,
];
const TOOLS: [&str; 3] = ["tofu", "terragrunt", "git"];

impl WrapperKind {
    /// Whether the tool can be started through the wrapper.
    fn starts(self) -> bool {
        !matches!(
            self,
            Self::None | Self::Folder | Self::Fifo | Self::CrlfScript | Self::NotInPath
        )
    }

    /// Whether the version is known. That of a tool outside of PATH, or in the customer's folder, is
    /// not asked.
    fn is_version_known(self) -> bool {
        !matches!(self, Self::InCustomerFolder | Self::NotInPath)
    }

    /// Whether the folder of the real tools follows in PATH.
    fn has_tools_in_path(self) -> bool {
        self.is_version_known() && self != Self::RelativeLink
    }
}

/// One case: folders, wrappers and canaries.
struct WrapperCase {
    world: World,
    unit: CustomerUnit,
    tool: &'static str,
    kind: WrapperKind,
    /// The lines of what was run.
    log: PathBuf,
}

/// What went wrong in a case.
#[derive(Debug, Default)]
struct WrapperFindings {
    /// Another version than expected.
    wrong: Vec<String>,
    /// Another program than the tool was run.
    run: Vec<String>,
    /// No record in time.
    blocked: Vec<String>,
}

fn write_script(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, content).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

fn real_tool(tool: &str) -> PathBuf {
    if tool == "git" {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path);
        let found = folders.find_map(|folder| {
            let path = folder.join("git");
            path.is_file().then_some(path)
        });
        return found.expect("git");
    }
    project_dir().join(".tools/bin").join(tool)
}

impl WrapperCase {
    fn new(tool: &'static str, kind: WrapperKind) -> Self {
        let mut world = World::new();
        // Where the server of the world is, and nothing of the machine that runs the test.
        world.set_variable("TG_NO_COLOR", Some("true"));
        let unit = CustomerUnit::in_folder(&world, "customers/airbnb");
        let log = world.path().join("run.log");
        fs::write(&log, "").expect("a log");
        let case = Self {
            world,
            unit,
            tool,
            kind,
            log,
        };
        case.make_wrapper();
        case.make_canaries();
        case.make_checkout();
        case
    }

    fn folder(&self) -> &Path {
        self.unit.config.parent().expect("a folder")
    }

    fn shims(&self) -> PathBuf {
        match self.kind {
            WrapperKind::InCustomerFolder => self.folder().join("bin"),
            _ => self.world.path().join("shims"),
        }
    }

    fn make_wrapper(&self) {
        let path = self.shims().join(self.tool);
        fs::create_dir_all(self.shims()).expect("a folder");
        let real = real_tool(self.tool);
        let real_text = real.display();
        let log = self.log.display();
        // The version that is asked for, of any of the tools.
        let note = format!("case \"$*\" in *version*|*status*) echo \"$0 $*\" >>'{log}'");
        match self.kind {
            WrapperKind::None | WrapperKind::NotInPath => {}
            WrapperKind::ExecScript => write_script(
                &path,
                &format!("#!/bin/sh\n{note} ;; esac\nexec '{real_text}' \"$@\"\n"),
            ),
            WrapperKind::StartScript => write_script(
                &path,
                &format!("#!/bin/sh\n{note} ;; esac\n'{real_text}' \"$@\"\nexit $?\n"),
            ),
            WrapperKind::HangingScript => write_script(
                &path,
                &format!(
                    "#!/bin/sh\n{note}; exec tail -f /dev/null ;; esac\nexec '{real_text}' \"$@\"\n"
                ),
            ),
            WrapperKind::EndlessScript => write_script(
                &path,
                &format!(
                    "#!/bin/sh\n{note}; head -c 100000000 /dev/zero ;; esac\nexec '{real_text}' \"$@\"\n"
                ),
            ),
            WrapperKind::CrlfScript => {
                write_script(
                    &path,
                    &format!("#!/bin/sh\r\nexec '{real_text}' \"$@\"\r\n"),
                );
            }
            WrapperKind::Folder => fs::create_dir_all(&path).expect("a folder"),
            WrapperKind::Fifo => {
                let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo");
                assert!(made.success());
                fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("a mode");
            }
            WrapperKind::RelativeLink => {
                symlink(&real, self.world.path().join("elsewhere")).expect("a link");
                symlink("../elsewhere", &path).expect("a link");
            }
            WrapperKind::InCustomerFolder => symlink(&real, &path).expect("a link"),
        }
    }

    /// Programs in the customer's folder, which is the current one and in PATH in three ways.
    fn make_canaries(&self) {
        let log = self.log.display();
        for name in [
            "version",
            "git",
            "tofu",
            "terraform",
            "terragrunt",
            "ps",
            "--version",
        ] {
            let canary = format!("#!/bin/sh\necho \"$0 $*\" >>'{log}'\n");
            write_script(&self.folder().join(name), &canary);
        }
    }

    /// A checkout whose settings name a program.
    fn make_checkout(&self) {
        let monitor = self.folder().join("version").display().to_string();
        let identity = ["-c", "user.name=jane", "-c", "user.email=jane@example.com"];
        for arguments in [
            &["init", "--quiet"][..],
            &[
                &identity[..],
                &["commit", "--quiet", "--allow-empty", "-m", "first"],
            ]
            .concat(),
            &["config", "core.fsmonitor", &monitor],
        ] {
            let done = Command::new(real_tool("git"))
                .current_dir(self.folder())
                .args(arguments)
                .env("HOME", self.world.home())
                .status()
                .expect("git");
            assert!(done.success(), "{arguments:?}");
        }
    }

    /// PATH of the helper: the current folder in two ways, the customer's folder, the wrapper, the
    /// tools, and the system.
    fn path_variable(&self) -> OsString {
        let mut folders = vec![PathBuf::new(), PathBuf::from("."), self.folder().to_owned()];
        folders.push(self.shims());
        if self.kind.has_tools_in_path() || self.tool == "git" {
            folders.push(project_dir().join(".tools/bin"));
        }
        folders.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from));
        std::env::join_paths(folders).expect("folders without a colon")
    }

    /// Deploys below the tool, and returns how long that took.
    fn deploy(&self) -> Duration {
        let context = self.unit.plan(&self.world);
        let request = wrap_request(&self.unit.deploy_request(&context));
        let request_file = self.world.path().join("request.json");
        fs::write(&request_file, request.to_string()).expect("a request");

        // The helper's parent is not the tool but a shell, as in the module.
        let path = self.path_variable();
        let helper = self.world.helper_command(&[]).get_program().to_owned();
        let step = self.world.path().join("step/git");
        write_script(
            &step,
            "#!/bin/sh\ncd \"$CASE_FOLDER\" || exit\nPATH=$CASE_PATH\nexport PATH\n\
             \"$CASE_HELPER\" deploy <\"$CASE_REQUEST\" >/dev/null\nexit 1\n",
        );
        let module = self.world.path().join("module");
        fs::create_dir_all(&module).expect("a folder");
        let source = "module \"x\" {\n  source = \"git::file:///nowhere\"\n}\n";
        fs::write(module.join("main.tf"), source).expect("a module");
        fs::write(module.join("terragrunt.hcl"), "").expect("a unit");

        let real = real_tool(self.tool);
        let program = if self.kind.starts() && self.tool != "git" {
            self.shims().join(self.tool)
        } else {
            real
        };
        let mut command = match self.tool {
            "terragrunt" => {
                let mut command = self.world.command(program);
                command.args(["exec", "--"]).arg(&step);
                command
            }
            "tofu" => {
                let mut command = self.world.command(program);
                command.arg("get");
                command
            }
            _ => self.world.command(&step),
        };
        // Terragrunt runs `git` as well.
        let step_folder = (self.tool == "tofu").then(|| step.with_file_name(""));
        let system = ["/usr/bin", "/bin"].map(PathBuf::from);
        let step_path = std::env::join_paths(step_folder.into_iter().chain(system));
        command
            .current_dir(&module)
            .env("PATH", step_path.expect("folders without a colon"))
            .env("CASE_FOLDER", self.folder())
            .env("CASE_PATH", path)
            .env("CASE_HELPER", helper)
            .env("CASE_REQUEST", request_file);
        loop {
            let started = Instant::now();
            match command.output() {
                // A process that another test starts has the script open until it is another program.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {}
                ran => {
                    ran.expect("it starts");
                    return started.elapsed();
                }
            }
        }
    }

    /// Deploys and compares.
    fn run(&self) -> WrapperFindings {
        let name = format!("{} {:?}", self.tool, self.kind);
        let mut findings = WrapperFindings::default();
        let took = self.deploy();
        let ran = fs::read_to_string(&self.log).expect("a log");
        if !ran.is_empty() {
            findings.run.push(format!("{name}: {ran}"));
        }
        let records = self.world.usage_records();
        let Some((_, record)) = records.first() else {
            findings.blocked.push(format!("{name}: no record"));
            return findings;
        };
        if took > MAX_TIME {
            findings.blocked.push(format!("{name}: {took:?}"));
        }
        let is_known = self.tool == "git" || self.kind.is_version_known();
        if self.found(record) != is_known && !(is_known && self.is_found_again()) {
            findings.wrong.push(format!("{name}: {record}"));
        }
        findings
    }

    /// Whether one of the next deployments has the version. A busy machine may take longer than a tool
    /// is waited for.
    fn is_found_again(&self) -> bool {
        (0..3).any(|_| {
            self.deploy();
            let records = self.world.usage_records();
            records.iter().any(|(_, record)| self.found(record))
        })
    }

    /// Whether the record has what the tool says.
    fn found(&self, record: &Value) -> bool {
        match self.tool {
            "git" => record["git"]["commit"]
                .as_str()
                .is_some_and(|it| it.len() == 40),
            "tofu" => record["tools"]["terraform"] == "OpenTofu v1.12.6",
            _ => record["tools"]["terragrunt"] == "1.1.3",
        }
    }
}

impl WrapperFindings {
    fn sum(all: impl IntoIterator<Item = Self>) -> Self {
        let mut sum = Self::default();
        for findings in all {
            sum.wrong.extend(findings.wrong);
            sum.run.extend(findings.run);
            sum.blocked.extend(findings.blocked);
        }
        sum
    }

    fn counts(&self) -> [usize; 3] {
        [&self.wrong, &self.run, &self.blocked].map(Vec::len)
    }
}

#[test]
fn a_wrapper_is_never_asked_and_the_tool_behind_it_is() {
    let campaign = Campaign::start("wrappers");
    let mut cases = Vec::new();
    for kind in KINDS {
        for tool in TOOLS {
            cases.push((tool, kind));
        }
    }
    cases.truncate(campaign.pick(12, usize::MAX));
    let done = campaign.run_each(cases.len(), 4, |number| {
        let (tool, kind) = cases[number];
        WrapperCase::new(tool, kind).run()
    });
    let findings = WrapperFindings::sum(done);
    let [wrong, run, blocked] = findings.counts();
    let count = cases.len();
    campaign.print_line(format!(
        "{count} wrappers: {wrong} wrong, {run} run, {blocked} blocked"
    ));
    assert_eq!(findings.counts(), [0, 0, 0], "{findings:#?}");
}

/// Helpers that break a promise on purpose.
#[test]
fn each_counter_of_the_wrappers_detects_its_own() {
    let helper = test_support::helper_path().display().to_string();
    for (script, counts) in [
        (
            format!("PATH=/usr/bin:/bin exec '{helper}' \"$@\""),
            [1, 0, 0],
        ),
        (
            format!("[ ! -x ./version ] || ./version; exec '{helper}' \"$@\""),
            [0, 1, 0],
        ),
        (
            format!("[ \"$1\" != context ] || exec '{helper}' \"$@\""),
            [0, 0, 1],
        ),
    ] {
        let mut case = WrapperCase::new("terragrunt", WrapperKind::None);
        let broken = case.world.path().join("broken");
        write_script(&broken, &format!("#!/bin/sh\n{script}\n"));
        case.world.set_helper(broken);
        let findings = case.run();
        assert_eq!(findings.counts(), counts, "{script}: {findings:?}");
    }
}
