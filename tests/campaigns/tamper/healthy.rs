//! Histories without an edit, in which nothing may be found.
