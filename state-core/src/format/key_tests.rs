use data_encoding::BASE32_NOPAD;
use proptest::prelude::*;

use super::*;

/// A CIDv1 with a digest of `len` bytes.
fn v1(len: u8) -> Vec<u8> {
    let mut cid = vec![1, 0x55, 0x12, len];
    cid.extend((0..len).map(|byte| byte.wrapping_mul(37)));
    cid
}

fn parsed(text: &[u8]) -> Result<Vec<u8>, KeyFault> {
    let mut cid = vec![9; 3];
    parse(text, &mut cid).map(|()| cid)
}

#[test]
fn text_of_known_cids() {
    // Written by go-base32 0.1.0 for the CIDv0 of the empty UnixFS directory.
    let cid = bs58::decode("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn").into_vec().unwrap();
    assert_eq!(text(&cid), "CIQFTFEEHEDF6KLBT32BFAGLXEZL4UWFNWM4LFTLMXQBCERZ6CMLX3Y");
    assert_eq!(text_len(cid.len()), text(&cid).len());
    assert_eq!(parsed(text(&cid).as_bytes()), Ok(cid));
}

#[test]
fn other_spellings_name_the_canonical_one() {
    let cid = v1(32); // 36 bytes: 58 characters with two bits left over
    let canonical = text(&cid);
    let other = Err(KeyFault::OtherSpelling { canonical: canonical.clone() });
    assert_eq!(parsed(canonical.to_lowercase().as_bytes()), other);
    let mut mixed = canonical.clone().into_bytes();
    mixed[3].make_ascii_lowercase();
    assert_eq!(parsed(&mixed), other);
    assert_eq!(parsed(format!("{}\r\n{}", &canonical[..7], &canonical[7..]).as_bytes()), other);
    let mut bits = canonical.clone().into_bytes();
    let last = bits.last_mut().unwrap();
    assert_eq!(VALUES[usize::from(*last)] & 3, 0);
    *last = ALPHABET[usize::from(VALUES[usize::from(*last)]) + 1];
    assert_eq!(parsed(&bits), other);
    // 58 characters and one more make a last group of 3, which ipfs-cluster drops whole.
    assert_eq!(parsed(format!("{canonical}A").as_bytes()), Err(KeyFault::NotCid));
}

#[test]
fn what_is_no_key() {
    assert_eq!(parsed(b""), Err(KeyFault::Empty));
    assert_eq!(parsed(b"A"), Err(KeyFault::NotCid));
    assert_eq!(parsed(b"\n"), Err(KeyFault::NotCid));
    assert_eq!(parsed(b"CIQ1"), Err(KeyFault::Foreign { at: 3, byte: b'1' }));
    assert_eq!(parsed(b"/CIQ"), Err(KeyFault::Foreign { at: 0, byte: b'/' }));
    assert_eq!(parsed(b"CIQ="), Err(KeyFault::Foreign { at: 3, byte: b'=' }));
    assert_eq!(parsed(b"AAAAAAA\xc1"), Err(KeyFault::Foreign { at: 7, byte: 0xc1 }));
    assert_eq!(
        KeyFault::Foreign { at: 7, byte: 0xc1 }.to_string(),
        "byte 0xc1 at index 7 is no base32 digit"
    );
}

#[test]
fn parts_of_a_path() {
    for (text, part) in [
        (&b"KEY"[..], Some(&b"KEY"[..])),
        (b"/KEY", Some(b"KEY")),
        (b"KEY//", Some(b"KEY")),
        (b"./../a/../KEY/.", Some(b"KEY")),
        (b"a/KEY", None),
        (b"KEY/..", None),
        (b"...", Some(b"...")),
        (b"", None),
    ] {
        assert_eq!(only_part(text), part);
    }
}

#[test]
fn every_byte_in_every_place_of_a_group() {
    for place in 0..8 {
        for byte in 0..=255 {
            let mut letters = *b"AAAAAAAA";
            letters[place] = byte;
            let expected = BASE32_NOPAD.decode(&letters).ok();
            assert_eq!(unspell(letters).map(Vec::from), expected, "{byte} at {place}");
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_another_base32(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut out = b"before".to_vec();
        write(&bytes, &mut out);
        let text = BASE32_NOPAD.encode(&bytes);
        prop_assert_eq!(&out[6..], text.as_bytes());
        prop_assert_eq!(text.len(), text_len(bytes.len()));
        let mut back = Vec::new();
        prop_assert!(decode_canonical(text.as_bytes(), &mut back));
        prop_assert_eq!(&back, &bytes);
        prop_assert_eq!(decode_tolerant(text.to_lowercase().as_bytes()), Ok(bytes));
    }

    #[test]
    fn whatever_parses_is_what_would_be_written(text in "[A-Z2-7]{0,40}") {
        let mut cid = Vec::new();
        if decode_canonical(text.as_bytes(), &mut cid) {
            prop_assert_eq!(super::text(&cid), text);
        } else {
            prop_assert!(BASE32_NOPAD.decode(text.as_bytes()).is_err());
        }
    }

    #[test]
    fn no_panic(text in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = parsed(&text);
        let _ = decode_tolerant(&text);
    }
}
