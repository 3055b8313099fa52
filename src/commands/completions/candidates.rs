//! What fits at the cursor: commands, options, and values of arguments.
//!
//! Must not offer what the help hides: the commands that Terraform calls, and what the scripts use.

use clap::builder::StyledStr;
use clap::{Arg, Command, ValueHint};

use super::cursor::{Cursor, ExpectedWord, find_cursor};
use super::known_names::{KnownName, NameKind, NameQuery};
use crate::output::sanitize::is_unsafe_for_display;
use crate::report::columns::REPORT_COLUMNS;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum CandidateList {
    Words(Vec<Candidate>),
    /// The shell completes paths better: it knows quotes, `~` and its own settings.
    Files,
    Folders,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The whole word.
    pub(super) value: String,
    /// One line, possibly empty. Some shells show it.
    pub(super) help: String,
}

/// Finds what the last of `words` can become. The first one is the program's name.
pub(super) fn find_candidates(command: &Command, words: &[String]) -> CandidateList {
    let mut built = command.clone();
    built.build();
    let Some(cursor) = find_cursor(&built, words) else {
        return CandidateList::Words(Vec::new());
    };
    let query = NameQuery {
        command,
        words,
        typed: &cursor.typed,
    };
    let found = match &cursor.expected {
        ExpectedWord::OptionName => CandidateList::Words(list_options(cursor.command)),
        ExpectedWord::OptionValue { option, .. } => list_values(option, &query),
        ExpectedWord::Positional {
            argument,
            can_be_subcommand,
        } => {
            let mut words = Vec::new();
            if *can_be_subcommand {
                words = list_commands(cursor.command);
            }
            match argument.map(|argument| list_values(argument, &query)) {
                Some(CandidateList::Words(values)) => words.extend(values),
                Some(paths) => return paths,
                None => {}
            }
            CandidateList::Words(words)
        }
    };
    match found {
        CandidateList::Words(words) => CandidateList::Words(select_words(&cursor, words)),
        paths => paths,
    }
}

/// Selects the words that begin with what is typed.
fn select_words(cursor: &Cursor<'_>, mut words: Vec<Candidate>) -> Vec<Candidate> {
    let (prefix, delimiter) = match &cursor.expected {
        ExpectedWord::OptionValue { option, prefix } => (&**prefix, option.get_value_delimiter()),
        ExpectedWord::OptionName | ExpectedWord::Positional { .. } => ("", None),
    };
    // Of a list, only the last item is completed.
    let list = match delimiter.and_then(|delimiter| cursor.typed.rfind(delimiter)) {
        Some(end) => &cursor.typed[..=end],
        None => "",
    };
    let typed = &cursor.typed[list.len()..];
    words.retain(|word| {
        // A customer can have any name, and a terminal must not run it.
        word.value.starts_with(typed) && !word.value.contains(is_unsafe_for_display)
    });
    for word in &mut words {
        word.value = format!("{prefix}{list}{}", word.value);
    }
    words
}

fn list_commands(command: &Command) -> Vec<Candidate> {
    let visible = command.get_subcommands().filter(|it| !it.is_hide_set());
    let candidate = |it: &Command| Candidate::new(it.get_name(), it.get_about());
    visible.map(candidate).collect()
}

fn list_options(command: &Command) -> Vec<Candidate> {
    let mut options = Vec::new();
    for argument in command.get_arguments() {
        if let Some(name) = argument.get_long()
            && !argument.is_hide_set()
        {
            options.push(Candidate::new(&format!("--{name}"), argument.get_help()));
        }
    }
    options
}

fn list_values(argument: &Arg, query: &NameQuery<'_>) -> CandidateList {
    match argument.get_value_hint() {
        _ if argument.is_hide_set() => return CandidateList::Words(Vec::new()),
        ValueHint::DirPath => return CandidateList::Folders,
        ValueHint::AnyPath | ValueHint::FilePath if is_folder(argument) => {
            return CandidateList::Folders;
        }
        ValueHint::AnyPath | ValueHint::FilePath => return CandidateList::Files,
        _ => {}
    }
    let id = argument.get_id().as_str();
    if id == "sort" {
        return CandidateList::Words(list_columns(query.typed));
    }
    if let Some(kind) = NameKind::of_argument(id) {
        let names = query.find_names(kind).into_iter();
        return CandidateList::Words(names.map(Candidate::from).collect());
    }
    let mut values = Vec::new();
    for value in argument.get_possible_values() {
        if !value.is_hide_set() {
            values.push(Candidate::new(value.get_name(), value.get_help()));
        }
    }
    CandidateList::Words(values)
}

/// clap takes all paths for files.
fn is_folder(argument: &Arg) -> bool {
    let id = argument.get_id().as_str();
    id.ends_with("folder") || id.ends_with("folders")
}

fn list_columns(typed: &str) -> Vec<Candidate> {
    let item = match typed.rsplit_once(',') {
        Some((_, item)) => item,
        None => typed,
    };
    let sign = if item.starts_with('-') { "-" } else { "" };
    let column = |(_, name)| Candidate::new(&format!("{sign}{name}"), None);
    REPORT_COLUMNS.map(column).into()
}

impl Candidate {
    fn new(value: &str, help: Option<&StyledStr>) -> Self {
        let help = help.map(ToString::to_string).unwrap_or_default();
        Self {
            value: value.to_owned(),
            help: help.lines().next().unwrap_or_default().to_owned(),
        }
    }
}

impl From<KnownName> for Candidate {
    fn from(name: KnownName) -> Self {
        Self {
            value: name.name,
            help: name.help,
        }
    }
}
