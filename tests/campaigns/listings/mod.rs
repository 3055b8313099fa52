//! Listings that are not complete, and every command that lists the bucket: it must report an error
//! and exit with 6, and never take what is missing for deleted.

mod answers;
mod readers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use answers::{AnswerKind, CONTRADICTIONS, DAMAGED_TEXTS, ExpectedReaction, UNUSUAL};
use readers::{READERS, ReaderKind, ReaderResult, ReaderRun, write_credulous_helper};
use test_support::broken_s3::{BrokenObject, BrokenRequest, BrokenS3, RawAnswer};
use test_support::campaign::Campaign;
use test_support::s3_backend::ReportEntry;
use test_support::terraform_steps::CustomerUnit;
use test_support::{BUCKET, World, helper_path};

const CUSTOMERS: [&str; 2] = ["airbnb", "acme"];
/// How many of all trials a small run has.
const SMALL_TRIALS: usize = 110;
/// Most of the time is the pause before a retry.
const WORKERS: usize = 6;

/// One listing of a command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ListingTarget {
    is_of_versions: bool,
    prefix: String,
    delimiter: String,
}

impl ListingTarget {
    fn of_request(request: &BrokenRequest) -> Option<Self> {
        request.is_listing().then(|| Self {
            is_of_versions: request.is_version_listing(),
            prefix: request.prefix().to_owned(),
            delimiter: request.query.get("delimiter").cloned().unwrap_or_default(),
        })
    }
}

struct Trial<'a> {
    reader: &'a ReaderKind,
    target: &'a ListingTarget,
    answer: &'a AnswerKind,
}

/// What a reader did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ListingViolation {
    /// It used a part of the listing, and reported no error.
    Short,
    /// It never stopped asking.
    Endless,
    /// Another exit code than 6.
    WrongCode,
    /// No message says what failed.
    Silent,
    /// It wrote an archive of other records.
    WrongArchive,
    /// The next run with the same cache was wrong.
    WrongCache,
    /// It refused what other servers answer.
    TooStrict,
}

/// A bucket of two customers with deployments, old records of which some are archived, and a
/// config that was overwritten.
struct ListingBench {
    world: World,
    objects: BTreeMap<String, BrokenObject>,
}

impl ListingBench {
    fn new() -> Self {
        let mut world = World::new();
        world.set_variable("AWS_PROFILE", Some("default"));
        for customer in CUSTOMERS {
            let mut unit = CustomerUnit::in_folder(&world, customer);
            unit.set_variable("customer_name", customer);
            for number in 0..3 {
                let config = format!("customer: {{name: {customer}}}\nnumber: {number}\n");
                unit.write_config(config);
                unit.deploy(&world).expect_success();
            }
        }
        let put_records = |numbers: std::ops::Range<u64>| {
            for number in numbers {
                for customer in CUSTOMERS {
                    let entry = ReportEntry::new(customer, number);
                    let (key, body) = (entry.key(customer), entry.record());
                    let stored = world.server.put(BUCKET, &key, body.as_bytes(), &[]);
                    stored.expect("a record");
                }
            }
        };
        put_records(0..7);
        let compacted = world.helper_command(&["compact"]).output().expect("it");
        assert!(compacted.status.success(), "{compacted:?}");
        put_records(7..14);

        let mut objects = BTreeMap::new();
        for key in world.server.keys(BUCKET, "") {
            let object = world.server.object(BUCKET, &key).expect("it");
            let metadata = object.metadata.into_iter().collect();
            objects.insert(key, BrokenObject::new(object.body, metadata));
        }
        let config = objects.get_mut("terragrunt/airbnb/config.yaml");
        let older = [&b"number: -1\n"[..], b"number: -2\n"];
        config.expect("a config").older = older.map(<[u8]>::to_vec).to_vec();
        Self { world, objects }
    }

    fn run(
        &self,
        reader: &ReaderKind,
        helper: &Path,
        bend: impl Fn(&BrokenRequest, &RawAnswer) -> Option<RawAnswer> + Send + Sync + 'static,
    ) -> ReaderRun {
        let folder = tempfile::tempdir_in(self.world.path()).expect("a folder");
        let server = BrokenS3::start(self.objects.clone());
        reader.run(&self.world, helper, &server, folder.path(), bend)
    }

    /// The result with right answers, and the listings that led to it.
    fn healthy_run(&self, reader: &ReaderKind) -> (ReaderRun, Vec<ListingTarget>) {
        let targets = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = Arc::clone(&targets);
        let run = self.run(reader, &helper_path(), move |request, _| {
            seen.lock()
                .expect("no panic")
                .extend(ListingTarget::of_request(request));
            None
        });
        let targets = targets.lock().expect("no panic").iter().cloned().collect();
        (run, targets)
    }

    fn try_answer(
        &self,
        trial: &Trial<'_>,
        helper: &Path,
        healthy: &ReaderRun,
    ) -> (bool, Vec<ListingViolation>) {
        let target = trial.target.clone();
        let bend = trial.answer.bend;
        let run = self.run(trial.reader, helper, move |request, answer| {
            let is_meant = ListingTarget::of_request(request).as_ref() == Some(&target);
            let xml = std::str::from_utf8(&answer.body).ok()?;
            is_meant.then(|| bend(request, xml))?
        });
        (run.is_hit, find_violations(trial, &run, healthy))
    }
}

fn find_violations(
    trial: &Trial<'_>,
    run: &ReaderRun,
    healthy: &ReaderRun,
) -> Vec<ListingViolation> {
    let reader = trial.reader;
    let is_one_page = reader.result == ReaderResult::ExitCode;
    let is_refused = match trial.answer.reaction {
        ExpectedReaction::Refuse => run.is_hit,
        ExpectedReaction::RefuseSequence => run.is_hit && !is_one_page,
        ExpectedReaction::Accept => false,
    };
    let has_same_result = match reader.result {
        ReaderResult::ExitCode => run.code == healthy.code,
        ReaderResult::Archive => run.code == healthy.code && run.archive == healthy.archive,
        _ => run.code == healthy.code && run.output == healthy.output,
    };

    // S3 names an error itself, with the wrong status.
    let is_error_of_service =
        format!("{}{}", run.output, run.messages).contains("HTTP 200, InternalError");
    let mut violations = Vec::new();
    if !is_refused {
        if !has_same_result {
            violations.push(ListingViolation::TooStrict);
        }
    } else if reader.result == ReaderResult::Names {
        if run.code != Some(0) || !(run.output == "words\n" || has_same_result) {
            violations.push(ListingViolation::Short);
        }
    } else {
        if run.code == healthy.code && !has_same_result {
            violations.push(ListingViolation::Short);
        } else if !(run.code == Some(6) || is_error_of_service && run.code == Some(1)) {
            violations.push(ListingViolation::WrongCode);
        }
        let names_failure = |text: &str| text.contains("cannot list ");
        let is_named = match reader.result {
            ReaderResult::ExitCode => names_failure(&run.output),
            _ => names_failure(&run.messages),
        };
        if !is_named {
            violations.push(ListingViolation::Silent);
        }
        if !run.archive.is_subset(&healthy.archive) {
            violations.push(ListingViolation::WrongArchive);
        }
    }
    if run.is_endless {
        violations.push(ListingViolation::Endless);
    }
    if run.second_output != healthy.second_output {
        violations.push(ListingViolation::WrongCache);
    }
    violations
}

fn all_answers() -> impl Iterator<Item = &'static AnswerKind> {
    DAMAGED_TEXTS.iter().chain(&CONTRADICTIONS).chain(&UNUSUAL)
}

#[test]
fn no_reader_believes_an_incomplete_listing() {
    let campaign = Campaign::start("listings");
    let bench = ListingBench::new();
    let healthy = campaign.run_each(READERS.len(), WORKERS, |number| {
        bench.healthy_run(&READERS[number])
    });
    let mut trials = Vec::new();
    for (reader, (run, targets)) in READERS.iter().zip(&healthy) {
        assert!(matches!(run.code, Some(0 | 1 | 7)), "{reader:?}: {run:?}");
        assert!(!targets.is_empty(), "{reader:?}");
        for target in targets {
            for answer in all_answers() {
                if !target.is_of_versions || answer.is_for_versions {
                    let trial = Trial {
                        reader,
                        target,
                        answer,
                    };
                    trials.push((trial, run));
                }
            }
        }
    }
    let possible = trials.len();
    campaign.rng(0).shuffle(&mut trials);
    trials.truncate(campaign.pick(SMALL_TRIALS, usize::MAX));

    let results = campaign.run_each(trials.len(), WORKERS, |number| {
        let (trial, healthy) = &trials[number];
        bench.try_answer(trial, &helper_path(), healthy)
    });
    let mut counts: BTreeMap<ListingViolation, usize> = BTreeMap::new();
    let mut descriptions = Vec::new();
    for ((trial, _), (_, violations)) in trials.iter().zip(&results) {
        for violation in violations {
            *counts.entry(*violation).or_default() += 1;
        }
        if !violations.is_empty() {
            let Trial {
                reader,
                target,
                answer,
            } = trial;
            let (command, name) = (reader.arguments.join(" "), answer.name);
            descriptions.push(format!("{command}: {name}: {target:?}: {violations:?}"));
        }
    }
    let count = |violation| counts.get(&violation).copied().unwrap_or_default();
    campaign.print_line(format!(
        "{} answers (of {possible}), {} of them bent: {} short, {} endless, {} wrong codes, \
         {} silent, {} wrong archives, {} wrong caches, {} too strict",
        trials.len(),
        results.iter().filter(|(is_hit, _)| *is_hit).count(),
        count(ListingViolation::Short),
        count(ListingViolation::Endless),
        count(ListingViolation::WrongCode),
        count(ListingViolation::Silent),
        count(ListingViolation::WrongArchive),
        count(ListingViolation::WrongCache),
        count(ListingViolation::TooStrict),
    ));
    assert_eq!(descriptions, Vec::<String>::new(), "seed {}", campaign.seed);
}

/// Each counter detects its own.
#[test]
fn a_reader_that_believes_everything_is_detected() {
    let bench = ListingBench::new();
    let folder = tempfile::tempdir().expect("a folder");
    let credulous: PathBuf = write_credulous_helper(folder.path());
    let detect = |arguments: &[&str], result, answer: &AnswerKind, helper: &Path| {
        let is_meant = |it: &&ReaderKind| it.arguments == arguments && it.result == result;
        let reader = READERS.iter().find(is_meant).expect("a reader");
        let (healthy, targets) = bench.healthy_run(reader);
        let trial = Trial {
            reader,
            target: targets.last().expect("a listing"),
            answer,
        };
        bench.try_answer(&trial, helper, &healthy).1
    };
    let named = |name: &str| all_answers().find(|it| it.name == name).expect(name);

    let cut = named("cut in the middle");
    let report = ["report", "--all", "--no-cache"];
    let found = detect(&report, ReaderResult::Output, cut, &credulous);
    assert_eq!(found, [ListingViolation::Short, ListingViolation::Silent]);

    // A listing that is complete and lacks keys is believed, as if they were deleted.
    let lacking = AnswerKind {
        bend: |request, xml| {
            let is_first = request.token().is_none();
            let xml = xml.replace("<IsTruncated>true", "<IsTruncated>false");
            is_first.then(|| RawAnswer::new("200 OK", xml))
        },
        ..*cut
    };
    let found = detect(&report, ReaderResult::Output, &lacking, &helper_path());
    assert_eq!(found, [ListingViolation::Short, ListingViolation::Silent]);
    let found = detect(
        &["compact"],
        ReaderResult::Archive,
        &lacking,
        &helper_path(),
    );
    assert!(found.contains(&ListingViolation::WrongArchive), "{found:?}");

    let fussy = AnswerKind {
        reaction: ExpectedReaction::Accept,
        ..*cut
    };
    let found = detect(&report, ReaderResult::Output, &fussy, &helper_path());
    assert_eq!(found, [ListingViolation::TooStrict]);
}
