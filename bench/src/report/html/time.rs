//! Throughput and latency over time, a line for each store.

use maud::{Markup, html};

use super::columns::{Column, Columns};
use super::plot::{Axis, Plot, class, legend, line};
use crate::report::figures::Figures;
use crate::report::hlog::histogram;
use crate::report::units::{short_rate, time};

/// A line of one run: its places, and a figure for each.
struct Line {
    place: usize,
    saturated: bool,
    points: Vec<(f64, f64)>,
}

fn lines(
    subjects: &[Figures<'_>],
    columns: &Columns,
    figure: impl Fn(&Column<'_>) -> Option<f64>,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for figures in subjects {
        for run in &figures.runs {
            let point = |column: &Column<'_>| {
                Some((f64::midpoint(column.from, column.to), figure(column)?))
            };
            let points: Vec<_> = columns.run(run).iter().filter_map(point).collect();
            let saturated = run.saturated.is_some();
            lines.push(Line { place: figures.place, saturated, points });
        }
    }
    lines
}

/// Operations a second over time.
pub(super) fn throughput(subjects: &[Figures<'_>], columns: &Columns) -> Markup {
    let lines = lines(subjects, columns, |column| {
        let operations: u64 = column.windows.iter().map(|window| window.operations).sum();
        let seconds: f64 = column.windows.iter().map(|window| window.seconds).sum();
        (seconds > 0.0).then(|| operations as f64 / seconds)
    });
    let axis = Axis::linear(values(&lines).fold(0.0, f64::max));
    let caption = html! { b { "Throughput." } " Operations that were answered." };
    let y = axis.labels(short_rate);
    draw(subjects, columns, &lines, caption, "throughput over time", axis, y)
}

/// The 99th percentile of latency over time.
pub(super) fn p99(subjects: &[Figures<'_>], columns: &Columns) -> Markup {
    let lines = lines(subjects, columns, |column| {
        let histogram = histogram(column.windows).ok()?;
        (!histogram.is_empty()).then(|| histogram.value_at_quantile(0.99) as f64)
    });
    let axis = Axis::logarithmic(values(&lines));
    let caption = html! { b { "Latency, p99." } " 99 of 100 took no longer." };
    draw(subjects, columns, &lines, caption, "p99 of latency over time", axis, axis.labels(time))
}

fn values(lines: &[Line]) -> impl Iterator<Item = f64> {
    lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value)
}

fn draw(
    subjects: &[Figures<'_>],
    columns: &Columns,
    lines: &[Line],
    caption: Markup,
    about: &str,
    axis: Axis,
    y: Vec<super::plot::Label>,
) -> Markup {
    let drawing = html! {
        @for each in lines {
            @let points: Vec<_> = each.points.iter().map(|(x, value)| (*x, axis.y(*value))).collect();
            g.(class(each.place)).saturated[each.saturated] { (line("line", &points)) }
        }
    };
    html! {
        figure {
            figcaption {
                (caption)
                @if lines.iter().any(|line| line.saturated) { span.bad { " Saturated runs are red." } }
            }
            (legend(subjects))
            (Plot {
                about: format!("{about}, a line for each store"),
                x: columns.labels(&[]),
                y,
                x_title: columns.title(),
                class: "middle",
                drawing,
            }.draw())
        }
    }
}
