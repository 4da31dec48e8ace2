//! Content identifiers, kept as their bytes.
//!
//! [`Cid`] holds any CID that go-cid 0.6.1 takes, with a digest of any length; the `cid`
//! crate's own type ends at 64 bytes of digest, and kubo inlines up to 128.

use std::fmt;
use std::str::FromStr;

use crate::format::Fault;

use super::base;
use super::fault::fault;
use super::multi::{self, SHA2_256};

/// A content identifier of version 0 or 1.
///
/// Two CIDs are equal when their bytes are: version 0 and version 1 of one multihash are
/// two pins. The order is that of the bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid(Box<[u8]>);

impl Cid {
    /// Takes the binary form.
    ///
    /// # Errors
    /// If `bytes` are not one whole CID, or more than one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        match multi::cid(bytes) {
            Some(_) => Ok(Self(bytes.into())),
            None => Err(fault("cid", "these bytes are no CID")),
        }
    }

    /// Copies bytes that are known to be one.
    pub(crate) fn from_valid(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Whether `bytes` are one whole CID.
    pub fn is_valid(bytes: &[u8]) -> bool {
        multi::cid(bytes).is_some()
    }

    /// The binary form, which is also the key of the record.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The version, 0 or 1.
    pub fn version(&self) -> u8 {
        multi::cid(&self.0).map_or(1, |parts| parts.version)
    }

    /// The multicodec of the content.
    pub fn codec(&self) -> u64 {
        multi::cid(&self.0).map_or(0, |parts| parts.codec)
    }

    /// The multihash within.
    pub fn hash(&self) -> &[u8] {
        multi::cid(&self.0).and_then(|parts| self.0.get(parts.hash_at..)).unwrap_or_default()
    }
}

/// Appends the canonical text of a valid binary CID: version 0 in base58, any version 1 in
/// lower-case base32 after a `b`.
pub(crate) fn push_text(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.len() == 34 && bytes.starts_with(&[0x12, 0x20]) {
        base::push_base58(bytes, out);
    } else {
        out.push(b'b');
        base::push_base32(bytes, out);
    }
}

/// Appends the binary form of a CID's text; `None` if it is not one, and then `out` is as
/// it was.
pub(crate) fn parse_text(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    if text.len() == 46 && text.starts_with(b"Qm") {
        let hash = base::decode_base58(text)?;
        let parts = multi::multihash(&hash)?;
        let whole = parts.code == SHA2_256 && parts.digest_len == 32 && parts.len == hash.len();
        return whole.then(|| out.extend_from_slice(&hash));
    }
    let taken = (text.len() >= 2)
        .then(|| base::decode_multibase(text, out))
        .flatten()
        .and_then(|()| multi::cid(out.get(start..)?));
    if taken.is_none() {
        out.truncate(start);
    }
    taken.map(|_| ())
}

impl FromStr for Cid {
    type Err = Fault;

    /// Reads the text of a CID in any base of multibase.
    fn from_str(text: &str) -> Result<Self, Fault> {
        let mut bytes = Vec::new();
        match parse_text(text.as_bytes(), &mut bytes) {
            Some(()) => Ok(Self(bytes.into())),
            None => Err(fault(
                "cid",
                format!(
                    "{text:?} is no CID: give all of it, from Qm… or from the base's letter (b…)"
                ),
            )),
        }
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        push_text(&self.0, &mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cid({self})")
    }
}

impl AsRef<[u8]> for Cid {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<cid::Cid> for Cid {
    fn from(cid: cid::Cid) -> Self {
        Self(cid.to_bytes().into())
    }
}

impl TryFrom<&Cid> for cid::Cid {
    type Error = Fault;

    /// Fails where the digest is longer than that type holds.
    fn try_from(cid: &Cid) -> Result<Self, Fault> {
        cid::Cid::try_from(cid.as_bytes()).map_err(|error| fault("cid", error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
    const V0: &str = "QmUaFyXjZUNaUwYF8rBtbJc7fEJ46aJXvgV8z2HHs6jvmJ";

    #[test]
    fn text_comes_back_as_the_crate_writes_it() {
        for text in [V0, V1] {
            let ours: Cid = text.parse().unwrap();
            let theirs: cid::Cid = text.parse().unwrap();
            assert_eq!(ours.to_string(), text);
            assert_eq!(ours.as_bytes(), theirs.to_bytes());
            assert_eq!(ours, Cid::from(theirs));
            assert_eq!(cid::Cid::try_from(&ours).unwrap(), theirs);
            assert_eq!(ours.codec(), theirs.codec());
            assert_eq!(ours.hash(), theirs.hash().to_bytes());
        }
        let other = cid::Cid::from_str(V1)
            .unwrap()
            .to_string_of_base(cid::multibase::Base::Base58Btc)
            .unwrap();
        assert_eq!(Cid::from_str(&other).unwrap().to_string(), V1);
    }

    #[test]
    fn a_digest_may_be_longer_than_64_bytes() {
        let mut bytes = vec![1, 0x55, 0, 0x80, 0x01];
        bytes.extend([3; 128]);
        let cid = Cid::from_bytes(&bytes).unwrap();
        assert_eq!(cid.to_string().parse::<Cid>().unwrap(), cid);
        assert!(cid::Cid::try_from(&cid).is_err());
    }

    #[test]
    fn what_is_no_cid_is_refused() {
        for text in ["", "b", "Qm", "hello", "bafy", &V0[1..], &format!("{V0}1")] {
            assert!(Cid::from_str(text).is_err(), "{text}");
        }
        let error = Cid::from_str("hello").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cid: \"hello\" is no CID: give all of it, from Qm… or from the base's letter (b…)"
        );
    }
}
