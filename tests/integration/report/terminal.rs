//! `report` at a terminal: width, colour, progress, Ctrl-C, help and manual pages.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::oracle::python_path;
use test_support::{BUCKET, World, helper_path, run_with_input, to_text};

/// A world with a deployment whose text contains terminal control sequences.
fn world_with_records() -> World {
    let world = World::new();
    let record = "{\"timestamp\":\"2026-03-02T08:00:00Z\",\"customer\":\"acme\",\"user\":\"arn:aws:iam::1:user/jane\",\"additional_users_count\":12,\
                  \"project_name\":\"a project of a long name\",\"cluster_name\":\"\\u001b[2J in a long cluster name\"}\n";
    world
        .server
        .put(
            BUCKET,
            "usage-logs/acme/2026-03-02_080000.json",
            record.as_bytes(),
            &[],
        )
        .expect("put");
    world
}

/// Runs `report` on a terminal and returns its output.
fn on_a_terminal(world: &World, arguments: &[&str]) -> String {
    helper_on_a_terminal(
        world,
        &[&["report", "--profile", "default"], arguments].concat(),
    )
}

/// Runs the helper on a terminal of 60 columns (pty of python3) and returns its output.
pub(crate) fn helper_on_a_terminal(world: &World, arguments: &[&str]) -> String {
    let script = "import fcntl,os,pty,struct,sys,termios\n\
                  pid, fd = pty.fork()\n\
                  if pid == 0:\n    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 60, 0, 0))\n    os.execv(sys.argv[1], sys.argv[1:])\n\
                  shown = b''\n\
                  while True:\n\
                  \x20   try:\n        part = os.read(fd, 65536)\n\
                  \x20   except OSError:\n        break\n\
                  \x20   if not part:\n        break\n\
                  \x20   shown += part\n\
                  sys.stdout.buffer.write(shown)\n\
                  sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";
    let mut command = world.command(python_path());
    command
        .args(["-c", script])
        .arg(helper_path())
        .args(arguments);
    let output = run_with_input(command, b"");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    to_text(&output.stdout).replace("\r\n", "\n")
}

/// Runs `report` on a terminal and returns the report. On a busy machine, a progress line is shown
/// before it and erased.
fn report_on_a_terminal(world: &World, arguments: &[&str]) -> String {
    let shown = on_a_terminal(world, arguments);
    let report = shown.rsplit_once("\r\u{1b}[K").map(|(_, report)| report);
    report.unwrap_or(&shown).to_owned()
}

#[test]
fn a_table_fits_the_terminal_obeys_no_color_and_is_safe() {
    let mut world = world_with_records();
    let shown = report_on_a_terminal(&world, &["-f", "table"]);
    assert!(shown.contains("\u{1b}[1mtimestamp"), "{shown:?}");
    world.set_variable("NO_COLOR", Some("1"));
    let shown = report_on_a_terminal(&world, &["-f", "table"]);
    let table: Vec<&str> = shown.lines().collect();
    assert!(
        table.iter().all(|line| line.chars().count() <= 60) && shown.contains('…'),
        "{shown}"
    );
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    let raw = report_on_a_terminal(&world, &["--raw-cells"]);
    assert!(
        !raw.contains('\u{1b}') && raw.contains("[2J"),
        "not even raw cells: {raw:?}"
    );
}

#[test]
fn shows_and_clears_progress_on_a_terminal() {
    let mut world = world_with_records();
    let asked = AtomicUsize::new(0);
    // The first answer is slow, so that progress is shown.
    let busy = FaultyProxy::start(&world.server.endpoint(), move |line| {
        if line.contains("/usage-logs/acme/") && asked.fetch_add(1, Ordering::SeqCst) == 0 {
            RequestFate::Answer(
                "503 Slow Down",
                "<Error><Code>SlowDown</Code><Message>later</Message></Error>",
            )
        } else {
            RequestFate::Pass
        }
    });
    world.set_endpoint(&busy.endpoint());
    let shown = on_a_terminal(&world, &["--no-cache"]);
    let (progress, report) = shown.rsplit_once("\r\u{1b}[K").expect("taken away");
    assert!(progress.contains("1 of 1 records"), "{shown:?}");
    assert!(report.starts_with("timestamp,"), "{shown:?}");
}

#[test]
fn ctrl_c_stops_at_once_and_leaves_no_files() {
    let mut world = world_with_records();
    fs::write(world.path().join("usage.csv"), "of yesterday\n").expect("an old report");
    let silent = FaultyProxy::black_hole();
    world.set_endpoint(&silent.endpoint());
    // The parent of the tests may ignore SIGINT. A shell cannot restore it, and a terminal would
    // not ignore it.
    let hearing = "import os,signal,sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])";
    let script = "sh -c 'echo $$; exec \"$1\" report --profile default -o usage.csv' sh \"$1\"; echo \"exit $?\"";
    let mut shell = world.command(python_path());
    shell
        .args(["-c", hearing, "sh", "-c", script, "sh"])
        .arg(helper_path());
    let mut child = shell.stdout(Stdio::piped()).spawn().expect("python3");
    let mut output = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    let mut id = String::new();
    std::io::BufRead::read_line(&mut output, &mut id).expect("its id");
    while silent.count_requests("GET") == 0 {
        std::thread::yield_now();
    }
    assert!(
        Command::new("kill")
            .args(["-INT", id.trim()])
            .status()
            .expect("kill")
            .success()
    );
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut output, &mut rest).expect("the rest");
    child.wait().expect("it ends");
    assert_eq!(rest, "exit 130\n");
    assert_eq!(
        fs::read_to_string(world.path().join("usage.csv")).expect("it"),
        "of yesterday\n"
    );
    let left = fs::read_dir(world.path())
        .expect("a folder")
        .filter_map(Result::ok)
        .any(|it| it.file_name().to_string_lossy().contains("tmp"));
    assert!(!left, "no temporary file is left");
}

#[test]
fn help_has_examples_and_exit_codes() {
    let world = World::new();
    let help = to_text(
        &world
            .helper_command(&["report", "--help"])
            .output()
            .expect("help")
            .stdout,
    );
    for words in [
        "Examples:",
        "--since 30d",
        "Exit codes:",
        "--raw-cells",
        "$XDG_CACHE_HOME",
        "[default: mongodb-arena]",
    ] {
        assert!(help.contains(words), "no `{words}` in {help}");
    }
    assert!(
        help.lines().all(|line| line.chars().count() <= 120),
        "{help}"
    );
    // Every option of the examples exists.
    let examples = help.split_once("Examples:").expect("examples").1;
    for option in examples
        .split_whitespace()
        .filter_map(|word| word.split(['=', ')']).next())
        .filter(|word| word.starts_with("--"))
    {
        assert!(
            help.split_once("Examples:")
                .expect("options")
                .0
                .contains(option),
            "{option}"
        );
    }
}

#[test]
fn manual_pages_have_the_text_of_the_help() {
    let world = World::new();
    // As `make man` does.
    fs::create_dir(world.path().join("pages")).expect("a folder");
    clap_mangen::generate_to(
        config_backup::cli::cli_command(),
        world.path().join("pages"),
    )
    .expect("pages");
    let page =
        fs::read_to_string(world.path().join("pages/config-backup-report.1")).expect("a page");
    assert!(
        page.starts_with(".ie") && page.contains("who deployed what"),
        "{page}"
    );
}
