//! The formats of `report`: other parsers read each of them, and none is dangerous to open.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use test_support::oracle::parse_csv_rows;
use test_support::{BUCKET, World, to_text};

/// Two deployments, one of them with text that is hostile to each format.
fn world_with_records() -> World {
    let world = World::new();
    let record = |time: &str, user: &str, project: &str, cluster: &str| {
        json!({"timestamp": time, "customer": "acme", "user": format!("arn:aws:iam::1:user/{user}"), "account": "1",
               "config_hash": "698bc8b0da0b9bb6e25a76e112e4bd97", "additional_users_count": 12, "project_name": project,
               "cluster_name": cluster, "schema": 1, "deployment_id": "d1", "backup": "uploaded", "late": true,
               "git": {"commit": "c0ffee", "branch": "main", "dirty": false}, "ci": {"provider": "github", "run_url": "https://ci/1"}})
        .to_string()
    };
    let hostile = (
        "=1+1|`x`*_[a](b)",
        "<script>é\u{1b}[2J\u{202e}\n,\"'</script>",
    );
    world
        .server
        .put(
            BUCKET,
            "usage-logs/acme/2026-03-02_080000.json",
            record("2026-03-02T08:00:00Z", "jane", hostile.0, hostile.1).as_bytes(),
            &[],
        )
        .expect("put");
    world
        .server
        .put(
            BUCKET,
            "usage-logs/acme/2026-03-03_080000.json",
            record("2026-03-03T08:00:00Z", "adam", "p", "c").as_bytes(),
            &[],
        )
        .expect("put");
    world
}

fn run_report(world: &World, arguments: &[&str]) -> String {
    let output = world
        .helper_command(&["report", "--profile", "default"])
        .args(arguments)
        .output()
        .expect("report");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    to_text(&output.stdout)
}

#[test]
fn json_and_ndjson_hold_the_same_objects_with_the_exact_values() {
    let world = world_with_records();
    let parsed: Value =
        serde_json::from_str(&run_report(&world, &["--format", "json"])).expect("JSON");
    let expected = json!([
        {"timestamp": "2026-03-02", "customer": "acme", "user": "jane", "additional_users_count": 12,
         "project_name": "=1+1|`x`*_[a](b)", "cluster_name": "<script>é\u{1b}[2J\u{202e}\n,\"'</script>"},
        {"timestamp": "2026-03-03", "customer": "acme", "user": "adam", "additional_users_count": 12,
         "project_name": "p", "cluster_name": "c"}
    ]);
    assert_eq!(parsed, expected);
    let lines = run_report(&world, &["--format", "ndjson"]);
    let parsed: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(Value::from(parsed), expected);
    let empty: Value =
        serde_json::from_str(&run_report(&world, &["nobody", "-f", "json"])).expect("JSON");
    assert_eq!(empty, json!([]));
    assert_eq!(run_report(&world, &["nobody", "-f", "ndjson"]), "");
}

#[test]
fn all_prints_every_deployment_with_all_fields() {
    let world = world_with_records();
    let parsed: Value = serde_json::from_str(&run_report(
        &world,
        &["--all", "--user", "adam", "-f", "json"],
    ))
    .expect("JSON");
    let expected = json!([{"timestamp": "2026-03-03T08:00:00Z", "customer": "acme", "user": "adam", "additional_users_count": 12,
        "project_name": "p", "cluster_name": "c", "arn": "arn:aws:iam::1:user/adam", "account": "1",
        "config_hash": "698bc8b0da0b9bb6e25a76e112e4bd97", "backup": "uploaded", "late": true, "deployment_id": "d1",
        "git_commit": "c0ffee", "git_branch": "main", "git_dirty": false, "ci_provider": "github", "ci_run_url": "https://ci/1"}]);
    assert_eq!(parsed, expected);
    let csv = parse_csv_rows(run_report(&world, &["--all"]).as_bytes());
    assert_eq!(
        (csv.len(), csv[0].len(), csv[0][6].as_str()),
        (3, 17, "arn")
    );
}

#[test]
fn raw_cells_are_unchanged_and_other_cells_are_safe() {
    let world = world_with_records();
    let cells = |arguments: &[&str]| {
        parse_csv_rows(run_report(&world, arguments).as_bytes())[1][4..].to_vec()
    };
    assert_eq!(
        cells(&["--raw-cells"]),
        [
            "=1+1|`x`*_[a](b)",
            "<script>é\u{1b}[2J\u{202e}\n,\"'</script>"
        ]
    );
    assert_eq!(
        cells(&[]),
        [
            "'=1+1|`x`*_[a](b)",
            "<script>é\u{fffd}[2J\u{fffd}\u{fffd},\"'</script>"
        ]
    );
}

#[test]
fn markdown_shows_the_text_and_is_safe() {
    assert_eq!(
        run_report(&world_with_records(), &["-f", "markdown"]),
        "| timestamp | customer | user | additional_users_count | project_name | cluster_name |\n\
         |---|---|---|---:|---|---|\n\
         | 2026-03-02 | acme | jane | 12 | =1+1\\|\\`x\\`\\*\\_\\[a\\](b) | &lt;script>é\u{fffd}\\[2J\u{fffd}\u{fffd},\"'&lt;/script> |\n\
         | 2026-03-03 | acme | adam | 12 | p | c |\n"
    );
}

#[test]
fn a_table_in_a_pipe_has_its_full_width() {
    assert_eq!(
        run_report(&world_with_records(), &["-f", "table"]),
        "timestamp   customer  user  additional_users_count  project_name      cluster_name\n\
         2026-03-02  acme      jane                      12  =1+1|`x`*_[a](b)  <script>é\u{fffd}[2J\u{fffd}\u{fffd},\"'</script>\n\
         2026-03-03  acme      adam                      12  p                 c\n"
    );
}

#[test]
fn the_output_extension_chooses_the_format_unless_one_is_given() {
    let world = world_with_records();
    for (name, beginning) in [
        ("a.json", "[\n{"),
        ("a.ndjson", "{\""),
        ("a.md", "| timestamp"),
        ("a.txt", "timestamp   "),
        ("a.csv", "timestamp,"),
        ("a.xyz", "timestamp,"),
        ("a.HTML", "<!"),
    ] {
        run_report(&world, &["-o", name]);
        let written = fs::read_to_string(world.path().join(name)).expect("a report");
        assert!(
            written
                .to_lowercase()
                .starts_with(&beginning.to_lowercase()),
            "{name}: {written}"
        );
    }
    run_report(&world, &["-o", "b.json", "-f", "csv"]);
    assert!(
        fs::read_to_string(world.path().join("b.json"))
            .expect("a report")
            .starts_with("timestamp,")
    );
}

#[test]
fn totals_exist_in_every_format() {
    let world = world_with_records();
    let expected = "group,name,deployments,customers,users,configs,first,last\n\
                    total,,2,1,2,1,2026-03-02T08:00:00Z,2026-03-03T08:00:00Z\n\
                    customer,acme,2,1,2,1,2026-03-02T08:00:00Z,2026-03-03T08:00:00Z\n\
                    user,adam,1,1,1,1,2026-03-03T08:00:00Z,2026-03-03T08:00:00Z\n\
                    user,jane,1,1,1,1,2026-03-02T08:00:00Z,2026-03-02T08:00:00Z\n\
                    month,2026-03,2,1,2,1,2026-03-02T08:00:00Z,2026-03-03T08:00:00Z\n\
                    week,2026-W10,2,1,2,1,2026-03-02T08:00:00Z,2026-03-03T08:00:00Z\n";
    assert_eq!(run_report(&world, &["--summary"]), expected);
    let parsed: Value =
        serde_json::from_str(&run_report(&world, &["--summary", "-f", "json"])).expect("JSON");
    assert_eq!(
        parsed[0],
        json!({"group": "total", "name": "", "deployments": 2, "customers": 1, "users": 2, "configs": 1,
        "first": "2026-03-02T08:00:00Z", "last": "2026-03-03T08:00:00Z"})
    );
}

#[test]
fn a_link_is_followed_and_a_device_or_pipe_is_written_to_as_it_is() {
    let world = world_with_records();
    let (target, link, pipe) = (
        world.path().join("target.csv"),
        world.path().join("link.csv"),
        world.path().join("pipe"),
    );
    fs::write(&target, "old").expect("written");
    std::os::unix::fs::symlink(&target, &link).expect("a link");
    run_report(&world, &["-o", "link.csv"]);
    assert!(fs::symlink_metadata(&link).expect("it").is_symlink());
    assert!(
        fs::read_to_string(&target)
            .expect("a report")
            .starts_with("timestamp,")
    );
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .expect("mkfifo")
            .success()
    );
    let reader = world
        .command("cat")
        .arg(&pipe)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("cat");
    let output = world
        .helper_command(&["report", "--profile", "default", "-o", "pipe"])
        .output()
        .expect("report");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(to_text(&reader.wait_with_output().expect("cat").stdout).starts_with("timestamp,"));
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(
        &fs::metadata(&pipe).expect("it").file_type()
    ));
}
