//! Telling a mirror from outside what to do: a socket in the job's folder, which nobody else may
//! open. One request, one answer, each a line of JSON.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pinstate_core::{Error, ErrorKind, Operation, Outcome, Result};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::journal::left;
use super::{Mirror, Status};
use crate::files::failed;

/// The socket's name in the folder.
const SOCKET: &str = "control.sock";
/// Longest request in bytes.
const LONGEST: u64 = 4_096;
/// How long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked of a mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Request {
    /// How it is.
    Status,
    /// [`Mirror::advance`].
    Advance,
    /// [`Mirror::set_shadow`].
    Shadow {
        /// Of every hundred reads, how many are made on both stores.
        percent: u8,
    },
    /// [`Mirror::cut_over`].
    Cutover {
        /// The budget in milliseconds.
        budget_ms: u64,
    },
    /// [`Mirror::roll_back`].
    Rollback {
        /// The budget in milliseconds.
        budget_ms: u64,
    },
    /// [`Mirror::finalise`].
    Finalise {
        /// Whether the hidden markers of deletes stay.
        keep_markers: bool,
    },
    /// [`Mirror::abort`].
    Abort {
        /// The budget of the rollback in milliseconds.
        budget_ms: u64,
    },
}

/// What a mirror answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Answer {
    /// It is done.
    Done(Box<Status>),
    /// It is not.
    Failed {
        /// What was wrong.
        error: Fault,
        /// How the mirror is.
        status: Box<Status>,
    },
}

/// An error as it goes through the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fault {
    /// Its kind, by its name.
    pub kind: String,
    /// What was wrong, in one line.
    pub message: String,
    /// Whether what was asked certainly was not done.
    pub not_applied: bool,
}

impl Fault {
    fn of(error: &Error) -> Self {
        Self {
            kind: error.kind().as_str().to_owned(),
            message: error.to_string(),
            not_applied: error.outcome() == Outcome::NotApplied,
        }
    }

    /// The error, as far as it came through.
    #[must_use]
    pub fn into_error(self) -> Error {
        let kinds = [
            ErrorKind::InvalidInput,
            ErrorKind::Conflict,
            ErrorKind::Timeout,
            ErrorKind::Unavailable,
            ErrorKind::Cancelled,
            ErrorKind::Corrupt,
            ErrorKind::Locked,
            ErrorKind::Closed,
        ];
        let kind = kinds.into_iter().find(|kind| kind.as_str() == self.kind);
        // The message has the operation and the kind in front already.
        let begins = format!("{}: {}: ", Operation::Mirror, self.kind);
        let message = self.message.strip_prefix(&begins).unwrap_or(&self.message).to_owned();
        let outcome = if self.not_applied { Outcome::NotApplied } else { Outcome::Unknown };
        Error::new(kind.unwrap_or(ErrorKind::Internal), Operation::Mirror, message)
            .with_outcome(outcome)
    }
}

/// The socket in a mirror's folder.
#[derive(Debug)]
pub struct Control {
    mirror: Mirror,
    listener: UnixListener,
}

impl Control {
    /// Makes the socket.
    ///
    /// # Errors
    /// What keeps it from being made.
    pub fn listen(mirror: &Mirror) -> Result<Self> {
        let folder = &mirror.inner.folder;
        let (path, beside) = (folder.file(SOCKET), folder.file("control.new"));
        // The folder's lock is held, so whoever made them is gone.
        folder.remove(SOCKET)?;
        folder.remove("control.new")?;
        let bound = UnixListener::bind(&beside).and_then(|listener| {
            std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))?;
            std::fs::rename(&beside, &path)?;
            Ok(listener)
        });
        let listener = bound.map_err(|error| failed(&path, "cannot be listened at", error))?;
        Ok(Self { mirror: mirror.clone(), listener })
    }

    /// Answers requests until it is dropped. Those under way then come to their end only as far
    /// as the mirror goes on without a caller.
    pub async fn serve(self) {
        let mut calls = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let mirror = self.mirror.clone();
                        calls.spawn(async move { drop(answer(&mirror, stream).await) });
                    }
                    // Too many files are open, for one: others may close theirs.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                Some(_) = calls.join_next() => {}
            }
        }
    }
}

async fn answer(mirror: &Mirror, mut stream: UnixStream) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    let mut read = BufReader::new(read.take(LONGEST));
    tokio::time::timeout(PATIENCE, read.read_line(&mut line)).await??;
    let done = match serde_json::from_str(&line) {
        Ok(request) => mirror.perform(request).await,
        Err(error) => {
            let what = "this is no request that a mirror knows";
            Err(Error::new(ErrorKind::InvalidInput, Operation::Mirror, what).with_source(error))
        }
    };
    let status = Box::new(mirror.status());
    let answer = match done {
        Ok(()) => Answer::Done(status),
        Err(error) => Answer::Failed { error: Fault::of(&error), status },
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    write.write_all(&line).await
}

impl Mirror {
    /// Does what is asked.
    ///
    /// # Errors
    /// Those of the step.
    pub async fn perform(&self, request: Request) -> Result<()> {
        let ms = Duration::from_millis;
        match request {
            Request::Status => Ok(()),
            Request::Advance => self.advance().await.map(drop),
            Request::Shadow { percent } => {
                self.set_shadow(percent);
                Ok(())
            }
            Request::Cutover { budget_ms } => self.cut_over(ms(budget_ms)).await.map(drop),
            Request::Rollback { budget_ms } => self.roll_back(ms(budget_ms)).await.map(drop),
            Request::Finalise { keep_markers } => self.finalise(keep_markers).await.map(drop),
            Request::Abort { budget_ms } => self.abort(ms(budget_ms)).await,
        }
    }
}

/// Asks the mirror that runs in `folder`, and waits for its answer, for as long as that takes.
///
/// # Errors
/// `Unavailable` where none runs there; `Io` where it ends before it has answered.
pub async fn ask(folder: &Path, request: &Request) -> Result<Answer> {
    let path: PathBuf = folder.join(SOCKET);
    let mut stream = match UnixStream::connect(&path).await {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            let message = format!("no mirror runs in {}", folder.display());
            let error = Error::new(ErrorKind::Unavailable, Operation::Mirror, message)
                .with_outcome(Outcome::NotApplied);
            return Err(match left(&folder.join("journal")) {
                Ok(keys) => error.with_context("keys in its journal", keys),
                Err(_) => error,
            });
        }
        connected => connected.map_err(|error| failed(&path, "cannot be reached", error))?,
    };
    let ended = |error| failed(&path, "was closed before there was an answer", error);
    let mut line = serde_json::to_vec(request).map_err(|error| ended(error.into()))?;
    line.push(b'\n');
    stream.write_all(&line).await.map_err(ended)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await.map_err(ended)?;
    serde_json::from_str(&answer).map_err(|error| ended(error.into()))
}
