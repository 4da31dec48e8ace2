//! A pinset comes out of a real, running peer of ipfs-cluster: by its REST API, and by its own
//! export.

#![cfg(feature = "sled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use common::{Place, cid, run};
use serde_json::Value;
use testbed::IpfsClusterPeer;

/// How many pins are added; scripts/nightly has it at 10,000.
const VARIABLE: &str = "PINSTATE_PEER_PINS";
const PINS: u32 = 1_000;
/// Connections that add pins at the same time.
const ADDERS: u32 = 8;

fn pins() -> u32 {
    std::env::var(VARIABLE).map_or(PINS, |text| text.parse().unwrap())
}

/// Asks the peer on one connection after the other request, and gives the status of each.
struct Api(BufReader<TcpStream>);

impl Api {
    fn new(peer: &IpfsClusterPeer) -> Self {
        let wire = TcpStream::connect(("127.0.0.1", peer.port())).unwrap();
        wire.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(BufReader::new(wire))
    }

    fn ask(&mut self, method: &str, path: &str) -> String {
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut status = String::new();
        self.0.read_line(&mut status).unwrap();
        let mut length = 0;
        loop {
            let mut header = String::new();
            self.0.read_line(&mut header).unwrap();
            let header = header.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        self.0.read_exact(&mut vec![0; length]).unwrap();
        status.split(' ').nth(1).unwrap().to_owned()
    }
}

/// Adds pins in many of the ways that the API has.
fn add(peer: &IpfsClusterPeer, count: u32) {
    std::thread::scope(|scope| {
        for adder in 0..ADDERS {
            scope.spawn(move || {
                let mut api = Api::new(peer);
                for n in (adder..count).step_by(ADDERS as usize) {
                    let more = match n % 5 {
                        0 => "&meta-team=a%20b&meta-%C3%A9=%F0%9F%93%8C",
                        1 => "&mode=direct",
                        2 => "&expire-at=2040-01-02T03:04:05Z",
                        3 => "&origins=/ip4/10.0.0.1/tcp/4001/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf",
                        _ => "&shard-size=0",
                    };
                    let path = format!(
                        "/pins/{}?name=pin%20{n}&replication-min=-1&replication-max=-1{more}",
                        cid(n)
                    );
                    assert_eq!(api.ask("POST", &path), "200", "{path}");
                }
                for n in (adder..count).step_by(ADDERS as usize).filter(|n| n % 50 == 7) {
                    assert_eq!(api.ask("DELETE", &format!("/pins/{}", cid(n))), "200");
                }
            });
        }
    });
}

/// Two stores that were moved to from two forms of the same pinset have the same bytes.
#[test]
fn the_pinset_of_a_running_peer_arrives_and_is_that_of_its_own_export() {
    let (peer, count) = (IpfsClusterPeer::start().unwrap(), pins());
    let api = peer.api();
    let place = Place::new();
    let pinstate = |args: &[&str]| run(place.bare().args(args));
    let empty = place.sled_named("empty");
    let none = pinstate(&["migrate", "run", "--from", &api, "--to", &empty, "--yes"]).good();
    assert_eq!(none.json()[0]["counts"]["read"], 0);

    add(&peer, count);
    let left = u64::from(count - (0..count).filter(|n| n % 50 == 7).count() as u32);
    let (live, exported) = (place.sled_named("live"), place.sled_named("exported"));
    let moved = pinstate(&["migrate", "run", "--from", &api, "--to", &live, "--yes"]).good();
    let report = &moved.json()[0];
    assert_eq!(
        (&report["counts"]["read"], &report["verified"]["equal"]),
        (&left.into(), &true.into())
    );
    // The peer itself, and what it says of itself, on either side.
    pinstate(&["verify", &api, &live]).good();
    pinstate(&["verify", &live, &api]).good();
    assert_eq!(pinstate(&["diff", &api, &empty]).code, Some(4));
    let digest = |of: &str| pinstate(&["digest", of]).good().json()[0]["digest"].clone();
    let told = digest(&api);

    let file = place.path("export.ndjson");
    let name = file.to_str().unwrap();
    peer.export(&file).unwrap();
    let moved = pinstate(&["migrate", "run", "--from", name, "--to", &exported, "--yes"]).good();
    let report = &moved.json()[0];
    assert_eq!(
        (&report["counts"]["read"], &report["verified"]["equal"]),
        (&left.into(), &true.into())
    );
    pinstate(&["verify", "--raw", &live, &exported]).good();
    pinstate(&["verify", name, &live]).good();
    assert_eq!([digest(name), digest(&live), digest(&exported)], [(); 3].map(|()| told.clone()));
    // Nobody listens there any more.
    assert_eq!(pinstate(&["verify", &api, &live]).code, Some(1));
    assert_eq!(pinstate(&["digest", &api]).code, Some(1));
}

/// Something between the client and the peer that cuts the answer after so many bytes.
fn cutting(peer: &IpfsClusterPeer, bytes: u64) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (port, to) = (listener.local_addr().unwrap().port(), peer.port());
    std::thread::spawn(move || {
        while let Ok((mut client, _)) = listener.accept() {
            let mut peer = TcpStream::connect(("127.0.0.1", to)).unwrap();
            let (mut asked, mut asking) = (client.try_clone().unwrap(), peer.try_clone().unwrap());
            std::thread::spawn(move || drop(std::io::copy(&mut asked, &mut asking)));
            let _ = std::io::copy(&mut Read::by_ref(&mut peer).take(bytes), &mut client);
            let _ = client.shutdown(std::net::Shutdown::Both);
            let _ = peer.shutdown(std::net::Shutdown::Both);
        }
    });
    format!("http://127.0.0.1:{port}")
}

/// How many bytes the peer answers with in all.
fn length(peer: &IpfsClusterPeer) -> u64 {
    let mut wire = TcpStream::connect(("127.0.0.1", peer.port())).unwrap();
    let request = "GET /allocations?filter=all HTTP/1.1\r\nHost: 127.0.0.1\r\nTE: trailers\r\n\r\n";
    wire.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"X-Stream-Error: \r\n\r\n") {
        let mut byte = [0];
        wire.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    answer.len() as u64
}

#[test]
fn a_real_stream_that_was_cut_moves_nothing() {
    let peer = IpfsClusterPeer::start().unwrap();
    add(&peer, 60);
    let place = Place::new();
    let whole = length(&peer);
    // Within the head, within a pin, before the end, and before the last line of the trailer.
    for bytes in [10, whole / 2, whole - 30, whole - 2] {
        let api = cutting(&peer, bytes);
        let store = place.sled_named("cut");
        let ran =
            run(place.bare().args(["migrate", "run", "--from", &api, "--to", &store, "--yes"]));
        assert_eq!(ran.code, Some(1), "{bytes} of {whole}: {ran:?}");
        assert!(ran.stderr.contains("not whole") || bytes == 10, "{ran:?}");
        let count = run(place.bare().args(["--store", &store, "count"]));
        let pins = count.json().first().map(|json: &Value| json["pins"].clone());
        assert!(pins.is_none_or(|pins| pins == 0), "{count:?}");
        let verified = run(place.bare().args(["verify", &api, &peer.api()]));
        assert_eq!(verified.code, Some(1), "{verified:?}");
    }
    let store = place.sled_named("cut");
    let api = peer.api();
    run(place.bare().args(["migrate", "run", "--from", &api, "--to", &store, "--yes"])).good();
}
