//! Synthetic usage records: each is a function of its position, so any number exists without
//! storage.
//!
//! A few customers deploy often and many seldom. A person deploys a few times in a row: four
//! records share their user and mostly their day. In the worst case every record has a user of its
//! own and is therefore a row of its own.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

const DAY: u64 = 86_400;
/// Deployments in a row.
const RUN: u64 = 4;
/// The longest time between two of them.
const PAUSE: u64 = 900;

const CUSTOMERS: [&str; 8] = [
    "acme",
    "airbnb",
    "contoso",
    "globex",
    "initech",
    "northwind",
    "umbrella",
    "wayne",
];
const FIRST_NAMES: [&str; 10] = [
    "alex", "chris", "dana", "jane", "john", "kim", "maria", "pat", "sam", "wei",
];
const LAST_NAMES: [&str; 10] = [
    "chen", "doe", "garcia", "ivanov", "kumar", "miller", "novak", "roe", "silva", "smith",
];

/// The options of the records.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RecordOptions {
    /// How many
    #[arg(long)]
    pub(crate) count: u64,
    /// Of how many customers
    #[arg(long, default_value_t = 50)]
    pub(crate) customers: u64,
    /// By how many users
    #[arg(long, default_value_t = 80)]
    pub(crate) users: u64,
    /// In how many days
    #[arg(long, default_value_t = 400)]
    pub(crate) days: u64,
    /// The end of these days, in seconds since 1970
    #[arg(long)]
    pub(crate) until: u64,
    /// Every record is a row of its own
    #[arg(long)]
    pub(crate) worst: bool,
}

/// The records of a choice, in the order of their keys.
#[derive(Debug)]
pub(crate) struct SyntheticRecords {
    choice: RecordOptions,
    customers: Vec<SyntheticCustomer>,
    by_name: HashMap<String, usize>,
}

#[derive(Debug)]
struct SyntheticCustomer {
    name: String,
    /// The position of its first record.
    first: u64,
    count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntheticRecord {
    /// `usage-logs/<customer>/<time>.json`.
    pub(crate) key: String,
    /// The time of writing, in seconds since 1970.
    pub(crate) modified: u64,
    /// One line of JSON.
    pub(crate) body: String,
}

impl SyntheticRecords {
    /// Distributes the records among the customers.
    #[must_use]
    pub(crate) fn new(choice: RecordOptions) -> Self {
        let mut names: Vec<String> = (0..choice.customers)
            .map(|number| format!("{}-{number:03}", pick_one(&CUSTOMERS, number)))
            .collect();
        names.sort();
        let weights: Vec<u64> = (0..choice.customers)
            .map(|number| 1_000_000 / (10 + mix_bits(number) % choice.customers))
            .collect();
        let all: u64 = weights.iter().sum();
        let (mut customers, mut before, mut first) = (Vec::new(), 0, 0);
        for (name, weight) in names.into_iter().zip(weights) {
            before += weight;
            let next = proportion(choice.count, before, all);
            customers.push(SyntheticCustomer {
                name,
                first,
                count: next - first,
            });
            first = next;
        }
        let by_name = customers
            .iter()
            .enumerate()
            .map(|(number, customer)| (customer.name.clone(), number))
            .collect();
        Self {
            choice,
            customers,
            by_name,
        }
    }

    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.choice.count
    }

    /// The key of the record at `position`.
    #[must_use]
    pub(crate) fn key(&self, position: u64) -> String {
        let (customer, within) = self.customer_and_offset(position);
        format!(
            "usage-logs/{}/{}.json",
            self.customers[customer].name,
            format_time(self.unix_time_of(customer, within), "%Y-%m-%d_%H%M%S")
        )
    }

    /// The record at `position`.
    #[must_use]
    pub(crate) fn get(&self, position: u64) -> SyntheticRecord {
        let (customer, within) = self.customer_and_offset(position);
        let at = self.unix_time_of(customer, within);
        SyntheticRecord {
            key: self.key(position),
            modified: at + 2,
            body: self.body(customer, within, at),
        }
    }

    /// The position of the first record with a key greater than `key`.
    #[must_use]
    pub(crate) fn first_after(&self, key: &str) -> u64 {
        let (mut low, mut high) = (0, self.choice.count);
        while low < high {
            let middle = low.midpoint(high);
            if self.key(middle).as_str() > key {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// The record with this key.
    #[must_use]
    pub(crate) fn find(&self, key: &str) -> Option<SyntheticRecord> {
        let (name, _) = key.strip_prefix("usage-logs/")?.split_once('/')?;
        self.by_name.get(name)?;
        let position = self.first_after(key).checked_sub(1)?;
        (self.key(position) == key).then(|| self.get(position))
    }

    fn customer_and_offset(&self, position: u64) -> (usize, u64) {
        let customer = self
            .customers
            .partition_point(|customer| customer.first + customer.count <= position);
        (customer, position - self.customers[customer].first)
    }

    fn run_length(&self) -> u64 {
        if self.choice.worst { 1 } else { RUN }
    }

    /// The time of a record: each run of deployments has its own slice of time, so keys ascend.
    fn unix_time_of(&self, customer: usize, within: u64) -> u64 {
        let (run, span) = (self.run_length(), self.choice.days * DAY);
        let runs = self.customers[customer].count.div_ceil(run);
        let slice = span / runs;
        let chance = mix_bits(customer as u64 * 1_000_003 + within / run);
        let pause = 1 + chance % (slice / run).clamp(1, PAUSE);
        let begin = (chance >> 16) % (slice.saturating_sub(pause * run)).max(1);
        self.choice.until - span + within / run * slice + begin + within % run * pause
    }

    fn body(&self, customer: usize, within: u64, at: u64) -> String {
        let name = &self.customers[customer].name;
        let run = within / self.run_length();
        let chance = mix_bits(customer as u64 * 7_000_003 + run);
        // Six users deploy for each customer.
        let user = if self.choice.worst {
            within
        } else {
            customer as u64 * 3 + chance % 6
        } % self.choice.users;
        let user = format!(
            "{}.{}{}",
            pick_one(&FIRST_NAMES, user),
            pick_one(&LAST_NAMES, user / 10),
            numbered_name(user / 100)
        );
        let stamp = format_time(at, "%Y-%m-%dT%H:%M:%SZ");
        let short = format_time(at, "%Y%m%dT%H%M%SZ");
        let hash = format!("{:016x}{:016x}", mix_bits(chance), mix_bits(chance + 1));
        let commit = format!(
            "{:016x}{:016x}{:08x}",
            mix_bits(chance + 2),
            mix_bits(chance + 3),
            mix_bits(chance + 4) >> 32
        );
        let (backup, backup_at) = if within.is_multiple_of(self.run_length()) {
            ("uploaded", at)
        } else {
            ("unchanged", at - at % DAY)
        };
        let ci = if chance.is_multiple_of(3) {
            format!(
                r#","ci":{{"provider":"github","run_url":"https://ci.example.com/{name}/infra/runs/{}"}}"#,
                chance % 100_000_000
            )
        } else {
            String::new()
        };
        format!(
            concat!(
                r#"{{"timestamp":"{stamp}","customer":"{name}","user":"arn:aws:sts::123456789012:assumed-role/FieldEngineer/{user}","#,
                r#""user_id":"AROAEXAMPLEROLE000000:{user}","account":"123456789012","config_hash":"{hash}","additional_users_count":{count},"#,
                r#""project_name":"{name}-project","cluster_name":"arena-cluster-{cluster}","schema":1,"deployment_id":"{short}-{id:016x}","#,
                r#""backup":"{backup}","backup_key":"terragrunt/{name}/config-history/{backup_at}_{hash}.yaml","#,
                r#""git":{{"commit":"{commit}","branch":"main","dirty":false}}{ci},"#,
                r#""tools":{{"config_backup":"0.1.0","terraform":"OpenTofu v1.12.6","terragrunt":"1.1.3"}}}}"#,
                "\n"
            ),
            stamp = stamp,
            name = name,
            user = user,
            hash = hash,
            count = (chance >> 8) % 20 + within % 3,
            cluster = (chance >> 24) % 3 + 1,
            short = short,
            id = mix_bits(at ^ chance),
            backup = backup,
            backup_at = format_time(backup_at, "%Y-%m-%d_%H%M%S"),
            commit = commit,
            ci = ci,
        )
    }
}

fn proportion(count: u64, part: u64, whole: u64) -> u64 {
    count * part / whole
}

fn numbered_name(number: u64) -> String {
    if number == 0 {
        String::new()
    } else {
        number.to_string()
    }
}

fn pick_one<'a>(list: &[&'a str], number: u64) -> &'a str {
    list[usize::try_from(number).unwrap_or_default() % list.len()]
}

#[must_use]
pub(crate) fn format_time(at: u64, format: &str) -> String {
    let at: DateTime<Utc> = DateTime::from_timestamp(at.cast_signed(), 0).unwrap_or_default();
    at.format(format).to_string()
}

/// `SplitMix64`: reproducible pseudo-random numbers.
fn mix_bits(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn make_records(count: u64, worst: bool) -> SyntheticRecords {
        SyntheticRecords::new(RecordOptions {
            count,
            customers: 50,
            users: 80,
            days: 400,
            until: 1_790_000_000,
            worst,
        })
    }

    #[test]
    fn keys_ascend_and_can_be_looked_up() {
        for worst in [false, true] {
            let records = make_records(10_000, worst);
            let keys: Vec<String> = (0..records.count())
                .map(|position| records.key(position))
                .collect();
            assert!(keys.is_sorted_by(|a, b| a < b));
            for position in (0..records.count()).step_by(77) {
                let record = records.get(position);
                assert_eq!(records.find(&record.key).as_ref(), Some(&record));
                assert_eq!(records.first_after(&record.key), position + 1);
            }
            assert_eq!(
                (records.first_after(""), records.first_after("v")),
                (0, 10_000)
            );
            assert_eq!(
                records.find("usage-logs/acme-000/2020-01-01_000000.json"),
                None
            );
        }
    }

    #[test]
    fn records_have_the_form_that_the_helper_writes() {
        let records = make_records(1000, false);
        let mut bytes = 0;
        for position in 0..records.count() {
            let body = records.get(position).body;
            let record: config_backup::record::UsageRecord = serde_json::from_str(&body).unwrap();
            assert_eq!(String::from_utf8(record.to_line()).unwrap(), body);
            bytes += body.len();
        }
        assert!((600_000..1_000_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn in_the_worst_case_no_two_records_share_a_row() {
        let rows = |worst| {
            let records = make_records(10_000, worst);
            let row = |position| {
                let record: config_backup::record::UsageRecord =
                    serde_json::from_str(&records.get(position).body).unwrap();
                (
                    record.timestamp[..10].to_owned(),
                    record.customer,
                    record.user,
                )
            };
            (0..records.count()).map(row).collect::<HashSet<_>>().len()
        };
        assert_eq!(rows(true), 10_000);
        assert!((2500..4000).contains(&rows(false)), "{}", rows(false));
    }
}
