//! A real peer of ipfs-cluster: the Go program itself, with CRDT consensus over pebble.
//!
//! It listens on 127.0.0.1 alone, knows no other peer and has no IPFS daemon, so it takes
//! pins and pins nothing. The binary is built from the module in `interop`, once.

use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::keeper::Keeper;
use crate::process::{Life, Process};

/// How long a peer may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(50);

/// A running peer. Dropping it kills the process and removes its files.
#[derive(Debug)]
pub struct IpfsClusterPeer {
    service: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    process: Process,
    _keeper: Keeper,
}

impl IpfsClusterPeer {
    /// Makes a new peer and waits until its REST API answers.
    ///
    /// # Errors
    /// `NoSource` without the Go tools; `Failed` with the end of its log.
    pub fn start() -> Result<Self> {
        let service = service()?;
        let folder = tempfile::Builder::new()
            .prefix("pinstate-testbed-")
            .tempdir()
            .map_err(Error::io("cannot make a folder in", &std::env::temp_dir()))?;
        let config = folder.path().join("peer");
        ran(command(&service, folder.path(), &config).args([
            "init",
            "--consensus",
            "crdt",
            "--datastore",
            "pebble",
        ]))?;
        let [port, swarm, nobody] = ports()?;
        configure(&config.join("service.json"), port, swarm, nobody)?;
        let keeper = Keeper::start(folder.path())?;
        let process = daemon(&service, folder.path(), &config, &keeper)?;
        let mut peer = Self { service, folder, port, process, _keeper: keeper };
        peer.ready()?;
        Ok(peer)
    }

    /// Where its REST API is.
    #[must_use]
    pub fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port that its REST API listens at, of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends the peer and writes its pins to a file, by its own `state export`.
    ///
    /// # Errors
    /// `Failed` with what the program says.
    pub fn export(mut self, file: &Path) -> Result<()> {
        self.process.terminate()?;
        let began = Instant::now();
        while self.process.life() != Life::Dead {
            if began.elapsed() > PATIENCE {
                return Err(self.failed("does not end"));
            }
            std::thread::sleep(MOMENT);
        }
        let config = self.config();
        let mut command = command(&self.service, self.folder.path(), &config);
        ran(command.args(["state", "export", "--file"]).arg(file))
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("peer")
    }

    fn ready(&mut self) -> Result<()> {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if self.process.life() == Life::Dead {
                return Err(self.failed("has ended"));
            }
            if began.elapsed() > PATIENCE {
                return Err(self.failed("does not answer"));
            }
            std::thread::sleep(MOMENT);
        }
        Ok(())
    }

    fn failed(&self, what: &str) -> Error {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n");
        Error::failed(format!("the peer of ipfs-cluster {what}; its log ends with\n{end}"))
    }
}

/// The program, built where it is not there yet. Others may build it at the same time.
fn service() -> Result<PathBuf> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop");
    let bin = module.join("bin");
    std::fs::create_dir_all(&bin).map_err(Error::io("cannot make", &bin))?;
    let lock = bin.join(".lock");
    let lock = File::create(&lock).and_then(|file| file.lock().map(|()| file));
    let _lock = lock.map_err(Error::io("cannot lock", &bin))?;
    let service = bin.join("ipfs-cluster-service");
    if service.exists() {
        return Ok(service);
    }
    let mut go = Command::new("go");
    go.current_dir(&module).args([
        "build",
        "-o",
        "bin/",
        "github.com/ipfs-cluster/ipfs-cluster/cmd/ipfs-cluster-service",
    ]);
    ran(&mut go).map_err(|error| match error {
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Error::NoSource("ipfs-cluster is built with Go, and there is no go".to_owned())
        }
        error => error,
    })?;
    Ok(service)
}

/// The program with an empty environment: its variables would override its configuration.
fn command(service: &Path, home: &Path, config: &Path) -> Command {
    let mut command = Command::new(service);
    command.env_clear().env("HOME", home).env("TZ", "UTC").arg("--config").arg(config);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.stdin(Stdio::null());
    command
}

fn daemon(service: &Path, home: &Path, config: &Path, keeper: &Keeper) -> Result<Process> {
    let path = home.join("log");
    let log = File::create(&path).and_then(|log| Ok((log.try_clone()?, log)));
    let (log, errors) = log.map_err(Error::io("cannot write", &path))?;
    let mut command = command(service, home, config);
    command.arg("daemon").stdout(log).stderr(errors).process_group(keeper.group());
    Process::of(command.spawn().map_err(Error::program("ipfs-cluster-service"))?)
}

fn ran(command: &mut Command) -> Result<()> {
    let name = command.get_program().display().to_string();
    let output = command.output().map_err(Error::program(&name))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::failed(format!("{name} failed ({}): {}", output.status, said.trim())))
}

/// Ports that nobody listens at.
fn ports() -> Result<[u16; 3]> {
    let free = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
    let found = || -> std::io::Result<[u16; 3]> {
        let listeners = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)));
        let [one, two, three] = listeners;
        let (one, two, three) = (one?, two?, three?);
        Ok([free(&one)?, free(&two)?, free(&three)?])
    };
    found().map_err(|source| Error::Io { what: "there is no free port".to_owned(), source })
}

/// Keeps the peer to itself: one API, one address, nobody to find.
fn configure(path: &Path, api: u16, swarm: u16, nobody: u16) -> Result<()> {
    let text = std::fs::read(path).map_err(Error::io("cannot read", path))?;
    let mut config: Value =
        serde_json::from_slice(&text).map_err(|error| Error::failed(error.to_string()))?;
    let here = |port: u16| format!("/ip4/127.0.0.1/tcp/{port}");
    let mut set = |pointer: &str, value: Value| match config.pointer_mut(pointer) {
        Some(place) => {
            *place = value;
            Ok(())
        }
        None => Err(Error::failed(format!("the configuration of ipfs-cluster has no {pointer}"))),
    };
    set("/cluster/listen_multiaddress", json!([here(swarm)]))?;
    set("/cluster/mdns_interval", json!("0s"))?;
    set("/api/restapi/http_listen_multiaddress", json!(here(api)))?;
    set("/ipfs_connector/ipfshttp/node_multiaddress", json!(here(nobody)))?;
    if let Some(apis) = config.pointer_mut("/api").and_then(Value::as_object_mut) {
        apis.retain(|name, _| name == "restapi");
    }
    let mut file = File::create(path).map_err(Error::io("cannot write", path))?;
    file.write_all(config.to_string().as_bytes()).map_err(Error::io("cannot write", path))
}
