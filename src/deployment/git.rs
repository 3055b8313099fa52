//! The commit that a customer folder is checked out at.

use std::path::Path;

use crate::record::GitCommit;
use crate::system::process::query_program;

/// The commit of the checkout that `folder` lies in; `None` without git or a checkout.
pub(crate) fn read_git_state(folder: &Path) -> Option<GitCommit> {
    let folder = folder.to_string_lossy().into_owned();
    // A look must not write to the user's checkout, as refreshing its index would.
    let arguments = [
        "--no-optional-locks",
        "-C",
        &folder,
        "status",
        "--porcelain=v2",
        "--branch",
        "--untracked-files=no",
    ];
    parse_git_status(&query_program(Path::new("git"), &arguments)?)
}

fn parse_git_status(status: &str) -> Option<GitCommit> {
    let mut git = GitCommit {
        commit: String::new(),
        branch: String::new(),
        dirty: false,
    };
    for line in status.lines() {
        match line.strip_prefix("# ") {
            Some(header) => match header.split_once(' ') {
                Some(("branch.oid", oid)) if oid != "(initial)" => oid.clone_into(&mut git.commit),
                Some(("branch.head", head)) if head != "(detached)" => {
                    head.clone_into(&mut git.branch);
                }
                _ => {}
            },
            None => git.dirty = true,
        }
    }
    (!git.commit.is_empty()).then_some(git)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_status_gives_commit_branch_and_dirtiness() {
        let clean = "# branch.oid 1234\n# branch.head main\n# branch.ab +0 -0\n";
        assert_eq!(
            parse_git_status(clean),
            Some(GitCommit {
                commit: "1234".into(),
                branch: "main".into(),
                dirty: false
            })
        );
        let dirty =
            "# branch.oid 1234\n# branch.head (detached)\n1 .M N... 100644 100644 100644 a b x\n";
        assert_eq!(
            parse_git_status(dirty),
            Some(GitCommit {
                commit: "1234".into(),
                branch: String::new(),
                dirty: true
            })
        );
        assert_eq!(
            parse_git_status("# branch.oid (initial)\n# branch.head main\n"),
            None
        );
    }
}
