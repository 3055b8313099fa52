//! Runs a composite action as GitHub's runner does, as far as `action.yml` needs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{project_dir, to_text};

/// The files through which the steps of a job talk with the runner.
pub struct ActionRunner {
    folder: PathBuf,
    /// `action.yml`.
    definition: Value,
}

/// How the steps of an action ended.
#[derive(Debug)]
pub struct ActionRun {
    pub code: Option<i32>,
    /// stdout and stderr.
    pub output: String,
}

impl ActionRunner {
    /// A runner whose files are in `folder`.
    pub fn new(folder: &Path, definition: Value) -> Self {
        fs::create_dir_all(folder.join("temp")).expect("a folder");
        for name in ["path", "summary"] {
            fs::write(folder.join(name), "").expect("a file");
        }
        Self {
            folder: folder.to_owned(),
            definition,
        }
    }

    /// Runs the steps of the action whose condition is true, until one of them fails.
    pub fn run(&self, new_command: &dyn Fn(&str) -> Command, inputs: &[(&str, &str)]) -> ActionRun {
        let mut run = ActionRun {
            code: Some(0),
            output: String::new(),
        };
        let steps = self.definition["runs"]["steps"].as_array().expect("steps");
        for step in steps {
            let condition = step["if"].as_str().expect("each step has a condition");
            if run.code != Some(0) || !self.is_true(condition, inputs) {
                continue;
            }
            let script = step["run"].as_str().expect("a script");
            assert!(!script.contains("${{"), "an expression in a script");
            let mut shell = new_command(step["shell"].as_str().expect("a shell"));
            shell.args(["-e", "-c", script]);
            self.prepare(&mut shell);
            let variables = step["env"].as_object().expect("variables");
            for (name, value) in variables {
                let value = self.evaluate(value.as_str().expect("a text"), inputs);
                shell.env(name, value);
            }
            let output = shell.output().expect("a shell");
            run.code = output.status.code();
            run.output += &to_text(&output.stdout);
            run.output += &to_text(&output.stderr);
        }
        run
    }

    /// Sets what the runner gives to each step; the folders that steps added to PATH come first.
    pub fn prepare(&self, command: &mut Command) {
        let variables = command.get_envs();
        let path = variables
            .filter(|(name, _)| *name == "PATH")
            .find_map(|(_, value)| value)
            .expect("a PATH")
            .to_owned();
        let added = self.added_paths().into_iter().rev();
        let folders = added.chain(std::env::split_paths(&path));
        command
            .env("PATH", std::env::join_paths(folders).expect("a PATH"))
            .env("GITHUB_ACTION_PATH", project_dir())
            .env("GITHUB_PATH", self.folder.join("path"))
            .env("GITHUB_STEP_SUMMARY", self.folder.join("summary"))
            .env("RUNNER_TEMP", self.folder.join("temp"));
    }

    /// The folders that steps added to PATH.
    pub fn added_paths(&self) -> Vec<PathBuf> {
        let text = fs::read_to_string(self.folder.join("path")).expect("a file");
        text.lines().map(PathBuf::from).collect()
    }

    /// What steps wrote into the summary of the job.
    pub fn summary(&self) -> String {
        fs::read_to_string(self.folder.join("summary")).expect("a file")
    }

    fn input(&self, name: &str, inputs: &[(&str, &str)]) -> String {
        let declared = &self.definition["inputs"][name];
        let default = declared["default"].as_str();
        let default = default.unwrap_or_else(|| panic!("no input `{name}`"));
        let given = inputs.iter().find(|(known, _)| *known == name);
        given.map_or(default, |(_, value)| value).to_owned()
    }

    /// A comparison of an input with a text, the only kind of condition in `action.yml`.
    fn is_true(&self, condition: &str, inputs: &[(&str, &str)]) -> bool {
        let words: Vec<&str> = condition.split(' ').collect();
        let [name, operator, text] = words[..] else {
            panic!("{condition}");
        };
        let name = name.strip_prefix("inputs.").expect("an input");
        let is_equal = self.input(name, inputs) == text.trim_matches('\'');
        match operator {
            "==" => is_equal,
            "!=" => !is_equal,
            _ => panic!("{condition}"),
        }
    }

    fn evaluate(&self, text: &str, inputs: &[(&str, &str)]) -> String {
        let expression = text
            .strip_prefix("${{ ")
            .and_then(|text| text.strip_suffix(" }}"))
            .unwrap_or_else(|| panic!("{text}"));
        match expression.strip_prefix("inputs.") {
            Some(name) => self.input(name, inputs),
            None if expression == "github.action_repository" => String::new(),
            None => panic!("{expression}"),
        }
    }
}
