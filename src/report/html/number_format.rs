//! Numbers as the page writes them. Whole numbers only, so that nothing is rounded by accident.

use std::fmt::{self, Display, Formatter};

/// With thousands apart: `12,345`.
#[derive(Debug, Clone, Copy)]
pub struct GroupedNumber(pub u64);

impl Display for GroupedNumber {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.char_indices() {
            let digits_left = digits.len() - index;
            if index > 0 && digits_left.is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// Short enough for an axis: `1,500`, `20k`, `1.5M`.
#[derive(Debug, Clone, Copy)]
pub struct AbbreviatedCount(pub u64);

impl Display for AbbreviatedCount {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let count = self.0;
        let (tenths, unit) = if count >= 1_000_000 && count.is_multiple_of(100_000) {
            (count / 100_000, "M")
        } else if count >= 10_000 && count.is_multiple_of(100) {
            (count / 100, "k")
        } else {
            return GroupedNumber(count).fmt(f);
        };

        let whole = GroupedNumber(tenths / 10);
        match tenths % 10 {
            0 => write!(f, "{whole}{unit}"),
            tenth => write!(f, "{whole}.{tenth}{unit}"),
        }
    }
}

/// `part / whole * scale`, cut off after hundredths: a length in a drawing.
#[derive(Debug, Clone, Copy)]
pub struct Fraction {
    pub part: u64,
    pub whole: u64,
    pub scale: u64,
}

impl Display for Fraction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scaled = u128::from(self.part) * u128::from(self.scale) * 100;
        let hundredths = scaled / u128::from(self.whole.max(1));
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

/// `part` of `whole` in whole per cent: `12%`, `<1%`.
#[derive(Debug, Clone, Copy)]
pub struct WholePercent {
    pub part: u64,
    pub whole: u64,
}

impl Display for WholePercent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let part = u128::from(self.part);
        let whole = u128::from(self.whole.max(1));
        let rounded = (part * 200 + whole) / (whole * 2);
        if rounded == 0 && part > 0 {
            f.write_str("<1%")
        } else {
            write!(f, "{rounded}%")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sanitize::count_noun;

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
        let rows = [1, 2000].map(|number| count_noun(GroupedNumber(number), "row"));
        assert_eq!(rows, ["1 row", "2,000 rows"]);
    }
}
