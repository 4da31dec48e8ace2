//! Latency by percentile: how many nines, to the right, and how long, upwards.

use maud::{Markup, html};

use super::plot::{Axis, Label, Plot, SIZE, class, coordinates, legend, line};
use crate::outcome::Run;
use crate::report::figures::{ALL, Figures, median};
use crate::report::units::time;

/// How many places of a curve are looked at.
const STEPS: u32 = 200;

/// A run as a curve: nines and logarithms of nanoseconds, both rising.
struct Curve(Vec<(f64, f64)>);

/// What the curves of a store come to.
struct Spread {
    /// Nines; nanoseconds of the lowest, the median and the highest run.
    points: Vec<(f64, [f64; 3])>,
    runs: usize,
}

/// 0.9 is one, 0.99 two: each further one takes the same room.
fn nines(part: f64) -> f64 {
    -(1.0 - part).log10()
}

impl Curve {
    fn of(run: &Run) -> Option<Self> {
        let all = &run.kinds.iter().find(|kind| kind.name == ALL)?.latency;
        // So many operations show so many nines, and no more.
        let last = (all.count.max(1) as f64).log10();
        let point = |(percentile, nanoseconds): &(f64, u64)| {
            (nines(percentile / 100.0).min(last), (*nanoseconds).max(1) as f64)
        };
        let points: Vec<(f64, f64)> =
            all.curve.iter().map(point).map(|(x, time)| (x, time.ln())).collect();
        (!points.is_empty()).then_some(Self(points))
    }

    fn last(&self) -> f64 {
        self.0.last().map_or(0.0, |(nines, _)| *nines)
    }

    fn at(&self, nines: f64) -> Option<f64> {
        let next = self.0.partition_point(|(x, _)| *x < nines);
        let after = self.0.get(next).or(self.0.last())?;
        let before = next.checked_sub(1).and_then(|place| self.0.get(place)).unwrap_or(after);
        let part = if after.0 > before.0 { (nines - before.0) / (after.0 - before.0) } else { 1.0 };
        Some((before.1 + (after.1 - before.1) * part.clamp(0.0, 1.0)).exp())
    }
}

impl Spread {
    fn of(figures: &Figures<'_>) -> Option<Self> {
        let curves: Vec<Curve> = figures.sound().iter().filter_map(|run| Curve::of(run)).collect();
        // As far as all of its runs go.
        let last = curves.iter().map(Curve::last).min_by(f64::total_cmp)?;
        let mut points = Vec::new();
        for step in 0..=STEPS {
            let nines = f64::from(step) / f64::from(STEPS) * last;
            let times: Vec<f64> = curves.iter().filter_map(|curve| curve.at(nines)).collect();
            let low = times.iter().copied().fold(f64::MAX, f64::min);
            let high = times.iter().copied().fold(0.0, f64::max);
            points.push((nines, [low, median(times)?, high]));
        }
        Some(Self { points, runs: curves.len() })
    }
}

/// Percentiles with as many nines as are shown.
fn labels(last: f64) -> Vec<Label> {
    let named = ["50 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"];
    let label = |(place, text): (usize, &&str)| {
        let nines = if place == 0 { nines(0.5) } else { place as f64 };
        // A narrow screen has room for five.
        let minor = last >= 5.0 && place.is_multiple_of(2) && place > 0;
        (nines <= last).then(|| Label { minor, ..Label::new(nines / last, (*text).to_owned()) })
    };
    named.iter().enumerate().filter_map(label).collect()
}

/// The curves of all stores.
pub(super) fn curve(subjects: &[Figures<'_>]) -> Markup {
    let spreads: Vec<(usize, Spread)> = subjects
        .iter()
        .filter_map(|figures| Spread::of(figures).map(|spread| (figures.place, spread)))
        .collect();
    if spreads.is_empty() {
        return html! { p { "No run kept its rate: there are no latencies to draw." } };
    }
    let last = spreads.iter().filter_map(|(_, spread)| spread.points.last());
    let last = last.map(|(nines, _)| *nines).fold(1.0, f64::max);
    let all = spreads.iter().flat_map(|(_, spread)| &spread.points);
    let axis = Axis::logarithmic(all.flat_map(|(_, times)| *times));
    let x = |nines: f64| nines / last * SIZE;
    let labels = labels(last);
    let drawing = html! {
        g.grid {
            @for label in &labels {
                @let x = label.at * SIZE;
                (line("up", &[(x, 0.0), (x, SIZE)]))
            }
        }
        @for (place, spread) in &spreads {
            @let of = |which: fn(&[f64; 3]) -> f64| -> Vec<(f64, f64)> {
                let points = spread.points.iter();
                points.map(|(nines, times)| (x(*nines), axis.y(which(times)))).collect()
            };
            g.(class(*place)) {
                @if spread.runs > 1 {
                    @let low = of(|[low, ..]| *low).into_iter();
                    @let around: Vec<_> = low.chain(of(|[.., high]| *high).into_iter().rev()).collect();
                    polygon.band points=(coordinates(&around)) {}
                }
                (line("line", &of(|[_, middle, _]| *middle)))
            }
        }
    };
    let several = spreads.iter().any(|(_, spread)| spread.runs > 1);
    html! {
        figure {
            figcaption {
                b { "Latency by percentile." } " "
                "Each step to the right leaves a tenth of the operations."
                @if several {
                    " Lines are medians of the runs, and bands go from the lowest run to the highest."
                }
                @if spreads.len() < subjects.len() { " Stores with saturated runs only are left out." }
            }
            (legend(subjects))
            (Plot {
                about: "latency by percentile, a line for each store".to_owned(),
                x: labels,
                y: axis.labels(time),
                x_title: "so many operations took no longer".to_owned(),
                class: "tall",
                drawing,
            }.draw())
        }
    }
}
