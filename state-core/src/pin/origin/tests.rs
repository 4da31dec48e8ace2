use super::*;

const PEER: &str = "12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf";

#[test]
fn text_and_bytes_agree_with_the_crate_where_both_take_them() {
    let onion3 = format!("/onion3/{}:1234", "a".repeat(56));
    for text in [
        "/ip4/127.0.0.1/tcp/4001",
        "/ip6/2001:db8::1/udp/4001/quic-v1",
        "/ip6/::ffff:1.2.3.4/tcp/1",
        "/dns4/example.org/tcp/443/wss/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
        "/dnsaddr/bootstrap.libp2p.io",
        "/ip4/1.2.3.4/ipcidr/24",
        "/memory/18446744073709551615",
        "/ip6zone/eth0/ip6/fe80::1",
        "/sni/example.org",
        "/ip4/1.2.3.4/udp/1/webrtc-direct/p2p-circuit",
        onion3.as_str(),
    ] {
        let ours: Origin = text.parse().unwrap();
        let theirs: multiaddr::Multiaddr = text.parse().unwrap();
        assert_eq!(ours.as_bytes(), theirs.as_ref(), "{text}");
        assert_eq!(ours.to_string(), text);
        assert_eq!(Origin::from_bytes(ours.as_bytes()).unwrap(), ours);
    }
}

#[test]
fn text_becomes_canonical() {
    for (given, canonical) in [
        ("/ip4/1.2.3.4/tcp/1//", "/ip4/1.2.3.4/tcp/1"),
        ("/ip6/2001:DB8:0:0:0:0:0:1", "/ip6/2001:db8::1"),
        ("/ip4/::ffff:1.2.3.4", "/ip4/1.2.3.4"),
        ("/ip4/1.2.3.4/tcp/007", "/ip4/1.2.3.4/tcp/7"),
        ("/unix/var/run/x.sock/", "/unix/var/run/x.sock"),
        ("/http-path/a%2fb c%20d+e", "/http-path/a%2Fb+c+d+e"),
        ("/onion/AAAAAAAAAAAAAAAA:80", "/onion/aaaaaaaaaaaaaaaa:80"),
    ] {
        let origin: Origin = given.parse().unwrap();
        assert_eq!(origin.to_string(), canonical);
        assert_eq!(Origin::from_bytes(origin.as_bytes()).unwrap(), origin);
    }
    let old: Origin = format!("/ipfs/{PEER}").parse().unwrap();
    assert_eq!(old.to_string(), format!("/p2p/{PEER}"));
    assert!(old.names_peer());
    assert!(!Origin::from_str("/tls/http").unwrap().names_peer());
}

#[test]
fn what_go_refuses_is_refused() {
    for text in [
        "",
        "/",
        "ip4/1.2.3.4",
        "/ip4",
        "/ip4/1.2.3.4/",
        "/ip4/01.2.3.4",
        "/ip4/1.2.3.4//tcp/1",
        "/tcp/65536",
        "/tcp/+1",
        "/tcp/",
        "/nothing",
        "/unix",
        "/p2p/peer",
        "/onion/aaaaaaaaaaaaaaaa:0",
        "/onion/aaaaaaaaaaaaaaaa",
        "/garlic32/AAAA",
        "/http-path/%g0",
        "/ip6/fe80::1%25eth0",
    ] {
        let taken = Origin::from_str(text).map(|origin| origin.to_string());
        // A slash at the end of an address is no part of it.
        let expected = (text == "/ip4/1.2.3.4/").then(|| "/ip4/1.2.3.4".to_owned());
        assert_eq!(taken.ok(), expected, "{text}");
    }
    for bytes in [
        &[][..],
        &[4, 1, 2, 3],
        &[6, 0],
        &[0x84, 0x00, 1, 2, 3, 4],
        &[53, 0],
        &[53, 1, b'/'],
        &[54, 2, b'a'],
        &[0xa5, 0x03, 3, 0x11, 1, 9],
        &[0x90, 0x03, 1, b'/'],
        &[0x90, 0x03, 2, b'/', b'a', 6, 0, 1],
        &[99],
    ] {
        assert!(Origin::from_bytes(bytes).is_err(), "{bytes:?}");
    }
}
