//! The request log: every answered request in memory and, where a file is named, as one JSON line each.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::request::RequestSummary;

/// Requests in the order of their answers.
pub(crate) struct RequestLog(Mutex<LogState>);

struct LogState {
    requests: Vec<RequestSummary>,
    file: Option<File>,
}

impl RequestLog {
    pub(crate) fn open(file: Option<&Path>) -> io::Result<RequestLog> {
        let open = |path: &Path| {
            let file = File::options().create(true).append(true).open(path);
            file.map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("cannot open log `{}`: {error}", path.display()),
                )
            })
        };
        let file = file.map(open).transpose()?;
        Ok(RequestLog(Mutex::new(LogState {
            requests: Vec::new(),
            file,
        })))
    }

    /// Appends a request in one write, so that readers never see a partial line.
    pub(crate) fn push(&self, request: RequestSummary) -> io::Result<()> {
        let mut inner = self.lock();
        if let Some(file) = &mut inner.file {
            let mut line = serde_json::to_vec(&request)?;
            line.push(b'\n');
            file.write_all(&line)?;
        }
        inner.requests.push(request);
        Ok(())
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<RequestSummary> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
