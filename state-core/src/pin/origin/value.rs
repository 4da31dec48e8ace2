//! The values of multiaddress components: which bytes are one, and their text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32, BASE64URL_NOPAD, Encoding};

use crate::pin::base;
use crate::pin::multi::{self, IDENTITY, SHA2_256};
use crate::pin::peer;

/// What kind of value a protocol has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Nothing,
    Ip4,
    Ip6,
    Zone,
    Byte,
    Port,
    Name,
    Peer,
    Path,
    HttpPath,
    CertHash,
    Onion,
    Onion3,
    Garlic64,
    Garlic32,
    Memory,
}

impl Kind {
    /// Whether `value`, whose length fits the protocol, is one.
    pub(super) fn takes(self, value: &[u8]) -> bool {
        match self {
            Self::Nothing | Self::Ip4 | Self::Ip6 | Self::Byte | Self::Port | Self::Memory => true,
            Self::Zone | Self::Name => !value.is_empty() && !value.contains(&b'/'),
            Self::HttpPath => !value.is_empty(),
            Self::Path => value.len() > 1 && value.starts_with(b"/") && !value.ends_with(b"/"),
            Self::Peer => is_peer(value),
            Self::CertHash => multi::is_multihash(value),
            Self::Onion | Self::Onion3 => !value.ends_with(&[0, 0]),
            Self::Garlic64 => value.len() >= 386,
            Self::Garlic32 => value.len() == 32 || value.len() >= 35,
        }
    }

    /// Appends the text of a value that it takes.
    pub(super) fn push_text(self, value: &[u8], out: &mut Vec<u8>) {
        let number = value.iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        match self {
            Self::Nothing => {}
            Self::Ip4 => {
                let address = Ipv4Addr::from_bits(number as u32);
                out.extend_from_slice(address.to_string().as_bytes());
            }
            Self::Ip6 => {
                let bits = value.iter().fold(0, |bits, &byte| bits << 8 | u128::from(byte));
                let address = Ipv6Addr::from_bits(bits);
                out.extend_from_slice(address.to_string().as_bytes());
            }
            Self::Byte | Self::Port | Self::Memory => {
                out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            }
            Self::Zone | Self::Name | Self::Path => out.extend_from_slice(value),
            Self::HttpPath => push_query_escaped(value, out),
            Self::Peer => base::push_base58(value, out),
            Self::CertHash => {
                out.push(b'u');
                out.extend_from_slice(BASE64URL_NOPAD.encode(value).as_bytes());
            }
            Self::Onion | Self::Onion3 => {
                let (host, port) = value.split_at(value.len().saturating_sub(2));
                let port = port.iter().fold(0u16, |port, &byte| port << 8 | u16::from(byte));
                let host = BASE32.encode(host).to_ascii_lowercase();
                out.extend_from_slice(format!("{host}:{port}").as_bytes());
            }
            Self::Garlic64 => out.extend_from_slice(base::i2p_base64(value).as_bytes()),
            Self::Garlic32 => base::push_base32(value, out),
        }
    }

    /// The bytes of a value's text. Whether the protocol takes them is asked afterwards.
    pub(super) fn parse(self, text: &[u8]) -> Option<Vec<u8>> {
        let number = |largest: u64| decimal(text).filter(|&number| number <= largest);
        match self {
            Self::Nothing => None,
            Self::Ip4 => match ip(text)? {
                IpAddr::V4(address) => Some(address.octets().to_vec()),
                IpAddr::V6(address) => Some(address.to_ipv4_mapped()?.octets().to_vec()),
            },
            Self::Ip6 => match ip(text)? {
                IpAddr::V4(address) => Some(address.to_ipv6_mapped().octets().to_vec()),
                IpAddr::V6(address) => Some(address.octets().to_vec()),
            },
            Self::Byte => Some(vec![number(u64::from(u8::MAX))? as u8]),
            Self::Port => Some((number(u64::from(u16::MAX))? as u16).to_be_bytes().to_vec()),
            Self::Memory => Some(number(u64::MAX)?.to_be_bytes().to_vec()),
            Self::Zone | Self::Name | Self::Path => Some(text.to_vec()),
            Self::HttpPath => query_unescaped(text),
            Self::Peer => peer::parse_text(text),
            Self::CertHash => {
                let mut hash = Vec::new();
                base::decode_multibase(text, &mut hash)?;
                Some(hash)
            }
            Self::Onion => onion(text, 10),
            Self::Onion3 => onion(text, 35),
            Self::Garlic64 => base::decode_i2p_base64(text),
            Self::Garlic32 => garlic32(text),
        }
    }
}

/// A peer in an address is hashed with SHA2-256 or not at all.
fn is_peer(value: &[u8]) -> bool {
    multi::multihash(value).is_some_and(|hash| {
        hash.len == value.len()
            && match hash.code {
                SHA2_256 => hash.digest_len == 32,
                code => code == IDENTITY,
            }
    })
}

fn ip(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Digits only, and no sign: as Go's `ParseUint`.
fn decimal(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `HOST:PORT`, the host in padded base32 of either case.
fn onion(text: &[u8], host_len: usize) -> Option<Vec<u8>> {
    let colon = text.iter().position(|&c| c == b':')?;
    let (host, port) = text.split_at(colon);
    let mut bytes = decode_std(&BASE32, &host.to_ascii_uppercase())?;
    if bytes.len() != host_len {
        return None;
    }
    let port = decimal(port.get(1..)?)?;
    bytes.extend_from_slice(&u16::try_from(port).ok()?.to_be_bytes());
    Some(bytes)
}

/// Unpadded base32, lower case only.
fn garlic32(text: &[u8]) -> Option<Vec<u8>> {
    if text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let padding = text.len().next_multiple_of(8) - text.len();
    let mut padded = text.to_ascii_uppercase();
    padded.extend(std::iter::repeat_n(b'=', padding));
    decode_std(&BASE32, &padded)
}

/// Go's own base32 looks neither at line breaks nor at spare bits.
fn decode_std(encoding: &Encoding, text: &[u8]) -> Option<Vec<u8>> {
    let mut loose = encoding.specification();
    loose.check_trailing_bits = false;
    loose.ignore.push_str("\r\n");
    loose.encoding().ok()?.decode(text).ok()
}

/// As Go's `url.QueryEscape`.
fn push_query_escaped(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte),
            b' ' => out.push(b'+'),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

/// As Go's `url.QueryUnescape`.
fn query_unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |c: Option<u8>| char::from(c?).to_digit(16);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'%' => (digit(rest.next())? << 4 | digit(rest.next())?) as u8,
            b'+' => b' ',
            other => other,
        });
    }
    Some(out)
}
