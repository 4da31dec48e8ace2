//! Points in time: whole Unix seconds in storage, RFC 3339 in text.
//!
//! Text is written and read as by Go's `time.Time` under `encoding/json` (Go 1.26): a `Z`
//! only where the offset is zero, seconds of an offset dropped, and no year outside 0 to
//! 9999 as counted in the zone. The arithmetic of the proleptic Gregorian calendar follows
//! Howard Hinnant's `days_from_civil` and `civil_from_days`, for the years Go accepts
//! reach further than those of `jiff`, which is asked for the zones' offsets only.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::format::Fault;

use super::fault::fault;

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub i64);

impl UnixSeconds {
    /// 0001-01-01T00:00:00Z, which Go calls the zero time and does not store.
    pub const GO_ZERO: Self = Self(-62_135_596_800);

    /// The form in storage, where 0 says that there is no time.
    ///
    /// Go's zero time and 1970-01-01T00:00:00Z cannot be stored: both become 0.
    pub(crate) fn stored(time: Option<Self>) -> u64 {
        match time {
            None | Some(Self::GO_ZERO) => 0,
            Some(Self(seconds)) => seconds as u64,
        }
    }

    /// The inverse of [`UnixSeconds::stored`].
    pub(crate) fn from_stored(stored: u64) -> Option<Self> {
        (stored != 0).then_some(Self(stored as i64))
    }
}

impl fmt::Display for UnixSeconds {
    /// RFC 3339 in UTC, or the bare number outside the years 0 to 9999.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        match push_rfc3339(*self, &Zone::Utc, &mut text) {
            Ok(()) => f.write_str(&String::from_utf8_lossy(&text)),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

/// The zone in which times are written.
#[derive(Clone, Debug, Default)]
pub enum Zone {
    /// Coordinated universal time: the canonical zone of an export.
    #[default]
    Utc,
    /// Another zone, which reproduces the bytes of a host in it.
    Other(TimeZone),
}

impl Zone {
    /// The zone of a name in the IANA database, such as `Europe/Berlin`.
    ///
    /// # Errors
    /// If the system's database has no such zone.
    pub fn named(name: &str) -> Result<Self, Fault> {
        if name.eq_ignore_ascii_case("UTC") {
            return Ok(Self::Utc);
        }
        match TimeZone::get(name) {
            Ok(zone) => Ok(Self::Other(zone)),
            Err(_) => Err(fault(
                "time zone",
                format!("the system knows no zone {name:?}; give one like Europe/Berlin, or UTC"),
            )),
        }
    }

    /// Seconds east of Greenwich at a time.
    fn offset_at(&self, time: UnixSeconds) -> i64 {
        match self {
            Self::Utc => 0,
            Self::Other(zone) => {
                // Of the years 0 to 9999, `jiff` lacks but the last two days, when no zone
                // changes its offset.
                let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
                let at = Timestamp::from_second(time.0.clamp(first, last)).unwrap_or_default();
                i64::from(zone.to_offset(at).seconds())
            }
        }
    }
}

const DAY: i64 = 86_400;

/// Appends a time as Go writes it.
///
/// # Errors
/// If its year is not within 0 to 9999 in that zone; `out` is then as it was.
pub(crate) fn push_rfc3339(time: UnixSeconds, zone: &Zone, out: &mut Vec<u8>) -> Result<(), Fault> {
    let offset = zone.offset_at(time);
    let refused = || {
        fault(
            "",
            format!(
                "{} seconds since 1970 is outside the years 0 to 9999, which a timestamp can show",
                time.0
            ),
        )
    };
    let local = time.0.checked_add(offset).ok_or_else(refused)?;
    let (year, month, day) = civil(local.div_euclid(DAY));
    let (Ok(year), true) = (u16::try_from(year), offset.abs() < DAY) else {
        return Err(refused());
    };
    if year > 9999 {
        return Err(refused());
    }
    let clock = local.rem_euclid(DAY) as u32;
    let [y1, y2] = two((year / 100) as u32);
    let [y3, y4] = two((year % 100) as u32);
    let [m1, m2] = two(month);
    let [d1, d2] = two(day);
    let [h1, h2] = two(clock / 3600);
    let [i1, i2] = two(clock / 60 % 60);
    let [s1, s2] = two(clock % 60);
    out.extend_from_slice(&[
        y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2,
    ]);
    if offset == 0 {
        out.push(b'Z');
    } else {
        let minutes = (offset.abs() / 60) as u32;
        let [h1, h2] = two(minutes / 60);
        let [m1, m2] = two(minutes % 60);
        let sign = if offset <= -60 { b'-' } else { b'+' };
        out.extend_from_slice(&[sign, h1, h2, b':', m1, m2]);
    }
    Ok(())
}

/// Two decimal digits of a number below 100.
fn two(number: u32) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

/// Days since 1970-01-01.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A time read from text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Whole seconds, rounded towards the past.
    pub(crate) seconds: i64,
    /// Whether the fraction of a second is not zero to nine digits.
    pub(crate) fraction: bool,
    /// Whether RFC 3339 allows the form, too.
    pub(crate) proper: bool,
}

impl Parsed {
    /// The form in storage, where 0 says that there is no time.
    pub(crate) fn stored(self) -> u64 {
        if self.seconds == UnixSeconds::GO_ZERO.0 && !self.fraction {
            0
        } else {
            self.seconds as u64
        }
    }
}

/// Reads a time as Go does. Beyond RFC 3339 that is an hour of one digit, a comma before
/// the fraction, and offsets of up to 24 hours and 60 minutes.
pub(crate) fn parse_rfc3339(text: &[u8]) -> Option<Parsed> {
    let mut rest = text;
    let mut proper = true;
    let year = digits::<2>(&mut rest)? * 100 + digits::<2>(&mut rest)?;
    expect(&mut rest, b'-')?;
    let month = digits::<2>(&mut rest)?;
    expect(&mut rest, b'-')?;
    let day = digits::<2>(&mut rest)?;
    expect(&mut rest, b'T')?;
    let hour = digits::<2>(&mut rest).or_else(|| {
        proper = false;
        digits::<1>(&mut rest)
    })?;
    expect(&mut rest, b':')?;
    let minute = digits::<2>(&mut rest)?;
    expect(&mut rest, b':')?;
    let second = digits::<2>(&mut rest)?;
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    in_range.then_some(())?;

    let mut fraction = false;
    if let [mark @ (b'.' | b','), b'0'..=b'9', ..] = rest {
        proper &= *mark == b'.';
        rest = rest.get(1..)?;
        let mut index = 0;
        while let Some((&digit @ b'0'..=b'9', after)) = rest.split_first() {
            fraction |= index < 9 && digit != b'0';
            index += 1;
            rest = after;
        }
    }
    let offset = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), zone @ ..] if zone.len() == 5 => {
            let mut zone = zone;
            let hours = digits::<2>(&mut zone)?;
            expect(&mut zone, b':')?;
            let minutes = digits::<2>(&mut zone)?;
            (hours <= 24 && minutes <= 60).then_some(())?;
            proper &= hours < 24 && minutes < 60;
            let seconds = (hours * 60 + minutes) * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let clock = (hour * 60 + minute) * 60 + second;
    Some(Parsed { seconds: days(year, month, day) * DAY + clock - offset, fraction, proper })
}

/// A number of exactly `N` digits at the start.
#[inline(always)]
fn digits<const N: usize>(rest: &mut &[u8]) -> Option<i64> {
    let (number, after) = rest.split_first_chunk::<N>()?;
    let mut value = 0;
    for digit in number {
        value = value * 10 + i64::from(digit.checked_sub(b'0').filter(|&digit| digit < 10)?);
    }
    *rest = after;
    Some(value)
}

#[inline(always)]
fn expect(rest: &mut &[u8], byte: u8) -> Option<()> {
    let (&first, after) = rest.split_first()?;
    *rest = after;
    (first == byte).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(seconds: i64, zone: &Zone) -> Option<String> {
        let mut out = b"x".to_vec();
        let done = push_rfc3339(UnixSeconds(seconds), zone, &mut out);
        assert_eq!(done.is_err(), out == b"x");
        done.ok()?;
        Some(String::from_utf8(out[1..].to_vec()).unwrap())
    }

    fn read(text: &str) -> Option<(i64, bool, bool)> {
        parse_rfc3339(text.as_bytes()).map(|t| (t.seconds, t.fraction, t.proper))
    }

    #[test]
    fn utc_text_of_notable_times() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (-62_135_596_800, "0001-01-01T00:00:00Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(written(seconds, &Zone::Utc).as_deref(), Some(text));
            assert_eq!(read(text), Some((seconds, false, true)));
        }
        for seconds in [-62_167_219_201, 253_402_300_800, i64::MAX, i64::MIN] {
            assert_eq!(written(seconds, &Zone::Utc), None);
        }
    }

    #[test]
    fn other_zones_count_the_year_themselves() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let new_york = Zone::named("America/New_York").unwrap();
        let summer = 1_720_000_000;
        assert_eq!(written(summer, &berlin).unwrap(), "2024-07-03T11:46:40+02:00");
        assert_eq!(written(summer, &new_york).unwrap(), "2024-07-03T05:46:40-04:00");
        // The end of the year 9999 lies past what jiff counts to.
        assert_eq!(written(253_402_300_799, &berlin), None);
        assert_eq!(written(253_402_300_799, &new_york).unwrap(), "9999-12-31T18:59:59-05:00");
        assert_eq!(written(-62_167_219_200, &new_york), None);
        // Local mean time has seconds, which are not shown.
        assert_eq!(written(-62_135_596_800, &new_york).unwrap(), "0000-12-31T19:03:58-04:56");
        assert!(Zone::named("Europe/Nowhere").is_err());
    }

    #[test]
    fn reading_is_as_loose_as_in_go() {
        let base = 1_704_164_645;
        assert_eq!(read("2024-01-02T03:04:05Z"), Some((base, false, true)));
        assert_eq!(read("2024-01-02T3:04:05Z"), Some((base, false, false)));
        assert_eq!(read("2024-01-02T03:04:05,5Z"), Some((base, true, false)));
        assert_eq!(read("2024-01-02T03:04:05.000Z"), Some((base, false, true)));
        assert_eq!(read("2024-01-02T03:04:05.0000000001Z"), Some((base, false, true)));
        assert_eq!(read("2024-01-02T05:04:05.1+02:00"), Some((base, true, true)));
        assert_eq!(read("2024-01-03T03:04:05+24:00"), Some((base, false, false)));
        for text in [
            "",
            "2024-01-02",
            "2024-01-02t03:04:05Z",
            "2024-01-02T03:04:05z",
            "2024-01-02 03:04:05Z",
            "2024-01-02T03:04:05",
            "2024-01-02T03:04:05+0200",
            "2024-01-02T03:04:05+25:00",
            "2024-01-02T03:04:05.Z",
            "2024-01-02T03:04:60Z",
            "2024-01-02T24:04:00Z",
            "2024-02-30T03:04:05Z",
            "2023-02-29T03:04:05Z",
            "2024-00-02T03:04:05Z",
            "2024-13-02T03:04:05Z",
            "12024-01-02T03:04:05Z",
            "2024-01-02T03:04:05ZZ",
            "-024-01-02T03:04:05Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn storage_has_no_zero_time() {
        assert_eq!(UnixSeconds::stored(None), 0);
        assert_eq!(UnixSeconds::stored(Some(UnixSeconds::GO_ZERO)), 0);
        assert_eq!(UnixSeconds::from_stored(0), None);
        let before = UnixSeconds(-1);
        let stored = UnixSeconds::stored(Some(before));
        assert_eq!(UnixSeconds::from_stored(stored), Some(before));
    }
}
