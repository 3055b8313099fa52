//! `view_usage_logs.sh` as `init` writes it, from every folder and with every installed shell.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::init::new_folder::{create_customer_folder, run_init};
use test_support::{BUCKET, World, helper_path, to_text};

const CSV: &str = "timestamp,customer,user,additional_users_count,project_name,cluster_name\n2026-03-02,acme,alice,1,p,c\n\
                   2026-03-02,airbnb,alice,1,p,c\n";
const OF_AIRBNB: &str = "timestamp,customer,user,additional_users_count,project_name,cluster_name\n2026-03-02,airbnb,alice,1,p,c\n";

struct CustomerFolder {
    world: World,
    folder: PathBuf,
}

impl CustomerFolder {
    /// A customer folder with the unit, two customers' records, and the profile `jane` in config.yaml.
    fn new() -> Self {
        let mut world = World::new();
        let folder = create_customer_folder(&world);
        fs::write(
            folder.join("config.yaml"),
            "customer: {name: airbnb}\naws: {profile: jane}\n",
        )
        .expect("a config");
        assert_eq!(
            run_init(&world, &[folder.to_str().expect("UTF-8")]).0,
            Some(0)
        );
        for customer in ["acme", "airbnb"] {
            let record = "{\"timestamp\":\"2026-03-02T08:00:00Z\",\"user\":\"arn:x:user/alice\",\"additional_users_count\":1,\
                          \"project_name\":\"p\",\"cluster_name\":\"c\"}\n";
            let key = format!("usage-logs/{customer}/2026-03-02_080000.json");
            world
                .server
                .put(BUCKET, &key, record.as_bytes(), &[])
                .expect("a record");
        }
        let bin = world.path().join("bin with spaces");
        fs::create_dir(&bin).expect("a folder");
        symlink(helper_path(), bin.join("config-backup")).expect("the helper on PATH");
        let path = format!(
            "{}:{}",
            bin.display(),
            std::env::var("PATH").expect("a PATH")
        );
        world.set_variable("PATH", Some(&path));
        Self { world, folder }
    }

    fn unit_dir(&self) -> PathBuf {
        self.folder.join("config-backup")
    }

    fn run_script(&self, program: impl AsRef<Path>, from: &Path, arguments: &[&str]) -> Output {
        self.world
            .command(program.as_ref())
            .args(arguments)
            .current_dir(from)
            .output()
            .expect("it starts")
    }

    fn default_file(&self) -> String {
        fs::read_to_string(self.unit_dir().join("arena-terragrunt-usage.csv"))
            .expect("the default file")
    }
}

/// The shells of this machine; `sh` must exist.
fn installed_shells() -> Vec<String> {
    let there = |name: &&str| {
        std::process::Command::new(name)
            .args(["-c", ":"])
            .status()
            .is_ok_and(|status| status.success())
    };
    assert!(there(&"sh"), "no sh on PATH");
    ["sh", "dash", "bash", "busybox-sh", "ksh", "zsh"]
        .iter()
        .filter(|name| there(name))
        .map(|name| (*name).to_owned())
        .collect()
}

#[test]
fn every_shell_prints_the_report_on_stdout() {
    let customer = CustomerFolder::new();
    for shell in installed_shells() {
        let output = customer.run_script(
            &shell,
            &customer.folder,
            &["config-backup/view_usage_logs.sh", "", "-"],
        );
        assert_eq!(
            (
                to_text(&output.stdout).as_str(),
                to_text(&output.stderr).as_str()
            ),
            (CSV, ""),
            "{shell}"
        );
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn without_arguments_all_customers_go_into_the_default_file_beside_the_script() {
    for from in ["", "config-backup", ".."] {
        let customer = CustomerFolder::new();
        let output = customer.run_script(
            customer.unit_dir().join("view_usage_logs.sh"),
            &customer.folder.join(from),
            &[],
        );
        assert_eq!(
            (output.status.code(), to_text(&output.stdout)),
            (Some(0), String::new()),
            "{output:?}"
        );
        assert_eq!(customer.default_file(), CSV);
        let messages = to_text(&output.stderr);
        assert!(
            messages.contains("2 rows") && messages.contains("arena-terragrunt-usage.csv"),
            "{messages}"
        );
    }
}

#[test]
fn works_from_the_customer_folder_and_from_its_own() {
    let customer = CustomerFolder::new();
    let from_customer = customer.run_script(
        "config-backup/view_usage_logs.sh",
        &customer.folder,
        &["airbnb", "-"],
    );
    assert_eq!(
        to_text(&from_customer.stdout),
        OF_AIRBNB,
        "{from_customer:?}"
    );
    let from_unit = customer.run_script(
        "./view_usage_logs.sh",
        &customer.unit_dir(),
        &["airbnb", "-"],
    );
    assert_eq!(to_text(&from_unit.stdout), OF_AIRBNB, "{from_unit:?}");
    let by_shell = customer.run_script(
        "sh",
        &customer.unit_dir(),
        &["view_usage_logs.sh", "airbnb", "-"],
    );
    assert_eq!(to_text(&by_shell.stdout), OF_AIRBNB, "{by_shell:?}");
}

#[test]
fn the_output_file_is_where_the_caller_is() {
    let customer = CustomerFolder::new();
    let output = customer.run_script(
        customer.unit_dir().join("view_usage_logs.sh"),
        customer.world.path(),
        &["airbnb", "my usage.csv"],
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        fs::read_to_string(customer.world.path().join("my usage.csv")).expect("a report"),
        OF_AIRBNB
    );
    assert!(
        !customer
            .unit_dir()
            .join("arena-terragrunt-usage.csv")
            .exists()
    );
}

#[test]
fn follows_links_to_the_script() {
    let customer = CustomerFolder::new();
    let links = customer.world.path().join("links of mine");
    fs::create_dir(&links).expect("a folder");
    symlink(
        customer.unit_dir().join("view_usage_logs.sh"),
        links.join("absolute"),
    )
    .expect("a link");
    symlink(
        "../customers of ours/airbnb/config-backup/view_usage_logs.sh",
        links.join("relative"),
    )
    .expect("a link");
    symlink("relative", links.join("chained")).expect("a link");
    symlink(&links, customer.world.path().join("folder")).expect("a link");
    for link in [
        "links of mine/absolute",
        "links of mine/relative",
        "links of mine/chained",
        "folder/chained",
    ] {
        for from in [customer.world.path(), Path::new("/")] {
            let _ = fs::remove_file(customer.unit_dir().join("arena-terragrunt-usage.csv"));
            let output = customer.run_script(customer.world.path().join(link), from, &["airbnb"]);
            assert_eq!(output.status.code(), Some(0), "{link}: {output:?}");
            assert_eq!(customer.default_file(), OF_AIRBNB, "{link}");
        }
    }
    let keys: Vec<String> = customer
        .world
        .server
        .requests()
        .into_iter()
        .map(|it| it.access_key)
        .collect();
    assert!(
        keys.iter().all(|key| key == "AKIAJANE"),
        "the config beside the real script was found: {keys:?}"
    );
}

#[test]
fn the_profile_is_that_of_the_customers_config() {
    let customer = CustomerFolder::new();
    let last_key = || {
        customer
            .world
            .server
            .requests()
            .pop()
            .expect("a request")
            .access_key
    };
    customer.run_script(
        "config-backup/view_usage_logs.sh",
        &customer.folder,
        &["", "-"],
    );
    assert_eq!(last_key(), "AKIAJANE");
    fs::remove_file(customer.folder.join("config.yaml")).expect("gone");
    customer.run_script(
        "config-backup/view_usage_logs.sh",
        &customer.folder,
        &["", "-"],
    );
    assert_eq!(
        last_key(),
        "AKIADEFAULT",
        "without a config the environment's credentials do"
    );
}

#[test]
fn reports_a_missing_helper_in_one_line() {
    let mut customer = CustomerFolder::new();
    // A PATH with everything a shell script needs, without the helper.
    customer.world.set_variable("PATH", Some("/usr/bin:/bin"));
    for (helper, name) in [
        (None, "config-backup"),
        (Some(""), "config-backup"),
        (Some("/no/such/helper"), "/no/such/helper"),
    ] {
        customer.world.set_variable("CONFIG_BACKUP_HELPER", helper);
        let output = customer.run_script(
            "config-backup/view_usage_logs.sh",
            &customer.folder,
            &["", "-"],
        );
        let messages = to_text(&output.stderr);
        assert_eq!(
            (output.status.code(), to_text(&output.stdout).as_str()),
            (Some(1), ""),
            "{messages}"
        );
        assert_eq!(messages.lines().count(), 1, "{messages}");
        assert!(
            messages.contains(&format!("'{name}' is not installed")),
            "{messages}"
        );
    }
    customer.world.set_variable(
        "CONFIG_BACKUP_HELPER",
        Some(helper_path().to_str().expect("UTF-8")),
    );
    let output = customer.run_script(
        "config-backup/view_usage_logs.sh",
        &customer.folder,
        &["", "-"],
    );
    assert_eq!(to_text(&output.stdout), CSV);
}

#[test]
fn exits_with_the_exit_code_of_the_helper() {
    let mut customer = CustomerFolder::new();
    customer
        .world
        .set_endpoint(&test_support::refused_endpoint());
    let output = customer.run_script(
        "config-backup/view_usage_logs.sh",
        &customer.folder,
        &["airbnb"],
    );
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(
        !customer
            .unit_dir()
            .join("arena-terragrunt-usage.csv")
            .exists()
    );
    customer.world.restore_endpoints();
    customer
        .world
        .set_variable("CONFIG_BACKUP_BUCKET", Some("another-bucket"));
    let output = customer.run_script(
        "config-backup/view_usage_logs.sh",
        &customer.folder,
        &["airbnb"],
    );
    assert_eq!(output.status.code(), Some(5), "{output:?}");
}

#[test]
fn accepts_a_customer_name_that_looks_like_a_flag() {
    let customer = CustomerFolder::new();
    let output = customer.run_script(
        "config-backup/view_usage_logs.sh",
        &customer.folder,
        &["--strict", "-"],
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        to_text(&output.stdout).lines().count(),
        1,
        "no such customer: the header alone"
    );
}

#[test]
fn help_is_printed_and_too_many_arguments_are_refused() {
    let customer = CustomerFolder::new();
    for flag in ["-h", "--help"] {
        let output = customer.run_script(
            "config-backup/view_usage_logs.sh",
            &customer.folder,
            &[flag],
        );
        assert_eq!(output.status.code(), Some(0));
        let help = to_text(&output.stdout);
        assert!(
            help.contains("view_usage_logs.sh [CUSTOMER] [OUTPUT.csv]")
                && !help.contains('#')
                && !help.contains("set -eu"),
            "{help}"
        );
    }
    let output = customer.run_script(
        "config-backup/view_usage_logs.sh",
        &customer.folder,
        &["a", "b", "c"],
    );
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(customer.world.server.requests(), Vec::new());
}
