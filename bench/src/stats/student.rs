//! Student's t and the normal distribution: by how much few rounds mislead.

use std::f64::consts::{FRAC_2_PI, PI};

/// By how much a bootstrap over so many rounds is to be stretched, where this part of it lies
/// outside. The reasons stand in [`super`]. At least two rounds, and a part above 0 and below 1.
pub(super) fn widening(rounds: usize, outside: f64) -> f64 {
    let free = rounds.saturating_sub(1).max(1);
    let variance = (free + 1) as f64 / free as f64;
    let tails = quantile(|t| student_within(t, free), outside) / normal_quantile(outside);
    variance.sqrt() * tails
}

/// How far from 0 a normal value must be so that only this part lies as far, on both sides
/// together.
pub(super) fn normal_quantile(outside: f64) -> f64 {
    quantile(normal_within, outside)
}

/// The part of Student's t that lies within `-t..t`, with so many degrees of freedom.
///
/// The finite sums of Abramowitz and Stegun, *Handbook of Mathematical Functions*, 1964, 26.7.3
/// and 26.7.4.
fn student_within(t: f64, free: usize) -> f64 {
    let angle = (t / (free as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let odd = free % 2 == 1;
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = 0.0;
    // Each term has two more powers of the cosine than the one before.
    for at in (if odd { 3 } else { 2 }..=free).step_by(2) {
        sum += term;
        term *= cosine * cosine * (at - 1) as f64 / at as f64;
    }
    if odd { FRAC_2_PI * (angle + sine * sum) } else { sine * sum }
}

/// The part of the normal distribution that lies within `-x..x`: Taylor's series in the form of
/// Marsaglia, *Evaluating the Normal Distribution*, Journal of Statistical Software 11(4), 2004.
fn normal_within(x: f64) -> f64 {
    let mut term = x;
    let mut sum = 0.0;
    let mut odd = 1.0;
    while sum + term != sum {
        sum += term;
        odd += 2.0;
        term *= x * x / odd;
    }
    2.0 * sum * (-x * x / 2.0).exp() / (2.0 * PI).sqrt()
}

/// Where `within`, which rises from 0 to 1, leaves this part outside.
fn quantile(within: impl Fn(f64) -> f64, outside: f64) -> f64 {
    let inside = 1.0 - outside;
    let mut high = 1.0;
    // Beyond this, no resample is as rare.
    while within(high) < inside && high < 1e9 {
        high *= 2.0;
    }
    let mut low = 0.0;
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if within(middle) < inside {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_close(got: f64, expected: f64) {
        assert!((got / expected - 1.0).abs() < 2e-4, "{got} and not {expected}");
    }

    #[test]
    fn quantiles_are_those_of_printed_tables() {
        let t = |free, outside| quantile(|t| student_within(t, free), outside);
        assert_close(normal_quantile(0.05), 1.959_964);
        assert_close(normal_quantile(0.01), 2.575_829);
        assert_close(normal_quantile(0.001), 3.290_527);
        for (free, at_95, at_99, at_999) in [
            (1, 12.706, 63.657, 636.619),
            (2, 4.303, 9.925, 31.599),
            (3, 3.182, 5.841, 12.924),
            (4, 2.776, 4.604, 8.610),
            (5, 2.571, 4.032, 6.869),
            (9, 2.262, 3.250, 4.781),
            (30, 2.042, 2.750, 3.646),
            (120, 1.980, 2.617, 3.373),
        ] {
            assert_close(t(free, 0.05), at_95);
            assert_close(t(free, 0.01), at_99);
            assert_close(t(free, 0.001), at_999);
        }
    }

    #[test]
    fn few_rounds_are_stretched() {
        for (rounds, by) in [(2, 9.168), (3, 2.689), (5, 1.584), (10, 1.2166)] {
            assert_close(widening(rounds, 0.05), by);
        }
        assert!(widening(5, 0.001) > widening(5, 0.05));
        assert!((widening(100_001, 0.05) - 1.0).abs() < 1e-4);
        // Near the middle there is something to divide by still.
        assert!((1.0..2.0).contains(&widening(5, 2_000.0 / 2_001.0)));
    }
}
