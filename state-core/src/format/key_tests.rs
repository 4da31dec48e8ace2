use data_encoding::BASE32_NOPAD;
use proptest::prelude::*;

use super::*;

/// A CIDv0: SHA2-256 of nothing in particular.
fn v0() -> Vec<u8> {
    let mut cid = vec![0x12, 0x20];
    cid.extend(0..32);
    cid
}

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
    assert_eq!(
        parsed(format!("{canonical}A").as_bytes()),
        Err(KeyFault::NotCid("its hash is cut short"))
    );
}

#[test]
fn what_is_no_key() {
    assert_eq!(parsed(b""), Err(KeyFault::Empty));
    assert_eq!(parsed(b"A"), Err(KeyFault::NotCid("too short")));
    assert_eq!(parsed(b"\n"), Err(KeyFault::NotCid("too short")));
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

#[test]
fn cids_that_go_takes_and_refuses() {
    for good in
        [v0(), v1(0), v1(1), v1(64), v1(127), [&[1, 0x55, 0, 0x81, 1][..], &[7; 129]].concat()]
    {
        assert_eq!(check_cid(&good), Ok(()), "{good:?}");
        assert!(check_cid(&[&good[..], &[0]].concat()).is_err(), "one more than {good:?}");
        assert!(check_cid(&good[..good.len() - 1]).is_err(), "one less than {good:?}");
    }
    for bad in [
        &[][..],
        &[0x12, 0x20],
        &[0, 0x55, 0, 0],
        &[2, 0x55, 0, 0],
        &[0x81, 0, 0x55, 0, 0], // version not minimal
        &[1, 0xd5, 0, 0, 0],    // codec not minimal
        &[1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0, 0], // 70 bits
    ] {
        assert!(check_cid(bad).is_err(), "{bad:?}");
    }
    // 63 bits are the most there may be.
    assert_eq!(check_cid(&[1, 255, 255, 255, 255, 255, 255, 255, 255, 0x7f, 0, 0]), Ok(()));
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
        let _ = check_cid(&text);
    }

    #[test]
    fn cids_agree_with_the_cid_crate(mut bytes in prop::collection::vec(any::<u8>(), 0..40), kind in 0..4_u8) {
        // Shape the bytes so that a good part of them are nearly CIDs.
        let len = bytes.len();
        if kind > 0 && len > 4 {
            bytes[0] = 1;
            bytes[1] &= 0x7f;
            bytes[2] &= 0x7f;
            bytes[3] = (len - 4) as u8 + kind - 1;
        }
        let crate_says = cid::CidGeneric::<64>::try_from(&bytes[..]).is_ok_and(|cid| cid.to_bytes() == bytes);
        prop_assert_eq!(check_cid(&bytes).is_ok(), crate_says, "{:?}", bytes);
    }
}
