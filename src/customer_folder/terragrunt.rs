//! What Terragrunt itself says of a customer folder: whether a run would start, which units it has,
//! and how it renders ours.
//!
//! Reads only. Must not show its output, which may hold secrets of config.yaml.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::customer_folder::terragrunt_output::{SourcePosition, UnitGraph};
use crate::customer_folder::unit_files::UNIT_FOLDER_NAME;
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
pub(crate) const FILTER_VARIABLES: [&str; 8] = [
    "TG_FILTER",
    "TG_FILTERS_FILE",
    "TG_FILTER_AFFECTED",
    "TG_QUEUE_EXCLUDE_DIR",
    "TG_QUEUE_EXCLUDES_FILE",
    "TG_QUEUE_INCLUDE_DIR",
    "TERRAGRUNT_EXCLUDE_DIR",
    "TERRAGRUNT_INCLUDE_DIR",
];

/// Why Terragrunt did not check the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TerragruntUnavailable {
    NotInPath,
    TooOld { version: String },
    UnknownVersion,
    NoAnswerInTime,
    UnreadableAnswer,
}

impl fmt::Display for TerragruntUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInPath => f.write_str("it is not in PATH"),
            Self::TooOld { version } => write!(f, "its version {version} is too old"),
            Self::UnknownVersion => f.write_str("it does not say its version"),
            Self::NoAnswerInTime => f.write_str("it gave no answer in time"),
            Self::UnreadableAnswer => f.write_str("its answer cannot be read"),
        }
    }
}

/// An error in the folder because of which Terragrunt starts no run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TerragruntRefusal {
    At(SourcePosition),
    /// Its messages name no position.
    Unknown,
}

#[derive(Debug)]
enum TerragruntFailure {
    Refused(TerragruntRefusal),
    Unavailable(TerragruntUnavailable),
}

/// What Terragrunt says of a customer folder.
#[derive(Debug, Default)]
pub(crate) struct TerragruntFindings {
    pub(crate) graph: Option<UnitGraph>,
    /// The configuration of our unit.
    pub(crate) rendered_unit: Option<Value>,
    pub(crate) refusal: Option<TerragruntRefusal>,
    pub(crate) unavailable: Option<TerragruntUnavailable>,
}

impl TerragruntFindings {
    /// Asks Terragrunt, which may take `limit` for all answers.
    pub(crate) fn gather(customer: &Path, limit: Duration) -> Self {
        let mut findings = Self::default();
        if let Err(cause) = findings.ask(customer, limit) {
            findings.unavailable = Some(cause);
        }
        findings
    }

    pub(crate) fn has_dependencies(&self) -> bool {
        match &self.graph {
            Some(graph) => graph.has_dependencies(UNIT_FOLDER_NAME),
            None => false,
        }
    }

    fn ask(&mut self, customer: &Path, limit: Duration) -> Result<(), TerragruntUnavailable> {
        let terragrunt = TerragruntProgram::find(limit)?;
        self.graph = self.note_refusal(terragrunt.read_graph(customer))?;

        // Terragrunt would run Terraform in the other units to render their outputs.
        if !self.has_dependencies() {
            let unit = customer.join(UNIT_FOLDER_NAME);
            self.rendered_unit = self.note_refusal(terragrunt.render_unit(&unit))?;
        }

        if self.refusal.is_none() {
            self.note_refusal(terragrunt.validate_all_units(customer))?;
        }
        Ok(())
    }

    fn note_refusal<T>(
        &mut self,
        answer: Result<T, TerragruntFailure>,
    ) -> Result<Option<T>, TerragruntUnavailable> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(TerragruntFailure::Refused(refusal)) => {
                self.refusal = Some(refusal);
                Ok(None)
            }
            Err(TerragruntFailure::Unavailable(cause)) => Err(cause),
        }
    }
}

/// The version of the Terragrunt in PATH, which is at `path`.
///
/// Asked once in a process, because Terragrunt starts Terraform twice to answer.
pub(crate) fn query_version(path: &Path) -> Option<&'static str> {
    static VERSION: OnceLock<Option<String>> = OnceLock::new();
    let version = VERSION.get_or_init(|| {
        let answer = process::query_program_interactive(path, &["--version"])?;
        let version = answer.split_whitespace().next_back()?;
        Some(version.trim_start_matches('v').to_owned())
    });
    version.as_deref()
}

/// The program, and until when it may answer.
#[derive(Debug)]
struct TerragruntProgram {
    path: PathBuf,
    deadline: Instant,
}

impl TerragruntProgram {
    /// Finds a program in PATH that knows the commands.
    fn find(limit: Duration) -> Result<Self, TerragruntUnavailable> {
        // A bit less than the caller waits, so that a program that hangs is killed in time and
        // does not stay behind.
        let limit = limit.min(MAX_TOTAL_WAIT).mul_f32(0.9);
        let deadline = Instant::now() + limit;

        let Some(path) = process::find_program("terragrunt") else {
            return Err(TerragruntUnavailable::NotInPath);
        };
        let version = query_version(&path).unwrap_or_default();
        let major = version.split('.').next().unwrap_or_default();
        match major.parse::<u64>() {
            Ok(major) if major >= MIN_MAJOR_VERSION => Ok(Self { path, deadline }),
            Ok(_) => Err(TerragruntUnavailable::TooOld {
                version: version.to_owned(),
            }),
            Err(_) => Err(TerragruntUnavailable::UnknownVersion),
        }
    }

    /// The units that `terragrunt apply --all` in `folder` would run.
    fn read_graph(&self, folder: &Path) -> Result<UnitGraph, TerragruntFailure> {
        let output = self.run_command(folder, &["dag", "graph"], &[])?;
        Ok(UnitGraph::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Whether `terragrunt apply --all` in `folder` can read all units.
    ///
    /// It reads them before it runs one, so an error in one of them stops all.
    fn validate_all_units(&self, folder: &Path) -> Result<(), TerragruntFailure> {
        // A filter by files that are read makes Terragrunt parse all units, as a run does. No unit
        // reads this one.
        let arguments = [
            "hcl",
            "validate",
            "--no-filters-file",
            "--filter",
            "reading=config-backup-reads-nothing",
        ];
        self.run_command(folder, &arguments, &FILTER_VARIABLES)?;
        Ok(())
    }

    /// The configuration of the unit in `folder`, with everything in it evaluated.
    fn render_unit(&self, folder: &Path) -> Result<Value, TerragruntFailure> {
        let arguments = ["render", "--format", "json", "--no-filters-file"];
        let unset = [&FILTER_VARIABLES[..], &["TG_ALL"]].concat();
        let output = self.run_command(folder, &arguments, &unset)?;
        let unreadable = TerragruntFailure::Unavailable(TerragruntUnavailable::UnreadableAnswer);
        serde_json::from_slice(&output.stdout).map_err(|_| unreadable)
    }

    fn run_command(
        &self,
        folder: &Path,
        arguments: &[&str],
        unset: &[&str],
    ) -> Result<Output, TerragruntFailure> {
        let arguments = [arguments, &["--no-color", "--non-interactive"]].concat();
        let unset = [&OVERRIDE_VARIABLES[..], unset].concat();
        let time_left = self.deadline.saturating_duration_since(Instant::now());

        let output = process::run_in_dir(folder, &self.path, &arguments, &unset, time_left);
        let Some(output) = output else {
            let cause = TerragruntUnavailable::NoAnswerInTime;
            return Err(TerragruntFailure::Unavailable(cause));
        };
        if output.status.success() {
            return Ok(output);
        }
        let messages = String::from_utf8_lossy(&output.stderr);
        let refusal = match SourcePosition::find(&messages) {
            Some(position) => TerragruntRefusal::At(position),
            None => TerragruntRefusal::Unknown,
        };
        Err(TerragruntFailure::Refused(refusal))
    }
}
