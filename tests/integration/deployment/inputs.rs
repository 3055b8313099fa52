//! Unusual configs and names: their bytes are backed up unchanged, and every deployment is logged.

use std::fs;

use serde_json::json;

use test_support::oracle::python_digest;
use test_support::terraform_steps::{CustomerUnit, string_field};
use test_support::{BUCKET, CONFIG, World, assert_no_secret};

/// The sample config with this spelling of the customer name.
fn config_named(name: &str) -> String {
    assert!(CONFIG.contains("  name: airbnb\n"));
    CONFIG.replace("  name: airbnb\n", &format!("  name: {}\n", json!(name)))
}

/// Deploys `content`, which must be stored byte for byte and logged; returns the message.
fn deploy_config(content: &[u8], folder: &str) -> (World, String) {
    let world = World::new();
    let mut unit = CustomerUnit::in_folder(&world, folder);
    unit.write_config(content);
    // A build without optimization digests 10 MiB in seconds.
    unit.set_variable("timeout", "120");
    let deployed = unit.deploy(&world);
    assert_no_secret("what was printed", &format!("{deployed:?}"));
    let (_, record) = deployed.record(&world);
    assert_eq!(
        (
            string_field(&record, "backup"),
            string_field(&record, "config_hash")
        ),
        ("uploaded", python_digest("md5", content).as_str())
    );
    let copy = world
        .server
        .object(BUCKET, string_field(&record, "backup_key"))
        .expect("the copy");
    assert!(
        copy.body == content,
        "the copy has {} bytes, and the config {}",
        copy.body.len(),
        content.len()
    );
    let current = string_field(&record, "backup_key")
        .split_once("config-history/")
        .expect("a key")
        .0
        .to_owned()
        + "config.yaml";
    assert!(
        world
            .server
            .object(BUCKET, &current)
            .expect("config.yaml")
            .body
            == content
    );
    (world, deployed.message().to_owned())
}

#[test]
fn accepts_a_byte_order_mark_and_windows_line_ends() {
    let crlf = format!("\u{feff}{}", CONFIG.replace('\n', "\r\n"));
    let (world, log) = deploy_config(crlf.as_bytes(), "airbnb");
    assert!(!log.contains("WARNING"), "{log}");
    let (_, record) = world.usage_records().remove(0);
    let facts =
        ["customer", "project_name", "cluster_name"].map(|name| string_field(&record, name));
    assert_eq!(facts, ["airbnb", "airbnb-project", "arena-cluster"]);
}

#[test]
fn backs_up_and_names_a_config_that_is_not_text() {
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(CONFIG.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for (content, words) in [
        (
            utf16,
            "config.yaml: it is UTF-16, and Terraform reads UTF-8 only",
        ),
        (binary, "config.yaml: it is not valid UTF-8 at line "),
    ] {
        let (world, log) = deploy_config(&content, "airbnb");
        assert!(log.contains(words), "{log}");
        assert_eq!(
            string_field(&world.usage_records()[0].1, "customer"),
            "airbnb",
            "the folder's name"
        );
    }
}

#[test]
fn backs_up_and_names_malicious_yaml() {
    let laughs = (1..20).fold(format!("{CONFIG}l0: &l0 lol\n"), |text, level| {
        let below = format!("*l{},", level - 1).repeat(9);
        format!("{text}l{level}: &l{level} [{below}]\n")
    });
    let directives = format!("{}{CONFIG}", "[".repeat(1_000_000));
    for content in [laughs.as_str(), "a: &a [*a]\n", directives.as_str()] {
        deploy_config(content.as_bytes(), "airbnb");
    }
}

#[test]
fn names_a_duplicate_key_and_a_mistyped_value_without_the_value() {
    for (from, to, words) in [
        (
            "  name: airbnb\n",
            "  name: canary-portal-password\n  name: airbnb\n",
            "its key `name` is there again at line ",
        ),
        (
            "additional_users_count: 5",
            "additional_users_count: -5",
            "its mongodb.additional_users_count is not a whole number",
        ),
        (
            "additional_users_count: 5",
            "additional_users_count: 99999999999999999999",
            "its mongodb.additional_users_count is not a whole",
        ),
        (
            "project_name: airbnb-project",
            "project_name: {canary-portal-password: 1}",
            "its mongodb.project_name is not a text",
        ),
    ] {
        assert!(CONFIG.contains(from));
        let (_, message) = deploy_config(CONFIG.replace(from, to).as_bytes(), "airbnb");
        assert!(
            message.contains(words) && !message.contains("canary"),
            "{message}"
        );
    }
}

#[test]
fn backs_up_at_most_ten_mebibytes() {
    let filler = |size: usize| {
        let mut content = CONFIG.as_bytes().to_vec();
        content.extend(std::iter::repeat_n(b'#', size - content.len()));
        content
    };
    let (_, log) = deploy_config(&filler(10 << 20), "airbnb");
    assert!(log.contains("it has 10485760 bytes"), "{log}");
    let world = World::new();
    let unit = CustomerUnit::in_folder(&world, "airbnb");
    unit.write_config(filler((10 << 20) + 1));
    let over = unit.deploy(&world);
    assert!(
        over.expect_warning().contains("larger than 10485760 bytes"),
        "{over:?}"
    );
    assert!(!over.expect_warning().contains("not logged"), "{over:?}");
    assert_eq!(string_field(&over.record(&world).1, "backup"), "failed");
}

#[test]
fn does_not_read_a_device_in_place_of_the_config() {
    for device in ["/dev/zero", "/dev/full"] {
        let world = World::new();
        let unit = CustomerUnit::in_folder(&world, "airbnb");
        fs::remove_file(&unit.config).expect("gone");
        std::os::unix::fs::symlink(device, &unit.config).expect("a link");
        let deployed = unit.deploy(&world);
        assert!(
            deployed.expect_warning().contains("not a regular file"),
            "{deployed:?}"
        );
        assert_eq!(string_field(&deployed.record(&world).1, "backup"), "failed");
    }
}

#[test]
fn backs_up_a_config_behind_a_link() {
    let world = World::new();
    let unit = CustomerUnit::in_folder(&world, "airbnb");
    fs::rename(&unit.config, world.path().join("shared.yaml")).expect("moved");
    std::os::unix::fs::symlink(world.path().join("shared.yaml"), &unit.config).expect("a link");
    unit.deploy(&world).expect_success();
}

#[test]
fn customer_names_stay_below_their_own_prefixes() {
    let long = "x".repeat(1025);
    let names = [
        "..",
        "../other",
        "a/b",
        "/",
        "Foo Bar",
        "\u{e9}",
        "e\u{301}",
        "~Foo~20Bar",
        "a\nb",
        ".",
        "-",
        &long,
    ];
    let mut prefixes = Vec::new();
    for name in names {
        let world = World::new();
        let unit = CustomerUnit::in_folder(&world, "airbnb");
        unit.write_config(config_named(name));
        let deployed = unit.deploy(&world).expect_success();
        let (key, record) = deployed.record(&world);
        assert_eq!(string_field(&record, "customer"), name);
        let parts: Vec<&str> = key.split('/').collect();
        assert!(
            parts.len() == 3 && parts[0] == "usage-logs" && ![".", "..", ""].contains(&parts[1]),
            "{key}"
        );
        let keys = world.server.keys(BUCKET, "");
        let home = [
            format!("terragrunt/{}/", parts[1]),
            format!("usage-logs/{}/", parts[1]),
        ];
        assert!(
            keys.iter()
                .all(|key| home.iter().any(|home| key.starts_with(home)) && key.len() <= 1024),
            "{keys:?}"
        );
        prefixes.push(parts[1].to_owned());
    }
    prefixes.sort();
    prefixes.dedup();
    assert_eq!(prefixes.len(), names.len(), "{prefixes:?}");
}
