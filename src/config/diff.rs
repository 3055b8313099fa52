//! What differs between two YAML documents, by path.
//!
//! Must not know what a secret is: the caller says which subtrees are compared as one.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::document::YamlNode;
use crate::config::path::PathStep;

/// What stands at a path in either document; `None` where nothing does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeChange<'a> {
    pub path: Vec<PathStep<'a>>,
    pub before: Option<&'a YamlNode>,
    pub after: Option<&'a YamlNode>,
}

/// Says whether a subtree is compared as one, given its path and what is there in both documents.
pub type OpaquePredicate<'a, 'f> = &'f dyn Fn(&[PathStep<'a>], [Option<&'a YamlNode>; 2]) -> bool;

/// The differences, down to single values and opaque subtrees. There are none exactly if the
/// documents are equal.
#[must_use]
pub fn diff_documents<'a>(
    before: &'a YamlNode,
    after: &'a YamlNode,
    is_opaque: OpaquePredicate<'a, '_>,
) -> Vec<NodeChange<'a>> {
    let mut differ = DocumentDiffer {
        is_opaque,
        path: Vec::new(),
        changes: Vec::new(),
    };
    differ.compare_nodes(Some(before), Some(after));
    differ.changes
}

static EMPTY_MAP: BTreeMap<YamlNode, YamlNode> = BTreeMap::new();

struct DocumentDiffer<'a, 'f> {
    is_opaque: OpaquePredicate<'a, 'f>,
    path: Vec<PathStep<'a>>,
    changes: Vec<NodeChange<'a>>,
}

impl<'a> DocumentDiffer<'a, '_> {
    fn compare_nodes(&mut self, before: Option<&'a YamlNode>, after: Option<&'a YamlNode>) {
        use YamlNode::{List, Map, Tagged};

        if before == after {
            return;
        }
        if (self.is_opaque)(&self.path, [before, after]) {
            return self.push_change(before, after);
        }

        match (before, after) {
            (Some(Tagged(one, before)), Some(Tagged(other, after))) if one == other => {
                self.compare_nodes(Some(before), Some(after));
            }
            (Some(Map(one)), Some(Map(other))) => self.compare_maps(one, other),
            (Some(List(one)), Some(List(other))) => self.compare_lists(one, other),
            // Nodes of different kinds: one is removed, and the other is added.
            (Some(one), Some(other)) if one.has_children() || other.has_children() => {
                self.compare_nodes(before, None);
                self.compare_nodes(None, after);
            }
            (Some(Map(map)), None) if !map.is_empty() => self.compare_maps(map, &EMPTY_MAP),
            (None, Some(Map(map))) if !map.is_empty() => self.compare_maps(&EMPTY_MAP, map),
            (Some(List(list)), None) if !list.is_empty() => self.compare_lists(list, &[]),
            (None, Some(List(list))) if !list.is_empty() => self.compare_lists(&[], list),
            _ => self.push_change(before, after),
        }
    }

    fn compare_maps(
        &mut self,
        before: &'a BTreeMap<YamlNode, YamlNode>,
        after: &'a BTreeMap<YamlNode, YamlNode>,
    ) {
        let mut keys: BTreeSet<&YamlNode> = before.keys().collect();
        keys.extend(after.keys());
        for key in keys {
            self.compare_children(PathStep::Key(key), before.get(key), after.get(key));
        }
    }

    fn compare_lists(&mut self, before: &'a [YamlNode], after: &'a [YamlNode]) {
        for index in 0..before.len().max(after.len()) {
            self.compare_children(PathStep::Item(index), before.get(index), after.get(index));
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
    use std::fmt::Write as _;

    use super::*;
    use crate::config::document::parse_document;

    fn parse_tree(text: &str) -> YamlNode {
        parse_document(text.as_bytes()).expect(text)
    }

    /// Each change as `-` (was there), `+` (is there now) and its path.
    fn changed_paths(before: &str, after: &str) -> Vec<String> {
        let (before, after) = (parse_tree(before), parse_tree(after));
        let changes = diff_documents(&before, &after, &|_, _| false);
        changes.iter().map(describe_change).collect()
    }

    fn describe_change(change: &NodeChange<'_>) -> String {
        let mut text = String::new();
        if change.before.is_some() {
            text.push('-');
        }
        if change.after.is_some() {
            text.push('+');
        }
        text.push(' ');
        for step in &change.path {
            let _ = match step {
                PathStep::Key(YamlNode::Text(key)) => write!(text, ".{key}"),
                PathStep::Key(key) => write!(text, ".({key:?})"),
                PathStep::Item(index) => write!(text, "[{index}]"),
            };
        }
        text
    }

    #[test]
    fn the_spelling_of_equal_documents_makes_no_change() {
        for (one, other) in [
            (
                "a: 1\nb: [x, z]\n",
                "# a comment\nb:\n  - x\n  - 'z'\na: 0x1\n",
            ),
            ("a: &x {b: 1}\nc: *x\n", "a: {b: 1}\nc: {b: 1}\n"),
            ("a: |\n  x\n  y\n", "a: \"x\\ny\\n\"\n"),
            ("a:\n", "a: ~\n"),
            ("a: 1\n", "a: 1.0\n"),
            ("a: yes\n", "a: true\n"),
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
    fn names_each_change_by_its_path() {
        for (one, other, expected) in [
            ("a: 1\n", "a: '1'\n", &["-+ .a"][..]),
            ("a: 1\n", "a: '1'\n", &["-+ .a"]),
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
            ("1: x\n", "2: x\n", &["- .1", "+ .2"]),
            ("", "a: 1\n", &["- ", "+ .a"]),
            ("x\n", "y\n", &["-+ "]),
        ] {
            assert_eq!(changed_paths(one, other), expected, "{one:?} and {other:?}");
        }
    }

    #[test]
    fn an_opaque_subtree_is_one_change() {
        let (one, other) = (
            parse_tree("a: {b: 1, c: 2}\n"),
            parse_tree("a: {b: 2, c: 3}\n"),
        );
        let changes = diff_documents(&one, &other, &|path, _| path.len() == 1);
        assert_eq!(changes.len(), 1);
    }
}
