//! One line on a terminal that shows how many records are read; it is erased at the end.

use std::io::Write;
use std::time::{Duration, Instant};

/// The first drawing waits as long, so that a quick command shows no line.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);
const BAR_WIDTH: u64 = 20;

#[derive(Debug)]
pub struct ProgressLine<W: Write> {
    terminal: Option<W>,
    last_drawn: Instant,
    is_shown: bool,
    listed_count: u64,
    done_count: u64,
}

impl<W: Write> ProgressLine<W> {
    /// Without a terminal, nothing is drawn.
    pub fn new(terminal: Option<W>) -> Self {
        Self {
            terminal,
            last_drawn: Instant::now(),
            is_shown: false,
            listed_count: 0,
            done_count: 0,
        }
    }

    pub fn add_listed(&mut self, number: usize) {
        self.listed_count += number as u64;
        self.redraw();
    }

    pub fn add_done(&mut self, number: usize) {
        self.done_count += number as u64;
        self.redraw();
    }

    fn redraw(&mut self) {
        let Some(terminal) = &mut self.terminal else {
            return;
        };
        if self.last_drawn.elapsed() < REDRAW_INTERVAL {
            return;
        }

        let bar = format_bar(self.done_count, self.listed_count);
        let (done, listed) = (self.done_count, self.listed_count);
        // Errors are ignored because a report does not need its progress line.
        let _ = write!(terminal, "\r[{bar:<20}] {done} of {listed} records\x1b[K");
        let _ = terminal.flush();
        self.last_drawn = Instant::now();
        self.is_shown = true;
    }

    /// Erases the line.
    pub fn clear(&mut self) {
        if !self.is_shown {
            return;
        }
        if let Some(terminal) = &mut self.terminal {
            let _ = write!(terminal, "\r\x1b[K");
            let _ = terminal.flush();
        }
        self.is_shown = false;
    }
}

fn format_bar(done: u64, listed: u64) -> String {
    let scaled = done.saturating_mul(BAR_WIDTH);
    let filled = match scaled.checked_div(listed) {
        Some(filled) => filled.min(BAR_WIDTH),
        None => 0,
    };
    (0..filled).map(|_| '#').collect()
}
