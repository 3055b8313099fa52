//! The progress of a report, on one line of a terminal that is redrawn and cleared at the end.

use std::io::Write;
use std::time::{Duration, Instant};

/// Also the delay before the first drawing, so that a fast report shows no progress.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);
const BAR_WIDTH: u64 = 20;
const CLEAR_TO_END_OF_LINE: &str = "\x1b[K";

#[derive(Debug)]
pub struct ProgressLine<W: Write> {
    terminal: Option<W>,
    last_drawn: Instant,
    is_shown: bool,
    listed_count: u64,
    done_count: u64,
}

impl<W: Write> ProgressLine<W> {
    /// Draws nothing without a `terminal`.
    pub fn new(terminal: Option<W>) -> Self {
        Self {
            terminal,
            last_drawn: Instant::now(),
            is_shown: false,
            listed_count: 0,
            done_count: 0,
        }
    }

    /// More records were listed.
    pub fn add_listed(&mut self, count: usize) {
        self.listed_count += count as u64;
        self.redraw();
    }

    /// More records were read.
    pub fn add_done(&mut self, count: usize) {
        self.done_count += count as u64;
        self.redraw();
    }

    fn redraw(&mut self) {
        if self.last_drawn.elapsed() < REDRAW_INTERVAL {
            return;
        }
        let Some(terminal) = &mut self.terminal else {
            return;
        };
        let (done, listed) = (self.done_count, self.listed_count);
        let length = (done.saturating_mul(BAR_WIDTH)).checked_div(listed);
        let bar: String = (0..length.unwrap_or_default().min(BAR_WIDTH))
            .map(|_| '#')
            .collect();
        // The report goes on even if the terminal cannot be written to.
        let _ = write!(
            terminal,
            "\r[{bar:<20}] {done} of {listed} records{CLEAR_TO_END_OF_LINE}"
        );
        let _ = terminal.flush();
        self.last_drawn = Instant::now();
        self.is_shown = true;
    }

    pub fn clear(&mut self) {
        if !self.is_shown {
            return;
        }
        if let Some(terminal) = &mut self.terminal {
            let _ = write!(terminal, "\r{CLEAR_TO_END_OF_LINE}");
            let _ = terminal.flush();
        }
        self.is_shown = false;
    }
}
