//! Which argument of a command line the cursor is at.
//!
//! Pure. It reads what clap knows about the commands, and finds a place in command lines that are
//! neither complete nor correct.

use clap::{Arg, Command};

/// The place of the cursor.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    /// The subcommand that the words before the cursor name.
    pub(super) command: &'a Command,
    pub(super) expected: ExpectedWord<'a>,
    /// What is typed of it.
    pub(super) typed: String,
}

#[derive(Debug)]
pub(super) enum ExpectedWord<'a> {
    /// The name of an option, which begins with a hyphen.
    OptionName,
    /// The value of an option; `prefix` is what stands before the value in the same word.
    OptionValue { option: &'a Arg, prefix: String },
    /// A subcommand, or the value of a positional argument.
    Positional {
        argument: Option<&'a Arg>,
        can_be_subcommand: bool,
    },
}

/// Finds the place of the last of `words`, which begin with the program's name.
///
/// `None` behind a hidden command: Terraform and Terragrunt do not press TAB.
pub(super) fn find_cursor<'a>(root: &'a Command, words: &[String]) -> Option<Cursor<'a>> {
    let (typed, before) = words.split_last()?;
    let mut position = LinePosition {
        command: root,
        pending_option: None,
        positional_count: 0,
        is_escaped: false,
    };
    for word in before.iter().skip(1) {
        position.advance(word);
        if position.command.is_hide_set() {
            return None;
        }
    }
    Some(position.expect_word(typed))
}

/// Where the next word of a command line stands.
struct LinePosition<'a> {
    command: &'a Command,
    /// The option whose value is the next word.
    pending_option: Option<&'a Arg>,
    positional_count: usize,
    /// Whether a `--` precedes, so that no option follows.
    is_escaped: bool,
}

impl<'a> LinePosition<'a> {
    fn advance(&mut self, word: &str) {
        if self.pending_option.take().is_some() {
            return;
        }
        if !self.is_escaped && word.len() > 1 && word.starts_with('-') {
            match word.strip_prefix("--") {
                Some("") => self.is_escaped = true,
                Some(name) if name.contains('=') => {}
                Some(name) => self.pending_option = find_long(self.command, name),
                None => self.pending_option = self.find_short_with_value(&word[1..]),
            }
            return;
        }
        match self.command.find_subcommand(word) {
            Some(command) if self.can_be_subcommand() => self.command = command,
            _ => self.positional_count += 1,
        }
    }

    fn can_be_subcommand(&self) -> bool {
        self.positional_count == 0 && !self.is_escaped
    }

    /// The option at the end of `-abc` whose value is the next word.
    fn find_short_with_value(&self, names: &str) -> Option<&'a Arg> {
        for (index, name) in names.char_indices() {
            let mut arguments = self.command.get_arguments();
            let option = arguments.find(|arg| arg.get_short() == Some(name))?;
            if takes_value(option) {
                let is_last = index + name.len_utf8() == names.len();
                return is_last.then_some(option);
            }
        }
        None
    }

    fn expect_word(self, typed: &str) -> Cursor<'a> {
        let (expected, typed) = if let Some(option) = self.pending_option {
            let prefix = String::new();
            (ExpectedWord::OptionValue { option, prefix }, typed)
        } else if !self.is_escaped && typed.starts_with('-') {
            match find_joined_option(self.command, typed) {
                Some((option, name, value)) => {
                    let prefix = format!("--{name}=");
                    (ExpectedWord::OptionValue { option, prefix }, value)
                }
                None => (ExpectedWord::OptionName, typed),
            }
        } else {
            let expected = ExpectedWord::Positional {
                argument: self.find_positional(),
                can_be_subcommand: self.can_be_subcommand(),
            };
            (expected, typed)
        };
        Cursor {
            command: self.command,
            expected,
            typed: typed.to_owned(),
        }
    }

    /// The last positional argument may take all further words.
    fn find_positional(&self) -> Option<&'a Arg> {
        let mut last = None;
        for argument in self.command.get_positionals() {
            let index = argument.get_index().unwrap_or(1);
            if index == self.positional_count + 1 {
                return Some(argument);
            }
            last = Some(argument).filter(|it| index <= self.positional_count && is_repeatable(it));
        }
        last
    }
}

fn find_long<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let mut arguments = command.get_arguments();
    let option = arguments.find(|arg| arg.get_long() == Some(name))?;
    takes_value(option).then_some(option)
}

/// The option of `--NAME=VALUE`, the name and the value.
fn find_joined_option<'a, 'w>(
    command: &'a Command,
    word: &'w str,
) -> Option<(&'a Arg, &'w str, &'w str)> {
    let (name, value) = word.strip_prefix("--")?.split_once('=')?;
    Some((find_long(command, name)?, name, value))
}

fn takes_value(argument: &Arg) -> bool {
    argument.get_action().takes_values()
}

fn is_repeatable(argument: &Arg) -> bool {
    let count = argument.get_num_args();
    count.is_some_and(|range| range.max_values() > 1)
}
