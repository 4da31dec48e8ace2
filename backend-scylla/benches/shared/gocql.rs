//! gocql beside this backend: a Go program of `interop` that runs the same statements on the
//! same table in a process of its own, one loop for each line that it is sent.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use bytes::Bytes;
use pinstate_core::pin::Pin;
use testbed::Cluster;

use crate::shared::CONNECTIONS;

/// The program, idle unless asked.
pub(crate) struct Go {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    _scratch: tempfile::TempDir,
}

impl Go {
    /// Builds and starts it, for these pins in this order; `None` where there is no Go.
    pub(crate) fn start(
        cluster: &Cluster,
        table: &str,
        workers: usize,
        pins: &[Pin],
        values: &[Bytes],
    ) -> Option<Self> {
        Command::new("go").arg("version").stdout(Stdio::null()).status().ok()?;
        let interop = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("interop");
        let scratch = tempfile::tempdir().unwrap();
        let (binary, file) = (scratch.path().join("cql"), scratch.path().join("values.jsonl"));
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(&binary)
            .arg("./cmd/cql")
            .current_dir(interop)
            .status();
        assert!(built.unwrap().success(), "the Go program does not build");
        let mut lines = String::new();
        for (pin, value) in pins.iter().zip(values) {
            let (key, value) = (hex(pin.cid.as_bytes()), hex(value));
            writeln!(lines, "{{\"key_hex\":\"{key}\",\"value_hex\":\"{value}\"}}").unwrap();
        }
        std::fs::write(&file, lines).unwrap();
        let hosts = cluster.access().contact_points.iter().map(ToString::to_string);
        let mut process = Command::new(&binary)
            .args(["-hosts", &hosts.collect::<Vec<_>>().join(",")])
            .args(["-dc", cluster.datacenters()[0], "-table", table])
            .args(["-conns", &CONNECTIONS.to_string(), "-workers", &workers.to_string()])
            .arg("-values")
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Some(Self { process, requests, answers, _scratch: scratch })
    }

    /// Puts or gets every pin once: processor microseconds for each, and how many a second.
    pub(crate) fn run(&mut self, request: &str) -> (f64, f64) {
        writeln!(self.requests, "{request}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(answer.get("error").is_none(), "{answer}");
        (answer["cpu_us"].as_f64().unwrap(), answer["rate"].as_f64().unwrap())
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
