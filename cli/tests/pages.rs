//! The pages that people follow, followed: every `sh` and `console` fence of them runs, in order
//! and in one shell, in a folder of its own that has the pinsets of the repository in it.
//!
//! * `sh` is run and has to end well.
//! * `sh skipped` is not, and its first line says why, as a comment.
//! * `console` has commands behind `$ ` and below each what it prints, where `…` stands for
//!   anything and a last line `[exit 3]` for the exit code, which is 0 without.
//! * An HTML comment that begins with `run` is `sh` that readers do not see.
//!
//! Tables that are made from the code are compared with it.

#![cfg(all(feature = "fjall", feature = "scylla", feature = "sled"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;
#[path = "common/here.rs"]
mod here;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Place, finish};
use here::Here;
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use serde_json::Value;

/// What a page has done.
enum Step {
    Shell(String),
    /// A command, what it prints, and its exit code.
    Shown(String, String, i32),
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The steps of a page.
fn steps(page: &str, text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut fence, mut code): (Option<String>, String) = (None, String::new());
    for event in Parser::new(text) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                (fence, code) = (Some(info.to_string()), String::new());
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => {
                panic!("{page}: a block of code that is indented: nobody knows whether to run it");
            }
            Event::Text(text) if fence.is_some() => code.push_str(&text),
            Event::End(TagEnd::CodeBlock) => match fence.take().unwrap().as_str() {
                "sh" => steps.push(Step::Shell(std::mem::take(&mut code))),
                "sh skipped" => assert!(
                    code.starts_with("# Not run here: "),
                    "{page}: a fence that is not run says why, as '# Not run here: …':\n{code}"
                ),
                "console" => steps.extend(shown(page, &code)),
                "toml" | "json" | "text" | "rust" | "sql" => {}
                other => panic!("{page}: what is a fence of '{other}'?"),
            },
            Event::Start(Tag::HtmlBlock) => code.clear(),
            Event::Html(html) => code.push_str(&html),
            Event::End(TagEnd::HtmlBlock) => {
                if let Some(hidden) = code.trim().strip_prefix("<!-- run\n") {
                    steps.push(Step::Shell(hidden.trim_end_matches("-->").to_owned()));
                }
            }
            _ => {}
        }
    }
    assert!(!steps.is_empty(), "{page} runs nothing");
    steps
}

/// The commands of a `console` fence.
fn shown(page: &str, code: &str) -> Vec<Step> {
    let mut steps: Vec<(String, Vec<&str>)> = Vec::new();
    for line in code.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push((command.to_owned(), Vec::new())),
            None => steps.last_mut().unwrap_or_else(|| panic!("{page}: {code}")).1.push(line),
        }
    }
    let step = |(command, mut prints): (String, Vec<&str>)| {
        let code = prints.last().and_then(|last| last.strip_prefix("[exit ")?.strip_suffix(']'));
        let code = code.map(|code| code.parse().unwrap());
        if code.is_some() {
            prints.pop();
        }
        Step::Shown(command, prints.join("\n"), code.unwrap_or(0))
    };
    steps.into_iter().map(step).collect()
}

/// Whether a text is as shown, where `…` stands for anything.
fn as_shown(shown: &str, text: &str) -> bool {
    let mut parts = shown.split('…');
    let first = parts.next().unwrap();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Runs a page, with variables of the shell that are set before.
fn run(page: &str, variables: &[(&str, &str)]) {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let steps = steps(page, &text);
    let place = Place::new();
    std::fs::create_dir(place.path("examples")).unwrap();
    std::fs::copy(common::example(), place.path("examples/pinset.ndjson")).unwrap();
    std::fs::create_dir(place.temporary.path().join("said")).unwrap();
    let said = |step: usize, what: &str| place.temporary.path().join(format!("said/{step}{what}"));
    // The binary that was built for the tests stands in the place of those that pages build.
    let mut script = String::from(
        "set -euo pipefail\n\
         trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n\
         cargo() { while [ \"$1\" != -- ]; do shift; done; shift; pinstate \"$@\"; }\n",
    );
    for (name, value) in variables {
        writeln!(script, "export {name}='{value}'").unwrap();
    }
    for (n, step) in steps.iter().enumerate() {
        writeln!(script, "echo {n} > '{}'", said(0, "at").display()).unwrap();
        match step {
            Step::Shell(code) => writeln!(script, "{code}"),
            Step::Shown(command, ..) => writeln!(
                script,
                "set +e\n{{ {command}\n}} > '{}' 2>&1\necho $? > '{}'\nset -e",
                said(n, "").display(),
                said(n, "code").display()
            ),
        }
        .unwrap();
    }
    let binaries = Path::new(env!("CARGO_BIN_EXE_pinstate")).parent().unwrap();
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(&script).current_dir(place.path("")).env_clear();
    shell.env("HOME", place.path("")).env("TMPDIR", place.temporary.path());
    shell.env("PATH", format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap()));
    shell.env("PINSTATE_OUTPUT", "text");
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = finish(shell.spawn().unwrap());
    let read = |step: usize, what: &str| std::fs::read_to_string(said(step, what)).unwrap();
    let told = || {
        let streams = [&output.stdout, &output.stderr];
        streams.map(|stream| String::from_utf8_lossy(stream).into_owned()).join("\n")
    };
    if !output.status.success() {
        let at: usize = read(0, "at").trim().parse().unwrap();
        let (Step::Shell(code) | Step::Shown(code, ..)) = &steps[at];
        panic!("{page} fails at\n{code}\nand said\n{}", told());
    }
    for (n, step) in steps.iter().enumerate() {
        let Step::Shown(command, prints, code) = step else { continue };
        let (printed, exit) = (read(n, ""), read(n, "code"));
        assert!(
            as_shown(prints, printed.trim_end()) && exit.trim() == code.to_string(),
            "{page}: after\n$ {command}\nthe page shows, with exit code {code},\n{prints}\n\nand \
             there was, with exit code {}\n{printed}",
            exit.trim()
        );
    }
}

/// What the binary says of itself, in JSON.
fn told(args: &[&str]) -> Vec<Value> {
    common::run(Place::new().bare().args(args).args(["--output", "json"])).good().json()
}

/// The part of a page that is made from the code must be what the code makes today; with
/// `PINSTATE_WRITE_DOCS=1` it is written.
fn is_generated(page: &str, name: &str, made: &str) {
    let path = root().join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let begin = format!("<!-- generated: {name} -->\n");
    let (before, rest) = text.split_once(&begin).unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let new = format!("{before}{begin}\n{}\n\n<!-- end -->{after}", made.trim());
    if std::env::var_os("PINSTATE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &new).unwrap();
    } else if text != new {
        panic!("{page} is not what the code says: run this test with PINSTATE_WRITE_DOCS=1");
    }
}

#[test]
fn the_table_of_capabilities_is_the_backends_own() {
    let backends = told(&["backends"]);
    let name = |backend: &Value| backend["backend"].as_str().unwrap().to_owned();
    let mut table = String::from("| |");
    for backend in &backends {
        write!(table, " {} |", name(backend)).unwrap();
    }
    writeln!(table, "\n|---|{}", "---|".repeat(backends.len())).unwrap();
    for capability in backends[0]["capabilities"].as_object().unwrap().keys() {
        write!(table, "| `{capability}` |").unwrap();
        for backend in &backends {
            let cell = match &backend["capabilities"][capability] {
                Value::Bool(can) => if *can { "yes" } else { "no" }.to_owned(),
                Value::Object(durability) => {
                    let (how, what) = durability.iter().next().unwrap();
                    format!("{how}, {}", what["consistency"].as_str().unwrap())
                }
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            write!(table, " {cell} |").unwrap();
        }
        table.push('\n');
    }
    is_generated("docs/choosing.md", "capabilities", &table);
}

#[test]
#[cfg(feature = "conformance")]
fn the_page_of_clauses_is_the_suites_own() {
    let mut page = String::new();
    for clause in told(&["conformance", "list"]) {
        let id = clause["clause"].as_str().unwrap();
        let clause = &told(&["conformance", "explain", id])[0];
        let texts = |field: &str| -> Vec<String> {
            let all = clause[field].as_array().unwrap().iter();
            all.map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        writeln!(page, "### {id}\n\n**{}**\n", clause["title"].as_str().unwrap()).unwrap();
        writeln!(page, "Why: {}.\n", texts("why").join("; ")).unwrap();
        let kills = clause["kills"].as_array().unwrap();
        for kill in kills {
            let field = |name: &str| kill[name].as_str().unwrap().to_owned();
            writeln!(page, "* `{}`: {}", field("mutant"), field("does")).unwrap();
        }
        page.push_str(if kills.is_empty() {
            "* no store broken on purpose shows that it can fail\n\n"
        } else {
            "\n"
        });
    }
    is_generated("docs/clauses.md", "clauses", &page);
}

#[test]
fn the_readme_can_be_followed() {
    run("README.md", &[]);
}

#[test]
fn the_start_can_be_followed() {
    run("docs/start.md", &[]);
}

#[test]
fn backends_are_chosen_as_the_page_says() {
    run("docs/choosing.md", &[]);
}

#[test]
fn troubles_look_as_the_page_shows() {
    run("docs/troubleshooting.md", &[]);
}

#[test]
fn a_pinset_migrates_into_an_embedded_store() {
    run("docs/migration.md", &[("TARGET", "sled:target"), ("TARGET2", "sled:target2")]);
}

#[test]
fn a_pinset_migrates_onto_a_cluster() {
    let Some(here) = Here::start() else { return };
    let second = here.store.replacen(&here.keyspace, &format!("{}_2", here.keyspace), 1);
    for store in [&here.store, &second] {
        let create = ["--store", store, "schema", "create", "--replication", "dc1=1"];
        common::run(here.place.bare().args(create)).good();
    }
    // Every command would warn that one node has one replica, which is true.
    let quiet = ("PINSTATE_LOG", "error");
    run("docs/migration.md", &[("TARGET", &here.store), ("TARGET2", &second), quiet]);
}

#[test]
fn ellipses_stand_for_anything() {
    assert!(as_shown("a … c", "a b c"));
    assert!(as_shown("a\n…\nc", "a\nb\nb\nc"));
    assert!(!as_shown("a … d", "a b c"));
    assert!(!as_shown("a", "a b"));
}
