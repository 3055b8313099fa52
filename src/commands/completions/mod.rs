//! `completions`: prints the script that makes a shell complete our command lines, and answers it.
//!
//! The script calls this command at each TAB with the words that the user typed, so the candidates
//! are those of the installed version. `clap_complete` is not used: its stable part knows no
//! customers, and in bash it does not complete a program with a hyphen in its name. Its unstable
//! part offers hidden commands if no other one fits, ignores that bash splits words at `=` and `:`,
//! and is switched on by a variable that would also stop a deployment.
//!
//! Must not print an error while it answers, and must not wait: see `known_names`.
//!
//! - `bash_line`: the words of a command line as bash has it, and how bash takes a candidate
//! - `candidates`: what fits at the cursor
//! - `cursor`: which argument the cursor is at
//! - `known_names`: customers, versions and profiles
//! - `scripts/`: one script for each shell

mod bash_line;
mod candidates;
mod cursor;
mod known_names;

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write;

use anyhow::{Context as _, Result};
use clap::{Args, Command, ValueEnum};

use crate::exit_code::ExitCode;
use bash_line::BashLine;
use candidates::{Candidate, CandidateList, find_candidates};

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: CompletionShell,
    /// What the script passes on: the words up to the cursor, in the form of its shell
    #[arg(last = true, hide = true)]
    words: Vec<OsString>,
}

/// The shells that there is a script for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CompletionShell {
    Bash,
    Elvish,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
    Zsh,
}

/// Prints the script of a shell, or answers it. `command` is the whole command line.
pub fn run_completions(
    args: &CompletionsArgs,
    command: &Command,
    mut output: impl Write,
) -> Result<ExitCode> {
    let words: Vec<Cow<'_, str>> = args.words.iter().map(|it| it.to_string_lossy()).collect();
    let text = match &words[..] {
        [] => args.shell.script().to_owned(),
        words => args.shell.answer(words, command),
    };
    output
        .write_all(text.as_bytes())
        .context("cannot write to stdout")?;
    Ok(ExitCode::Ok)
}

impl CompletionShell {
    fn script(self) -> &'static str {
        match self {
            Self::Bash => include_str!("scripts/config-backup.bash"),
            Self::Elvish => include_str!("scripts/config-backup.elv"),
            Self::Fish => include_str!("scripts/config-backup.fish"),
            Self::PowerShell => include_str!("scripts/config-backup.ps1"),
            Self::Zsh => include_str!("scripts/_config-backup"),
        }
    }

    /// The answer to the script: a line that says what follows, and one line for each candidate.
    fn answer(self, words: &[Cow<'_, str>], command: &Command) -> String {
        let bash_line = match (self, words) {
            (Self::Bash, [breaks, line, ..]) => Some(BashLine::parse(line, breaks)),
            _ => None,
        };
        let words = match (self, &bash_line) {
            (_, Some(line)) => line.words.clone(),
            // Older versions of PowerShell do not pass an empty word on.
            (Self::PowerShell, None) => words[0].split('\n').map(str::to_owned).collect(),
            (_, None) => words.iter().map(ToString::to_string).collect(),
        };
        let found = match find_candidates(command, &words) {
            CandidateList::Files => return "files\n".to_owned(),
            CandidateList::Folders => return "folders\n".to_owned(),
            CandidateList::Words(found) => found,
        };

        let mut answer = "words\n".to_owned();
        for candidate in found {
            let line = match &bash_line {
                Some(bash_line) => bash_line.quote(&candidate.value),
                None => Some(self.format_candidate(&candidate)),
            };
            if let Some(line) = line {
                let _ = writeln!(answer, "{line}");
            }
        }
        answer
    }

    fn format_candidate(self, candidate: &Candidate) -> String {
        let Candidate { value, help } = candidate;
        match self {
            Self::Bash | Self::Elvish => value.clone(),
            Self::Fish | Self::PowerShell => format!("{value}\t{help}"),
            // A colon ends the value.
            Self::Zsh => {
                let value = value.replace('\\', "\\\\").replace(':', "\\:");
                format!("{value}:{help}")
            }
        }
    }
}
