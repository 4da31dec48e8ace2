//! What a server says that it supports, which drivers keep to themselves.

use std::collections::BTreeMap;
use std::io::{Error, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::access::Access;
use crate::tls;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Version 4, no flags, stream 0, OPTIONS, no body: CQL binary protocol v4, sections 2 and 4.1.3.
const REQUEST: [u8; 9] = [4, 0, 0, 0, 5, 0, 0, 0, 0];
/// The opcode of the answer, section 4.2.4.
const SUPPORTED: u8 = 6;
const LARGEST: usize = 1 << 20;

/// Asks a node, in the clear or over TLS as the cluster speaks it.
pub(super) fn supported(
    access: &Access,
    node: SocketAddr,
) -> Result<BTreeMap<String, Vec<String>>> {
    let tcp = TcpStream::connect_timeout(&node, TIMEOUT)?;
    tcp.set_read_timeout(Some(TIMEOUT))?;
    match &access.tls {
        None => exchange(tcp),
        Some(files) => {
            let config = tls::strict(files).map_err(Error::other)?;
            let name = ServerName::from(node.ip());
            let connection = ClientConnection::new(config, name).map_err(Error::other)?;
            exchange(StreamOwned::new(connection, tcp))
        }
    }
}

fn exchange(mut stream: impl Read + Write) -> Result<BTreeMap<String, Vec<String>>> {
    stream.write_all(&REQUEST)?;
    stream.flush()?;
    let mut header = [0; 9];
    stream.read_exact(&mut header)?;
    let [_, _, _, _, opcode, length @ ..] = header;
    let length = u32::from_be_bytes(length) as usize;
    if opcode != SUPPORTED || length > LARGEST {
        return Err(Error::other(format!(
            "opcode {opcode} and {length} bytes instead of SUPPORTED"
        )));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    multimap(&body).ok_or_else(|| Error::other("the SUPPORTED frame is cut short"))
}

/// A `[string multimap]`, section 3.
fn multimap(mut body: &[u8]) -> Option<BTreeMap<String, Vec<String>>> {
    let mut map = BTreeMap::new();
    for _ in 0..short(&mut body)? {
        let key = string(&mut body)?;
        let values = (0..short(&mut body)?).map(|_| string(&mut body));
        map.insert(key, values.collect::<Option<_>>()?);
    }
    Some(map)
}

fn short(body: &mut &[u8]) -> Option<u16> {
    let (value, rest) = body.split_first_chunk::<2>()?;
    *body = rest;
    Some(u16::from_be_bytes(*value))
}

fn string(body: &mut &[u8]) -> Option<String> {
    let length = short(body)?.into();
    let (value, rest) = body.split_at_checked(length)?;
    *body = rest;
    String::from_utf8(value.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_multimap() {
        let body = b"\x00\x01\x00\x03KEY\x00\x02\x00\x01a\x00\x02bc";
        let map = multimap(body).unwrap();
        assert_eq!(map["KEY"], ["a", "bc"]);
        assert!(multimap(&body[..body.len() - 1]).is_none());
    }
}
