//! Answers that are lost when a record or its seal is uploaded: no place in a chain is given twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use test_support::faulty_proxy::{FaultyProxy, RequestFate};
use test_support::oracle::{unix_now, wait_for_next_second};
use test_support::terraform_steps::CustomerUnit;
use test_support::{BUCKET, World, refused_endpoint};

use super::{all_is_well, chain_positions};

const FAILED: RequestFate = RequestFate::Answer(
    "500 Internal Server Error",
    "<Error><Code>InternalError</Code></Error>",
);

/// No two records have the same place.
fn assert_no_fork(world: &World) {
    let positions = chain_positions(world);
    let distinct: BTreeSet<_> = positions.iter().collect();
    assert_eq!(distinct.len(), positions.len(), "{positions:?}");
}

#[test]
fn a_replay_that_cannot_read_the_seal_takes_its_place_all_the_same() {
    for fails in ["GET", "HEAD", "PUT", "GET HEAD", "GET HEAD PUT"] {
        let mut world = World::new();
        let is_on = Arc::new(AtomicBool::new(false));
        let lost_records = Arc::new(AtomicUsize::new(0));
        let proxy = FaultyProxy::start(&world.server.endpoint(), {
            let (is_on, lost_records) = (Arc::clone(&is_on), Arc::clone(&lost_records));
            move |line| {
                let method = line.split(' ').next().unwrap_or_default();
                if !is_on.load(Ordering::SeqCst) {
                    RequestFate::Pass
                } else if line.starts_with("PUT /mongodb-arena/usage-logs/")
                    && lost_records.fetch_add(1, Ordering::SeqCst) == 0
                {
                    RequestFate::LoseAnswer
                } else if line.contains("/usage-chain/") && fails.split(' ').any(|it| it == method)
                {
                    FAILED
                } else {
                    RequestFate::Pass
                }
            }
        });
        world.set_s3_endpoint(&proxy.endpoint());
        let unit = CustomerUnit::new(&world);
        unit.deploy(&world).expect_success();
        wait_for_next_second(unix_now());
        world.set_endpoint(&refused_endpoint());
        unit.deploy(&world);
        world.restore_endpoints();
        world.set_s3_endpoint(&proxy.endpoint());

        is_on.store(true, Ordering::SeqCst);
        let replayed = world.helper_command(&["replay"]).output().expect("it runs");
        assert!(lost_records.load(Ordering::SeqCst) > 0, "{replayed:?}");
        is_on.store(false, Ordering::SeqCst);
        assert_eq!(world.usage_records().len(), 2, "{fails}");
        for _ in 0..2 {
            wait_for_next_second(unix_now());
            unit.deploy(&world).expect_success();
            assert_no_fork(&world);
        }
        assert_eq!(world.usage_records().len(), 4, "{fails}");
        all_is_well(&world);
    }
}

#[test]
fn the_next_deployment_seals_a_record_whose_seal_failed() {
    let mut world = World::new();
    let is_on = Arc::new(AtomicBool::new(false));
    let proxy = FaultyProxy::start(&world.server.endpoint(), {
        let is_on = Arc::clone(&is_on);
        move |line| {
            if is_on.load(Ordering::SeqCst) && line.contains("/usage-chain/") {
                FAILED
            } else {
                RequestFate::Pass
            }
        }
    });
    world.set_s3_endpoint(&proxy.endpoint());
    let unit = CustomerUnit::new(&world);
    for is_failing in [false, true, false] {
        is_on.store(is_failing, Ordering::SeqCst);
        unit.deploy(&world);
        wait_for_next_second(unix_now());
    }
    assert_no_fork(&world);
    all_is_well(&world);
    let seals = world.server.keys(BUCKET, "terragrunt/airbnb/usage-chain/");
    assert_eq!(seals.len(), 1, "{seals:?}");
}
