//! Reads HCL files with the crate `hcl-edit`, also files that are half written.
//!
//! Evaluates nothing, so it also works where Terragrunt is missing.

use hcl_edit::Decorated;
use hcl_edit::parser::Error as ParseError;
use hcl_edit::structure::{Block, Body};
use hcl_edit::template::{HeredocTemplate, StringTemplate};
use hcl_edit::visit::Visit;

/// How often a file is repaired before it counts as empty.
const MAX_REPAIRS: usize = 16;

/// Parses as much of a file as possible.
///
/// Skips lines that do not parse, and closes blocks that are still open at the end.
pub(crate) fn parse_hcl(text: &str) -> Body {
    let mut text = text.trim_start_matches('\u{feff}').to_owned();

    for _ in 0..=MAX_REPAIRS {
        match text.parse() {
            Ok(body) => return body,
            Err(error) => repair_text(&mut text, &error),
        }
    }
    Body::new()
}

fn repair_text(text: &mut String, error: &ParseError) {
    let location = error.location();
    let after_error = text.get(location.offset() + 1..).unwrap_or_default();
    if after_error.trim().is_empty() {
        text.push_str("\n}");
        return;
    }

    let mut lines: Vec<&str> = text.split('\n').collect();
    lines[location.line() - 1] = "";
    *text = lines.join("\n");
}

/// The labels of a block, such as the name of an `include`.
pub(crate) fn block_labels(block: &Block) -> Vec<&str> {
    let mut labels = Vec::new();
    for label in &block.labels {
        labels.push(label.as_str());
    }
    labels
}

/// All texts of a file: labels, strings, and templates as they are written.
pub(crate) fn list_texts(body: &Body) -> Vec<String> {
    let mut collector = TextCollector::default();
    collector.visit_body(body);
    collector.texts
}

#[derive(Debug, Default)]
struct TextCollector {
    texts: Vec<String>,
}

impl Visit for TextCollector {
    fn visit_string(&mut self, string: &Decorated<String>) {
        self.texts.push(string.as_str().to_owned());
    }

    fn visit_string_template(&mut self, string: &StringTemplate) {
        self.texts.push(string.to_string());
    }

    fn visit_heredoc_template(&mut self, heredoc: &HeredocTemplate) {
        self.texts.push(heredoc.template.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_names(body: &Body) -> Vec<&str> {
        body.blocks().map(|block| block.ident.as_str()).collect()
    }

    #[test]
    fn reads_blocks_between_comments_heredocs_and_objects() {
        let text = "\u{feff}# dependency \"a\" { config_path = \"../no\" }\n\
            /* dependency \"b\" {\n} */\n\
            locals {\n  x = \"dependency \\\"c\\\" {\"\n  y = <<-EOT\n    \
            dependency \"d\" { config_path = \"../no\" }\n    EOT\n}\n\
            inputs = { a = { b = \"}\" } }\n\
            dependency \"e\" {\n  config_path = \"${get_env(\"A\", \"}\")}/..\" // why\n}\n\
            dependencies {\n  paths = [\"../x\", # and\n    \"../config-backup\"]\n}\n\
            exclude {\n  if = false\n  actions = [\"all\"]\n}\n";
        for text in [text.to_owned(), text.replace('\n', "\r\n")] {
            let body = parse_hcl(&text);
            let names = ["locals", "dependency", "dependencies", "exclude"];
            assert_eq!(block_names(&body), names);
            assert!(body.has_attribute("inputs"));
        }
    }

    #[test]
    fn reads_what_it_can_of_a_half_written_file() {
        for (text, names) in [
            (
                "dependency \"x\" {\n  config_path = \"../y\"\n",
                vec!["dependency"],
            ),
            ("a {\n  b {\n    c = 1\n", vec!["a"]),
            ("a {}\n}}\nb {}\n", vec!["a", "b"]),
            ("a {\n  x = \"y\n}\nb {\n}\n", vec!["a", "b"]),
            ("a {\n  x = \"y \"z\" {} }\"\n}\nb {}", vec!["a", "b"]),
            ("x = 1\nx = 2\nb {}\n", vec!["b"]),
            ("a {", vec!["a"]),
            ("", vec![]),
            ("{", vec![]),
        ] {
            assert_eq!(block_names(&parse_hcl(text)), names, "{text}");
        }
    }

    #[test]
    fn lists_labels_strings_and_templates() {
        let body =
            parse_hcl("a \"b\" {\n  c = [\"d\", \"${e(\"f\")}/g\"]\n  h = <<EOT\ni\nEOT\n}\n");
        assert_eq!(list_texts(&body), ["b", "d", "${e(\"f\")}/g", "i\n"]);
    }

    #[test]
    fn ends_on_every_input() {
        let parts: Vec<&str> =
            "dependency~ ~\"~\\~{~}~[~]~${~%{~$${~=~\n~#~//~/*~*/~<<EOT\n~EOT\n~é~if~,"
                .split('~')
                .collect();
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..5_000 {
            let mut text = String::new();
            for _ in 0..random.usize(..40) {
                text.push_str(parts[random.usize(..parts.len())]);
            }
            let _ = list_texts(&parse_hcl(&text));
        }
        for part in ["[", "(", "{", "!", "\"${", "a {\n", "a = [", "f(", "a ? "] {
            let _ = parse_hcl(&format!("x = {}", part.repeat(100_000)));
        }
    }
}
