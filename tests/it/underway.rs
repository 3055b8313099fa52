//! What `backup` kept, and the deployments of others before `log` comes: they leave it alone as long as it will come.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Stdio};

use crate::by_hand::{Unit, string};
use crate::support::{BUCKET, CONFIG, World};

const COPIES: &str = "terragrunt/airbnb/config-history/";

/// A process that is called `tofu`, and runs `backup` and, once it is told so, `log`; gives what it printed up to there.
fn deploying(world: &World, request: &serde_json::Value) -> (Child, BufReader<ChildStdout>) {
    let tofu = world.path().join("tofu");
    if !tofu.exists() {
        std::os::unix::fs::symlink("/bin/sh", &tofu).expect("a link");
    }
    let query = world.path().join("request.json");
    std::fs::write(&query, request.to_string()).expect("a request");
    let mut command = world.command(&tofu);
    command.args(["-c", "\"$1\" backup <\"$2\"; read -r go; \"$1\" log <\"$2\"", "tofu"]).arg(crate::support::helper()).arg(&query);
    let mut tofu = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut output = BufReader::new(tofu.stdout.take().expect("a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    assert!(line.contains("config.yaml is kept on this machine"), "{line}");
    (tofu, output)
}

fn deploy_another(world: &World) {
    let mut other = Unit::in_folder(world, "customers of ours/acme");
    other.write(CONFIG.replace("name: airbnb", "name: acme"));
    other.deploy(world).went_well();
}

#[test]
fn what_is_kept_for_a_log_that_is_still_to_come_is_left_to_it() {
    let world = World::new();
    let unit = Unit::new(&world);
    let request = unit.request(&unit.plan(&world));
    let (mut tofu, mut output) = deploying(&world, &request);
    deploy_another(&world);
    assert_eq!(world.helper(&["replay"]).output().expect("replay").status.code(), Some(0));
    assert_eq!((world.spooled().len(), world.server.keys(BUCKET, COPIES).len()), (1, 0));

    tofu.stdin.take().expect("a pipe").write_all(b"go\n").expect("it listens");
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    assert!(!line.contains("WARNING") && line.contains("config.yaml is backed up as s3://"), "{line}");
    tofu.wait().expect("it ends");
    let copies = world.server.keys(BUCKET, COPIES);
    let record = world.records().into_iter().map(|(_, record)| record).find(|it| it["customer"] == "airbnb").expect("a record");
    assert_eq!(copies, [string(&record, "backup_key")]);
    assert_eq!(world.spooled(), Vec::<String>::new());
}

#[test]
fn what_is_kept_for_a_log_that_will_not_come_is_sent_by_the_next_deployment() {
    let world = World::new();
    let unit = Unit::new(&world);
    let request = unit.request(&unit.plan(&world));
    let (mut tofu, _) = deploying(&world, &request);
    tofu.kill().expect("it is killed");
    tofu.wait().expect("it ends");
    deploy_another(&world);
    assert_eq!((world.spooled().len(), world.server.keys(BUCKET, COPIES).len()), (0, 1));
    assert_eq!(world.server.object(BUCKET, "terragrunt/airbnb/config.yaml").expect("it").body, CONFIG.as_bytes());
}
