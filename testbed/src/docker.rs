//! ScyllaDB in containers.
//!
//! The command lines follow the documentation of the image `scylladb/scylla` and of Docker;
//! see `docs/testbed.md` for what has been run.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::certs::Certificates;
use crate::error::{Error, Result};
use crate::fleet::{Fleet, FleetRecord, NodeState};
use crate::keeper::Keeper;
use crate::options::Options;
use crate::partition::Link;
use crate::range::Range;

/// Another image than the one whose answers are known.
const VARIABLE: &str = "PINSTATE_TEST_IMAGE";
const IMAGE: &str = "scylladb/scylla:6.2.3";
const MEMORY: &str = "1G";
const SHARDS: &str = "2";

/// A Docker that answers, and the image to run.
#[derive(Clone, Debug)]
pub(crate) struct Docker {
    image: String,
}

/// The containers of a cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Containers {
    network: String,
    names: Vec<String>,
}

impl Docker {
    pub(crate) fn find() -> Result<Self> {
        run(["info", "--format", "{{.ServerVersion}}"])
            .map_err(|e| Error::NoSource(format!("docker info: {e}")))?;
        let image = std::env::var(VARIABLE).ok().filter(|image| !image.is_empty());
        Ok(Self { image: image.unwrap_or_else(|| IMAGE.to_owned()) })
    }

    pub(crate) fn image(&self) -> &str {
        &self.image
    }

    /// Starts all nodes at the same time.
    pub(crate) fn start_all(
        &self,
        folder: &Path,
        range: Range,
        options: &Options,
        keeper: &Keeper,
        certificates: Option<&Certificates>,
    ) -> Result<Containers> {
        let network = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        keeper.undo(&format!("docker network rm {network}"))?;
        let subnet = format!("{}/24", range.outside(0));
        run(["network", "create", "--driver", "bridge", "--subnet", &subnet, &network])?;
        let mut names = Vec::new();
        for (place, datacenter) in options.topology.places().into_iter().enumerate() {
            let node = folder.join(format!("node{}", place + 1));
            fs::create_dir_all(&node).map_err(Error::io("cannot create", &node))?;
            write(&node.join(RACK), &format!("dc={datacenter}\nrack=rack1\nprefer_local=false\n"))?;
            if let (Some(tls), Some(files)) = (&options.tls, certificates) {
                write(&node.join(YAML), &yaml(tls.client_certificate, files, place))?;
            }
            let name = format!("{network}-node{}", place + 1);
            let log = node.join("node.log");
            keeper.undo(&format!(
                "docker logs {name} >'{}' 2>&1; docker rm --force --volumes {name}",
                log.display()
            ))?;
            run(self.run_command(&name, &network, &node, place, range, options, certificates))?;
            names.push(name);
        }
        Ok(Containers { network, names })
    }

    /// `docker run …` for one node.
    #[allow(clippy::too_many_arguments, reason = "what tells one container from another")]
    fn run_command(
        &self,
        name: &str,
        network: &str,
        node: &Path,
        place: usize,
        range: Range,
        options: &Options,
        certificates: Option<&Certificates>,
    ) -> Vec<String> {
        let ip = address(range, place).to_string();
        let mount = |from: &Path, to: &str| format!("{}:{to}:ro", from.display());
        let mut command: Vec<String> =
            ["run", "--detach", "--name", name, "--network", network, "--ip", &ip, "--volume"]
                .map(str::to_owned)
                .into();
        command.push(mount(&node.join(RACK), "/etc/scylla/cassandra-rackdc.properties"));
        if let Some(certificates) = certificates {
            command.push("--volume".to_owned());
            command.push(mount(&node.join(YAML), "/etc/scylla/scylla.yaml"));
            command.push("--volume".to_owned());
            let folder = certificates.folder();
            command.push(mount(folder, &folder.display().to_string()));
        }
        command.push(self.image.clone());
        let seed = address(range, 0).to_string();
        for (option, value) in [
            ("--seeds", seed.as_str()),
            ("--listen-address", &ip),
            ("--rpc-address", &ip),
            ("--broadcast-address", &ip),
            ("--broadcast-rpc-address", &ip),
            ("--cluster-name", network),
            ("--endpoint-snitch", "GossipingPropertyFileSnitch"),
            ("--smp", SHARDS),
            ("--memory", MEMORY),
            ("--overprovisioned", "1"),
            ("--developer-mode", "1"),
        ] {
            command.extend([option.to_owned(), value.to_owned()]);
        }
        if options.auth {
            for (option, value) in [
                ("--authenticator", "PasswordAuthenticator"),
                ("--authorizer", "CassandraAuthorizer"),
            ] {
                command.extend([option.to_owned(), value.to_owned()]);
            }
        }
        command
    }
}

const RACK: &str = "cassandra-rackdc.properties";
const YAML: &str = "scylla.yaml";

/// The image's own settings are on its command line; the file is there for TLS.
fn yaml(client_certificate: bool, certificates: &Certificates, place: usize) -> String {
    let (certificate, key) = certificates.pair(place);
    format!(
        "commitlog_sync: periodic\n\
         commitlog_sync_period_in_ms: 10000\n\
         native_transport_port: 9042\n\
         native_shard_aware_transport_port: 19042\n\
         enable_tablets: true\n\
         client_encryption_options:\n  \
           enabled: true\n  \
           certificate: {}\n  \
           keyfile: {}\n  \
           truststore: {}\n  \
           require_client_auth: {client_certificate}\n",
        certificate.display(),
        key.display(),
        certificates.authority().display(),
    )
}

/// Of a node, for its peers and for clients; the first one is the host's.
pub(crate) fn address(range: Range, place: usize) -> Ipv4Addr {
    range.outside(place + 2)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::io("cannot write", path))
}

/// Runs `docker` and returns what it says.
fn run<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<String> {
    let output = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::program("docker"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(Error::failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

impl Containers {
    pub(crate) fn log(folder: &Path, place: usize) -> PathBuf {
        folder.join(format!("node{}", place + 1)).join("node.log")
    }

    fn name(&self, place: usize) -> Result<&str> {
        let name = self.names.get(place).map(String::as_str);
        name.ok_or_else(|| Error::failed(format!("node {} was never started", place + 1)))
    }

    fn act(&self, verb: &str, place: usize) -> Result<()> {
        run([verb, self.name(place)?]).map(drop)
    }
}

impl Fleet for Containers {
    fn state(&self, place: usize) -> Result<NodeState> {
        Ok(state(&run(["inspect", "--format", "{{.State.Status}}", self.name(place)?])?))
    }

    fn pause(&self, place: usize) -> Result<()> {
        self.act("pause", place)
    }

    fn resume(&self, place: usize) -> Result<()> {
        self.act("unpause", place)
    }

    fn kill(&self, place: usize) -> Result<()> {
        match self.state(place)? {
            NodeState::Dead => Ok(()),
            // A paused container takes no signal.
            NodeState::Paused => {
                self.resume(place)?;
                self.act("kill", place)
            }
            NodeState::Running => self.act("kill", place),
        }
    }

    fn end(&self, place: usize) -> Result<()> {
        self.act("stop", place)
    }

    fn start(&self, place: usize) -> Result<()> {
        match self.state(place)? {
            NodeState::Dead => self.act("start", place),
            _ => Err(Error::failed(format!("node {} is not dead", place + 1))),
        }
    }

    fn stop(&self) {
        for name in &self.names {
            let _ = run(["rm", "--force", "--volumes", name]);
        }
        let _ = run(["network", "rm", &self.network]);
    }

    fn can_break(&self) -> Result<()> {
        Ok(())
    }

    fn link(&self, _place: usize, _link: Link, _whole: bool) -> Result<()> {
        Err(Error::Unsupported("the links of containers are not cut here".to_owned()))
    }

    fn last_words(&self, place: usize) -> String {
        let words = self.name(place).and_then(|name| run(["logs", "--tail", "20", name]));
        words.unwrap_or_else(|e| e.to_string())
    }

    fn record(&self) -> Option<FleetRecord> {
        Some(FleetRecord::Docker(self.clone()))
    }
}

/// `docker inspect`'s word for it.
fn state(status: &str) -> NodeState {
    match status {
        "running" | "restarting" => NodeState::Running,
        "paused" => NodeState::Paused,
        _ => NodeState::Dead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(place: usize, options: &Options, certificates: Option<&Certificates>) -> String {
        let docker = Docker { image: "scylladb/scylla:6.2.3".to_owned() };
        let node = Path::new("/tmp/c/node");
        docker
            .run_command("c-node2", "c", node, place, Range(70, 9), options, certificates)
            .join(" ")
    }

    #[test]
    fn a_node_has_an_address_a_seed_and_a_datacenter() {
        let options = Options::topology("dc1:1,dc2:1".parse().unwrap());
        assert_eq!(
            command(1, &options, None),
            "run --detach --name c-node2 --network c --ip 198.18.9.3 \
             --volume /tmp/c/node/cassandra-rackdc.properties:/etc/scylla/cassandra-rackdc.properties:ro \
             scylladb/scylla:6.2.3 --seeds 198.18.9.2 --listen-address 198.18.9.3 \
             --rpc-address 198.18.9.3 --broadcast-address 198.18.9.3 \
             --broadcast-rpc-address 198.18.9.3 --cluster-name c \
             --endpoint-snitch GossipingPropertyFileSnitch --smp 2 --memory 1G --overprovisioned 1 \
             --developer-mode 1"
        );
    }

    #[test]
    fn roles_and_tls_are_asked_for() {
        let options = Options::nodes(1).unwrap().with_auth().with_tls(crate::Tls::default());
        let folder = tempfile::tempdir().unwrap();
        let node = (address(Range(70, 9), 0).into(), crate::NodeCertificate::Good);
        let certificates = Certificates::make(folder.path(), &[node]).unwrap();
        let text = command(0, &options, Some(&certificates));
        let folder = folder.path().display();
        for part in [
            "--volume /tmp/c/node/scylla.yaml:/etc/scylla/scylla.yaml:ro".to_owned(),
            format!("--volume {folder}:{folder}:ro"),
            "--authenticator PasswordAuthenticator --authorizer CassandraAuthorizer".to_owned(),
        ] {
            assert!(text.contains(&part), "{part} is not in {text}");
        }
        let yaml = yaml(true, &certificates, 0);
        assert!(yaml.contains("\n  require_client_auth: true\n"), "{yaml}");
        assert!(yaml.contains(&format!("\n  certificate: {folder}/node1.pem\n")), "{yaml}");
    }

    #[test]
    fn states_are_dockers_words() {
        let words = ["running", "paused", "exited", "created", "dead"];
        let expected = [
            NodeState::Running,
            NodeState::Paused,
            NodeState::Dead,
            NodeState::Dead,
            NodeState::Dead,
        ];
        assert_eq!(words.map(state), expected);
    }
}
