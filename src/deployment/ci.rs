//! The CI job that a deployment runs in.

use crate::record::CiJob;
use crate::system::env::env_var;
use crate::system::url::url_page;

/// A CI system, as it shows in the environment.
struct CiProvider {
    name: &'static str,
    /// Set in every job.
    marker: &'static str,
    run_url: fn() -> Option<String>,
}

const CI_PROVIDERS: [CiProvider; 7] = [
    CiProvider {
        name: "github",
        marker: "GITHUB_ACTIONS",
        run_url: github_run_url,
    },
    CiProvider {
        name: "gitlab",
        marker: "GITLAB_CI",
        run_url: || env_var("CI_JOB_URL"),
    },
    CiProvider {
        name: "jenkins",
        marker: "JENKINS_URL",
        run_url: || env_var("BUILD_URL"),
    },
    CiProvider {
        name: "circleci",
        marker: "CIRCLECI",
        run_url: || env_var("CIRCLE_BUILD_URL"),
    },
    CiProvider {
        name: "buildkite",
        marker: "BUILDKITE",
        run_url: || env_var("BUILDKITE_BUILD_URL"),
    },
    CiProvider {
        name: "bitbucket",
        marker: "BITBUCKET_BUILD_NUMBER",
        run_url: || env_var("BITBUCKET_GIT_HTTP_ORIGIN"),
    },
    // Last, because most others set it, too.
    CiProvider {
        name: "other",
        marker: "CI",
        run_url: || None,
    },
];

/// Recognizes the CI job by the variables that each CI system documents.
pub(crate) fn detect_ci_job() -> Option<CiJob> {
    let provider = CI_PROVIDERS
        .iter()
        .find(|provider| is_marker_set(provider.marker))?;
    let run_url = (provider.run_url)();
    Some(CiJob {
        provider: provider.name.to_owned(),
        run_url: run_url.and_then(|url| url_page(&url)).unwrap_or_default(),
    })
}

fn is_marker_set(name: &str) -> bool {
    match env_var(name) {
        Some(value) => value != "false",
        None => false,
    }
}

fn github_run_url() -> Option<String> {
    let server = env_var("GITHUB_SERVER_URL")?;
    let repository = env_var("GITHUB_REPOSITORY")?;
    let run_id = env_var("GITHUB_RUN_ID")?;
    Some(format!("{server}/{repository}/actions/runs/{run_id}"))
}
