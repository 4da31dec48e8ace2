//! What the configuration says of traces. That they arrive is for `scripts/traces-check` and for the
//! tests of `pinstate-traces`.

#![cfg(feature = "sled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use common::{Place, Ran, run};

fn configured(place: &Place, traces: &str, arguments: &[&str]) -> Ran {
    let file = place.write("traces.toml", format!("[traces]\n{traces}"));
    run(place.command(arguments).args(["--config", &file]))
}

#[test]
fn headers_are_shown_nowhere() {
    let place = Place::new();
    let traces = "endpoint = \"http://127.0.0.1:4318\"\n\
                  headers = { authorization = \"Bearer hunter2\" }\n";
    for form in ["text", "json"] {
        let shown = configured(&place, traces, &["config", "show", "--output", form]).good();
        assert!(shown.stdout.contains("http://127.0.0.1:4318"), "{shown:?}");
        assert!(shown.stdout.contains("[hidden]"), "{shown:?}");
        assert!(!format!("{shown:?}").contains("hunter2"), "{shown:?}");
    }
    let wrong = "headers = { authorization = [\"hunter2\"] }\n";
    let told = configured(&place, wrong, &["config", "check"]);
    assert!(!format!("{:?}", told.exits(2)).contains("hunter2"));
}

#[test]
fn what_makes_no_sense_is_refused_where_it_stands() {
    let place = Place::new();
    for (traces, key) in [
        ("endpoint = \"here:4318\"", "traces.endpoint"),
        ("endpoint = \"http://\"", "traces.endpoint"),
        ("endpoint = \"grpc://here:4317\"", "traces.endpoint"),
        ("endpoint = \"http://me:hunter2@here:4318\"", "traces.endpoint"),
        ("sample = 0.0", "traces.sample"),
        ("sample = 1.5", "traces.sample"),
        ("endpiont = \"http://here:4318\"", "traces.endpiont"),
    ] {
        let told = configured(&place, traces, &["config", "check"]).exits(2);
        let problem = &told.json()[0]["problem"];
        assert_eq!(problem["key"], key, "{traces}: {told:?}");
        assert_eq!(problem["line"], 2, "{traces}: {told:?}");
        assert!(!format!("{told:?}").contains("hunter2"), "{told:?}");
    }
}

#[test]
#[cfg(not(feature = "otlp"))]
fn a_program_that_cannot_send_them_says_so_and_works() {
    let place = Place::new();
    let ran = configured(&place, "endpoint = \"http://127.0.0.1:4318\"", &["backends"]).good();
    assert!(!ran.stderr.contains("otlp"), "{ran:?}");
    let ran =
        configured(&place, "endpoint = \"http://127.0.0.1:4318\"", &["pin", "add", common::CID])
            .good();
    assert_eq!(ran.stderr.matches("built without its feature 'otlp'").count(), 1, "{ran:?}");
}
