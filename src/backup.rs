//! `backup`: keeps the config on this machine, in a deployment whose plan found another one in the bucket.
//!
//! Always exits 0, and asks nobody: `log` follows in every deployment, brings the config into the bucket together with the
//! usage record, over the same connections, and says what became of both. So it warns of nothing either.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::config;
use crate::deployment::{Run, carry_out, not_yet, unreadable, unsent};
use crate::fault::{Fault, Kind};
use crate::journal::{self, Journal};
use crate::programs;
use crate::protocol::Query;
use crate::record::Backup;
use crate::verdict::config_line;

/// Keeps the config.
pub fn run(input: impl Read, mut output: impl Write) -> Result<()> {
    let query = match Query::read(input) {
        Ok(query) => query,
        Err(error) => return say(&mut output, &format!("config.yaml is not backed up yet: {error:#}")),
    };
    let bucket = query.bucket.clone();
    let run = Run::begin(query);
    let start = Journal { config: Some(unreadable(not_yet())), ..run.journal.clone() };
    let config = carry_out(run, start, work).config.unwrap_or_else(|| unreadable(not_yet()));
    say(&mut output, &config_line(&config, &bucket))
}

fn work(mut run: Run, tell: &mut dyn FnMut(Journal)) {
    let config = match config::read(Path::new(&run.query.config_file_path)) {
        Ok(config) => config,
        Err(fault) => {
            run.journal.config = Some(unreadable(fault));
            return run.tell(tell);
        }
    };
    let subject = config::subject(&run.query, Some(&config));
    if run.in_step_at_plan(&config) {
        // A Terraform state that does not know of the bucket's version yet. It is `log` that finds out whether it is still there.
        let key = run.query.backup_key.clone();
        let unchanged = journal::Config { backup: Backup::Unchanged, key, md5: config.digests.md5, fault: None };
        return tell(Journal { config: Some(unchanged), ..run.journal });
    }
    let (item, kept) = run.keep_config(&config, &subject, &run.query.target(&subject.profile));
    run.journal.config = Some(unsent(&item, &kept, not_yet()));
    run.journal.driver = programs::driver();
    run.tell(tell);
    run.journal.settle(&not_yet(), &Fault::new(Kind::Local, "it is sent with the usage record", ""));
    tell(run.journal);
}

fn say(output: &mut impl Write, line: &str) -> Result<()> {
    writeln!(output, "config-backup: {line}").context("write to stdout")
}
