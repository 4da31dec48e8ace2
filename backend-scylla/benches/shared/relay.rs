//! Relays that make a network longer: what passes arrives later, and as fast.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use pinstate_scylla::ScyllaConfig;
use testbed::Cluster;

/// Chunks on their way in one direction of one connection. More wait in the sockets; at
/// 64 KiB each these are more than a machine moves in the time that they are delayed for.
const UNDER_WAY: usize = 512;

/// A relay before each node, there until the process ends.
pub(crate) struct Relays {
    /// Address of the node, and of its relay.
    pairs: Vec<(SocketAddr, SocketAddr)>,
}

impl Relays {
    /// Begins relays that hand on, in either direction, each byte so long after it came.
    pub(crate) fn start(cluster: &Cluster, delay: Duration) -> Self {
        let pair = |(i, node): (usize, &testbed::Node)| {
            // Beside the node: all relays have one port, as nodes do.
            let ip = match node.address.ip() {
                IpAddr::V4(ip) if ip.is_loopback() => {
                    let [a, b, c, _] = ip.octets();
                    Ipv4Addr::new(a, b, c, 100 + u8::try_from(i).unwrap())
                }
                _ => Ipv4Addr::new(127, 0, 0, 100 + u8::try_from(i).unwrap()),
            };
            let own = SocketAddr::new(ip.into(), node.address.port());
            let (listener, node) = (TcpListener::bind(own).unwrap(), node.address);
            thread::spawn(move || {
                for client in listener.incoming().flatten() {
                    // A node that is not there is a connection that ends.
                    if let Ok(server) = TcpStream::connect(node) {
                        let other = |one: &TcpStream| one.try_clone().unwrap();
                        one_way(other(&client), other(&server), delay);
                        one_way(server, client, delay);
                    }
                }
            });
            (node, own)
        };
        Self { pairs: cluster.nodes().iter().enumerate().map(pair).collect() }
    }

    /// Where the relays are.
    pub(crate) fn own(&self) -> Vec<SocketAddr> {
        self.pairs.iter().map(|(_, own)| *own).collect()
    }

    /// From nodes to relays, as the driver takes it.
    pub(crate) fn table(&self) -> HashMap<SocketAddr, SocketAddr> {
        self.pairs.iter().copied().collect()
    }

    /// A configuration that goes through the relays.
    pub(crate) fn config(&self, config: &ScyllaConfig) -> ScyllaConfig {
        let mut config = config.clone();
        config.hosts = self.pairs.iter().map(|(_, own)| own.to_string()).collect();
        let rule = |(node, own): &(SocketAddr, SocketAddr)| (node.to_string(), own.to_string());
        config.address_translation = self.pairs.iter().map(rule).collect();
        config
    }
}

/// A delay line: one thread notes when bytes came, the other hands them on when it is time,
/// so that any number of chunks are under way and none waits for another.
fn one_way(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, receiver) = sync_channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    to.set_nodelay(true).unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let chunk = (Instant::now() + delay, buffer[..count].to_vec());
            if sender.send(chunk).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (at, bytes) in receiver {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        // The end is handed on as the bytes are. Who has gone already needs no word of it.
        let _ = to.shutdown(Shutdown::Write);
    });
}
