//! Every link of every page of the tree leads somewhere, to the heading that it names; and every
//! page of the documentation is on its index.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The Markdown of the tree, and its files: by git, so that what is built counts as neither.
fn files() -> BTreeSet<PathBuf> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let output = Command::new("git").args(list).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = String::from_utf8(output.stdout).unwrap();
    files.split('\0').map(PathBuf::from).filter(|file| root().join(file).is_file()).collect()
}

#[derive(Default)]
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
}

/// Links and headings of a page. A heading's name is made as GitHub and rustdoc make it.
fn page(text: &str) -> Page {
    let mut page = Page::default();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.to_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let name = anchor(&heading.take().unwrap());
                let taken = |n: &usize| *n > 0 && page.anchors.contains(&format!("{name}-{n}"));
                let name = if page.anchors.contains(&name) {
                    let again = (1..).find(|n| !taken(n)).unwrap();
                    format!("{name}-{again}")
                } else {
                    name
                };
                page.anchors.insert(name);
            }
            _ => {}
        }
    }
    page
}

fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

/// `a/b/../c` as `a/c`; `None` where it leaves the tree.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => plain.pop().then_some(())?,
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    Some(plain)
}

fn pages(files: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, Page> {
    let pages = files.iter().filter(|file| file.extension().is_some_and(|is| is == "md"));
    pages
        .map(|file| (file.clone(), page(&std::fs::read_to_string(root().join(file)).unwrap())))
        .collect()
}

/// What is wrong with a link.
fn broken(
    from: &Path,
    link: &str,
    files: &BTreeSet<PathBuf>,
    pages: &BTreeMap<PathBuf, Page>,
) -> Option<String> {
    if ["http://", "https://", "mailto:"].iter().any(|scheme| link.starts_with(scheme)) {
        return None;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(p, at)| (p, Some(at)));
    let to = match path {
        "" => from.to_path_buf(),
        path => match plain(&from.parent().unwrap().join(path)) {
            Some(to) => to,
            None => return Some("leads out of the tree".to_owned()),
        },
    };
    if !files.contains(&to) && !files.iter().any(|file| file.starts_with(&to)) {
        return Some(format!("there is no {}", to.display()));
    }
    let anchor = anchor?;
    let Some(page) = pages.get(&to) else {
        return Some(format!("{} has no headings", to.display()));
    };
    let known = || page.anchors.iter().cloned().collect::<Vec<_>>().join(", ");
    (!page.anchors.contains(anchor))
        .then(|| format!("{} has no heading '{anchor}', but {}", to.display(), known()))
}

#[test]
fn every_link_leads_somewhere() {
    let files = files();
    let pages = pages(&files);
    assert!(pages.len() > 10, "there are more pages than {}", pages.len());
    let wrong: Vec<String> = pages
        .iter()
        .flat_map(|(from, page)| page.links.iter().map(move |link| (from, link)))
        .filter_map(|(from, link)| {
            let why = broken(from, link, &files, &pages)?;
            Some(format!("{}: ({link}): {why}", from.display()))
        })
        .collect();
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn every_page_is_on_the_index() {
    let files = files();
    let pages = pages(&files);
    let index = &pages[Path::new("docs/README.md")];
    let missing: Vec<&str> = pages
        .keys()
        .filter_map(|page| page.strip_prefix("docs").ok()?.to_str())
        .filter(|page| *page != "README.md" && !index.links.iter().any(|link| link == page))
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not list {}", missing.join(", "));
}

#[test]
fn broken_links_are_found() {
    let files: BTreeSet<PathBuf> =
        ["a.md", "docs/b.md", "src/lib.rs"].into_iter().map(PathBuf::from).collect();
    let text = "# One\n\n## `two` & three\n\n# One\n";
    let pages: BTreeMap<PathBuf, Page> =
        ["a.md", "docs/b.md"].into_iter().map(|name| (name.into(), page(text))).collect();
    let why = |link: &str| broken(Path::new("docs/b.md"), link, &files, &pages);
    for good in ["../a.md", "../a.md#one-1", "#two--three", "../src", "../src/lib.rs", "b.md"] {
        assert_eq!(why(good), None, "{good}");
    }
    for bad in ["a.md", "../a.md#four", "#three", "../../x", "../src/lib.rs#one", "../sr"] {
        assert!(why(bad).is_some(), "{bad}");
    }
    assert_eq!(page("[a](b.md) ![c](d.png)").links, ["b.md", "d.png"]);
}
