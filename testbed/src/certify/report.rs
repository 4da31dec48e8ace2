//! The report: JSON for programs, one HTML page for people.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::book::{Check, Verdict};
use crate::error::{Error, Result};

/// The form of the JSON report. The number changes when a field goes or changes its meaning;
/// fields may be added under the same number.
pub const SCHEMA: &str = "pinstate-certify/1";

/// What the checks were run against.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Server {
    /// Is it ScyllaDB?
    pub scylla: bool,
    /// Its version, or `unknown` where its table needs a grant that the role has not.
    pub version: String,
    /// Address and datacenter of every node.
    pub nodes: Vec<String>,
}

/// How many checks came to what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// As expected.
    pub as_expected: usize,
    /// Otherwise than expected.
    pub differs: usize,
    /// Not to be shown on that cluster.
    pub cannot_be_shown: usize,
}

/// A whole run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// When it was made, RFC 3339, in UTC.
    pub generated: String,
    /// What the checks were run against.
    pub server: Server,
    /// How many checks came to what.
    pub summary: Summary,
    /// Every check, in the order of the run.
    pub checks: Vec<Check>,
    /// What the checks made and could not remove, with the reason: for a person to remove.
    pub left: Vec<String>,
}

impl Report {
    pub(super) fn new(server: Server, checks: Vec<Check>, left: Vec<String>) -> Self {
        let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
        let summary = Summary {
            as_expected: count(Verdict::AsExpected),
            differs: count(Verdict::Differs),
            cannot_be_shown: count(Verdict::CannotBeShown),
        };
        let generated = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Self { schema: SCHEMA.to_owned(), generated, server, summary, checks, left }
    }

    /// The JSON report.
    ///
    /// # Errors
    /// Never in practice: everything in it is text or a number.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|e| Error::failed(format!("the report cannot be written: {e}")))
    }

    /// The HTML report, one page that needs nothing else.
    #[must_use]
    pub fn to_html(&self) -> String {
        let Summary { as_expected, differs, cannot_be_shown } = self.summary;
        let kind = if self.server.scylla { "ScyllaDB" } else { "not ScyllaDB" };
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>Certify: {kind} {version}</title><style>{STYLE}</style></head><body>\n\
             <header><h1>What this server answers</h1>\
             <p class=\"server\">{kind}, version {version} · {nodes} · {generated}</p>\
             <ul class=\"summary\">\
             <li class=\"as-expected\"><b>{as_expected}</b> as expected</li>\
             <li class=\"differs\"><b>{differs}</b> differ</li>\
             <li class=\"cannot-be-shown\"><b>{cannot_be_shown}</b> cannot be shown here</li>\
             </ul></header>\n",
            version = escape(&self.server.version),
            nodes = escape(&self.server.nodes.join(", ")),
            generated = escape(&self.generated),
        );
        if !self.left.is_empty() {
            page.push_str("<section><h2>Not removed</h2><ul>\n");
            for left in &self.left {
                let _ = writeln!(page, "<li>{}</li>", escape(left));
            }
            page.push_str("</ul></section>\n");
        }
        if differs > 0 {
            page.push_str("<section><h2>What differs</h2>\n");
            let differing = self.checks.iter().filter(|c| c.verdict == Verdict::Differs);
            rows(&mut page, differing);
            page.push_str("</section>\n");
        }
        let mut rest = self.checks.as_slice();
        while let Some(first) = rest.first() {
            let length = rest.iter().take_while(|check| check.group == first.group).count();
            let (group, after) = rest.split_at(length);
            let _ = writeln!(page, "<section><h2>{}</h2>", escape(&first.group));
            rows(&mut page, group.iter());
            page.push_str("</section>\n");
            rest = after;
        }
        page.push_str("</body></html>\n");
        page
    }
}

fn rows<'a>(page: &mut String, checks: impl Iterator<Item = &'a Check>) {
    page.push_str(
        "<table><thead><tr><th>check</th><th>expected</th><th>observed</th><th>verdict</th></tr>\
         </thead><tbody>\n",
    );
    for check in checks {
        let (class, verdict) = match check.verdict {
            Verdict::AsExpected => ("as-expected", "as expected"),
            Verdict::Differs => ("differs", "differs"),
            Verdict::CannotBeShown => ("cannot-be-shown", "cannot be shown here"),
        };
        let _ = writeln!(
            page,
            "<tr class=\"{class}\"><td data-label=\"check\">{shows}<code>{id}</code></td>\
             <td data-label=\"expected\">{expected}</td><td data-label=\"observed\">{observed}</td>\
             <td data-label=\"verdict\"><span class=\"verdict\">{verdict}</span></td></tr>",
            shows = escape(&check.shows),
            id = escape(&check.id),
            expected = escape(&check.expected),
            observed = escape(&check.observed),
        );
    }
    page.push_str("</tbody></table>\n");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = include_str!("report.css");

#[cfg(test)]
mod tests {
    use super::*;

    fn report(observed: &str) -> Report {
        let check = Check {
            id: "x".to_owned(),
            group: "g".to_owned(),
            shows: "s".to_owned(),
            expected: "e".to_owned(),
            observed: observed.to_owned(),
            verdict: Verdict::Differs,
        };
        let server = Server { scylla: true, version: "6.2.3".to_owned(), nodes: Vec::new() };
        Report::new(server, vec![check], Vec::new())
    }

    #[test]
    fn a_servers_words_are_text_and_no_markup() {
        let page = report("<script>alert(\"x\")</script>").to_html();
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&quot;x&quot;)"), "{page}");
    }

    #[test]
    fn the_json_report_says_its_form_and_is_read_back() {
        let text = report("o").to_json().unwrap();
        let read: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(read.schema, "pinstate-certify/1");
        assert_eq!(read.summary, Summary { as_expected: 0, differs: 1, cannot_be_shown: 0 });
        assert!(text.contains("\"verdict\": \"differs\""), "{text}");
    }
}
