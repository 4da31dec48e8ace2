//! Windows as columns of the drawings over time.
//!
//! Rounds stand side by side, each as wide as its longest run took, and all stores have the
//! same place for the same moment of a round. Of many windows several are one column.

use std::collections::BTreeMap;

use super::plot::{Label, SIZE};
use crate::outcome::{Report, Run, Window};

/// The most columns that are drawn of all rounds of a store together.
const MOST: usize = 180;
/// The part of the width that lies between two rounds.
const GAP: f64 = 0.012;

/// Where rounds lie.
#[derive(Debug)]
pub(super) struct Columns {
    rounds: BTreeMap<usize, Round>,
    /// How many windows are one column.
    together: usize,
}

#[derive(Debug)]
struct Round {
    /// From 0 to 1.
    from: f64,
    width: f64,
    seconds: f64,
}

/// Windows that are drawn as one.
#[derive(Debug)]
pub(super) struct Column<'a> {
    /// In the units of the drawing.
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) windows: &'a [Window],
}

impl Columns {
    pub(super) fn of(report: &Report) -> Self {
        let mut seconds: BTreeMap<usize, f64> = BTreeMap::new();
        let mut windows: BTreeMap<usize, usize> = BTreeMap::new();
        for run in &report.runs {
            let end = run.windows.last().map_or(0.0, |last| last.at + last.seconds);
            let longest = seconds.entry(run.round).or_default();
            *longest = longest.max(end);
            *windows.entry(run.subject).or_default() += run.windows.len();
        }
        let most = windows.into_values().max().unwrap_or_default();
        let all: f64 = seconds.values().sum();
        let gap = GAP.min(0.2 / seconds.len().max(1) as f64);
        let room = 1.0 - gap * seconds.len().saturating_sub(1) as f64;
        let mut from = 0.0;
        let place = |(round, seconds): (usize, f64)| {
            let width = if all > 0.0 { seconds / all * room } else { 0.0 };
            let place = Round { from, width, seconds };
            from += width + gap;
            (round, place)
        };
        let rounds = seconds.into_iter().map(place).collect();
        Self { rounds, together: most.div_ceil(MOST).max(1) }
    }

    /// A run in columns.
    pub(super) fn run<'a>(&self, run: &'a Run) -> Vec<Column<'a>> {
        let Some(round) = self.rounds.get(&run.round).filter(|round| round.seconds > 0.0) else {
            return Vec::new();
        };
        let x = |seconds: f64| (round.from + seconds / round.seconds * round.width) * SIZE;
        let column = |windows: &'a [Window]| {
            let (first, last) = (windows.first()?, windows.last()?);
            Some(Column { from: x(first.at), to: x(last.at + last.seconds), windows })
        };
        run.windows.chunks(self.together).filter_map(column).collect()
    }

    /// Which round is where, or of a single one which second. `bad` rounds are marked.
    pub(super) fn labels(&self, bad: &[usize]) -> Vec<Label> {
        if let (1, Some((_, round))) = (self.rounds.len(), self.rounds.first_key_value()) {
            let step = (round.seconds / 5.0).ceil().max(1.0);
            let steps = (round.seconds / step).floor() as u32;
            let label = |n: u32| {
                let second = f64::from(n) * step;
                Label::new(second / round.seconds.max(step), format!("{second:.0} s"))
            };
            return (0..=steps).map(label).collect();
        }
        let each = self.rounds.iter().enumerate();
        each.map(|(place, (number, round))| Label {
            at: round.from + round.width / 2.0,
            text: number.to_string(),
            minor: self.rounds.len() > 12 && place % 2 == 1,
            bad: bad.contains(number),
        })
        .collect()
    }

    pub(super) fn title(&self) -> String {
        let longest = self.rounds.values().map(|round| round.seconds).fold(0.0, f64::max);
        match self.rounds.len() {
            0 | 1 => "time".to_owned(),
            _ => format!("rounds, of up to {longest:.0} s each"),
        }
    }
}
