//! The processes above this one, by `/proc` or `ps`.

use std::collections::HashMap;
use std::path::Path;

use crate::system::process::query_ps;

const MAX_ANCESTORS: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AncestorProcess {
    pub process_id: u32,
    pub command: String,
}

/// The ancestors of this process, nearest first.
#[must_use]
pub fn list_ancestors() -> Vec<AncestorProcess> {
    let table = ProcessTable::load();
    walk_ancestors(std::process::id(), |process_id| table.find(process_id))
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ProcessEntry {
    parent_id: u32,
    command: String,
}

/// Slim containers have `/proc` but no `ps`; macOS has `ps` but no `/proc`.
enum ProcessTable {
    Proc,
    Ps(HashMap<u32, ProcessEntry>),
}

impl ProcessTable {
    fn load() -> Self {
        if Path::new("/proc/self/stat").exists() {
            return Self::Proc;
        }
        let list = query_ps(&["-axo", "pid=,ppid=,comm="]);
        Self::Ps(parse_ps_output(&list.unwrap_or_default()))
    }

    fn find(&self, process_id: u32) -> Option<ProcessEntry> {
        match self {
            Self::Proc => {
                let stat = std::fs::read_to_string(format!("/proc/{process_id}/stat")).ok()?;
                parse_proc_stat(&stat)
            }
            Self::Ps(entries) => entries.get(&process_id).cloned(),
        }
    }
}

fn walk_ancestors(
    process_id: u32,
    find: impl Fn(u32) -> Option<ProcessEntry>,
) -> Vec<AncestorProcess> {
    let mut ancestors = Vec::new();
    let Some(entry) = find(process_id) else {
        return ancestors;
    };
    let mut process_id = entry.parent_id;
    // Processes start and end meanwhile, so ids may be reused and even form a loop.
    while ancestors.len() < MAX_ANCESTORS {
        let Some(entry) = find(process_id) else {
            break;
        };
        ancestors.push(AncestorProcess {
            process_id,
            command: entry.command,
        });
        process_id = entry.parent_id;
    }
    ancestors
}

/// Parses `/proc/PID/stat` (proc(5)). The command is in parentheses and may contain any character.
fn parse_proc_stat(stat: &str) -> Option<ProcessEntry> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, command) = head.split_once('(')?;
    let parent_id = tail.split_whitespace().nth(1)?;
    Some(ProcessEntry {
        parent_id: parent_id.parse().ok()?,
        command: command.to_owned(),
    })
}

/// Parses the output of `ps -o pid=,ppid=,comm=`.
fn parse_ps_output(list: &str) -> HashMap<u32, ProcessEntry> {
    list.lines().filter_map(parse_ps_line).collect()
}

fn parse_ps_line(line: &str) -> Option<(u32, ProcessEntry)> {
    let (process_id, rest) = line.trim_start().split_once(' ')?;
    let (parent_id, command) = rest.trim_start().split_once(' ')?;
    let entry = ProcessEntry {
        parent_id: parent_id.parse().ok()?,
        command: command.trim().to_owned(),
    };
    Some((process_id.parse().ok()?, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ancestor_commands(list: &str, process_id: u32) -> Vec<String> {
        let entries = parse_ps_output(list);
        let ancestors = walk_ancestors(process_id, |id| entries.get(&id).cloned());
        ancestors.into_iter().map(|it| it.command).collect()
    }

    fn entry(parent_id: u32, command: &str) -> ProcessEntry {
        ProcessEntry {
            parent_id,
            command: command.to_owned(),
        }
    }

    #[test]
    fn ancestors_are_found_nearest_first() {
        let list = "    1     0 systemd\n   10     1 terragrunt\n  200    10 tofu\n\
                    \x20 3000   200 sh\n 3001  3000 config-backup\n";
        assert_eq!(
            ancestor_commands(list, 3001),
            ["sh", "tofu", "terragrunt", "systemd"]
        );

        let list = "1 0 /sbin/launchd\n7 1 /Users/jane roe/bin/terraform\n8 7 /bin/sh\n";
        assert_eq!(
            ancestor_commands(list, 8),
            ["/Users/jane roe/bin/terraform", "/sbin/launchd"]
        );
        assert_eq!(parse_ps_output("garbage\n").len(), 0);
    }

    #[test]
    fn a_loop_of_parents_ends() {
        let ancestors = walk_ancestors(2, |id| Some(entry(5 - id, "loop")));
        assert_eq!(ancestors.len(), MAX_ANCESTORS);
    }

    #[test]
    fn a_process_is_parsed_as_proc_shows_it() {
        let stat = "200 (tofu) S 10 200 200 0 -1 4194304";
        assert_eq!(parse_proc_stat(stat), Some(entry(10, "tofu")));
        let stat = "7 (a) b (c)) R 1 7 7 0";
        assert_eq!(parse_proc_stat(stat), Some(entry(1, "a) b (c)")));
        assert_eq!(parse_proc_stat(""), None);
    }
}
