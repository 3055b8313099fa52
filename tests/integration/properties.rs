//! Properties of keys, rows, CSV and days, over values drawn from a seed, which a failure names.

use std::collections::BTreeMap;
use std::process::Command;

use chrono::{DateTime, Utc};
use config_backup::keys::{customer_segment, parse_customer_segment};
use config_backup::output::{OutputFormat, TableCell, TableStyle, write_cells};
use config_backup::record::deployment::Deployment;
use config_backup::record::parse;
use config_backup::report::rows::{ReportRows, RowKind};
use config_backup::s3::caller::{UserIdentity, user_name_from_arn};

use test_support::oracle::{parse_csv_rows, python_path};
use test_support::{run_with_input, to_text};

const SEED: u64 = 0x2026_1124;

/// A pseudo-random generator (`SplitMix64`), reproducible by its seed.
struct RandomSource(u64);

impl RandomSource {
    fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn number_below(&mut self, limit: u64) -> u64 {
        self.next_number() % limit
    }

    /// A random text: ordinary characters, those with a meaning in keys and cells, and any of
    /// Unicode.
    fn random_text(&mut self, longest: u64) -> String {
        const ODD: [char; 24] = [
            '~',
            '/',
            '.',
            '%',
            '+',
            ' ',
            '"',
            ',',
            '\'',
            '\n',
            '\r',
            '\t',
            '\0',
            '=',
            '-',
            '@',
            '|',
            '\\',
            '\u{7f}',
            '\u{202e}',
            'é',
            '\u{301}',
            '🚀',
            '\u{10ffff}',
        ];
        let kind = self.number_below(4);
        (0..self.number_below(longest + 1))
            .map(|_| match kind + self.number_below(2) {
                0..=1 => char::from(
                    b"abcXYZ0189._-"[usize::try_from(self.number_below(13)).expect("small")],
                ),
                2..=3 => ODD[usize::try_from(self.number_below(24)).expect("small")],
                _ => char::from_u32(u32::try_from(self.number_below(0x11_0000)).expect("small"))
                    .unwrap_or('x'),
            })
            .collect()
    }
}

#[test]
fn a_million_names_survive_their_keys_and_stay_below_their_prefixes() {
    let mut chance = RandomSource(SEED);
    for _ in 0..1_000_000 {
        let name = chance.random_text(24);
        let segment = customer_segment(&name);
        let stays =
            !segment.is_empty() && !segment.contains('/') && segment != "." && segment != "..";
        assert!(
            stays && segment.len() <= 400 && segment.is_ascii(),
            "seed {SEED}: {name:?} gives {segment:?}"
        );
        assert_eq!(
            parse_customer_segment(&segment).as_deref(),
            Some(name.as_str()),
            "seed {SEED}: {segment:?}"
        );
    }
}

#[test]
fn rows_do_not_depend_on_the_order_of_records() {
    let mut chance = RandomSource(SEED);
    for round in 0..200 {
        let mut deployments: Vec<Deployment> = (0..chance.number_below(60))
            .map(|number| Deployment {
                // Few values each, so that equal ones are frequent.
                deployed_at: DateTime::from_timestamp_nanos(
                    1_772_000_000_000_000_000
                        + i64::try_from(chance.number_below(6) * 17_000_000_000_000)
                            .expect("small"),
                ),
                last_modified: DateTime::from_timestamp(
                    1_772_000_000 + i64::try_from(chance.number_below(2)).expect("small"),
                    0,
                )
                .expect("a time"),
                key: format!(
                    "usage-logs/c/{}{number}.json",
                    ["", "2026-02-25_080000-", "d188280766a258cc"]
                        [usize::try_from(chance.number_below(3)).expect("small")]
                ),
                customer: format!("c{}", chance.number_below(2)),
                record: parse::ParsedRecord {
                    user: format!(
                        "arn:aws:iam::{}:user/u{}",
                        chance.number_below(2),
                        chance.number_below(2)
                    ),
                    additional_users_count: number,
                    ..parse::ParsedRecord::default()
                },
            })
            .collect();
        let mut expected: BTreeMap<(String, String, String), &Deployment> = BTreeMap::new();
        for one in &deployments {
            let place = (
                one.deployed_at.format("%Y-%m-%d").to_string(),
                one.customer.clone(),
                user_name_from_arn(&one.record.user).to_owned(),
            );
            let order = |it: &Deployment| (it.deployed_at, it.last_modified, it.key.clone());
            let kept = expected.entry(place).or_insert(one);
            if order(one) > order(kept) {
                *kept = one;
            }
        }
        let expected: Vec<(String, u64)> = expected
            .iter()
            .map(|(place, one)| (format!("{place:?}"), one.record.additional_users_count))
            .collect();
        for _ in 0..3 {
            for place in (1..deployments.len()).rev() {
                deployments.swap(
                    place,
                    usize::try_from(chance.number_below(place as u64 + 1)).expect("small"),
                );
            }
            let mut made = ReportRows::new(UserIdentity::Name, RowKind::LastOfDay);
            for one in &deployments {
                made.add_deployment(one);
            }
            made.sort_and_limit(&[], None);
            let shown: Vec<(String, u64)> = made
                .iter_cells()
                .map(|cells| {
                    let words: Vec<String> = cells[..3]
                        .iter()
                        .map(|cell| cell.to_text().into_owned())
                        .collect();
                    let TableCell::Count(count) = cells[3] else {
                        panic!("a count")
                    };
                    (format!("{:?}", (&words[0], &words[1], &words[2])), count)
                })
                .collect();
            assert_eq!(shown, expected, "seed {SEED}, round {round}");
        }
    }
}

#[test]
fn csv_parses_back_to_the_same_cells() {
    let mut chance = RandomSource(SEED);
    let cells: Vec<Vec<String>> = (0..3000)
        .map(|_| (0..3).map(|_| chance.random_text(12)).collect())
        .collect();
    let mut csv = Vec::new();
    let table = || -> Box<dyn Iterator<Item = Vec<TableCell<'_>>> + '_> {
        Box::new(cells.iter().map(|row| {
            row.iter()
                .map(|text| TableCell::Text(text.as_str().into()))
                .collect()
        }))
    };
    write_cells(
        OutputFormat::Csv,
        &["a", "b", "c"],
        table,
        TableStyle {
            is_raw: true,
            ..TableStyle::default()
        },
        &mut csv,
    )
    .expect("written");
    let parsed = parse_csv_rows(&csv);
    assert_eq!(parsed.len(), cells.len() + 1);
    for (got, wanted) in parsed[1..].iter().zip(&cells) {
        assert_eq!(got, wanted, "seed {SEED}");
    }
    let mut made_safe = Vec::new();
    write_cells(
        OutputFormat::Csv,
        &["a", "b", "c"],
        table,
        TableStyle::default(),
        &mut made_safe,
    )
    .expect("written");
    let parsed = parse_csv_rows(&made_safe);
    assert!(
        parsed.len() == cells.len() + 1 && parsed.iter().all(|row| row.len() == 3),
        "seed {SEED}"
    );
}

#[test]
fn days_are_those_of_utc_whatever_the_offset() {
    let mut chance = RandomSource(SEED);
    let times: Vec<String> = (0..4000)
        .map(|_| {
            // Within minutes of midnight, in any offset, also in leap years.
            let midnight =
                951_782_400 + i64::try_from(chance.number_below(36_000)).expect("small") * 86_400;
            let near = midnight - 600 + i64::try_from(chance.number_below(1200)).expect("small");
            let offset = (i64::try_from(chance.number_below(1681)).expect("small") - 840) * 60;
            let local: DateTime<Utc> = DateTime::from_timestamp(near + offset, 0).expect("a time");
            let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
            format!(
                "{}{sign}{:02}:{:02}",
                local.format("%Y-%m-%dT%H:%M:%S"),
                minutes / 60,
                minutes % 60
            )
        })
        .collect();
    let script = "import sys,datetime\n\
                  for line in sys.stdin: print(datetime.datetime.fromisoformat(line.strip()).astimezone(datetime.timezone.utc).date())";
    let mut python = Command::new(python_path());
    python.args(["-c", script]);
    let output = run_with_input(python, times.join("\n").as_bytes());
    assert!(output.status.success(), "{}", to_text(&output.stderr));
    for (time, day) in times.iter().zip(to_text(&output.stdout).lines()) {
        let read =
            parse::parse_record(format!("{{\"user\":\"u\",\"timestamp\":\"{time}\"}}").as_bytes())
                .expect("a record");
        let deployment = Deployment {
            deployed_at: read.deployed_at.expect("a time"),
            key: "usage-logs/c/k.json".into(),
            ..Deployment::default()
        };
        let mut made = ReportRows::new(UserIdentity::Name, RowKind::LastOfDay);
        made.add_deployment(&deployment);
        made.sort_and_limit(&[], None);
        assert_eq!(
            made.iter_cells().next().expect("a row")[0].to_text(),
            day,
            "seed {SEED}: {time}"
        );
    }
}
