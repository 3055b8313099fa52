//! A customer folder with the template's three units, and terragrunt run in it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_support::oracle::python_path;
use test_support::{
    InitializedUnit, World, assert_no_secret, helper_path, project_dir, run_with_input, to_text,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerraformTool {
    /// The pinned OpenTofu from `.tools`.
    Tofu,
    /// Terraform on PATH, because no package registry has it.
    Terraform,
}

impl TerraformTool {
    /// The executable. `None` if it is missing, which is printed to stderr so that no test is
    /// skipped silently.
    pub fn find(self) -> Option<PathBuf> {
        let found = match self {
            Self::Tofu => pinned_tool("tofu"),
            Self::Terraform => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                let found = std::env::split_paths(&path)
                    .map(|folder| folder.join("terraform"))
                    .find(|path| path.is_file());
                if found.is_none() {
                    let _ = writeln!(
                        std::io::stderr(),
                        "NOT RUN: terraform is not on PATH; a test of it did nothing"
                    );
                }
                return found;
            }
        };
        Some(found)
    }
}

/// Makes a test for each tool out of a function that takes a stack.
macro_rules! with_both_tools {
    ($($name:ident),* $(,)?) => {
        mod tofu {
            $(#[test] fn $name() { crate::customer_stack::CustomerStack::new(crate::customer_stack::TerraformTool::Tofu).into_iter().for_each(super::$name); })*
        }
        mod terraform {
            $(#[test] fn $name() { crate::customer_stack::CustomerStack::new(crate::customer_stack::TerraformTool::Terraform).into_iter().for_each(super::$name); })*
        }
    };
}
pub(crate) use with_both_tools;

/// A tool that `make tools` installs.
pub fn pinned_tool(name: &str) -> PathBuf {
    let path = project_dir().join(".tools/bin").join(name);
    assert!(
        path.is_file(),
        "{} is not there: run `make tools`",
        path.display()
    );
    path
}

/// The unit in the template folder.
static UNIT: InitializedUnit = InitializedUnit::new();

/// A customer folder in a world.
pub struct CustomerStack {
    pub world: World,
    /// The customer folder.
    pub folder: PathBuf,
    tool: PathBuf,
    /// Environment variables to set or, without a value, to remove.
    more: Vec<(&'static str, Option<String>)>,
}

#[derive(Debug)]
pub struct TerragruntRun {
    /// The exit code.
    pub code: i32,
    /// stdout and stderr.
    pub output: String,
}

impl CustomerStack {
    /// The template folder with the unit of `init`; `None` if the tool is missing.
    pub fn new(tool: TerraformTool) -> Option<Self> {
        let stack = Self::without_unit(tool, "airbnb")?;
        UNIT.create_in(&stack.folder, || stack.run_init());
        Some(stack)
    }

    /// The template folder at `place`, without the unit.
    pub fn without_unit(tool: TerraformTool, place: &str) -> Option<Self> {
        let tool = tool.find()?;
        let world = World::new();
        let folder = world.path().join(place);
        copy_folder(&project_dir().join("terragrunt/airbnb"), &folder);
        Some(Self {
            world,
            folder,
            tool,
            more: Vec::new(),
        })
    }

    /// Writes the unit with `init`.
    pub fn run_init(&self) {
        let done = self
            .command(&helper_path())
            .arg("init")
            .arg(&self.folder)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// Replaces the legacy module, which `init` does not do by itself.
    pub fn force_init(&self) {
        let init = |arguments: &[&str]| {
            self.command(&helper_path())
                .args(arguments)
                .arg(&self.folder)
                .output()
                .unwrap()
        };
        assert_eq!(init(&["init"]).status.code(), Some(1));
        let moved = init(&["init", "--force"]);
        assert!(moved.status.success(), "{moved:?}");
    }

    /// Stores the states locally instead of in S3, for tests with a broken S3.
    pub fn with_local_state(self) -> Self {
        let root = "locals {\n  config = try(yamldecode(file(\"${get_parent_terragrunt_dir(\"root\")}/config.yaml\")), {})\n}\n\nremote_state {\n  backend  = \"local\"\n  generate = { path = \"backend.tf\", if_exists = \"overwrite_terragrunt\" }\n  \
                    config   = { path = \"${get_parent_terragrunt_dir(\"root\")}/.state/${path_relative_to_include()}.tfstate\" }\n}\n";
        fs::write(self.folder.join("root.hcl"), root).unwrap();
        self
    }

    /// Sets a variable of the environment for all later runs.
    pub fn set_variable(&mut self, name: &'static str, value: &str) {
        self.more.push((name, Some(value.to_owned())));
    }

    /// Removes a variable of the environment for all later runs.
    pub fn unset_variable(&mut self, name: &'static str) {
        self.more.push((name, None));
    }

    /// The executable of the tool.
    pub fn tool_path(&self) -> &Path {
        &self.tool
    }

    /// Removes every provider: the installed ones and the mirror.
    pub fn remove_providers(&mut self) {
        let mirror = self.world.path().join("empty mirror");
        let settings = self.world.path().join("empty.tfrc");
        fs::create_dir_all(&mirror).unwrap();
        fs::write(
            &settings,
            format!(
                "provider_installation {{\n  filesystem_mirror {{\n    path = \"{}\"\n  }}\n}}\n",
                mirror.display()
            ),
        )
        .unwrap();
        self.set_variable("TF_CLI_CONFIG_FILE", settings.to_str().unwrap());
        let _ = fs::remove_dir_all(self.folder.join("config-backup/.terragrunt-cache"));
        let _ = fs::remove_file(self.folder.join("config-backup/.terraform.lock.hcl"));
    }

    /// Edits a file of the unit, as a user changes a setting.
    pub fn change_unit(&self, from: &str, to: &str) {
        let path = self.folder.join("config-backup/terragrunt.hcl");
        let before = fs::read_to_string(&path).unwrap();
        assert!(before.contains(from), "`{from}` is not in terragrunt.hcl");
        fs::write(path, before.replacen(from, to, 1)).unwrap();
    }

    /// A command with the tools and the helper on PATH.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = self.world.command(program);
        let (helper, tools) = (helper_path(), project_dir().join(".tools/bin"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [helper.parent().unwrap().to_owned(), tools]
            .into_iter()
            .chain(std::env::split_paths(&path));
        command
            .current_dir(&self.folder)
            .env("PATH", std::env::join_paths(folders).unwrap())
            .env("TF_CLI_CONFIG_FILE", project_dir().join(".tools/tofurc"))
            .env("TG_TF_PATH", &self.tool)
            .env("TG_NO_COLOR", "true")
            .env("TF_CLI_ARGS", "-no-color")
            .env("CHECKPOINT_DISABLE", "1");
        for (name, value) in &self.more {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs terragrunt in the customer folder; its output must contain no secret.
    pub fn run_terragrunt(&self, arguments: &[&str]) -> TerragruntRun {
        self.terragrunt_with_input(arguments, "")
    }

    /// Runs terragrunt with an answer on its stdin.
    pub fn terragrunt_with_input(&self, arguments: &[&str], input: &str) -> TerragruntRun {
        let mut command = self.command(&pinned_tool("terragrunt"));
        command.args(arguments);
        let output = run_with_input(command, input.as_bytes());
        let output_text = to_text(&output.stdout) + &to_text(&output.stderr);
        assert_no_secret("terragrunt's output", &output_text);
        TerragruntRun {
            code: output.status.code().unwrap_or(-1),
            output: output_text,
        }
    }

    /// Runs terraform or tofu itself in some folder.
    pub fn run_tool(&self, folder: &Path, arguments: &[&str]) -> TerragruntRun {
        let output = self
            .command(&self.tool)
            .current_dir(folder)
            .args(arguments)
            .output()
            .unwrap();
        let output_text = to_text(&output.stdout) + &to_text(&output.stderr);
        assert_no_secret("the tool's output", &output_text);
        TerragruntRun {
            code: output.status.code().unwrap_or(-1),
            output: output_text,
        }
    }

    /// Its version line, such as `OpenTofu v1.12.6`.
    pub fn version(&self) -> String {
        self.run_tool(&self.folder, &["version"])
            .expect_success()
            .output
    }

    /// Deploys all units.
    pub fn apply_all(&self) -> TerragruntRun {
        self.run_terragrunt(&["apply", "--all", "--non-interactive"])
    }

    /// Deploys the unit alone.
    pub fn apply_unit(&self) -> TerragruntRun {
        self.run_terragrunt(&["apply", "--working-dir=config-backup", "-auto-approve"])
    }

    /// Edits the config, as a user does between two deployments.
    pub fn change_config(&self, from: &str, to: &str) {
        let path = self.folder.join("config.yaml");
        let before = fs::read_to_string(&path).unwrap();
        assert!(before.contains(from));
        fs::write(path, before.replace(from, to)).unwrap();
    }

    /// The MD5 of the config file, by Python.
    pub fn config_md5(&self) -> String {
        let script =
            "import hashlib,sys;print(hashlib.md5(open(sys.argv[1],'rb').read()).hexdigest())";
        let output = Command::new(python_path())
            .args(["-c", script])
            .arg(self.folder.join("config.yaml"))
            .output()
            .unwrap();
        to_text(&output.stdout).trim().to_owned()
    }
}

impl TerragruntRun {
    /// Asserts that the run succeeded.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.output);
        self
    }

    /// The warnings of the unit: the message of the failed check, or the line of the `error_hook`.
    pub fn warnings(&self) -> Vec<String> {
        let from_check = self.has_failed_check().then(|| self.message());
        let from_hook = self
            .output
            .lines()
            .filter_map(|line| line.strip_prefix("config-backup: WARNING: "))
            .map(str::to_owned);
        from_check.into_iter().chain(from_hook).collect()
    }

    /// The output `message` of the last apply of the unit, in one line; empty if there is none.
    pub fn message(&self) -> String {
        let is_output = |line: &&str| {
            line.contains(": message ") && line.contains(" = \"") && line.ends_with('"')
        };
        let line = self.output.lines().rfind(is_output).unwrap_or_default();
        let quoted = line.split_once(" = ").map_or("\"\"", |(_, quoted)| quoted);
        serde_json::from_str(quoted).unwrap_or_else(|error| panic!("{quoted}: {error}"))
    }

    /// Whether the check of the unit warns.
    pub fn has_failed_check(&self) -> bool {
        self.output.contains("Check block assertion failed")
    }

    /// The reasons that terragrunt gives for errors that it ignored.
    pub fn ignored_errors(&self) -> Vec<&str> {
        self.output
            .lines()
            .filter_map(|line| line.split_once("Ignoring error, reason: "))
            .map(|(_, reason)| reason)
            .collect()
    }

    /// Asserts that the unit had no warning and no error.
    #[track_caller]
    pub fn assert_healthy(&self) {
        assert!(
            self.warnings().is_empty() && self.ignored_errors().is_empty(),
            "{}",
            self.output
        );
    }

    /// Whether both clusters were deployed.
    pub fn has_clusters(&self) -> bool {
        let applied = |unit: &str| {
            self.output
                .lines()
                .any(|line| line.contains(unit) && line.contains("Apply complete!"))
        };
        applied("[atlas-cluster]") && applied("[eks-cluster]")
    }

    /// Asserts that both clusters were deployed.
    #[track_caller]
    pub fn assert_clusters_applied(&self) {
        assert!(
            self.has_clusters(),
            "a cluster was not applied:\n{}",
            self.output
        );
    }
}

/// The content of all files below a folder, including the files in plan archives.
pub fn folder_contents(folder: &Path) -> String {
    let script = "import os,sys,zipfile\n\
                  out=sys.stdout.buffer\n\
                  for base,_,names in os.walk(sys.argv[1]):\n\
                  \x20 for name in names:\n\
                  \x20  path=os.path.join(base,name)\n\
                  \x20  if os.path.islink(path) or name.startswith('terraform-provider-'): continue\n\
                  \x20  out.write(('\\n## '+path+'\\n').encode())\n\
                  \x20  if zipfile.is_zipfile(path):\n\
                  \x20   with zipfile.ZipFile(path) as z: [out.write(z.read(n)) for n in z.namelist()]\n\
                  \x20  else: out.write(open(path,'rb').read())\n";
    let output = Command::new(python_path())
        .args(["-c", script])
        .arg(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    to_text(&output.stdout)
}

/// Copies a folder without the files of builds and runs.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name().to_string_lossy().starts_with(".terra") {
            continue;
        }
        if source.is_dir() {
            copy_folder(&source, &target);
        } else {
            fs::copy(source, target).unwrap();
        }
    }
}

/// Writes a shell script in place of the helper.
pub fn write_script(path: &Path, body: &str, executable: bool) {
    use std::os::unix::fs::PermissionsExt as _;
    let mut text = String::from("#!/bin/sh\n");
    let _ = writeln!(text, "{body}");
    fs::write(path, text).unwrap();
    fs::set_permissions(
        path,
        fs::Permissions::from_mode(if executable { 0o755 } else { 0o644 }),
    )
    .unwrap();
}
