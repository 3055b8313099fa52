//! How far the report has come, on one line of a terminal that is drawn over and taken away at the end.
//!
//! Writes nothing where nobody watches.

use std::io::Write;
use std::time::{Duration, Instant};

/// Not more often than an eye can follow, and not before somebody wonders.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// The line.
#[derive(Debug)]
pub struct ProgressLine<W: Write> {
    terminal: Option<W>,
    last_drawn: Instant,
    is_shown: bool,
    listed_count: u64,
    done_count: u64,
}

impl<W: Write> ProgressLine<W> {
    /// A line on `terminal`, or none at all.
    pub fn new(terminal: Option<W>) -> Self {
        Self {
            terminal,
            last_drawn: Instant::now(),
            is_shown: false,
            listed_count: 0,
            done_count: 0,
        }
    }

    /// So many more records are known.
    pub fn add_listed(&mut self, number: usize) {
        self.listed_count += number as u64;
        self.redraw();
    }

    /// So many more have been read.
    pub fn add_done(&mut self, number: usize) {
        self.done_count += number as u64;
        self.redraw();
    }

    fn redraw(&mut self) {
        let Some(terminal) = self
            .terminal
            .as_mut()
            .filter(|_| self.last_drawn.elapsed() >= REDRAW_INTERVAL)
        else {
            return;
        };
        let share = self
            .done_count
            .saturating_mul(20)
            .checked_div(self.listed_count)
            .unwrap_or_default()
            .min(20);
        let bar = "#".repeat(usize::try_from(share).unwrap_or_default());
        // A terminal that cannot be written to is no reason to fail.
        let _ = write!(
            terminal,
            "\r[{:<20}] {} of {} records\x1b[K",
            bar, self.done_count, self.listed_count
        );
        let _ = terminal.flush();
        (self.last_drawn, self.is_shown) = (Instant::now(), true);
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if let Some(terminal) = self.terminal.as_mut().filter(|_| self.is_shown) {
            let _ = write!(terminal, "\r\x1b[K");
            let _ = terminal.flush();
            self.is_shown = false;
        }
    }
}
