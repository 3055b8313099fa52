//! Claims as deployments take, lose and release them.

use super::*;

fn temp_state_dirs() -> (tempfile::TempDir, StateDirs) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state_dirs = StateDirs::from_private_dirs([dir.path().to_owned()]);
    (dir, state_dirs)
}

fn acquire(state_dirs: &StateDirs, deployment_id: &str) -> ChainClaim {
    ChainClaim::acquire(state_dirs, "b", "acme", deployment_id)
}

fn chain_link(writer: &str, number: u64, previous: &str) -> ChainLink {
    ChainLink {
        writer: writer.to_owned(),
        number,
        previous: previous.to_owned(),
        newest: None,
    }
}

fn head_after_upload(claim: &ChainClaim, sha256: &str) -> ChainHead {
    let link = claim.next_link();
    ChainHead {
        writer: link.writer,
        number: link.number,
        sha256: sha256.to_owned(),
        previous: link.previous,
        deployment_id: claim.deployment_id().to_owned(),
        etag: String::new(),
        is_unsealed: false,
    }
}

fn release_after_upload(claim: ChainClaim, sha256: &str) {
    let head = head_after_upload(&claim, sha256);
    claim.release(Some(head));
}

#[test]
fn the_file_keeps_its_field_names() {
    let head = serde_json::to_string(&ChainHead::default()).expect("JSON");
    let expected = "{\"writer\":\"\",\"number\":0,\"sha256\":\"\",\"previous\":\"\",\
                    \"deployment_id\":\"\",\"etag\":\"\",\"unsealed\":false}";
    assert_eq!(head, expected);
}

#[test]
fn each_record_continues_the_one_before() {
    let (_dir, state_dirs) = temp_state_dirs();
    let first = acquire(&state_dirs, "1");
    let writer = first.next_link().writer;
    assert_eq!(first.next_link(), chain_link(&writer, 1, ""));
    release_after_upload(first, "aa");

    let second = acquire(&state_dirs, "2");
    assert_eq!(second.next_link(), chain_link(&writer, 2, "aa"));
    for (bucket, customer) in [("b", "acme-2"), ("c", "acme")] {
        let other = ChainClaim::acquire(&state_dirs, bucket, customer, "3");
        assert_ne!(other.next_link().writer, writer);
    }
}

#[test]
fn a_killed_deployment_gets_its_own_link_again() {
    let (_dir, state_dirs) = temp_state_dirs();
    let first = acquire(&state_dirs, "1");
    let concurrent = acquire(&state_dirs, "2");
    assert_ne!(first.next_link().writer, concurrent.next_link().writer);
    let link = first.next_link();
    drop(first); // killed

    let resumed = acquire(&state_dirs, "1");
    assert_eq!(resumed.next_link(), link);

    // Killed after the file was written and before the chain was released.
    let head = head_after_upload(&resumed, "aa");
    write_chain_file(resumed.file.as_deref().expect("a file"), &head).expect("written");
    assert_eq!(acquire(&state_dirs, "1").next_link(), link);

    acquire(&state_dirs, "1").release(Some(head));
    let next = acquire(&state_dirs, "3").next_link();
    assert_eq!(next, chain_link(&link.writer, 2, "aa"));
}

#[test]
fn a_deployment_finds_its_claim_behind_another_endpoint() {
    let (_dir, state_dirs) = temp_state_dirs();
    let first = ChainClaim::acquire(&state_dirs, "http://one b", "acme", "1");
    release_after_upload(first, "aa");
    let second = ChainClaim::acquire(&state_dirs, "http://one b", "acme", "2");
    let link = second.next_link();
    drop(second); // killed

    let replayed = ChainClaim::acquire(&state_dirs, "http://two b", "acme", "2");
    assert_eq!(replayed.next_link(), link);
    release_after_upload(replayed, "bb");

    let third = ChainClaim::acquire(&state_dirs, "http://one b", "acme", "3");
    assert_eq!(third.next_link(), chain_link(&link.writer, 3, "bb"));
}

#[test]
fn a_claim_without_a_file_is_not_sealed_concurrently() {
    let (_dir, state_dirs) = temp_state_dirs();
    for (state_dirs, expected) in [(state_dirs, true), (StateDirs::default(), false)] {
        let mut claim = acquire(&state_dirs, "1");
        assert!(!claim.can_seal_concurrently());
        claim.enable_concurrent_seal();
        assert_eq!(claim.can_seal_concurrently(), expected);
    }
}

#[test]
fn a_release_without_an_upload_leaves_the_chain_unchanged() {
    let (dir, state_dirs) = temp_state_dirs();
    acquire(&state_dirs, "1").release(None);
    let files = fs::read_dir(dir.path().join(CHAINS_DIR)).expect("a directory");
    assert_eq!(files.count(), 0);

    release_after_upload(acquire(&state_dirs, "1"), "aa");
    let second = acquire(&state_dirs, "2");
    let link = second.next_link();
    second.release(None);
    assert_eq!(acquire(&state_dirs, "3").next_link(), link);
}

#[test]
fn a_chain_without_a_seal_comes_first() {
    let (_dir, state_dirs) = temp_state_dirs();
    let claims = ["1", "2", "3"].map(|id| acquire(&state_dirs, id));
    let mut writers = claims.each_ref().map(|claim| claim.next_link().writer);
    writers.sort();
    let [first_writer, _, last_writer] = writers;
    for claim in claims {
        let mut head = head_after_upload(&claim, "aa");
        head.is_unsealed = head.writer == last_writer;
        claim.release(Some(head));
    }

    // It stays first until it has a seal.
    for id in ["4", "5"] {
        let claim = acquire(&state_dirs, id);
        assert_eq!(claim.next_link().writer, last_writer);
        claim.release(None);
    }
    let unsealed = acquire(&state_dirs, "6");
    let sealed = acquire(&state_dirs, "7");
    assert_eq!(unsealed.next_link().writer, last_writer);
    assert_eq!(sealed.next_link().writer, first_writer);
}

#[test]
fn a_chain_that_cannot_be_written_or_read_is_replaced_by_a_new_one() {
    let unwritable = acquire(&StateDirs::default(), "1");
    assert_eq!(unwritable.next_link().number, 1);
    unwritable.release(None);

    let (dir, state_dirs) = temp_state_dirs();
    release_after_upload(acquire(&state_dirs, "1"), "aa");
    let mut files = fs::read_dir(dir.path().join(CHAINS_DIR)).expect("a directory");
    let file = files.next().expect("a file").expect("a file");
    fs::write(file.path(), "{").expect("truncated");
    assert_eq!(acquire(&state_dirs, "2").next_link().number, 1);
}

#[test]
fn only_the_first_record_of_a_chain_names_the_newest_record() {
    let (_dir, state_dirs) = temp_state_dirs();
    let newest = || Some("usage-logs/acme/x.json".to_owned());
    let mut first = acquire(&state_dirs, "1");
    assert!(first.is_new_chain() && first.is_unused_chain());
    first.name_newest_record(newest());
    assert_eq!(first.next_link().newest, newest());
    drop(first); // killed

    let mut resumed = acquire(&state_dirs, "1");
    assert!(resumed.is_new_chain() && !resumed.is_unused_chain());
    resumed.name_newest_record(newest());
    assert_eq!(resumed.next_link().newest, newest());
    release_after_upload(resumed, "aa");

    let mut second = acquire(&state_dirs, "2");
    second.name_newest_record(newest());
    assert_eq!(second.next_link().newest, None);
}

#[test]
fn a_place_that_an_earlier_process_may_have_used_is_not_given_again() {
    let (_dir, state_dirs) = temp_state_dirs();
    release_after_upload(acquire(&state_dirs, "1"), "aa");
    let killed = acquire(&state_dirs, "2");
    let link = killed.next_link();
    drop(killed);

    // The second process uploads nothing, and cannot know whether the first one did.
    acquire(&state_dirs, "2").release(None);
    assert_ne!(acquire(&state_dirs, "3").next_link().writer, link.writer);
    let replayed = acquire(&state_dirs, "2");
    assert_eq!(replayed.next_link(), link);
    release_after_upload(replayed, "bb");
    let next = acquire(&state_dirs, "4").next_link();
    assert_eq!(next, chain_link(&link.writer, 3, "bb"));
}

#[test]
fn an_abandoned_chain_is_not_continued() {
    let (_dir, state_dirs) = temp_state_dirs();
    let first = acquire(&state_dirs, "1");
    let writer = first.next_link().writer;
    release_after_upload(first, "aa");
    acquire(&state_dirs, "2").abandon();
    assert_ne!(acquire(&state_dirs, "3").next_link().writer, writer);
}
