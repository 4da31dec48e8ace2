//! Makes a module of each page that `README.md` lists, so that rustdoc makes a book of them and
//! compiles their Rust.
//!
//! Links from page to page become links between modules. What they lead to otherwise is no part
//! of the book, so the path in the repository is all that is left of them.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a build stops by panicking"
)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag};

const INDEX: &str = "README.md";

fn main() {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap());
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let read = |page: &str| {
        println!("cargo::rerun-if-changed={page}");
        std::fs::read_to_string(here.join(page)).unwrap()
    };
    let index = read(INDEX);
    let pages: Vec<String> = links(&index)
        .into_iter()
        .filter(|link| is_page(&link.to) && !link.to.contains('/'))
        .map(|link| link.to)
        .collect();
    let mut modules = String::new();
    for page in &pages {
        let text = book(&read(page), &pages, "../");
        std::fs::write(out.join(page), text).unwrap();
        let (module, file) = (module(page), out.join(page));
        writeln!(modules, "#[doc = include_str!({file:?})]\npub mod {module} {{}}").unwrap();
    }
    std::fs::write(out.join("pages.rs"), modules).unwrap();
    std::fs::write(out.join(INDEX), book(&index, &pages, "")).unwrap();
}

fn is_page(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "md")
}

fn module(page: &str) -> String {
    page.trim_end_matches(".md").replace('-', "_")
}

struct Link {
    /// Where the whole link stands in the text.
    range: std::ops::Range<usize>,
    to: String,
}

fn links(text: &str) -> Vec<Link> {
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter();
    let link = |(event, range)| match event {
        Event::Start(Tag::Link { dest_url, .. }) => Some(Link { range, to: dest_url.to_string() }),
        _ => None,
    };
    events.filter_map(link).collect()
}

/// A page as it stands in the book, whose root is `up`.
fn book(text: &str, pages: &[String], up: &str) -> String {
    let mut book = text.to_owned();
    for Link { range, to } in links(text).into_iter().rev() {
        let (page, anchor) = to.split_once('#').map_or((to.as_str(), ""), |(page, at)| (page, at));
        if page.is_empty() || page.contains("://") {
            continue;
        }
        let label = text[range.clone()].rsplit_once("](").unwrap().0.trim_start_matches('[');
        let link = if pages.iter().any(|known| known == page) {
            let anchor = if anchor.is_empty() { String::new() } else { format!("#{anchor}") };
            format!("[{label}]({up}{}/index.html{anchor})", module(page))
        } else if page == INDEX {
            format!("[{label}]({up}index.html)")
        } else {
            format!("{label} (`{}`)", page.trim_start_matches("../"))
        };
        book.replace_range(range, &link);
    }
    book
}
