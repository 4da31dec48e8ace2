//! Latency over time as a heat map: a column for each window, and the darker the more of its
//! operations took so long.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::columns::{Column, Columns};
use super::plot::{Axis, Plot, SIZE, class, number};
use crate::outcome::Run;
use crate::report::figures::Figures;
use crate::report::units::time;

/// How many rows the range of times has.
const ROWS: usize = 48;
/// The least part of a window's operations for each shade, the palest first.
const SHADES: [f64; 7] = [0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3];

/// The maps of all stores, on the same axes.
pub(super) fn heat(subjects: &[Figures<'_>], columns: &Columns) -> Markup {
    let windows = subjects.iter().flat_map(|figures| &figures.runs).flat_map(|run| &run.windows);
    let times = windows.flat_map(|window| &window.times).map(|(time, _)| (*time).max(1) as f64);
    let axis = Axis::logarithmic(times);
    html! { @for figures in subjects { (map(figures, columns, axis)) } }
}

fn map(figures: &Figures<'_>, columns: &Columns, axis: Axis) -> Markup {
    let saturated: Vec<usize> = figures.saturated().iter().map(|run| run.round).collect();
    let drawing = html! {
        g.(class(figures.place)) {
            g.heat { (cells(&figures.sound(), columns, axis)) }
            g.heat.saturated { (cells(&figures.saturated(), columns, axis)) }
        }
    };
    let name = &figures.setup.name;
    html! {
        figure {
            figcaption {
                b { "Latencies of " (name) "." } " "
                @if !saturated.is_empty() { span.bad { "Saturated runs are red." } }
            }
            ul.legend.{ (class(figures.place)) } {
                li { "few" }
                li.shades aria-hidden="true" {
                    @for shade in 0..SHADES.len() { span.{ "h" (shade) } {} }
                }
                li { "many operations" }
            }
            (Plot {
                about: format!("latencies of {name} over time"),
                x: columns.labels(&saturated),
                y: axis.labels(time),
                x_title: columns.title(),
                class: "middle",
                drawing,
            }.draw())
        }
    }
}

/// The cells of some runs, by shade.
fn cells(runs: &[&Run], columns: &Columns, axis: Axis) -> Markup {
    let mut shades = SHADES.map(|_| String::new());
    for column in runs.iter().flat_map(|run| columns.run(run)) {
        paint(&mut shades, &column, axis);
    }
    html! {
        @for (shade, path) in shades.iter().enumerate() {
            @if !path.is_empty() { path.{ "h" (shade) } d=(path) {} }
        }
    }
}

/// Adds the cells of one column to the paths of their shades.
fn paint(shades: &mut [String; SHADES.len()], column: &Column<'_>, axis: Axis) {
    let mut counts = [0_u64; ROWS];
    for (time, count) in column.windows.iter().flat_map(|window| &window.times) {
        let row = (axis.place(*time as f64) * ROWS as f64) as usize;
        if let Some(cell) = counts.get_mut(row.min(ROWS - 1)) {
            *cell += u64::from(*count);
        }
    }
    let all: u64 = counts.iter().sum();
    let height = SIZE / ROWS as f64;
    for (row, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let part = *count as f64 / all as f64;
        let shade = SHADES.iter().rposition(|least| part >= *least).unwrap_or_default();
        if let Some(path) = shades.get_mut(shade) {
            let (x, width) = (number(column.from), number(column.to - column.from));
            let y = number(SIZE - (row + 1) as f64 * height);
            let _ = write!(path, "M{x} {y}h{width}v{}h-{width}z", number(height));
        }
    }
}
