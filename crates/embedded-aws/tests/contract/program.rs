//! The program around the server: the line it prints, how it stops, what it refuses.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn server_command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_embedded-aws"));
    command
        .arg("--data")
        .arg(folder.join("data"))
        .args(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Waits for the endpoint of a started program, whose output stays open.
fn read_endpoint(child: &mut Child) -> (String, BufReader<std::process::ChildStdout>) {
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    (line, output)
}

fn refusal_message(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn prints_only_the_endpoint_and_exits_0_on_a_signal() {
    for signal in ["-TERM", "-INT"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("endpoint");
        let mut command = server_command(
            folder.path(),
            &[
                "--bucket",
                "backups=eu-central-1",
                "--bucket",
                "classic",
                "--endpoint-file",
            ],
        );
        let mut child = command.arg(&file).spawn().expect("started");
        let (line, mut output) = read_endpoint(&mut child);
        assert_eq!(fs::read_to_string(&file).expect("an endpoint file"), line);
        let address = line
            .strip_prefix("http://")
            .and_then(|rest| rest.strip_suffix('\n'))
            .expect("an address on a line");
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        TcpStream::connect(address).expect("it listens");
        let kill = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .expect("kill");
        assert!(kill.success());
        assert_eq!(child.wait().expect("an end").code(), Some(0));
        let mut rest = String::new();
        output.read_to_string(&mut rest).expect("the rest");
        assert_eq!(rest, "");
        TcpStream::connect(address).expect_err("it listens no more");
    }
}

#[test]
fn ends_with_its_input_only_if_asked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut child = server_command(folder.path(), &["--stdin-eof"])
        .spawn()
        .expect("started");
    let _output = read_endpoint(&mut child);
    drop(child.stdin.take());
    assert_eq!(child.wait().expect("an end").code(), Some(0));

    let mut child = server_command(folder.path(), &[])
        .stdin(Stdio::null())
        .spawn()
        .expect("started");
    let (line, _output) = read_endpoint(&mut child);
    TcpStream::connect(line.trim_start_matches("http://").trim_end()).expect("it still listens");
    child.kill().expect("killed");
    child.wait().expect("an end");
}

#[test]
fn it_listens_on_loopback_addresses_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = server_command(folder.path(), &["--listen", "0.0.0.0:0"])
        .output()
        .expect("an end");
    let expected =
        "embedded-aws: cannot listen on `0.0.0.0:0`: not a loopback address, use 127.0.0.1\n";
    assert_eq!(refusal_message(&output), expected);
}

#[test]
fn reads_identities_from_a_valid_file_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("identities.json");
    let run = |text: &str| {
        fs::write(&file, text).expect("written");
        server_command(folder.path(), &["--identities"])
            .arg(&file)
            .arg("--stdin-eof")
            .stdin(Stdio::null())
            .output()
            .expect("an end")
    };
    let good = r#"[{"access_key":"A","secret_key":"s","arn":"arn:aws:iam::1:user/a","user_id":"U","account":"1"}]"#;
    assert_eq!(run(good).status.code(), Some(0));
    assert!(
        refusal_message(&run(r#"[{"access_key":"A"}]"#)).contains("missing field `secret_key`")
    );
    assert!(
        refusal_message(&run(
            &good.replace("account\":\"1\"", "account\":\"1\",\"denied\":[]")
        ))
        .contains("unknown field `denied`")
    );
}
