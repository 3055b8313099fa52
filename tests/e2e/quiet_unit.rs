//! The unit runs beside others in `--all`, so it must not fill the screen: limits for the lines
//! that terragrunt prints of it.

use std::io::Write as _;

use crate::customer_stack::{CustomerStack, TerragruntRun, with_both_tools};

with_both_tools!(the_unit_prints_few_lines);

const UNIT: &str = "config-backup";

/// The most lines of an apply with a new state, of an apply of the same config, and of a plan
/// without a change in any unit.
const MAX_FIRST_APPLY_LINES: usize = 75;
const MAX_UNCHANGED_APPLY_LINES: usize = 38;
const MAX_IDLE_PLAN_LINES: usize = 30;

/// The lines that terragrunt prints of a unit: each line of Terraform, behind the unit's name in
/// brackets, and the unit in the tree of all units.
fn count_lines(run: &TerragruntRun, unit: &str) -> usize {
    let in_brackets = format!("[{unit}]");
    let in_tree = format!("── {unit}");
    let is_of_unit = |line: &&str| line.contains(&in_brackets) || line.ends_with(&in_tree);
    run.output.lines().filter(is_of_unit).count()
}

/// Asserts that no line of the unit hides behind another form than the two that are counted.
#[track_caller]
fn assert_all_lines_counted(run: &TerragruntRun) {
    let with_name = run.output.lines().filter(|line| line.contains(UNIT));
    assert_eq!(with_name.count(), count_lines(run, UNIT), "{}", run.output);
}

fn the_unit_prints_few_lines(stack: CustomerStack) {
    let first = stack.apply_all().expect_success();
    let unchanged = stack.apply_all().expect_success();
    let idle_plan = stack
        .run_terragrunt(&["plan", "--all", "--non-interactive"])
        .expect_success();
    first.assert_healthy();
    unchanged.assert_healthy();
    for (run, limit, what) in [
        (&first, MAX_FIRST_APPLY_LINES, "first apply"),
        (&unchanged, MAX_UNCHANGED_APPLY_LINES, "unchanged apply"),
        (&idle_plan, MAX_IDLE_PLAN_LINES, "idle plan"),
    ] {
        assert_all_lines_counted(run);
        // The lines of the other units are there, and are not counted.
        let ours = count_lines(run, UNIT);
        let others = count_lines(run, "atlas-cluster") + count_lines(run, "eks-cluster");
        let all = run.output.lines().count();
        let counts = format!("{what}: {ours} lines of {UNIT}, {others} of others, {all} in all");
        assert!(others > 2 && ours + others <= all, "{counts}");
        assert!(
            ours > 2 && ours <= limit,
            "{counts}; the limit is {limit}\n{}",
            run.output
        );
        let _ = writeln!(std::io::stderr(), "{counts}");
    }
}
