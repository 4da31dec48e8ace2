//! Text forms of bytes: the base32 of CIDs and keys, base58, and multibase.
//!
//! The alphabets are RFC 4648's and those of the multibase table. Reading is as loose as
//! go-multibase 0.3.0 and the decoders under it (go-base32 0.1.0 above all): base32 and
//! base16 take both cases, base32 and base64 step over CR and LF and do not look at the
//! last character's spare bits, and an unpadded base32 text with a number of leftover
//! characters that no encoder makes just ends early. The crate `multibase` is stricter in
//! each of these, so it decodes only the bases where both agree.

use cid::multibase::Base;
use data_encoding::{Encoding, HEXLOWER_PERMISSIVE, Specification};
use std::sync::LazyLock;

const BASE32_LOWER: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// No character of the alphabet.
const NONE: u8 = 0xff;

/// Value of each base32 character, either case.
static BASE32_VALUES: [u8; 256] = values(b"abcdefghijklmnopqrstuvwxyz234567");
/// Value of each base32hex character, either case.
static BASE32HEX_VALUES: [u8; 256] = values(b"0123456789abcdefghijklmnopqrstuv");

#[expect(clippy::indexing_slicing, reason = "runs at compile time only")]
const fn values(alphabet: &[u8; 32]) -> [u8; 256] {
    let mut table = [NONE; 256];
    let mut value = 0;
    while value < 32 {
        table[alphabet[value] as usize] = value as u8;
        table[alphabet[value].to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    table
}

/// Two characters for each ten bits.
static BASE32_PAIRS: [[u8; 2]; 1024] = pairs();

#[expect(clippy::indexing_slicing, reason = "runs at compile time only")]
const fn pairs() -> [[u8; 2]; 1024] {
    let mut table = [[0; 2]; 1024];
    let mut bits = 0;
    while bits < 1024 {
        table[bits] = [BASE32_LOWER[bits >> 5], BASE32_LOWER[bits & 31]];
        bits += 1;
    }
    table
}

/// Appends the lower-case, unpadded base32 text of `bytes`.
pub(crate) fn push_base32(bytes: &[u8], out: &mut Vec<u8>) {
    let (groups, rest) = bytes.as_chunks::<5>();
    let start = out.len();
    out.resize(start + groups.len() * 8, 0);
    let (to, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<8>();
    for (to, &[a, b, c, d, e]) in to.iter_mut().zip(groups) {
        *to = base32_group(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]));
    }
    if !rest.is_empty() {
        let mut group = [0; 8];
        for (to, from) in group.iter_mut().skip(3).zip(rest) {
            *to = *from;
        }
        let text = base32_group(u64::from_be_bytes(group));
        out.extend_from_slice(text.get(..(rest.len() * 8).div_ceil(5)).unwrap_or_default());
    }
}

/// Eight characters for the low 40 bits.
#[inline]
fn base32_group(bits: u64) -> [u8; 8] {
    // The index is below 1024; the fallback is never taken and costs nothing.
    let pair = |shift: u32| {
        let index = (bits >> shift) & 1023;
        BASE32_PAIRS.get(index as usize).copied().unwrap_or_default()
    };
    let ([a, b], [c, d], [e, f], [g, h]) = (pair(30), pair(20), pair(10), pair(0));
    [a, b, c, d, e, f, g, h]
}

/// Appends what a base32 text of either case stands for; `None` if it is not one.
pub(crate) fn decode_base32(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    unpadded(text, &BASE32_VALUES, out)
}

fn unpadded(text: &[u8], table: &[u8; 256], out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    let (groups, rest) = text.as_chunks::<8>();
    out.reserve(groups.len() * 5 + 5);
    for group in groups {
        let Some(bits) = group_bits(group, table) else {
            out.truncate(start);
            return unpadded_with_breaks(text, table, out);
        };
        let [_, _, _, bytes @ ..] = bits.to_be_bytes();
        out.extend_from_slice(&bytes);
    }
    let Some(()) = last_group(rest, table, out) else {
        out.truncate(start);
        return unpadded_with_breaks(text, table, out);
    };
    Some(())
}

/// The rare text with line breaks in it, or with a character that does not belong.
#[cold]
fn unpadded_with_breaks(text: &[u8], table: &[u8; 256], out: &mut Vec<u8>) -> Option<()> {
    let joined = without_breaks(text);
    (joined.len() < text.len()).then_some(())?;
    unpadded(&joined, table, out)
}

fn without_breaks(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|c| !matches!(c, b'\r' | b'\n')).collect()
}

/// The 40 bits of eight characters.
fn group_bits(group: &[u8; 8], table: &[u8; 256]) -> Option<u64> {
    let mut bits = 0;
    let mut seen = 0;
    for &character in group {
        let value = table.get(usize::from(character)).copied().unwrap_or(NONE);
        seen |= value;
        bits = bits << 5 | u64::from(value & 31);
    }
    (seen < 32).then_some(bits)
}

/// Whole bytes of the last, short group. One, three or six characters give nothing.
fn last_group(rest: &[u8], table: &[u8; 256], out: &mut Vec<u8>) -> Option<()> {
    let zero = if table == &BASE32HEX_VALUES { b'0' } else { b'a' };
    let mut group = [zero; 8];
    for (to, from) in group.iter_mut().zip(rest) {
        *to = *from;
    }
    let [_, _, _, bytes @ ..] = group_bits(&group, table)?.to_be_bytes();
    let count = match rest.len() {
        2 => 1,
        4 => 2,
        5 => 3,
        7 => 4,
        _ => 0,
    };
    out.extend(bytes.iter().take(count));
    Some(())
}

/// Padded base32: whole groups, the last of which may end in `=`.
fn padded(text: &[u8], table: &[u8; 256], out: &mut Vec<u8>) -> Option<()> {
    let joined = without_breaks(text);
    let mut rest = joined.as_slice();
    while !rest.is_empty() {
        let (group, after) = rest.split_at_checked(8)?;
        let used = group.iter().position(|&c| c == b'=').unwrap_or(8);
        let (digits, padding) = group.split_at_checked(used)?;
        if padding.is_empty() {
            unpadded(digits, table, out)?;
            rest = after;
            continue;
        }
        // Padding ends the text. Go's reader looks for it in the last eight characters
        // only, and at nothing after it.
        let short = matches!(used, 2 | 4 | 5 | 7);
        let ends = padding.iter().all(|&c| c == b'=') && after.len() <= used;
        return (short && ends).then(|| last_group(digits, table, out))?;
    }
    Some(())
}

/// Base64 that steps over line breaks and ignores spare bits.
fn base64(alphabet: &str, padding: Option<char>) -> Option<Encoding> {
    let mut spec = Specification::new();
    spec.symbols.push_str(alphabet);
    spec.padding = padding;
    spec.check_trailing_bits = false;
    spec.ignore.push_str("\r\n");
    spec.encoding().ok()
}

const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE64_I2P: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-~";

static BASE64_PLAIN: LazyLock<Option<Encoding>> = LazyLock::new(|| base64(BASE64, None));
static BASE64_PADDED: LazyLock<Option<Encoding>> = LazyLock::new(|| base64(BASE64, Some('=')));
static BASE64_URL_PLAIN: LazyLock<Option<Encoding>> = LazyLock::new(|| base64(BASE64_URL, None));
static BASE64_URL_PADDED: LazyLock<Option<Encoding>> =
    LazyLock::new(|| base64(BASE64_URL, Some('=')));
static BASE64_I2P_PADDED: LazyLock<Option<Encoding>> =
    LazyLock::new(|| base64(BASE64_I2P, Some('=')));

/// I2P's base64, padded.
pub(crate) fn decode_i2p_base64(text: &[u8]) -> Option<Vec<u8>> {
    BASE64_I2P_PADDED.as_ref()?.decode(text).ok()
}

/// I2P's base64, padded.
pub(crate) fn i2p_base64(bytes: &[u8]) -> String {
    BASE64_I2P_PADDED.as_ref().map(|encoding| encoding.encode(bytes)).unwrap_or_default()
}

/// Decodes a base58 text with Bitcoin's alphabet; empty text is none.
pub(crate) fn decode_base58(text: &[u8]) -> Option<Vec<u8>> {
    if text.is_empty() {
        return None;
    }
    bs58::decode(text).into_vec().ok()
}

/// Appends the base58 text of `bytes`.
pub(crate) fn push_base58(bytes: &[u8], out: &mut Vec<u8>) {
    // Writing to a vector cannot fail: it grows as needed.
    out.extend_from_slice(bs58::encode(bytes).into_string().as_bytes());
}

/// Appends what a multibase text stands for; `None` if it is not one.
pub(crate) fn decode_multibase(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (&prefix, body) = text.split_first()?;
    let whole = |encoding: &Option<Encoding>| encoding.as_ref()?.decode(body).ok();
    let bytes = match prefix {
        b'b' | b'B' => return decode_base32(body, out),
        b'v' | b'V' => return unpadded(body, &BASE32HEX_VALUES, out),
        b'c' | b'C' => return padded(body, &BASE32_VALUES, out),
        b't' | b'T' => return padded(body, &BASE32HEX_VALUES, out),
        0 => body.to_vec(),
        b'0' => decode_base2(body)?,
        b'f' | b'F' => HEXLOWER_PERMISSIVE.decode(body).ok()?,
        b'k' | b'K' if !body.is_empty() => {
            Base::Base36Lower.decode(std::str::from_utf8(body).ok()?.to_ascii_lowercase()).ok()?
        }
        b'z' => decode_base58(body)?,
        b'Z' if !body.is_empty() => {
            bs58::decode(body).with_alphabet(bs58::Alphabet::FLICKR).into_vec().ok()?
        }
        b'm' => whole(&BASE64_PLAIN)?,
        b'M' => whole(&BASE64_PADDED)?,
        b'u' => whole(&BASE64_URL_PLAIN)?,
        b'U' => whole(&BASE64_URL_PADDED)?,
        _ => {
            let emoji = std::str::from_utf8(text).ok()?.strip_prefix('🚀')?;
            Base::Base256Emoji.decode(emoji).ok()?
        }
    };
    out.extend_from_slice(&bytes);
    Some(())
}

/// Binary digits, padded on the left with zeros to whole bytes. As in Go, each eight
/// characters are read as a signed number.
fn decode_base2(digits: &[u8]) -> Option<Vec<u8>> {
    let missing = digits.len().next_multiple_of(8) - digits.len();
    let mut whole = vec![b'0'; missing];
    whole.extend_from_slice(digits);
    whole
        .chunks(8)
        .map(|byte| {
            let text = std::str::from_utf8(byte).ok()?;
            let [low, ..] = i64::from_str_radix(text, 2).ok()?.to_le_bytes();
            Some(low)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode_multibase(text.as_bytes(), &mut out).map(|()| out)
    }

    #[test]
    fn base32_comes_back_at_every_length() {
        let bytes: Vec<u8> = (0..64u8).map(|n| n.wrapping_mul(37).wrapping_add(5)).collect();
        for length in 0..bytes.len() {
            let mut text = vec![b'b'];
            push_base32(&bytes[..length], &mut text);
            let reference = Base::Base32Lower.encode(&bytes[..length]);
            assert_eq!(&text[1..], reference.as_bytes());
            let text = String::from_utf8(text).unwrap();
            assert_eq!(decoded(&text).as_deref(), Some(&bytes[..length]));
        }
    }

    #[test]
    fn base32_is_read_as_loosely_as_in_go() {
        assert_eq!(decoded("bmfrgg"), Some(b"abc".to_vec()));
        assert_eq!(decoded("bMFrGG"), Some(b"abc".to_vec()), "either case");
        assert_eq!(decoded("bmf\r\nrgg"), Some(b"abc".to_vec()), "line breaks");
        assert_eq!(decoded("bmfrgh"), Some(b"abc".to_vec()), "spare bits");
        assert_eq!(decoded("bmfrggm"), Some(vec![]), "six give nothing");
        assert_eq!(decoded("bmfrg1"), None);
        assert_eq!(decoded("mYWJ"), Some(b"ab".to_vec()), "base64, spare bits");
        assert_eq!(decoded("mY\nWI"), Some(b"ab".to_vec()), "and line breaks");
        assert_eq!(decoded("MYWI"), None, "padding is not optional");
        assert_eq!(decoded("cmfrgg==="), Some(b"abc".to_vec()));
        assert_eq!(decoded("cmfrgg"), None, "padding is not optional");
        assert_eq!(decoded("cmfrgg=="), None);
    }

    #[test]
    fn every_base_of_multibase_agrees_with_the_crate() {
        let bytes = b"\x01\x55\x12\x04abcd";
        for base in [
            Base::Base2,
            Base::Base16Lower,
            Base::Base16Upper,
            Base::Base32Lower,
            Base::Base32Upper,
            Base::Base32PadLower,
            Base::Base32PadUpper,
            Base::Base32HexLower,
            Base::Base32HexUpper,
            Base::Base32HexPadLower,
            Base::Base32HexPadUpper,
            Base::Base36Lower,
            Base::Base36Upper,
            Base::Base58Btc,
            Base::Base58Flickr,
            Base::Base64,
            Base::Base64Pad,
            Base::Base64Url,
            Base::Base64UrlPad,
            Base::Base256Emoji,
        ] {
            let text = cid::multibase::encode(base, bytes);
            assert_eq!(decoded(&text).as_deref(), Some(&bytes[..]), "{text}");
        }
        for text in ["", "9123", "h1", "7123", "Rabc", "x", "z", "k", "Z"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
