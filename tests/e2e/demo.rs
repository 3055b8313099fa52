//! What a newcomer sees: the stories of `make demo` and `make try`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::customer_stack::{TerraformTool, pinned_tool};
use test_support::{assert_no_secret, helper_path, project_dir, to_text};

/// What both stories show, in this order.
const CLAIMS: [&str; 18] = [
    "\n1 Deploy: ",
    "\n2 Change: ",
    "\n3 Outage: ",
    "\njane$ config-backup status\n",
    "2 queued, 0 in quarantine",
    "\njane$ config-backup replay\n",
    "2 sent, 0 left",
    "\n4 Who deployed what: ",
    "airbnb    jane.roe ",
    "airbnb    john.doe ",
    "usage.html\n",
    "\n5 History: ",
    "~ mongodb.instance_size: M30 -> M40",
    "md5, sha256 and size verified",
    "\n6 Tampered: ",
    "1 customer: no problems",
    "edited: usage-logs/airbnb/",
    "1 customer: 1 problem\n",
];

/// Python that runs its arguments in a terminal of their own, and ends as they do.
pub(crate) const RUN_IN_TERMINAL: &str = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";

/// The most lines that a story may have.
const MAX_LINES: usize = 60;

/// A folder for one story: what it leaves there, and nothing in its TMPDIR.
struct StoryStage {
    folder: TempDir,
}

/// The folder with the helper and the local S3, built as `make try` builds them.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = helper_path().parent().expect("a folder").to_owned();
    let mut build = Command::new(env!("CARGO"));
    build
        .args(helper_build())
        .arg("--quiet")
        .current_dir(project_dir())
        .env("CARGO_TARGET_DIR", folder.parent().expect("target"));
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let built = build.output().unwrap();
    assert!(built.status.success(), "{}", to_text(&built.stderr));
    folder
});

impl StoryStage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["target", "tools", "tmp"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        symlink(&*PROGRAMS, folder.path().join("target/debug")).unwrap();
        Self { folder }
    }

    /// The script, in a terminal of its own if `terminal` is its name.
    fn command(&self, arguments: &[&str], terminal: Option<&str>) -> Command {
        let script = project_dir().join("tests/demo.sh");
        let mut command = match terminal {
            Some(_) => Command::new("python3"),
            None => Command::new(&script),
        };
        if let Some(name) = terminal {
            command
                .args(["-c", RUN_IN_TERMINAL])
                .arg(&script)
                .env("TERM", name);
        }
        command
            .args(arguments)
            .env("TMPDIR", self.folder.path().join("tmp"))
            .env("CARGO_TARGET_DIR", self.folder.path().join("target"))
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        command
    }

    /// Lays terragrunt and one other tool down, as `tools/install demo` does.
    fn lay_tools(&self, tool: TerraformTool) -> Option<PathBuf> {
        let tools = self.folder.path().join("tools");
        let found = tool.find()?;
        symlink(&found, tools.join(found.file_name().unwrap())).unwrap();
        symlink(pinned_tool("terragrunt"), tools.join("terragrunt")).unwrap();
        Some(tools)
    }

    /// Asserts that a story is whole, short and plain, and that its log and its page are where it
    /// says. Returns the log.
    #[track_caller]
    fn assert_told(&self, name: &str, output: &Output) -> String {
        let shown = to_text(&output.stdout);
        let errors = to_text(&output.stderr);
        assert!(
            output.status.success() && errors.is_empty(),
            "{shown}{errors}"
        );
        assert_in_order(&shown, &CLAIMS);
        let lines = shown.lines().count();
        assert!(lines <= MAX_LINES, "{lines} lines:\n{shown}");
        assert!(!shown.contains(['\u{1b}', '\r']), "{shown}");

        let results = self.folder.path().join("target").join(name);
        assert!(
            shown.contains(results.join("log").to_str().unwrap()),
            "{shown}"
        );
        let page = fs::read_to_string(results.join("usage.html")).unwrap();
        assert!(page.contains("<html") && page.contains("jane.roe"));
        let log = fs::read_to_string(results.join("log")).unwrap();
        assert_no_secret("the log", &log);
        let left = fs::read_dir(self.folder.path().join("tmp")).unwrap();
        assert_eq!(left.count(), 0);
        log
    }
}

/// Asserts that a text has all parts, one after the other.
#[track_caller]
pub fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some((_, after)) = rest.split_once(part.trim_end_matches('\n')) else {
            panic!("{part:?} is missing, or too early, in\n{text}");
        };
        rest = after;
    }
}

fn tells_the_story_with(tool: TerraformTool, prefix: &str) {
    let stage = StoryStage::new();
    let Some(tools) = stage.lay_tools(tool) else {
        return;
    };
    let output = stage
        .command(&["--tools", tools.to_str().unwrap()], None)
        .output()
        .unwrap();
    let log = stage.assert_told("demo", &output);
    // The tool that was laid down is the one that deployed.
    assert!(
        log.contains(&format!("[atlas-cluster] {prefix}: ")),
        "{log}"
    );
    let applied = log.matches("Apply complete!").count();
    assert_eq!(applied, 3 * 3, "{log}");
    // The outage stopped no unit.
    let shown = to_text(&output.stdout);
    assert_in_order(
        &shown,
        &["3 Outage", "Succeeded    3", "config-backup status"],
    );
}

#[test]
fn make_demo_tells_the_story_with_opentofu() {
    tells_the_story_with(TerraformTool::Tofu, "tofu");
}

#[test]
fn make_demo_tells_the_story_with_terraform() {
    tells_the_story_with(TerraformTool::Terraform, "terraform");
}

#[test]
fn make_try_tells_the_story_without_terragrunt() {
    let stage = StoryStage::new();
    let output = stage.command(&["--quick"], None).output().unwrap();
    let log = stage.assert_told("try", &output);
    assert!(!log.contains("terragrunt apply --all --non"), "{log}");
}

#[test]
fn make_demo_without_its_tools_says_what_is_missing() {
    let stage = StoryStage::new();
    let tools = stage.folder.path().join("tools");
    let output = stage
        .command(&["--tools", tools.to_str().unwrap()], None)
        .output()
        .unwrap();
    let errors = to_text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("does not have terragrunt and tofu or terraform; run 'make demo'"));
    let left = fs::read_dir(stage.folder.path().join("tmp")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn a_story_has_colours_only_on_a_terminal_that_wants_them() {
    for (terminal, no_color, is_colourful) in [
        ("xterm-256color", false, true),
        ("xterm-256color", true, false),
        ("dumb", false, false),
    ] {
        let stage = StoryStage::new();
        let mut command = stage.command(&["--quick"], Some(terminal));
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let output = command.output().unwrap();
        let shown = to_text(&output.stdout);
        assert!(
            output.status.success(),
            "{shown}{}",
            to_text(&output.stderr)
        );
        assert_eq!(
            shown.contains('\u{1b}'),
            is_colourful,
            "{terminal}: {shown}"
        );
        assert!(shown.lines().count() <= MAX_LINES, "{terminal}: {shown}");
        assert!(
            shown.contains("1 customer: 1 problem"),
            "{terminal}: {shown}"
        );
    }
}

#[test]
fn a_kept_story_can_be_played_with() {
    let stage = StoryStage::new();
    let output = stage
        .command(&["--quick", "--keep"], None)
        .output()
        .unwrap();
    let shown = to_text(&output.stdout);
    assert!(
        output.status.success(),
        "{shown}{}",
        to_text(&output.stderr)
    );
    assert!(shown.lines().count() <= MAX_LINES, "{shown}");
    let told = |from: &str| {
        let after = shown.split_once(from).expect(from).1;
        after.lines().next().unwrap().to_owned()
    };
    let enter = told("To play with this one: ");
    let play = Command::new("bash")
        .arg("-c")
        .arg(format!("{enter} && config-backup history airbnb"))
        .output()
        .unwrap();
    let end = Command::new("bash")
        .arg("-c")
        .arg(told("When you are done: "))
        .status()
        .unwrap();
    let rows = to_text(&play.stdout).lines().count();
    assert!(play.status.success() && rows >= 3, "{play:?}");
    assert!(end.success());
    let left = fs::read_dir(stage.folder.path().join("tmp")).unwrap();
    assert_eq!(left.count(), 0);
}

/// The arguments of Cargo in `tools/install`.
fn helper_build() -> Vec<String> {
    let install = fs::read_to_string(project_dir().join("tools/install")).unwrap();
    let after = install.split_once("\nhelper_build=(").unwrap().1;
    let words = after.split_once(')').unwrap().0;
    words.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn make_try_and_the_tests_compile_the_same_dependencies() {
    let list_packages = |selection: &[&str]| -> BTreeSet<String> {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--locked",
                "--prefix",
                "none",
                "--no-dedupe",
                "--format",
                "{p} {f}",
            ])
            .args(selection)
            .current_dir(project_dir())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", to_text(&output.stderr));
        to_text(&output.stdout).lines().map(str::to_owned).collect()
    };
    let build = helper_build();
    let packages: Vec<&str> = build[1..].iter().map(String::as_str).collect();
    let in_try = list_packages(&[&packages[1..], &["--edges", "normal,build"]].concat());
    let in_tests = list_packages(&["--workspace", "--edges", "normal,build,dev"]);
    assert!(in_try.len() > 200, "{in_try:?}");
    let others: Vec<_> = in_try.difference(&in_tests).collect();
    assert!(
        others.is_empty(),
        "with other features than in the tests: {others:?}"
    );
}
