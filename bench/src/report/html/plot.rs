//! Axes, and the frame around a drawing.

use maud::{Markup, PreEscaped, html};

use crate::report::figures::Figures;

/// The drawing's own units: it is so wide and so high, whatever it is stretched to.
pub(super) const SIZE: f64 = 1000.0;

/// From which value to which an axis goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    from: f64,
    to: f64,
    logarithmic: bool,
}

/// A value of an axis that is written beside it.
#[derive(Debug)]
pub(super) struct Label {
    /// Where, from 0 to 1.
    pub(super) at: f64,
    pub(super) text: String,
    /// Left out where there is little room.
    pub(super) minor: bool,
    /// It stands for something that must be seen.
    pub(super) bad: bool,
}

impl Label {
    pub(super) fn new(at: f64, text: String) -> Self {
        Self { at, text, minor: false, bad: false }
    }
}

impl Axis {
    /// From zero to a round number at or above `top`.
    pub(super) fn linear(top: f64) -> Self {
        let top = if top.is_finite() && top > 0.0 { top } else { 1.0 };
        let step = Self::step(top);
        Self { from: 0.0, to: (top / step).ceil() * step, logarithmic: false }
    }

    /// From and to 1, 2 or 5 times a power of ten, with the values in between.
    pub(super) fn logarithmic(values: impl IntoIterator<Item = f64>) -> Self {
        // What no clock can have measured would have no end of labels.
        let values = values.into_iter().filter(|value| (1e-9..1e30).contains(value));
        let (low, high) = values
            .fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if high > 0.0 { (low, high) } else { (1.0, 1.0) };
        let power = 10_f64.powf(low.log10().floor());
        let from = [5.0, 2.0].map(|n| n * power).into_iter().find(|value| *value <= low);
        let power_above = 10_f64.powf(high.log10().floor());
        let above = [1.0, 2.0, 5.0].map(|n| n * power_above).into_iter();
        let to = above.clone().find(|value| *value >= high).unwrap_or(power_above * 10.0);
        let from = from.unwrap_or(power);
        // A line that is all at one value lies in the middle.
        let (from, to) = if from < to { (from, to) } else { (from / 2.0, to * 2.0) };
        Self { from, to, logarithmic: true }
    }

    fn step(top: f64) -> f64 {
        let power = 10_f64.powf((top / 4.0).log10().floor());
        let steps = [1.0, 2.0, 2.5, 5.0].map(|n| n * power);
        steps.into_iter().find(|step| top / step <= 4.0).unwrap_or(power * 10.0)
    }

    /// Where a value lies, from 0 to 1; what is outside lies at the edge.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.logarithmic {
            (value.max(f64::MIN_POSITIVE) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        place.clamp(0.0, 1.0)
    }

    /// How high a value is drawn: the origin is at the top.
    pub(super) fn y(&self, value: f64) -> f64 {
        (1.0 - self.place(value)) * SIZE
    }

    /// What is written beside it.
    pub(super) fn labels(&self, text: impl Fn(f64) -> String) -> Vec<Label> {
        let values: Vec<f64> = if self.logarithmic {
            // Of a wide range powers of ten are enough.
            let steps: &[f64] = match self.to / self.from {
                wide if wide > 100.0 => &[1.0],
                narrow if narrow <= 5.0 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
                _ => &[1.0, 2.0, 5.0],
            };
            let powers = self.from.log10().floor() as i32..=self.to.log10().ceil() as i32;
            let all = powers.flat_map(|power| steps.iter().map(move |n| n * 10_f64.powi(power)));
            // Powers are not exact.
            all.filter(|v| *v >= self.from * 0.999 && *v <= self.to * 1.001).collect()
        } else {
            let step = Self::step(self.to);
            (0..=(self.to / step).round() as u32).map(|n| f64::from(n) * step).collect()
        };
        values.into_iter().map(|value| Label::new(self.place(value), text(value))).collect()
    }
}

/// A drawing with its axes.
pub(super) struct Plot {
    /// What it says, in one sentence for those who cannot see it.
    pub(super) about: String,
    pub(super) x: Vec<Label>,
    pub(super) y: Vec<Label>,
    /// What the horizontal axis counts.
    pub(super) x_title: String,
    /// The size of the frame.
    pub(super) class: &'static str,
    pub(super) drawing: Markup,
}

impl Plot {
    pub(super) fn draw(self) -> Markup {
        html! {
            div.plot.(self.class) {
                div.y aria-hidden="true" {
                    @for label in &self.y {
                        span style={ "bottom:" (percent(label.at)) } { (label.text) }
                    }
                }
                svg viewBox={ "0 0 " (SIZE) " " (SIZE) } preserveAspectRatio="none"
                    role="img" aria-label=(self.about) {
                    g.grid {
                        @for label in &self.y {
                            @let y = number((1.0 - label.at) * SIZE);
                            line x1="0" x2=(SIZE) y1=(y) y2=(y) {}
                        }
                    }
                    (self.drawing)
                }
                div.x aria-hidden="true" {
                    @for label in &self.x {
                        span.minor[label.minor].bad[label.bad] style={ "left:" (percent(label.at)) } {
                            (label.text)
                        }
                    }
                }
                div.title { (self.x_title) }
            }
        }
    }
}

/// A line through points.
pub(super) fn line(class: &str, points: &[(f64, f64)]) -> Markup {
    let points = match points {
        // Of one point only a line to itself is drawn, as a dot.
        [one] => coordinates(&[*one, *one]),
        points => coordinates(points),
    };
    html! { polyline.(class) points=(points) {} }
}

pub(super) fn coordinates(points: &[(f64, f64)]) -> String {
    let points: Vec<String> =
        points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
    points.join(" ")
}

/// As few digits as are seen.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

pub(super) fn percent(part: f64) -> String {
    format!("{:.2}%", part * 100.0)
}

/// The class by which a subject has its colour and its dashes.
pub(super) fn class(place: usize) -> String {
    format!("s{}", place % 6)
}

/// A piece of a subject's line.
pub(super) fn key(place: usize) -> Markup {
    html! {
        svg.key.(class(place)) width="26" height="10" aria-hidden="true" {
            line.line x1="0" x2="26" y1="5" y2="5" {}
        }
    }
}

/// Which line is whose.
pub(super) fn legend(subjects: &[Figures<'_>]) -> Markup {
    html! {
        ul.legend {
            @for figures in subjects {
                li { (key(figures.place)) " " (figures.setup.name) }
            }
        }
    }
}

/// A space that is not stretched or broken.
pub(super) const NO_BREAK: PreEscaped<&str> = PreEscaped("\u{a0}");

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: Axis) -> Vec<(f64, String)> {
        let labels = axis.labels(|value| format!("{value:.0}"));
        labels.into_iter().map(|label| ((label.at * 100.0).round(), label.text)).collect()
    }

    #[track_caller]
    fn has(axis: Axis, expected: &[(f64, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(at, text)| (*at, (*text).to_owned())).collect();
        assert_eq!(texts(axis), expected);
    }

    #[test]
    fn axes_go_from_and_to_round_numbers() {
        has(
            Axis::linear(9_800.0),
            &[(0.0, "0"), (25.0, "2500"), (50.0, "5000"), (75.0, "7500"), (100.0, "10000")],
        );
        has(Axis::linear(10.5), &[(0.0, "0"), (33.0, "5"), (67.0, "10"), (100.0, "15")]);
        has(
            Axis::logarithmic([30.0, 400.0]),
            &[(0.0, "20"), (28.0, "50"), (50.0, "100"), (72.0, "200"), (100.0, "500")],
        );
        has(
            Axis::logarithmic([21.0, 45.0]),
            &[(0.0, "20"), (44.0, "30"), (76.0, "40"), (100.0, "50")],
        );
        has(
            Axis::logarithmic([100.0, 100_000.0]),
            &[(0.0, "100"), (33.0, "1000"), (67.0, "10000"), (100.0, "100000")],
        );
        // Nothing to draw, and all the same.
        for axis in [
            Axis::linear(0.0),
            Axis::linear(f64::NAN),
            Axis::logarithmic([]),
            Axis::logarithmic([f64::MAX]),
        ] {
            assert!(texts(axis).len() > 1);
        }
        assert_eq!(Axis::logarithmic([10.0, 10.0]).place(10.0), 0.5);
    }

    #[test]
    fn what_is_outside_lies_at_the_edge() {
        let axis = Axis::logarithmic([100.0, 10_000.0]);
        assert_eq!((axis.place(0.0), axis.place(1e9)), (0.0, 1.0));
        assert_eq!(axis.place(1_000.0), 0.5);
    }
}
