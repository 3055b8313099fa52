//! What lies below `terragrunt/`, whosever it is: the units' states, which their own backend writes, and the configs.
//!
//! A part of the layout: pure, and the only place beside `layout.rs` that takes a key apart.

use super::{CONFIGS, ConfigKey, customer_of, folder_of, parse_config_key, segment};

/// What every state's key ends with.
const STATE: &str = "terraform.tfstate";

/// What an object below `terragrunt/` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside<'a> {
    /// A unit's state.
    State {
        /// The unit's folder within the customer's; empty where the customer's folder is the unit.
        unit: &'a str,
    },
    /// The customer's config, or a version of it.
    Config(ConfigKey<'a>),
}

/// Takes a key below `terragrunt/` apart: the segment of the customer that it belongs to, and what the object is; `None` for
/// any other object.
#[must_use]
pub fn parse_key(key: &str) -> Option<(String, Beside<'_>)> {
    let (path, folder) = folder_of(key)?;
    if let Some(config) = parse_config_key(path, key) {
        return Some((owner(folder), Beside::Config(config)));
    }
    let unit = key.strip_prefix(path)?.strip_suffix(STATE)?;
    let unit = if unit.is_empty() { unit } else { unit.strip_suffix('/')? };
    // A state lies under the name of the customer's folder as it is.
    Some((segment(folder), Beside::State { unit }))
}

/// The segment of the customer that a folder of configs or records is of. It may be called by the segment, or by the name
/// itself, as the earlier module did; a spelling that is the segment of some customer is that one's.
#[must_use]
pub fn owner(folder: &str) -> String {
    let is_digest = folder.strip_prefix("~~h").is_some_and(|digest| digest.len() == 64);
    if is_digest || customer_of(folder).is_some() { folder.to_owned() } else { segment(folder) }
}

/// What all keys of a customer's states and configs start with.
#[must_use]
pub fn all_prefixes(customer: &str) -> Vec<String> {
    let mut prefixes = vec![format!("{CONFIGS}{}/", segment(customer)), format!("{CONFIGS}{customer}/")];
    prefixes.dedup();
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::config_key;

    #[test]
    fn states_are_told_from_all_that_lies_beside_them() {
        let state = |key: &'static str| match parse_key(key) {
            Some((folder, Beside::State { unit })) => Some((folder, unit)),
            _ => None,
        };
        assert_eq!(state("terragrunt/acme/eks-cluster/terraform.tfstate"), Some(("acme".into(), "eks-cluster")));
        assert_eq!(state("terragrunt/Foo Bar/eu/eks/terraform.tfstate"), Some(("~Foo~20Bar".into(), "eu/eks")));
        assert_eq!(state("terragrunt/acme/terraform.tfstate"), Some(("acme".into(), "")));
        assert_eq!(state("terragrunt/~/eks/terraform.tfstate"), Some(("~~7e".into(), "eks")), "the customer `~`, and not none");
        for other in [
            "terragrunt/acme/eks-cluster/terraform.tfstate.tflock",
            "terragrunt/acme/eks-cluster/my-terraform.tfstate",
            "terragrunt//eks/terraform.tfstate",
            "terragrunt/terraform.tfstate",
            "usage-logs/acme/terraform.tfstate",
            "terragrunt/acme/config.yaml",
        ] {
            assert_eq!(state(other), None, "{other}");
        }
        assert_eq!(parse_key(&config_key("Foo Bar")), Some(("~Foo~20Bar".into(), Beside::Config(ConfigKey::Current))));
        assert_eq!(parse_key("terragrunt/acme/eks/config.yaml"), None);
    }

    #[test]
    fn a_folder_and_the_segment_of_its_name_have_one_owner() {
        let digest = segment(&"é".repeat(120));
        for (folder, expected) in [
            ("acme", "acme"),
            ("Foo Bar", "~Foo~20Bar"),
            ("~Foo~20Bar", "~Foo~20Bar"),
            ("~2", "~~7e2"),
            (&"é".repeat(120), digest.as_str()),
            (&digest, &digest),
        ] {
            assert_eq!(owner(folder), expected);
        }
    }

    #[test]
    fn all_that_is_of_a_customer_lies_under_the_segment_or_under_the_name_itself() {
        assert_eq!(all_prefixes("acme"), ["terragrunt/acme/"]);
        assert_eq!(all_prefixes("Foo Bar"), ["terragrunt/~Foo~20Bar/", "terragrunt/Foo Bar/"]);
    }
}
