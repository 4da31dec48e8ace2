//! ipfs-cluster's own state over its datastores: a process that does one operation for each
//! line it is sent, and is idle while others are at work.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;

use crate::subject::{Op, Spent, Subject};

/// The process.
pub(crate) struct Go {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Go {
    /// Builds it, has it write `pins` pins into `scratch`, and starts it on them.
    pub(crate) fn start(scratch: &Path, pins: usize) -> Self {
        let interop = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("interop");
        let binary = scratch.join("interop");
        let run = |command: &mut Command| {
            assert!(command.status().expect("Go is needed").success(), "{command:?} failed");
        };
        let mut build = Command::new("go");
        run(build.args(["build", "-o"]).arg(&binary).arg("./cmd/interop").current_dir(&interop));
        run(Command::new(&binary)
            .args(["gen", "--profile", "plain", "--seed", "42", "--n", &pins.to_string()])
            .args(["--only", "export,snapshot", "--out"])
            .arg(scratch));
        let mut process = Command::new(&binary)
            .arg("bench")
            .arg("--pins")
            .arg(scratch.join("export.ndjson"))
            .arg("--dir")
            .arg(scratch)
            .env("GOMAXPROCS", "2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        // What is asked for before it has loaded the pins waits until it has.
        Self { process, requests, answers }
    }

    fn run(&mut self, op: &str, store: &str) -> Spent {
        writeln!(self.requests, "{op} {store}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(answer.get("error").is_none_or(serde_json::Value::is_null), "{answer}");
        let figure = |name: &str| answer[name].as_f64().unwrap();
        Spent { pins: figure("n") as usize, seconds: figure("seconds"), cpu: figure("cpu") }
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// It over one datastore.
pub(crate) struct Over {
    pub(crate) go: Rc<RefCell<Go>>,
    pub(crate) name: &'static str,
    pub(crate) store: &'static str,
}

impl Subject for Over {
    fn name(&self) -> &'static str {
        self.name
    }

    fn can(&self, op: Op) -> bool {
        !matches!(op, Op::View64 | Op::GetMany | Op::Scan)
    }

    fn run(&mut self, op: Op) -> Spent {
        self.go.borrow_mut().run(op.name(), self.store)
    }
}
