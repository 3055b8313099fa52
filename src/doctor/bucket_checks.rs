//! The bucket as a deployment would meet it, for `doctor`: asks step by step, and spares what cannot succeed any more.
//!
//! What an answer means, `judge.rs` decides. Writes at most one object in each of the two places that a deployment writes to, always
//! the same, and takes it away again where it may.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::mpsc::Sender;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::join;

use crate::digest::sha256_hex;
use crate::doctor::bucket_settings;
use crate::doctor::check::{BUCKET_CHECK_IDS, CheckResult};
use crate::doctor::s3_results::{self, WriteProbe};
use crate::error::{Error, ErrorKind};
use crate::keys;
use crate::keys::metadata::SHA256_FIELD;
use crate::s3::client;
use crate::s3::profiles::AwsProfile;
use crate::s3::store::{
    BucketTarget, CallerIdentity, ObjectStore, PutCondition, PutOutcome, RequestTimeouts,
};
use crate::system::host;

const CANARY_BODY: &[u8] =
    b"`config-backup doctor` tries with this object what a deployment does. It may be deleted.\n";
/// More than any object of that name has.
const MAX_CANARY_BYTES: u64 = 64 << 10;
/// How often a write that must be refused is tried: another doctor may just have deleted the object.
const CONDITIONAL_PUT_ATTEMPTS: u32 = 5;
/// An account that no bucket is expected to be of.
const UNRELATED_ACCOUNT: &str = "999999999999";
const WRONG_CLOCK_REASON: &str = "with a wrong clock no signature is valid";

/// Passes findings on, and knows which checks are still without one.
struct CheckReporter<'a> {
    sender: &'a Sender<CheckResult>,
    pending: RefCell<Vec<&'static str>>,
}

impl CheckReporter<'_> {
    fn report(&self, finding: CheckResult) {
        self.pending
            .borrow_mut()
            .retain(|check| *check != finding.check);
        // Nobody listens any more when the time is over.
        let _ = self.sender.send(finding);
    }

    /// Says of all that is left why nobody asked.
    fn report_skipped(&self, why: &str) {
        for check in self.pending.take() {
            let _ = self
                .sender
                .send(CheckResult::unknown(check, format!("not asked: {why}")));
        }
    }
}

/// Looks at everything, within some `limit` that the caller keeps.
pub async fn run_bucket_checks(
    target: &BucketTarget,
    customer: Option<&str>,
    limit: Duration,
    sender: &Sender<CheckResult>,
) {
    let teller = CheckReporter {
        sender,
        pending: RefCell::new(BUCKET_CHECK_IDS.to_vec()),
    };
    teller.report(check_proxy());
    if let Err(why) = check_in_steps(target, customer, limit, &teller).await {
        teller.report_skipped(&why);
    }
}

/// Goes on as long as it makes sense, and gives the reason why it does not.
async fn check_in_steps(
    target: &BucketTarget,
    customer: Option<&str>,
    limit: Duration,
    teller: &CheckReporter<'_>,
) -> Result<(), String> {
    // A black hole costs one wait, which leaves time to tell of it.
    let wait = (limit / 3).min(Duration::from_secs(4));
    let store = open_store(
        target,
        RequestTimeouts {
            operation: wait,
            attempt: wait,
            max_attempts: 2,
        },
        teller,
    )
    .await?;
    let (store, until) = load_credentials(store, wait, teller).await?;
    let keys = keys::doctor_canary_keys(customer);
    let (who, may_list) = check_access(&store, &keys, until, teller).await?;
    check_operations(&store, &keys, who, may_list, teller).await;
    Ok(())
}

/// Fetches the credentials, and gives until when they are good.
async fn load_credentials(
    store: ObjectStore,
    wait: Duration,
    teller: &CheckReporter<'_>,
) -> Result<(ObjectStore, Option<DateTime<Utc>>), String> {
    let late = |_| {
        Error::new(
            ErrorKind::Credentials,
            "fetch the credentials: no answer in time",
            "see what `aws sts get-caller-identity` says",
        )
    };
    let settled = tokio::time::timeout(wait, store.resolve_credentials())
        .await
        .map_err(late)
        .flatten();
    settled.map_err(|fault| {
        teller.report(CheckResult::from_error("credentials", &fault));
        "there are no credentials".to_owned()
    })
}

/// The first questions, to STS and S3 at once, on which all others depend: gives who asks, if STS knows, and whether one may list.
async fn check_access(
    store: &ObjectStore,
    keys: &[String; 2],
    until: Option<DateTime<Utc>>,
    teller: &CheckReporter<'_>,
) -> Result<(Option<CallerIdentity>, bool), String> {
    let [configs, records] = keys.each_ref().map(|key| parent_prefix(key));
    let owner = store.expected_owner();
    let (who, of_configs, of_records) = join!(
        store.get_caller_identity(),
        store.probe_list(configs, owner.clone()),
        store.probe_list(records, owner.clone())
    );
    let ahead = of_configs.clock_ahead.or(of_records.clock_ahead);
    let listed = [&of_configs, &of_records].map(|knock| knock.result.as_ref().copied());
    let stop = listed
        .iter()
        .filter_map(|it| it.err())
        .find(|fault| fault.kind != ErrorKind::Denied);
    teller.report(s3_results::evaluate_clock(ahead));
    teller.report(check_network(
        store,
        who.as_ref()
            .err()
            .into_iter()
            .chain(listed.iter().filter_map(|it| it.err())),
    ));
    // STS may take credentials that S3 does not.
    let refused = stop.filter(|fault| fault.kind == ErrorKind::Credentials);
    teller.report(match (&who, refused) {
        (Ok(who), None) => s3_results::evaluate_credentials(who, until, host::utc_now()),
        (Err(fault), _) if fault.is_network_error() => {
            CheckResult::unknown("credentials", "not asked: STS does not answer")
        }
        _ if s3_results::is_clock_off(ahead) => {
            CheckResult::unknown("credentials", WRONG_CLOCK_REASON)
        }
        (Err(fault), _) | (_, Some(fault)) => CheckResult::from_error("credentials", fault),
    });
    if let Some(fault) = stop {
        return Err(explain_stop(fault, s3_results::is_clock_off(ahead), teller));
    }
    teller.report(s3_results::evaluate_region(
        &store.target.region,
        &store.bucket_region(),
    ));
    let may_list = listed.iter().all(Result::is_ok);
    if !may_list && owner.is_some() && store.probe_list(records, None).await.result.is_ok() {
        let seen = format!(
            "the bucket is not of the account {}, which CONFIG_BACKUP_BUCKET_OWNER demands",
            store.target.owner
        );
        teller.report(CheckResult::failed(
            "owner",
            5,
            seen,
            "check the bucket's name and the account: nothing is written to another one's bucket",
        ));
        teller.report(existing_bucket(store));
        return Err("the bucket is another account's".to_owned());
    }
    teller.report(s3_results::evaluate_permission(
        "s3:ListBucket",
        [configs, records].into_iter().zip(listed),
    ));
    Ok((who.ok(), may_list))
}

/// Tries what a deployment does, and asks meanwhile how the bucket is set up.
async fn check_operations(
    store: &ObjectStore,
    keys: &[String; 2],
    who: Option<CallerIdentity>,
    may_list: bool,
    teller: &CheckReporter<'_>,
) {
    let (configs, records, whose, versions, encrypts, public, policy, lock) = join!(
        run_write_probe(store, &keys[0], false),
        run_write_probe(store, &keys[1], true),
        check_owner(store, parent_prefix(&keys[1]), who.filter(|_| may_list)),
        store.get_versioning(),
        store.get_default_encryption(),
        store.is_public_access_blocked(),
        store.get_bucket_policy(),
        store.describe_object_lock()
    );
    let tried = [configs, records];
    let is_there = may_list || tried.iter().any(|it| it.put.is_ok() || it.body.is_ok());
    let written = tried.iter().find_map(|it| {
        it.put
            .as_ref()
            .ok()
            .filter(|put| matches!(put.outcome, PutOutcome::Written(_)))
    });
    for finding in [
        if is_there {
            existing_bucket(store)
        } else {
            CheckResult::unknown("bucket", "access is denied, which says no more")
        },
        whose,
        s3_results::evaluate_permission(
            "s3:PutObject",
            tried
                .iter()
                .map(|it| (it.prefix.as_str(), it.put.as_ref().map(drop))),
        ),
        s3_results::evaluate_read_permission(&tried, may_list),
        s3_results::evaluate_conditional_writes(&tried),
        s3_results::evaluate_read_back(&tried),
        s3_results::evaluate_canary(&tried),
        bucket_settings::evaluate_versioning(versions, written),
        bucket_settings::evaluate_encryption(encrypts, written),
        bucket_settings::evaluate_public_access(public),
        bucket_settings::evaluate_tls_policy(policy),
        bucket_settings::evaluate_object_lock(lock),
    ] {
        teller.report(finding);
    }
}

/// The place that a key is in, as `usage-logs/airbnb/`.
fn parent_prefix(key: &str) -> &str {
    key.rfind('/').map_or("", |end| &key[..=end])
}

fn existing_bucket(store: &ObjectStore) -> CheckResult {
    CheckResult::ok(
        "bucket",
        format!("there is one called {}", store.target.bucket),
    )
}

fn check_proxy() -> CheckResult {
    CheckResult::ok(
        "proxy",
        host::https_proxy().map_or_else(
            || "none is set".to_owned(),
            |proxy| format!("requests go through {proxy}"),
        ),
    )
}

/// Opens the store: the profile and the certificates.
async fn open_store(
    target: &BucketTarget,
    patience: RequestTimeouts,
    teller: &CheckReporter<'_>,
) -> Result<ObjectStore, String> {
    let opened = ObjectStore::open(target, patience).await;
    match &opened {
        Ok(store) => {
            let profile = describe_profile(&store.session.profile);
            teller.report(CheckResult::ok("profile", profile));
            let certificates = match &store.session.ca_bundle {
                Some(path) => format!("the system's and those of `{}`", path.display()),
                None => "the system's".to_owned(),
            };
            teller.report(CheckResult::ok("certificates", certificates));
        }
        Err(fault) if fault.kind == ErrorKind::Input => {
            teller.report(CheckResult::from_error("certificates", fault));
        }
        Err(fault) => teller.report(CheckResult::from_error("profile", fault)),
    }
    opened.map_err(|fault| {
        if fault.kind == ErrorKind::Input {
            "the certificates cannot be read"
        } else {
            "there is no such profile"
        }
        .to_owned()
    })
}

fn describe_profile(profile: &AwsProfile) -> String {
    let Some(name) = &profile.name else {
        return "none is named: the environment's credentials, or the default profile".to_owned();
    };
    let is_used = profile.provides_credentials().unwrap_or(false);
    if is_used {
        format!("`{name}` is in the AWS config or credentials file")
    } else if profile.is_defined {
        format!("`{name}` has no credentials of its own: the environment's are used, as in CI")
    } else {
        format!("`{name}` is not on this machine: the environment's credentials are used, as in CI")
    }
}

/// Whether S3 and STS answer at all.
fn check_network<'a>(
    store: &ObjectStore,
    mut faults: impl Iterator<Item = &'a Error>,
) -> CheckResult {
    let place = client::custom_endpoint(&store.session.config)
        .map_or_else(String::new, |endpoint| format!(", S3 at {endpoint}"));
    match faults.find(|fault| fault.is_network_error()) {
        Some(fault) => CheckResult::from_error("network", fault),
        None => CheckResult::ok("network", format!("S3 and STS answer{place}")),
    }
}

/// What a fault of the first request to the bucket means for all others.
fn explain_stop(fault: &Error, off: bool, teller: &CheckReporter<'_>) -> String {
    match fault.kind {
        ErrorKind::Network | ErrorKind::Timeout => "S3 does not answer",
        ErrorKind::Credentials if off => WRONG_CLOCK_REASON,
        ErrorKind::Credentials => "the credentials are not valid",
        ErrorKind::Bucket => {
            teller.report(CheckResult::from_error("bucket", fault));
            "there is no such bucket"
        }
        _ => {
            teller.report(CheckResult::from_error("bucket", fault));
            "S3 does not list the bucket"
        }
    }
    .to_owned()
}

/// Whose the bucket is; asked only by those who are known and may list it.
async fn check_owner(store: &ObjectStore, place: &str, who: Option<CallerIdentity>) -> CheckResult {
    let Some(who) = who else {
        return CheckResult::unknown(
            "owner",
            "not asked: that takes valid credentials and s3:ListBucket",
        );
    };
    let own = store
        .expected_owner()
        .unwrap_or_else(|| who.account.clone());
    let (as_own, as_any) = join!(
        store.probe_list(place, Some(own)),
        store.probe_list(place, Some(UNRELATED_ACCOUNT.to_owned()))
    );
    s3_results::evaluate_owner(
        &store.expected_owner().unwrap_or_default(),
        &who.account,
        as_own.result,
        as_any.result,
    )
}

/// Writes, reads and deletes as a deployment would; records are never written but on condition that nothing is there.
async fn run_write_probe(store: &ObjectStore, key: &str, is_record: bool) -> WriteProbe {
    let metadata = HashMap::from([(SHA256_FIELD.to_owned(), sha256_hex(CANARY_BODY))]);
    let put = async |condition| {
        store
            .probe_put(key, CANARY_BODY, &metadata, condition)
            .await
    };
    let first = put(if is_record {
        PutCondition::IfAbsent
    } else {
        PutCondition::Always
    })
    .await;
    let refused = match &first {
        Ok(first) if first.outcome == PutOutcome::ConditionFailed => Ok(true),
        Ok(_) => {
            let mut refused = Ok(false);
            for _ in 0..CONDITIONAL_PUT_ATTEMPTS {
                refused = put(PutCondition::IfAbsent)
                    .await
                    .map(|put| put.outcome == PutOutcome::ConditionFailed);
                if !matches!(refused, Ok(false)) {
                    break;
                }
            }
            refused
        }
        Err(fault) => Err(fault.clone()),
    };
    let (head, got) = join!(
        store.head_object(key),
        store.get_object(key, MAX_CANARY_BYTES)
    );
    let deleted = if first.is_ok() {
        Some(store.delete_object(key).await)
    } else {
        None
    };
    WriteProbe {
        prefix: parent_prefix(key).to_owned(),
        put: first,
        overwrite_refused: refused,
        head,
        body: got,
        deleted,
    }
}
