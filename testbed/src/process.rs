//! A process of a node: started here, or by an earlier run of the test bed.

use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A process by its number and its start, since numbers come again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    pid: i32,
    /// In clock ticks since the machine started.
    started: u64,
}

/// What the kernel says of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    Running,
    Stopped,
    Dead,
}

/// One process, and the handle of this process's own child.
#[derive(Debug)]
pub(crate) struct Process {
    identity: Identity,
    child: Option<Child>,
}

impl Process {
    /// A process that was just started.
    pub(crate) fn of(mut child: Child) -> Result<Self> {
        let pid = i32::try_from(child.id()).map_err(|e| Error::failed(e.to_string()))?;
        match stat(pid) {
            Some((_, started)) => {
                Ok(Self { identity: Identity { pid, started }, child: Some(child) })
            }
            None => {
                let _ = child.kill();
                let _ = child.wait();
                Err(Error::failed(format!("process {pid} is not in /proc: is this Linux?")))
            }
        }
    }

    /// A process that an earlier run wrote down.
    pub(crate) fn known(identity: Identity) -> Self {
        Self { identity, child: None }
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    pub(crate) fn life(&mut self) -> Life {
        if let Some(child) = &mut self.child {
            // A child that has ended must be asked for its end, or it stays in /proc.
            if !matches!(child.try_wait(), Ok(None)) {
                return Life::Dead;
            }
        }
        match stat(self.identity.pid) {
            Some((state, started)) if started == self.identity.started => match state {
                'T' | 't' => Life::Stopped,
                'Z' | 'X' => Life::Dead,
                _ => Life::Running,
            },
            _ => Life::Dead,
        }
    }

    pub(crate) fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    pub(crate) fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    pub(crate) fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Kills the process, which may be dead already, and returns when it is gone.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if self.life() == Life::Dead {
            return Ok(());
        }
        self.signal(Signal::KILL)?;
        self.wait();
        Ok(())
    }

    /// Returns when the process has ended.
    pub(crate) fn wait(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.wait();
        }
        while self.life() != Life::Dead {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.life() == Life::Dead {
            return Err(Error::failed(format!("process {} is gone", self.identity.pid)));
        }
        let pid = Pid::from_raw(self.identity.pid)
            .ok_or_else(|| Error::failed("a process has no number 0"))?;
        kill_process(pid, signal)
            .map_err(|e| Error::failed(format!("cannot signal process {}: {e}", self.identity.pid)))
    }
}

/// State and start of a process.
fn stat(pid: i32) -> Option<(char, u64)> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may hold anything, but it is the last thing in parentheses.
    let mut fields = line.get(line.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn sleeper() -> Process {
        let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        Process::of(child).unwrap()
    }

    #[test]
    fn a_process_is_stopped_and_goes_on_and_dies() {
        let mut process = sleeper();
        let mut known = Process::known(process.identity());
        process.pause().unwrap();
        while process.life() != Life::Stopped {}
        assert_eq!(known.life(), Life::Stopped);
        known.resume().unwrap();
        while process.life() != Life::Running {}
        process.pause().unwrap();
        process.kill().unwrap();
        assert_eq!((process.life(), known.life()), (Life::Dead, Life::Dead));
        assert!(process.pause().is_err());
        process.kill().unwrap();
    }

    #[test]
    fn another_process_of_the_same_number_is_not_touched() {
        let mut process = sleeper();
        let Identity { pid, started } = process.identity();
        let mut other = Process::known(Identity { pid, started: started + 1 });
        assert_eq!(other.life(), Life::Dead);
        other.kill().unwrap();
        assert_eq!(process.life(), Life::Running);
        process.kill().unwrap();
    }
}
