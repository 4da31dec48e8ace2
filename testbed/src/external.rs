//! A cluster that the user runs, named in the environment.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use crate::access::{Access, Login, TlsFiles};
use crate::error::{Error, Result};
use crate::fleet::{Fleet, FleetRecord, Node, NodeState};
use crate::options::Options;
use crate::partition::Link;
use crate::ready;

/// Contact points, or `skip`.
pub(crate) const VARIABLE: &str = "PINSTATE_TEST_CQL";
const USER: &str = "PINSTATE_TEST_CQL_USER";
const PASSWORD: &str = "PINSTATE_TEST_CQL_PASSWORD";
const CA: &str = "PINSTATE_TEST_CQL_CA";
const CERTIFICATE: &str = "PINSTATE_TEST_CQL_CERT";
const KEY: &str = "PINSTATE_TEST_CQL_KEY";
const DEFAULT_PORT: u16 = 9042;

/// What the user wants.
#[derive(Debug)]
pub(crate) enum Wish {
    None,
    Skip,
    Cluster(External),
}

/// How to get into a cluster of the user's.
#[derive(Clone, Debug)]
pub(crate) struct External {
    access: Access,
}

impl External {
    pub(crate) fn from_environment() -> Result<Wish> {
        Self::from_variables(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Wish> {
        let Some(hosts) = get(VARIABLE) else { return Ok(Wish::None) };
        if hosts == "skip" {
            return Ok(Wish::Skip);
        }
        let both = |a: &str, b: &str| match (get(a), get(b)) {
            (Some(a), Some(b)) => Ok(Some((a, b))),
            (None, None) => Ok(None),
            _ => Err(Error::usage(format!("{a} and {b} belong together"))),
        };
        let login = both(USER, PASSWORD)?.map(|(user, password)| Login { user, password });
        let client = both(CERTIFICATE, KEY)?.map(|(c, k)| (PathBuf::from(c), PathBuf::from(k)));
        let tls = get(CA).map(|ca| TlsFiles { ca: PathBuf::from(ca), client: client.clone() });
        if tls.is_none() && client.is_some() {
            return Err(Error::usage(format!("{CERTIFICATE} needs {CA}")));
        }
        Ok(Wish::Cluster(Self { access: Access { contact_points: resolve(&hosts)?, login, tls } }))
    }

    /// Looks at the cluster: is it what the test wants?
    pub(crate) fn join(self, options: &Options) -> Result<(Access, Vec<Node>)> {
        if options.tls.is_some() && self.access.tls.is_none() {
            return Err(Error::Unsupported(format!(
                "this needs a cluster with TLS, and {CA} names no authority"
            )));
        }
        if options.auth && self.access.login.is_none() {
            return Err(Error::Unsupported(format!(
                "this needs a cluster with roles, and {USER} names none"
            )));
        }
        if options.partitions {
            return Err(unsupported("the network of"));
        }
        let members = ready::block_on(ready::members(&self.access))??;
        fits(&members, options)?;
        let nodes = members.into_iter().enumerate().map(|(place, (address, datacenter))| Node {
            number: place + 1,
            address,
            datacenter,
            log: None,
        });
        Ok((self.access, nodes.collect()))
    }
}

/// Addresses of `HOST[:PORT],…`.
pub(crate) fn resolve(hosts: &str) -> Result<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    for host in hosts.split(',').map(str::trim) {
        let found = match host.parse::<SocketAddr>() {
            Ok(address) => vec![address],
            Err(_) if host.matches(':').count() == 1 => lookup(host.to_socket_addrs(), host)?,
            Err(_) => lookup((host, DEFAULT_PORT).to_socket_addrs(), host)?,
        };
        addresses.extend(found.first());
    }
    Ok(addresses)
}

fn lookup(
    found: std::io::Result<std::vec::IntoIter<SocketAddr>>,
    host: &str,
) -> Result<Vec<SocketAddr>> {
    let found = found.map_err(|e| Error::usage(format!("\"{host}\" is no HOST:PORT: {e}")))?;
    Ok(found.collect())
}

/// Are there as many datacenters, each with as many nodes, whatever their names?
fn fits(members: &[(SocketAddr, String)], options: &Options) -> Result<()> {
    let mut there = BTreeMap::<&str, usize>::new();
    for (_, datacenter) in members {
        *there.entry(datacenter).or_default() += 1;
    }
    let mut sizes: Vec<_> = there.values().copied().collect();
    let mut wanted: Vec<_> = options.topology.datacenters().map(|(_, nodes)| nodes).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    wanted.sort_unstable_by(|a, b| b.cmp(a));
    if sizes.len() >= wanted.len() && wanted.iter().zip(&sizes).all(|(wanted, size)| wanted <= size)
    {
        return Ok(());
    }
    let there: Vec<_> = there.iter().map(|(name, nodes)| format!("{name}:{nodes}")).collect();
    Err(Error::Unsupported(format!(
        "this needs {}, and the cluster of {VARIABLE} has {}",
        options.topology,
        there.join(",")
    )))
}

fn unsupported(what: &str) -> Error {
    Error::Unsupported(format!("{what} the cluster of {VARIABLE} is not the test bed's to break"))
}

impl Fleet for External {
    /// Nobody here knows; a node that is listed is taken as running.
    fn state(&self, _place: usize) -> Result<NodeState> {
        Ok(NodeState::Running)
    }

    fn pause(&self, _place: usize) -> Result<()> {
        Err(unsupported("a node of"))
    }

    fn resume(&self, _place: usize) -> Result<()> {
        Err(unsupported("a node of"))
    }

    fn kill(&self, _place: usize) -> Result<()> {
        Err(unsupported("a node of"))
    }

    fn end(&self, _place: usize) -> Result<()> {
        Err(unsupported("a node of"))
    }

    fn start(&self, _place: usize) -> Result<()> {
        Err(unsupported("a node of"))
    }

    fn stop(&self) {}

    fn can_break(&self) -> Result<()> {
        Err(unsupported("a node of"))
    }

    fn link(&self, _place: usize, _link: Link, _whole: bool) -> Result<()> {
        Err(unsupported("the network of"))
    }

    fn last_words(&self, _place: usize) -> String {
        String::new()
    }

    fn record(&self) -> Option<FleetRecord> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(variables: &[(&str, &str)]) -> Result<Wish> {
        External::from_variables(|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_names_a_cluster() {
        assert!(matches!(wish(&[]).unwrap(), Wish::None));
        assert!(matches!(wish(&[(VARIABLE, "skip")]).unwrap(), Wish::Skip));
        let variables = [
            (VARIABLE, "10.0.0.1, 10.0.0.2:19042"),
            (USER, "ann"),
            (PASSWORD, "s3cret"),
            (CA, "/ca.pem"),
        ];
        let Wish::Cluster(external) = wish(&variables).unwrap() else { panic!("no cluster") };
        let points: Vec<_> =
            external.access.contact_points.iter().map(ToString::to_string).collect();
        assert_eq!(points, ["10.0.0.1:9042", "10.0.0.2:19042"]);
        assert_eq!(external.access.tls.unwrap().ca, PathBuf::from("/ca.pem"));
        assert_eq!(external.access.login.unwrap().user, "ann");
    }

    #[test]
    fn halves_and_nonsense_are_refused() {
        let point = (VARIABLE, "10.0.0.1");
        for variables in [
            vec![point, (USER, "ann")],
            vec![point, (CERTIFICATE, "/c.pem"), (KEY, "/k.pem")],
            vec![(VARIABLE, "no host at all:9042")],
        ] {
            assert!(matches!(wish(&variables), Err(Error::Usage(_))), "{variables:?}");
        }
    }

    #[test]
    fn a_cluster_fits_by_its_sizes() {
        let members: Vec<_> = ["east", "west", "west"]
            .into_iter()
            .zip(1..)
            .map(|(dc, n)| (SocketAddr::from(([10, 0, 0, n], 9042)), dc.to_owned()))
            .collect();
        for (wanted, fit) in [("dc1:2,dc2:1", true), ("a:1", true), ("dc1:3", false)] {
            let options = Options::topology(wanted.parse().unwrap());
            assert_eq!(fits(&members, &options).is_ok(), fit, "{wanted}");
        }
    }
}
