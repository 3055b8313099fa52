//! How far the report has come, on one line of a terminal that is drawn over and taken away at the end.
//!
//! Writes nothing where nobody watches.

use std::io::Write;
use std::time::{Duration, Instant};

/// Not more often than an eye can follow, and not before somebody wonders.
const EVERY: Duration = Duration::from_millis(100);

/// The line.
#[derive(Debug)]
pub struct Progress<W: Write> {
    terminal: Option<W>,
    drawn: Instant,
    shown: bool,
    listed: u64,
    done: u64,
}

impl<W: Write> Progress<W> {
    /// A line on `terminal`, or none at all.
    pub fn new(terminal: Option<W>) -> Self {
        Self { terminal, drawn: Instant::now(), shown: false, listed: 0, done: 0 }
    }

    /// So many more records are known.
    pub fn listed(&mut self, number: usize) {
        self.listed += number as u64;
        self.draw();
    }

    /// So many more have been read.
    pub fn done(&mut self, number: usize) {
        self.done += number as u64;
        self.draw();
    }

    fn draw(&mut self) {
        let Some(terminal) = self.terminal.as_mut().filter(|_| self.drawn.elapsed() >= EVERY) else { return };
        let share = self.done.saturating_mul(20).checked_div(self.listed).unwrap_or_default().min(20);
        let bar = "#".repeat(usize::try_from(share).unwrap_or_default());
        // A terminal that cannot be written to is no reason to fail.
        let _ = write!(terminal, "\r[{:<20}] {} of {} records\x1b[K", bar, self.done, self.listed);
        let _ = terminal.flush();
        (self.drawn, self.shown) = (Instant::now(), true);
    }

    /// Takes the line away.
    pub fn end(&mut self) {
        if let Some(terminal) = self.terminal.as_mut().filter(|_| self.shown) {
            let _ = write!(terminal, "\r\x1b[K");
            let _ = terminal.flush();
            self.shown = false;
        }
    }
}
