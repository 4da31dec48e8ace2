//! The conformance suite under the layers that the binary uses, on three nodes of which one
//! after the other is killed and started again: three replicas, LOCAL_QUORUM. Calls may fail
//! and must say so; nothing else of what is promised is left out.

mod common;
#[path = "common/plug.rs"]
mod plug;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use common::Bed;
use pinstate_conformance::{Leg, Suite};
use plug::{AT_ONCE, HANG, Scylla, on_cluster};

/// How long all nodes are well, and how long one is dead before it is started, which takes
/// some seconds more.
const WELL: Duration = Duration::from_secs(8);
const DEAD: Duration = Duration::from_secs(8);
/// A run in which fewer nodes died shows nothing.
const FEWEST: usize = 3;

fn main() -> ExitCode {
    on_cluster(3, |bed| {
        if let Err(why) = bed.cluster.can_break() {
            note(&format!("skipped: {why}"));
            return ExitCode::SUCCESS;
        }
        let killer = Killer::begin(Arc::clone(&bed));
        let suite = Suite::new(Scylla::on(bed)).legs(vec![Leg::layered()]).amid_failures();
        let code = suite.hang(HANG).at_once(AT_ONCE).main();
        match killer.end() {
            Ok(killed) if killed >= FEWEST || std::env::args().len() > 1 => {
                note(&format!("nodes were killed {killed} times"));
                code
            }
            Ok(killed) => {
                note(&format!("nodes were killed {killed} times, which shows nothing"));
                ExitCode::FAILURE
            }
            Err(error) => {
                note(&format!("a node could not be killed and started again: {error}"));
                ExitCode::FAILURE
            }
        }
    })
}

/// Kills one node after the other, until it is told to end.
struct Killer {
    end: Sender<()>,
    thread: JoinHandle<testbed::Result<usize>>,
}

impl Killer {
    fn begin(bed: Arc<Bed>) -> Self {
        let (end, ended) = mpsc::channel::<()>();
        let is_over = move |wait| ended.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
        let thread = std::thread::spawn(move || {
            let mut killed = 0;
            for node in (1..=bed.cluster.nodes().len()).cycle() {
                if is_over(WELL) {
                    break;
                }
                let _broken = bed.whole.blocking_write();
                bed.cluster.kill(node)?;
                killed += 1;
                let over = is_over(DEAD);
                bed.cluster.start_node(node)?;
                bed.cluster.wait_ready()?;
                if over {
                    break;
                }
            }
            Ok(killed)
        });
        Self { end, thread }
    }

    /// Lets all nodes be well again; gives how often one was killed.
    fn end(self) -> testbed::Result<usize> {
        drop(self.end);
        match self.thread.join() {
            Ok(killed) => killed,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

#[expect(clippy::print_stderr, reason = "a test program speaks to people")]
fn note(text: &str) {
    eprintln!("{text}");
}
