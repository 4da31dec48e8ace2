//! Durations as Go writes them, which is how existing configurations do.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use pinstate_core::Error;
use pinstate_core::config::{DURATION, invalid};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration: `"10s"`, `"1h2m3.5s"`, `"100ms"`; Go's `time.ParseDuration`, without the sign.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct GoDuration(pub Duration);

/// Units with their nanoseconds; a longer name stands before one that it begins with.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

fn parsed(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanos: u128 = 0;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let whole_len = digits(rest);
        let (whole, after) = rest.split_at(whole_len);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(digits(after)),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (unit, factor) = UNITS.iter().find(|(unit, _)| {
            // "m" must not take the beginning of "ms".
            after
                .strip_prefix(unit)
                .is_some_and(|next| !next.starts_with(|c: char| c.is_alphabetic() || c == '\u{b5}'))
        })?;
        let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        nanos = nanos.checked_add(whole.checked_mul(u128::from(*factor))?)?;
        let mut part = u128::from(*factor);
        for digit in fraction.bytes().take(20) {
            nanos = nanos.checked_add(u128::from(digit - b'0') * part / 10)?;
            part /= 10;
        }
        rest = after.get(unit.len()..)?;
    }
    // Go's own limit, about 292 years.
    i64::try_from(nanos).ok()?;
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

impl FromStr for GoDuration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parsed(text.trim()).map(Self).ok_or_else(|| {
            invalid(format!(
                "'{}' is no duration: write a number with a unit, such as 10s, 100ms or 1h30m",
                text.escape_debug()
            ))
        })
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl JsonSchema for GoDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let units: Vec<&str> = UNITS.iter().map(|(unit, _)| *unit).collect();
        let number = "([0-9]+(\\.[0-9]*)?|\\.[0-9]+)";
        json_schema!({
            "type": "string",
            "pattern": format!("^\\s*(0|({number}({}))+)\\s*$", units.join("|")),
            "format": DURATION,
        })
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = GoDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with a unit, such as \"10s\" or \"100ms\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<GoDuration, E> {
                text.parse().map_err(|error: Error| E::custom(error.message()))
            }
        }

        from.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", 0),
            ("10s", 10_000_000_000),
            ("100ms", 100_000_000),
            ("1h2m3.5s", 3_723_500_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("2us", 2_000),
            ("2\u{b5}s", 2_000),
            ("7ns", 7),
            ("1m", 60_000_000_000),
            ("1m1ms", 60_001_000_000),
        ] {
            let duration: GoDuration = text.parse().unwrap();
            assert_eq!(duration.0, Duration::from_nanos(nanos), "{text}");
        }
        for bad in ["", "10", "s", "-1s", "1 s", "1x", "1.s.s", "3d", ".s", "99999999999999999h"] {
            assert!(bad.parse::<GoDuration>().is_err(), "{bad}");
        }
    }
}
