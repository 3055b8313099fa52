//! The shape of the source tree: who may import whom, how long functions are, and unique type names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use test_support::project_dir;

use crate::house_rules::rust_files;

const MAX_TOP_LEVEL_ENTRIES: usize = 28;
const MAX_FUNCTION_LINES: usize = 60;
const MAX_DUPLICATE_TYPE_NAMES: usize = 2;

/// From the bottom to the top. A module may import what stands in its own layer or in one below it.
const LAYERS: [&[&str]; 8] = [
    &["defaults", "digest", "error", "exit_code"],
    &["system"],
    &["config", "keys", "output", "s3", "time_spec"],
    &["record", "redaction", "state"],
    &["archive", "chain"],
    &["snapshot"],
    &[
        "audit",
        "coverage",
        "customer_folder",
        "deployment",
        "doctor",
        "history",
        "iam",
        "report",
    ],
    &["cli", "commands"],
];

struct SourceFile {
    /// Relative to `src`.
    path: PathBuf,
    text: String,
}

struct Import {
    importer: String,
    imported: String,
    /// `file:line`
    place: String,
}

fn source_files() -> Vec<SourceFile> {
    let root = project_dir().join("src");
    let mut files = Vec::new();
    for path in rust_files("src") {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(&root).unwrap().to_owned();
        files.push(SourceFile { path, text });
    }
    files
}

/// The folder or the single file directly below `src` that a file belongs to.
fn top_level_module(path: &Path) -> String {
    let first = path
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Every mention of `crate::MODULE` outside of comments, in product code and in unit tests.
fn imports() -> Vec<Import> {
    let mut imports = Vec::new();
    for file in source_files() {
        let own_module = top_level_module(&file.path);
        if ["main", "lib"].contains(&own_module.as_str()) {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            for tail in code.split("crate::").skip(1) {
                let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
                let imported: String = tail.chars().take_while(is_name).collect();
                let place = format!("src/{}:{}", file.path.display(), index + 1);
                assert!(
                    !imported.is_empty(),
                    "{place} imports a group of `crate`: one `use` for each module"
                );
                imports.push(Import {
                    importer: own_module.clone(),
                    imported,
                    place,
                });
            }
        }
    }
    imports
}

#[test]
fn the_source_folder_is_an_overview() {
    let entries = fs::read_dir(project_dir().join("src")).unwrap().count();
    assert!(
        entries <= MAX_TOP_LEVEL_ENTRIES,
        "src has {entries} entries"
    );
}

#[test]
fn no_import_goes_upwards() {
    for import in imports() {
        let Some(own_layer) = layer_of(&import.importer) else {
            panic!(
                "{}: `{}` has no layer in this test",
                import.place, import.importer
            );
        };
        let Some(layer) = layer_of(&import.imported) else {
            panic!(
                "{}: `crate::{}` has no layer in this test",
                import.place, import.imported
            );
        };
        assert!(
            layer <= own_layer,
            "{}: `{}` imports `crate::{}`, which lies above it",
            import.place,
            import.importer,
            import.imported
        );
    }
}

#[test]
fn no_two_folders_import_each_other_in_a_circle() {
    let mut graph: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for import in imports() {
        if import.importer != import.imported {
            let edges = graph.entry(import.importer).or_default();
            edges.entry(import.imported).or_insert(import.place);
        }
    }
    // What imports nothing that is left cannot be in a circle, so it is taken away until nothing changes.
    loop {
        let left: BTreeSet<String> = graph.keys().cloned().collect();
        graph.retain(|_, edges| edges.keys().any(|imported| left.contains(imported)));
        if graph.len() == left.len() {
            break;
        }
    }
    let mut circle = String::new();
    for (importer, edges) in &graph {
        for (imported, place) in edges
            .iter()
            .filter(|(imported, _)| graph.contains_key(*imported))
        {
            let _ = write!(circle, "\n{importer} imports {imported}: {place}");
        }
    }
    assert!(graph.is_empty(), "modules in a circle:{circle}");
}

#[test]
fn commands_never_import_each_other() {
    for file in source_files()
        .iter()
        .filter(|file| file.path.starts_with("commands"))
    {
        let own_name = file
            .path
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        for tail in file.text.split("crate::commands::").skip(1) {
            let other: String = tail
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            assert!(
                other == "bucket_args" || other == own_name,
                "{} imports the command {other}",
                file.path.display()
            );
        }
    }
}

#[test]
fn functions_fit_on_a_screen() {
    for file in source_files() {
        let lines: Vec<&str> = file.text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let is_function = line.contains("fn ") && !line.trim_start().starts_with("//");
            if !is_function {
                continue;
            }
            let end_line = format!("{}}}", " ".repeat(indent));
            let Some(length) = lines[start..].iter().position(|line| *line == end_line) else {
                continue;
            };
            assert!(
                length < MAX_FUNCTION_LINES
                    || lines[start..start + length]
                        .iter()
                        .any(|line| line.trim_end().ends_with(';')
                            && line.len() - line.trim_start().len() == indent),
                "src/{}:{} has a function of {} lines",
                file.path.display(),
                start + 1,
                length + 1
            );
        }
    }
}

#[test]
fn a_type_name_stands_for_one_type() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in source_files() {
        for (index, line) in file.text.lines().enumerate() {
            let mut words = line
                .trim_start()
                .split([' ', '<', '(', '{', ';'])
                .filter(|word| !word.starts_with("pub"));
            if ["struct", "enum", "trait", "union"].contains(&words.next().unwrap_or_default()) {
                let name = words.next().unwrap_or_default().to_owned();
                places.entry(name).or_default().push(format!(
                    "src/{}:{}",
                    file.path.display(),
                    index + 1
                ));
            }
        }
    }
    assert!(places.len() > 100, "only {} types were found", places.len());
    places.retain(|_, places| places.len() > 1);
    assert!(
        places.len() <= MAX_DUPLICATE_TYPE_NAMES,
        "names of several types: {places:#?}"
    );
}

/// `write_line` and `write_message` make one harmless line of whatever a text holds.
#[test]
fn commands_write_their_lines_through_one_place() {
    const STREAMS: [&str; 5] = [
        "output",
        "messages",
        "self.output",
        "&mut output",
        "&mut messages",
    ];
    let mut found = Vec::new();
    for file in source_files() {
        let module = top_level_module(&file.path);
        if !["commands", "snapshot"].contains(&module.as_str()) {
            continue;
        }
        for (at, _) in file.text.match_indices("write") {
            let rest = &file.text[at..];
            let call = rest
                .strip_prefix("writeln!(")
                .or(rest.strip_prefix("write!("));
            let Some(call) = call else {
                continue;
            };
            let stream = call.split([',', ')']).next().unwrap().trim();
            // The colours of `diff` stand around a text that is harmless.
            let is_coloured = call.trim_start().starts_with("output, \"{colour}");
            if STREAMS.contains(&stream) && !is_coloured {
                let line = file.text[..at].lines().count();
                found.push(format!("src/{}:{line}", file.path.display()));
            }
        }
    }
    assert_eq!(
        found,
        Vec::<String>::new(),
        "use `write_line` or `write_message`"
    );
}
