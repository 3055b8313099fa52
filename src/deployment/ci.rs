//! The CI job that a deployment runs in.

use crate::record::CiJob;
use crate::system::host::{env_var, strip_userinfo};

/// The CI job that we run in, by the variables that each CI documents.
pub(crate) fn detect_ci_job() -> Option<CiJob> {
    let github = || {
        Some(format!(
            "{}/{}/actions/runs/{}",
            env_var("GITHUB_SERVER_URL")?,
            env_var("GITHUB_REPOSITORY")?,
            env_var("GITHUB_RUN_ID")?
        ))
    };
    let known: [(&str, &str, Option<String>); 7] = [
        ("GITHUB_ACTIONS", "github", github()),
        ("GITLAB_CI", "gitlab", env_var("CI_JOB_URL")),
        ("JENKINS_URL", "jenkins", env_var("BUILD_URL")),
        ("CIRCLECI", "circleci", env_var("CIRCLE_BUILD_URL")),
        ("BUILDKITE", "buildkite", env_var("BUILDKITE_BUILD_URL")),
        (
            "BITBUCKET_BUILD_NUMBER",
            "bitbucket",
            env_var("BITBUCKET_GIT_HTTP_ORIGIN"),
        ),
        ("CI", "other", None),
    ];
    let (_, provider, url) = known
        .into_iter()
        .find(|(name, ..)| env_var(name).is_some_and(|value| value != "false"))?;
    Some(CiJob {
        provider: provider.to_owned(),
        run_url: strip_userinfo(&url.unwrap_or_default()),
    })
}
