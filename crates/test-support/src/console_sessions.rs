//! The `console` blocks of Markdown pages: a shell runs their commands, and the output is compared
//! with the page.
//!
//! A session is `$ ` and a command, followed by its output. In the output, `…` matches any text
//! within a line, and a line with only `…` matches any number of lines. Times, ids and fingerprints
//! need only have the same form. After a command that fails, the page shows `$ echo $?`.

use std::fs;
use std::process::Command;

use crate::world::{project_dir, to_text};

/// A fenced block.
#[derive(Debug, Clone)]
pub struct MarkdownFence {
    /// The first word behind the fence.
    pub language: String,
    /// The second word, which no reader sees.
    pub name: String,
    /// The page and the line of the first line within, as `README.md:8`.
    pub place: String,
    pub body: String,
}

/// A command of a session and its expected output.
#[derive(Debug, Clone)]
pub struct SessionStep {
    place: String,
    command: String,
    shown: Vec<String>,
}

pub fn read_fences(page: &str) -> Vec<MarkdownFence> {
    let text = fs::read_to_string(project_dir().join(page))
        .unwrap_or_else(|error| panic!("{page}: {error}"));
    let mut found = Vec::new();
    let mut open: Option<(MarkdownFence, usize)> = None;
    for (index, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => {
                let mut words = info.split(' ').map(str::to_owned);
                let (language, name) = (
                    words.next().unwrap_or_default(),
                    words.next().unwrap_or_default(),
                );
                open = Some((
                    MarkdownFence {
                        language,
                        name,
                        place: format!("{page}:{}", index + 2),
                        body: String::new(),
                    },
                    indent,
                ));
            }
            (Some((fence, _)), Some("")) => {
                found.push(fence.clone());
                open = None;
            }
            (Some((fence, indent)), _) => {
                fence.body += line.get(*indent..).unwrap_or_default();
                fence.body.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence of {page} is not closed: {open:?}");
    found
}

/// The session of this name: all its fences on a page, in order.
pub fn read_session(page: &str, name: &str) -> Vec<SessionStep> {
    let of_it = |it: &MarkdownFence| it.language == "console" && it.name == name;
    let steps: Vec<SessionStep> = read_fences(page)
        .into_iter()
        .filter(of_it)
        .flat_map(|fence| parse_steps(&fence))
        .collect();
    assert!(!steps.is_empty(), "{page} has no session `{name}`");
    steps
}

fn parse_steps(fence: &MarkdownFence) -> Vec<SessionStep> {
    let mut steps: Vec<SessionStep> = Vec::new();
    for line in fence.body.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (_, Some(step)) if step.shown.is_empty() && step.command.ends_with('\\') => {
                step.command.push('\n');
                step.command.push_str(line);
            }
            (Some(command), _) => steps.push(SessionStep {
                place: fence.place.clone(),
                command: command.to_owned(),
                shown: Vec::new(),
            }),
            (None, Some(step)) => step.shown.push(line.to_owned()),
            (None, None) => panic!(
                "{}: a session begins with `$ `, not with {line:?}",
                fence.place
            ),
        }
    }
    steps
}

/// Runs a session in `shell`, and compares its output with the page.
pub fn play_session(mut shell: Command, session: &[SessionStep]) {
    const END: char = '\u{1}';
    let command = |step: &SessionStep| {
        format!(
            "{}\n(code=$?; printf '\\001%s\\001' \"$code\"; exit \"$code\")\n",
            step.command
        )
    };
    let script =
        "exec 2>&1\n".to_owned() + &session.iter().map(command).collect::<Vec<_>>().concat();
    let output = shell.arg("-c").arg(script).output().expect("a shell");
    let said = to_text(&output.stdout);
    let mut said = said.split(END);
    let mut wrong = Vec::new();
    for (index, step) in session.iter().enumerate() {
        let printed: Vec<String> = said
            .next()
            .unwrap_or_default()
            .lines()
            .map(normalize_line)
            .collect();
        let code = said.next().unwrap_or("none: the shell has ended");
        let shown: Vec<String> = step.shown.iter().map(|line| normalize_line(line)).collect();
        let is_told = session
            .get(index + 1)
            .is_some_and(|next| next.command == "echo $?");
        if !lines_match(&shown, &printed) || (code != "0" && !is_told) {
            wrong.push(format!(
                "{}\n$ {}\n{}\n[exit code {code}]\n",
                step.place,
                step.command,
                printed.join("\n")
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "this is printed, and something else is shown:\n{}",
        wrong.concat()
    );
}

/// Whether printed lines match the lines of the page.
fn lines_match(shown: &[String], printed: &[String]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, _) => printed.is_empty(),
        (Some((first, rest)), _) if first.trim() == "…" => {
            (0..=printed.len()).any(|skipped| lines_match(rest, &printed[skipped..]))
        }
        (Some((first, rest)), Some((line, others))) => {
            line_matches(first, line) && lines_match(rest, others)
        }
        (Some(_), None) => false,
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let mut parts = shown.trim_end().split('…');
    let Some(mut rest) = parts
        .next()
        .and_then(|first| printed.trim_end().strip_prefix(first))
    else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Replaces times, ids and fingerprints of a line by their form.
fn normalize_line(line: &str) -> String {
    const FORMS: [&str; 7] = [
        "dddd-dd-ddTdd:dd:ddZ",
        "dddd-dd-dd_dddddd",
        "dddd-dd-dd",
        "ddddddddTddddddZ-xxxxxxxxxxxxxxxx",
        "ddddddddTddddddZ",
        "xxxxxxxx -> xxxxxxxx)",
        "hain xxxxxxxxxxxxxxxx",
    ];
    let has = |text: &str, form: &str| {
        text.len() >= form.len()
            && text
                .bytes()
                .zip(form.bytes())
                .all(|(byte, of_form)| match of_form {
                    b'd' => byte.is_ascii_digit(),
                    b'x' => byte.is_ascii_hexdigit(),
                    _ => byte == of_form,
                })
    };
    let mut settled = String::new();
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        let form = FORMS.iter().find(|form| has(rest, form));
        settled.push_str(form.unwrap_or(&&rest[..next.len_utf8()]));
        rest = &rest[form.map_or(next.len_utf8(), |form| form.len())..];
    }
    settled
}

#[test]
fn compares_a_session_line_by_line_without_times_and_ids() {
    let lines = |text: &str| text.lines().map(normalize_line).collect::<Vec<_>>();
    for (shown, printed) in [
        ("a\n…\nd", "a\nb\nc\nd"),
        ("…", ""),
        (
            "at 2026-11-24T07:29:27Z by …",
            "at 2025-01-02T03:04:05Z by jane",
        ),
        ("x … y … z", "x 1 y 2 z"),
        (
            "(masked, c6965992 -> 09e5d697)",
            "(masked, 11111111 -> 22222222)",
        ),
    ] {
        assert!(
            lines_match(&lines(shown), &lines(printed)),
            "{shown} is not {printed}"
        );
    }
    for (shown, printed) in [
        ("a", "a\nb"),
        ("a\nb", "a"),
        ("on 2026-11-24", "on 2026-11-2x"),
        ("x … y", "x z"),
        ("a…a", "a"),
        ("", "b"),
    ] {
        assert!(
            !lines_match(&lines(shown), &lines(printed)),
            "{shown} is {printed}"
        );
    }
}
