//! Stores each distinct text once: a million records name the same few customers, users and
//! projects.

use indexmap::IndexSet;

/// Stands for a text of a [`StringInterner`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(u32);

#[derive(Debug, Default)]
pub struct StringInterner(IndexSet<Box<str>>);

impl StringInterner {
    /// # Panics
    /// Beyond 2³² distinct texts, which no machine has the memory for.
    pub fn intern(&mut self, text: &str) -> Symbol {
        let index = match self.0.get_index_of(text) {
            Some(index) => index,
            None => self.0.insert_full(text.into()).0,
        };
        Symbol(u32::try_from(index).expect("fewer than 2³² texts"))
    }

    #[must_use]
    pub fn resolve(&self, symbol: Symbol) -> &str {
        match self.0.get_index(symbol.0 as usize) {
            Some(text) => text,
            None => "",
        }
    }
}
