//! What `tools/install` takes from PATH for the demo, what it builds, and what it shows meanwhile.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::customer_stack::{copy_folder, write_script};
use crate::demo::{RUN_IN_TERMINAL, assert_in_order};
use test_support::{project_dir, to_text};

/// A machine whose PATH has nothing but what is laid there, with a copy of `tools` to install into.
struct InstallSandbox {
    folder: TempDir,
}

impl InstallSandbox {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&project_dir().join("tools"), &folder.path().join("tools"));
        let programs = folder.path().join("programs");
        fs::create_dir(&programs).unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        for entry in std::env::split_paths(&path)
            .filter_map(|place| fs::read_dir(place).ok())
            .flatten()
            .map(Result::unwrap)
        {
            let name = entry.file_name();
            if !["go", "terraform", "tofu", "terragrunt"].contains(&&*name.to_string_lossy()) {
                // The first of a name wins, as in PATH.
                let _ = symlink(entry.path(), programs.join(name));
            }
        }
        // It notes what is built, and builds only the provider.
        let sandbox = Self { folder };
        sandbox.lay(
            "go",
            "echo \"$2\" >>\"${0%/*}/../built\"\n\
             case $2 in *-provider-external) mkdir -p \"$GOBIN\"; echo stub >\"$GOBIN/terraform-provider-external\"\n\
             chmod +x \"$GOBIN/terraform-provider-external\" ;; *) echo 'error: out of reach'; exit 1 ;; esac",
        );
        sandbox
    }

    fn lay(&self, name: &str, body: &str) {
        write_script(&self.folder.path().join("programs").join(name), body, true);
    }

    fn install(&self, names: &[&str]) -> Output {
        Command::new(self.folder.path().join("tools/install"))
            .args(names)
            .env("PATH", self.folder.path().join("programs"))
            .env_remove("TF_CLI_CONFIG_FILE")
            .output()
            .unwrap()
    }

    /// Installs, which must succeed, and returns what is shown.
    #[track_caller]
    fn install_all(&self, names: &[&str]) -> String {
        let output = self.install(names);
        let shown = to_text(&output.stdout);
        assert!(
            output.status.success(),
            "{shown}{}",
            to_text(&output.stderr)
        );
        shown
    }

    /// The pins that were built, in order.
    fn built(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("built")).unwrap_or_default();
        text.lines()
            .map(|line| line.trim_start_matches("tools/pins/").to_owned())
            .collect()
    }
}

#[test]
fn the_demo_takes_what_is_supported_from_path_and_builds_only_the_provider() {
    let sandbox = InstallSandbox::new();
    sandbox.lay("tofu", "echo OpenTofu v1.10.9");
    sandbox.lay("terraform", "echo Terraform v1.10.0");
    sandbox.lay("terragrunt", "echo terragrunt version 1.0.3");
    let shown = sandbox.install_all(&["demo"]);
    assert_eq!(sandbox.built(), ["terraform-provider-external"]);
    assert_in_order(
        &shown,
        &[
            "tools: looking for terragrunt",
            "[1/1] terraform-provider-external 1.2.0 ...",
            ", log .tools/log/terraform-provider-external\n",
            "[1/1] terraform-provider-external 1.2.0 ready after ",
            "the demo takes terraform 1.10.0",
            "the demo takes terragrunt 1.0.3",
        ],
    );
    let names = |folder: &Path| -> BTreeSet<String> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    let tools = sandbox.folder.path().join(".tools");
    assert_eq!(
        names(&tools.join("demo")),
        ["terraform", "terragrunt"].map(str::to_owned).into()
    );
    // The tests have their own pins, which the demo does not touch.
    assert_eq!(
        names(&tools.join("bin")),
        ["terraform-provider-external"].map(str::to_owned).into()
    );
    assert!(!shown.contains(['\u{1b}', '\r']), "{shown}");
    // A second run builds nothing.
    sandbox.install_all(&["demo"]);
    assert_eq!(sandbox.built().len(), 1);
}

#[test]
fn a_build_ticks_on_a_terminal_without_escape_codes() {
    let sandbox = InstallSandbox::new();
    let go = sandbox.folder.path().join("programs/go");
    // It builds until the test says so.
    let body = fs::read_to_string(&go).unwrap();
    let gate = sandbox.folder.path().join("gate");
    let waiting = format!("read -r _ <'{}'\n{body}", gate.display());
    write_script(&go, &waiting, true);
    assert!(
        Command::new("mkfifo")
            .arg(&gate)
            .status()
            .unwrap()
            .success()
    );
    let mut running = Command::new("python3")
        .args(["-c", RUN_IN_TERMINAL])
        .arg(sandbox.folder.path().join("tools/install"))
        .arg("terraform-provider-external")
        .env("PATH", sandbox.folder.path().join("programs"))
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = String::new();
    let mut output = BufReader::new(running.stdout.take().unwrap());
    let mut piece = Vec::new();
    // Each tick follows a carriage return.
    while !shown.contains("building: terraform-provider-external ") {
        piece.clear();
        assert!(output.read_until(b'\r', &mut piece).unwrap() > 0, "{shown}");
        shown += &to_text(&piece);
    }
    fs::write(&gate, "go\n").unwrap();
    output.read_to_string(&mut shown).unwrap();
    assert!(running.wait().unwrap().success(), "{shown}");
    assert!(shown.contains("1.2.0 ready after "), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn the_demo_builds_what_path_has_too_old_or_broken() {
    let sandbox = InstallSandbox::new();
    sandbox.lay("tofu", "echo OpenTofu v1.10.9");
    sandbox.lay("terraform", "echo Terraform v1.9.8");
    sandbox.lay("terragrunt", "echo no version is set >&2; exit 126");
    let output = sandbox.install(&["demo"]);
    let errors = to_text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert_eq!(
        sandbox.built(),
        ["opentofu", "terragrunt", "terraform-provider-external"]
    );
    assert!(
        errors.contains("install `tofu` 1.12.6: error: out of reach (log: .tools/log/opentofu)"),
        "{errors}"
    );
}

#[test]
fn without_go_the_demo_leaves_the_provider_to_its_registry() {
    let sandbox = InstallSandbox::new();
    fs::remove_file(sandbox.folder.path().join("programs/go")).unwrap();
    sandbox.lay("tofu", "echo OpenTofu v1.11.0");
    sandbox.lay("terragrunt", "echo terragrunt version v1.9.0");
    let shown = sandbox.install_all(&["demo"]);
    assert!(
        shown.contains("hashicorp/external comes from its registry"),
        "{shown}"
    );
    assert!(!sandbox.folder.path().join(".tools/tofurc").exists());
}

#[test]
fn the_demo_supports_what_the_documentation_and_doctor_support() {
    let read = |path: &str| fs::read_to_string(project_dir().join(path)).unwrap();
    let install = read("tools/install");
    let supported = install.split_once("\nsupported='\n").unwrap().1;
    let rows: Vec<Vec<&str>> = supported
        .lines()
        .take_while(|line| !line.starts_with('\''))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let [[_, terraform], [_, tofu], [_, terragrunt]] =
        [0, 1, 2].map(|row| [rows[row][0], rows[row][1]]);
    let page = read("docs/install.md");
    assert!(page.contains(&format!(
        "Terraform {terraform} or later, or OpenTofu {tofu} or later"
    )));
    let doctor = read("src/doctor/machine_checks.rs");
    assert!(doctor.contains(&format!("install Terragrunt {terragrunt} or later")));
}
