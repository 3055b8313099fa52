//! What differs between two YAML documents, by path.
//!
//! Pure. What is secret about a difference, `masking.rs` knows.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::document::YamlNode;

/// A step of the way to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathStep<'a> {
    /// To the value of this key.
    Key(&'a YamlNode),
    /// To the item at this place, counted from 0.
    Item(usize),
}

/// One difference: what stands at a path in either document; `None` where nothing does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeChange<'a> {
    /// Where.
    pub path: Vec<PathStep<'a>>,
    /// In the first document.
    pub before: Option<&'a YamlNode>,
    /// In the second.
    pub after: Option<&'a YamlNode>,
}

/// Says whether to take what differs at a path as one: it is asked with what is there in both documents.
pub type OpaquePredicate<'a, 'f> = &'f dyn Fn(&[PathStep<'a>], [Option<&'a YamlNode>; 2]) -> bool;

/// What differs, down to single values, except below nodes that `closes` takes as one. Empty exactly if the two are equal.
#[must_use]
pub fn diff_documents<'a>(
    before: &'a YamlNode,
    after: &'a YamlNode,
    closes: OpaquePredicate<'a, '_>,
) -> Vec<NodeChange<'a>> {
    let mut walk = DocumentDiffer {
        is_opaque: closes,
        path: Vec::new(),
        changes: Vec::new(),
    };
    walk.compare_nodes(Some(before), Some(after));
    walk.changes
}

static EMPTY_MAP: BTreeMap<YamlNode, YamlNode> = BTreeMap::new();

struct DocumentDiffer<'a, 'f> {
    is_opaque: OpaquePredicate<'a, 'f>,
    path: Vec<PathStep<'a>>,
    changes: Vec<NodeChange<'a>>,
}

impl<'a> DocumentDiffer<'a, '_> {
    fn compare_nodes(&mut self, before: Option<&'a YamlNode>, after: Option<&'a YamlNode>) {
        if before == after {
            return;
        }
        if (self.is_opaque)(&self.path, [before, after]) {
            return self.push_change(before, after);
        }
        match (before, after) {
            (Some(YamlNode::Tagged(one, before)), Some(YamlNode::Tagged(other, after)))
                if one == other =>
            {
                self.compare_nodes(Some(before), Some(after));
            }
            (Some(YamlNode::Map(one)), Some(YamlNode::Map(other))) => self.compare_maps(one, other),
            (Some(YamlNode::List(one)), Some(YamlNode::List(other))) => {
                self.compare_lists(one, other);
            }
            // Of different kinds: one goes, and the other one comes.
            (Some(one), Some(other)) if one.has_children() || other.has_children() => {
                self.compare_nodes(before, None);
                self.compare_nodes(None, after);
            }
            (Some(YamlNode::Map(map)), None) if !map.is_empty() => {
                self.compare_maps(map, &EMPTY_MAP);
            }
            (None, Some(YamlNode::Map(map))) if !map.is_empty() => {
                self.compare_maps(&EMPTY_MAP, map);
            }
            (Some(YamlNode::List(list)), None) if !list.is_empty() => self.compare_lists(list, &[]),
            (None, Some(YamlNode::List(list))) if !list.is_empty() => self.compare_lists(&[], list),
            _ => self.push_change(before, after),
        }
    }

    fn compare_maps(
        &mut self,
        one: &'a BTreeMap<YamlNode, YamlNode>,
        other: &'a BTreeMap<YamlNode, YamlNode>,
    ) {
        for key in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
            self.compare_children(PathStep::Key(key), one.get(key), other.get(key));
        }
    }

    fn compare_lists(&mut self, one: &'a [YamlNode], other: &'a [YamlNode]) {
        for place in 0..one.len().max(other.len()) {
            self.compare_children(PathStep::Item(place), one.get(place), other.get(place));
        }
    }

    fn compare_children(
        &mut self,
        step: PathStep<'a>,
        before: Option<&'a YamlNode>,
        after: Option<&'a YamlNode>,
    ) {
        self.path.push(step);
        self.compare_nodes(before, after);
        self.path.pop();
    }

    fn push_change(&mut self, before: Option<&'a YamlNode>, after: Option<&'a YamlNode>) {
        self.changes.push(NodeChange {
            path: self.path.clone(),
            before,
            after,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::parse_document;

    fn parse_tree(text: &str) -> YamlNode {
        parse_document(text.as_bytes()).expect(text)
    }

    /// The paths that differ, in the spelling of the tests.
    fn changed_paths(before: &str, after: &str) -> Vec<String> {
        let (before, after) = (parse_tree(before), parse_tree(after));
        let step = |step: &PathStep<'_>| match step {
            PathStep::Key(YamlNode::Text(key)) => format!(".{key}"),
            PathStep::Key(key) => format!(".({key:?})"),
            PathStep::Item(place) => format!("[{place}]"),
        };
        let side = |node: Option<&YamlNode>, mark| if node.is_some() { mark } else { "" };
        let shown = |change: &NodeChange<'_>| {
            let path: String = change.path.iter().map(step).collect();
            format!(
                "{}{} {path}",
                side(change.before, "-"),
                side(change.after, "+")
            )
        };
        diff_documents(&before, &after, &|_, _| false)
            .iter()
            .map(shown)
            .collect()
    }

    #[test]
    fn documents_that_say_the_same_do_not_differ() {
        for (one, other) in [
            (
                "a: 1\nb: [x, y]\n",
                "# a comment\nb:\n  - x\n  - 'y'\na: 0x1\n",
            ),
            ("a: &x {b: 1}\nc: *x\n", "a: {b: 1}\nc: {b: 1}\n"),
            ("a: |\n  x\n  y\n", "a: \"x\\ny\\n\"\n"),
            ("a:\n", "a: ~\n"),
            ("a: .nan\n", "a: .NaN\n"),
            ("", "# nothing\n"),
        ] {
            assert_eq!(
                changed_paths(one, other),
                Vec::<String>::new(),
                "{one:?} and {other:?}"
            );
        }
    }

    #[test]
    fn differences_are_named_by_path() {
        for (one, other, expected) in [
            ("a: 1\n", "a: '1'\n", &["-+ .a"][..]),
            ("a: 1\n", "a: 1.0\n", &["-+ .a"]),
            (
                "a: {b: 1, c: 2}\n",
                "a: {b: 1, d: 2}\n",
                &["- .a.c", "+ .a.d"],
            ),
            ("a: [x, y]\n", "a: [x, z, w]\n", &["-+ .a[1]", "+ .a[2]"]),
            (
                "a: x\n",
                "a: {b: 1, c: []}\n",
                &["- .a", "+ .a.b", "+ .a.c"],
            ),
            ("a: [{b: 1}]\n", "a: {}\n", &["- .a[0].b", "+ .a"]),
            ("a: {}\n", "a: {b: 1}\n", &["+ .a.b"]),
            ("a: []\n", "a:\n", &["-+ .a"]),
            ("a: {}\nb: []\nc: 1\n", "c: 1\n", &["- .a", "- .b"]),
            ("c: 1\n", "b: [x, y]\nc: 1\n", &["+ .b[0]", "+ .b[1]"]),
            ("a: !t {b: 1}\n", "a: !t {b: 2}\n", &["-+ .a.b"]),
            ("a: !t 1\n", "a: !u 1\n", &["-+ .a"]),
            (
                "1: x\n",
                "2: x\n",
                &["- .(Number(\"1\"))", "+ .(Number(\"2\"))"],
            ),
            ("", "a: 1\n", &["- ", "+ .a"]),
            ("x\n", "y\n", &["-+ "]),
        ] {
            assert_eq!(changed_paths(one, other), expected, "{one:?} and {other:?}");
        }
    }

    #[test]
    fn what_is_closed_is_one_difference() {
        let (one, other) = (
            parse_tree("a: {b: 1, c: 2}\n"),
            parse_tree("a: {b: 2, c: 3}\n"),
        );
        let changes = diff_documents(&one, &other, &|path, _| path.len() == 1);
        assert_eq!(changes.len(), 1);
    }
}
