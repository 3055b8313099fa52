//! The phrases in which the product says what is wrong with a file: all there are, so that none can quote the file.

/// Whether `said` is `pattern`, where each `#` stands for a whole number of at most `most`.
#[must_use]
pub fn fits(said: &str, pattern: &str, most: u64) -> bool {
    let mut rest = said;
    let mut literals = pattern.split('#');
    let Some(tail) = literals.next().and_then(|first| rest.strip_prefix(first)) else {
        return false;
    };
    rest = tail;
    for literal in literals {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if !rest[..digits]
            .parse::<u64>()
            .is_ok_and(|number| number <= most)
        {
            return false;
        }
        let Some(tail) = rest[digits..].strip_prefix(literal) else {
            return false;
        };
        rest = tail;
    }
    rest.is_empty()
}

/// Panics if one of `said` is none of `patterns`.
pub fn only_these(said: &[String], patterns: &[&str], most: u64) {
    for phrase in said {
        assert!(
            patterns.iter().any(|pattern| fits(phrase, pattern, most)),
            "`{phrase}` is not a phrase of config-backup"
        );
    }
}
