//! The reference in `docs/metrics.md` is the one of the code.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use pinstate_core::Gauge;
use pinstate_core::gauge::GaugeKind;
use pinstate_metrics::{Kind, REFERENCE};

/// Writes the table anew.
const WRITE: &str = "PINSTATE_WRITE_METRICS";
const BEGIN: &str =
    "<!-- The table is written by the test `reference` of pinstate-metrics. -->\n\n";
const END: &str = "\n<!-- The end of the table. -->\n";

#[test]
fn the_documentation_has_the_table_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    if std::env::var_os(WRITE).is_some() {
        let text = format!("{before}{BEGIN}{}{END}{after}", pinstate_metrics::table());
        std::fs::write(&file, text).unwrap();
        return;
    }
    assert_eq!(table, pinstate_metrics::table(), "{WRITE}=1 writes it anew");
}

/// Every name that can be asked for.
fn known() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for info in REFERENCE {
        match info.kind {
            Kind::Histogram => {
                names
                    .extend(["bucket", "sum", "count"].map(|part| format!("{}_{part}", info.name)));
            }
            Kind::Counter | Kind::Gauge => drop(names.insert(info.name.to_owned())),
        }
    }
    for gauge in Gauge::ALL {
        let ending = if gauge.kind() == GaugeKind::Total { "_total" } else { "" };
        names.insert(format!("pinstate_backend_{gauge}{ending}"));
    }
    names
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_what_there_is() {
    let known = known();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for (file, least) in [
        ("grafana/pinstate.json", 25),
        ("prometheus/alerts.yml", 10),
        ("prometheus/alerts_test.yml", 10),
    ] {
        let text = std::fs::read_to_string(deploy.join(file)).unwrap();
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let is_name = |word: &&str| word.starts_with("pinstate_") || word.starts_with("scylla_");
        let asked: BTreeSet<&str> = words.filter(is_name).collect();
        assert!(asked.len() >= least, "{file} asks for {asked:?}");
        for name in asked {
            assert!(known.contains(name), "{file} asks for {name}, which nobody tells");
        }
    }
}
