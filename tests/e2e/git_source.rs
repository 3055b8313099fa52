//! The module by its git tag, as docs/install.md shows it: in a plain root module, and in a stack.

use std::fs;
use std::path::{Path, PathBuf};

use crate::customer_stack::{CustomerStack, copy_folder, with_both_tools};
use test_support::project_dir;

with_both_tools!(
    a_root_module_takes_the_module_by_its_tag,
    a_stack_takes_the_unit_by_its_tag,
);

const REPOSITORY: &str = "https://github.com/OWNER/REPOSITORY.git";

/// The source in the page, which must have the version of this project.
fn documented_source() -> String {
    let source = format!(
        "git::{REPOSITORY}//terraform?ref=v{}",
        env!("CARGO_PKG_VERSION")
    );
    let page = fs::read_to_string(project_dir().join("docs/install.md")).unwrap();
    assert_eq!(page.matches(&format!("\"{source}\"\n")).count(), 2);
    source
}

/// Makes git find a repository with the module and the tag at the documented address.
fn serve_repository(stack: &mut CustomerStack) {
    let folder = stack.world.path().join("repository");
    copy_folder(&project_dir().join("terraform"), &folder.join("terraform"));
    let tag = concat!("v", env!("CARGO_PKG_VERSION"));
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "."],
        &["commit", "--quiet", "--message=x"],
        &["tag", tag],
        &["rm", "--quiet", "-r", "terraform"],
        &["commit", "--quiet", "--message=later"],
    ] {
        let output = stack
            .command(Path::new("git"))
            .args(["-c", "user.name=x", "-c", "user.email=x@example.com"])
            .args(arguments)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
    let key = format!("url.{}.insteadOf", folder.display());
    stack.set_variable("GIT_CONFIG_COUNT", "1");
    stack.set_variable("GIT_CONFIG_KEY_0", &key);
    stack.set_variable("GIT_CONFIG_VALUE_0", REPOSITORY);
}

/// Copies an example, and replaces the path of the module in one of its files.
fn copy_example(stack: &CustomerStack, example: &str, file: &str, path: &str) -> PathBuf {
    let there = stack.world.path().join("a project");
    copy_folder(&project_dir().join("terragrunt"), &there.join("terragrunt"));
    let folder = there.join("examples").join(example);
    copy_folder(&project_dir().join("examples").join(example), &folder);
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let quoted = format!("\"{path}\"");
    assert_eq!(text.matches(&quoted).count(), 1);
    let source = format!("\"{}\"", documented_source());
    fs::write(folder.join(file), text.replace(&quoted, &source)).unwrap();
    folder
}

fn a_root_module_takes_the_module_by_its_tag(mut stack: CustomerStack) {
    serve_repository(&mut stack);
    let root = copy_example(&stack, "terraform", "main.tf", "../../terraform");
    stack.run_tool(&root, &["init"]).expect_success();
    let applied = stack
        .run_tool(&root, &["apply", "-auto-approve"])
        .expect_success();
    assert!(!applied.has_failed_check(), "{}", applied.output);
    assert_eq!(stack.world.usage_records().len(), 1);
}

fn a_stack_takes_the_unit_by_its_tag(mut stack: CustomerStack) {
    serve_repository(&mut stack);
    let file = "terragrunt.stack.hcl";
    stack.folder = copy_example(&stack, "stack/acme", file, "../../../terraform");
    stack.apply_all().expect_success().assert_healthy();
    assert_eq!(stack.world.usage_records().len(), 1);
}
