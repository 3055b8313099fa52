//! The cache of a run, until it fails.

use std::mem;

use crate::error::{Error, ErrorKind};
use crate::report::cache::{CacheError, RecordCache};

#[derive(Debug)]
pub(super) enum CacheState {
    /// The run has no cache, or a method of the collector uses it at the moment.
    Absent,
    Open(RecordCache),
    Failed(CacheFailure),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheOperation {
    /// After a failure, nothing that the cache returned can be trusted.
    Read,
    Write,
}

#[derive(Debug)]
pub struct CacheFailure {
    pub message: String,
    pub operation: CacheOperation,
    /// Whether the cache fails until it is deleted.
    pub is_corrupt: bool,
    /// Whether it was a temporary cache for archive files.
    pub is_temporary: bool,
}

impl CacheState {
    pub(super) fn new(cache: Option<RecordCache>) -> Self {
        match cache {
            Some(cache) => Self::Open(cache),
            None => Self::Absent,
        }
    }

    /// The caller puts the cache back with [`CacheState::put_back`].
    pub(super) fn take(&mut self) -> Option<RecordCache> {
        match mem::replace(self, Self::Absent) {
            Self::Open(cache) => Some(cache),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Puts the cache back after it was read, unless that failed.
    pub(super) fn put_back<T>(
        &mut self,
        cache: RecordCache,
        result: Result<T, CacheError>,
    ) -> Result<T, Error> {
        match result {
            Ok(value) => {
                *self = Self::Open(cache);
                Ok(value)
            }
            Err(error) => {
                let failure = CacheFailure::new(&cache, &error, CacheOperation::Read);
                let message = failure.message.clone();
                *self = Self::Failed(failure);
                Err(Error::new(ErrorKind::Local, message, ""))
            }
        }
    }

    pub(super) fn fail(
        &mut self,
        cache: &RecordCache,
        error: &CacheError,
        operation: CacheOperation,
    ) {
        *self = Self::Failed(CacheFailure::new(cache, error, operation));
    }

    pub(super) fn into_failure(self) -> Option<CacheFailure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Absent | Self::Open(_) => None,
        }
    }
}

impl CacheFailure {
    fn new(cache: &RecordCache, error: &CacheError, operation: CacheOperation) -> Self {
        let what = match operation {
            CacheOperation::Read => "cannot read the cache",
            CacheOperation::Write => "cannot write the cache",
        };
        let path = cache.database_path().display();
        Self {
            message: format!("{what} `{path}`: {}", error.message),
            operation,
            is_corrupt: error.is_corrupt,
            is_temporary: !cache.is_persistent(),
        }
    }
}
