//! Every Markdown page: its links have targets, headings named in code exist, and README.md links
//! every page of docs/.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use test_support::project_dir;

/// All Markdown pages, by their paths in the project.
pub(crate) fn markdown_pages() -> Vec<String> {
    find_files("md")
        .into_iter()
        .filter(|page| !page.starts_with("fuzz/corpus/"))
        .collect()
}

/// The files with this extension, except those in `target` and hidden folders.
pub(crate) fn find_files(kind: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![project_dir()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let file_type = entry.file_type().unwrap();
            if file_type.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(entry.path());
            } else if file_type.is_file() && entry.path().extension().is_some_and(|it| it == kind) {
                found.push(
                    entry
                        .path()
                        .strip_prefix(project_dir())
                        .unwrap()
                        .to_string_lossy()
                        .into_owned(),
                );
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn prose_lines(page: &str) -> Vec<String> {
    let text = fs::read_to_string(project_dir().join(page))
        .unwrap_or_else(|error| panic!("{page}: {error}"));
    let mut fenced = false;
    let is_prose = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    };
    text.lines().filter(is_prose).map(str::to_owned).collect()
}

fn find_links(page: &str) -> Vec<String> {
    // Text in backticks is not a link.
    let text = prose_lines(page)
        .join("\n")
        .split('`')
        .step_by(2)
        .collect::<Vec<_>>()
        .join("`");
    text.split("](")
        .skip(1)
        .filter_map(|tail| tail.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

fn find_headings(page: &str) -> Vec<String> {
    let of = |line: &String| {
        line.strip_prefix('#')
            .map(|line| line.trim_start_matches('#').trim().to_owned())
    };
    prose_lines(page).iter().filter_map(of).collect()
}

/// The anchor that GitHub makes of a heading.
fn heading_anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .collect::<String>();
    kept.replace(' ', "-")
}

/// The path of `target` as seen from `page`, in the project; `None` where it leaves the project.
fn resolve_link(page: &str, target: &str) -> Option<String> {
    let mut path = PathBuf::from(page).parent()?.to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => path.pop().then_some(())?,
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(path.to_string_lossy().into_owned())
}

/// The problem with a link, if there is one.
fn check_link(page: &str, link: &str) -> Option<String> {
    let (target, name) = link.split_once('#').unwrap_or((link, ""));
    let there = if target.is_empty() {
        page.to_owned()
    } else {
        resolve_link(page, target)?
    };
    // `init` copies this README into customer folders, where the other files do not exist.
    if page == "terraform/README.md" && !there.starts_with("terraform/") {
        return Some(format!("{page}: {link} leaves the unit"));
    }
    if !project_dir().join(&there).exists() {
        return Some(format!("{page}: there is no {there}"));
    }
    let is_there = name.is_empty()
        || find_headings(&there)
            .iter()
            .any(|heading| heading_anchor(heading) == name);
    (!is_there).then(|| format!("{page}: {there} has no heading for #{name}"))
}

#[test]
fn every_link_has_a_target() {
    let relative = |link: &&String| !link.contains("://") && !link.starts_with("mailto:");
    let mut count = 0;
    let mut broken = Vec::new();
    for page in markdown_pages() {
        let links = find_links(&page);
        count += links.iter().filter(relative).count();
        broken.extend(
            links
                .iter()
                .filter(relative)
                .filter_map(|link| check_link(&page, link)),
        );
    }
    assert!(count > 20, "only {count} links were found");
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The paths of the project that a page names in backticks, without placeholders such as `NAME`.
fn named_paths(page: &str) -> Vec<String> {
    const FOLDERS: [&str; 8] = [
        "src/",
        "crates/",
        "tests/",
        "tools/",
        "docs/",
        "fuzz/",
        "terraform/",
        "examples/",
    ];
    let text = prose_lines(page).join("\n");
    let spans = text.split('`').skip(1).step_by(2);
    let is_path = |span: &&str| {
        FOLDERS.iter().any(|folder| span.starts_with(folder))
            && !span.contains("NAME")
            && !span.contains(|c: char| c.is_whitespace() || "*<>{}…".contains(c))
    };
    spans.filter(is_path).map(str::to_owned).collect()
}

#[test]
fn every_named_path_exists() {
    let mut count = 0;
    for page in markdown_pages() {
        for path in named_paths(&page) {
            count += 1;
            assert!(
                project_dir().join(&path).exists(),
                "{page}: there is no {path}"
            );
        }
    }
    assert!(count > 20, "only {count} paths were found");
}

#[test]
fn detects_a_broken_link() {
    assert_eq!(
        heading_anchor("The bucket: `iam bucket`"),
        "the-bucket-iam-bucket"
    );
    assert_eq!(check_link("docs/sql.md", "../README.md"), None);
    assert_eq!(
        check_link("docs/sql.md", "permissions.md#the-bucket-iam-bucket"),
        None
    );
    for link in [
        "none.md",
        "../README.md#no-such-heading",
        "#no-such-heading",
    ] {
        assert!(check_link("docs/sql.md", link).is_some(), "{link}");
    }
}

#[test]
fn the_readme_links_every_page_and_picture_of_docs() {
    let linked: BTreeSet<String> = find_links("README.md")
        .iter()
        .filter_map(|link| resolve_link("README.md", link.split('#').next().unwrap()))
        .collect();
    for folder in ["docs", "docs/reference", "docs/dev"] {
        for entry in fs::read_dir(project_dir().join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            let is_page = entry.path().is_file();
            assert!(
                !is_page || linked.contains(&name),
                "README.md has no link to {name}"
            );
        }
    }
}

#[test]
fn headings_named_in_the_code_exist() {
    let mut count = 0;
    for file in find_files("rs")
        .into_iter()
        .chain(find_files("py"))
        .chain(find_files("toml"))
    {
        let text = fs::read_to_string(project_dir().join(&file)).unwrap();
        for (before, after) in text.split(".md, \"").zip(text.split(".md, \"").skip(1)) {
            let name: String = before
                .chars()
                .rev()
                .take_while(|c| c.is_ascii_alphanumeric() || "/_-".contains(*c))
                .collect();
            let page = name.chars().rev().collect::<String>() + ".md";
            let heading = after.split('"').next().unwrap();
            if page != ".md" {
                count += 1;
                assert!(
                    find_headings(&page).iter().any(|it| it == heading),
                    "{file}: {page} has no \"{heading}\""
                );
            }
        }
    }
    assert!(count > 5, "only {count} were found");
}
