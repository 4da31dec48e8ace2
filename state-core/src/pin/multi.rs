//! The byte forms that CIDs, peer IDs and multiaddresses share: unsigned varints and
//! multihashes, accepted exactly as the Go libraries of ipfs-cluster accept them.
//!
//! The crates `cid` and `multihash` keep digests in arrays of fixed size, so they refuse
//! identity hashes above it, which Go stores and reads. What a pinset contains must never
//! be refused for its length; therefore the layout is walked here and the bytes are kept.
//!
//! Sources: the unsigned-varint, multihash and CID specifications of multiformats;
//! limits as in go-varint 0.1.0, go-multihash 0.2.3 and go-cid 0.6.1.

/// Multicodec of a CIDv0's content and of `dag-pb` nodes.
pub(crate) const DAG_PB: u64 = 0x70;
/// Multicodec of a peer's public key, the form of a peer ID as a CIDv1.
pub(crate) const LIBP2P_KEY: u64 = 0x72;
/// Multihash code of an unhashed digest.
pub(crate) const IDENTITY: u64 = 0x00;
/// Multihash code of SHA2-256.
pub(crate) const SHA2_256: u64 = 0x12;

/// Reads an unsigned varint: at most 63 bits, in the shortest form only.
///
/// Returns the value and the number of bytes it takes.
#[inline]
pub(crate) fn uvarint(bytes: &[u8]) -> Option<(u64, usize)> {
    match bytes {
        [byte, ..] if *byte < 0x80 => Some((u64::from(*byte), 1)),
        _ => long_uvarint(bytes),
    }
}

fn long_uvarint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(9).enumerate() {
        if byte < 0x80 {
            let padded = byte == 0 && index > 0;
            return (!padded).then_some((value | u64::from(byte) << (7 * index), index + 1));
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
    }
    None
}

/// Appends an unsigned varint.
pub(crate) fn push_uvarint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A multihash at the start of some bytes.
#[derive(Clone, Copy)]
pub(crate) struct Multihash {
    /// The hash function.
    pub(crate) code: u64,
    /// Bytes in the digest.
    pub(crate) digest_len: usize,
    /// Bytes in the whole multihash.
    pub(crate) len: usize,
}

/// Reads the head of a multihash and checks that its digest is all there.
pub(crate) fn multihash(bytes: &[u8]) -> Option<Multihash> {
    let (code, code_len) = uvarint(bytes)?;
    let rest = bytes.get(code_len..)?;
    let (digest_len, length_len) = uvarint(rest)?;
    let digest_len = i32::try_from(digest_len).ok()?;
    let digest_len = usize::try_from(digest_len).ok()?;
    let head = code_len + length_len;
    (digest_len <= bytes.len() - head).then_some(Multihash {
        code,
        digest_len,
        len: head + digest_len,
    })
}

/// Whether `bytes` are one multihash and nothing more.
pub(crate) fn is_multihash(bytes: &[u8]) -> bool {
    multihash(bytes).is_some_and(|hash| hash.len == bytes.len())
}

/// The parts of a binary CID.
#[derive(Clone, Copy)]
pub(crate) struct CidParts {
    /// 0 or 1.
    pub(crate) version: u8,
    /// Multicodec of the content.
    pub(crate) codec: u64,
    /// Where the multihash begins.
    pub(crate) hash_at: usize,
}

/// Reads a binary CID that takes up all of `bytes`.
pub(crate) fn cid(bytes: &[u8]) -> Option<CidParts> {
    if let [0x12, 0x20, _, ..] = bytes {
        return (bytes.len() == 34).then_some(CidParts { version: 0, codec: DAG_PB, hash_at: 0 });
    }
    let (1, version_len) = uvarint(bytes)? else {
        return None;
    };
    let (codec, codec_len) = uvarint(bytes.get(version_len..)?)?;
    let hash_at = version_len + codec_len;
    is_multihash(bytes.get(hash_at..)?).then_some(CidParts { version: 1, codec, hash_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_shortest_and_at_most_63_bits() {
        assert_eq!(uvarint(&[0]), Some((0, 1)));
        assert_eq!(uvarint(&[0xff, 0x01, 9]), Some((255, 2)));
        assert_eq!(uvarint(&[0x80, 0x00]), None);
        assert_eq!(uvarint(&[0x80]), None);
        assert_eq!(uvarint(&[]), None);
        let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(uvarint(&largest), Some((u64::MAX >> 1, 9)));
        let too_long = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(uvarint(&too_long), None);
    }

    #[test]
    fn a_multihash_is_exactly_as_long_as_it_says() {
        assert!(is_multihash(&[0x00, 0x00]));
        assert!(is_multihash(&[0x12, 0x02, 1, 2]));
        assert!(!is_multihash(&[0x12, 0x02, 1]));
        assert!(!is_multihash(&[0x12, 0x02, 1, 2, 3]));
        assert!(!is_multihash(&[0x12]));
    }

    #[test]
    fn a_cid_is_v0_or_v1_without_trailing_bytes() {
        let mut v0 = vec![0x12, 0x20];
        v0.extend([7; 32]);
        assert_eq!(cid(&v0).map(|c| c.version), Some(0));
        v0.push(0);
        assert!(cid(&v0).is_none());
        assert_eq!(cid(&[1, 0x55, 0, 1, 9]).map(|c| c.hash_at), Some(2));
        assert!(cid(&[2, 0x55, 0, 1, 9]).is_none());
        assert!(cid(&[1, 0x55, 0, 1, 9, 9]).is_none());
        assert!(cid(&[]).is_none());
        let mut long = vec![1, 0x55, 0, 0x80, 0x01];
        long.extend([3; 128]);
        assert!(cid(&long).is_some(), "an identity digest above 64 bytes");
    }
}
