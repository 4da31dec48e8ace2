//! A history as a drawing: a row for each client, a bar for each operation.
//!
//! Moments are only an order, so each takes the same width. The operations of the longest
//! order that fits are numbered, and a line goes from one to the next through a moment at
//! which each may have taken effect.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::history::{Bar, Part, Timeline};

/// Width of the clients' names.
const LABELS: f64 = 76.0;
const ROW: f64 = 34.0;
const BAR: f64 = 22.0;
/// Room at the right for what has no end.
const TAIL: f64 = 24.0;

fn class(part: Part) -> &'static str {
    match part {
        Part::Fits(_) => "fits",
        Part::Matters => "matters",
        Part::Culprit => "culprit",
        Part::None => "other",
    }
}

/// Where things are.
struct Layout {
    moments: Vec<u64>,
    clients: Vec<u32>,
    step: f64,
}

impl Layout {
    fn new(bars: &[Bar]) -> Self {
        let moments: BTreeSet<u64> =
            bars.iter().flat_map(|bar| [Some(bar.from), bar.to]).flatten().collect();
        let clients: BTreeSet<u32> = bars.iter().map(|bar| bar.client).collect();
        // Few operations are given room, many are kept together.
        let step = (760.0 / moments.len().max(1) as f64).clamp(11.0, 40.0);
        Self {
            moments: moments.into_iter().collect(),
            clients: clients.into_iter().collect(),
            step,
        }
    }

    fn x(&self, moment: u64) -> f64 {
        LABELS + self.moments.partition_point(|known| *known < moment) as f64 * self.step
    }

    fn y(&self, client: u32) -> f64 {
        self.clients.partition_point(|known| *known < client) as f64 * ROW
    }

    fn width(&self) -> f64 {
        LABELS + self.moments.len() as f64 * self.step + TAIL
    }

    fn height(&self) -> f64 {
        self.clients.len() as f64 * ROW
    }

    /// From where to where a bar goes.
    fn span(&self, bar: &Bar) -> (f64, f64) {
        (self.x(bar.from), bar.to.map_or(self.width(), |to| self.x(to)))
    }

    /// The points of the line through the operations that fit, in their order.
    fn line(&self, fits: &[(usize, &Bar)]) -> Vec<(f64, f64)> {
        let mut last = f64::MIN;
        let point = |(_, bar): &(usize, &Bar)| {
            let (from, to) = self.span(bar);
            // Never before the one before, and where there is room not at the very edge.
            let x = (last + 2.0).max(from + (to - from).min(self.step) / 2.0).min(to);
            last = x;
            (x, self.y(bar.client) + ROW / 2.0)
        };
        fits.iter().map(point).collect()
    }
}

/// The drawing with a list of the operations that matter.
pub(super) fn timeline(timeline: &Timeline) -> Markup {
    let layout = Layout::new(&timeline.bars);
    let mut fits: Vec<(usize, &Bar)> = Vec::new();
    for bar in &timeline.bars {
        if let Part::Fits(place) = bar.part {
            fits.push((place, bar));
        }
    }
    fits.sort_by_key(|(place, _)| *place);
    let line = layout.line(&fits);
    let path: Vec<String> = line.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let (width, height) = (layout.width(), layout.height());
    html! {
        figure.timeline {
            figcaption { "Operations on the key " code { (timeline.key) } ": " (timeline.wrong) }
            div.drawing tabindex="0" role="group" aria-label="timeline" {
                svg width=(format!("{width:.0}")) height=(format!("{height:.0}"))
                    viewBox=(format!("0 0 {width:.0} {height:.0}"))
                    role="img" aria-label="clients as rows, operations as bars" {
                    @for client in &layout.clients {
                        @let y = layout.y(*client);
                        line.row x1="0" x2=(format!("{width:.0}")) y1=(y + ROW) y2=(y + ROW) {}
                        text.client x="0" y=(y + ROW / 2.0) dominant-baseline="central" {
                            "client " (client)
                        }
                    }
                    @for bar in &timeline.bars {
                        (drawn(&layout, bar))
                    }
                    @if path.len() > 1 { polyline.order points=(path.join(" ")) {} }
                    @for ((place, _), (x, y)) in fits.iter().zip(&line) {
                        circle.order cx=(format!("{x:.1}")) cy=(y) r="8" {}
                        text.place x=(format!("{x:.1}")) y=(y) text-anchor="middle"
                            dominant-baseline="central" { (place) }
                    }
                }
            }
            ul.legend {
                li { span.key.fits {} " fits, numbered in the longest order that does" }
                li { span.key.culprit {} " fits no more" }
                @if timeline.bars.iter().any(|bar| bar.part == Part::Matters) {
                    li { span.key.matters {} " belongs to it" }
                }
                @if timeline.bars.iter().any(|bar| bar.part == Part::None) {
                    li { span.key.other {} " went on meanwhile" }
                }
            }
            ol.operations {
                @for bar in timeline.bars.iter().filter(|bar| bar.part != Part::None) {
                    li.(class(bar.part)) {
                        span.badge {
                            @match bar.part {
                                Part::Fits(place) => { (place) }
                                Part::Culprit => { "!" }
                                _ => { "·" }
                            }
                        }
                        span.who { "client " (bar.client) }
                        span { (bar.call) " → " b { (bar.end) } }
                    }
                }
            }
            @if timeline.left_out > 0 {
                p.left { (timeline.left_out) " other operations on the key are not drawn." }
            }
        }
    }
}

fn drawn(layout: &Layout, bar: &Bar) -> Markup {
    let (from, to) = layout.span(bar);
    let y = layout.y(bar.client) + (ROW - BAR) / 2.0;
    let width = (to - from).max(4.0);
    html! {
        g.bar.(class(bar.part)).open[bar.to.is_none()].write[bar.writes] {
            title { "client " (bar.client) ": " (bar.call) " → " (bar.end) }
            rect x=(format!("{from:.1}")) y=(y) width=(format!("{width:.1}")) height=(BAR) rx="4" {}
            @if bar.part == Part::Culprit {
                text.place x=(format!("{:.1}", from + width / 2.0)) y=(y + BAR / 2.0)
                    text-anchor="middle" dominant-baseline="central" { "!" }
            }
        }
    }
}
