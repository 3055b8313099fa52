//! Runs asynchronous work.

use crate::error::{Error, ErrorKind};

/// Runs asynchronous work on this thread.
///
/// # Errors
/// The runtime cannot be started.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().map_err(|error| {
        let message = format!("cannot start the asynchronous runtime: {error}");
        Error::new(ErrorKind::Local, message, "")
    })?;
    let result = runtime.block_on(work);
    // A stuck thread of the runtime must not delay the end of the process.
    runtime.shutdown_background();
    Ok(result)
}
