//! Six new customers deployed at once with an empty provider cache that their units share. Parallel
//! installation into one folder sometimes fails in Terraform and in OpenTofu: then the `error_hook`
//! deploys.

use std::collections::BTreeSet;
use std::fs;

use crate::customer_stack::{CustomerStack, copy_folder, with_both_tools};
use test_support::campaign::Campaign;

with_both_tools!(
    six_new_customers_with_a_plugin_cache_are_all_logged_once,
    six_new_customers_with_terragrunts_own_cache_are_all_logged_once,
    six_new_customers_with_terragrunts_cache_server_are_all_logged_once,
);

const CUSTOMERS: [&str; 6] = ["acme", "bolt", "cord", "dune", "ebb", "fern"];

fn six_new_customers_with_a_plugin_cache_are_all_logged_once(stack: CustomerStack) {
    deploy_six_customers("plugin cache", stack, |stack, cache| {
        stack.set_variable("TF_PLUGIN_CACHE_DIR", cache);
    });
}

/// With OpenTofu, terragrunt shares a cache by default.
fn six_new_customers_with_terragrunts_own_cache_are_all_logged_once(stack: CustomerStack) {
    deploy_six_customers("automatic cache", stack, |stack, cache| {
        stack.set_variable("XDG_CACHE_HOME", cache);
    });
}

/// The cache server asks the registries, so without a network there are no providers.
fn six_new_customers_with_terragrunts_cache_server_are_all_logged_once(stack: CustomerStack) {
    deploy_six_customers("cache server", stack, |stack, cache| {
        stack.set_variable("TG_PROVIDER_CACHE", "true");
        stack.set_variable("TG_PROVIDER_CACHE_DIR", cache);
    });
}

fn deploy_six_customers(
    name: &'static str,
    mut stack: CustomerStack,
    share: impl Fn(&mut CustomerStack, &str),
) {
    let campaign = Campaign::start(name);
    let template = stack.folder.clone();
    let (mut by_terraform, mut by_hook) = (0, 0);
    for run in 0..campaign.pick(2, 20) {
        stack.folder = stack.world.path().join(format!("run {run}"));
        for customer in CUSTOMERS {
            let folder = stack.folder.join(customer);
            copy_folder(
                &template.join("config-backup"),
                &folder.join("config-backup"),
            );
            fs::copy(template.join("root.hcl"), folder.join("root.hcl")).unwrap();
            let config = fs::read_to_string(template.join("config.yaml")).unwrap();
            fs::write(
                folder.join("config.yaml"),
                config.replace("  name: airbnb\n", &format!("  name: {customer}-{run}\n")),
            )
            .unwrap();
        }
        let cache = stack.world.path().join(format!("cache {run}"));
        fs::create_dir(&cache).unwrap();
        share(&mut stack, cache.to_str().unwrap());
        let applied = stack.apply_all().expect_success();
        let records = stack.world.usage_records();
        let of_run = records.iter().filter(|(key, _)| {
            CUSTOMERS
                .iter()
                .any(|customer| key.starts_with(&format!("usage-logs/{customer}-{run}/")))
        });
        let customers: Vec<_> = of_run
            .map(|(_, record)| record["customer"].as_str().unwrap().to_owned())
            .collect();
        let distinct: BTreeSet<_> = customers.iter().collect();
        assert_eq!(
            (customers.len(), distinct.len()),
            (6, 6),
            "{customers:?}\n{}",
            applied.output
        );
        let ignored = applied.ignored_errors().len();
        let lines = applied
            .output
            .lines()
            .filter(|line| line.starts_with("config-backup: "))
            .count();
        assert_eq!(lines, ignored, "{}", applied.output);
        by_hook += ignored;
        by_terraform += 6 - ignored;
    }
    campaign.print_line(format!(
        "{by_terraform} deployments by the module, {by_hook} by the hook, none lost and none twice"
    ));
}
