//! The difference between two texts line by line, as `diff -u` prints it.

use std::time::{Duration, Instant};

use similar::algorithms::myers::diff_deadline;
use similar::algorithms::{Capture, Compact, Replace};
use similar::udiff::UnifiedHunkHeader;
use similar::{Change, ChangeTag, DiffOp, group_diff_ops};

/// Unchanged lines around those that differ.
const CONTEXT_LINES: usize = 3;
/// After this time the difference may be longer than it has to be.
const DIFF_TIMEOUT: Duration = Duration::from_secs(2);

/// What a line of a difference is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only the first side has it.
    Removed,
    /// Only the second side has it.
    Added,
    /// Both sides have something else there.
    Changed,
    /// Both sides have the same there.
    Unchanged,
    /// Says which lines follow.
    HunkHeader,
}

impl ChangeKind {
    /// The character that such a line begins with.
    pub(crate) fn sign(self) -> char {
        match self {
            Self::Removed => '-',
            Self::Added => '+',
            Self::Changed => '~',
            Self::Unchanged => ' ',
            Self::HunkHeader => '@',
        }
    }
}

/// A line of a difference, with its sign and without a line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffLine {
    pub kind: ChangeKind,
    pub text: String,
}

impl DiffLine {
    pub(crate) fn new(kind: ChangeKind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { kind, text }
    }
}

/// The lines that differ, and some around them. There are none exactly if the texts are equal.
#[must_use]
pub fn diff_lines(before: &str, after: &str) -> Vec<DiffLine> {
    let before: Vec<&str> = before.split_inclusive('\n').collect();
    let after: Vec<&str> = after.split_inclusive('\n').collect();

    let mut lines = Vec::new();
    for group in group_diff_ops(find_diff_ops(&before, &after), CONTEXT_LINES) {
        let header = UnifiedHunkHeader::new(&group).to_string();
        lines.push(DiffLine::new(ChangeKind::HunkHeader, header));
        for op in &group {
            for change in op.iter_changes(&before[..], &after[..]) {
                push_change(&mut lines, &change);
            }
        }
    }
    lines
}

/// What turns `before` into `after`, by Myers' algorithm.
///
/// The library's functions that take the algorithm as an argument add all its algorithms to the
/// program: a quarter of a megabyte.
fn find_diff_ops(before: &[&str], after: &[&str]) -> Vec<DiffOp> {
    let mut ops = Compact::new(Replace::new(Capture::new()), before, after);
    let deadline = Instant::now() + DIFF_TIMEOUT;
    let (old_range, new_range) = (0..before.len(), 0..after.len());
    let Ok(()) = diff_deadline(
        &mut ops,
        before,
        old_range,
        after,
        new_range,
        Some(deadline),
    );
    ops.into_inner().into_inner().into_ops()
}

fn push_change(lines: &mut Vec<DiffLine>, change: &Change<&str>) {
    let kind = match change.tag() {
        ChangeTag::Delete => ChangeKind::Removed,
        ChangeTag::Insert => ChangeKind::Added,
        ChangeTag::Equal => ChangeKind::Unchanged,
    };
    let content = change.value();
    let line = content.trim_end_matches('\n');
    lines.push(DiffLine::new(kind, format!("{}{line}", kind.sign())));

    if !content.ends_with('\n') {
        let note = "\\ No newline at end of file";
        lines.push(DiffLine::new(ChangeKind::Unchanged, note));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff_texts(before: &str, after: &str) -> String {
        let mut text = String::new();
        for line in diff_lines(before, after) {
            text += &line.text;
            text.push('\n');
        }
        text
    }

    #[test]
    fn prints_what_diff_u_prints() {
        // Without its first two lines.
        let expected = "@@ -1,5 +1,5 @@\n a\n-b\n+B\n c\n d\n e\n\
                        @@ -7,4 +7,4 @@\n g\n h\n i\n-j\n\\ No newline at end of file\n+j\n";
        let before = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj";
        let after = "a\nB\nc\nd\ne\nf\ng\nh\ni\nj\n";
        assert_eq!(diff_texts(before, after), expected);
        assert_eq!(diff_texts("", "a\n"), "@@ -0,0 +1 @@\n+a\n");
    }

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(diff_lines("a\n", "a\n"), []);
    }
}
