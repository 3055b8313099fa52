//! Who and what a deployment is about: from the query, the config, or the name of the config's folder.

use std::path::Path;

use crate::config::fields::{self, ConfigFields};
use crate::config::file::ConfigFile;
use crate::deployment::protocol::ModuleQuery;

/// What the usage record says beside who and when; the query overrides the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentSubject {
    /// The customer: from the query, the file, or the name of the file's folder.
    pub customer: String,
    /// The profile that the file names.
    pub profile: String,
    /// The project.
    pub project_name: String,
    /// The cluster.
    pub cluster_name: String,
    /// The count of additional users.
    pub additional_users_count: u64,
    /// What is wrong with the file, one phrase each.
    pub problems: Vec<String>,
}

/// Who and what the deployment is about; without a config, as far as the query tells.
#[must_use]
pub fn resolve_subject(query: &ModuleQuery, config: Option<&ConfigFile>) -> DeploymentSubject {
    let facts = config
        .map(|config| fields::parse_config_fields(&config.bytes))
        .unwrap_or_default();
    let ConfigFields {
        customer,
        profile,
        project_name,
        cluster_name,
        additional_users_count,
        mut problems,
    } = facts;
    let folder = Path::new(&query.config_file_path)
        .parent()
        .and_then(Path::file_name);
    let folder = folder
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let customer = first_non_empty([&query.customer_name, &customer, &folder]);
    if customer.is_empty() {
        problems.push("it names no customer".to_owned());
    }
    DeploymentSubject {
        customer: first_non_empty([&customer, &"unknown".to_owned()]),
        profile,
        project_name: first_non_empty([&query.project_name, &project_name]),
        cluster_name: first_non_empty([&query.cluster_name, &cluster_name]),
        additional_users_count: query
            .additional_users_count
            .or(additional_users_count)
            .unwrap_or_default(),
        problems,
    }
}

fn first_non_empty<const N: usize>(texts: [&String; N]) -> String {
    texts
        .into_iter()
        .find(|text| !text.is_empty())
        .cloned()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    use crate::digest::compute_digests;

    fn query_with(more: &str) -> ModuleQuery {
        ModuleQuery::read(
            format!("{{\"config_file_path\":\"/deployments/acme/config.yaml\"{more}}}").as_bytes(),
        )
        .expect("a query")
    }

    fn config_with(text: &str) -> ConfigFile {
        ConfigFile {
            bytes: text.into(),
            digests: compute_digests(text.as_bytes()),
            read_at: DateTime::default(),
        }
    }

    #[test]
    fn the_query_beats_the_file_and_the_file_its_folder() {
        let file = config_with(
            "customer: {name: airbnb}\nmongodb: {project_name: p, additional_users_count: 5}\n",
        );
        let plain = resolve_subject(&query_with(""), Some(&file));
        assert_eq!(
            (
                plain.customer.as_str(),
                plain.project_name.as_str(),
                plain.additional_users_count
            ),
            ("airbnb", "p", 5)
        );
        let more =
            ",\"customer_name\":\"q\",\"project_name\":\"r\",\"additional_users_count\":\"0\"";
        let said = resolve_subject(&query_with(more), Some(&file));
        assert_eq!(
            (
                said.customer.as_str(),
                said.project_name.as_str(),
                said.additional_users_count
            ),
            ("q", "r", 0)
        );
        let broken = resolve_subject(&query_with(""), Some(&config_with("customer: [")));
        assert_eq!(
            (broken.customer.as_str(), broken.problems.len()),
            ("acme", 1)
        );
        assert_eq!(resolve_subject(&query_with(""), None).customer, "acme");
    }
}
