//! Builds the tree of a YAML document as Terraform's `yamldecode` does.
//!
//! Source: `decode.go` of github.com/zclconf/go-cty-yaml. What Terraform refuses is refused here
//! too, except for tags that it does not know: the tree keeps them, with a warning.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read as _};
use std::mem;

use libyaml_safer::{Encoding, Event, EventData, Mark, Parser, ScalarStyle, VersionDirective};

use crate::config::document::{ParsedYaml, YamlNode, YamlWarning};
use crate::config::yaml_limits::{MAX_YAML_BYTES, MAX_YAML_DEPTH, YamlError};
use crate::config::yaml_scalar::{ScalarTag, resolve_scalar};

/// The largest tree, in bytes of text plus one for each node. A file without aliases stays
/// below it.
const MAX_TREE_WEIGHT: usize = 2 * MAX_YAML_BYTES;

const CORE_TAG_PREFIX: &str = "tag:yaml.org,2002:";

/// How a node is tagged.
enum NodeTag {
    /// A tag of YAML itself, without the `!!`.
    Core(String),
    /// As it is written, without the first `!`.
    Own(String),
}

impl NodeTag {
    fn new(tag: &str) -> Self {
        match tag.strip_prefix(CORE_TAG_PREFIX) {
            Some(name) => Self::Core(name.to_owned()),
            None => Self::Own(tag.strip_prefix('!').unwrap_or(tag).to_owned()),
        }
    }

    fn is_core(&self, name: &str) -> bool {
        matches!(self, Self::Core(core) if core == name)
    }

    fn scalar_tag(&self) -> Option<ScalarTag> {
        match self {
            Self::Core(name) => ScalarTag::parse(name),
            Self::Own(_) => None,
        }
    }

    fn into_name(self) -> String {
        match self {
            Self::Core(name) => format!("!{name}"),
            Self::Own(name) => name,
        }
    }
}

/// A node that aliases can refer to.
struct AnchoredNode {
    node: YamlNode,
    weight: usize,
    /// How many levels of collections it has.
    height: usize,
}

pub(super) struct TreeBuilder<'a> {
    parser: Parser<io::Chain<&'a [u8], &'static [u8]>>,
    /// Where the text ends, if the last line has no line end. The parser panics on a block of text
    /// (`|`, `>`) without one, so it gets one that the text does not have.
    unended_text_bytes: Option<u64>,
    anchors: HashMap<String, AnchoredNode>,
    /// The anchors of the collections that are being built.
    open_anchors: Vec<String>,
    /// How much more the tree may weigh.
    weight_left: usize,
    depth: usize,
    /// The largest depth of the node that is being built.
    deepest: usize,
    warnings: Vec<YamlWarning>,
}

impl<'a> TreeBuilder<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let is_ended = text.is_empty() || text.ends_with(['\n', '\r']);
        let missing_end: &[u8] = if is_ended { b"" } else { b"\n" };
        let mut parser = Parser::new();
        parser.set_input(text.as_bytes().chain(missing_end));
        parser.set_encoding(Encoding::Utf8);
        Self {
            parser,
            unended_text_bytes: (!is_ended).then_some(text.len() as u64),
            anchors: HashMap::new(),
            open_anchors: Vec::new(),
            weight_left: MAX_TREE_WEIGHT,
            depth: 0,
            deepest: 0,
            warnings: Vec::new(),
        }
    }

    /// Builds the only document. A text without one is null.
    pub(super) fn build(mut self) -> Result<ParsedYaml, YamlError> {
        let mut root = YamlNode::Null;
        let mut has_document = false;
        loop {
            let event = self.next_event()?;
            match event.data {
                EventData::DocumentStart { .. } if has_document => {
                    let line = line(event.start_mark);
                    return Err(YamlError::SeveralDocuments { line });
                }
                EventData::DocumentStart {
                    version_directive: Some(VersionDirective { major, minor, .. }),
                    ..
                } if (major, minor) != (1, 1) => {
                    let line = line(event.start_mark);
                    return Err(YamlError::OtherVersion { line });
                }
                EventData::DocumentStart { .. } => {
                    has_document = true;
                    root = self.build_next()?;
                }
                EventData::StreamEnd => break,
                _ => {}
            }
        }
        Ok(ParsedYaml {
            root,
            warnings: self.warnings,
        })
    }

    fn next_event(&mut self) -> Result<Event, YamlError> {
        self.parser.parse().map_err(|error| syntax_error(&error))
    }

    fn build_next(&mut self) -> Result<YamlNode, YamlError> {
        let event = self.next_event()?;
        self.build_node(event)
    }

    fn build_node(&mut self, event: Event) -> Result<YamlNode, YamlError> {
        let line = line(event.start_mark);
        let weight_before = self.weight_left;
        let deepest_before = mem::replace(&mut self.deepest, self.depth);
        let (node, anchor) = match event.data {
            EventData::Scalar {
                anchor,
                tag,
                mut value,
                style,
                ..
            } => {
                if self.has_added_line_end(style, event.end_mark) && value.ends_with('\n') {
                    value.pop();
                }
                (
                    self.build_scalar(value, style, tag.as_deref(), line)?,
                    anchor,
                )
            }
            EventData::SequenceStart { anchor, tag, .. } => {
                let list = self.build_collection(anchor.as_ref(), Self::build_list)?;
                (
                    self.tag_collection(list, tag.as_deref(), "seq", line),
                    anchor,
                )
            }
            EventData::MappingStart { anchor, tag, .. } => {
                let map = self.build_collection(anchor.as_ref(), Self::build_map)?;
                (
                    self.tag_collection(map, tag.as_deref(), "map", line),
                    anchor,
                )
            }
            EventData::Alias { anchor } => (self.copy_anchored(&anchor, line)?, None),
            _ => return Err(YamlError::SyntaxSomewhere),
        };
        if let Some(anchor) = anchor {
            let anchored = AnchoredNode {
                node: node.clone(),
                weight: weight_before - self.weight_left,
                height: self.deepest - self.depth,
            };
            self.anchors.insert(anchor, anchored);
        }
        self.deepest = self.deepest.max(deepest_before);
        Ok(node)
    }

    fn has_added_line_end(&self, style: ScalarStyle, end: Mark) -> bool {
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        is_block
            && self
                .unended_text_bytes
                .is_some_and(|bytes| end.index >= bytes)
    }

    fn enter_depth(&mut self, depth: usize) -> Result<(), YamlError> {
        if depth > MAX_YAML_DEPTH {
            return Err(YamlError::TooDeep);
        }
        self.deepest = self.deepest.max(depth);
        Ok(())
    }

    fn spend_weight(&mut self, weight: usize) -> Result<(), YamlError> {
        let left = self.weight_left.checked_sub(weight);
        self.weight_left = left.ok_or(YamlError::TooManyAliases)?;
        Ok(())
    }

    fn copy_anchored(&mut self, anchor: &str, line: usize) -> Result<YamlNode, YamlError> {
        if self.open_anchors.iter().any(|open| open == anchor) {
            return Err(YamlError::AliasInItself { line });
        }
        let Some(anchored) = self.anchors.get(anchor) else {
            return Err(YamlError::UnknownAlias { line });
        };
        let (weight, depth) = (anchored.weight, self.depth + anchored.height);
        self.enter_depth(depth)?;
        self.spend_weight(weight)?;
        Ok(self.anchors[anchor].node.clone())
    }

    fn build_scalar(
        &mut self,
        text: String,
        style: ScalarStyle,
        tag: Option<&str>,
        line: usize,
    ) -> Result<YamlNode, YamlError> {
        let tag = tag.map(NodeTag::new);
        let scalar_tag = tag.as_ref().and_then(NodeTag::scalar_tag);
        if let (Some(tag), None) = (tag, scalar_tag) {
            self.spend_weight(text.len() + 2)?;
            self.warnings.push(YamlWarning::UnknownTag { line });
            let content = Box::new(YamlNode::Text(text));
            return Ok(YamlNode::Tagged(tag.into_name(), content));
        }
        let is_quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
        let node = resolve_scalar(&text, is_quoted, scalar_tag);
        let node = node.ok_or(YamlError::UnusableValue { line })?;
        self.spend_weight(match &node {
            YamlNode::Text(text) | YamlNode::Number(text) => text.len() + 1,
            _ => 1,
        })?;
        Ok(node)
    }

    fn tag_collection(
        &mut self,
        node: YamlNode,
        tag: Option<&str>,
        own_tag: &str,
        line: usize,
    ) -> YamlNode {
        match tag.map(NodeTag::new) {
            Some(tag) if !tag.is_core(own_tag) => {
                self.warnings.push(YamlWarning::UnknownTag { line });
                YamlNode::Tagged(tag.into_name(), Box::new(node))
            }
            _ => node,
        }
    }

    fn build_collection(
        &mut self,
        anchor: Option<&String>,
        build: impl FnOnce(&mut Self) -> Result<YamlNode, YamlError>,
    ) -> Result<YamlNode, YamlError> {
        self.enter_depth(self.depth + 1)?;
        self.spend_weight(1)?;
        self.depth += 1;
        self.open_anchors.extend(anchor.cloned());
        let node = build(self)?;
        if anchor.is_some() {
            self.open_anchors.pop();
        }
        self.depth -= 1;
        Ok(node)
    }

    fn build_list(&mut self) -> Result<YamlNode, YamlError> {
        let mut items = Vec::new();
        loop {
            let event = self.next_event()?;
            if matches!(event.data, EventData::SequenceEnd) {
                return Ok(YamlNode::List(items));
            }
            items.push(self.build_node(event)?);
        }
    }

    /// Later entries win, whether they are merged or not.
    fn build_map(&mut self) -> Result<YamlNode, YamlError> {
        let mut map = BTreeMap::new();
        let mut written_keys = BTreeSet::new();
        loop {
            let event = self.next_event()?;
            let line = line(event.start_mark);
            let (key, style, tag) = match event.data {
                EventData::MappingEnd => return Ok(YamlNode::Map(map)),
                EventData::Scalar {
                    value, style, tag, ..
                } => (value, style, tag),
                _ => return Err(YamlError::UnusableKey { line }),
            };
            if is_merge_key(&key, tag.as_deref()) {
                let value = self.build_next()?;
                merge_into(&mut map, value).ok_or(YamlError::UnusableMerge { line })?;
                continue;
            }
            let key = self.build_scalar(key, style, tag.as_deref(), line)?;
            let key = key_text(key).ok_or(YamlError::UnusableKey { line })?;
            if !written_keys.insert(key.clone()) {
                let key = key.clone();
                self.warnings.push(YamlWarning::DuplicateKey { key, line });
            }
            let value = self.build_next()?;
            map.insert(YamlNode::Text(key), value);
        }
    }
}

fn is_merge_key(text: &str, tag: Option<&str>) -> bool {
    match tag {
        None => text == "<<",
        Some(tag) => NodeTag::new(tag).is_core("merge"),
    }
}

/// Returns `None` if the value is neither a mapping nor a list of mappings.
fn merge_into(map: &mut BTreeMap<YamlNode, YamlNode>, value: YamlNode) -> Option<()> {
    match value {
        YamlNode::Map(entries) => map.extend(entries),
        YamlNode::List(items) => {
            for item in items {
                let YamlNode::Map(entries) = item else {
                    return None;
                };
                map.extend(entries);
            }
        }
        _ => return None,
    }
    Some(())
}

/// Keys are texts, also those that look like numbers.
fn key_text(key: YamlNode) -> Option<String> {
    match key {
        YamlNode::Text(text) | YamlNode::Number(text) => Some(text),
        YamlNode::Bool(flag) => Some(flag.to_string()),
        YamlNode::Null | YamlNode::List(_) | YamlNode::Map(_) | YamlNode::Tagged(..) => None,
    }
}

/// Counted from 1.
fn line(mark: Mark) -> usize {
    usize::try_from(mark.line)
        .unwrap_or(usize::MAX)
        .saturating_add(1)
}

/// The parser's own words may quote the file, so only the place is taken over.
fn syntax_error(error: &libyaml_safer::Error) -> YamlError {
    match error.problem_mark() {
        Some(mark) => YamlError::Syntax {
            line: line(mark),
            column: usize::try_from(mark.column)
                .unwrap_or(usize::MAX)
                .saturating_add(1),
        },
        None => YamlError::SyntaxSomewhere,
    }
}
