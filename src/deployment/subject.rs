//! Who and what is deployed: from the query, the config, or the name of the config's folder.

use std::path::Path;

use crate::config::fields::{self, ConfigFields};
use crate::config::file::ConfigFile;
use crate::deployment::protocol::ModuleQuery;

/// The customer of a config that names none and is in no named folder.
const UNKNOWN_CUSTOMER: &str = "unknown";

/// What the usage record tells besides who and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentSubject {
    pub customer: String,
    /// The profile that the config names.
    pub profile: String,
    pub project_name: String,
    pub cluster_name: String,
    pub additional_users_count: u64,
    /// What is wrong with the config, one phrase each.
    pub problems: Vec<String>,
}

/// Resolves the subject. The query overrides the config, which may be unreadable. The name of the
/// config's folder is the last resort for the customer.
#[must_use]
pub fn resolve_subject(query: &ModuleQuery, config: Option<&ConfigFile>) -> DeploymentSubject {
    let fields = match config {
        Some(config) => fields::parse_config_fields(&config.bytes),
        None => ConfigFields::default(),
    };
    let mut problems = fields.problems;
    let customer = non_empty(query.customer_name.clone())
        .or(fields.customer)
        .or_else(|| non_empty(folder_name_of(&query.config_file_path)));
    if customer.is_none() {
        problems.push("it names no customer".to_owned());
    }
    let user_count = query
        .additional_users_count
        .or(fields.additional_users_count);
    let project_name = query.project_name.clone().or(fields.project_name);
    let cluster_name = query.cluster_name.clone().or(fields.cluster_name);
    DeploymentSubject {
        customer: customer.unwrap_or_else(|| UNKNOWN_CUSTOMER.to_owned()),
        profile: fields.profile.unwrap_or_default(),
        project_name: project_name.unwrap_or_default(),
        cluster_name: cluster_name.unwrap_or_default(),
        additional_users_count: user_count.unwrap_or_default(),
        problems,
    }
}

fn folder_name_of(config_path: &str) -> Option<String> {
    let folder = Path::new(config_path).parent()?;
    let name = folder.file_name()?;
    Some(name.to_string_lossy().into_owned())
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    use crate::digest::compute_digests;

    fn query_with(settings: &str) -> ModuleQuery {
        let path = "/deployments/acme/config.yaml";
        let query = format!("{{\"config_file_path\":\"{path}\"{settings}}}");
        ModuleQuery::read(query.as_bytes()).expect("a query")
    }

    fn config_with(text: &str) -> ConfigFile {
        ConfigFile {
            bytes: text.into(),
            digests: compute_digests(text.as_bytes()),
            read_at: DateTime::default(),
        }
    }

    #[test]
    fn the_query_overrides_the_config_and_the_config_its_folder() {
        let config = config_with(
            "customer: {name: airbnb}\nmongodb: {project_name: p, additional_users_count: 5}\n",
        );
        let subject = resolve_subject(&query_with(""), Some(&config));
        assert_eq!(subject.customer, "airbnb");
        assert_eq!(subject.project_name, "p");
        assert_eq!(subject.additional_users_count, 5);

        let settings =
            ",\"customer_name\":\"q\",\"project_name\":\"r\",\"additional_users_count\":\"0\"";
        let subject = resolve_subject(&query_with(settings), Some(&config));
        assert_eq!(subject.customer, "q");
        assert_eq!(subject.project_name, "r");
        assert_eq!(subject.additional_users_count, 0);

        let invalid = config_with("customer: [");
        let subject = resolve_subject(&query_with(""), Some(&invalid));
        assert_eq!(subject.customer, "acme");
        assert_eq!(subject.problems.len(), 1);
        assert_eq!(resolve_subject(&query_with(""), None).customer, "acme");
    }
}
