//! The literal difference of two configs: the lines that differ, and some around them, as `diff -u` has them.
//!
//! Pure. It shows the lines that it is given in the place of the real ones.

use std::time::Duration;

use similar::udiff::UnifiedHunkHeader;
use similar::{ChangeTag, TextDiff};

use crate::masks::Mark;

/// Lines around those that differ.
const AROUND: usize = 3;
/// After this time the difference may be longer than it had to be.
const PATIENCE: Duration = Duration::from_secs(2);

/// A text as its lines, and what is shown of each.
#[derive(Debug)]
pub struct Lines<'a> {
    /// The lines, with what ends them.
    pub real: Vec<&'a str>,
    /// As they are shown, without.
    pub shown: Vec<String>,
}

/// The lines of a text.
#[must_use]
pub fn split(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// The difference: none exactly if the real lines are the same.
#[must_use]
pub fn unified(before: &Lines<'_>, after: &Lines<'_>) -> Vec<(Mark, String)> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_slices(&before.real, &after.real);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(AROUND) {
        lines.push((Mark::Other, UnifiedHunkHeader::new(&group).to_string()));
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let old = || change.old_index().and_then(|place| before.shown.get(place));
            let new = || change.new_index().and_then(|place| after.shown.get(place));
            let (mark, shown) = match change.tag() {
                ChangeTag::Delete => (Mark::Gone, old()),
                ChangeTag::Insert => (Mark::New, new()),
                ChangeTag::Equal => (Mark::Same, new()),
            };
            lines.push((mark, format!("{}{}", mark.sign(), shown.map_or("", String::as_str))));
            if !change.value().ends_with('\n') {
                lines.push((Mark::Same, "\\ No newline at end of file".to_owned()));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(before: &str, after: &str) -> String {
        let [before, after] = [before, after].map(|text| Lines { real: split(text), shown: text.lines().map(str::to_owned).collect() });
        unified(&before, &after).into_iter().map(|(_, line)| line + "\n").collect()
    }

    #[test]
    fn the_difference_is_that_of_diff_u() {
        // As `diff -u` prints it, without its first two lines.
        let expected = "@@ -1,5 +1,5 @@\n a\n-b\n+B\n c\n d\n e\n@@ -7,4 +7,4 @@\n g\n h\n i\n-j\n\\ No newline at end of file\n+j\n";
        assert_eq!(lines("a\nb\nc\nd\ne\nf\ng\nh\ni\nj", "a\nB\nc\nd\ne\nf\ng\nh\ni\nj\n"), expected);
        assert_eq!(lines("a\n", "a\n"), "");
        assert_eq!(lines("", "a\n"), "@@ -0,0 +1 @@\n+a\n");
    }

    #[test]
    fn what_is_shown_in_the_place_of_lines_does_not_decide_what_differs() {
        let hidden = |text| Lines { real: split(text), shown: vec!["(masked)".to_owned()] };
        assert_eq!(unified(&hidden("a\n"), &hidden("b\n")).len(), 3);
        assert_eq!(unified(&hidden("a\n"), &hidden("a\n")), []);
    }
}
