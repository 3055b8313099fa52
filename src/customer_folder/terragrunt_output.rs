//! What Terragrunt prints: its graph of units, and where an error is.
//!
//! Its messages may hold secrets of config.yaml, so only a file and a line are taken from them.

use std::path::{Path, PathBuf};

/// The units of a run, with their paths below the customer folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct UnitGraph {
    pub(crate) units: Vec<String>,
    /// Pairs of a unit and another one that it depends on.
    pub(crate) dependencies: Vec<(String, String)>,
}

impl UnitGraph {
    /// Reads a graph in DOT language.
    pub(crate) fn parse(dot: &str) -> Self {
        let mut graph = Self::default();
        for line in dot.lines() {
            let Some(line) = line.trim().strip_prefix('"') else {
                continue;
            };
            if let Some((unit, other)) = parse_edge(line) {
                let edge = (unit.to_owned(), other.to_owned());
                graph.dependencies.push(edge);
            } else if let Some(unit) = line.strip_suffix("\" ;") {
                graph.units.push(unit.to_owned());
            }
        }
        graph
    }

    pub(crate) fn has_unit(&self, name: &str) -> bool {
        self.units.iter().any(|unit| unit == name)
    }

    pub(crate) fn has_dependencies(&self, name: &str) -> bool {
        self.dependencies.iter().any(|(unit, _)| unit == name)
    }
}

fn parse_edge(line: &str) -> Option<(&str, &str)> {
    line.strip_suffix("\";")?.split_once("\" -> \"")
}

/// Where an error is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourcePosition {
    pub(crate) file: PathBuf,
    /// Counted from 1.
    pub(crate) line: u64,
}

impl SourcePosition {
    /// The first position of an existing file: `on FILE line 3`, or else `FILE:3,1-9: ...`.
    pub(crate) fn find(messages: &str) -> Option<Self> {
        let mut lines = messages.lines();
        lines
            .find_map(parse_long_form)
            .or_else(|| messages.lines().find_map(parse_short_form))
    }

    fn parse(file: &str, number: &str) -> Option<Self> {
        let is_no_digit = |c: char| !c.is_ascii_digit();
        let digits = number.split(is_no_digit).next()?;
        let line = digits.parse().ok()?;
        if !Path::new(file).is_file() {
            return None;
        }
        Some(Self {
            file: file.into(),
            line,
        })
    }
}

fn parse_long_form(line: &str) -> Option<SourcePosition> {
    let (_, position) = line.split_once(" on ")?;
    let (file, number) = position.trim_start().rsplit_once(" line ")?;
    SourcePosition::parse(file, number)
}

fn parse_short_form(line: &str) -> Option<SourcePosition> {
    let (before, number) = line.split_once(".hcl:")?;
    for (start, _) in before.match_indices('/') {
        let file = format!("{}.hcl", &before[start..]);
        let position = SourcePosition::parse(&file, number);
        if position.is_some() {
            return position;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_has_units_and_dependencies() {
        // As terragrunt 1.1.3 prints it.
        let dot = "digraph {\n\t\"atlas-cluster\" ;\n\t\"deep er/é\"x\" ;\n\t\"deep er/é\"x\" -> \"config-backup\";\n}\n";
        let graph = UnitGraph::parse(dot);
        assert_eq!(graph.units, ["atlas-cluster", "deep er/é\"x"]);
        assert_eq!(
            graph.dependencies,
            [("deep er/é\"x".to_owned(), "config-backup".to_owned())]
        );
        assert_eq!(UnitGraph::parse("digraph {\n}\n"), UnitGraph::default());
    }

    #[test]
    fn a_position_is_a_file_that_exists_and_a_line() {
        let folder = tempfile::Builder::new()
            .prefix("a line ")
            .tempdir()
            .expect("a folder");
        let file = folder.path().join("root.hcl");
        std::fs::write(&file, "").expect("a file");
        let name = file.display();
        let found = |messages: &str| SourcePosition::find(messages).map(|at| (at.file, at.line));
        // As terragrunt 1.1.3 prints it; the other text could hold a secret.
        let spelled = format!(
            "21:02:43.378 ERROR  Error: secret on line 3\n21:02:43.378 ERROR    on {name} line 3, in locals:\n"
        );
        assert_eq!(found(&spelled), Some((file.clone(), 3)));
        let short = format!(
            "21:04:11.895 ERROR  exposed include ({name}): {name}:6,16-17: Invalid expression\n"
        );
        assert_eq!(found(&short), Some((file.clone(), 6)));
        assert_eq!(
            found("on /none.hcl line 3\n/none.hcl:3,1-2: x\non x line y\n.hcl:\n"),
            None
        );
    }
}
