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

use crate::aws::{Condition, Identity, Patience, Store, Target, Written};
use crate::deliver::SHA256;
use crate::digest::sha256_hex;
use crate::fault::{Fault, Kind};
use crate::finding::{Finding, OF_BUCKET};
use crate::judge::{self, Tried};
use crate::{host, layout, profiles, session, settings};

const CANARY: &[u8] = b"`config-backup doctor` tries with this object what a deployment does. It may be deleted.\n";
/// More than any object of that name has.
const LARGEST: u64 = 64 << 10;
/// How often a write that must be refused is tried: another doctor may just have deleted the object.
const TRIES: u32 = 5;
/// An account that no bucket is expected to be of.
const NOBODY: &str = "999999999999";
const WRONG_CLOCK: &str = "with a wrong clock no signature is valid";

/// Passes findings on, and knows which checks are still without one.
struct Teller<'a> {
    sender: &'a Sender<Finding>,
    left: RefCell<Vec<&'static str>>,
}

impl Teller<'_> {
    fn tell(&self, finding: Finding) {
        self.left.borrow_mut().retain(|check| *check != finding.check);
        // Nobody listens any more when the time is over.
        let _ = self.sender.send(finding);
    }

    /// Says of all that is left why nobody asked.
    fn give_up(&self, why: &str) {
        for check in self.left.take() {
            let _ = self.sender.send(Finding::unknown(check, format!("not asked: {why}")));
        }
    }
}

/// Looks at everything, within some `limit` that the caller keeps.
pub async fn look(target: &Target, customer: Option<&str>, limit: Duration, sender: &Sender<Finding>) {
    let teller = Teller { sender, left: RefCell::new(OF_BUCKET.to_vec()) };
    teller.tell(proxy());
    if let Err(why) = in_steps(target, customer, limit, &teller).await {
        teller.give_up(&why);
    }
}

/// Goes on as long as it makes sense, and gives the reason why it does not.
async fn in_steps(target: &Target, customer: Option<&str>, limit: Duration, teller: &Teller<'_>) -> Result<(), String> {
    // A black hole costs one wait, which leaves time to tell of it.
    let wait = (limit / 3).min(Duration::from_secs(4));
    let store = open(target, Patience { operation: wait, attempt: wait, attempts: 2 }, teller).await?;
    let (store, until) = enter(store, wait, teller).await?;
    let keys = layout::doctor_keys(customer);
    let (who, may_list) = ask(&store, &keys, until, teller).await?;
    try_out(&store, &keys, who, may_list, teller).await;
    Ok(())
}

/// Fetches the credentials, and gives until when they are good.
async fn enter(store: Store, wait: Duration, teller: &Teller<'_>) -> Result<(Store, Option<DateTime<Utc>>), String> {
    let late = |_| Fault::new(Kind::Credentials, "fetch the credentials: no answer in time", "see what `aws sts get-caller-identity` says");
    let settled = tokio::time::timeout(wait, store.settle()).await.map_err(late).flatten();
    settled.map_err(|fault| {
        teller.tell(Finding::fault("credentials", &fault));
        "there are no credentials".to_owned()
    })
}

/// The first questions, to STS and S3 at once, on which all others depend: gives who asks, if STS knows, and whether one may list.
async fn ask(
    store: &Store,
    keys: &[String; 2],
    until: Option<DateTime<Utc>>,
    teller: &Teller<'_>,
) -> Result<(Option<Identity>, bool), String> {
    let [configs, records] = keys.each_ref().map(|key| place_of(key));
    let owner = store.owner();
    let (who, of_configs, of_records) = join!(store.identity(), store.knock(configs, owner.clone()), store.knock(records, owner.clone()));
    let ahead = of_configs.ahead.or(of_records.ahead);
    let listed = [&of_configs, &of_records].map(|knock| knock.answer.as_ref().copied());
    let stop = listed.iter().filter_map(|it| it.err()).find(|fault| fault.kind != Kind::Denied);
    teller.tell(judge::clock(ahead));
    teller.tell(network(store, who.as_ref().err().into_iter().chain(listed.iter().filter_map(|it| it.err()))));
    // STS may take credentials that S3 does not.
    let refused = stop.filter(|fault| fault.kind == Kind::Credentials);
    teller.tell(match (&who, refused) {
        (Ok(who), None) => judge::credentials(who, until, host::now()),
        (Err(fault), _) if fault.is_dead_network() => Finding::unknown("credentials", "not asked: STS does not answer"),
        _ if judge::is_off(ahead) => Finding::unknown("credentials", WRONG_CLOCK),
        (Err(fault), _) | (_, Some(fault)) => Finding::fault("credentials", fault),
    });
    if let Some(fault) = stop {
        return Err(stopped(fault, judge::is_off(ahead), teller));
    }
    teller.tell(judge::region(&store.target.region, &store.region()));
    let may_list = listed.iter().all(Result::is_ok);
    if !may_list && owner.is_some() && store.knock(records, None).await.answer.is_ok() {
        let seen = format!("the bucket is not of the account {}, which CONFIG_BACKUP_BUCKET_OWNER demands", store.target.owner);
        teller.tell(Finding::bad("owner", 5, seen, "check the bucket's name and the account: nothing is written to another one's bucket"));
        teller.tell(there_is(store));
        return Err("the bucket is another account's".to_owned());
    }
    teller.tell(judge::permission("s3:ListBucket", [configs, records].into_iter().zip(listed)));
    Ok((who.ok(), may_list))
}

/// Tries what a deployment does, and asks meanwhile how the bucket is set up.
async fn try_out(store: &Store, keys: &[String; 2], who: Option<Identity>, may_list: bool, teller: &Teller<'_>) {
    let (configs, records, whose, versions, encrypts, public, policy, lock) = join!(
        attempt(store, &keys[0], false),
        attempt(store, &keys[1], true),
        whose(store, place_of(&keys[1]), who.filter(|_| may_list)),
        store.versioning(),
        store.encryption(),
        store.public_access_block(),
        store.policy(),
        store.object_lock()
    );
    let tried = [configs, records];
    let is_there = may_list || tried.iter().any(|it| it.put.is_ok() || it.got.is_ok());
    let written = tried.iter().find_map(|it| it.put.as_ref().ok().filter(|put| matches!(put.written, Written::Yes(_))));
    for finding in [
        if is_there { there_is(store) } else { Finding::unknown("bucket", "access is denied, which says no more") },
        whose,
        judge::permission("s3:PutObject", tried.iter().map(|it| (it.place.as_str(), it.put.as_ref().map(drop)))),
        judge::reading(&tried, may_list),
        judge::conditions(&tried),
        judge::read_back(&tried),
        judge::canary(&tried),
        settings::versioning(versions, written),
        settings::encryption(encrypts, written),
        settings::public_access(public),
        settings::tls_only(policy),
        settings::object_lock(lock),
    ] {
        teller.tell(finding);
    }
}

/// The place that a key is in, as `usage-logs/airbnb/`.
fn place_of(key: &str) -> &str {
    key.rfind('/').map_or("", |end| &key[..=end])
}

fn there_is(store: &Store) -> Finding {
    Finding::ok("bucket", format!("there is one called {}", store.target.bucket))
}

fn proxy() -> Finding {
    Finding::ok("proxy", host::proxy().map_or_else(|| "none is set".to_owned(), |proxy| format!("requests go through {proxy}")))
}

/// Opens the store: the profile and the certificates.
async fn open(target: &Target, patience: Patience, teller: &Teller<'_>) -> Result<Store, String> {
    let profile = &target.profile;
    let seen = match session::use_profile(profile) {
        _ if profile.is_empty() => "none is named: the environment's credentials, or the default profile".to_owned(),
        Ok(false) if profiles::exists(profile) => {
            format!("`{profile}` has no credentials of its own: the environment's are used, as in CI")
        }
        Ok(false) => format!("`{profile}` is not on this machine: the environment's credentials are used, as in CI"),
        _ => format!("`{profile}` is in the AWS config or credentials file"),
    };
    let opened = Store::open(target, patience).await;
    match &opened {
        Ok(_) => {
            teller.tell(Finding::ok("profile", seen));
            let bundle = session::ca_bundle(profile);
            let certificates =
                bundle.map_or_else(|| "the system's".to_owned(), |path| format!("the system's and those of `{}`", path.display()));
            teller.tell(Finding::ok("certificates", certificates));
        }
        Err(fault) if fault.kind == Kind::Input => teller.tell(Finding::fault("certificates", fault)),
        Err(fault) => teller.tell(Finding::fault("profile", fault)),
    }
    opened
        .map_err(|fault| if fault.kind == Kind::Input { "the certificates cannot be read" } else { "there is no such profile" }.to_owned())
}

/// Whether S3 and STS answer at all.
fn network<'a>(store: &Store, mut faults: impl Iterator<Item = &'a Fault>) -> Finding {
    let place = session::own_endpoint(&store.session.config).map_or_else(String::new, |endpoint| format!(", S3 at {endpoint}"));
    match faults.find(|fault| fault.is_dead_network()) {
        Some(fault) => Finding::fault("network", fault),
        None => Finding::ok("network", format!("S3 and STS answer{place}")),
    }
}

/// What a fault of the first request to the bucket means for all others.
fn stopped(fault: &Fault, off: bool, teller: &Teller<'_>) -> String {
    match fault.kind {
        Kind::Network | Kind::Timeout => "S3 does not answer",
        Kind::Credentials if off => WRONG_CLOCK,
        Kind::Credentials => "the credentials are not valid",
        Kind::Bucket => {
            teller.tell(Finding::fault("bucket", fault));
            "there is no such bucket"
        }
        _ => {
            teller.tell(Finding::fault("bucket", fault));
            "S3 does not list the bucket"
        }
    }
    .to_owned()
}

/// Whose the bucket is; asked only by those who are known and may list it.
async fn whose(store: &Store, place: &str, who: Option<Identity>) -> Finding {
    let Some(who) = who else { return Finding::unknown("owner", "not asked: that takes valid credentials and s3:ListBucket") };
    let own = store.owner().unwrap_or_else(|| who.account.clone());
    let (as_own, as_any) = join!(store.knock(place, Some(own)), store.knock(place, Some(NOBODY.to_owned())));
    judge::owner(&store.owner().unwrap_or_default(), &who.account, as_own.answer, as_any.answer)
}

/// Writes, reads and deletes as a deployment would; records are never written but on condition that nothing is there.
async fn attempt(store: &Store, key: &str, is_record: bool) -> Tried {
    let metadata = HashMap::from([(SHA256.to_owned(), sha256_hex(CANARY))]);
    let put = async |condition| store.put_and_tell(key, CANARY, &metadata, condition).await;
    let first = put(if is_record { Condition::Absent } else { Condition::None }).await;
    let refused = match &first {
        Ok(first) if first.written == Written::ConditionFailed => Ok(true),
        Ok(_) => {
            let mut refused = Ok(false);
            for _ in 0..TRIES {
                refused = put(Condition::Absent).await.map(|put| put.written == Written::ConditionFailed);
                if !matches!(refused, Ok(false)) {
                    break;
                }
            }
            refused
        }
        Err(fault) => Err(fault.clone()),
    };
    let (head, got) = join!(store.head(key), store.get(key, LARGEST));
    let deleted = if first.is_ok() { Some(store.delete(key).await) } else { None };
    Tried { place: place_of(key).to_owned(), put: first, refused, head, got, deleted }
}
