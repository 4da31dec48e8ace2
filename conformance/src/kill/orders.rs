//! A process that the suite has started, and what it has to do.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use pinstate_core::Store;
use serde::{Deserialize, Serialize};

use super::event::{Event, Pipe, Tell};
use super::work::{Work, work};
use crate::suite::Suite;

/// The variable that carries the orders.
const ORDERS: &str = "PINSTATE_CONFORMANCE_CHILD";

/// What a child is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) backend: String,
    pub(crate) leg: String,
    pub(crate) folder: PathBuf,
    pub(crate) task: Task,
}

/// What a child does with the store once it is open.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Task {
    /// Holds it until it is killed.
    Hold,
    /// Writes until it is killed.
    Write(Work),
}

impl Orders {
    /// The command that starts the child: this program with its own arguments, so that one
    /// that takes the store from them finds the same.
    pub(crate) fn command(&self) -> io::Result<std::process::Command> {
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.args(std::env::args_os().skip(1));
        command.env(ORDERS, serde_json::to_string(self)?);
        Ok(command)
    }
}

/// Whether this process is a child of the suite.
pub(crate) fn is_child() -> bool {
    std::env::var_os(ORDERS).is_some()
}

/// A process that the suite has started in order to kill it.
///
/// The suite starts the program that runs it once more, with the same arguments and its
/// orders in the environment. [`Suite::main`] sees to that by itself. A program that uses
/// [`Suite::report`] or [`Suite::verdicts`], with a plug that has
/// [`site_in`](crate::Plug::site_in), asks [`Child::summoned`] first and hands the suite over.
#[derive(Debug)]
pub struct Child(Orders);

impl Child {
    /// What this process was started for; `None` in one that people started.
    #[must_use]
    pub fn summoned() -> Option<Self> {
        let text = std::env::var(ORDERS).ok()?;
        Some(Self(serde_json::from_str(&text).ok()?))
    }

    /// The name of the plug whose store is to be opened, for programs that have several.
    #[must_use]
    pub fn backend(&self) -> &str {
        &self.0.backend
    }

    /// Does what it was started for, with the suite as the parent has it; as a rule it is
    /// killed meanwhile.
    #[must_use]
    pub fn run(self, suite: &Suite) -> ExitCode {
        // The parent keeps the other end open as long as it lives.
        std::thread::spawn(|| {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(2);
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.obey(suite)),
            Err(error) => {
                Pipe.tell(Event::Broken(format!("a child has no threads: {error}")));
                ExitCode::FAILURE
            }
        }
    }

    async fn obey(self, suite: &Suite) -> ExitCode {
        let Orders { leg, folder, task, .. } = self.0;
        let Some(site) = suite.plug().site_in(&folder) else {
            Pipe.tell(Event::Broken("the plug of the child has no 'site_in'".to_owned()));
            return ExitCode::FAILURE;
        };
        Pipe.tell(Event::Opening);
        let store: Arc<dyn Store> = match site.open().await {
            Ok(store) => suite.layered(&leg, store),
            Err(error) => {
                let kind = error.kind().as_str().to_owned();
                Pipe.tell(Event::NotOpened(kind, error.to_string()));
                return ExitCode::SUCCESS;
            }
        };
        Pipe.tell(Event::Opened);
        match task {
            Task::Hold => std::future::pending().await,
            Task::Write(orders) => match work(store, orders, Arc::new(Pipe)).await {
                Ok(()) => Pipe.tell(Event::Done),
                Err(violation) => Pipe.tell(Event::Broken(violation.to_string())),
            },
        }
        ExitCode::SUCCESS
    }
}
