//! What differs between two YAML documents, by path.
//!
//! Pure. What is secret about a difference, `masking.rs` knows.

use std::collections::{BTreeMap, BTreeSet};

use crate::documents::Node;

/// A step of the way to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// To the value of this key.
    Key(&'a Node),
    /// To the item at this place, counted from 0.
    Item(usize),
}

/// One difference: what stands at a path in either document; `None` where nothing does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<'a> {
    /// Where.
    pub path: Vec<Step<'a>>,
    /// In the first document.
    pub before: Option<&'a Node>,
    /// In the second.
    pub after: Option<&'a Node>,
}

/// Says whether to take what differs at a path as one: it is asked with what is there in both documents.
pub type Closes<'a, 'f> = &'f dyn Fn(&[Step<'a>], [Option<&'a Node>; 2]) -> bool;

/// What differs, down to single values, except below nodes that `closes` takes as one. Empty exactly if the two are equal.
#[must_use]
pub fn differences<'a>(before: &'a Node, after: &'a Node, closes: Closes<'a, '_>) -> Vec<Change<'a>> {
    let mut walk = Walk { closes, path: Vec::new(), changes: Vec::new() };
    walk.pair(Some(before), Some(after));
    walk.changes
}

static NO_KEYS: BTreeMap<Node, Node> = BTreeMap::new();

struct Walk<'a, 'f> {
    closes: Closes<'a, 'f>,
    path: Vec<Step<'a>>,
    changes: Vec<Change<'a>>,
}

impl<'a> Walk<'a, '_> {
    fn pair(&mut self, before: Option<&'a Node>, after: Option<&'a Node>) {
        if before == after {
            return;
        }
        if (self.closes)(&self.path, [before, after]) {
            return self.note(before, after);
        }
        match (before, after) {
            (Some(Node::Tagged(one, before)), Some(Node::Tagged(other, after))) if one == other => self.pair(Some(before), Some(after)),
            (Some(Node::Map(one)), Some(Node::Map(other))) => self.maps(one, other),
            (Some(Node::List(one)), Some(Node::List(other))) => self.lists(one, other),
            // Of different kinds: one goes, and the other one comes.
            (Some(one), Some(other)) if one.is_branch() || other.is_branch() => {
                self.pair(before, None);
                self.pair(None, after);
            }
            (Some(Node::Map(map)), None) if !map.is_empty() => self.maps(map, &NO_KEYS),
            (None, Some(Node::Map(map))) if !map.is_empty() => self.maps(&NO_KEYS, map),
            (Some(Node::List(list)), None) if !list.is_empty() => self.lists(list, &[]),
            (None, Some(Node::List(list))) if !list.is_empty() => self.lists(&[], list),
            _ => self.note(before, after),
        }
    }

    fn maps(&mut self, one: &'a BTreeMap<Node, Node>, other: &'a BTreeMap<Node, Node>) {
        for key in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
            self.step(Step::Key(key), one.get(key), other.get(key));
        }
    }

    fn lists(&mut self, one: &'a [Node], other: &'a [Node]) {
        for place in 0..one.len().max(other.len()) {
            self.step(Step::Item(place), one.get(place), other.get(place));
        }
    }

    fn step(&mut self, step: Step<'a>, before: Option<&'a Node>, after: Option<&'a Node>) {
        self.path.push(step);
        self.pair(before, after);
        self.path.pop();
    }

    fn note(&mut self, before: Option<&'a Node>, after: Option<&'a Node>) {
        self.changes.push(Change { path: self.path.clone(), before, after });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::read;

    fn tree(text: &str) -> Node {
        read(text.as_bytes()).expect(text)
    }

    /// The paths that differ, in the spelling of the tests.
    fn paths(before: &str, after: &str) -> Vec<String> {
        let (before, after) = (tree(before), tree(after));
        let step = |step: &Step<'_>| match step {
            Step::Key(Node::Text(key)) => format!(".{key}"),
            Step::Key(key) => format!(".({key:?})"),
            Step::Item(place) => format!("[{place}]"),
        };
        let side = |node: Option<&Node>, mark| if node.is_some() { mark } else { "" };
        let shown = |change: &Change<'_>| {
            let path: String = change.path.iter().map(step).collect();
            format!("{}{} {path}", side(change.before, "-"), side(change.after, "+"))
        };
        differences(&before, &after, &|_, _| false).iter().map(shown).collect()
    }

    #[test]
    fn documents_that_say_the_same_do_not_differ() {
        for (one, other) in [
            ("a: 1\nb: [x, y]\n", "# a comment\nb:\n  - x\n  - 'y'\na: 0x1\n"),
            ("a: &x {b: 1}\nc: *x\n", "a: {b: 1}\nc: {b: 1}\n"),
            ("a: |\n  x\n  y\n", "a: \"x\\ny\\n\"\n"),
            ("a:\n", "a: ~\n"),
            ("a: .nan\n", "a: .NaN\n"),
            ("", "# nothing\n"),
        ] {
            assert_eq!(paths(one, other), Vec::<String>::new(), "{one:?} and {other:?}");
        }
    }

    #[test]
    fn differences_are_named_by_path() {
        for (one, other, expected) in [
            ("a: 1\n", "a: '1'\n", &["-+ .a"][..]),
            ("a: 1\n", "a: 1.0\n", &["-+ .a"]),
            ("a: {b: 1, c: 2}\n", "a: {b: 1, d: 2}\n", &["- .a.c", "+ .a.d"]),
            ("a: [x, y]\n", "a: [x, z, w]\n", &["-+ .a[1]", "+ .a[2]"]),
            ("a: x\n", "a: {b: 1, c: []}\n", &["- .a", "+ .a.b", "+ .a.c"]),
            ("a: [{b: 1}]\n", "a: {}\n", &["- .a[0].b", "+ .a"]),
            ("a: {}\n", "a: {b: 1}\n", &["+ .a.b"]),
            ("a: []\n", "a:\n", &["-+ .a"]),
            ("a: {}\nb: []\nc: 1\n", "c: 1\n", &["- .a", "- .b"]),
            ("c: 1\n", "b: [x, y]\nc: 1\n", &["+ .b[0]", "+ .b[1]"]),
            ("a: !t {b: 1}\n", "a: !t {b: 2}\n", &["-+ .a.b"]),
            ("a: !t 1\n", "a: !u 1\n", &["-+ .a"]),
            ("1: x\n", "2: x\n", &["- .(Number(\"1\"))", "+ .(Number(\"2\"))"]),
            ("", "a: 1\n", &["- ", "+ .a"]),
            ("x\n", "y\n", &["-+ "]),
        ] {
            assert_eq!(paths(one, other), expected, "{one:?} and {other:?}");
        }
    }

    #[test]
    fn what_is_closed_is_one_difference() {
        let (one, other) = (tree("a: {b: 1, c: 2}\n"), tree("a: {b: 2, c: 3}\n"));
        let changes = differences(&one, &other, &|path, _| path.len() == 1);
        assert_eq!(changes.len(), 1);
    }
}
