//! Objects that stand for more than memory has: each command names the object, reads all others,
//! and stays within a limit.

mod parquet_bombs;

use std::collections::BTreeMap;
use std::path::Path;

use parquet_bombs::{ParquetBomb, encode_footer_only};
use test_support::broken_s3::{AnswerFraming, BrokenObject, BrokenRequest, BrokenS3, RawAnswer};
use test_support::campaign::Campaign;
use test_support::oracle::{python_digest, python_path};
use test_support::{World, helper_path, to_text};

/// What a command may take, whatever is in the bucket.
const MAX_PEAK_KIB: u64 = 512 << 10;
const SMALL_TRIALS: usize = 40;
const WORKERS: usize = 2;
const GIGABYTES: u64 = 3 << 30;
/// The key of every bomb that is not an archive.
pub(crate) const RECORD_KEY: &str = "usage-logs/airbnb/2025-01-01_000000.json";
pub(crate) const CONFIG_KEY: &str = "terragrunt/airbnb/config.yaml";
const COPY_KEY: &str = "terragrunt/airbnb/config-history/\
                        2025-06-01_000000_d188280766a258ccc135ef480b49230c.yaml";
const SEAL_KEY: &str = "terragrunt/airbnb/usage-chain/0123456789abcdef.json";
/// Runs a program within a limit of address space, and writes its peak of memory in KiB to a file.
const MEASURE: &str = "import resource,subprocess,sys\n\
    def limit(): resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))\n\
    code = subprocess.run(sys.argv[2:], preexec_fn=limit).returncode\n\
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n\
    open(sys.argv[1], 'w').write(str(peak))\n\
    sys.exit(code if code >= 0 else 99)\n";

pub(crate) type BucketObjects = BTreeMap<String, BrokenObject>;

/// How a bomb gets into a bucket, and how the server answers for it.
struct BombKind {
    name: &'static str,
    /// Adds objects, and returns the key of the bomb.
    plant: fn(&mut BucketObjects) -> String,
    /// Replaces the answer to a request for the bomb.
    answer: fn(&BrokenRequest, RawAnswer) -> RawAnswer,
}

/// The commands that read everything, and those that read one customer.
const COMMANDS: [&[&str]; 9] = [
    &["report", "--all", "--no-cache"],
    &["report", "--all"],
    &["history", "airbnb"],
    &["diff", "airbnb", "2025-05-01", "2025-05-01"],
    &["restore", "airbnb", "--at", "2025-05-01", "--stdout"],
    &["coverage"],
    &["verify"],
    &["compact", "--dry-run"],
    &["compact"],
];

pub(crate) fn put(objects: &mut BucketObjects, key: &str, body: impl Into<Vec<u8>>) {
    objects.insert(key.to_owned(), BrokenObject::new(body.into(), Vec::new()));
}

fn record_of(customer: &str, user: &str) -> String {
    format!(
        "{{\"timestamp\":\"2025-01-02T00:00:00Z\",\"customer\":\"{customer}\",\
         \"user\":\"arn:aws:iam::1:user/{user}\",\"config_hash\":\"\",\"project_name\":\"p\"}}\n"
    )
}

/// Two customers with a record each, and a config of one with an older copy.
pub(crate) fn healthy_objects() -> BucketObjects {
    let mut objects = BucketObjects::new();
    for customer in ["acme", "airbnb"] {
        let key = format!("usage-logs/{customer}/2025-01-02_000000.json");
        put(&mut objects, &key, record_of(customer, "healthy"));
    }
    put(&mut objects, CONFIG_KEY, "number: 2\n");
    let body = b"number: 1\n";
    let md5 = python_digest("md5", body);
    let key = format!("terragrunt/airbnb/config-history/2025-04-01_000000_{md5}.yaml");
    let metadata = vec![
        ("md5".to_owned(), md5),
        ("captured-at".to_owned(), "2025-04-01T00:00:00Z".to_owned()),
    ];
    objects.insert(key, BrokenObject::new(body.to_vec(), metadata));
    objects
}

fn put_archive(objects: &mut BucketObjects, file: Vec<u8>) -> String {
    let digest = &python_digest("sha256", &file)[..32];
    let key = format!("usage-logs-archive/airbnb/2025-01_2025-01_{digest}.parquet");
    put(objects, &key, file);
    key
}

fn padded_record(bytes: usize) -> Vec<u8> {
    let head = "{\"timestamp\":\"2025-01-01T00:00:00Z\",\"customer\":\"airbnb\",\"pad\":\"";
    format!("{head}{}\"}}\n", "x".repeat(bytes - head.len() - 3)).into_bytes()
}

fn bomb_of(rows: i64) -> ParquetBomb {
    ParquetBomb::new(rows, padded_record(1 << 20))
}

fn unchanged(_: &BrokenRequest, answer: RawAnswer) -> RawAnswer {
    answer
}

/// A body without an end.
fn endless(_: &BrokenRequest, answer: RawAnswer) -> RawAnswer {
    RawAnswer {
        body: Vec::new(),
        framing: AnswerFraming::Endless(b"number: 1\n".to_vec(), GIGABYTES),
        ..answer
    }
}

fn endless_error(_: &BrokenRequest, _: RawAnswer) -> RawAnswer {
    RawAnswer {
        framing: AnswerFraming::Endless(b"<Message>".to_vec(), GIGABYTES),
        ..RawAnswer::new("500 Internal Server Error", "<Error>")
    }
}

fn packed(_: &BrokenRequest, mut answer: RawAnswer) -> RawAnswer {
    let encoding = "gzip".to_owned();
    answer.headers.push(("content-encoding", encoding));
    answer
}

macro_rules! archive_bomb {
    ($name:literal, $file:expr) => {
        BombKind {
            name: $name,
            plant: |objects| put_archive(objects, $file),
            answer: unchanged,
        }
    };
}

macro_rules! object_bomb {
    ($name:literal, $key:expr, $listed:expr, $answer:expr) => {
        BombKind {
            name: $name,
            plant: |objects| {
                put(objects, $key, "number: 3\n");
                objects.get_mut($key).expect("it").listed_size = $listed;
                $key.to_owned()
            },
            answer: $answer,
        }
    };
}

const BOMBS: [BombKind; 22] = [
    archive_bomb!(
        "a megabyte 100,000 times",
        bomb_of(100_000).encode(RECORD_KEY)
    ),
    archive_bomb!(
        "a megabyte 20,000 times",
        bomb_of(20_000).encode(RECORD_KEY)
    ),
    archive_bomb!(
        "a record of 60 megabytes",
        ParquetBomb::new(1, padded_record(60 << 20)).encode(RECORD_KEY)
    ),
    archive_bomb!("a page that states 2 gigabytes", {
        let stated_page_bytes = Some(i64::from(i32::MAX));
        let bomb = ParquetBomb {
            stated_page_bytes,
            ..bomb_of(10)
        };
        bomb.encode(RECORD_KEY)
    }),
    archive_bomb!("a page that unpacks to 200 megabytes", {
        ParquetBomb::new(1, vec![0; 200 << 20]).encode(RECORD_KEY)
    }),
    archive_bomb!("a page that unpacks to more than it states", {
        let bomb = ParquetBomb {
            stated_page_bytes: Some(100),
            ..bomb_of(10)
        };
        bomb.encode(RECORD_KEY)
    }),
    archive_bomb!("a dictionary that states 2^31 values", {
        let dictionary_values = i64::from(i32::MAX);
        let bomb = ParquetBomb {
            dictionary_values,
            ..bomb_of(10)
        };
        bomb.encode(RECORD_KEY)
    }),
    archive_bomb!("2^62 rows", {
        let bomb = ParquetBomb {
            stated_rows: Some(1 << 62),
            ..bomb_of(10)
        };
        bomb.encode(RECORD_KEY)
    }),
    archive_bomb!("2,000 row groups with the same pages", {
        let bomb = ParquetBomb {
            groups: 2_000,
            ..bomb_of(10)
        };
        bomb.encode(RECORD_KEY)
    }),
    archive_bomb!("100 row groups with the same pages", {
        let bomb = ParquetBomb {
            groups: 100,
            ..bomb_of(200)
        };
        bomb.encode(RECORD_KEY)
    }),
    archive_bomb!("2^31 row groups that are not there", {
        let bomb = ParquetBomb {
            stated_groups: Some(1 << 31),
            ..bomb_of(10)
        };
        bomb.encode(RECORD_KEY)
    }),
    archive_bomb!("a million empty row groups", {
        let list = [&[0x49, 0xfc, 0xc0, 0x84, 0x3d][..], &vec![0; 1_000_001]].concat();
        encode_footer_only(&list)
    }),
    archive_bomb!(
        "a footer of nested structs",
        encode_footer_only(&[0x1c; 100_000])
    ),
    object_bomb!("a record without an end", RECORD_KEY, None, endless),
    object_bomb!(
        "a record that is listed with gigabytes",
        RECORD_KEY,
        Some(GIGABYTES),
        endless
    ),
    object_bomb!(
        "a record whose error has no end",
        RECORD_KEY,
        None,
        endless_error
    ),
    object_bomb!("a packed record", RECORD_KEY, None, packed),
    object_bomb!("a config without an end", CONFIG_KEY, None, endless),
    object_bomb!(
        "a config that is listed with gigabytes",
        CONFIG_KEY,
        Some(GIGABYTES),
        endless
    ),
    object_bomb!("a copy without an end", COPY_KEY, None, endless),
    object_bomb!("a seal without an end", SEAL_KEY, None, endless),
    BombKind {
        name: "an archive object without an end",
        plant: |objects| put_archive(objects, vec![0; 100]),
        answer: endless,
    },
];

/// What a command did.
#[derive(Debug, Default)]
struct BombOutcome {
    peak_kib: u64,
    is_stopped: bool,
    is_silent: bool,
    is_short: bool,
}

/// Runs a command within the limit. Returns its exit code, its outputs and its peak.
fn run_measured(
    world: &World,
    server: &BrokenS3,
    folder: &Path,
    arguments: &[&str],
) -> (Option<i32>, String, String, u64) {
    let measured = folder.join("peak");
    let mut command = world.command(python_path());
    command
        .args(["-c", MEASURE])
        .arg(&measured)
        .arg(helper_path())
        .args(arguments)
        .env("XDG_CACHE_HOME", folder)
        .env("AWS_ENDPOINT_URL_S3", server.endpoint())
        .env("AWS_PROFILE", "default");
    let output = command.output().expect("it runs");
    let peak = std::fs::read_to_string(measured).expect("a peak");
    (
        output.status.code(),
        to_text(&output.stdout),
        to_text(&output.stderr),
        peak.parse().expect("a number"),
    )
}

/// Whether a command reads the object with this key.
fn is_reader_of(arguments: &[&str], key: &str) -> bool {
    match arguments[0] {
        // It lists records and reads archives.
        "compact" if arguments.contains(&"--dry-run") => key.starts_with("usage-logs-archive"),
        // `coverage` reads no content of configs that have a name.
        "report" | "compact" | "coverage" => key.starts_with("usage-logs"),
        "history" => !key.contains("usage-chain"),
        // Of copies they read the one that is chosen.
        "diff" | "restore" => !key.contains("usage-chain") && !key.contains("config-history"),
        _ => true,
    }
}

/// Whether the output of a command lacks what [`healthy_objects`] has.
pub(crate) fn misses_healthy_objects(command: &str, output: &str) -> bool {
    match command {
        "report" => {
            output
                .lines()
                .filter(|line| line.contains("healthy"))
                .count()
                != 2
        }
        "history" => !output.contains("2025-04-01T00:00:00Z"),
        "restore" => output != "number: 1\n",
        _ => false,
    }
}

fn try_bomb(world: &World, bomb: &BombKind, arguments: &'static [&'static str]) -> BombOutcome {
    let folder = tempfile::tempdir_in(world.path()).expect("a folder");
    let mut objects = healthy_objects();
    let key = (bomb.plant)(&mut objects);
    let server = BrokenS3::start(objects);
    let (answer, bomb_key) = (bomb.answer, key.clone());
    server.set_rule(move |request, right| {
        if request.key == bomb_key && request.method == "GET" {
            answer(request, right)
        } else {
            right
        }
    });
    let (code, output, messages, peak_kib) = run_measured(world, &server, folder.path(), arguments);

    let is_named = format!("{output}{messages}").contains(&key);
    let is_short = misses_healthy_objects(arguments[0], &output);
    let good_codes: &[i32] = match arguments[0] {
        "verify" => &[7],
        _ => &[0],
    };
    BombOutcome {
        peak_kib,
        is_stopped: !good_codes.contains(&code.unwrap_or(-1)),
        is_silent: is_reader_of(arguments, &key) && !is_named,
        is_short,
    }
}

#[test]
fn no_object_takes_all_memory_or_stops_a_command() {
    let campaign = Campaign::start("bombs");
    let world = World::new();
    let mut trials: Vec<(&BombKind, &'static [&'static str])> = Vec::new();
    for bomb in &BOMBS {
        trials.extend(COMMANDS.iter().map(|command| (bomb, *command)));
    }
    let possible = trials.len();
    campaign.rng(0).shuffle(&mut trials);
    trials.truncate(campaign.pick(SMALL_TRIALS, usize::MAX));
    let outcomes = campaign.run_each(trials.len(), WORKERS, |number| {
        let (bomb, command) = trials[number];
        try_bomb(&world, bomb, command)
    });

    let count = |is_bad: fn(&BombOutcome) -> bool| outcomes.iter().filter(|it| is_bad(it)).count();
    let peak = outcomes
        .iter()
        .map(|it| it.peak_kib)
        .max()
        .unwrap_or_default();
    campaign.print_line(format!(
        "{} bombs (of {possible}), peak {} MiB: {} over the limit, {} stopped, {} silent, {} short",
        trials.len(),
        peak >> 10,
        count(|it| it.peak_kib > MAX_PEAK_KIB),
        count(|it| it.is_stopped),
        count(|it| it.is_silent),
        count(|it| it.is_short),
    ));
    let mut bad = Vec::new();
    for ((bomb, command), outcome) in trials.iter().zip(&outcomes) {
        let is_good = !(outcome.is_stopped || outcome.is_silent || outcome.is_short);
        if !is_good || outcome.peak_kib > MAX_PEAK_KIB {
            bad.push(format!("{}: {}: {outcome:?}", command.join(" "), bomb.name));
        }
    }
    assert_eq!(bad, Vec::<String>::new(), "seed {}", campaign.seed);
}

/// Many files that are each within the limit of one file.
#[test]
fn many_bombs_take_no_more_than_their_size_explains() {
    let world = World::new();
    let folder = tempfile::tempdir_in(world.path()).expect("a folder");
    let mut objects = healthy_objects();
    for number in 0..40 {
        let key = format!("usage-logs/airbnb/2025-01-01_{number:06}.json");
        put_archive(&mut objects, bomb_of(1).encode(&key));
        let key = format!("usage-logs/airbnb/{number:032x}.json");
        put_archive(
            &mut objects,
            ParquetBomb::new(20_000, padded_record(1_000)).encode(&key),
        );
    }
    let server = BrokenS3::start(objects);
    let verify = ["verify", "airbnb"];
    let (code, _, messages, peak) = run_measured(&world, &server, folder.path(), &verify);
    assert_eq!(code, Some(7), "{messages}");
    assert!(peak <= MAX_PEAK_KIB, "{peak} KiB");
}

/// The measurement sees what a program takes.
#[test]
fn a_program_that_takes_memory_is_detected() {
    let world = World::new();
    let measured = world.path().join("peak");
    let mut command = world.command(python_path());
    command
        .args(["-c", MEASURE])
        .arg(&measured)
        .arg(python_path());
    command.args(["-c", "x = bytearray(600 << 20)"]);
    assert!(command.status().expect("it runs").success());
    let peak = std::fs::read_to_string(measured).expect("a peak");
    let peak: u64 = peak.parse().expect("a number");
    assert!(peak > MAX_PEAK_KIB, "{peak} KiB");
}
