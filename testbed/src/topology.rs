//! How many nodes in which datacenters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// As many nodes as a cluster may have: their addresses end in 1 to 8.
pub const MAX_NODES: usize = 8;

/// The datacenters of a cluster with their number of nodes, in the order of the nodes.
///
/// Written `dc1:2,dc2:1`: nodes 1 and 2 are in `dc1`, node 3 in `dc2`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Topology(Vec<(String, usize)>);

impl Topology {
    /// `nodes` nodes in `dc1`.
    ///
    /// # Errors
    /// `Usage` unless there are 1 to [`MAX_NODES`].
    pub fn single(nodes: usize) -> Result<Self> {
        Self::new(vec![("dc1".to_owned(), nodes)])
    }

    fn new(datacenters: Vec<(String, usize)>) -> Result<Self> {
        let total: usize = datacenters.iter().map(|(_, nodes)| nodes).sum();
        if total == 0 || total > MAX_NODES {
            return Err(Error::usage(format!(
                "a cluster has 1 to {MAX_NODES} nodes, and {total} were asked for"
            )));
        }
        Ok(Self(datacenters))
    }

    /// Name and number of nodes of every datacenter.
    pub fn datacenters(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(name, nodes)| (name.as_str(), *nodes))
    }

    /// Nodes in all datacenters together.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.0.iter().map(|(_, nodes)| nodes).sum()
    }

    /// The datacenter of every node, node 1 first.
    pub(crate) fn places(&self) -> Vec<&str> {
        self.datacenters().flat_map(|(name, nodes)| std::iter::repeat_n(name, nodes)).collect()
    }
}

impl FromStr for Topology {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |part: &str| {
            Error::usage(format!(
                "\"{part}\" is no datacenter with its nodes; write it like dc1:2,dc2:1"
            ))
        };
        let mut datacenters = Vec::new();
        for part in text.split(',') {
            let (name, nodes) = part.trim().split_once(':').ok_or_else(|| wrong(part))?;
            let nodes = nodes.parse().ok().filter(|nodes| *nodes > 0).ok_or_else(|| wrong(part))?;
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if name.is_empty() || !name.chars().all(plain) {
                return Err(wrong(part));
            }
            if datacenters.iter().any(|(other, _)| other == name) {
                return Err(Error::usage(format!("the datacenter {name} is named twice")));
            }
            datacenters.push((name.to_owned(), nodes));
        }
        Self::new(datacenters)
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, nodes)) in self.datacenters().enumerate() {
            write!(f, "{}{name}:{nodes}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let topology: Topology = "dc1:2,dc2:1".parse().unwrap();
        assert_eq!(topology.places(), ["dc1", "dc1", "dc2"]);
        assert_eq!(topology.nodes(), 3);
        assert_eq!(topology.to_string(), "dc1:2,dc2:1");
        assert_eq!(Topology::single(3).unwrap().to_string(), "dc1:3");
    }

    #[test]
    fn says_what_is_wrong() {
        let wrong = ["", "dc1", "dc1:", "dc1:0", "dc1:x", ":2", "dc1:1,dc1:1", "d c:1", "dc1:9"];
        for text in wrong {
            let error = text.parse::<Topology>().unwrap_err();
            assert!(matches!(error, Error::Usage(_)), "{text}: {error}");
        }
    }
}
