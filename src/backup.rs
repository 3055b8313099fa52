//! `backup`: brings the config into the bucket, in a deployment whose plan found another one there.
//!
//! Always exits 0. It warns of nothing: `log` follows in every deployment, completes what is missing and says so.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::config;
use crate::deployment::{Run, block_on, carry_out, not_yet, unreadable, unsent};
use crate::journal::Journal;
use crate::protocol::Query;
use crate::verdict::config_line;

/// Backs the config up.
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
    let target = run.query.target(&subject.profile);
    let (item, kept) = run.keep_config(&config, &subject, &target);
    run.journal.config = Some(unsent(&item, &kept, not_yet()));
    run.tell(tell);
    let sent = block_on(async {
        let store = run.open(&target, config.bytes.len()).await;
        run.send_config(store.as_ref(), &item, &config.bytes, kept).await
    });
    match sent {
        Ok(config) => run.journal.config = Some(config),
        // Then nothing was sent, and all is as it was told before.
        Err(fault) => run.journal.settle(&not_yet(), &fault),
    }
    run.tell(tell);
}

fn say(output: &mut impl Write, line: &str) -> Result<()> {
    writeln!(output, "config-backup: {line}").context("write to stdout")
}
