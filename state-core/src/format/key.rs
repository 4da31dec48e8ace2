//! Key text: how ipfs-cluster spells a CID in its datastore and in its snapshots.
//!
//! The text is the RFC 4648 §6 base32 of the whole CID (version, codec and multihash; a
//! CIDv0 is its bare multihash), upper-case and without padding. A datastore key has a `/`
//! before it, a snapshot has the bare text.
//!
//! Every CID has exactly one such text, the *canonical* one, and [`write()`] gives no other.
//! ipfs-cluster reads more than it writes: lower-case letters, line breaks in between and
//! bits left over after the last byte. It then lists such a key as a second pin of the same
//! CID which no other call finds. [`parse`] therefore takes the canonical text alone, and
//! says of another spelling which CID it stands for.

use std::fmt;

use crate::pin::Cid;

/// The alphabet of RFC 4648 §6.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// What [`VALUES`] holds for a byte outside the alphabet.
const FOREIGN: u8 = 0xff;
/// The value of each letter and digit in either case.
const VALUES: [u8; 256] = values();
/// One in every byte of a word.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The high bit of every byte of a word.
const HIGHS: u64 = 0x8080_8080_8080_8080;

#[allow(clippy::indexing_slicing)] // evaluated by the compiler, which refuses a bad index
const fn values() -> [u8; 256] {
    let mut table = [FOREIGN; 256];
    let mut value = 0;
    while value < 32 {
        let letter = ALPHABET[value];
        table[letter as usize] = value as u8;
        table[letter.to_ascii_lowercase() as usize] = value as u8;
        value += 1;
    }
    table
}

/// Why a key text names no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// There is no text at all: ipfs-cluster's key for the namespace itself.
    Empty,
    /// A byte outside the alphabet, counted from 0.
    Foreign {
        /// The byte's index in the text.
        at: usize,
        /// The byte.
        byte: u8,
    },
    /// Base32 of bytes that are no CID.
    NotCid,
    /// ipfs-cluster reads a CID from it but would never write it so.
    OtherSpelling {
        /// The CID's one right text.
        canonical: String,
    },
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty, so it names no CID"),
            Self::Foreign { at, byte } if byte.is_ascii_graphic() => {
                write!(f, "'{}' at index {at} is no base32 digit", char::from(*byte))
            }
            Self::Foreign { at, byte } => {
                write!(f, "byte 0x{byte:02x} at index {at} is no base32 digit")
            }
            Self::NotCid => f.write_str("base32 of bytes that are no CID"),
            Self::OtherSpelling { canonical } => {
                write!(f, "not the canonical base32 of its CID, which is {canonical}")
            }
        }
    }
}

impl std::error::Error for KeyFault {}

/// How many characters [`write()`] appends for a CID of `len` bytes.
#[must_use]
pub const fn text_len(len: usize) -> usize {
    len / 5 * 8 + (len % 5 * 8).div_ceil(5)
}

/// Appends the text of a CID to `out`, without the `/` of a datastore key.
///
/// The bytes are not looked at; any others are spelt just the same.
pub fn write(cid: &[u8], out: &mut Vec<u8>) {
    let (groups, rest) = cid.as_chunks::<5>();
    out.reserve(text_len(cid.len()));
    for &[a, b, c, d, e] in groups {
        out.extend_from_slice(&spell([a, b, c, d, e]));
    }
    if !rest.is_empty() {
        let mut group = [0; 5];
        for (to, from) in group.iter_mut().zip(rest) {
            *to = *from;
        }
        let letters = (rest.len() * 8).div_ceil(5);
        out.extend(spell(group).into_iter().take(letters));
    }
}

/// The text of a CID as a string, without the `/` of a datastore key.
#[must_use]
pub fn text(cid: &[u8]) -> String {
    let mut out = Vec::new();
    write(cid, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Reads a canonical text and puts the CID's bytes into `cid`, replacing what it held.
///
/// # Errors
/// Says why the text is not the one that [`write()`] gives for a CID; `cid` then holds
/// nothing of use.
pub fn parse(text: &[u8], cid: &mut Vec<u8>) -> Result<(), KeyFault> {
    if decode_canonical(text, cid) && Cid::is_valid(cid) {
        return Ok(());
    }
    Err(explain(text))
}

/// The only part of a text that ipfs-cluster would take for a path (go-datastore, `NewKey`):
/// without empty parts and `.`, and with `..` taking away the part before it. `None` if there
/// is none left, or more than one.
#[must_use]
pub fn only_part(text: &[u8]) -> Option<&[u8]> {
    let mut parts = Vec::new();
    for part in text.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    match parts[..] {
        [part] => Some(part),
        _ => None,
    }
}

/// The eight characters of five bytes: spread over the bytes of a word, then turned into
/// letters all at once.
fn spell([a, b, c, d, e]: [u8; 5]) -> [u8; 8] {
    let bits = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
    let halves = ((bits << 12) & 0x000f_ffff_0000_0000) | (bits & 0x000f_ffff);
    let quarters = ((halves << 6) & 0x03ff_0000_03ff_0000) | (halves & 0x0000_03ff_0000_03ff);
    let digits = ((quarters << 3) & 0x1f00_1f00_1f00_1f00) | (quarters & 0x001f_001f_001f_001f);
    // 0..=25 become 'A'..='Z'; 26..=31 become '2'..='7', which stand 41 before that.
    let numerals = ((digits + ONES * (128 - 26)) & HIGHS) >> 7;
    (digits + ONES * u64::from(b'A') - numerals * 41).to_be_bytes()
}

/// The five bytes of eight upper-case characters.
fn unspell(letters: [u8; 8]) -> Option<[u8; 5]> {
    let word = u64::from_be_bytes(letters);
    if word & HIGHS != 0 {
        return None;
    }
    // No byte is above 127, so no sum here reaches into its neighbour.
    let at_least = |low: u8| word + ONES * u64::from(128 - low);
    let capitals = at_least(b'A') & !at_least(b'Z' + 1) & HIGHS;
    let numerals = at_least(b'2') & !at_least(b'7' + 1) & HIGHS;
    if capitals | numerals != HIGHS {
        return None;
    }
    let digits = word - (capitals >> 7) * u64::from(b'A') - (numerals >> 7) * u64::from(b'2' - 26);
    let quarters = ((digits >> 3) & 0x03e0_03e0_03e0_03e0) | (digits & 0x001f_001f_001f_001f);
    let halves = ((quarters >> 6) & 0x000f_fc00_000f_fc00) | (quarters & 0x0000_03ff_0000_03ff);
    let bits = ((halves >> 12) & 0x00ff_fff0_0000) | (halves & 0x000f_ffff);
    let [_, _, _, a, b, c, d, e] = bits.to_be_bytes();
    Some([a, b, c, d, e])
}

/// Decodes upper-case base32 without bits left over; false if `text` is anything else.
fn decode_canonical(text: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    out.reserve(text.len() / 8 * 5 + 5);
    let (groups, rest) = text.as_chunks::<8>();
    for group in groups {
        let Some(bytes) = unspell(*group) else {
            return false;
        };
        out.extend_from_slice(&bytes);
    }
    let whole = match rest.len() {
        0 => return true,
        2 => 1,
        4 => 2,
        5 => 3,
        7 => 4,
        _ => return false,
    };
    let mut letters = [b'A'; 8];
    for (to, from) in letters.iter_mut().zip(rest) {
        *to = *from;
    }
    let Some(bytes) = unspell(letters) else {
        return false;
    };
    let (kept, left_over) = bytes.split_at(whole);
    out.extend_from_slice(kept);
    left_over.iter().all(|byte| *byte == 0)
}

/// Why a text cannot be a key: reads it as ipfs-cluster would.
#[cold]
fn explain(text: &[u8]) -> KeyFault {
    match decode_tolerant(text) {
        _ if text.is_empty() => KeyFault::Empty,
        Err(fault) => fault,
        Ok(cid) if Cid::is_valid(&cid) => KeyFault::OtherSpelling { canonical: self::text(&cid) },
        Ok(_) => KeyFault::NotCid,
    }
}

/// Decodes base32 as go-base32 0.1.0 does (`RawStdEncoding`, `DecodeString`): in either case,
/// without carriage returns and line feeds, without the bits after the last whole byte, and
/// without a last group of 1, 3 or 6 characters.
///
/// # Errors
/// [`KeyFault::Foreign`] at the first byte outside the alphabet.
pub fn decode_tolerant(text: &[u8]) -> Result<Vec<u8>, KeyFault> {
    let mut out = Vec::with_capacity(text.len() / 8 * 5 + 5);
    let (mut bits, mut digits) = (0_u64, 0_usize);
    for (at, &byte) in text.iter().enumerate() {
        if byte == b'\r' || byte == b'\n' {
            continue;
        }
        let value = VALUES.get(usize::from(byte)).copied().unwrap_or(FOREIGN);
        if value == FOREIGN {
            return Err(KeyFault::Foreign { at, byte });
        }
        bits = (bits << 5) | u64::from(value);
        digits += 1;
        if digits == 8 {
            out.extend(bits.to_be_bytes().into_iter().skip(3));
            (bits, digits) = (0, 0);
        }
    }
    if matches!(digits, 2 | 4 | 5 | 7) {
        let group = (bits << (5 * (8 - digits))).to_be_bytes();
        out.extend(group.into_iter().skip(3).take(digits * 5 / 8));
    }
    Ok(out)
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
