//! Whether a deployment of a customer folder would run our unit and be logged: for `doctor`, and for the last word of `init`.
//!
//! Terragrunt itself is asked where it is in PATH; otherwise only the text of the files is checked. Reads only.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::finding::Finding;
use crate::hcl::{self, Block};
use crate::neighbours::{self, Neighbours, read_text};
use crate::rendered_unit::{self, Problem};
use crate::terragrunt::{Answer, FILTERS, Graph, Position, Refusal, Terragrunt};
use crate::unit::{Action, TERRAGRUNT_HCL, UNIT};
use crate::unit_folder::{Origin, UnitFolder};
use crate::{host, root_file};

/// The files in a customer folder that leave units out of a run.
const FILTER_FILES: [&str; 2] = [".terragrunt-excludes", ".terragrunt-filters"];

/// What was found.
#[derive(Debug)]
pub struct Readiness {
    /// Whether the unit is complete and runs.
    pub unit: Finding,
    /// Whether the root file is the one of the other units, and can be read.
    pub root: Finding,
    /// Whether other units depend on ours.
    pub dependents: Finding,
    /// The helper that the unit runs, where it is known, and whether it downloads one that is missing.
    pub helper: Option<(String, bool)>,
    /// Why Terragrunt was not asked, or did not answer.
    pub unchecked: Option<String>,
}

/// What Terragrunt said.
#[derive(Debug, Default)]
struct Said {
    graph: Option<Graph>,
    rendered: Option<Value>,
    /// An error that stops the run.
    refused: Option<Refusal>,
    /// Why there is no answer.
    missing: Option<String>,
}

/// Checks the customer folder; Terragrunt may take `limit` for its answers.
#[must_use]
pub fn check(customer: &Path, limit: Duration) -> Readiness {
    let folder = customer.canonicalize().unwrap_or_else(|_| customer.to_owned());
    let unit = customer.join(UNIT);
    let dependents = dependents(&folder, None);
    let neighbours = Neighbours::read(&folder, None);
    let not_ready = |unit: Finding, root: Option<&str>| {
        let root = root_file::check(&folder, root, &neighbours);
        Readiness { unit, root, dependents: dependents.clone(), helper: None, unchecked: None }
    };
    if !unit.is_dir() {
        let seen = format!("there is no folder `{}`: deployments here are not backed up", unit.display());
        return not_ready(Finding::bad("unit", 1, seen, init(customer, "")), None);
    }
    let state = match UnitFolder::read(&unit) {
        Ok(state) => state,
        Err(fault) => return not_ready(Finding::fault("unit", &fault), None),
    };
    if let Some(finding) = incomplete(customer, &state) {
        return not_ready(finding, state.root.as_deref());
    }
    let said = ask_terragrunt(&folder, limit);
    let root = match &said.refused {
        Some(Refusal::At(position)) if root_file::is_at(position, &folder, state.root.as_deref()) => {
            Finding::bad("root.hcl", 1, stops(&folder, position), SHOW_ERROR)
        }
        _ => root_file::check(&folder, state.root.as_deref(), &neighbours),
    };
    Readiness {
        unit: unit_finding(customer, &folder, &state, &said, &root),
        root,
        dependents: self::dependents(&folder, said.graph.as_ref()),
        helper: said.rendered.as_ref().and_then(rendered_unit::helper),
        unchecked: said.missing,
    }
}

const SHOW_ERROR: &str = "correct that line, or the file that it reads; `terragrunt hcl validate` shows the error";

fn init(customer: &Path, option: &str) -> String {
    format!("run `config-backup init {}{option}`", customer.display())
}

fn ask_terragrunt(folder: &Path, limit: Duration) -> Said {
    let terragrunt = match Terragrunt::find(limit) {
        Ok(terragrunt) => terragrunt,
        Err(why) => return Said { missing: Some(why), ..Said::default() },
    };
    let mut said = Said::default();
    said.graph = said.take(terragrunt.graph(folder));
    // Terragrunt would run Terraform in the other units to render their outputs.
    if !said.depends_on_others() && said.missing.is_none() {
        said.rendered = said.take(terragrunt.render(&folder.join(UNIT)));
    }
    if said.missing.is_none() && said.refused.is_none() {
        let _ = said.take(terragrunt.read_all(folder));
    }
    said
}

impl Said {
    fn take<T>(&mut self, answer: Answer<T>) -> Option<T> {
        match answer {
            Answer::Told(answer) => return Some(answer),
            Answer::Refused(refusal) => self.refused = Some(refusal),
            Answer::Missing(why) => self.missing = Some(why),
        }
        None
    }

    fn depends_on_others(&self) -> bool {
        self.graph.as_ref().is_some_and(|graph| graph.dependencies.iter().any(|(unit, _)| unit == UNIT))
    }
}

/// What `init` has to repair first.
fn incomplete(customer: &Path, state: &UnitFolder) -> Option<Finding> {
    let bad = |seen: String, fix: String| Some(Finding::bad("unit", 1, seen, fix));
    if state.is_foreign() {
        let whose = if state.origin == Origin::LegacyModule { "the legacy module" } else { "files that config-backup did not write" };
        let fix = init(customer, " --force") + ", which sets them aside as *.bak";
        return bad(format!("`{}` has {whose}", state.path.display()), fix);
    }
    let listed = |action| state.names(action).join(", ");
    for (action, what) in [
        (Action::Create, "files are missing"),
        (Action::RepairLineEnds, "files have the line ends of Windows (CR LF), with which the scripts do not run"),
        (Action::Upgrade, "files are of another version"),
    ] {
        if !state.names(action).is_empty() {
            return bad(format!("{what}: {}", listed(action)), init(customer, ""));
        }
    }
    if state.has_crlf_manifest {
        return bad("unit.sha256 has the line ends of Windows (CR LF)".to_owned(), init(customer, ""));
    }
    None
}

fn unit_finding(customer: &Path, folder: &Path, state: &UnitFolder, said: &Said, root: &Finding) -> Finding {
    let text = read_text(&state.path.join(TERRAGRUNT_HCL)).unwrap_or_default();
    let rendered = said.rendered.as_ref().map(|unit| rendered_unit::problems(unit, folder)).unwrap_or_default();
    let (failures, notes): (Vec<Problem>, Vec<Problem>) = rendered.into_iter().partition(|problem| problem.is_failure);
    let textual = hcl::blocks(&text).iter().find_map(never_runs);
    if let Some(finding) = stopped(folder, said, root) {
        return finding;
    }
    if let Some((seen, fix)) = textual.or_else(|| failures.first().map(|failure| (failure.seen, failure.fix))) {
        return Finding::bad("unit", 1, seen, fix);
    }
    if let Some(finding) = left_out(folder, said) {
        return finding;
    }
    let overwritten = said.rendered.as_ref().map(rendered_unit::overwritten_files);
    let clashes = state.clashes(&overwritten.unwrap_or_else(|| root_file::texts(folder, state.root.as_deref())));
    if !clashes.is_empty() {
        let seen = format!("other Terraform files in the folder make Terraform fail: {}", clashes.join(", "));
        return Finding::bad("unit", 1, seen, init(customer, " --force") + ", which sets them aside as *.bak");
    }
    let unchecked = said.missing.as_ref().map_or_else(String::new, |why| format!("; not checked by terragrunt: {why}"));
    let changed = state.names(Action::Keep);
    if !changed.is_empty() {
        let mut seen = format!("changed since they were written: {}{unchecked}", changed.join(", "));
        for note in notes {
            seen = seen + "; " + note.seen;
        }
        return Finding::note("unit", seen, "if that is not intended, ".to_owned() + &init(customer, " --force"));
    }
    if let Some(note) = notes.first() {
        return Finding::note("unit", note.seen, note.fix);
    }
    Finding::ok("unit", format!("`{}` is as version {} writes it{unchecked}", state.path.display(), env!("CARGO_PKG_VERSION")))
}

/// A block of our `terragrunt.hcl` by which the unit may not run; a condition may hold on another machine only.
fn never_runs(block: &Block) -> Option<(&'static str, &'static str)> {
    match block.kind.as_str() {
        "exclude" if !block.is("if", "false") => Some((
            "`terragrunt.hcl` has an `exclude` block: the unit may not run, and then nothing is logged",
            "remove it; check for drift with `--filter '!./config-backup'`",
        )),
        "dependency" | "dependencies" => Some((
            "`terragrunt.hcl` depends on other units: if one fails, nothing is logged",
            "remove its `dependency` and `dependencies` blocks",
        )),
        _ => None,
    }
}

/// An error by which Terragrunt stops before a unit runs.
fn stopped(folder: &Path, said: &Said, root: &Finding) -> Option<Finding> {
    let refusal = said.refused.as_ref()?;
    if root.exit != 0 {
        return Some(Finding::unknown("unit", "not checked, because Terragrunt cannot read the root file"));
    }
    let finding = match refusal {
        Refusal::At(position) => Finding::bad("unit", 1, stops(folder, position), SHOW_ERROR),
        Refusal::Unknown => {
            let fix = "run `terragrunt hcl validate` in the customer folder, and correct what it shows";
            Finding::bad("unit", 1, "`terragrunt apply --all` stops before a unit runs", fix)
        }
    };
    Some(finding)
}

fn stops(folder: &Path, position: &Position) -> String {
    let file = position.file.strip_prefix(folder).unwrap_or(&position.file).display();
    format!("`terragrunt apply --all` stops before a unit runs: Terragrunt cannot evaluate `{file}`, line {}", position.line)
}

/// Whether a run of all units leaves ours out.
fn left_out(folder: &Path, said: &Said) -> Option<Finding> {
    let graph = said.graph.as_ref()?;
    if said.depends_on_others() {
        let blocks = "remove its `dependency` and `dependencies` blocks";
        return Some(Finding::bad("unit", 1, "the unit depends on other units: if one fails, nothing is logged", blocks));
    }
    if graph.units.iter().any(|unit| unit == UNIT) {
        return None;
    }
    let files = FILTER_FILES.iter().filter(|name| folder.join(name).exists());
    let variables = FILTERS.iter().filter(|name| host::var(name).is_some());
    let causes: Vec<String> = files.chain(variables).map(|name| format!("`{name}`")).collect();
    let causes = if causes.is_empty() { "a filter of Terragrunt".to_owned() } else { causes.join(" or ") };
    let seen = format!("`terragrunt apply --all` leaves the unit out because of {causes}: nothing is logged");
    Some(Finding::bad("unit", 1, seen, "let it include `config-backup`"))
}

/// Units that would run only after ours, and that a failure of ours would stop.
fn dependents(folder: &Path, graph: Option<&Graph>) -> Finding {
    let Some(mut names) = neighbours::dependents(folder) else {
        return Finding::unknown("dependents", "there are too many files to read");
    };
    for (unit, other) in graph.map(|graph| graph.dependencies.as_slice()).unwrap_or_default() {
        let file = format!("{unit}/{TERRAGRUNT_HCL}");
        if other == UNIT && !names.contains(&file) {
            names.push(file);
        }
    }
    if names.is_empty() {
        return Finding::ok("dependents", "no unit of this folder depends on it");
    }
    let seen = format!("units depend on it, so they wait for it and need its outputs: `{}`", names.join("`, `"));
    Finding::bad("dependents", 1, seen, "remove those `dependency` blocks and `dependencies` paths")
}
