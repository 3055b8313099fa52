//! What the charts draw: deployments over time without gaps, the largest groups, the steps of a
//! scale.
//!
//! Pure. Must not know how it is drawn.

use std::collections::BTreeMap;

use chrono::{Datelike as _, Days, Months, NaiveDate};

use crate::report::totals::{ReportTotals, TotalsGroup};

/// Only days with deployments.
type DeploymentsPerDay = BTreeMap<NaiveDate, u64>;

/// What one bar of the chart over time stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    Day,
    /// An ISO week.
    Week,
    Month,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartBar {
    pub first_day: NaiveDate,
    pub count: u64,
}

impl TimeUnit {
    /// Selects the finest unit with a hundred bars or little more.
    #[must_use]
    pub fn for_span(first: NaiveDate, last: NaiveDate) -> Self {
        match (last - first).num_days() + 1 {
            ..=62 => Self::Day,
            63..=731 => Self::Week,
            _ => Self::Month,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first day of the unit that contains `day`.
    #[must_use]
    pub fn first_day_of(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => day,
            Self::Week => week_start(day),
            Self::Month => day.with_day(1).unwrap_or(day),
        }
    }

    /// The first day of the next unit; `None` at the end of the calendar.
    #[must_use]
    pub fn next_start(self, start: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => start.checked_add_days(Days::new(1)),
            Self::Week => start.checked_add_days(Days::new(7)),
            Self::Month => start.checked_add_months(Months::new(1)),
        }
    }

    /// The full name of the unit that starts on this day.
    #[must_use]
    pub fn full_label(self, start: NaiveDate) -> String {
        let format = match self {
            Self::Day => "%a %-d %b %Y",
            Self::Week => "%G-W%V, from %-d %b %Y",
            Self::Month => "%B %Y",
        };
        start.format(format).to_string()
    }

    /// The name on the axis. A month always has its year.
    #[must_use]
    pub fn axis_label(self, start: NaiveDate, with_year: bool) -> String {
        let format = match self {
            Self::Day | Self::Week if with_year => "%-d %b %Y",
            Self::Day | Self::Week => "%-d %b",
            Self::Month => "%b %Y",
        };
        start.format(format).to_string()
    }
}

/// The Monday of the week that contains `day`.
#[must_use]
pub fn week_start(day: NaiveDate) -> NaiveDate {
    let days_since_monday = day.weekday().num_days_from_monday();
    let monday = day.checked_sub_days(Days::new(days_since_monday.into()));
    monday.unwrap_or(day)
}

/// All bars from the first deployment to the last one, also those without deployments.
#[must_use]
pub fn bars_over_time(days: &DeploymentsPerDay) -> Option<(TimeUnit, Vec<ChartBar>)> {
    let (first, _) = days.first_key_value()?;
    let (last, _) = days.last_key_value()?;
    let unit = TimeUnit::for_span(*first, *last);

    let mut counts = DeploymentsPerDay::new();
    for (day, count) in days {
        *counts.entry(unit.first_day_of(*day)).or_default() += count;
    }

    let mut bars = Vec::new();
    let mut next = Some(unit.first_day_of(*first));
    while let Some(first_day) = next
        && first_day <= *last
    {
        let count = counts.get(&first_day).copied().unwrap_or_default();
        bars.push(ChartBar { first_day, count });
        next = unit.next_start(first_day);
    }
    Some((unit, bars))
}

/// The members of a group with the most deployments.
#[derive(Debug)]
pub struct LargestMembers<'a> {
    /// Their names and deployments, the greatest first.
    pub members: Vec<(&'a str, u64)>,
    /// The number of other members and of their deployments.
    pub others: Option<(usize, u64)>,
}

#[must_use]
pub fn find_largest(
    totals: &ReportTotals,
    group: TotalsGroup,
    max_members: usize,
) -> LargestMembers<'_> {
    let mut members = Vec::new();
    for (name, totals) in totals.members_of(group) {
        members.push((name, totals.deployments));
    }
    members.sort_by(|(name_a, count_a), (name_b, count_b)| {
        count_b.cmp(count_a).then_with(|| name_a.cmp(name_b))
    });

    let rest = members.split_off(max_members.min(members.len()));
    let others = if rest.is_empty() {
        None
    } else {
        let count = rest.iter().map(|(_, count)| count).sum();
        Some((rest.len(), count))
    };
    LargestMembers { members, others }
}

/// The numbers on the axis: from 0 in at most four equal steps of 1, 2 or 5 times a power of ten.
#[must_use]
pub fn axis_ticks(max_count: u64) -> Vec<u64> {
    let step = round_step(max_count);
    let step_count = max_count.div_ceil(step).max(1);
    let mut ticks = Vec::new();
    for index in 0..=step_count {
        ticks.push(index.saturating_mul(step));
    }
    ticks
}

fn round_step(max_count: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            if max_count.div_ceil(step) <= 4 {
                return step;
            }
        }
        let Some(next_power) = power.checked_mul(10) else {
            return u64::MAX;
        };
        power = next_power;
    }
}

/// At most four ranges of numbers with about as many days in each: the first and the last number of
/// each.
#[must_use]
pub fn count_ranges(counts: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut counts: Vec<u64> = counts.filter(|count| *count > 0).collect();
    counts.sort_unstable();
    let Some(max_count) = counts.last().copied() else {
        return Vec::new();
    };

    let mut ranges = Vec::new();
    let mut previous_last = 0;
    for quarter in 1..=4 {
        let last = if max_count <= 4 {
            quarter as u64
        } else {
            counts[(counts.len() * quarter).div_ceil(4) - 1]
        };
        // Quarters that end with the same number are one range.
        if last > previous_last && last <= max_count {
            ranges.push((previous_last + 1, last));
            previous_last = last;
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::record::deployment::Deployment;

    fn parse_day(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn bars_of(days: &[(&str, u64)]) -> (TimeUnit, Vec<(String, u64)>) {
        let (unit, bars) = bars_over_time(
            &days
                .iter()
                .map(|(text, count)| (parse_day(text), *count))
                .collect(),
        )
        .expect("bars");
        (
            unit,
            bars.into_iter()
                .map(|bar| (bar.first_day.to_string(), bar.count))
                .collect(),
        )
    }

    #[test]
    fn gaps_are_zero_and_the_unit_grows_with_the_span() {
        let expected = [("2026-02-27", 2), ("2026-02-28", 0), ("2026-03-01", 1)]
            .map(|(day, count)| (day.to_owned(), count));
        assert_eq!(
            bars_of(&[("2026-02-27", 2), ("2026-03-01", 1)]),
            (TimeUnit::Day, expected.to_vec())
        );
        // 62 days are shown one by one, 63 by week: 2026-01-01 is a Thursday.
        assert_eq!(bars_of(&[("2026-01-01", 1), ("2026-03-03", 1)]).1.len(), 62);
        let (unit, weeks) = bars_of(&[
            ("2026-01-01", 1),
            ("2026-01-04", 2),
            ("2026-01-05", 4),
            ("2026-03-04", 1),
        ]);
        assert_eq!((unit, weeks.len()), (TimeUnit::Week, 10));
        assert_eq!(
            weeks[..3],
            [
                ("2025-12-29".to_owned(), 3),
                ("2026-01-05".to_owned(), 4),
                ("2026-01-12".to_owned(), 0)
            ]
        );
        let (unit, months) = bars_of(&[("2024-01-31", 1), ("2026-02-01", 1)]);
        assert_eq!((unit, months.len()), (TimeUnit::Month, 26));
    }

    #[test]
    fn weeks_are_iso_weeks() {
        // 2027-01-03 is the Sunday of 2026-W53.
        assert_eq!(
            TimeUnit::Week.full_label(TimeUnit::Week.first_day_of(parse_day("2027-01-03"))),
            "2026-W53, from 28 Dec 2026"
        );
        assert_eq!(
            TimeUnit::Month.full_label(parse_day("2026-11-01")),
            "November 2026"
        );
    }

    #[test]
    fn an_axis_label_has_the_year_only_where_needed() {
        let start = parse_day("2026-11-02");
        let labels = |unit: TimeUnit| {
            [
                unit.as_str().to_owned(),
                unit.full_label(start),
                unit.axis_label(start, true),
                unit.axis_label(start, false),
            ]
        };
        assert_eq!(
            labels(TimeUnit::Day),
            ["day", "Mon 2 Nov 2026", "2 Nov 2026", "2 Nov"]
        );
        assert_eq!(
            labels(TimeUnit::Week),
            ["week", "2026-W45, from 2 Nov 2026", "2 Nov 2026", "2 Nov"]
        );
        assert_eq!(
            labels(TimeUnit::Month),
            ["month", "November 2026", "Nov 2026", "Nov 2026"]
        );
    }

    #[test]
    fn the_largest_members_come_first_and_the_others_are_added_up() {
        let mut totals = ReportTotals::default();
        for (customer, count) in [("a", 2), ("b", 3), ("c", 1), ("d", 2)] {
            let one = Deployment {
                customer: customer.into(),
                deployed_at: DateTime::UNIX_EPOCH,
                ..Deployment::default()
            };
            (0..count).for_each(|_| totals.add_deployment(&one));
        }
        let of = |most| find_largest(&totals, TotalsGroup::Customer, most);
        assert_eq!(
            (of(2).members, of(2).others),
            (vec![("b", 3), ("a", 2)], Some((2, 3)))
        );
        assert_eq!(
            (of(4).members.len(), of(4).others, of(9).others),
            (4, None, None)
        );
    }

    #[test]
    fn scales_are_round() {
        assert_eq!(axis_ticks(1), [0, 1]);
        assert_eq!(axis_ticks(4), [0, 1, 2, 3, 4]);
        assert_eq!(axis_ticks(7), [0, 2, 4, 6, 8]);
        assert_eq!(axis_ticks(1234), [0, 500, 1000, 1500]);
        assert_eq!(axis_ticks(u64::MAX).last(), Some(&u64::MAX));
    }

    #[test]
    fn ranges_hold_every_number_once() {
        assert_eq!(count_ranges([0, 0].into_iter()), []);
        assert_eq!(count_ranges([0, 0, 0, 9].into_iter()), [(1, 9)]);
        assert_eq!(
            count_ranges([1, 3, 0].into_iter()),
            [(1, 1), (2, 2), (3, 3)]
        );
        assert_eq!(count_ranges([1, 1, 1, 9].into_iter()), [(1, 1), (2, 9)]);
        assert_eq!(
            count_ranges([9, 1, 2, 3, 4, 5, 6, 30].into_iter()),
            [(1, 2), (3, 4), (5, 6), (7, 30)]
        );
    }
}
