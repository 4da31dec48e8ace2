//! `config reference`: every key, as docs/configuration.md has it.

use std::fmt::Write;
use std::sync::Arc;

use pinstate_core::config::{BackendFactory, Config, KeyDoc};

use super::init::toml;
use crate::backends::registry;
use crate::exit::Outcome;

const BEGINNING: &str = "\
# Configuration

This page is what `pinstate config reference` prints: it comes from the program itself.

The configuration file is `~/.config/pinstate/config.toml`, or the one that `--config` or
`PINSTATE_CONFIG` names: TOML, or JSON where its name ends in `.json`. It need not be there: a store can
be named by URI, as in `--store sled:/var/lib/pins?cache=64MiB`, where the keys below follow the question
mark. Variables of the environment stand over the file: `PINSTATE_STORES__MAIN__CACHE` is the key `cache` of
the store `main`.

| command | what it does |
|---|---|
| `pinstate config init sled` | makes a file to begin with, every key explained in it |
| `pinstate config check` | says everything that is wrong, by file, line and column |
| `pinstate config show` | shows what holds, and where each value comes from |
| `pinstate config schema` | prints the JSON schema, with which editors check and complete the file |

For an editor with taplo (Even Better TOML), keep the schema beside the file, and write in its first line
`#:schema ./config.schema.json`.
";

/// The page, or the part of one backend.
pub(super) fn text(backend: Option<&str>) -> Outcome<String> {
    let registry = registry();
    if let Some(name) = backend {
        let mut text = String::new();
        of_backend(&mut text, registry.backend(name)?);
        return Ok(text.trim_start().to_owned());
    }
    let mut text = BEGINNING.to_owned();
    let _ = write!(text, "\n## The file\n\n");
    table(&mut text, &Config::description().keys());
    for factory in registry.backends() {
        of_backend(&mut text, factory);
    }
    Ok(text)
}

fn of_backend(text: &mut String, factory: &Arc<dyn BackendFactory>) {
    let name = factory.name();
    let _ = write!(text, "\n## Stores on {name}\n\n`backend = \"{name}\"`: {}.", factory.about());
    if !factory.aliases().is_empty() {
        let _ = write!(text, " Also called {}.", factory.aliases().join(", "));
    }
    text.push_str("\n\n");
    table(text, &factory.description().keys());
}

fn table(text: &mut String, keys: &[KeyDoc]) {
    text.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
    rows(text, "", keys);
}

fn rows(text: &mut String, prefix: &str, keys: &[KeyDoc]) {
    for key in keys {
        let mut meaning = key.text.clone();
        for (at, (word, what)) in key.choices.iter().enumerate() {
            let before = if at == 0 { " " } else { "; " };
            let what = what.trim_end_matches('.');
            let _ = match what.is_empty() {
                true => write!(meaning, "{before}`{word}`"),
                false => write!(meaning, "{before}`{word}`: {what}"),
            };
        }
        if !key.choices.is_empty() {
            meaning.push('.');
        }
        if key.secret {
            meaning.push_str(" Never shown.");
        }
        let default = match &key.default {
            Some(default) if key.keys.is_empty() => format!("`{}`", toml(default)),
            _ if key.required => "has to be there".to_owned(),
            _ => String::new(),
        };
        let kind = key.kind.replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{prefix}{}` | {kind} | {default} | {} |",
            key.name,
            meaning.replace('|', "\\|")
        );
        rows(text, &format!("{prefix}{}.", key.name), &key.keys);
    }
}
