//! `cargo run -p testbed -- up --nodes 3`: clusters for people.

use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use testbed::certify::{Summary, Verdict};
use testbed::{Access, Cluster, Error, Login, Options, Result, Tls, TlsFiles, Topology};

/// Starts, breaks and stops a real CQL cluster on this machine.
#[derive(Parser)]
#[command(name = "testbed")]
struct Command {
    /// The cluster that is meant, where there are several.
    #[arg(long, global = true, default_value = "default")]
    name: String,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Start a cluster that stays, and print HOST:PORT of every node.
    Up(Up),
    /// Print HOST:PORT, datacenter and state of every node.
    Status,
    /// End the cluster and remove its files.
    Down,
    /// Make a node fall silent.
    Pause(Which),
    /// Let a paused node go on.
    Resume(Which),
    /// Kill a node.
    Kill(Which),
    /// Start a dead node on its data.
    Start(Which),
    /// Ask a real cluster, ScyllaDB best, whether it answers as backends rely on, and write a
    /// report. Works in keyspaces of its own, which it removes.
    Certify(Certify),
}

#[derive(Args)]
struct Up {
    /// How many nodes [default: 3, or as many as --dcs says].
    #[arg(long)]
    nodes: Option<usize>,
    /// Nodes by datacenter, like dc1:2,dc2:1 [default: all in one].
    #[arg(long)]
    dcs: Option<Topology>,
    /// Speak TLS with clients, and nothing else.
    #[arg(long)]
    tls: bool,
    /// Refuse clients that show no certificate of the cluster's CA.
    #[arg(long, requires = "tls")]
    client_certificate: bool,
    /// Ask clients for a role and a password.
    #[arg(long)]
    auth: bool,
    /// Take values of up to 15 MiB instead of 2 MiB.
    #[arg(long)]
    big_values: bool,
}

#[derive(Args)]
struct Certify {
    /// HOST:PORT of nodes of the cluster, with commas between.
    #[arg(long)]
    hosts: String,
    /// A role that may make keyspaces and roles.
    #[arg(long, requires = "password_file")]
    user: Option<String>,
    /// A file with the role's password; a newline at its end does not count.
    #[arg(long, requires = "user")]
    password_file: Option<PathBuf>,
    /// The authority of the nodes' certificates, as PEM: speak TLS.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// A certificate to show, as PEM.
    #[arg(long, requires_all = ["ca", "key"])]
    cert: Option<PathBuf>,
    /// Its key, as PEM.
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
    /// The folder for report.html and report.json.
    #[arg(long)]
    report: PathBuf,
}

#[derive(Args)]
struct Which {
    /// The node's number, from 1.
    node: usize,
}

#[allow(clippy::print_stderr, reason = "a command tells its failure there")]
fn main() -> ExitCode {
    let command = Command::parse();
    match run(&command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(if matches!(e, Error::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn run(command: &Command) -> Result<()> {
    let name = &command.name;
    match &command.task {
        Task::Up(up) => {
            let mut options = match (&up.dcs, up.nodes) {
                (Some(topology), nodes) => {
                    let placed = topology.nodes();
                    if let Some(nodes) = nodes.filter(|nodes| *nodes != placed) {
                        return Err(Error::Usage(format!(
                            "--nodes says {nodes}, and --dcs has places for {placed}"
                        )));
                    }
                    Options::topology(topology.clone())
                }
                (None, nodes) => Options::nodes(nodes.unwrap_or(3))?,
            };
            if up.big_values {
                options = options.with_big_values();
            }
            if up.auth {
                options = options.with_auth();
            }
            if up.tls {
                let tls = Tls::default();
                options = options.with_tls(match up.client_certificate {
                    true => tls.require_client_certificate(),
                    false => tls,
                });
            }
            show(&Cluster::up(name, &options)?)
        }
        Task::Status => show(&Cluster::attach(name)?),
        Task::Down => Cluster::attach(name)?.down(),
        Task::Pause(which) => Cluster::attach(name)?.pause(which.node),
        Task::Resume(which) => Cluster::attach(name)?.resume(which.node),
        Task::Kill(which) => Cluster::attach(name)?.kill(which.node),
        Task::Start(which) => {
            let cluster = Cluster::attach(name)?;
            cluster.launch(which.node)?;
            // Before it is waited for: whoever gives up must still find it.
            cluster.store()?;
            cluster.wait_for_node(which.node)
        }
        Task::Certify(task) => certify(task),
    }
}

fn certify(task: &Certify) -> Result<()> {
    let mut access = Access::at(&task.hosts)?;
    if let (Some(user), Some(file)) = (&task.user, &task.password_file) {
        let text = std::fs::read_to_string(file)
            .map_err(|e| Error::Usage(format!("cannot read {}: {e}", file.display())))?;
        let password = text.trim_end_matches(['\r', '\n']).to_owned();
        access.login = Some(Login { user: user.clone(), password });
    }
    if let Some(ca) = &task.ca {
        let client = task.cert.clone().zip(task.key.clone());
        access.tls = Some(TlsFiles { ca: ca.clone(), client });
    }
    let report = testbed::certify::certify(&access)?;
    testbed::certify::write(&report, &task.report)?;
    let Summary { as_expected, differs, cannot_be_shown } = report.summary;
    let mut text = format!(
        "{as_expected} as expected, {differs} differ, {cannot_be_shown} cannot be shown here\n"
    );
    for check in report.checks.iter().filter(|check| check.verdict == Verdict::Differs) {
        text += &format!("{}: {} instead of {}\n", check.id, check.observed, check.expected);
    }
    text += &format!("{}\n", task.report.join("report.html").display());
    answer(&text)?;
    match report.left.as_slice() {
        [] => Ok(()),
        left => Err(Error::Failed(format!("not removed: {}", left.join("; ")))),
    }
}

fn show(cluster: &Cluster) -> Result<()> {
    let mut text = String::new();
    for node in cluster.nodes() {
        let state = cluster.state(node.number)?;
        text += &format!("{} {} {state}\n", node.address, node.datacenter);
    }
    if let Some(login) = &cluster.access().login {
        text += &format!("role {}, password {}\n", login.user, login.password);
    }
    if let Some(tls) = &cluster.access().tls {
        text += &format!("CA {}\n", tls.ca.display());
        if let Some((certificate, key)) = &tls.client {
            let (certificate, key) = (certificate.display(), key.display());
            text += &format!("client certificate {certificate}, key {key}\n");
        }
    }
    answer(&text)
}

/// Writes an answer. Who stops reading it has read enough.
fn answer(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Failed(format!("the answer cannot be written: {e}")))
        }
        _ => Ok(()),
    }
}
