//! What the tests of the binary share: a place of its own, runs of it, and pins.

#![allow(dead_code, reason = "each test file uses a part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

/// CIDs that the tests pin.
pub(crate) const CID: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
pub(crate) const CID_V0: &str = "QmUaFyXjZUNaUwYF8rBtbJc7fEJ46aJXvgV8z2HHs6jvmJ";
pub(crate) const PEER: &str = "12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf";

/// A home directory of its own, and a store in it.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    /// For temporary files, of its own: others' are none of a test's business.
    pub(crate) temporary: tempfile::TempDir,
}

/// What a run did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The URI of a sled store in this place.
    pub(crate) fn sled(&self) -> String {
        self.sled_named("store")
    }

    pub(crate) fn sled_named(&self, name: &str) -> String {
        format!("sled:{}", self.path(name).display())
    }

    /// The binary with nothing of the caller's environment.
    pub(crate) fn bare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinstate"));
        command.env_clear().env("HOME", self.dir.path()).current_dir(self.dir.path());
        command.env("TMPDIR", self.temporary.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The binary on the sled store of this place.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bare();
        command.args(["--store", &self.sled()]).args(args);
        command
    }

    /// Runs the binary on the sled store of this place.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }

    /// The same, in text.
    pub(crate) fn text_run(&self, args: &[&str]) -> Ran {
        run(self.command(args).args(["--output", "text"]))
    }

    /// The same, in JSON on both streams.
    pub(crate) fn json_run(&self, args: &[&str]) -> Ran {
        run(self.command(args).args(["--output", "json"]))
    }

    /// Runs the binary with bytes on its stdin.
    pub(crate) fn run_with_input(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // Beside the reading of what it says; it may stop reading before the end.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let ran = Ran::from(finish(child));
        writer.join().unwrap();
        ran
    }

    /// How many pins the store has.
    pub(crate) fn count(&self) -> u64 {
        let ran = self.run(&["count"]).good();
        ran.json()[0]["pins"].as_u64().unwrap()
    }

    /// The pinset as sorted lines of an export.
    pub(crate) fn pinset(&self) -> Vec<String> {
        let ran = self.run(&["export"]).good();
        sorted(&ran.stdout)
    }

    /// The namespaces of the store.
    pub(crate) fn namespaces(&self) -> Vec<String> {
        let ran = self.run(&["namespaces", "list"]).good();
        ran.json().iter().map(|json| json["namespace"].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) fn run(command: &mut Command) -> Ran {
    Ran::from(finish(command.spawn().unwrap()))
}

/// How long a test waits for what must come before it gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for the end of a run and what it said; one that hangs fails the test.
pub(crate) fn finish(child: Child) -> Output {
    let id = child.id();
    let (send, ended) = mpsc::channel();
    std::thread::spawn(move || drop(send.send(child.wait_with_output())));
    match ended.recv_timeout(PATIENCE) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
            let said = ended.recv_timeout(PATIENCE);
            panic!("still running after {PATIENCE:?}; so far it said {said:?}");
        }
    }
}

impl From<std::process::Output> for Ran {
    fn from(output: std::process::Output) -> Self {
        let ran = Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        ran
    }
}

impl Ran {
    /// Expects an exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn good(self) -> Self {
        self.exits(0)
    }

    /// Expects a text among what was said on stderr.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} in {self:#?}");
        self
    }

    /// Expects a text on stdout.
    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no {text:?} in {self:#?}");
        self
    }

    /// Expects an error of exactly one line with a text in it.
    #[track_caller]
    pub(crate) fn fails_with(self, code: i32, text: &str) -> Self {
        let ran = self.exits(code);
        let errors: Vec<&str> =
            ran.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{ran:#?}");
        assert!(errors[0].contains(text), "no {text:?} in {ran:#?}");
        ran
    }

    /// Stdout as JSON, one value a line.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        lines_of_json(&self.stdout)
    }

    /// Stderr as JSON, one value a line.
    #[track_caller]
    pub(crate) fn json_messages(&self) -> Vec<Value> {
        lines_of_json(&self.stderr)
    }
}

#[track_caller]
fn lines_of_json(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

pub(crate) fn sorted(lines: &str) -> Vec<String> {
    let mut lines: Vec<String> = lines.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The example pinset: written by ipfs-cluster's own code.
pub(crate) fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/pinset.ndjson")
}

/// A line of an export, as ipfs-cluster writes it: the pin number `n`.
pub(crate) fn line(n: u32, name: &str) -> String {
    format!(
        "{{\"replication_factor_min\":2,\"replication_factor_max\":3,\"name\":\"{name}\",\
         \"mode\":\"recursive\",\"shard_size\":0,\"user_allocations\":null,\
         \"expire_at\":\"0001-01-01T00:00:00Z\",\"metadata\":{{\"n\":\"{n}\"}},\
         \"pin_update\":null,\"origins\":[],\"cid\":\"{}\",\"type\":\"pin\",\
         \"allocations\":[\"{PEER}\"],\"max_depth\":-1,\"reference\":null,\
         \"timestamp\":\"2024-05-06T07:08:09Z\"}}\n",
        cid(n)
    )
}

/// The lines of the pins `from..to`.
pub(crate) fn lines(from: u32, to: u32, name: &str) -> String {
    (from..to).map(|n| line(n, name)).collect()
}

/// The CID of pin number `n`: a raw block whose hash begins with the number mixed up, so
/// that the keys are spread as those of real pins are.
pub(crate) fn cid(n: u32) -> String {
    let mut bytes = vec![1, 0x55, 0x12, 0x20];
    bytes.extend(n.wrapping_mul(0x9e37_79b1).to_be_bytes());
    bytes.extend([7; 28]);
    let text = data_encoding::BASE32_NOPAD.encode(&bytes).to_lowercase();
    format!("b{text}")
}
