//! What lies below `terragrunt/`, whosever it is: the units' states, which their own backend writes, and the configs.
//!
//! A part of the layout: pure, and the only place beside `layout.rs` that takes a key apart.

use super::{
    CONFIGS_PREFIX, ConfigKey, customer_segment, parse_config_key, parse_customer_segment,
    split_customer_folder,
};

/// What every state's key ends with.
const STATE_FILE_NAME: &str = "terraform.tfstate";

/// What an object below `terragrunt/` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerragruntKey<'a> {
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
pub fn parse_terragrunt_key(key: &str) -> Option<(String, TerragruntKey<'_>)> {
    let (path, folder) = split_customer_folder(key)?;
    if let Some(config) = parse_config_key(path, key) {
        return Some((canonical_segment(folder), TerragruntKey::Config(config)));
    }
    let unit = key.strip_prefix(path)?.strip_suffix(STATE_FILE_NAME)?;
    let unit = if unit.is_empty() {
        unit
    } else {
        unit.strip_suffix('/')?
    };
    // A state lies under the name of the customer's folder as it is.
    Some((customer_segment(folder), TerragruntKey::State { unit }))
}

/// The segment of the customer that a folder of configs or records is of. It may be called by the segment, or by the name
/// itself, as the earlier module did; a spelling that is the segment of some customer is that one's.
#[must_use]
pub fn canonical_segment(folder: &str) -> String {
    let is_digest = folder
        .strip_prefix("~~h")
        .is_some_and(|digest| digest.len() == 64);
    if is_digest || parse_customer_segment(folder).is_some() {
        folder.to_owned()
    } else {
        customer_segment(folder)
    }
}

/// What all keys of a customer's states and configs start with.
#[must_use]
pub fn customer_terragrunt_prefixes(customer: &str) -> Vec<String> {
    let mut prefixes = vec![
        format!("{CONFIGS_PREFIX}{}/", customer_segment(customer)),
        format!("{CONFIGS_PREFIX}{customer}/"),
    ];
    prefixes.dedup();
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::current_config_key;

    #[test]
    fn distinguishes_states_from_other_objects() {
        let state = |key: &'static str| match parse_terragrunt_key(key) {
            Some((folder, TerragruntKey::State { unit })) => Some((folder, unit)),
            _ => None,
        };
        assert_eq!(
            state("terragrunt/acme/eks-cluster/terraform.tfstate"),
            Some(("acme".into(), "eks-cluster"))
        );
        assert_eq!(
            state("terragrunt/Foo Bar/eu/eks/terraform.tfstate"),
            Some(("~Foo~20Bar".into(), "eu/eks"))
        );
        assert_eq!(
            state("terragrunt/acme/terraform.tfstate"),
            Some(("acme".into(), ""))
        );
        assert_eq!(
            state("terragrunt/~/eks/terraform.tfstate"),
            Some(("~~7e".into(), "eks")),
            "the customer `~`, and not none"
        );
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
        assert_eq!(
            parse_terragrunt_key(&current_config_key("Foo Bar")),
            Some((
                "~Foo~20Bar".into(),
                TerragruntKey::Config(ConfigKey::Current)
            ))
        );
        assert_eq!(
            parse_terragrunt_key("terragrunt/acme/eks/config.yaml"),
            None
        );
    }

    #[test]
    fn a_folder_and_its_segment_belong_to_one_customer() {
        let digest = customer_segment(&"é".repeat(120));
        for (folder, expected) in [
            ("acme", "acme"),
            ("Foo Bar", "~Foo~20Bar"),
            ("~Foo~20Bar", "~Foo~20Bar"),
            ("~2", "~~7e2"),
            (&"é".repeat(120), digest.as_str()),
            (&digest, &digest),
        ] {
            assert_eq!(canonical_segment(folder), expected);
        }
    }

    #[test]
    fn customer_prefixes_are_the_segment_and_the_plain_name() {
        assert_eq!(customer_terragrunt_prefixes("acme"), ["terragrunt/acme/"]);
        assert_eq!(
            customer_terragrunt_prefixes("Foo Bar"),
            ["terragrunt/~Foo~20Bar/", "terragrunt/Foo Bar/"]
        );
    }
}
