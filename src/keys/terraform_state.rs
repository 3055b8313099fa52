//! The keys of Terraform states, and of everything else below `terragrunt/`.
//!
//! The units' own backend writes the states, under the name of the customer's folder as it is.

use std::fmt;

use crate::keys::config::{CONFIGS_PREFIX, ConfigKey, split_customer_folder};
use crate::keys::customer::CustomerSegment;

const STATE_FILE_NAME: &str = "terraform.tfstate";

/// The key of the state of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateKey<'a> {
    /// The customer's folder as it is called on the deploying machine.
    folder: &'a str,
    /// The path of the unit within that folder; empty where the folder itself is the unit.
    pub unit: &'a str,
}

impl<'a> StateKey<'a> {
    #[must_use]
    pub fn parse(key: &'a str) -> Option<Self> {
        let (path, folder) = split_customer_folder(key)?;
        let unit = key.strip_prefix(path)?.strip_suffix(STATE_FILE_NAME)?;
        if unit.is_empty() {
            return Some(Self { folder, unit });
        }
        let unit = unit.strip_suffix('/')?;
        Some(Self { folder, unit })
    }

    #[must_use]
    pub fn customer(&self) -> CustomerSegment {
        CustomerSegment::from_name(self.folder)
    }
}

impl fmt::Display for StateKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, unit } = self;
        let slash = if unit.is_empty() { "" } else { "/" };
        write!(
            formatter,
            "{CONFIGS_PREFIX}{folder}/{unit}{slash}{STATE_FILE_NAME}"
        )
    }
}

/// An object below `terragrunt/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerragruntKey<'a> {
    State(StateKey<'a>),
    /// The customer's config, a version of it, or a seal.
    Config(ConfigKey<'a>),
}

impl<'a> TerragruntKey<'a> {
    /// Returns the customer that the object belongs to as well; `None` for any other object.
    #[must_use]
    pub fn parse(key: &'a str) -> Option<(CustomerSegment, Self)> {
        if let Some(config) = ConfigKey::parse(key) {
            let (_, folder) = split_customer_folder(key)?;
            return Some((CustomerSegment::from_folder(folder), Self::Config(config)));
        }
        let state = StateKey::parse(key)?;
        Some((state.customer(), Self::State(state)))
    }
}

/// See [`TerragruntKey::parse`].
#[must_use]
pub fn parse_terragrunt_key(key: &str) -> Option<(String, TerragruntKey<'_>)> {
    let (customer, key) = TerragruntKey::parse(key)?;
    Some((customer.to_string(), key))
}

/// All prefixes that the customer's states, configs and seals may have.
#[must_use]
pub fn customer_terragrunt_prefixes(customer: &str) -> Vec<String> {
    let ours = format!("{CONFIGS_PREFIX}{}/", CustomerSegment::from_name(customer));
    let by_name = format!("{CONFIGS_PREFIX}{customer}/");
    if by_name == ours {
        return vec![ours];
    }
    vec![ours, by_name]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::config::current_config_key;

    fn parse_state(key: &str) -> Option<(String, &str)> {
        match TerragruntKey::parse(key) {
            Some((customer, TerragruntKey::State(state))) => {
                assert_eq!(state.to_string(), key);
                Some((customer.to_string(), state.unit))
            }
            _ => None,
        }
    }

    #[test]
    fn parses_the_keys_of_states() {
        for (key, customer, unit) in [
            (
                "terragrunt/acme/eks-cluster/terraform.tfstate",
                "acme",
                "eks-cluster",
            ),
            (
                "terragrunt/Foo Bar/eu/eks/terraform.tfstate",
                "~Foo~20Bar",
                "eu/eks",
            ),
            ("terragrunt/acme/terraform.tfstate", "acme", ""),
            // The customer `~`, not the customer without a name.
            ("terragrunt/~/eks/terraform.tfstate", "~~7e", "eks"),
        ] {
            assert_eq!(parse_state(key), Some((customer.to_owned(), unit)));
        }
    }

    #[test]
    fn distinguishes_states_from_other_objects() {
        for key in [
            "terragrunt/acme/eks-cluster/terraform.tfstate.tflock",
            "terragrunt/acme/eks-cluster/my-terraform.tfstate",
            "terragrunt//eks/terraform.tfstate",
            "terragrunt/terraform.tfstate",
            "usage-logs/acme/terraform.tfstate",
            "terragrunt/acme/config.yaml",
        ] {
            assert_eq!(parse_state(key), None, "{key}");
        }
        let key = current_config_key("Foo Bar");
        let (customer, parsed) = TerragruntKey::parse(&key).expect("the key of a config");
        assert_eq!(customer.as_str(), "~Foo~20Bar");
        assert_eq!(parsed, TerragruntKey::Config(ConfigKey::Current));
        assert_eq!(
            TerragruntKey::parse("terragrunt/acme/eks/config.yaml"),
            None
        );
    }

    #[test]
    fn customer_prefixes_are_the_segment_and_the_plain_name() {
        assert_eq!(customer_terragrunt_prefixes("acme"), ["terragrunt/acme/"]);
        let prefixes = ["terragrunt/~Foo~20Bar/", "terragrunt/Foo Bar/"];
        assert_eq!(customer_terragrunt_prefixes("Foo Bar"), prefixes);
    }
}
