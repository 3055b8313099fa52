//! Objects that cannot be read although others can.
//!
//! Such an object is a finding, and all others are read. But a missing permission or a dead network
//! makes every object unreadable: then the command fails. Must not know what the objects are.

use crate::error::{Error, ErrorKind};
use crate::s3::listing::ListRequest;
use crate::s3::store::ObjectStore;

/// With more failures than this, they are not about single objects.
const MAX_FAILED_OBJECTS: usize = 100;

/// Counts what could be read, and what could not although it may concern one object only.
#[derive(Debug, Default)]
pub(crate) struct ObjectFailures {
    read_count: usize,
    failure_count: usize,
    /// The first error that may concern all objects.
    suspect: Option<Error>,
    /// The first error of the network, and the key of its object.
    network_suspect: Option<(String, Error)>,
}

impl ObjectFailures {
    pub(crate) fn add_read(&mut self) {
        self.read_count += 1;
    }

    pub(crate) fn has_read(&self) -> bool {
        self.read_count > 0
    }

    /// Counts an object that cannot be read, after all retries.
    ///
    /// # Errors
    /// `error`, if it concerns all objects, or if too many objects have failed.
    pub(crate) fn add_failure(&mut self, key: &str, error: &Error) -> Result<(), Error> {
        if error.is_object_error() {
            return Ok(());
        }
        self.failure_count += 1;
        if !error.may_concern_one_object() || self.failure_count > MAX_FAILED_OBJECTS {
            return Err(error.clone());
        }
        if error.is_network_error() {
            let suspect = &mut self.network_suspect;
            suspect.get_or_insert_with(|| (key.to_owned(), error.clone()));
        } else {
            self.suspect.get_or_insert_with(|| error.clone());
        }
        Ok(())
    }

    /// Adds what another part of the same run has counted.
    pub(crate) fn merge(&mut self, other: Self) {
        self.read_count += other.read_count;
        self.failure_count += other.failure_count;
        self.suspect = self.suspect.take().or(other.suspect);
        self.network_suspect = self.network_suspect.take().or(other.network_suspect);
    }

    /// Ends the count: are the failures those of single objects?
    ///
    /// # Errors
    /// The first failure, if nothing was read or if the server does not answer any more.
    pub(crate) async fn confirm(self, store: &ObjectStore) -> Result<(), Error> {
        if self.read_count == 0
            && let Some(error) = self.suspect
        {
            return Err(error);
        }
        let Some((key, error)) = self.network_suspect else {
            return Ok(());
        };
        if self.read_count == 0 {
            return Err(error);
        }
        let request = ListRequest {
            prefix: key,
            ..ListRequest::default()
        };
        match store.list_page(&request, None).await {
            Err(now) if now.is_network_error() || now.kind == ErrorKind::Credentials => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of_kind(kind: ErrorKind, status: Option<u16>) -> Error {
        Error {
            status,
            ..Error::new(kind, "failed", "")
        }
    }

    #[test]
    fn a_failure_of_one_object_does_not_end_the_command() {
        let mut failures = ObjectFailures::default();
        for _ in 0..1000 {
            let too_large = error_of_kind(ErrorKind::Service, None);
            assert_eq!(failures.add_failure("k", &too_large), Ok(()));
        }
        let denied = error_of_kind(ErrorKind::Denied, Some(403));
        for _ in 0..MAX_FAILED_OBJECTS {
            assert_eq!(failures.add_failure("k", &denied), Ok(()));
        }
        assert_eq!(failures.add_failure("k", &denied), Err(denied));
    }

    #[test]
    fn expired_credentials_end_the_command_at_once() {
        let mut failures = ObjectFailures::default();
        let expired = error_of_kind(ErrorKind::Credentials, Some(400));
        assert_eq!(failures.add_failure("k", &expired), Err(expired));
    }
}
