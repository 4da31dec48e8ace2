//! The reference in `docs/metrics.md` is the one of the code.

#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;

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
