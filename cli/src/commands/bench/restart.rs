//! `bench restart`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::Args;
use pinstate_bench::{PinShape, Pins};
use pinstate_core::{Error, ErrorKind, NamespaceName, Operation, Result, State};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::stand::Stand;
use crate::args::{Global, namespace};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::session::{Access, Choice, Session};
use crate::signal;

/// How often a writer says how far it is, in pins.
const SAYS: u64 = 100;
/// So many pins it writes before it is killed.
const WRITES: u64 = 500;

/// Kill a writer, and see how long it takes until its store can be read again
///
/// A process of its own writes to the store, one pin after the other, and is killed. Then the
/// store is opened and a pin is read that was there before: that is what users wait for.
///
///   pinstate bench restart --store sled:/tmp/try --preload 1000000
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct RestartArgs {
    /// Pins that are there before
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    preload: u64,
    /// How often
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// What all pins follow from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The part of the process that is killed: writes to this namespace, from this pin on
    #[arg(long, hide = true, num_args = 2, value_names = ["NAME", "N"])]
    writer: Option<Vec<String>>,
}

/// How long it took from nothing to an opened store, and to a pin that was read.
#[derive(Clone, Copy)]
struct Recovery {
    opened: Duration,
    read: Duration,
}

pub(super) async fn restart(global: &Global, args: RestartArgs, out: Output) -> Outcome {
    if let Some([name, from]) = args.writer.as_deref() {
        return write(global, &args, name, from, out).await;
    }
    let stop = signal::watch();
    let pins = Pins::new(args.seed, PinShape::default());
    let store = Choice::new(global)?.store_to_test()?;
    let stand = Stand::open(global, &store, false, out).await?;
    let namespace = stand.namespace().clone();
    let filled = async {
        if !stand.is_persistent() {
            return Err(Failure::usage("this store is gone with its process: nothing can be read"));
        }
        out.note(format_args!("{} pins are put there before", args.preload.max(1)));
        stand.fill(&pins, args.preload.max(1), &stop).await
    };
    match filled.await {
        Ok(()) => stand.leave().await?,
        Err(failure) => return stand.close(Err(failure)).await,
    }
    let mut found = Vec::new();
    let mut result = Ok(());
    for round in 0..args.rounds {
        let from = args.preload.max(1) + u64::from(round) * 1_000_000;
        let one = async {
            kill_a_writer(global, &args, &namespace, from).await?;
            recovery(global, &namespace, &pins, out).await
        };
        let one = tokio::select! {
            one = one => one,
            () = stop.stopped() => Err(Failure::from(Error::new(
                ErrorKind::Cancelled, Operation::Bench, "stopped before the end",
            ))),
        };
        match one {
            Ok(recovery) => {
                out.note(format_args!(
                    "round {}: opened in {:.1?}, a pin read after {:.1?}",
                    round + 1,
                    recovery.opened,
                    recovery.read
                ));
                found.push(recovery);
            }
            Err(failure) => {
                result = Err(failure);
                break;
            }
        }
    }
    Stand::reopen(global, namespace, out).await?.close(result).await?;
    tell(&args, &found, out)
}

fn tell(args: &RestartArgs, found: &[Recovery], out: Output) -> Outcome {
    let middle = |of: fn(&Recovery) -> Duration| {
        let mut times: Vec<Duration> = found.iter().map(of).collect();
        times.sort_unstable();
        (
            times.get(times.len() / 2).copied().unwrap_or_default(),
            times.last().copied().unwrap_or_default(),
        )
    };
    let (opened, read) = (middle(|one| one.opened), middle(|one| one.read));
    let json = json!({
        "preload": args.preload,
        "rounds": found.len(),
        "opened_seconds": { "median": opened.0.as_secs_f64(), "max": opened.1.as_secs_f64() },
        "read_seconds": { "median": read.0.as_secs_f64(), "max": read.1.as_secs_f64() },
    });
    let text = format!(
        "after a kill among {} pins: opened in {:.1?} (longest {:.1?}), a pin read after {:.1?} \
         (longest {:.1?}), {} rounds",
        args.preload,
        opened.0,
        opened.1,
        read.0,
        read.1,
        found.len()
    );
    out.result(text, &json)?;
    Ok(Exit::Done)
}

/// Has a process write, and kills it in the middle of that.
async fn kill_a_writer(
    global: &Global,
    args: &RestartArgs,
    namespace: &NamespaceName,
    from: u64,
) -> Outcome<()> {
    let died = |what: &str, error: Option<std::io::Error>| {
        let told = Error::new(ErrorKind::Internal, Operation::Bench, what.to_owned());
        Failure::from(match error {
            Some(error) => told.with_source(error),
            None => told,
        })
    };
    let program =
        std::env::current_exe().map_err(|e| died("this program is not to be found", Some(e)))?;
    let mut command = Command::new(program);
    if let Some(config) = &global.config {
        command.arg("--config").arg(config);
    }
    // The store's URI may have a password, which others could read on the command line.
    command
        .env("PINSTATE_STORE", Choice::new(global)?.store()?)
        .args(["bench", "restart", "--seed", &args.seed.to_string(), "--writer"])
        .args([namespace.to_string(), from.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| died("no writer can be started", Some(e)))?;
    let Some(said) = child.stdout.take() else { return Err(died("a writer has no output", None)) };
    let mut lines = BufReader::new(said).lines();
    let mut written = 0;
    while written < WRITES {
        match lines.next_line().await {
            Ok(Some(_)) => written += SAYS,
            Ok(None) => return Err(died("the writer ended before it was killed", None)),
            Err(error) => return Err(died("the writer cannot be heard", Some(error))),
        }
    }
    child.kill().await.map_err(|e| died("the writer cannot be killed", Some(e)))
}

/// Writes until somebody kills this process.
async fn write(
    global: &Global,
    args: &RestartArgs,
    name: &str,
    from: &str,
    out: Output,
) -> Outcome {
    let name = namespace(name).map_err(Failure::usage)?;
    let from: u64 = from.parse().map_err(|_| Failure::usage("--writer: no number"))?;
    let session = Session::open(global, out, Access::Modify).await?;
    let state = State::new(session.namespace_of(&name).await?, session.clock().await?);
    let pins = Pins::new(args.seed, PinShape::default());
    let mut said = tokio::io::stdout();
    for n in from.. {
        state.add(&pins.pin(n, 0)).await?;
        if (n + 1 - from).is_multiple_of(SAYS) {
            let told = async {
                said.write_all(b"written\n").await?;
                said.flush().await
            };
            told.await.map_err(Failure::stdout)?;
        }
    }
    Ok(Exit::Done)
}

/// Opens the store and reads a pin.
async fn recovery(
    global: &Global,
    name: &NamespaceName,
    pins: &Pins,
    out: Output,
) -> Outcome<Recovery> {
    let began = Instant::now();
    let session = Session::open(global, out, Access::Read).await?;
    let opened = began.elapsed();
    let read: Outcome<Duration> = async {
        let state = State::new(session.namespace_of(name).await?, session.clock().await?);
        let found = state.get(&pins.cid(0)).await?;
        let read = began.elapsed();
        check(found == pins.pin(0, 0))?;
        Ok(read)
    }
    .await;
    let read = session.close(read).await?;
    Ok(Recovery { opened, read })
}

fn check(right: bool) -> Result<()> {
    if right {
        return Ok(());
    }
    let what = "a pin that was there before the kill is another one now";
    Err(Error::new(ErrorKind::Corrupt, Operation::Bench, what))
}
