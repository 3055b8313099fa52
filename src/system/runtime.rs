//! The asynchronous runtime.

use crate::error::{Error, ErrorKind};

/// Runs asynchronous work on this thread.
///
/// # Errors
/// The runtime cannot be started.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|error| Error::new(ErrorKind::Local, format!("start the runtime: {error}"), ""))?;
    let done = runtime.block_on(work);
    // A thread of the runtime that is stuck must not hold the process up.
    runtime.shutdown_background();
    Ok(done)
}
