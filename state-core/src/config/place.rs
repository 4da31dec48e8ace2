//! Where the keys of a configuration file stand.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use serde::Serialize;

/// A place that a value comes from: a file with line and column, a variable of the
/// environment, a store's URI.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// The file's path, or what else it is, for people.
    pub source: String,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
}

impl Place {
    /// A place without lines.
    pub(super) fn of(source: impl Into<String>) -> Self {
        Self { source: source.into(), line: None, column: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        for part in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{part}")?;
        }
        Ok(())
    }
}

/// The places of a file's keys, by their paths through the tables.
#[derive(Clone, Default, Debug)]
pub(super) struct Places {
    file: PathBuf,
    keys: BTreeMap<String, (usize, usize)>,
}

/// What a file could not be read for.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) place: Place,
    /// The reason, without the line's text: there may be a password in it.
    pub(super) reason: String,
}

impl Places {
    /// The places of a text's keys: JSON or TOML.
    pub(super) fn read(file: &Path, text: &str, json: bool) -> Result<Self, Broken> {
        let mut places = Self { file: file.to_path_buf(), keys: BTreeMap::new() };
        if json {
            places.read_json(text)?;
        } else {
            places.read_toml(text)?;
        }
        Ok(places)
    }

    fn read_toml(&mut self, text: &str) -> Result<(), Broken> {
        let document = toml_edit::ImDocument::parse(text).map_err(|error| {
            let reason = error.message().lines().map(str::trim).collect::<Vec<_>>().join(", ");
            self.broken(error.span().map(|span| position(text, span.start)), reason)
        })?;
        self.toml_table(text, document.as_table(), "");
        Ok(())
    }

    fn toml_table(&mut self, text: &str, table: &dyn toml_edit::TableLike, prefix: &str) {
        for (name, item) in table.iter() {
            let path = format!("{prefix}{name}");
            let key = table.get_key_value(name).map(|(key, _)| key);
            self.insert(text, &path, key.and_then(toml_edit::Key::span));
            if let Some(table) = item.as_table_like() {
                self.toml_table(text, table, &format!("{path}."));
            }
        }
    }

    fn read_json(&mut self, text: &str) -> Result<(), Broken> {
        // The parser that reads the values; the other one knows places, and more than JSON.
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
            let text = error.to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text).to_owned();
            return Err(self.broken(Some((error.line(), error.column())), reason));
        }
        let parsed = jsonc_parser::parse_to_ast(text, &Default::default(), &Default::default());
        if let Ok(Some(ast::Value::Object(object))) = parsed.map(|parsed| parsed.value) {
            self.json_object(text, &object, "");
        }
        Ok(())
    }

    fn json_object(&mut self, text: &str, object: &ast::Object<'_>, prefix: &str) {
        for property in &object.properties {
            let path = format!("{prefix}{}", property.name.as_str());
            let range = property.name.range();
            self.insert(text, &path, Some(range.start..range.end));
            if let ast::Value::Object(object) = &property.value {
                self.json_object(text, object, &format!("{path}."));
            }
        }
    }

    fn insert(&mut self, text: &str, path: &str, span: Option<Range<usize>>) {
        if let Some(span) = span {
            self.keys.insert(path.to_owned(), position(text, span.start));
        }
    }

    fn broken(&self, at: Option<(usize, usize)>, reason: String) -> Broken {
        Broken { place: self.place_at(at), reason }
    }

    /// Where a key stands: itself, or the nearest table around it.
    pub(super) fn place(&self, path: &str) -> Place {
        let mut path = Some(path);
        while let Some(here) = path {
            if let Some(at) = self.keys.get(here) {
                return self.place_at(Some(*at));
            }
            path = here.rsplit_once('.').map(|(table, _)| table);
        }
        self.place_at(None)
    }

    fn place_at(&self, at: Option<(usize, usize)>) -> Place {
        if self.file.as_os_str().is_empty() {
            return Place::of("the configuration");
        }
        let (line, column) = at.unzip();
        Place { source: self.file.display().to_string(), line, column }
    }
}

/// Line and column of a byte of a text, from 1; the column counts characters.
#[must_use]
pub fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, json: bool) -> Places {
        Places::read(Path::new("f"), text, json).unwrap()
    }

    #[test]
    fn every_key_has_its_line_and_column_however_it_is_written() {
        let toml =
            "a = 1\n[stores.main]\nbackend = \"x\"\n  tls.ca = \"ü\"\nt = { \"ü\" = 1, u = 2 }\n";
        let places = of(toml, false);
        for (path, told) in [
            ("a", "f:1:1"),
            ("stores.main", "f:2:9"),
            ("stores.main.backend", "f:3:1"),
            ("stores.main.tls.ca", "f:4:7"),
            ("stores.main.t.ü", "f:5:7"),
            ("stores.main.t.u", "f:5:16"),
            // What is not there is missing from the table around it.
            ("stores.main.path", "f:2:9"),
            ("none.at.all", "f"),
        ] {
            assert_eq!(places.place(path).to_string(), told, "{path}");
        }
        let places = of("{\n \"a\": 1,\n \"stores\": {\"m\":\n  {\"path\": \"x\"}}}", true);
        for (path, told) in [("a", "f:2:2"), ("stores.m", "f:3:13"), ("stores.m.path", "f:4:4")] {
            assert_eq!(places.place(path).to_string(), told, "{path}");
        }
    }

    #[test]
    fn a_broken_file_is_told_by_its_line_and_without_its_text() {
        for (text, json, told) in [
            ("a = 1\npassword = \"hunter2", false, "f:2:"),
            ("a = 1\na = 2\n", false, "f:2:1"),
            ("{\n\"password\": hunter2}", true, "f:2:"),
        ] {
            let broken = Places::read(Path::new("f"), text, json).unwrap_err();
            assert!(broken.place.to_string().starts_with(told), "{broken:?}");
            assert!(!broken.reason.contains("hunter2") && !broken.reason.is_empty(), "{broken:?}");
        }
    }
}
