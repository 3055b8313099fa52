//! The literal difference of two configs: the lines that differ, and some around them, as `diff -u` has them.
//!
//! Pure. It shows the lines that it is given in the place of the real ones.

use std::time::Duration;

use similar::udiff::UnifiedHunkHeader;
use similar::{ChangeTag, TextDiff};

/// What a line is about; the character that it begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// `-`: only the first has it.
    Removed,
    /// `+`: only the second has it.
    Added,
    /// `~`: both have something else there; or it says where the lines are.
    Changed,
    /// A blank: both have the same.
    Unchanged,
}

impl ChangeKind {
    /// The character.
    #[must_use]
    pub fn sign(self) -> char {
        match self {
            Self::Removed => '-',
            Self::Added => '+',
            Self::Changed => '~',
            Self::Unchanged => ' ',
        }
    }
}

/// Lines around those that differ.
const CONTEXT_LINES: usize = 3;
/// After this time the difference may be longer than it had to be.
const DIFF_TIMEOUT: Duration = Duration::from_secs(2);

/// A text as its lines, and what is shown of each.
#[derive(Debug)]
pub struct DiffText<'a> {
    /// The lines, with what ends them.
    pub raw_lines: Vec<&'a str>,
    /// As they are shown, without.
    pub shown_lines: Vec<String>,
}

/// The lines of a text.
#[must_use]
pub fn split_lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// The difference: none exactly if the real lines are the same.
#[must_use]
pub fn unified_diff(before: &DiffText<'_>, after: &DiffText<'_>) -> Vec<(ChangeKind, String)> {
    let diff = TextDiff::configure()
        .timeout(DIFF_TIMEOUT)
        .diff_slices(&before.raw_lines, &after.raw_lines);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(CONTEXT_LINES) {
        lines.push((
            ChangeKind::Changed,
            UnifiedHunkHeader::new(&group).to_string(),
        ));
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let old = || {
                change
                    .old_index()
                    .and_then(|place| before.shown_lines.get(place))
            };
            let new = || {
                change
                    .new_index()
                    .and_then(|place| after.shown_lines.get(place))
            };
            let (mark, shown) = match change.tag() {
                ChangeTag::Delete => (ChangeKind::Removed, old()),
                ChangeTag::Insert => (ChangeKind::Added, new()),
                ChangeTag::Equal => (ChangeKind::Unchanged, new()),
            };
            lines.push((
                mark,
                format!("{}{}", mark.sign(), shown.map_or("", String::as_str)),
            ));
            if !change.value().ends_with('\n') {
                lines.push((
                    ChangeKind::Unchanged,
                    "\\ No newline at end of file".to_owned(),
                ));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff_texts(before: &str, after: &str) -> String {
        let [before, after] = [before, after].map(|text| DiffText {
            raw_lines: split_lines(text),
            shown_lines: text.lines().map(str::to_owned).collect(),
        });
        unified_diff(&before, &after)
            .into_iter()
            .map(|(_, line)| line + "\n")
            .collect()
    }

    #[test]
    fn the_difference_is_that_of_diff_u() {
        // As `diff -u` prints it, without its first two lines.
        let expected = "@@ -1,5 +1,5 @@\n a\n-b\n+B\n c\n d\n e\n@@ -7,4 +7,4 @@\n g\n h\n i\n-j\n\\ No newline at end of file\n+j\n";
        assert_eq!(
            diff_texts(
                "a\nb\nc\nd\ne\nf\ng\nh\ni\nj",
                "a\nB\nc\nd\ne\nf\ng\nh\ni\nj\n"
            ),
            expected
        );
        assert_eq!(diff_texts("a\n", "a\n"), "");
        assert_eq!(diff_texts("", "a\n"), "@@ -0,0 +1 @@\n+a\n");
    }

    #[test]
    fn what_is_shown_in_the_place_of_lines_does_not_decide_what_differs() {
        let hidden = |text| DiffText {
            raw_lines: split_lines(text),
            shown_lines: vec!["(masked)".to_owned()],
        };
        assert_eq!(unified_diff(&hidden("a\n"), &hidden("b\n")).len(), 3);
        assert_eq!(unified_diff(&hidden("a\n"), &hidden("a\n")), []);
    }
}
