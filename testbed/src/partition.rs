//! Nodes in network namespaces, so that links between them can be cut.
//!
//! Every node has two links: one to a bridge in a namespace of its own, over which nodes
//! speak with each other, and one to a bridge of the host, over which clients come. So a
//! node can be cut from its peers and not from clients, or the reverse. A link that is set
//! down loses packets without a word, as a broken cable does.
//!
//! The peers' bridge is not the host's, where packet filters of others, Docker's above all,
//! may drop what passes between ports.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::keeper::Keeper;
use crate::range::Range;

/// A link of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// To the other nodes.
    Peers,
    /// To clients.
    Clients,
}

/// The namespaces of one cluster. The keeper removes them.
#[derive(Debug)]
pub(crate) struct Net {
    id: String,
    range: Range,
}

impl Net {
    /// Can namespaces be made here?
    ///
    /// # Errors
    /// `Unsupported`, with the reason, if not.
    pub(crate) fn supported() -> Result<()> {
        let reason = match Command::new("ip").arg("-Version").output() {
            Err(_) => "there is no ip command (Debian package iproute2)",
            Ok(_) if !rustix::process::geteuid().is_root() => "this does not run as root",
            Ok(_) => return Ok(()),
        };
        Err(Error::Unsupported(format!("nodes cannot be cut off: {reason}")))
    }

    /// Makes namespaces and links for so many nodes.
    pub(crate) fn make(range: Range, nodes: usize, keeper: &Keeper) -> Result<Self> {
        let net = Self { id: format!("tb{:02x}{:02x}", range.0, range.1), range };
        let Self { id, .. } = &net;
        // The range is ours, so what has these names was left by someone who was killed.
        let _ = ip(&format!("link delete {id}"));
        for namespace in std::iter::once(net.hub()).chain((0..nodes).map(|p| net.namespace(p))) {
            let _ = ip(&format!("netns delete {namespace}"));
            keeper.undo(&format!("ip netns delete {namespace}"))?;
        }
        keeper.undo(&format!("ip link delete {id}"))?;
        let hub = net.hub();
        if let Err(e) = ip(&format!("netns add {hub}")) {
            return Err(Error::Unsupported(format!("nodes cannot be cut off: {e}")));
        }
        ip(&format!("-n {hub} link add peers type bridge"))?;
        ip(&format!("-n {hub} link set peers up"))?;
        ip(&format!("link add {id} type bridge"))?;
        ip(&format!("address add {}/24 dev {id}", range.outside(1)))?;
        ip(&format!("link set {id} up"))?;
        for place in 0..nodes {
            net.join(place)?;
        }
        Ok(net)
    }

    fn join(&self, place: usize) -> Result<()> {
        let Self { id, .. } = self;
        let (hub, node) = (self.hub(), self.namespace(place));
        let (client, peer) = (self.clients(place), format!("peer{place}"));
        for command in [
            format!("netns add {node}"),
            format!("-n {node} link set lo up"),
            format!("link add {client} type veth peer name clients netns {node}"),
            format!("link set {client} master {id} up"),
            format!("-n {node} address add {}/24 dev clients", self.client_address(place)),
            format!("-n {node} link set clients up"),
            format!("-n {node} link add peers type veth peer name {peer} netns {hub}"),
            format!("-n {hub} link set {peer} master peers up"),
            format!("-n {node} address add {}/24 dev peers", self.peer_address(place)),
            format!("-n {node} link set peers up"),
        ] {
            ip(&command)?;
        }
        Ok(())
    }

    /// Cuts a link of a node, or makes it whole.
    pub(crate) fn set(&self, place: usize, link: Link, whole: bool) -> Result<()> {
        let state = if whole { "up" } else { "down" };
        match link {
            Link::Peers => ip(&format!("-n {} link set peer{place} {state}", self.hub())),
            Link::Clients => ip(&format!("link set {} {state}", self.clients(place))),
        }
    }

    /// Where the node's process must be started.
    pub(crate) fn namespace(&self, place: usize) -> String {
        format!("{}-node{}", self.id, place + 1)
    }

    /// Known in the namespaces alone, so the same in every cluster.
    pub(crate) fn peer_address(&self, place: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, u8::try_from(place + 1).unwrap_or(u8::MAX))
    }

    pub(crate) fn client_address(&self, place: usize) -> Ipv4Addr {
        self.range.outside(place + 2)
    }

    fn hub(&self) -> String {
        format!("{}-hub", self.id)
    }

    /// The host's end of a node's link to clients.
    fn clients(&self, place: usize) -> String {
        format!("{}c{}", self.id, place + 1)
    }
}

fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .stdin(Stdio::null())
        .output()
        .map_err(Error::program("ip"))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::failed(format!("ip {arguments}: {why}")))
}
