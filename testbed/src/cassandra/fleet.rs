//! Nodes of Cassandra as processes.

use std::fs::{self, OpenOptions};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::archive;
use super::config::{self, LOGBACK, RACK, Site, YAML};
use super::jars::Jars;
use super::java::Java;
use crate::certs::Certificates;
use crate::error::{Error, Result};
use crate::fleet::{Fleet, FleetRecord, NodeState};
use crate::options::Options;
use crate::partition::{Link, Net};
use crate::process::{Identity, Life, Process};
use crate::range::STORAGE_PORT;

pub(crate) const LOG: &str = "node.log";

/// The processes of a cluster's nodes.
#[derive(Debug)]
pub(crate) struct Cassandra {
    runtime: Runtime,
    folder: PathBuf,
    settings: Settings,
    /// The process group to join, or one for each node.
    group: i32,
    net: Option<Net>,
    processes: Mutex<Vec<Option<Process>>>,
}

/// What is to be started.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) options: &'a Options,
    /// Of each node, for its peers and for clients.
    pub(crate) addresses: &'a [(Ipv4Addr, Ipv4Addr)],
    /// The process group of the cluster's keeper.
    pub(crate) group: i32,
    pub(crate) certificates: Option<&'a Certificates>,
    /// The namespaces to start the nodes in, if any.
    pub(crate) net: Option<Net>,
}

/// What all clusters share.
#[derive(Clone, Debug)]
pub(super) struct Runtime {
    pub(super) java: Java,
    pub(super) jars: Jars,
}

/// What a node is told on its command line.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) heap_mib: usize,
    /// Of the roles, so that clients get in while nodes are dead.
    pub(super) copies: usize,
}

/// What a later run needs to find the nodes again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    settings: Settings,
    processes: Vec<Option<Identity>>,
}

impl Cassandra {
    /// Writes the files of all nodes and starts them at the same time.
    pub(crate) fn start_all(java: Java, folder: &Path, plan: Plan<'_>) -> Result<Self> {
        let Plan { options, addresses, group, certificates, net } = plan;
        let runtime = Runtime { java, jars: Jars::get()? };
        archive::make(&runtime);
        let places = options.topology.places();
        let cassandra = Self {
            runtime,
            folder: folder.to_path_buf(),
            settings: Settings { heap_mib: options.heap_mib, copies: places.len().min(3) },
            group,
            net,
            processes: Mutex::new(places.iter().map(|_| None).collect()),
        };
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // All of them: a seed that reaches no other one goes on alone and meets them later,
        // where any other node would give up on a machine that is slow.
        let seeds = addresses.iter().map(|(listen, _)| format!("{listen}:{STORAGE_PORT}"));
        let seeds = seeds.collect::<Vec<_>>().join(",");
        for ((place, datacenter), (listen, rpc)) in places.iter().enumerate().zip(addresses) {
            let site = Site {
                cluster: &name,
                datacenter,
                listen: *listen,
                rpc: *rpc,
                seeds: &seeds,
                keys: certificates.map(|files| (files.keystore(place), files.authority())),
            };
            config::write(&cassandra.node_folder(place), &site, options)?;
        }
        for place in 0..places.len() {
            cassandra.start(place)?;
        }
        Ok(cassandra)
    }

    /// The nodes of a cluster that an earlier run left.
    pub(crate) fn attach(folder: &Path, record: &Record) -> Result<Self> {
        let known = |identity: &Option<Identity>| identity.map(Process::known);
        Ok(Self {
            runtime: Runtime { java: Java::find()?, jars: Jars::get()? },
            folder: folder.to_path_buf(),
            settings: record.settings,
            group: 0,
            net: None,
            processes: Mutex::new(record.processes.iter().map(known).collect()),
        })
    }

    pub(crate) fn log(folder: &Path, place: usize) -> PathBuf {
        node_folder(folder, place).join(LOG)
    }

    fn node_folder(&self, place: usize) -> PathBuf {
        node_folder(&self.folder, place)
    }

    fn processes(&self) -> MutexGuard<'_, Vec<Option<Process>>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, place: usize, act: impl FnOnce(&mut Process) -> Result<T>) -> Result<T> {
        match self.processes().get_mut(place) {
            Some(Some(process)) => act(process),
            _ => Err(Error::failed(format!("node {} was never started", place + 1))),
        }
    }
}

fn node_folder(folder: &Path, place: usize) -> PathBuf {
    folder.join(format!("node{}", place + 1))
}

impl Fleet for Cassandra {
    fn state(&self, place: usize) -> Result<NodeState> {
        self.with(place, |process| {
            Ok(match process.life() {
                Life::Running => NodeState::Running,
                Life::Stopped => NodeState::Paused,
                Life::Dead => NodeState::Dead,
            })
        })
    }

    fn pause(&self, place: usize) -> Result<()> {
        self.with(place, Process::pause)
    }

    fn resume(&self, place: usize) -> Result<()> {
        self.with(place, Process::resume)
    }

    fn kill(&self, place: usize) -> Result<()> {
        self.with(place, Process::kill)
    }

    fn end(&self, place: usize) -> Result<()> {
        self.with(place, |process| {
            process.terminate()?;
            process.wait();
            Ok(())
        })
    }

    fn start(&self, place: usize) -> Result<()> {
        if let Some(Some(process)) = self.processes().get_mut(place)
            && process.life() != Life::Dead
        {
            return Err(Error::failed(format!("node {} is not dead", place + 1)));
        }
        let folder = self.node_folder(place);
        let namespace = self.net.as_ref().map(|net| net.namespace(place));
        let mut command = self.runtime.node(&folder, self.settings, namespace.as_deref());
        if let Some(archive) = archive::existing(&self.runtime) {
            command.arg(format!("-XX:SharedArchiveFile={}", archive.display()));
        }
        if let Some(agent) = self.runtime.jars.agent() {
            command.arg(format!("-javaagent:{}", agent.display()));
        }
        let process = self.runtime.spawn(command, &folder, self.group)?;
        if let Some(slot) = self.processes().get_mut(place) {
            *slot = Some(process);
        }
        Ok(())
    }

    fn can_break(&self) -> Result<()> {
        Ok(())
    }

    fn link(&self, place: usize, link: Link, whole: bool) -> Result<()> {
        match &self.net {
            Some(net) => net.set(place, link, whole),
            None => Err(Error::usage("this cluster was started without with_partitions")),
        }
    }

    fn last_words(&self, place: usize) -> String {
        let text = fs::read(Self::log(&self.folder, place)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }

    fn record(&self) -> Option<FleetRecord> {
        let identity = |process: &Option<Process>| process.as_ref().map(Process::identity);
        let processes = self.processes().iter().map(identity).collect();
        Some(FleetRecord::Cassandra(Record { settings: self.settings, processes }))
    }

    fn stop(&self) {
        let mut processes = self.processes();
        for process in processes.iter_mut().flatten() {
            let _ = process.kill();
        }
    }
}

impl Runtime {
    /// The command line of a node, without its main class.
    pub(super) fn node(
        &self,
        folder: &Path,
        settings: Settings,
        namespace: Option<&str>,
    ) -> Command {
        let mut command = self.java.command(settings.heap_mib, namespace);
        let file = |name: &str| format!("file://{}", folder.join(name).display());
        command.arg("-cp").arg(self.jars.class_path());
        for (name, value) in [
            ("cassandra.config", file(YAML)),
            ("cassandra-rackdc.properties", file(RACK)),
            ("logback.configurationFile", folder.join(LOGBACK).display().to_string()),
            ("cassandra.storagedir", folder.join("data").display().to_string()),
            ("cassandra-foreground", "yes".to_owned()),
            // Nobody else is there whom a fresh node would have to wait for.
            ("cassandra.ring_delay_ms", "2000".to_owned()),
            ("cassandra.skip_wait_for_gossip_to_settle", "0".to_owned()),
            // Also the pause between attempts while other nodes are not up.
            ("cassandra.superuser_setup_delay_ms", "500".to_owned()),
            ("cassandra.system_auth.default_rf", settings.copies.to_string()),
            // Passwords of tests need no slow hash.
            ("cassandra.auth_bcrypt_gensalt_log2_rounds", "4".to_owned()),
            ("jdk.attach.allowAttachSelf", "true".to_owned()),
            ("io.netty.tryReflectionSetAccessible", "true".to_owned()),
        ] {
            command.arg(format!("-D{name}={value}"));
        }
        command
    }

    /// Starts a node; what it says goes to the end of its log.
    pub(super) fn spawn(&self, mut command: Command, folder: &Path, group: i32) -> Result<Process> {
        let data = folder.join("data");
        fs::create_dir_all(&data).map_err(Error::io("cannot create", &data))?;
        let path = folder.join(LOG);
        let log = OpenOptions::new().create(true).append(true).open(&path);
        let log = log.map_err(Error::io("cannot open", &path))?;
        let both = log.try_clone().map_err(Error::io("cannot open", &path))?;
        let child = command
            .arg("org.apache.cassandra.service.CassandraDaemon")
            .current_dir(folder)
            .process_group(group)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(both)
            .spawn()
            .map_err(Error::program(&self.java.program().display().to_string()))?;
        Process::of(child)
    }
}
