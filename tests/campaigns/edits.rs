//! Buckets in which one object was changed after it was written, and what `verify` finds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use test_support::campaign::Campaign;
use test_support::oracle::python_digest;
use test_support::terraform_steps::{
    CustomerUnit, parse_external_answer, string_field, wrap_request,
};
use test_support::{BUCKET, CONFIG, World, assert_no_secret, run_with_input, to_text};

/// All objects of a bucket, with their metadata.
type ObjectMap = BTreeMap<String, (Vec<u8>, Vec<(String, String)>)>;

const CUSTOMERS: usize = 21;
const DEPLOYMENTS: usize = 8;
/// The number of rounds, in each of which every customer but one gets one edit.
const ROUNDS: [usize; 2] = [10, 50];

/// Customers with deployments from two machines, some in the same second, with configs that change
/// and return.
fn fill_bucket(world: &World) {
    std::thread::scope(|scope| {
        for half in [0, 1] {
            scope.spawn(move || {
                (0..CUSTOMERS)
                    .filter(|number| number % 2 == half)
                    .for_each(|number| deploy_customer(world, number));
            });
        }
    });
}

fn customer_name(number: usize) -> String {
    if number == 0 {
        "Foo Bar".to_owned()
    } else {
        format!("customer-{number}")
    }
}

fn deploy_customer(world: &World, number: usize) {
    let mut unit = CustomerUnit::in_folder(world, &format!("customers/{number}"));
    unit.set_variable("customer_name", &customer_name(number));
    for deployment in 0..DEPLOYMENTS {
        let size = ["M30", "M40", "M30", "M50"][deployment / 2 % 4];
        unit.write_config(
            CONFIG
                .replace("M30", size)
                .replace("someone@", &format!("someone-{number}@")),
        );
        let state = world
            .path()
            .join(format!("machine {} of {number}", deployment % 3 / 2));
        let mut command = world.helper_command(&["deploy"]);
        command.env("XDG_STATE_HOME", state);
        let output = run_with_input(command, wrap_request(&unit.query()).to_string().as_bytes());
        let answer = parse_external_answer(&to_text(&output.stdout));
        assert_eq!(answer["status"], "ok", "{answer}");
    }
}

/// Changes one detectable thing of a customer, and describes it.
fn edit_one_thing(chance: &mut fastrand::Rng, objects: &mut ObjectMap, customer: usize) -> String {
    let folder = if customer == 0 {
        "~Foo~20Bar".to_owned()
    } else {
        format!("customer-{customer}")
    };
    let ours = |prefix: String| {
        objects
            .keys()
            .filter(|key| key.starts_with(&prefix))
            .cloned()
            .collect::<Vec<_>>()
    };
    let [records, versions, seals] = [
        ours(format!("usage-logs/{folder}/")),
        ours(format!("terragrunt/{folder}/config-history/")),
        ours(format!("terragrunt/{folder}/usage-chain/")),
    ];
    let config = vec![format!("terragrunt/{folder}/config.yaml")];
    let kinds = [&records, &versions, &seals, &config];
    let kind = kinds[chance.usize(..kinds.len())];
    let key = kind[chance.usize(..kind.len())].clone();
    match chance.u8(..4) {
        0 => {
            let body = &mut objects.get_mut(&key).unwrap().0;
            let (byte, bit) = (chance.usize(..body.len()), chance.u8(..8));
            body[byte] ^= 1 << bit;
            format!("bit {bit} of byte {byte} of {key}")
        }
        1 => {
            objects.remove(&key);
            format!("{key} deleted")
        }
        2 => {
            let kind = [&records, &versions, &seals][chance.usize(..3)];
            let one = kind[chance.usize(..kind.len())].clone();
            // A config may return, and swapping equal ones changes nothing.
            let others: Vec<&String> = kind
                .iter()
                .filter(|other| objects[*other].0 != objects[&one].0)
                .collect();
            let other = others[chance.usize(..others.len())].clone();
            let (a, b) = (objects[&one].clone(), objects[&other].clone());
            objects.insert(one.clone(), b);
            objects.insert(other.clone(), a);
            format!("{one} and {other} swapped")
        }
        _ => forge_object(chance, objects, &folder, &records, &versions, &seals),
    }
}

/// Forges an object with all knowledge except the state on the machines.
fn forge_object(
    chance: &mut fastrand::Rng,
    objects: &mut ObjectMap,
    folder: &str,
    records: &[String],
    versions: &[String],
    seals: &[String],
) -> String {
    let pick =
        |from: &[String], chance: &mut fastrand::Rng| from[chance.usize(..from.len())].clone();
    let kind = chance.u8(..5);
    if kind == 4 {
        let body = format!("customer: {{ name: forged-{} }}\n", chance.u64(..));
        let md5 = python_digest("md5", body.as_bytes());
        let mut metadata = objects[&pick(versions, chance)].1.clone();
        let sha256 = python_digest("sha256", body.as_bytes());
        for (name, value) in &mut metadata {
            match name.as_str() {
                "md5" => value.clone_from(&md5),
                "sha256" => value.clone_from(&sha256),
                "captured-at" => "2026-11-01T10:00:00Z".clone_into(value),
                _ => {}
            }
        }
        let key = format!("terragrunt/{folder}/config-history/2026-11-01_100000_{md5}.yaml");
        objects.insert(key.clone(), (body.into_bytes(), metadata));
        return format!("{key} made up");
    }
    if kind == 3 {
        let key = format!(
            "terragrunt/{folder}/usage-chain/{:016x}.json",
            chance.u64(..)
        );
        let copied = objects[&pick(seals, chance)].clone();
        objects.insert(key.clone(), copied);
        return format!("{key} made up");
    }
    let (body, metadata) = objects[&pick(records, chance)].clone();
    let mut record: Value = serde_json::from_slice(&body).unwrap();
    let (day, second) = (chance.u8(1..24), chance.u8(10..60));
    record["timestamp"] = json!(format!("2027-01-{day:02}T11:22:{second}Z"));
    record["deployment_id"] = json!(format!(
        "202701{day:02}T1122{second}Z-{:016x}",
        chance.u64(..)
    ));
    record["user"] = json!("arn:aws:iam::123456789012:user/somebody.else");
    match kind {
        0 => drop(record.as_object_mut().unwrap().remove("chain")),
        1 => {
            record["chain"] =
                json!({"writer": format!("{:016x}", chance.u64(..)), "number": 1, "previous": ""});
        }
        // After any record of the chain, also the last.
        _ => {
            record["chain"]["number"] = json!(record["chain"]["number"].as_u64().unwrap() + 1);
            record["chain"]["previous"] = json!(python_digest("sha256", &body));
        }
    }
    let key = format!("usage-logs/{folder}/2027-01-{day:02}_1122{second}.json");
    objects.insert(key.clone(), (format!("{record}\n").into_bytes(), metadata));
    format!("{key} made up ({kind})")
}

fn put_object(world: &World, key: &str, (body, metadata): &(Vec<u8>, Vec<(String, String)>)) {
    let metadata: Vec<(&str, &str)> = metadata
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    world
        .server
        .put(BUCKET, key, body, &metadata)
        .expect("an object");
}

fn read_objects(world: &World) -> ObjectMap {
    let object = |key: &String| {
        let object = world.server.object(BUCKET, key).expect("it");
        (object.body, object.metadata.into_iter().collect())
    };
    world
        .server
        .keys(BUCKET, "")
        .iter()
        .map(|key| (key.clone(), object(key)))
        .collect()
}

/// Writes the differences between two sets of objects to the bucket.
fn apply_changes(world: &World, from: &ObjectMap, to: &ObjectMap) {
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        world.server.delete(BUCKET, key).expect("deleted");
    }
    for (key, object) in to
        .iter()
        .filter(|(key, object)| from.get(*key) != Some(object))
    {
        put_object(world, key, object);
    }
}

/// The customers with findings of `verify`.
fn verify_findings(world: &World) -> Vec<String> {
    let output = world
        // Without a memory, which would find most edits by itself.
        .helper_command(&["verify", "--json", "--known", "-"])
        .output()
        .expect("it runs");
    assert_no_secret("the findings", &to_text(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let found: Vec<String> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|it| string_field(it, "customer").to_owned())
        .collect();
    assert_eq!(
        output.status.code(),
        Some(if found.is_empty() { 0 } else { 7 }),
        "{output:?}"
    );
    found
}

#[test]
fn verify_finds_every_edit_and_gives_no_false_alarm() {
    let campaign = Campaign::start("edits");
    let world = World::new();
    fill_bucket(&world);
    let clean = read_objects(&world);
    assert_eq!(
        verify_findings(&world),
        Vec::<String>::new(),
        "before anything was changed"
    );
    let (mut missed, mut alarms, mut planted) = (Vec::new(), Vec::new(), 0);
    for round in 0..campaign.pick(ROUNDS[0], ROUNDS[1]) {
        let mut chance = campaign.rng(round);
        let mut edited = clean.clone();
        // One customer stays unchanged, so a finding there is a false alarm.
        let spared = chance.usize(..CUSTOMERS);
        let edits: Vec<(usize, String)> = (0..CUSTOMERS)
            .filter(|it| *it != spared)
            .map(|it| (it, edit_one_thing(&mut chance, &mut edited, it)))
            .collect();
        planted += edits.len();
        apply_changes(&world, &clean, &edited);
        let found = verify_findings(&world);
        missed.extend(
            edits
                .into_iter()
                .filter(|(whose, _)| !found.contains(&customer_name(*whose)))
                .map(|(_, edit)| format!("round {round}: {edit}")),
        );
        alarms.extend(
            Some(customer_name(spared))
                .filter(|spared| found.contains(spared))
                .map(|spared| format!("round {round}: {spared}")),
        );
        apply_changes(&world, &edited, &clean);
    }
    alarms.extend(verify_findings(&world));
    campaign.print_line(format!(
        "{planted} edits: {} found, {} false alarms",
        planted - missed.len(),
        alarms.len()
    ));
    assert_eq!(
        (missed, alarms),
        (Vec::new(), Vec::new()),
        "seed {}",
        campaign.seed
    );
}
