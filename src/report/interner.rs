//! Each distinct text once: a million records name the same few customers, users and projects.
//!
//! Pure. Must not know what the texts mean.

use indexmap::IndexSet;

/// Stands for a text of a [`Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(u32);

/// Texts, each kept once.
#[derive(Debug, Default)]
pub struct StringInterner(IndexSet<Box<str>>);

impl StringInterner {
    /// The name of a text.
    ///
    /// # Panics
    /// Beyond 2³² distinct texts, for which no machine has the memory.
    pub fn intern(&mut self, text: &str) -> Symbol {
        let place = self
            .0
            .get_index_of(text)
            .unwrap_or_else(|| self.0.insert_full(text.into()).0);
        Symbol(u32::try_from(place).expect("fewer texts than addresses"))
    }

    /// The text that a name of this set stands for.
    #[must_use]
    pub fn resolve(&self, name: Symbol) -> &str {
        self.0.get_index(name.0 as usize).map_or("", AsRef::as_ref)
    }
}
