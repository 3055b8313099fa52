//! Numbers as the page writes them.
//!
//! Pure. Whole numbers only, so that nothing is rounded where it should not be.

use std::fmt::{self, Display, Formatter};

/// With thousands apart: `12,345`.
#[derive(Debug, Clone, Copy)]
pub struct GroupedNumber(pub u64);

/// Short enough for an axis: `1,500`, `20k`, `1.5M`.
#[derive(Debug, Clone, Copy)]
pub struct AbbreviatedCount(pub u64);

/// `part / whole * of`, cut off after hundredths: a length in a drawing.
#[derive(Debug, Clone, Copy)]
pub struct Fraction {
    /// How much of …
    pub part: u64,
    /// … how much …
    pub whole: u64,
    /// … of this length.
    pub scale: u64,
}

/// `part` of `whole` in whole per cent: `12%`, `<1%`.
#[derive(Debug, Clone, Copy)]
pub struct WholePercent {
    /// How much of …
    pub part: u64,
    /// … how much.
    pub whole: u64,
}

impl Display for GroupedNumber {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.char_indices() {
            let comma = if place > 0 && (digits.len() - place).is_multiple_of(3) {
                ","
            } else {
                ""
            };
            write!(f, "{comma}{digit}")?;
        }
        Ok(())
    }
}

impl Display for AbbreviatedCount {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (tenths, unit) = match self.0 {
            count if count >= 1_000_000 && count.is_multiple_of(100_000) => (count / 100_000, "M"),
            count if count >= 10_000 && count.is_multiple_of(100) => (count / 100, "k"),
            count => return GroupedNumber(count).fmt(f),
        };
        match tenths % 10 {
            0 => write!(f, "{}{unit}", GroupedNumber(tenths / 10)),
            tenth => write!(f, "{}.{tenth}{unit}", GroupedNumber(tenths / 10)),
        }
    }
}

impl Display for Fraction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let hundredths =
            u128::from(self.part) * u128::from(self.scale) * 100 / u128::from(self.whole.max(1));
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

impl Display for WholePercent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (part, whole) = (u128::from(self.part), u128::from(self.whole.max(1)));
        match (part * 200 + whole) / (whole * 2) {
            0 if part > 0 => f.write_str("<1%"),
            rounded => write!(f, "{rounded}%"),
        }
    }
}

/// `1 deployment`, `2,000 deployments`.
#[must_use]
pub fn count_grouped_noun(number: u64, what: &str) -> String {
    format!(
        "{} {what}{}",
        GroupedNumber(number),
        if number == 1 { "" } else { "s" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        let grouped =
            [0, 999, 1000, 12_345, 1_234_567].map(|number| GroupedNumber(number).to_string());
        assert_eq!(grouped, ["0", "999", "1,000", "12,345", "1,234,567"]);
        let short = [1500, 20_000, 25_500, 1_500_000, 10_001]
            .map(|number| AbbreviatedCount(number).to_string());
        assert_eq!(short, ["1,500", "20k", "25.5k", "1.5M", "10,001"]);
        let edges = [
            9900, 10_000, 10_100, 999_900, 1_000_000, 1_050_000, 1_100_000,
        ]
        .map(|number| AbbreviatedCount(number).to_string());
        assert_eq!(
            edges,
            ["9,900", "10k", "10.1k", "999.9k", "1M", "1,050k", "1.1M"]
        );
        let percent = [(0, 0), (1, 1000), (1, 3), (2, 3), (3, 3)]
            .map(|(part, whole)| WholePercent { part, whole }.to_string());
        assert_eq!(percent, ["0%", "<1%", "33%", "67%", "100%"]);
        assert_eq!(
            Fraction {
                part: 1,
                whole: 3,
                scale: 100
            }
            .to_string(),
            "33.33"
        );
        assert_eq!(
            Fraction {
                part: 1,
                whole: 16,
                scale: 100
            }
            .to_string(),
            "6.25"
        );
        assert_eq!(
            Fraction {
                part: u64::MAX,
                whole: u64::MAX,
                scale: 180
            }
            .to_string(),
            "180.00"
        );
        assert_eq!(
            [
                count_grouped_noun(1, "row"),
                count_grouped_noun(2000, "row")
            ],
            ["1 row", "2,000 rows"]
        );
    }
}
