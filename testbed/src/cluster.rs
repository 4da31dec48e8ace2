//! One cluster, and the guard over it that tests hold.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use scylla::client::session_builder::SessionBuilder;

use crate::access::{Access, Login};
use crate::cassandra::{Cassandra, Plan};
use crate::certs::Certificates;
use crate::docker::{self, Containers};
use crate::error::{Error, Result};
use crate::fleet::{Fleet, Node, NodeState};
use crate::keeper::Keeper;
use crate::options::Options;
use crate::partition::{Link, Net};
use crate::range::{CQL_PORT, Range, Reservation};
use crate::ready;
use crate::source::Source;

/// For a whole cluster to come up, or one node: much more than it takes.
const PATIENCE: Duration = Duration::from_secs(240);

/// A running cluster. When it is dropped, or the process that holds it ends in whatever way,
/// its nodes and files go; a cluster of the user's stays as it is.
///
/// Its operations block, and may be called from anywhere, also within an async runtime.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) options: Options,
    pub(crate) source: String,
    pub(crate) access: Access,
    pub(crate) nodes: Vec<Node>,
    pub(crate) fleet: Box<dyn Fleet>,
    pub(crate) hold: Hold,
}

/// Who answers for the nodes, and where their files are.
#[derive(Debug)]
pub(crate) enum Hold {
    /// This guard.
    Guard { keeper: Keeper, reservation: Reservation, folder: PathBuf },
    /// Whoever says `down`.
    Record { range: Range, folder: PathBuf },
    /// The user.
    Nobody,
}

impl Cluster {
    /// Starts a cluster, or joins the user's, and returns when every node answers and knows
    /// all others.
    ///
    /// # Errors
    /// `Skipped` if the user wants no cluster, `Unsupported` if the user's cannot do what is
    /// wanted, `NoSource` if none can be had here and how to get one, `Failed` with the end
    /// of a node's log if it does not come up.
    pub fn start(options: &Options) -> Result<Self> {
        match Source::find()? {
            Source::External(external) => {
                let source = "the cluster of the user".to_owned();
                let (access, nodes) = external.clone().join(options)?;
                let fleet = Box::new(external);
                let options = options.clone();
                Ok(Self { options, source, access, nodes, fleet, hold: Hold::Nobody })
            }
            local => {
                let folder = tempfile::Builder::new()
                    .prefix("pinstate-testbed-")
                    .tempdir()
                    .map_err(Error::io("cannot create a folder in", &std::env::temp_dir()))?;
                // The keeper removes it, if it comes to that.
                let folder = folder.keep();
                let started = Self::start_in(folder.clone(), options, &local);
                if started.is_err() {
                    let _ = std::fs::remove_dir(folder);
                }
                started
            }
        }
    }

    /// Starts the nodes with their files in `folder`.
    pub(crate) fn start_in(folder: PathBuf, options: &Options, source: &Source) -> Result<Self> {
        let containers = matches!(source, Source::Docker(_));
        if options.partitions {
            if containers {
                return Err(Error::Unsupported("the links of containers are not cut".to_owned()));
            }
            Net::supported()?;
        }
        let reservation = match containers || options.partitions {
            true => Reservation::network()?,
            false => Reservation::any()?,
        };
        let range = reservation.range;
        let keeper = Keeper::start(&folder)?;
        let places = options.topology.places();
        let net = match options.partitions {
            true => Some(Net::make(range, places.len(), &keeper)?),
            false => None,
        };
        let address = |place: usize| match (&net, containers) {
            (Some(net), _) => (net.peer_address(place), net.client_address(place)),
            (None, true) => (docker::address(range, place), docker::address(range, place)),
            (None, false) => (range.address(place + 1), range.address(place + 1)),
        };
        let addresses: Vec<_> = (0..places.len()).map(address).collect();
        let certificates = options.tls.as_ref().map(|tls| {
            let nodes = addresses.iter().enumerate();
            let nodes: Vec<_> = nodes.map(|(p, (_, rpc))| ((*rpc).into(), tls.kind(p))).collect();
            Certificates::make(&folder.join("certificates"), &nodes)
        });
        let certificates = certificates.transpose()?;
        let files = certificates.as_ref();
        let fleet: Box<dyn Fleet> = match source {
            Source::External(_) => {
                return Err(Error::usage("a cluster of the user's runs already"));
            }
            Source::Docker(docker) => {
                Box::new(docker.start_all(&folder, range, options, &keeper, files)?)
            }
            Source::Cassandra(java) => {
                let group = keeper.group();
                let plan = Plan { options, addresses: &addresses, group, certificates: files, net };
                Box::new(Cassandra::start_all(java.clone(), &folder, plan)?)
            }
        };
        let nodes = places.into_iter().enumerate().zip(&addresses);
        let nodes = nodes.map(|((place, datacenter), (_, rpc))| Node {
            number: place + 1,
            address: SocketAddr::from((*rpc, CQL_PORT)),
            datacenter: datacenter.to_owned(),
            log: Some(match containers {
                true => Containers::log(&folder, place),
                false => Cassandra::log(&folder, place),
            }),
        });
        let nodes: Vec<_> = nodes.collect();
        let first = || Login { user: "cassandra".to_owned(), password: "cassandra".to_owned() };
        let access = Access {
            contact_points: nodes.iter().map(|node| node.address).collect(),
            login: options.auth.then(first),
            tls: certificates.map(|files| files.client()),
        };
        let cluster = Self {
            options: options.clone(),
            source: source.to_string(),
            access,
            nodes,
            fleet,
            hold: Hold::Guard { keeper, reservation, folder },
        };
        cluster.wait_ready()?;
        Ok(cluster)
    }

    /// What kind of cluster it is, for people.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Every node, node 1 first, whatever its state.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The datacenters, in the order of the nodes. A cluster of the user's has names of its
    /// own.
    #[must_use]
    pub fn datacenters(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for node in &self.nodes {
            if !names.contains(&node.datacenter.as_str()) {
                names.push(&node.datacenter);
            }
        }
        names
    }

    /// How a client gets in.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The driver's builder, set up for this cluster.
    ///
    /// # Errors
    /// If a certificate cannot be read.
    pub fn session_builder(&self) -> Result<SessionBuilder> {
        self.access.session_builder()
    }

    /// Can nodes be paused and killed?
    ///
    /// # Errors
    /// `Unsupported`, with the reason, if not.
    pub fn can_break(&self) -> Result<()> {
        self.fleet.can_break()
    }

    /// What node `number` does at the moment.
    ///
    /// # Errors
    /// `Usage` if there is no such node.
    pub fn state(&self, number: usize) -> Result<NodeState> {
        self.fleet.state(self.place(number)?)
    }

    /// Makes node `number` fall silent: it keeps its connections and answers nothing.
    ///
    /// # Errors
    /// If there is no such node, or it is dead.
    pub fn pause(&self, number: usize) -> Result<()> {
        self.fleet.pause(self.place(number)?)
    }

    /// Lets node `number` go on after a pause.
    ///
    /// # Errors
    /// If there is no such node, or it is dead.
    pub fn resume(&self, number: usize) -> Result<()> {
        self.fleet.resume(self.place(number)?)
    }

    /// Kills node `number` at once; what it had not yet written is lost.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn kill(&self, number: usize) -> Result<()> {
        self.fleet.kill(self.place(number)?)
    }

    /// Ends node `number` as its operator does, with all that it has on its disk, and returns
    /// when it is gone.
    ///
    /// # Errors
    /// If there is no such node, or it is dead.
    pub fn end_node(&self, number: usize) -> Result<()> {
        self.fleet.end(self.place(number)?)
    }

    /// Starts the dead node `number` on its data and returns when it answers.
    ///
    /// # Errors
    /// If there is no such node, it is not dead, or it does not come up.
    pub fn start_node(&self, number: usize) -> Result<()> {
        self.launch(number)?;
        self.wait_for_node(number)
    }

    /// As [`Cluster::start_node`], without waiting for it.
    ///
    /// # Errors
    /// If there is no such node, or it is not dead.
    pub fn launch(&self, number: usize) -> Result<()> {
        self.fleet.start(self.place(number)?)
    }

    /// Cuts a link of node `number`: what is sent over it is lost without a word, and whoever
    /// uses the other link notices nothing. Needs
    /// [`Options::with_partitions`].
    ///
    /// # Errors
    /// If there is no such node or it has no link of its own.
    pub fn cut(&self, number: usize, link: Link) -> Result<()> {
        self.fleet.link(self.place(number)?, link, false)
    }

    /// Makes a link whole that was cut.
    ///
    /// # Errors
    /// As [`Cluster::cut`].
    pub fn mend(&self, number: usize, link: Link) -> Result<()> {
        self.fleet.link(self.place(number)?, link, true)
    }

    /// Waits until node `number` answers and agrees with the others on the schema.
    ///
    /// # Errors
    /// `Failed` if it is dead or paused, or does not come up.
    pub fn wait_for_node(&self, number: usize) -> Result<()> {
        self.wait_for(&[number])
    }

    /// Waits until every node answers, knows all others and agrees with them on the schema.
    ///
    /// # Errors
    /// `Failed` if a node is dead or paused, or does not come up.
    pub fn wait_ready(&self) -> Result<()> {
        self.wait_for(&self.nodes.iter().map(|node| node.number).collect::<Vec<_>>())
    }

    fn wait_for(&self, numbers: &[usize]) -> Result<()> {
        let addresses = self.nodes.iter().filter(|node| numbers.contains(&node.number));
        let addresses: Vec<_> = addresses.map(|node| node.address).collect();
        let all_run = || {
            for number in numbers {
                let state = self.state(*number)?;
                if state != NodeState::Running {
                    return Err(Error::failed(format!("node {number} is {state}")));
                }
            }
            Ok(())
        };
        let ready = ready::wait(&self.access, &addresses, self.nodes.len(), PATIENCE, all_run);
        ready.map_err(|e| {
            let words = numbers.iter().map(|number| {
                format!(
                    "\n-- the end of node {number}'s log:\n{}",
                    self.fleet.last_words(number - 1)
                )
            });
            Error::failed(format!("{e}{}", words.collect::<String>()))
        })
    }

    fn place(&self, number: usize) -> Result<usize> {
        match number {
            number if (1..=self.nodes.len()).contains(&number) => Ok(number - 1),
            _ => Err(Error::usage(format!("there is no node {number} of {}", self.nodes.len()))),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Hold::Guard { keeper, reservation, .. } =
            std::mem::replace(&mut self.hold, Hold::Nobody)
        {
            self.fleet.stop();
            keeper.finish(std::thread::panicking());
            drop(reservation);
        }
    }
}
