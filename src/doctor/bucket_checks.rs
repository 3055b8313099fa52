//! The checks that ask AWS: the bucket as a deployment would meet it.
//!
//! Asks step by step, and skips what cannot succeed any more. `s3_results` and `bucket_settings`
//! judge the answers. Writes at most one object below each of the two prefixes that a deployment
//! writes to, always with the same key, and deletes it if it may.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::join;

use crate::doctor::bucket_settings;
use crate::doctor::check::{CheckId, CheckResult};
use crate::doctor::s3_requests::{ListProbe, PutProbe};
use crate::doctor::s3_results::{self, is_clock_off};
use crate::doctor::write_probe::{WriteProbe, parent_prefix};
use crate::error::{Error, ErrorKind};
use crate::exit_code::ExitCode;
use crate::keys;
use crate::s3::aws_files::profile_chain::{AwsProfile, ProfileContent};
use crate::s3::client::{self, SdkSession};
use crate::s3::proxy::{ProxyRoute, ProxySettings, RouteError, find_all_proxy};
use crate::s3::store::{
    BucketTarget, CallerIdentity, ObjectStore, PutCondition, PutOutcome, RequestTimeouts,
};
use crate::system::clock::utc_now;
use crate::system::deadline::TaskReporter;
use crate::system::env::has_env_credentials;
use crate::system::url::url_origin;

/// An account that owns no bucket.
const UNRELATED_ACCOUNT: &str = "999999999999";
/// One request that gets no answer must leave time to report that.
const MAX_REQUEST_TIME: Duration = Duration::from_secs(4);

/// Why the remaining checks are not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SkipReason {
    UnreadableCertificates,
    UnknownProfile,
    UnusableProxy,
    NoCredentials,
    InvalidCredentials,
    WrongClock,
    NoAnswer,
    NoBucket,
    ListFailed,
    OtherAccount,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnreadableCertificates => "the certificates cannot be read",
            Self::UnknownProfile => "there is no such profile",
            Self::UnusableProxy => "the proxy cannot be used",
            Self::NoCredentials => "there are no credentials",
            Self::InvalidCredentials => "the credentials are not valid",
            Self::WrongClock => "with a wrong clock no signature is valid",
            Self::NoAnswer => "S3 does not answer",
            Self::NoBucket => "there is no such bucket",
            Self::ListFailed => "S3 does not list the bucket",
            Self::OtherAccount => "the bucket is another account's",
        })
    }
}

/// Sends results, and knows which checks have none yet.
struct CheckReporter<'a> {
    task: &'a TaskReporter<CheckResult>,
    pending: RefCell<Vec<CheckId>>,
}

impl<'a> CheckReporter<'a> {
    fn new(task: &'a TaskReporter<CheckResult>) -> Self {
        let mut pending = CheckId::ALL.to_vec();
        pending.retain(|check| check.needs_aws());
        let pending = RefCell::new(pending);
        Self { task, pending }
    }

    fn report(&self, result: CheckResult) {
        let mut pending = self.pending.borrow_mut();
        pending.retain(|check| *check != result.check);
        self.task.report(result);
    }

    fn report_skipped(&self, reason: SkipReason) {
        for check in self.pending.take() {
            let result = CheckResult::unknown(check, format!("not asked: {reason}"));
            self.task.report(result);
        }
    }
}

/// Runs all checks that ask AWS; the caller waits no longer than `limit`.
pub(crate) async fn run_bucket_checks(
    target: &BucketTarget,
    customer: Option<&str>,
    limit: Duration,
    task: &TaskReporter<CheckResult>,
) {
    let reporter = CheckReporter::new(task);
    if let Err(reason) = check_in_steps(target, customer, limit, &reporter).await {
        reporter.report_skipped(reason);
    }
}

async fn check_in_steps(
    target: &BucketTarget,
    customer: Option<&str>,
    limit: Duration,
    reporter: &CheckReporter<'_>,
) -> Result<(), SkipReason> {
    let wait = MAX_REQUEST_TIME.min(limit / 3);
    let timeouts = RequestTimeouts {
        operation: wait,
        attempt: wait,
        max_attempts: 2,
    };
    let store = open_store(target, timeouts, reporter).await?;
    check_proxy(&store, reporter)?;
    let (store, expiry) = load_credentials(store, wait, reporter).await?;

    let keys = keys::doctor_canary_keys(customer);
    let access = check_access(&store, &keys, expiry, reporter).await?;
    check_operations(&store, &keys, access, reporter).await;
    Ok(())
}

/// Opens the store, and so checks the profile and the certificates.
async fn open_store(
    target: &BucketTarget,
    timeouts: RequestTimeouts,
    reporter: &CheckReporter<'_>,
) -> Result<ObjectStore, SkipReason> {
    match ObjectStore::open(target, timeouts).await {
        Ok(store) => {
            reporter.report(check_profile(&store.session.profile));
            reporter.report(check_certificates(&store.session));
            Ok(store)
        }
        Err(error) if error.kind == ErrorKind::Input => {
            reporter.report(CheckResult::from_error(CheckId::Certificates, &error));
            Err(SkipReason::UnreadableCertificates)
        }
        Err(error) => {
            reporter.report(CheckResult::from_error(CheckId::Profile, &error));
            Err(SkipReason::UnknownProfile)
        }
    }
}

fn check_profile(profile: &AwsProfile) -> CheckResult {
    let notes = profile.describe_notes();
    if !notes.is_empty() {
        let fix = "correct these lines, so that all tools read the same";
        return CheckResult::warning(CheckId::Profile, notes.join("; "), fix);
    }
    let name = &profile.name;
    let uses_profile = profile.provides_credentials(has_env_credentials());
    let seen = if uses_profile.unwrap_or(false) {
        format!("`{name}` is in the AWS config or credentials file")
    } else if !profile.is_requested {
        "none is named: the environment's credentials are used".to_owned()
    } else if profile.content == ProfileContent::OnlySettings {
        format!("`{name}` has no credentials of its own: the environment's are used, as in CI")
    } else {
        format!("`{name}` is not on this machine: the environment's credentials are used, as in CI")
    };
    CheckResult::ok(CheckId::Profile, seen)
}

fn check_proxy(store: &ObjectStore, reporter: &CheckReporter<'_>) -> Result<(), SkipReason> {
    // The SDK gives no URL to a malformed endpoint.
    let url = store.bucket_url().unwrap_or_default();
    // As people write it in NO_PROXY: a port other than the usual one, but no path.
    let host = url_origin(&url).unwrap_or_default();
    let host = host.split('/').nth(2).unwrap_or("S3");
    let settings = ProxySettings::from_env();
    let seen = match settings.find_route(&url) {
        Ok(ProxyRoute::NoProxySet) => match find_all_proxy() {
            Some(name) => format!("none is set: {name} is not used, as in Terraform"),
            None => "none is set".to_owned(),
        },
        Ok(ProxyRoute::Loopback) => format!("none for {host}, which is this machine"),
        Ok(ProxyRoute::ExcludedByNoProxy) => format!("none for {host}, which NO_PROXY excludes"),
        Ok(ProxyRoute::Through(proxy)) => format!("requests to {host} go through {proxy}"),
        Err(error @ RouteError::Proxy { .. }) => {
            let error = Error::new(ErrorKind::Network, error.to_string(), error.hint());
            reporter.report(CheckResult::from_error(CheckId::Proxy, &error));
            return Err(SkipReason::UnusableProxy);
        }
        // The check of the network names the error.
        Err(_) => {
            let seen = "not asked: the endpoint cannot be used";
            reporter.report(CheckResult::unknown(CheckId::Proxy, seen));
            return Ok(());
        }
    };
    reporter.report(CheckResult::ok(CheckId::Proxy, seen));
    Ok(())
}

fn check_certificates(session: &SdkSession) -> CheckResult {
    let seen = match &session.ca_bundle {
        Some(path) => format!("the system's and those of `{}`", path.display()),
        None => "the system's".to_owned(),
    };
    CheckResult::ok(CheckId::Certificates, seen)
}

/// Loads the credentials, and returns when they expire.
async fn load_credentials(
    store: ObjectStore,
    wait: Duration,
    reporter: &CheckReporter<'_>,
) -> Result<(ObjectStore, Option<DateTime<Utc>>), SkipReason> {
    let resolved = tokio::time::timeout(wait, store.resolve_credentials()).await;
    let error = match resolved {
        Ok(Ok(resolved)) => return Ok(resolved),
        Ok(Err(error)) => error,
        Err(_) => Error::new(
            ErrorKind::Credentials,
            "cannot load the credentials: no answer in time",
            "see what `aws sts get-caller-identity` says",
        ),
    };
    reporter.report(CheckResult::from_error(CheckId::Credentials, &error));
    Err(SkipReason::NoCredentials)
}

/// The answers to the first requests, on which all others depend.
struct AccessProbe {
    caller: Result<CallerIdentity, Error>,
    /// Of the prefixes of configs and of records.
    lists: [ListProbe; 2],
}

impl AccessProbe {
    fn clock_ahead(&self) -> Option<TimeDelta> {
        let [configs, records] = &self.lists;
        configs.clock_ahead.or(records.clock_ahead)
    }

    fn list_errors(&self) -> impl Iterator<Item = &Error> {
        self.lists
            .iter()
            .filter_map(|list| list.result.as_ref().err())
    }

    /// An error that other requests to S3 would give as well.
    fn fatal_error(&self) -> Option<&Error> {
        self.list_errors()
            .find(|error| error.kind != ErrorKind::Denied)
    }

    fn network_error(&self) -> Option<&Error> {
        if let Err(error) = &self.caller
            && error.is_network_error()
        {
            return Some(error);
        }
        self.list_errors().find(|error| error.is_network_error())
    }

    fn can_list(&self) -> bool {
        self.list_errors().next().is_none()
    }
}

/// What the user may do, as far as the first requests show.
struct UserAccess {
    /// Unknown if STS does not say.
    caller: Option<CallerIdentity>,
    can_list: bool,
}

/// Asks STS who the user is, and S3 to list the prefixes, at the same time.
async fn check_access(
    store: &ObjectStore,
    keys: &[String; 2],
    expiry: Option<DateTime<Utc>>,
    reporter: &CheckReporter<'_>,
) -> Result<UserAccess, SkipReason> {
    let [configs, records] = keys.each_ref().map(|key| parent_prefix(key));
    let owner = store.expected_owner();
    let (caller, configs_list, records_list) = join!(
        store.get_caller_identity(),
        store.probe_list(configs, owner.clone()),
        store.probe_list(records, owner.clone())
    );
    let probe = AccessProbe {
        caller,
        lists: [configs_list, records_list],
    };

    reporter.report(s3_results::evaluate_clock(probe.clock_ahead()));
    reporter.report(check_network(store, &probe));
    reporter.report(check_credentials(&probe, expiry));
    if let Some(error) = probe.fatal_error() {
        return Err(skip_after(error, &probe, reporter));
    }
    let region = s3_results::evaluate_region(&store.target.region, &store.bucket_region());
    reporter.report(region);

    let can_list = probe.can_list();
    if !can_list && owner.is_some() {
        let without_owner = store.probe_list(records, None).await;
        if without_owner.result.is_ok() {
            reporter.report(wrong_owner(store));
            reporter.report(existing_bucket(store));
            return Err(SkipReason::OtherAccount);
        }
    }

    let [configs_list, records_list] = &probe.lists;
    let attempts = [
        (configs, configs_list.result.as_ref().err()),
        (records, records_list.result.as_ref().err()),
    ];
    let result = s3_results::evaluate_permission(CheckId::ListBucket, &attempts);
    reporter.report(result);
    Ok(UserAccess {
        caller: probe.caller.ok(),
        can_list,
    })
}

fn check_network(store: &ObjectStore, probe: &AccessProbe) -> CheckResult {
    if let Some(error) = probe.network_error() {
        return CheckResult::from_error(CheckId::Network, error);
    }
    let endpoint = client::custom_endpoint(&store.session.config);
    let seen = match endpoint.and_then(|url| url_origin(&url)) {
        Some(endpoint) => format!("S3 and STS answer, S3 at {endpoint}"),
        None => "S3 and STS answer".to_owned(),
    };
    CheckResult::ok(CheckId::Network, seen)
}

fn check_credentials(probe: &AccessProbe, expiry: Option<DateTime<Utc>>) -> CheckResult {
    // STS may accept credentials that S3 refuses.
    let refused_by_s3 = match probe.fatal_error() {
        Some(error) if error.kind == ErrorKind::Credentials => Some(error),
        _ => None,
    };
    let error = match (&probe.caller, refused_by_s3) {
        (Ok(caller), None) => {
            return s3_results::evaluate_credentials(caller, expiry, utc_now());
        }
        (Err(error), _) if error.is_network_error() => {
            let seen = "not asked: STS does not answer";
            return CheckResult::unknown(CheckId::Credentials, seen);
        }
        (Err(error), _) | (_, Some(error)) => error,
    };
    if is_clock_off(probe.clock_ahead()) {
        let seen = SkipReason::WrongClock.to_string();
        return CheckResult::unknown(CheckId::Credentials, seen);
    }
    CheckResult::from_error(CheckId::Credentials, error)
}

/// What a fatal error means for the remaining checks.
fn skip_after(error: &Error, probe: &AccessProbe, reporter: &CheckReporter<'_>) -> SkipReason {
    match error.kind {
        ErrorKind::Network | ErrorKind::Timeout => SkipReason::NoAnswer,
        ErrorKind::Credentials if is_clock_off(probe.clock_ahead()) => SkipReason::WrongClock,
        ErrorKind::Credentials => SkipReason::InvalidCredentials,
        ErrorKind::Bucket => {
            reporter.report(CheckResult::from_error(CheckId::Bucket, error));
            SkipReason::NoBucket
        }
        _ => {
            reporter.report(CheckResult::from_error(CheckId::Bucket, error));
            SkipReason::ListFailed
        }
    }
}

fn wrong_owner(store: &ObjectStore) -> CheckResult {
    let seen = format!(
        "the bucket is not of the account {}, which CONFIG_BACKUP_BUCKET_OWNER demands",
        store.target.owner
    );
    let fix = "check the bucket's name and the account: \
               nothing is written to the bucket of another account";
    CheckResult::failed(CheckId::Owner, seen, fix).with_exit_code(ExitCode::Denied)
}

fn existing_bucket(store: &ObjectStore) -> CheckResult {
    let seen = format!("there is one called {}", store.target.bucket);
    CheckResult::ok(CheckId::Bucket, seen)
}

/// Tries what a deployment does, and asks for the bucket's settings at the same time.
async fn check_operations(
    store: &ObjectStore,
    keys: &[String; 2],
    access: UserAccess,
    reporter: &CheckReporter<'_>,
) {
    let UserAccess { caller, can_list } = access;
    let (configs, records, owner, versioning, encryption, public_access, policy, lock) = join!(
        WriteProbe::run(store, &keys[0], PutCondition::Always),
        WriteProbe::run(store, &keys[1], PutCondition::IfAbsent),
        check_owner(store, parent_prefix(&keys[1]), caller, can_list),
        store.get_versioning(),
        store.get_default_encryption(),
        store.is_public_access_blocked(),
        store.get_bucket_policy(),
        store.describe_object_lock()
    );
    let probes = [configs, records];
    let put = find_successful_put(&probes);

    reporter.report(check_bucket(store, &probes, can_list));
    reporter.report(owner);
    reporter.report(s3_results::evaluate_write_permission(&probes));
    reporter.report(s3_results::evaluate_read_permission(&probes, can_list));
    reporter.report(s3_results::evaluate_conditional_writes(
        &probes,
        store.lacks_conditional_writes(),
    ));
    reporter.report(s3_results::evaluate_read_back(&probes));
    reporter.report(s3_results::evaluate_canary(&probes));
    reporter.report(bucket_settings::evaluate_versioning(versioning, put));
    reporter.report(bucket_settings::evaluate_encryption(
        encryption,
        put,
        store.demanded_encryption(),
    ));
    reporter.report(bucket_settings::evaluate_public_access(public_access));
    reporter.report(bucket_settings::evaluate_tls_policy(policy));
    reporter.report(bucket_settings::evaluate_object_lock(lock));
}

fn check_bucket(store: &ObjectStore, probes: &[WriteProbe], can_list: bool) -> CheckResult {
    let has_answered = |probe: &WriteProbe| probe.put.is_ok() || probe.body.is_ok();
    if can_list || probes.iter().any(has_answered) {
        return existing_bucket(store);
    }
    CheckResult::unknown(CheckId::Bucket, "access is denied, which says no more")
}

/// A PUT that wrote the object, whose answer shows settings of the bucket.
fn find_successful_put(probes: &[WriteProbe]) -> Option<&PutProbe> {
    for probe in probes {
        if let Ok(put) = &probe.put
            && matches!(put.outcome, PutOutcome::Written(_))
        {
            return Some(put);
        }
    }
    None
}

/// Asks which account owns the bucket, if the user is known and may list it.
async fn check_owner(
    store: &ObjectStore,
    prefix: &str,
    caller: Option<CallerIdentity>,
    can_list: bool,
) -> CheckResult {
    let Some(caller) = caller.filter(|_| can_list) else {
        let seen = "not asked: that takes valid credentials and s3:ListBucket";
        return CheckResult::unknown(CheckId::Owner, seen);
    };
    let expected = store.expected_owner().unwrap_or_default();
    let own = if expected.is_empty() {
        caller.account.clone()
    } else {
        expected.clone()
    };
    let (as_own, as_unrelated) = join!(
        store.probe_list(prefix, Some(own)),
        store.probe_list(prefix, Some(UNRELATED_ACCOUNT.to_owned()))
    );
    s3_results::evaluate_owner(
        &expected,
        &caller.account,
        as_own.result,
        as_unrelated.result,
    )
}
