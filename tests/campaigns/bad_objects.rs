//! One object that cannot be read, or not as it is listed: each command names it, and reads all
//! others.

use std::path::Path;

use crate::bombs::{
    BucketObjects, CONFIG_KEY, RECORD_KEY, healthy_objects, misses_healthy_objects, put,
};
use test_support::broken_s3::{AnswerFraming, BrokenRequest, BrokenS3, RawAnswer};
use test_support::campaign::Campaign;
use test_support::oracle::python_digest;
use test_support::{World, helper_path, to_text};

const SMALL_TRIALS: usize = 45;
/// Most of the time is the pause before a retry.
const WORKERS: usize = 6;
const BODY: &[u8] = b"number: 3\n";

struct BadAnswer {
    name: &'static str,
    /// Replaces the answer to a GET of the object.
    answer: fn(RawAnswer) -> RawAnswer,
}

const BAD_ANSWERS: [BadAnswer; 12] = [
    bad("403", |_| RawAnswer::error("403 Forbidden", "AccessDenied")),
    bad("in cold storage", |_| {
        RawAnswer::error("403 Forbidden", "InvalidObjectState")
    }),
    bad("a disabled key", |_| {
        RawAnswer::error("400 Bad Request", "KMS.DisabledException")
    }),
    bad("a key that is gone", |_| {
        RawAnswer::error("400 Bad Request", "KMS.NotFoundException")
    }),
    bad("500 for ever", |_| {
        RawAnswer::error("500 Internal Server Error", "InternalError")
    }),
    bad("listed, but 404", |_| {
        RawAnswer::error("404 Not Found", "NoSuchKey")
    }),
    bad("shorter than its length", |mut answer| {
        let length = answer.body.len() as u64;
        answer.body.truncate(4);
        let framing = AnswerFraming::StatedLength(length);
        RawAnswer { framing, ..answer }
    }),
    bad("chunks without an end", |answer| RawAnswer {
        framing: AnswerFraming::ChunksWithoutEnd,
        ..answer
    }),
    bad("shorter than it is listed", |mut answer| {
        answer.body.truncate(4);
        answer
    }),
    bad("longer than it is listed", |mut answer| {
        answer.body.extend_from_slice(b"   \n");
        answer
    }),
    bad("rotten, which its checksum shows", |mut answer| {
        // The SHA-256 of nothing.
        let sha256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned();
        answer.headers.push(("x-amz-checksum-sha256", sha256));
        answer.body[0] ^= 1;
        answer
    }),
    bad("a page of HTML", |_| {
        RawAnswer::new("200 OK", "<!DOCTYPE html>\n<html>Log in</html>\n")
    }),
];

const fn bad(name: &'static str, answer: fn(RawAnswer) -> RawAnswer) -> BadAnswer {
    BadAnswer { name, answer }
}

/// The object that is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Record,
    Config,
    Copy,
}

/// A command, and the victims that it must name.
struct BadObjectReader {
    arguments: &'static [&'static str],
    victims: &'static [Victim],
    code: i32,
}

const READERS: [BadObjectReader; 7] = [
    reader(
        &["report", "--all", "--no-cache", "--strict"],
        &[Victim::Record],
        7,
    ),
    reader(&["report", "--all", "--strict"], &[Victim::Record], 7),
    reader(
        &["history", "airbnb"],
        &[Victim::Record, Victim::Config, Victim::Copy],
        0,
    ),
    reader(
        &["verify"],
        &[Victim::Record, Victim::Config, Victim::Copy],
        7,
    ),
    reader(&["coverage"], &[Victim::Record], 0),
    reader(&["compact"], &[Victim::Record], 0),
    reader(
        &["restore", "airbnb", "--at", "2025-05-01", "--stdout"],
        &[],
        0,
    ),
];

const fn reader(
    arguments: &'static [&'static str],
    victims: &'static [Victim],
    code: i32,
) -> BadObjectReader {
    BadObjectReader {
        arguments,
        victims,
        code,
    }
}

fn plant(objects: &mut BucketObjects, victim: Victim) -> String {
    let md5 = python_digest("md5", BODY);
    let (key, body) = match victim {
        Victim::Record => (
            RECORD_KEY.to_owned(),
            &b"{\"timestamp\":\"2025-01-01T00:00:00Z\",\"user\":\"u\"}"[..],
        ),
        Victim::Config => (CONFIG_KEY.to_owned(), BODY),
        Victim::Copy => {
            let folder = "terragrunt/airbnb/config-history";
            (format!("{folder}/2025-06-01_000000_{md5}.yaml"), BODY)
        }
    };
    put(objects, &key, body);
    key
}

fn run(
    world: &World,
    server: &BrokenS3,
    folder: &Path,
    arguments: &[&str],
) -> (Option<i32>, String, String) {
    let mut command = world.command(helper_path());
    command
        .args(arguments)
        .env("XDG_CACHE_HOME", folder)
        .env("AWS_ENDPOINT_URL_S3", server.endpoint())
        .env("AWS_PROFILE", "default");
    let output = command.output().expect("it runs");
    let (out, err) = (to_text(&output.stdout), to_text(&output.stderr));
    (output.status.code(), out, err)
}

/// What was wrong, if anything was.
fn try_bad_object(
    world: &World,
    victim: Victim,
    bad: &BadAnswer,
    reader: &BadObjectReader,
) -> Option<String> {
    let folder = tempfile::tempdir_in(world.path()).expect("a folder");
    let mut objects = healthy_objects();
    let key = plant(&mut objects, victim);
    let server = BrokenS3::start(objects);
    let (answer, bad_key) = (bad.answer, key.clone());
    server.set_rule(move |request: &BrokenRequest, right| {
        if request.key == bad_key && request.method == "GET" {
            answer(right)
        } else {
            right
        }
    });
    // The second run has a cache of all other records.
    let mut problem = None;
    for _ in 0..2 {
        let (code, output, messages) = run(world, &server, folder.path(), reader.arguments);
        let must_name = reader.victims.contains(&victim);
        let is_named = format!("{output}{messages}").contains(&key);
        let is_short = match reader.arguments[0] {
            "verify" => !output.contains("2025-04-01_000000_"),
            "compact" => !messages.contains("archived: 2") && !messages.contains("archived 2"),
            command => misses_healthy_objects(command, &output),
        };
        let expected = if must_name || reader.code == 0 || reader.arguments[0] == "verify" {
            reader.code
        } else {
            0
        };
        if code != Some(expected) || must_name && !is_named || is_short {
            problem = Some(format!("{code:?}: {output} {messages}"));
        }
    }
    problem
}

#[test]
fn one_bad_object_stops_no_command() {
    let campaign = Campaign::start("bad objects");
    let world = World::new();
    let mut trials = Vec::new();
    for reader in &READERS {
        for bad in &BAD_ANSWERS {
            for victim in [Victim::Record, Victim::Config, Victim::Copy] {
                trials.push((victim, bad, reader));
            }
        }
    }
    let possible = trials.len();
    campaign.rng(0).shuffle(&mut trials);
    trials.truncate(campaign.pick(SMALL_TRIALS, usize::MAX));
    let problems = campaign.run_each(trials.len(), WORKERS, |number| {
        let (victim, bad, reader) = trials[number];
        let problem = try_bad_object(&world, victim, bad, reader)?;
        let command = reader.arguments.join(" ");
        Some(format!("{command}: {victim:?}: {}: {problem}", bad.name))
    });
    let problems: Vec<String> = problems.into_iter().flatten().collect();
    campaign.print_line(format!(
        "{} bad objects (of {possible}): {} commands wrong",
        trials.len(),
        problems.len()
    ));
    assert_eq!(problems, Vec::<String>::new(), "seed {}", campaign.seed);
}

/// A version that cannot be restored is an error of its own, and no older one passes for it.
#[test]
fn a_bad_version_is_not_replaced_by_an_older_one() {
    let world = World::new();
    for victim in [Victim::Config, Victim::Copy] {
        let folder = tempfile::tempdir_in(world.path()).expect("a folder");
        let mut objects = healthy_objects();
        let key = plant(&mut objects, victim);
        if victim == Victim::Copy {
            objects.remove(CONFIG_KEY);
        }
        let server = BrokenS3::start(objects);
        let denied = key.clone();
        server.set_rule(move |request, right| {
            if request.key == denied && request.method == "GET" {
                RawAnswer::error("403 Forbidden", "InvalidObjectState")
            } else {
                right
            }
        });
        let restore = ["restore", "airbnb", "--stdout"];
        let (code, output, messages) = run(&world, &server, folder.path(), &restore);
        assert_eq!((code, output.as_str()), (Some(5), ""), "{messages}");
        assert!(messages.contains(&key), "{messages}");
        let older = ["restore", "airbnb", "--stdout", "--at", "2025-05-01"];
        let (code, output, _) = run(&world, &server, folder.path(), &older);
        assert_eq!((code, output.as_str()), (Some(0), "number: 1\n"));
    }
}

/// If nothing can be read, it is not about one object.
#[test]
fn a_bucket_in_which_nothing_can_be_read_is_an_error() {
    let world = World::new();
    for (answer, expected) in [
        (RawAnswer::error("403 Forbidden", "AccessDenied"), 5),
        (
            RawAnswer::error("500 Internal Server Error", "InternalError"),
            1,
        ),
        (RawAnswer::new("200 OK", "<html>Log in</html>"), 6),
    ] {
        for command in [
            &["report", "--no-cache"][..],
            &["history", "airbnb"],
            &["verify"],
        ] {
            let folder = tempfile::tempdir_in(world.path()).expect("a folder");
            let server = BrokenS3::start(healthy_objects());
            let answer = answer.clone();
            server.set_rule(move |request, right| {
                if request.method == "GET" && !request.key.is_empty() {
                    answer.clone()
                } else {
                    right
                }
            });
            let (code, output, messages) = run(&world, &server, folder.path(), command);
            assert_eq!(code, Some(expected), "{command:?}: {output} {messages}");
        }
    }
}
