//! Origins: the multiaddresses a pin may be fetched from.
//!
//! Bytes and text are checked and written as go-multiaddr 0.16.1 does. The crate
//! `multiaddr` differs where it matters here: it takes an empty address, empty names and
//! zones, and values Go refuses; it refuses peer IDs and protocols Go takes; and it writes
//! some in another form (`certhash`, `http-path`). An origin that Go refuses makes the
//! whole pin unreadable there, and one that we refused would be lost here, so the table
//! of protocols is kept in this module; the crate is what the tests compare with.

use std::fmt;
use std::str::FromStr;

use crate::format::Fault;

use super::fault::fault;
use super::multi;

mod value;

use value::Kind;

/// How many bytes of value follow a protocol's code.
#[derive(Clone, Copy)]
enum Size {
    /// So many.
    Fixed(usize),
    /// As many as a varint before them says, and not none.
    Prefixed,
}

struct Protocol {
    name: &'static str,
    code: u64,
    size: Size,
    kind: Kind,
}

const fn flag(name: &'static str, code: u64) -> Protocol {
    Protocol { name, code, size: Size::Fixed(0), kind: Kind::Nothing }
}

const fn fixed(name: &'static str, code: u64, bytes: usize, kind: Kind) -> Protocol {
    Protocol { name, code, size: Size::Fixed(bytes), kind }
}

const fn prefixed(name: &'static str, code: u64, kind: Kind) -> Protocol {
    Protocol { name, code, size: Size::Prefixed, kind }
}

/// The multiaddr protocols that ipfs-cluster v1.1.6 knows, the common ones first.
static PROTOCOLS: [Protocol; 38] = [
    fixed("ip4", 4, 4, Kind::Ip4),
    fixed("tcp", 6, 2, Kind::Port),
    prefixed("p2p", 421, Kind::Peer),
    fixed("ip6", 41, 16, Kind::Ip6),
    fixed("udp", 273, 2, Kind::Port),
    flag("quic-v1", 461),
    flag("quic", 460),
    prefixed("dns", 53, Kind::Name),
    prefixed("dns4", 54, Kind::Name),
    prefixed("dns6", 55, Kind::Name),
    prefixed("dnsaddr", 56, Kind::Name),
    flag("tls", 448),
    flag("ws", 477),
    flag("wss", 478),
    flag("p2p-circuit", 290),
    flag("webtransport", 465),
    prefixed("certhash", 466, Kind::CertHash),
    flag("webrtc-direct", 280),
    flag("webrtc", 281),
    fixed("dccp", 33, 2, Kind::Port),
    prefixed("ip6zone", 42, Kind::Zone),
    fixed("ipcidr", 43, 1, Kind::Byte),
    fixed("sctp", 132, 2, Kind::Port),
    flag("p2p-webrtc-direct", 276),
    flag("udt", 301),
    flag("utp", 302),
    prefixed("unix", 400, Kind::Path),
    flag("https", 443),
    fixed("onion", 444, 12, Kind::Onion),
    fixed("onion3", 445, 37, Kind::Onion3),
    prefixed("garlic64", 446, Kind::Garlic64),
    prefixed("garlic32", 447, Kind::Garlic32),
    prefixed("sni", 449, Kind::Name),
    flag("noise", 454),
    flag("http", 480),
    prefixed("http-path", 481, Kind::HttpPath),
    fixed("memory", 777, 8, Kind::Memory),
    flag("plaintextv2", 7_367_777),
];

fn by_code(code: u64) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.code == code)
}

fn by_name(name: &[u8]) -> Option<&'static Protocol> {
    let name = if name == b"ipfs" { b"p2p" } else { name };
    PROTOCOLS.iter().find(|protocol| protocol.name.as_bytes() == name)
}

/// Splits off the first component: its protocol, its value, and what follows.
fn component(bytes: &[u8]) -> Option<(&'static Protocol, &[u8], &[u8])> {
    let (code, code_len) = multi::uvarint(bytes)?;
    let protocol = by_code(code)?;
    let rest = bytes.get(code_len..)?;
    let (size, rest) = match protocol.size {
        Size::Fixed(size) => (size, rest),
        Size::Prefixed => {
            let (size, size_len) = multi::uvarint(rest)?;
            let size = usize::try_from(i32::try_from(size).ok()?).ok()?;
            (size, rest.get(size_len..).filter(|_| size > 0)?)
        }
    };
    let (value, rest) = rest.split_at_checked(size)?;
    Some((protocol, value, rest))
}

/// Whether `bytes` are a multiaddress that Go reads.
pub(crate) fn is_valid(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((protocol, value, after)) = component(rest) {
        if !protocol.kind.takes(value) || (protocol.kind == Kind::Path && !after.is_empty()) {
            return false;
        }
        if after.is_empty() {
            return true;
        }
        rest = after;
    }
    false
}

/// Appends the text of a valid multiaddress. It is text in the sense of bytes: names in a
/// stored address need not be UTF-8.
pub(crate) fn push_text(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some((protocol, value, after)) = component(rest) {
        out.push(b'/');
        out.extend_from_slice(protocol.name.as_bytes());
        if protocol.kind != Kind::Nothing && protocol.kind != Kind::Path {
            out.push(b'/');
        }
        protocol.kind.push_text(value, out);
        rest = after;
    }
}

/// The bytes of a multiaddress's text.
pub(crate) fn parse_text(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|&c| c != b'/')? + 1;
    let mut rest = text.get(..end)?.strip_prefix(b"/")?;
    let mut bytes = Vec::new();
    let mut done = false;
    while !done {
        let name = next_part(&mut rest, &mut done);
        let protocol = by_name(name)?;
        multi::push_uvarint(protocol.code, &mut bytes);
        if protocol.kind == Kind::Nothing {
            continue;
        }
        if done {
            return None;
        }
        let value = if protocol.kind == Kind::Path {
            done = true;
            protocol.kind.parse(&[b"/", rest].concat())?
        } else {
            protocol.kind.parse(next_part(&mut rest, &mut done))?
        };
        if let Size::Prefixed = protocol.size {
            multi::push_uvarint(value.len() as u64, &mut bytes);
        }
        bytes.extend_from_slice(&value);
    }
    is_valid(&bytes).then_some(bytes)
}

/// The text before the next slash, which is passed; `done` at the end.
fn next_part<'a>(rest: &mut &'a [u8], done: &mut bool) -> &'a [u8] {
    let at = rest.iter().position(|&c| c == b'/');
    *done = at.is_none();
    let (part, after) = rest.split_at(at.unwrap_or(rest.len()));
    *rest = after.get(1..).unwrap_or_default();
    part
}

/// A multiaddress from which a pin's content may be fetched.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Box<[u8]>);

impl Origin {
    /// Takes the binary form.
    ///
    /// # Errors
    /// If `bytes` are no multiaddress, or an empty one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        if is_valid(bytes) {
            Ok(Self(bytes.into()))
        } else {
            Err(fault("origin", "these bytes are no multiaddress"))
        }
    }

    /// Copies bytes that are known to be one.
    pub(crate) fn from_valid(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The binary form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the address names a peer (`/p2p/…`), as the REST interface of ipfs-cluster
    /// demands of an origin.
    pub fn names_peer(&self) -> bool {
        let mut rest = &*self.0;
        while let Some((protocol, _, after)) = component(rest) {
            if protocol.kind == Kind::Peer {
                return true;
            }
            rest = after;
        }
        false
    }
}

impl FromStr for Origin {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        match parse_text(text.as_bytes()) {
            Some(bytes) => Ok(Self(bytes.into())),
            None => Err(fault("origin", format!("{text:?} is no multiaddress"))),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        push_text(&self.0, &mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

impl AsRef<[u8]> for Origin {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests;
