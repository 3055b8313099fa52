//! Follows the chains of usage records from their seals back to their first records.
//!
//! A record is identified by its SHA-256, whatever its key is: `checks.rs` compares the key.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::audit::finding::{AuditFinding, FindingKind};
use crate::audit::retention::RecordRetention;
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
    retention: RecordRetention,
    findings: Vec<AuditFinding>,
}

/// Follows all chains of a customer.
#[must_use]
pub fn walk_chains(customer: &CustomerSnapshot, retention: RecordRetention) -> Vec<AuditFinding> {
    let mut walk = ChainWalk::new(&customer.records, retention);
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
    walk.check_newest_records();
    walk.findings
}

fn is_key_of_chain(seal_key: &str, writer: &str) -> bool {
    seal_key.ends_with(&format!("/{writer}.json"))
}

fn has_unreadable_seal(customer: &CustomerSnapshot, writer: &str) -> bool {
    let mut unreadable = customer.unreadable_seals.iter();
    unreadable.any(|object| {
        let key = object.key.as_deref();
        key.is_some_and(|key| is_key_of_chain(key, writer))
    })
}

impl<'a> ChainWalk<'a> {
    fn new(records: &'a [StoredRecord], retention: RecordRetention) -> Self {
        let mut walk = Self {
            records,
            by_sha256: HashMap::new(),
            by_key: HashMap::new(),
            by_position: HashMap::new(),
            reached: HashSet::new(),
            retention,
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
            if !found.is_unchanged && expected.sha256.is_some() && record.sha256.is_some() {
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

        // Records expire from the beginning of a chain. A seal names the time of the last one.
        let is_expired = match expected.sealed {
            Some(sealed) => self.retention.may_have_expired_key(sealed.key),
            None => self.retention.is_limited(),
        };
        if below == 0 && is_expired {
            return None;
        }

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
        if self.records.iter().any(|record| record.sha256.is_none()) {
            detail.push_str("; a record that cannot be read may be it");
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

    /// Reports records that the first record of another chain names, and that are gone.
    fn check_newest_records(&mut self) {
        let mut missing = Vec::new();
        for record in self.records {
            let Some(link) = &record.parsed.chain else {
                continue;
            };
            let Some(newest) = link.newest.as_deref() else {
                continue;
            };
            if !self.by_key.contains_key(newest) && !self.retention.may_have_expired_key(newest) {
                missing.push((newest, record, link));
            }
        }
        for (newest, record, link) in missing {
            let detail = format!(
                "it was there when the chain {} began: `{}` names it",
                link.writer, record.key
            );
            self.add_finding(FindingKind::Missing, newest, detail);
        }
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
                None if has_unreadable_seal(customer, writer) => {}
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
mod tests;
