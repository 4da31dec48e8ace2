//! The keeper: a small process that cleans up after a test, however the test ends.
//!
//! It reads orders from a pipe whose other end only this process holds. When that end is
//! closed, by the guard or by the kernel because this process was killed, it kills the
//! process group of the nodes, undoes what was registered and removes the cluster's folder.
//! It is a shell with a script of its own, since a test binary cannot be started as
//! something else, and it sits in a process group of its own, so that Ctrl-C in a terminal
//! does not reach it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use crate::error::{Error, Result};

const SCRIPT: &str = include_str!("keeper.sh");

/// The end of the pipe that must stay open as long as the cluster is to live.
type Pipe = Mutex<Option<ChildStdin>>;

/// The pipes of all clusters of this process, for the panic hook.
static PIPES: Mutex<Vec<(Weak<Pipe>, String)>> = Mutex::new(Vec::new());

#[derive(Debug)]
pub(crate) struct Keeper {
    keeper: Child,
    pipe: Arc<Pipe>,
    /// Holds the process group open; ends by itself when this process does.
    anchor: Child,
}

impl Keeper {
    /// Starts a keeper of the cluster whose files are in `folder`.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let mut keeper = shell(SCRIPT)
            .arg(folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()
            .map_err(Error::program("sh"))?;
        let pipe = Arc::new(Mutex::new(keeper.stdin.take()));
        // The minute is for the keeper, which kills the group long before.
        let anchor = shell("read -r end; sleep 60")
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()
            .map_err(Error::program("sh"))?;
        let keeper = Self { keeper, pipe, anchor };
        keeper.order(&format!("group {}", keeper.anchor.id()))?;
        tell_of_panics();
        let told = (Arc::downgrade(&keeper.pipe), folder.display().to_string());
        PIPES.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        Ok(keeper)
    }

    /// The process group that every process of the cluster must join.
    pub(crate) fn group(&self) -> i32 {
        i32::try_from(self.anchor.id()).unwrap_or_default()
    }

    /// A shell command to run at the end; the last one registered is the first to run.
    pub(crate) fn undo(&self, command: &str) -> Result<()> {
        self.order(&format!("undo {command}"))
    }

    /// Leaves the processes and files to those who come later.
    pub(crate) fn release(self) -> Result<()> {
        self.order("release")
    }

    /// Kills and removes everything and returns when that is done. With `keep_logs` the
    /// folder stays, without the data of the nodes.
    pub(crate) fn finish(self, keep_logs: bool) {
        let _ = self.order(if keep_logs { "logs" } else { "clean" });
    }

    fn order(&self, line: &str) -> Result<()> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pipe) = pipe.as_mut() else {
            return Err(Error::failed("the keeper of the cluster is gone"));
        };
        writeln!(pipe, "{line}").map_err(|source| Error::Io {
            what: "cannot reach the keeper of the cluster".to_owned(),
            source,
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Reaped first: the keeper waits until no process of the group is left.
        let _ = self.anchor.kill();
        let _ = self.anchor.wait();
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.keeper.wait();
    }
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A cluster that a whole test binary shares is never dropped, so a failure anywhere must
/// keep its logs: from a panic on, the keepers of this process keep them, unless a guard is
/// dropped in peace.
fn tell_of_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            keep_logs();
        }));
    });
}

#[allow(clippy::print_stderr, reason = "where a panic is told as well")]
fn keep_logs() {
    // Not waited for: this thread may hold either lock itself.
    let Ok(pipes) = PIPES.try_lock() else { return };
    for (pipe, folder) in pipes.iter() {
        let Some(pipe) = pipe.upgrade() else { continue };
        let Ok(mut pipe) = pipe.try_lock() else { continue };
        if let Some(pipe) = pipe.as_mut()
            && writeln!(pipe, "logs").is_ok()
        {
            eprintln!(
                "testbed: the logs of the nodes are in {folder}, until a test that passes ends them"
            );
        }
    }
}
