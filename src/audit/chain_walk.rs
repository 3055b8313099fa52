//! Follows the chains of usage records from their seals back to their first records.
//!
//! A record is identified by its SHA-256, whatever its key is: `checks.rs` compares the key.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::audit::finding::{AuditFinding, FindingKind};
use crate::chain::seal::ChainSeal;
use crate::record::ChainLink;
use crate::snapshot::{CustomerSnapshot, StoredRecord};

/// What a seal or a record says of the record before it.
struct ExpectedRecord<'a> {
    writer: &'a str,
    number: u64,
    /// `None` behind a record that is missing or was changed.
    sha256: Option<&'a str>,
    /// What only a seal says.
    sealed: Option<SealedRecord<'a>>,
    /// The key of the seal or the record.
    named_in: &'a str,
}

#[derive(Clone, Copy)]
struct SealedRecord<'a> {
    key: &'a str,
    deployment_id: &'a str,
}

/// A record, and whether it has the expected SHA-256.
struct FoundRecord {
    index: usize,
    is_unchanged: bool,
}

struct ChainWalk<'a> {
    records: &'a [StoredRecord],
    by_sha256: HashMap<&'a str, usize>,
    by_key: HashMap<&'a str, usize>,
    /// The records by writer and number.
    by_position: HashMap<&'a str, BTreeMap<u64, Vec<usize>>>,
    /// By their SHA-256: a second object with the same bytes is the same record.
    reached: HashSet<Option<&'a str>>,
    findings: Vec<AuditFinding>,
}

/// Follows all chains of a customer.
#[must_use]
pub fn walk_chains(customer: &CustomerSnapshot) -> Vec<AuditFinding> {
    let mut walk = ChainWalk::new(&customer.records);
    for (key, seal) in &customer.seals {
        match seal {
            Some(seal) if is_key_of_chain(key, &seal.writer) => walk.follow_seal(key, seal),
            _ => {
                let detail = "it is not a seal of the chain in its key";
                walk.add_finding(FindingKind::Edited, key, detail);
            }
        }
    }
    walk.report_unsealed_chains(customer);
    walk.findings
}

fn is_key_of_chain(seal_key: &str, writer: &str) -> bool {
    seal_key.ends_with(&format!("/{writer}.json"))
}

impl<'a> ChainWalk<'a> {
    fn new(records: &'a [StoredRecord]) -> Self {
        let mut walk = Self {
            records,
            by_sha256: HashMap::new(),
            by_key: HashMap::new(),
            by_position: HashMap::new(),
            reached: HashSet::new(),
            findings: Vec::new(),
        };
        for (index, record) in records.iter().enumerate() {
            if let Some(sha256) = &record.sha256 {
                walk.by_sha256.insert(sha256, index);
            }
            walk.by_key.insert(&record.key, index);
            if let Some(link) = &record.parsed.chain {
                let numbers = walk.by_position.entry(&link.writer).or_default();
                numbers.entry(link.number).or_default().push(index);
            }
        }
        walk
    }

    fn add_finding(&mut self, kind: FindingKind, key: &str, detail: impl Into<String>) {
        self.findings.push(AuditFinding::new(kind, key, detail));
    }

    fn is_reached(&self, index: usize) -> bool {
        self.reached
            .contains(&self.records[index].sha256.as_deref())
    }

    fn follow_seal(&mut self, key: &'a str, seal: &'a ChainSeal) {
        if let Some(index) = self.by_sha256.get(seal.sha256.as_str())
            && self.records[*index].parsed.deployment_id != seal.deployment_id
        {
            let detail = "its deployment is not that of its record";
            self.add_finding(FindingKind::Edited, key, detail);
        }
        let sealed = SealedRecord {
            key: &seal.key,
            deployment_id: &seal.deployment_id,
        };
        self.follow_chain(ExpectedRecord {
            writer: &seal.writer,
            number: seal.number,
            sha256: Some(&seal.sha256),
            sealed: Some(sealed),
            named_in: key,
        });
    }

    /// Follows one chain to its first record, or to a record that another chain has reached.
    fn follow_chain(&mut self, mut expected: ExpectedRecord<'a>) {
        loop {
            let Some(found) = self.find_record(&expected) else {
                let Some(before_gap) = self.report_missing_records(&expected) else {
                    return;
                };
                expected = before_gap;
                continue;
            };
            let record = &self.records[found.index];
            if !found.is_unchanged && expected.sha256.is_some() {
                let detail = format!("its SHA-256 is not that in `{}`", expected.named_in);
                self.add_finding(FindingKind::Edited, &record.key, detail);
            }
            if !self.reached.insert(record.sha256.as_deref()) {
                return;
            }

            let link = trusted_link(record, &found, &expected);
            if found.is_unchanged {
                self.check_position(record, link, &expected);
            }
            let (writer, number) = match link {
                Some(link) => (link.writer.as_str(), link.number),
                None => (expected.writer, expected.number),
            };
            if number <= 1 {
                return;
            }
            expected = ExpectedRecord {
                writer,
                number: number - 1,
                sha256: link.map(|link| link.previous.as_str()),
                sealed: None,
                named_in: &record.key,
            };
        }
    }

    fn find_record(&self, expected: &ExpectedRecord<'_>) -> Option<FoundRecord> {
        if let Some(sha256) = expected.sha256
            && let Some(index) = self.by_sha256.get(sha256)
        {
            return Some(FoundRecord {
                index: *index,
                is_unchanged: true,
            });
        }
        let index = self.find_changed_record(expected)?;
        Some(FoundRecord {
            index,
            is_unchanged: false,
        })
    }

    /// The record with the expected key or position, but with another SHA-256 or an unknown one.
    fn find_changed_record(&self, expected: &ExpectedRecord<'_>) -> Option<usize> {
        if let Some(sealed) = expected.sealed
            && let Some(index) = self.by_key.get(sealed.key)
        {
            // A seal may be uploaded before its record. Then a deployment of the same second may
            // have taken the key.
            let id = self.records[*index].parsed.deployment_id.as_str();
            if id.is_empty() || id == sealed.deployment_id {
                return Some(*index);
            }
        }
        let numbers = self.by_position.get(expected.writer)?;
        let candidates = numbers.get(&expected.number)?;
        candidates
            .iter()
            .copied()
            .find(|index| !self.is_reached(*index))
    }

    /// Reports a seal or a link with the right SHA-256, but another number or key.
    fn check_position(
        &mut self,
        record: &'a StoredRecord,
        link: Option<&ChainLink>,
        expected: &ExpectedRecord<'_>,
    ) {
        let has_number = link.is_some_and(|link| link.number == expected.number);
        let has_key = expected
            .sealed
            .is_none_or(|sealed| sealed.key == record.key);
        if has_number && has_key {
            return;
        }
        // A second object with the same bytes has another key without any change of the first.
        let same_bytes = self.records.iter().filter(|it| it.sha256 == record.sha256);
        if same_bytes.count() == 1 {
            let detail = format!(
                "its number or key is not that of the record `{}`",
                record.key
            );
            self.add_finding(FindingKind::Edited, expected.named_in, detail);
        }
    }

    /// Reports a gap, and returns the expectation for the record before it.
    fn report_missing_records(
        &mut self,
        expected: &ExpectedRecord<'a>,
    ) -> Option<ExpectedRecord<'a>> {
        let numbers = self.by_position.get(expected.writer);
        let before_gap = numbers.and_then(|it| it.range(..expected.number).next_back());
        let below = before_gap.map_or(0, |(number, _)| *number);

        let (writer, named_in) = (expected.writer, expected.named_in);
        let (first, last) = (below + 1, expected.number);
        let mut detail = if first == last {
            format!("record {last} of the chain {writer} is missing: `{named_in}` names it")
        } else {
            format!(
                "records {first} to {last} of the chain {writer} are missing: `{named_in}` names \
                 the last one"
            )
        };
        let mut key = named_in;
        if let Some(sealed) = expected.sealed {
            key = sealed.key;
            detail.push_str("; it may still be queued on the machine that deployed");
        }
        self.add_finding(FindingKind::Missing, key, detail);
        if below == 0 {
            return None;
        }
        Some(ExpectedRecord {
            writer,
            number: below,
            sha256: None,
            sealed: None,
            named_in,
        })
    }

    /// Reports records that no seal leads to.
    fn report_unsealed_chains(&mut self, customer: &'a CustomerSnapshot) {
        let mut writers: Vec<&str> = self.by_position.keys().copied().collect();
        writers.sort_unstable();
        for writer in writers {
            let mut unreached = Vec::new();
            for index in self.by_position[writer].values().flatten() {
                if !self.is_reached(*index) {
                    unreached.push(*index);
                }
            }
            let Some(last) = unreached.last() else {
                continue;
            };
            let last = &self.records[*last];

            let mut seals = customer.seals.iter();
            match seals.find(|(key, _)| is_key_of_chain(key, writer)) {
                Some((seal_key, Some(_))) => {
                    for index in unreached {
                        let detail =
                            format!("the seal `{seal_key}` of its chain does not cover it");
                        self.add_finding(FindingKind::Unsealed, &self.records[index].key, detail);
                    }
                    continue;
                }
                // An unreadable seal is a finding of its own.
                Some((_, None)) => {}
                None => {
                    let count = unreached.len();
                    let detail = format!(
                        "its chain {writer} of {count} records has no seal: forged, or the seal \
                         was deleted"
                    );
                    self.add_finding(FindingKind::Unsealed, &last.key, detail);
                }
            }
            let number = last.parsed.chain.as_ref().map_or(0, |link| link.number);
            let named_in = last.key.as_str();
            let sealed = None;
            self.follow_chain(ExpectedRecord {
                writer,
                number,
                sha256: None,
                sealed,
                named_in,
            });
        }
    }
}

/// The link that a record says it is, as far as it can be trusted: a changed record only proves its
/// own position.
fn trusted_link<'a>(
    record: &'a StoredRecord,
    found: &FoundRecord,
    expected: &ExpectedRecord<'_>,
) -> Option<&'a ChainLink> {
    let link = record.parsed.chain.as_ref()?;
    let is_trusted = found.is_unchanged || link.number == expected.number;
    is_trusted.then_some(link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::parse::ParsedRecord;

    fn chained_record(writer: &str, number: u64, sha256: &str, previous: &str) -> StoredRecord {
        let chain = Some(ChainLink {
            writer: writer.into(),
            number,
            previous: previous.into(),
        });
        let deployment_id = format!("d{number}");
        StoredRecord {
            key: format!("{writer}{number}"),
            sha256: Some(sha256.into()),
            parsed: ParsedRecord {
                deployment_id,
                chain,
                ..ParsedRecord::default()
            },
            ..StoredRecord::default()
        }
    }

    fn add_seal(
        customer: &mut CustomerSnapshot,
        writer: &str,
        number: u64,
        key: &str,
        sha256: &str,
    ) {
        let seal = ChainSeal {
            writer: writer.into(),
            number,
            key: key.into(),
            sha256: sha256.into(),
            deployment_id: format!("d{number}"),
        };
        customer
            .seals
            .insert(format!("chain/{writer}.json"), Some(seal));
    }

    /// Four records of one writer; the digests are words here.
    fn intact_chain() -> CustomerSnapshot {
        let records = [("a", ""), ("b", "a"), ("c", "b"), ("d", "c")];
        let records = records
            .iter()
            .zip(1..)
            .map(|((sha256, previous), number)| chained_record("w", number, sha256, previous))
            .collect();
        let mut customer = CustomerSnapshot {
            records,
            ..CustomerSnapshot::default()
        };
        add_seal(&mut customer, "w", 4, "w4", "d");
        customer
    }

    fn kinds_and_keys(customer: &CustomerSnapshot) -> Vec<(FindingKind, String)> {
        walk_chains(customer)
            .into_iter()
            .map(|finding| (finding.kind, finding.key))
            .collect()
    }

    #[test]
    fn a_whole_chain_gives_no_alarm() {
        assert_eq!(kinds_and_keys(&intact_chain()), []);
        assert_eq!(kinds_and_keys(&CustomerSnapshot::default()), []);
    }

    #[test]
    fn an_edited_record_is_named_alone_wherever_it_is() {
        for place in 0..4 {
            let mut customer = intact_chain();
            customer.records[place].sha256 = Some("x".into());
            assert_eq!(
                kinds_and_keys(&customer),
                [(FindingKind::Edited, format!("w{}", place + 1))]
            );
        }
    }

    #[test]
    fn of_two_edited_records_in_a_row_both_are_named() {
        let mut customer = intact_chain();
        for place in [2, 3] {
            customer.records[place].sha256 = Some(format!("x{place}"));
        }
        assert_eq!(
            kinds_and_keys(&customer),
            [
                (FindingKind::Edited, "w4".into()),
                (FindingKind::Edited, "w3".into())
            ]
        );
    }

    #[test]
    fn deleted_records_are_named_once_and_what_is_before_them_is_still_followed() {
        for (deleted, key) in [(0, "w2"), (1, "w3"), (2, "w4"), (3, "w4")] {
            let mut customer = intact_chain();
            customer.records.remove(deleted);
            let findings = walk_chains(&customer);
            assert_eq!(
                kinds_and_keys(&customer),
                [(FindingKind::Missing, key.to_owned())],
                "{findings:?}"
            );
            assert!(
                findings[0]
                    .detail
                    .starts_with(&format!("record {} of the chain w", deleted + 1)),
                "{findings:?}"
            );
        }
        let mut customer = intact_chain();
        customer.records.drain(1..3);
        assert!(
            walk_chains(&customer)[0]
                .detail
                .starts_with("records 2 to 3 of the chain w"),
            "{:?}",
            walk_chains(&customer)
        );
        customer.records.clear();
        assert!(
            walk_chains(&customer)[0]
                .detail
                .starts_with("records 1 to 4 of the chain w"),
            "{:?}",
            walk_chains(&customer)
        );
    }

    #[test]
    fn a_second_object_with_the_bytes_of_a_record_raises_no_doubt_about_the_first() {
        let mut customer = intact_chain();
        customer.records.push(StoredRecord {
            key: "copy".into(),
            ..chained_record("w", 2, "b", "a")
        });
        assert_eq!(kinds_and_keys(&customer), []);
    }

    #[test]
    fn a_seal_that_came_before_its_record_raises_no_doubt_about_another_one_of_that_name() {
        let mut customer = intact_chain();
        add_seal(&mut customer, "w", 5, "w4", "e");
        let findings = walk_chains(&customer);
        assert_eq!(
            kinds_and_keys(&customer),
            [(FindingKind::Missing, "w4".into())]
        );
        assert!(
            findings[0].detail.starts_with("record 5 of the chain w")
                && findings[0].detail.contains("still be queued"),
            "{findings:?}"
        );
        // Of the same deployment, or of none that can be read, it is the one.
        for id in ["d5", ""] {
            customer.records[3].parsed.deployment_id = id.into();
            assert!(
                kinds_and_keys(&customer).contains(&(FindingKind::Edited, "w4".into())),
                "{id}"
            );
        }
    }

    #[test]
    fn a_number_beyond_all_bounds_ends_as_well() {
        let mut customer = intact_chain();
        add_seal(&mut customer, "w", u64::MAX, "w4", "d");
        assert_eq!(
            kinds_and_keys(&customer).len(),
            2,
            "the number, and the deployment of it: {:?}",
            walk_chains(&customer)
        );
        add_seal(&mut customer, "v", u64::MAX, "v9", "z");
        assert!(walk_chains(&customer).iter().any(|it| {
            it.detail
                .starts_with(&format!("records 1 to {} of the chain v", u64::MAX))
        }));
    }

    #[test]
    fn a_record_behind_the_seal_is_one_that_nobody_vouches_for() {
        let mut customer = intact_chain();
        customer.records.push(chained_record("w", 5, "e", "d"));
        assert_eq!(
            kinds_and_keys(&customer),
            [(FindingKind::Unsealed, "w5".into())]
        );
    }

    #[test]
    fn a_chain_without_a_seal_is_one_finding() {
        let mut customer = intact_chain();
        customer.seals.clear();
        assert_eq!(
            kinds_and_keys(&customer),
            [(FindingKind::Unsealed, "w4".into())]
        );
        customer.seals.insert("chain/w.json".into(), None);
        assert_eq!(
            kinds_and_keys(&customer),
            [(FindingKind::Edited, "chain/w.json".into())]
        );
    }

    #[test]
    fn a_chain_that_forked_is_whole_as_long_as_both_ends_are_sealed() {
        let mut customer = intact_chain();
        customer.records.push(StoredRecord {
            key: "other3".into(),
            ..chained_record("w", 3, "f", "b")
        });
        assert_eq!(
            kinds_and_keys(&customer),
            [(FindingKind::Unsealed, "other3".into())]
        );
        customer.records.push(chained_record("v", 4, "g", "f"));
        add_seal(&mut customer, "v", 4, "v4", "g");
        assert_eq!(kinds_and_keys(&customer), []);
    }

    #[test]
    fn a_seal_in_the_place_of_another_is_named() {
        let mut customer = intact_chain();
        let other = customer.seals.remove("chain/w.json").expect("it");
        customer.seals.insert("chain/v.json".into(), other);
        assert_eq!(
            kinds_and_keys(&customer),
            [
                (FindingKind::Edited, "chain/v.json".into()),
                (FindingKind::Unsealed, "w4".into())
            ]
        );
    }
}
