//! What Terragrunt itself says of a customer folder: whether a run would start, which units it has, how it renders ours.
//!
//! Reads only. Its output may hold secrets of config.yaml, so nothing of it is shown but a file and a line.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::system::process;

/// The longest time that all questions together may take.
const MAX_TOTAL_WAIT: Duration = Duration::from_secs(10);
/// The first version with the commands that are used here.
const MIN_MAJOR_VERSION: u64 = 1;
/// Variables that would change which folder is read, or what is printed.
const OVERRIDE_VARIABLES: [&str; 12] = [
    "TG_WORKING_DIR",
    "TERRAGRUNT_WORKING_DIR",
    "TG_CONFIG",
    "TERRAGRUNT_CONFIG",
    "TG_LOG_LEVEL",
    "TG_LOG_FORMAT",
    "TG_LOG_CUSTOM_FORMAT",
    "TG_LOG_DISABLE",
    "TG_RENDER_FORMAT",
    "TG_RENDER_WRITE",
    "TG_RENDER_OUT",
    "TG_RENDER_WITH_METADATA",
];
/// Variables that leave units out of a run.
pub const FILTER_VARIABLES: [&str; 8] = [
    "TG_FILTER",
    "TG_FILTERS_FILE",
    "TG_FILTER_AFFECTED",
    "TG_QUEUE_EXCLUDE_DIR",
    "TG_QUEUE_EXCLUDES_FILE",
    "TG_QUEUE_INCLUDE_DIR",
    "TERRAGRUNT_EXCLUDE_DIR",
    "TERRAGRUNT_INCLUDE_DIR",
];

/// An answer of Terragrunt.
#[derive(Debug)]
pub enum TerragruntAnswer<T> {
    /// What was asked for.
    Received(T),
    /// Terragrunt refused because of an error.
    Refused(TerragruntRefusal),
    /// No answer, and why.
    Unavailable(String),
}

/// Where the error is because of which Terragrunt refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerragruntRefusal {
    /// At this position.
    At(SourcePosition),
    /// Its messages name no position.
    Unknown,
}

/// Where an error is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePosition {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
}

/// The units of a run, with their paths below the customer folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct UnitGraph {
    /// The units that run.
    pub units: Vec<String>,
    /// Pairs of a unit and another one that it depends on.
    pub dependencies: Vec<(String, String)>,
}

/// The program, and until when it may answer.
#[derive(Debug)]
pub struct TerragruntProgram {
    program: PathBuf,
    deadline: Instant,
}

impl TerragruntProgram {
    /// The program in PATH; without one that can be asked, the reason.
    pub fn find(limit: Duration) -> Result<Self, String> {
        // A little less than the caller waits, so that a program that hangs is killed and does not stay behind.
        let until = Instant::now() + limit.min(MAX_TOTAL_WAIT).mul_f32(0.9);
        let program = process::find_program("terragrunt").ok_or("it is not in PATH")?;
        let said = process::query_program_interactive(&program, &["--version"]).unwrap_or_default();
        let version = said
            .split_whitespace()
            .next_back()
            .unwrap_or_default()
            .trim_start_matches('v');
        let major = version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u64>().ok());
        match major {
            Some(major) if major >= MIN_MAJOR_VERSION => Ok(Self {
                program,
                deadline: until,
            }),
            Some(_) => Err(format!("its version {version} is too old for that")),
            None => Err("it does not say its version".to_owned()),
        }
    }

    /// The units that `terragrunt apply --all` in `folder` would run.
    #[must_use]
    pub fn read_graph(&self, folder: &Path) -> TerragruntAnswer<UnitGraph> {
        self.run_command(folder, &["dag", "graph"], &[])
            .and_parse(|output| Some(parse_graph(&String::from_utf8_lossy(&output.stdout))))
    }

    /// Whether `terragrunt apply --all` in `folder` reads all units before it runs one: an error in one of them stops all.
    #[must_use]
    pub fn validate_all_units(&self, folder: &Path) -> TerragruntAnswer<()> {
        // A filter by files that are read makes Terragrunt parse all units, as a run does. No unit reads this one.
        let arguments = [
            "hcl",
            "validate",
            "--no-filters-file",
            "--filter",
            "reading=config-backup-reads-nothing",
        ];
        self.run_command(folder, &arguments, &FILTER_VARIABLES)
            .and_parse(|_| Some(()))
    }

    /// The configuration of the unit in `folder`, with all includes, functions and locals evaluated.
    #[must_use]
    pub fn render_unit(&self, folder: &Path) -> TerragruntAnswer<Value> {
        let arguments = ["render", "--format", "json", "--no-filters-file"];
        let unset = [&FILTER_VARIABLES[..], &["TG_ALL"]].concat();
        self.run_command(folder, &arguments, &unset)
            .and_parse(|output| serde_json::from_slice(&output.stdout).ok())
    }

    fn run_command(
        &self,
        folder: &Path,
        arguments: &[&str],
        unset: &[&str],
    ) -> TerragruntAnswer<Output> {
        let arguments = [arguments, &["--no-color", "--non-interactive"]].concat();
        let unset = [&OVERRIDE_VARIABLES[..], unset].concat();
        let left = self.deadline.saturating_duration_since(Instant::now());
        match process::run_in_dir(folder, &self.program, &arguments, &unset, left) {
            Some(output) if output.status.success() => TerragruntAnswer::Received(output),
            Some(output) => TerragruntAnswer::Refused(
                find_error_position(&String::from_utf8_lossy(&output.stderr))
                    .map_or(TerragruntRefusal::Unknown, TerragruntRefusal::At),
            ),
            None => TerragruntAnswer::Unavailable("it gave no answer in time".to_owned()),
        }
    }
}

impl<T> TerragruntAnswer<T> {
    fn and_parse<U>(self, read: impl FnOnce(T) -> Option<U>) -> TerragruntAnswer<U> {
        match self {
            Self::Received(answer) => read(answer).map_or_else(
                || TerragruntAnswer::Unavailable("its answer cannot be read".to_owned()),
                TerragruntAnswer::Received,
            ),
            Self::Refused(refusal) => TerragruntAnswer::Refused(refusal),
            Self::Unavailable(why) => TerragruntAnswer::Unavailable(why),
        }
    }
}

/// The units and dependencies of a graph in DOT language.
fn parse_graph(dot: &str) -> UnitGraph {
    let mut graph = UnitGraph::default();
    for line in dot.lines().filter_map(|line| line.trim().strip_prefix('"')) {
        if let Some((unit, other)) = line
            .strip_suffix("\";")
            .and_then(|line| line.split_once("\" -> \""))
        {
            graph.dependencies.push((unit.to_owned(), other.to_owned()));
        } else if let Some(unit) = line.strip_suffix("\" ;") {
            graph.units.push(unit.to_owned());
        }
    }
    graph
}

/// The first position of an existing file in Terragrunt's messages: `on FILE line 3`, or `FILE:3,1-9: ...`.
fn find_error_position(messages: &str) -> Option<SourcePosition> {
    let spelled = |line: &str| {
        let (file, number) = line
            .split_once(" on ")?
            .1
            .trim_start()
            .rsplit_once(" line ")?;
        parse_position(file, number)
    };
    let short = |line: &str| {
        let (before, number) = line.split_once(".hcl:")?;
        let starts = before.match_indices('/').map(|(start, _)| start);
        starts
            .into_iter()
            .find_map(|start| parse_position(&format!("{}.hcl", &before[start..]), number))
    };
    messages
        .lines()
        .find_map(spelled)
        .or_else(|| messages.lines().find_map(short))
}

fn parse_position(file: &str, number: &str) -> Option<SourcePosition> {
    let digits = number
        .find(|sign: char| !sign.is_ascii_digit())
        .unwrap_or(number.len());
    let line = number[..digits].parse().ok()?;
    Path::new(file).is_file().then(|| SourcePosition {
        file: file.into(),
        line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_has_units_and_dependencies() {
        // As terragrunt 1.1.3 prints it.
        let dot = "digraph {\n\t\"atlas-cluster\" ;\n\t\"deep er/é\"x\" ;\n\t\"deep er/é\"x\" -> \"config-backup\";\n}\n";
        let graph = parse_graph(dot);
        assert_eq!(graph.units, ["atlas-cluster", "deep er/é\"x"]);
        assert_eq!(
            graph.dependencies,
            [("deep er/é\"x".to_owned(), "config-backup".to_owned())]
        );
        assert_eq!(parse_graph("digraph {\n}\n"), UnitGraph::default());
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
        let found = |messages: &str| find_error_position(messages).map(|at| (at.file, at.line));
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
