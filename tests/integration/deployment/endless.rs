//! What never ends: stdin, a stdout that no process reads, answers of a server, programs and their
//! output. A deployment ends in time all the same, with little memory, and leaves no process behind.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use test_support::terraform_steps::{CustomerUnit, parse_external_answer, string_field};
use test_support::{World, helper_path, run_with_input, to_text};

/// The default deadline, and what a busy machine may add.
const IN_TIME: Duration = Duration::from_secs(25);
/// A deployment with a small config takes some 30 MB in a debug build.
const MAX_MEMORY_KB: u64 = 250_000;
/// Runs a command and prints its largest memory in kB on stderr.
const MEASURE: &str = "import resource,subprocess,sys; subprocess.run(sys.argv[1:], check=True); \
                       print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)";

fn start(world: &World, command: &str, input: Stdio) -> Child {
    let mut helper = world.helper_command(&[command]);
    helper.stdin(input).stdout(Stdio::piped());
    helper.stderr(Stdio::piped()).spawn().expect("it starts")
}

/// The answer of a helper whose stdin stays open behind `input`.
fn answer_unfinished(world: &World, command: &str, input: &[u8]) -> String {
    let started = Instant::now();
    let (reader, mut writer) = io::pipe().expect("a pipe");
    let helper = start(world, command, reader.into());
    let _ = writer.write_all(input);
    let output = helper.wait_with_output().expect("it ends");
    drop(writer);
    assert!(started.elapsed() < IN_TIME, "{command}: {output:?}");
    assert_eq!(output.status.code(), Some(0), "{command}: {output:?}");
    to_text(&output.stdout)
}

#[test]
fn a_query_that_does_not_end_is_answered_where_it_is_complete_and_refused_otherwise() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let query = unit.query().to_string();
    for command in ["context", "deploy"] {
        let answer = answer_unfinished(&world, command, query.as_bytes());
        let answer = parse_external_answer(&answer);
        assert_eq!(string_field(&answer, "status"), "ok", "{answer}");

        let answer = answer_unfinished(&world, command, &query.as_bytes()[..20]);
        let answer = parse_external_answer(&answer);
        assert_eq!(string_field(&answer, "status"), "error", "{answer}");
        let cause = "cannot read the query on stdin: it has not ended in time";
        assert!(
            string_field(&answer, "message").ends_with(cause),
            "{answer}"
        );
    }
    let line = answer_unfinished(&world, "fallback", b"{");
    let cause = "cannot read the settings on stdin: it has not ended in time\n";
    assert!(line.ends_with(cause), "{line}");
    assert_eq!(world.usage_records().len(), 1);
}

#[test]
fn an_answer_that_no_process_reads_is_not_waited_for() {
    let world = World::new();
    let unit = CustomerUnit::new(&world);
    let settings = serde_json::json!({ "unit_settings": unit.query() });
    for (command, input) in [
        ("context", unit.query()),
        ("deploy", unit.query()),
        ("deploy", Value::Null),
        ("fallback", settings),
    ] {
        let started = Instant::now();
        let (_reader, writer) = full_pipe();
        let mut helper = world.helper_command(&[command]);
        helper.stdin(Stdio::piped()).stdout(writer);
        let mut helper = helper.spawn().expect("it starts");
        let mut stdin = helper.stdin.take().expect("a pipe");
        let _ = stdin.write_all(input.to_string().as_bytes());
        drop(stdin);
        let status = helper.wait().expect("it ends");
        assert!(started.elapsed() < IN_TIME, "{command}");
        assert_eq!(status.code(), Some(0), "{command}");
    }
}

/// A pipe that holds no more byte, so that who writes to it waits.
fn full_pipe() -> (io::PipeReader, io::PipeWriter) {
    const FILL: &str = "import os\nos.set_blocking(1, False)\ntry:\n  while os.write(1, bytes(4096)): pass\n\
                        except BlockingIOError: os.set_blocking(1, True)";
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut python = Command::new("python3");
    python.args(["-c", FILL]);
    python.stdout(writer.try_clone().expect("a pipe"));
    assert!(python.status().expect("python3").success());
    (reader, writer)
}

/// Answers each request with `head` and then with a body, chunk for chunk, that never ends.
fn endless_server(head: &'static str, chunk: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || send_endlessly(connection, head, chunk));
        }
    });
    format!("http://{address}")
}

fn send_endlessly(mut connection: TcpStream, head: &str, chunk: &[u8]) {
    let mut request = [0; 4096];
    let _ = connection.read(&mut request);
    if connection.write_all(head.as_bytes()).is_err() {
        return;
    }
    while connection.write_all(chunk).is_ok() {}
}

fn chunk_of(byte: u8) -> &'static [u8] {
    let chunk = [&b"100000\r\n"[..], &vec![byte; 1 << 20], b"\r\n"].concat();
    Box::leak(chunk.into_boxed_slice())
}

/// Runs a step within [`MAX_MEMORY_KB`], and returns its answer.
fn answer_in_little_memory(world: &World, command: &str, query: &Value) -> Value {
    let started = Instant::now();
    let mut measured = world.command("python3");
    measured
        .args(["-c", MEASURE])
        .arg(helper_path())
        .arg(command);
    let Output { stdout, stderr, .. } = run_with_input(measured, query.to_string().as_bytes());
    let stderr = to_text(&stderr);
    let memory: u64 = stderr.trim().parse().unwrap_or_else(|_| panic!("{stderr}"));
    assert!(memory < MAX_MEMORY_KB, "{command} took {memory} kB");
    assert!(started.elapsed() < IN_TIME, "{command}");
    parse_external_answer(&to_text(&stdout))
}

#[test]
fn endless_answers_of_a_server_take_little_memory() {
    const CHUNKED: &str =
        "Content-Type: text/xml\r\nETag: \"x\"\r\nTransfer-Encoding: chunked\r\n\r\n";
    let ok = Box::leak(format!("HTTP/1.1 200 OK\r\n{CHUNKED}").into_boxed_str());
    let error = Box::leak(format!("HTTP/1.1 500 X\r\n{CHUNKED}").into_boxed_str());
    for endpoint in [
        endless_server(ok, chunk_of(b'<')),
        endless_server(error, chunk_of(b'a')),
        endless_server("HTTP/1.1 200 OK\r\nX-A: ", b"aaaaaaaaaaaaaaaa"),
        endless_server("HTTP/1.1 200 OK\r\n", b"X-A: a\r\n"),
        endless_server("", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ] {
        let mut world = World::new();
        let mut unit = CustomerUnit::new(&world);
        unit.set_variable("timeout", "4");
        world.set_endpoint(&endpoint);
        for command in ["context", "deploy"] {
            let answer = answer_in_little_memory(&world, command, &unit.query());
            assert_eq!(string_field(&answer, "status"), "error", "{answer}");
        }
    }
}

/// The command lines of all processes that contain one of `words`.
fn list_processes(words: &[&str]) -> Vec<String> {
    let processes = Command::new("ps").args(["-A", "-o", "args="]).output();
    let processes = to_text(&processes.expect("ps").stdout);
    let has_word = |line: &&str| words.iter().any(|word| line.contains(word));
    processes
        .lines()
        .filter(has_word)
        .map(str::to_owned)
        .collect()
}

#[test]
fn endless_output_of_a_program_takes_little_memory_and_nothing_stays_behind() {
    for (number, script) in [
        "exec yes",
        "exec yes >&2",
        "sleep 7300.NUMBER & sleep 7300.NUMBER",
    ]
    .into_iter()
    .enumerate()
    {
        let world = World::new();
        let unit = CustomerUnit::new(&world);
        let marker = format!("{}{number}", std::process::id());
        let program = world.path().join("process.sh");
        fs::write(&program, script.replace("NUMBER", &marker)).expect("a script");
        let aws = world.home().join(".aws");
        fs::remove_file(aws.join("credentials")).expect("gone");
        let profile = format!(
            "[default]\ncredential_process = /bin/sh \"{}\"\n",
            program.display()
        );
        fs::write(aws.join("config"), profile).expect("a profile");
        for command in ["context", "deploy"] {
            let answer = answer_in_little_memory(&world, command, &unit.query());
            assert_eq!(string_field(&answer, "status"), "error", "{answer}");
        }
        let name = program.display().to_string();
        // A killed process ends when it gets the processor.
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let left = list_processes(&[&name, &format!("7300.{marker}")]);
            if left.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "{left:?}");
        }
    }
}

#[test]
fn an_endless_aws_file_takes_little_memory() {
    for variable in ["AWS_CONFIG_FILE", "AWS_CA_BUNDLE"] {
        let mut world = World::new();
        let unit = CustomerUnit::new(&world);
        world.set_variable(variable, Some("/dev/zero"));
        answer_in_little_memory(&world, "context", &unit.query());
    }
}
