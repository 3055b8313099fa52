//! The commit that the customer folder is checked out at.

use std::path::Path;

use crate::record::GitCommit;
use crate::system::process::{find_trusted_program, query_program};

/// The commit of the checkout that `folder` belongs to; `None` without git or a checkout.
pub(crate) fn read_git_state(folder: &Path) -> Option<GitCommit> {
    let git = find_trusted_program("git", folder)?;
    let folder = folder.to_string_lossy();
    let arguments = [
        // Without it git refreshes the index, and so writes to the user's checkout.
        "--no-optional-locks",
        // A checkout can name a program here, which git would run.
        "-c",
        "core.fsmonitor=false",
        "-C",
        folder.as_ref(),
        "status",
        "--porcelain=v2",
        "--branch",
        "--untracked-files=no",
    ];
    let status = query_program(&git, &arguments)?;
    parse_git_status(&status)
}

fn parse_git_status(status: &str) -> Option<GitCommit> {
    let mut git = GitCommit {
        commit: String::new(),
        branch: String::new(),
        dirty: false,
    };
    for line in status.lines() {
        let Some(header) = line.strip_prefix("# ") else {
            git.dirty = true;
            continue;
        };
        match header.split_once(' ') {
            Some(("branch.oid", id)) if id != "(initial)" => id.clone_into(&mut git.commit),
            Some(("branch.head", name)) if name != "(detached)" => {
                name.clone_into(&mut git.branch);
            }
            _ => {}
        }
    }
    (!git.commit.is_empty()).then_some(git)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(branch: &str, dirty: bool) -> GitCommit {
        GitCommit {
            commit: "1234".into(),
            branch: branch.into(),
            dirty,
        }
    }

    #[test]
    fn git_status_gives_commit_branch_and_dirtiness() {
        let clean = "# branch.oid 1234\n# branch.head main\n# branch.ab +0 -0\n";
        assert_eq!(parse_git_status(clean), Some(commit("main", false)));

        let dirty = "# branch.oid 1234\n# branch.head (detached)\n\
                     1 .M N... 100644 100644 100644 a b x\n";
        assert_eq!(parse_git_status(dirty), Some(commit("", true)));

        let initial = "# branch.oid (initial)\n# branch.head main\n";
        assert_eq!(parse_git_status(initial), None);
    }
}
