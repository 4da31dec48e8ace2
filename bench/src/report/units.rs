//! Figures as people read them: three digits and a unit.

/// What is written where a figure is not known.
pub(super) const UNKNOWN: &str = "unknown";

/// Three significant digits.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// In the largest unit that leaves something before the point. Units rise by `step` each.
fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    if !value.is_finite() {
        return UNKNOWN.to_owned();
    }
    let mut value = value;
    let mut units = units.iter().peekable();
    while let Some(unit) = units.next() {
        if value.abs() < step - 0.5 || units.peek().is_none() {
            // Nothing is smaller than the first unit.
            let whole = value.fract() == 0.0 && value.abs() < 1000.0;
            let number = if whole { format!("{value}") } else { digits(value) };
            return format!("{number} {unit}");
        }
        value /= step;
    }
    UNKNOWN.to_owned()
}

/// Nanoseconds.
pub(super) fn time(nanoseconds: f64) -> String {
    scaled(nanoseconds, 1000.0, &["ns", "µs", "ms", "s"])
}

/// Bytes.
pub(super) fn bytes(bytes: f64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// So many a second, where there is little room.
pub(super) fn short_rate(rate: f64) -> String {
    scaled(rate, 1000.0, &["", "k", "M"]).trim_end().to_owned() + "/s"
}

/// A number with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many a second.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        rate if !rate.is_finite() => UNKNOWN.to_owned(),
        rate if rate >= 999.5 => format!("{}/s", count(rate.round() as u64)),
        rate => format!("{}/s", digits(rate)),
    }
}

/// One figure over another.
pub(super) fn ratio(ratio: f64) -> String {
    match ratio {
        ratio if !ratio.is_finite() => UNKNOWN.to_owned(),
        ratio if ratio.abs() < 0.0995 => format!("{ratio:.3}"),
        ratio => digits(ratio),
    }
}

/// How likely chance alone is.
pub(super) fn chance(p: f64) -> String {
    match p {
        p if !p.is_finite() => UNKNOWN.to_owned(),
        p if p < 0.0005 => "<0.001".to_owned(),
        p => format!("{p:.3}"),
    }
}

/// Some words as a list in a sentence.
pub(super) fn list<T: AsRef<str>>(words: &[T]) -> String {
    match words {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        let times = [
            (0.0, "0 ns"),
            (850.0, "850 ns"),
            (999.6, "1.00 µs"),
            (1_000.0, "1 µs"),
            (1_234.0, "1.23 µs"),
            (9_996.0, "10.0 µs"),
            (12_345_678.0, "12.3 ms"),
            (999_600_000.0, "1.00 s"),
            (4.2e12, "4200 s"),
            (f64::NAN, "unknown"),
        ];
        for (value, text) in times {
            assert_eq!(time(value), text, "{value}");
        }
        let sizes = [(512.0, "512 B"), (1536.0, "1.50 KiB"), (1_048_576.0, "1 MiB")];
        for (value, text) in sizes {
            assert_eq!(bytes(value), text, "{value}");
        }
        let rates =
            [(0.0, "0.00/s"), (12.34, "12.3/s"), (999.6, "1,000/s"), (1_234_567.0, "1,234,567/s")];
        for (value, text) in rates {
            assert_eq!(rate(value), text, "{value}");
        }
        let short =
            [(0.0, "0/s"), (500.0, "500/s"), (12_500.0, "12.5 k/s"), (2_000_000.0, "2 M/s")];
        for (value, text) in short {
            assert_eq!(short_rate(value), text, "{value}");
        }
        let ratios = [(0.0123, "0.012"), (0.5, "0.50"), (12.0, "12.0"), (f64::INFINITY, "unknown")];
        for (value, text) in ratios {
            assert_eq!(ratio(value), text, "{value}");
        }
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")]
        {
            assert_eq!(count(value), text);
        }
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }
}
