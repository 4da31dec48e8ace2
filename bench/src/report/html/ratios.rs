//! Ratios of two stores with their intervals, as bars around 1.

use maud::{Markup, html};

use super::plot::{NO_BREAK, percent};
use crate::outcome::{Metric, Report, Verdict};
use crate::report::figures::{name, title, values, word};
use crate::report::units::ratio;

/// Ratios up to `most` and down to its inverse, as far to the right as to the left.
#[derive(Clone, Copy)]
struct Scale {
    most: f64,
}

impl Scale {
    fn of<'a>(metrics: impl Iterator<Item = &'a Metric>) -> Self {
        let ratios =
            metrics.flat_map(|metric| [metric.interval.0, metric.interval.1, metric.ratio]);
        let away = ratios.filter(|ratio| ratio.is_finite() && *ratio > 0.0);
        let most = away.map(|ratio| ratio.max(1.0 / ratio)).fold(1.0, f64::max);
        let round = [1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];
        Self { most: round.into_iter().find(|round| *round >= most).unwrap_or(most) }
    }

    fn place(self, ratio: f64) -> f64 {
        (0.5 + ratio.max(f64::MIN_POSITIVE).ln() / self.most.ln() / 2.0).clamp(0.0, 1.0)
    }
}

/// Each comparison with a bar for each metric.
pub(super) fn ratios(report: &Report) -> Markup {
    let scale = Scale::of(report.comparisons.iter().flat_map(|comparison| &comparison.metrics));
    html! {
        p.note {
            "The figure of a store, divided by that of the first one. Bars go from 1, where both are the "
            "same, to the ratio, and lines show where it lies in 95 of 100 resamplings. More "
            "throughput is better, and so is less latency."
        }
        @for comparison in &report.comparisons {
            @let (base, other) = (name(report, comparison.base), name(report, comparison.other));
            h3 { (other) " over " (base) }
            @if comparison.metrics.is_empty() {
                p { "There was nothing to compare." }
            } @else {
                ul.ratios {
                    @for metric in &comparison.metrics { (row(metric, scale, base, other)) }
                    li.scale aria-hidden="true" {
                        span {}
                        span.ticks {
                            @for tick in [1.0 / scale.most, 1.0, scale.most] {
                                span { "×" (if tick == 1.0 { "1".to_owned() } else { ratio(tick) }) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Faster => "good",
        Verdict::Slower => "bad",
        Verdict::NoDifference => "even",
    }
}

fn row(metric: &Metric, scale: Scale, base: &str, other: &str) -> Markup {
    let (low, high) = metric.interval;
    let (from, to) = (scale.place(low), scale.place(high));
    let end = scale.place(metric.ratio);
    let (first, second) = values(metric);
    let class = class(metric.verdict);
    let title = title(metric);
    html! {
        li {
            span.name { (title) }
            // Places are parts of the width: nothing is stretched.
            svg.(class) width="100%" height="24" role="img"
                aria-label={ (title) " of " (other) " over that of " (base) ": " (ratio(metric.ratio)) } {
                line.one x1="50%" x2="50%" y1="0" y2="24" {}
                rect.bar x=(percent(end.min(0.5))) width=(percent((end - 0.5).abs())) y="5" height="14" {}
                line.range x1=(percent(from)) x2=(percent(to)) y1="12" y2="12" {}
                @for edge in [from, to] {
                    line.range x1=(percent(edge)) x2=(percent(edge)) y1="7" y2="17" {}
                }
            }
            span.ratio {
                b { "×" (ratio(metric.ratio)) } (NO_BREAK)
                span.of { (ratio(low)) " to " (ratio(high)) }
            }
            span.says {
                span.mark.(class) { (word(metric.verdict)) } " "
                span.of { (first) " → " (second) }
            }
        }
    }
}
