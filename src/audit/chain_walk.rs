//! The chains of usage records, followed from their seals back to their first records: what is not as it was, and what
//! nobody vouches for.
//!
//! Pure. A record is known by its SHA-256, wherever it lies; whether it lies where it must, `audit.rs` says.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::audit::checks::{AuditFinding, AuditedRecord, CustomerHoldings, FindingKind};

/// What is known of the next record of a chain, the seal's or the one before.
struct ExpectedRecord<'a> {
    writer: &'a str,
    number: u64,
    /// `None` behind a record that is missing or not as it was.
    sha256: Option<&'a str>,
    /// The key and the deployment, where a seal names them.
    named_by_seal: Option<(&'a str, &'a str)>,
    /// Who says so.
    named_in: &'a str,
}

struct ChainWalk<'a> {
    records: &'a [AuditedRecord],
    by_sha256: HashMap<&'a str, usize>,
    by_key: HashMap<&'a str, usize>,
    by_position: HashMap<&'a str, BTreeMap<u64, Vec<usize>>>,
    /// By their SHA-256: a second object with the same bytes is the same record, and `audit.rs` names it.
    reached: HashSet<&'a str>,
    findings: Vec<AuditFinding>,
}

/// Follows all chains of a customer.
#[must_use]
pub fn walk_chains(holdings: &CustomerHoldings) -> Vec<AuditFinding> {
    let records = &holdings.records;
    let mut by_place: HashMap<&str, BTreeMap<u64, Vec<usize>>> = HashMap::new();
    for (place, record) in records.iter().enumerate() {
        if let Some(chain) = &record.chain {
            by_place
                .entry(&chain.writer)
                .or_default()
                .entry(chain.number)
                .or_default()
                .push(place);
        }
    }
    let mut walk = ChainWalk {
        records,
        by_sha256: records
            .iter()
            .enumerate()
            .map(|(place, it)| (it.sha256.as_str(), place))
            .collect(),
        by_key: records
            .iter()
            .enumerate()
            .map(|(place, it)| (it.key.as_str(), place))
            .collect(),
        by_position: by_place,
        reached: HashSet::new(),
        findings: Vec::new(),
    };
    for (key, seal) in &holdings.seals {
        let Some(seal) = seal
            .as_ref()
            .filter(|seal| key.ends_with(&format!("/{}.json", seal.writer)))
        else {
            walk.add_finding(
                FindingKind::Edited,
                key,
                "it is no seal on the chain of its name".to_owned(),
            );
            continue;
        };
        let (sha256, named) = (
            Some(seal.sha256.as_str()),
            Some((seal.key.as_str(), seal.deployment_id.as_str())),
        );
        if walk
            .by_sha256
            .get(seal.sha256.as_str())
            .is_some_and(|place| records[*place].deployment_id != seal.deployment_id)
        {
            walk.add_finding(
                FindingKind::Edited,
                key,
                "it names another deployment than its record does".to_owned(),
            );
        }
        walk.follow_chain(ExpectedRecord {
            writer: &seal.writer,
            number: seal.number,
            sha256,
            named_by_seal: named,
            named_in: key,
        });
    }
    walk.report_unsealed_chains(holdings);
    walk.findings
}

impl<'a> ChainWalk<'a> {
    fn add_finding(&mut self, what: FindingKind, key: &str, why: String) {
        self.findings.push(AuditFinding {
            kind: what,
            key: key.to_owned(),
            detail: why,
        });
    }

    fn is_reached(&self, place: usize) -> bool {
        self.reached.contains(self.records[place].sha256.as_str())
    }

    /// Follows one chain to its first record, or to where it leaves another one.
    fn follow_chain(&mut self, mut next: ExpectedRecord<'a>) {
        loop {
            let by_sha256 = next
                .sha256
                .and_then(|sha256| self.by_sha256.get(sha256).copied());
            let Some(place) = by_sha256.or_else(|| self.find_changed_record(&next)) else {
                let Some(lower) = self.report_missing_records(&next) else {
                    return;
                };
                next = lower;
                continue;
            };
            let record = &self.records[place];
            if by_sha256.is_none() && next.sha256.is_some() {
                let why = format!("its SHA-256 is not the one that `{}` names", next.named_in);
                self.add_finding(FindingKind::Edited, &record.key, why);
            }
            if !self.reached.insert(&record.sha256) {
                return;
            }
            // Of a record that is not as it was, only its place is believed.
            let chain = record
                .chain
                .as_ref()
                .filter(|chain| by_sha256.is_some() || chain.number == next.number);
            let as_named = chain.is_some_and(|chain| chain.number == next.number)
                && next.named_by_seal.is_none_or(|(key, _)| key == record.key);
            if by_sha256.is_some()
                && !as_named
                && self
                    .records
                    .iter()
                    .filter(|it| it.sha256 == record.sha256)
                    .count()
                    == 1
            {
                self.add_finding(
                    FindingKind::Edited,
                    next.named_in,
                    format!(
                        "its number or its key is not that of the record `{}`",
                        record.key
                    ),
                );
            }
            let (writer, number) = chain.map_or((next.writer, next.number), |chain| {
                (chain.writer.as_str(), chain.number)
            });
            if number <= 1 {
                return;
            }
            let sha256 = chain.map(|chain| chain.previous.as_str());
            next = ExpectedRecord {
                writer,
                number: number - 1,
                sha256,
                named_by_seal: None,
                named_in: &record.key,
            };
        }
    }

    /// The record that lies in the place of the one that is looked for, which has another SHA-256 or an unknown one.
    fn find_changed_record(&self, next: &ExpectedRecord<'_>) -> Option<usize> {
        // A seal may be there before its record, whose name another deployment of the same second may have.
        let is_theirs = |place: &usize, id: &str| {
            !["", id].contains(&self.records[*place].deployment_id.as_str())
        };
        let by_key = next.named_by_seal.and_then(|(key, id)| {
            self.by_key
                .get(key)
                .copied()
                .filter(|place| !is_theirs(place, id))
        });
        let by_number = || {
            self.by_position
                .get(next.writer)?
                .get(&next.number)?
                .iter()
                .find(|place| !self.is_reached(**place))
                .copied()
        };
        by_key.or_else(by_number)
    }

    /// Names a gap, and gives what is behind it.
    fn report_missing_records(&mut self, next: &ExpectedRecord<'a>) -> Option<ExpectedRecord<'a>> {
        let lower = self
            .by_position
            .get(next.writer)
            .and_then(|numbers| numbers.range(..next.number).next_back());
        let below = lower.map_or(0, |(number, _)| *number);
        let (writer, by) = (next.writer, next.named_in);
        let (first, last) = (below + 1, next.number);
        let which = if first == last {
            format!("record {last}")
        } else {
            format!("records {first} to {last}")
        };
        // A seal may be there before its record, which then is kept where it comes from.
        let kept = if next.named_by_seal.is_some() {
            "; the last one may still be kept on the machine that deployed"
        } else {
            ""
        };
        let why = format!(
            "{which} of the chain {writer}, which `{by}` continues or seals, not there{kept}"
        );
        self.add_finding(
            FindingKind::Missing,
            next.named_by_seal.map_or(by, |(key, _)| key),
            why,
        );
        (below > 0).then_some(ExpectedRecord {
            writer,
            number: below,
            sha256: None,
            named_by_seal: None,
            named_in: by,
        })
    }

    /// Names what no seal leads to.
    fn report_unsealed_chains(&mut self, holdings: &'a CustomerHoldings) {
        let writers: Vec<&str> = {
            let mut writers: Vec<&str> = self.by_position.keys().copied().collect();
            writers.sort_unstable();
            writers
        };
        for writer in writers {
            let left: Vec<usize> = self.by_position[writer]
                .values()
                .flatten()
                .filter(|it| !self.is_reached(**it))
                .copied()
                .collect();
            let Some(last) = left.last() else { continue };
            let seal = holdings
                .seals
                .iter()
                .find(|(key, _)| key.ends_with(&format!("/{writer}.json")));
            if let Some((seal, Some(_))) = seal {
                for place in left {
                    self.add_finding(
                        FindingKind::Unsealed,
                        &self.records[place].key,
                        format!("it is of a chain that the seal `{seal}` knows without it"),
                    );
                }
                continue;
            }
            let record = &self.records[*last];
            if seal.is_none() {
                let why = format!(
                    "no seal is on its chain {writer}, which has {} records: made up, or the seal was deleted",
                    left.len()
                );
                self.add_finding(FindingKind::Unsealed, &record.key, why);
            }
            let number = record.chain.as_ref().map_or(0, |chain| chain.number);
            self.follow_chain(ExpectedRecord {
                writer,
                number,
                sha256: None,
                named_by_seal: None,
                named_in: &record.key,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::seal::ChainSeal;
    use crate::record::ChainLink;

    fn chained_record(writer: &str, number: u64, sha256: &str, previous: &str) -> AuditedRecord {
        let chain = Some(ChainLink {
            writer: writer.into(),
            number,
            previous: previous.into(),
        });
        AuditedRecord {
            key: format!("{writer}{number}"),
            sha256: sha256.into(),
            deployment_id: format!("d{number}"),
            chain,
            ..AuditedRecord::default()
        }
    }

    fn add_seal(
        holdings: &mut CustomerHoldings,
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
        holdings
            .seals
            .insert(format!("chain/{writer}.json"), Some(seal));
    }

    /// Four records of one writer; the digests are words here.
    fn intact_chain() -> CustomerHoldings {
        let records = [("a", ""), ("b", "a"), ("c", "b"), ("d", "c")];
        let records = records
            .iter()
            .zip(1..)
            .map(|((sha256, previous), number)| chained_record("w", number, sha256, previous))
            .collect();
        let mut holdings = CustomerHoldings {
            records,
            ..CustomerHoldings::default()
        };
        add_seal(&mut holdings, "w", 4, "w4", "d");
        holdings
    }

    fn kinds_and_keys(holdings: &CustomerHoldings) -> Vec<(FindingKind, String)> {
        walk_chains(holdings)
            .into_iter()
            .map(|finding| (finding.kind, finding.key))
            .collect()
    }

    #[test]
    fn a_whole_chain_gives_no_alarm() {
        assert_eq!(kinds_and_keys(&intact_chain()), []);
        assert_eq!(kinds_and_keys(&CustomerHoldings::default()), []);
    }

    #[test]
    fn an_edited_record_is_named_alone_wherever_it_is() {
        for place in 0..4 {
            let mut holdings = intact_chain();
            holdings.records[place].sha256 = "x".into();
            assert_eq!(
                kinds_and_keys(&holdings),
                [(FindingKind::Edited, format!("w{}", place + 1))]
            );
        }
    }

    #[test]
    fn of_two_edited_records_in_a_row_both_are_named() {
        let mut holdings = intact_chain();
        for place in [2, 3] {
            holdings.records[place].sha256 = format!("x{place}");
        }
        assert_eq!(
            kinds_and_keys(&holdings),
            [
                (FindingKind::Edited, "w4".into()),
                (FindingKind::Edited, "w3".into())
            ]
        );
    }

    #[test]
    fn deleted_records_are_named_once_and_what_is_before_them_is_still_followed() {
        for (deleted, key) in [(0, "w2"), (1, "w3"), (2, "w4"), (3, "w4")] {
            let mut holdings = intact_chain();
            holdings.records.remove(deleted);
            let findings = walk_chains(&holdings);
            assert_eq!(
                kinds_and_keys(&holdings),
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
        let mut holdings = intact_chain();
        holdings.records.drain(1..3);
        assert!(
            walk_chains(&holdings)[0]
                .detail
                .starts_with("records 2 to 3 of the chain w"),
            "{:?}",
            walk_chains(&holdings)
        );
        holdings.records.clear();
        assert!(
            walk_chains(&holdings)[0]
                .detail
                .starts_with("records 1 to 4 of the chain w"),
            "{:?}",
            walk_chains(&holdings)
        );
    }

    #[test]
    fn a_second_object_with_the_bytes_of_a_record_raises_no_doubt_about_the_first() {
        let mut holdings = intact_chain();
        holdings.records.push(AuditedRecord {
            key: "copy".into(),
            ..chained_record("w", 2, "b", "a")
        });
        assert_eq!(kinds_and_keys(&holdings), []);
    }

    #[test]
    fn a_seal_that_came_before_its_record_raises_no_doubt_about_another_one_of_that_name() {
        let mut holdings = intact_chain();
        add_seal(&mut holdings, "w", 5, "w4", "e");
        let findings = walk_chains(&holdings);
        assert_eq!(
            kinds_and_keys(&holdings),
            [(FindingKind::Missing, "w4".into())]
        );
        assert!(
            findings[0].detail.starts_with("record 5 of the chain w")
                && findings[0].detail.contains("still be kept"),
            "{findings:?}"
        );
        // Of the same deployment, or of none that can be read, it is the one.
        for id in ["d5", ""] {
            holdings.records[3].deployment_id = id.into();
            assert!(
                kinds_and_keys(&holdings).contains(&(FindingKind::Edited, "w4".into())),
                "{id}"
            );
        }
    }

    #[test]
    fn a_number_beyond_all_bounds_ends_as_well() {
        let mut holdings = intact_chain();
        add_seal(&mut holdings, "w", u64::MAX, "w4", "d");
        assert_eq!(
            kinds_and_keys(&holdings).len(),
            2,
            "the number, and the deployment of it: {:?}",
            walk_chains(&holdings)
        );
        add_seal(&mut holdings, "v", u64::MAX, "v9", "z");
        assert!(walk_chains(&holdings).iter().any(|it| {
            it.detail
                .starts_with(&format!("records 1 to {} of the chain v", u64::MAX))
        }));
    }

    #[test]
    fn a_record_behind_the_seal_is_one_that_nobody_vouches_for() {
        let mut holdings = intact_chain();
        holdings.records.push(chained_record("w", 5, "e", "d"));
        assert_eq!(
            kinds_and_keys(&holdings),
            [(FindingKind::Unsealed, "w5".into())]
        );
    }

    #[test]
    fn a_chain_without_a_seal_is_one_finding() {
        let mut holdings = intact_chain();
        holdings.seals.clear();
        assert_eq!(
            kinds_and_keys(&holdings),
            [(FindingKind::Unsealed, "w4".into())]
        );
        holdings.seals.insert("chain/w.json".into(), None);
        assert_eq!(
            kinds_and_keys(&holdings),
            [(FindingKind::Edited, "chain/w.json".into())]
        );
    }

    #[test]
    fn a_chain_that_forked_is_whole_as_long_as_both_ends_are_sealed() {
        let mut holdings = intact_chain();
        holdings.records.push(AuditedRecord {
            key: "other3".into(),
            ..chained_record("w", 3, "f", "b")
        });
        assert_eq!(
            kinds_and_keys(&holdings),
            [(FindingKind::Unsealed, "other3".into())]
        );
        holdings.records.push(chained_record("v", 4, "g", "f"));
        add_seal(&mut holdings, "v", 4, "v4", "g");
        assert_eq!(kinds_and_keys(&holdings), []);
    }

    #[test]
    fn a_seal_in_the_place_of_another_is_named() {
        let mut holdings = intact_chain();
        let other = holdings.seals.remove("chain/w.json").expect("it");
        holdings.seals.insert("chain/v.json".into(), other);
        assert_eq!(
            kinds_and_keys(&holdings),
            [
                (FindingKind::Edited, "chain/v.json".into()),
                (FindingKind::Unsealed, "w4".into())
            ]
        );
    }
}
