//! The lines of an AWS file: sections, properties, and the lines below a property.
//!
//! Follows Python's `configparser`, with which the aws CLI reads the files, and the tolerance of the
//! SDK for Go.

use std::path::Path;

use crate::s3::aws_files::note::{AwsFileLine, AwsFileNote};

/// Words of a shell may be in quotes, so these quotes are not those of the value.
const SHELL_COMMAND_PROPERTY: &str = "credential_process";
const INLINE_COMMENTS: [&str; 4] = [" #", " ;", "\t#", "\t;"];
const PART_OF_VALUE: &str = "is indented, so the aws CLI takes it for a part of the value above";
const REFUSED: &str = "which the aws CLI refuses";

#[derive(Debug, Default)]
pub(super) struct IniFile {
    pub(super) sections: Vec<IniSection>,
    /// Lines at which other tools refuse the whole file.
    pub(super) notes: Vec<AwsFileNote>,
}

#[derive(Debug, Clone)]
pub(super) struct IniSection {
    /// What is between the brackets, with its blanks.
    pub(super) header: String,
    pub(super) line: AwsFileLine,
    pub(super) properties: Vec<IniProperty>,
    /// Lines that other tools read otherwise.
    pub(super) notes: Vec<AwsFileNote>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IniProperty {
    /// In lower case.
    pub(super) name: String,
    /// On one line, without a comment and without the quotes around it.
    pub(super) value: String,
    /// The indented lines below a property without a value.
    pub(super) nested: Vec<(String, String)>,
}

pub(super) fn parse_ini(path: &Path, text: &str) -> IniFile {
    let mut parser = IniParser {
        path,
        file: IniFile::default(),
        section: None,
        has_property: false,
        indent: 0,
    };
    for (index, line) in text.lines().enumerate() {
        parser.read_line(line, index + 1);
    }
    parser.file
}

struct IniParser<'a> {
    path: &'a Path,
    file: IniFile,
    /// The section that is being read.
    section: Option<usize>,
    /// Whether the section has a property that an indented line can belong to.
    has_property: bool,
    /// The indent of the last line that was not part of the value above it.
    indent: usize,
}

impl IniProperty {
    /// The value; `None` if it is empty.
    pub(super) fn text(&self) -> Option<&str> {
        (!self.value.is_empty()).then_some(self.value.as_str())
    }
}

impl IniParser<'_> {
    fn read_line(&mut self, line: &str, number: usize) {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            return;
        }
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        let is_part_of_value = self.has_property && indent > self.indent;

        if let Some(header) = parse_header(content) {
            self.start_section(&header, number);
            if is_part_of_value {
                self.note_section(number, PART_OF_VALUE);
            }
            self.indent = indent;
        } else if is_part_of_value {
            self.continue_property(content, number);
        } else {
            self.indent = indent;
            self.add_property_line(content, number);
        }
    }

    fn start_section(&mut self, header: &SectionHeader<'_>, number: usize) {
        let mut sections = self.file.sections.iter();
        let known = sections.position(|section| section.header == header.name);
        if known.is_some() {
            let text = format!("has the section [{}] again, {REFUSED}", header.name.trim());
            self.note_file(number, text);
        }
        let section = known.unwrap_or_else(|| {
            self.file.sections.push(IniSection {
                header: header.name.to_owned(),
                line: AwsFileLine::new(self.path, number),
                properties: Vec::new(),
                notes: Vec::new(),
            });
            self.file.sections.len() - 1
        });
        self.section = Some(section);
        self.has_property = false;
        if header.has_trailing_text {
            let text = "has text behind the `]`, for which Terraform ignores the line";
            self.note_section(number, text);
        }
    }

    fn add_property_line(&mut self, content: &str, number: usize) {
        if self.section.is_none() {
            self.note_file(number, format!("is not below a [section], {REFUSED}"));
            return;
        }
        let Some((name, value)) = split_property(content) else {
            self.has_property = false;
            self.note_malformed_line(number);
            return;
        };
        self.add_property(&name, value, number);
    }

    fn add_property(&mut self, name: &str, raw_value: &str, number: usize) {
        let without_comment = strip_inline_comment(raw_value);
        if without_comment.len() < raw_value.len() {
            let text = "has a comment behind a value, which the aws CLI takes for a part of it";
            self.note_section(number, text);
        }
        let mut value = without_comment;
        if name != SHELL_COMMAND_PROPERTY
            && let Some(unquoted) = unquote(value)
        {
            value = unquoted;
            let text = "has quotes around a value, which the aws CLI takes for a part of it";
            self.note_section(number, text);
        }
        let property = IniProperty {
            name: name.to_owned(),
            value: value.to_owned(),
            nested: Vec::new(),
        };

        let Some(section) = self.section_mut() else {
            return;
        };
        let known = section
            .properties
            .iter()
            .position(|known| known.name == name);
        if let Some(known) = known {
            // The last property is the one that the following lines belong to.
            section.properties.remove(known);
        }
        section.properties.push(property);
        self.has_property = true;
        if known.is_some() {
            self.note_file(number, format!("sets a property again, {REFUSED}"));
        }
    }

    /// An indented line: a nested property, if the property above has no value.
    fn continue_property(&mut self, content: &str, number: usize) {
        let split = split_property(content);
        let Some(section) = self.section_mut() else {
            return;
        };
        let Some(property) = section.properties.last_mut() else {
            return;
        };
        match split {
            Some((name, value)) if property.value.is_empty() => {
                property.nested.push((name, value.to_owned()));
            }
            Some((name, value)) => {
                self.add_property(&name, value, number);
                self.note_section(number, PART_OF_VALUE);
            }
            None if property.value.is_empty() => self.note_malformed_line(number),
            None => self.note_section(number, PART_OF_VALUE),
        }
    }

    fn section_mut(&mut self) -> Option<&mut IniSection> {
        self.file.sections.get_mut(self.section?)
    }

    fn note_malformed_line(&mut self, number: usize) {
        self.note_file(
            number,
            format!("is not of the form `name = value`, {REFUSED}"),
        );
    }

    fn note_file(&mut self, number: usize, text: impl Into<String>) {
        let note = self.note(number, text);
        self.file.notes.push(note);
    }

    fn note_section(&mut self, number: usize, text: impl Into<String>) {
        let note = self.note(number, text);
        if let Some(section) = self.section_mut() {
            section.notes.push(note);
        }
    }

    fn note(&self, number: usize, text: impl Into<String>) -> AwsFileNote {
        AwsFileNote::new(AwsFileLine::new(self.path, number), text)
    }
}

struct SectionHeader<'a> {
    name: &'a str,
    /// Whether something follows that is not a comment.
    has_trailing_text: bool,
}

fn parse_header(content: &str) -> Option<SectionHeader<'_>> {
    let (name, rest) = content.strip_prefix('[')?.split_once(']')?;
    if name.is_empty() {
        return None;
    }
    let rest = rest.trim();
    let is_comment = rest.is_empty() || rest.starts_with(['#', ';']);
    Some(SectionHeader {
        name,
        // The aws CLI takes the last bracket for the end of the name.
        has_trailing_text: !is_comment || rest.contains(']'),
    })
}

/// The name in lower case, and the value.
fn split_property(content: &str) -> Option<(String, &str)> {
    let (name, value) = content.split_once(['=', ':'])?;
    let name = name.trim();
    if name.is_empty() {
        return None;
    }
    Some((name.to_lowercase(), value.trim()))
}

fn strip_inline_comment(value: &str) -> &str {
    let starts = INLINE_COMMENTS.iter().filter_map(|start| value.find(start));
    match starts.min() {
        Some(end) => value[..end].trim_end(),
        None => value,
    }
}

pub(super) fn unquote(text: &str) -> Option<&str> {
    ['"', '\''].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?;
        inner.strip_suffix(quote)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The properties as `section/name=value`, and the lines that have a note.
    fn parse(text: &str) -> (Vec<String>, Vec<usize>) {
        let file = parse_ini(Path::new("f"), text);
        let mut properties = Vec::new();
        let mut notes = file.notes.clone();
        for section in &file.sections {
            notes.extend(section.notes.clone());
            for property in &section.properties {
                let IniProperty {
                    name,
                    value,
                    nested,
                } = property;
                properties.push(format!("{}/{name}={value}", section.header));
                for (nested_name, nested_value) in nested {
                    properties.push(format!(
                        "{}/{name}.{nested_name}={nested_value}",
                        section.header
                    ));
                }
            }
        }
        let mut lines: Vec<usize> = notes.iter().filter_map(|note| note.line.number).collect();
        lines.sort_unstable();
        (properties, lines)
    }

    #[test]
    fn lines_that_all_tools_read_have_no_note() {
        for text in [
            "[a]\nk = v\nL=w",
            "[a]\r\nk = v\r\nl = w\r\n",
            "[a]\n  k = v\n  l = w\n",
            "[a]\n\tk = v\n\t# comment\n\n\tl = w\n",
            "[a]\nk: v\nl :w",
            "; comment\n[a] # comment\nK = v\nl = w",
        ] {
            let (properties, notes) = parse(text);
            assert_eq!(properties, ["a/k=v", "a/l=w"], "{text:?}");
            assert_eq!(notes, [0; 0], "{text:?}");
        }
    }

    #[test]
    fn lines_that_only_some_tools_read_have_a_note() {
        for (text, properties, line) in [
            ("[a]\nk = v # c\n", &["a/k=v"][..], 2),
            ("[a]\nk = \"v\"\n", &["a/k=v"], 2),
            ("[a]\nk = v\n  l = w\n", &["a/k=v", "a/l=w"], 3),
            ("[a]\nk = v\n  more\n", &["a/k=v"], 3),
            ("[a] text\nk = v\n", &["a/k=v"], 1),
            ("[a]\nk = v\n [b]\nl = w\n", &["a/k=v", "b/l=w"], 3),
            ("[a]\nk = v\n[a]\nl = w\n", &["a/k=v", "a/l=w"], 3),
            ("[a]\nk = v\nk = w\n", &["a/k=w"], 3),
            ("k = v\n[a]\nl = w\n", &["a/l=w"], 1),
            ("[a]\nk\nl = w\n", &["a/l=w"], 2),
            ("[a]\n= v\nl = w\n", &["a/l=w"], 2),
        ] {
            let (found, notes) = parse(text);
            assert_eq!(found, properties, "{text:?}");
            assert_eq!(notes, [line], "{text:?}");
        }
    }

    #[test]
    fn indented_lines_below_an_empty_value_are_nested() {
        let (properties, notes) = parse("[a]\ns3 =\n  x = 1\n  y = 2\nk = v\n");
        assert_eq!(properties, ["a/s3=", "a/s3.x=1", "a/s3.y=2", "a/k=v"]);
        assert_eq!(notes, [0; 0]);
    }

    #[test]
    fn a_command_keeps_its_quotes() {
        let (properties, _) = parse("[a]\ncredential_process = \"/a b/c\"\n");
        assert_eq!(properties, ["a/credential_process=\"/a b/c\""]);
    }
}
