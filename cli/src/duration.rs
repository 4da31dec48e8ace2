//! Durations as Go writes them (`time.ParseDuration`): `90m`, `1h30m`, `1.5h`, `300ms`.

use std::time::Duration;

/// The units, the longer names first so that `ms` is not read as `m`.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];

/// Reads a duration that is not negative.
///
/// # Errors
/// A text for people, where it is none.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    nanoseconds(text).map(Duration::from_nanos).ok_or_else(|| {
        format!("'{}' is no duration: write it like 90m, 1h30m or 720h", text.escape_debug())
    })
}

fn nanoseconds(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0_u64;
    while {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let (unit, factor) = UNITS.iter().find(|(unit, _)| tail.starts_with(unit))?;
        total = total.checked_add(scaled(number, *factor)?)?;
        rest = tail.strip_prefix(unit)?;
        !rest.is_empty()
    } {}
    // Go's durations are signed: 2^63 - 1 nanoseconds are the longest.
    (total <= i64::MAX as u64).then_some(total)
}

/// A decimal number times a unit, cut to whole nanoseconds as Go does.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = whole.checked_mul(factor)?;
    let mut place = factor;
    for digit in fraction.chars() {
        place /= 10;
        nanos = nanos.checked_add(u64::from(digit.to_digit(10)?) * place)?;
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("1s", 1_000),
            ("1.5h", 5_400_000),
            ("1h30m", 5_400_000),
            ("+90m", 5_400_000),
            ("300ms", 300),
            (".5s", 500),
            ("1.s", 1_000),
            ("1000us1000\u{b5}s", 2),
            ("1m1ms", 60_001),
            ("2562047h", 2_562_047 * 3_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "1", "s", ".s", "-1s", "1d", "1 h", "1h ", "1.2.3s", "2562048h", "1hs"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
