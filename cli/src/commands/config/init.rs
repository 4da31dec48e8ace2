//! `config init`: a configuration file to begin with.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use pinstate_core::Operation;
use pinstate_core::config::{BackendFactory, Config, KeyDoc};
use serde_json::{Value, json};

use super::print;
use crate::args::Global;
use crate::backends::{DEFAULT_BACKEND, registry};
use crate::exit::{Exit, Failure, Outcome};
use crate::outfile::NewFile;
use crate::output::Output;
use crate::paths;
use crate::session::{config_file, has_folder};

/// The name of the store in the file.
const STORE: &str = "main";

/// The width that comments are broken at.
const WIDTH: usize = 90;

/// Make a configuration file to begin with: one store, and every key that it can have, with what
/// it means, its unit and its default, commented out.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The backend of the store; 'pinstate backends' lists them [default: fjall]
    backend: Option<String>,
    /// The file, TOML; '-' prints it [default: the one that is read: --config, else
    /// ~/.config/pinstate/config.toml]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    overwrite: bool,
}

/// Writes or prints the file.
pub(super) fn run(global: &Global, args: InitArgs, out: Output) -> Outcome {
    let registry = registry();
    let backend = args.backend.as_deref().unwrap_or(DEFAULT_BACKEND);
    let factory = registry.backend(backend)?;
    let document = document(factory);
    if args.file.as_deref() == Some(Path::new("-")) {
        return print(&document);
    }
    let file = args.file.or_else(|| global.config.clone()).or_else(paths::default_config);
    let file = file.ok_or_else(|| {
        Failure::usage("there is no home directory to keep the file in: name one with --file")
    })?;
    if file.extension().is_some_and(|extension| extension == "json") {
        return Err(Failure::usage(format!("{} would be read as JSON", file.display()))
            .with_hint("the file is TOML, for its comments: give it another ending"));
    }
    match write(&file, &document, args.overwrite) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let message = format!("{} is there already, and was left as it is", file.display());
            return Err(Failure::usage(message)
                .with_hint("--overwrite replaces it, and '--file -' prints what would be in it"));
        }
        written => written.map_err(|error| {
            let message = format!("cannot write {}", file.display());
            Failure::file(Operation::Configure, message, error)
        })?,
    }
    let shown = file.display();
    // Another one is read only by whoever names it.
    let named = match config_file(global) {
        Some(read) if read == file => String::new(),
        _ => format!(" --config {shown}"),
    };
    let next = format!("'pinstate{named} config check' judges it once you have edited it");
    out.result(
        format_args!("wrote {shown}\n{next}"),
        &json!({ "file": shown.to_string(), "backend": factory.name(), "store": STORE }),
    )?;
    Ok(Exit::Done)
}

/// A file that was there is replaced as a whole, and only where that was asked for. Its owner
/// alone may read it: there may be a password in it.
fn write(file: &Path, document: &str, overwrite: bool) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    if overwrite && file.exists() {
        let mut new = NewFile::create(file)?;
        new.set_permissions(fs::metadata(file)?.permissions())?;
        new.write_all(document.as_bytes())?;
        return new.commit();
    }
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    let written = new.write_all(document.as_bytes()).and_then(|()| new.sync_all());
    if written.is_err() {
        // Half a file would only be in the way of the next try.
        let _ = fs::remove_file(file);
    }
    written
}

fn document(factory: &Arc<dyn BackendFactory>) -> String {
    let (name, about) = (factory.name(), factory.about());
    let mut text = String::new();
    comment(&mut text, &format!("Configuration of pinstate, with a store on {name}: {about}."));
    text.push_str("#\n");
    comment(
        &mut text,
        &format!(
            "Keys behind a '#' are left out: what stands there is their default, or an example \
             where they have none. Variables of the environment stand over this file, as in \
             PINSTATE_STORES__{}__KEY. 'pinstate config check' says what is wrong with it, \
             'pinstate config show' what holds, and 'pinstate config schema' is for editors.",
            STORE.to_uppercase()
        ),
    );
    let top = Config::description().keys();
    for key in &top {
        match key.name.as_str() {
            "stores" => {}
            "default_store" => {
                text.push('\n');
                explain(&mut text, key);
                line(&mut text, true, "default_store", &STORE.into());
            }
            _ => section(&mut text, "", key),
        }
    }
    if let Some(stores) = top.iter().find(|key| key.name == "stores") {
        text.push('\n');
        comment(&mut text, &stores.text);
    }
    let _ = writeln!(text, "[stores.{STORE}]");
    line(&mut text, true, "backend", &name.into());
    for mut key in factory.description().keys() {
        // Where this store is looked for when nothing is configured.
        if key.name == "path"
            && has_folder(factory)
            && let Some(folder) = paths::default_stores()
            && let Some(folder) = folder.join(name).to_str()
        {
            key.example = Some(folder.into());
        }
        section(&mut text, &format!("stores.{STORE}."), &key);
    }
    text
}

/// A key, and if it is a table those that are in it.
fn section(text: &mut String, prefix: &str, key: &KeyDoc) {
    text.push('\n');
    explain(text, key);
    if key.keys.is_empty() {
        let value = key.default.as_ref().or(key.example.as_ref());
        line(text, key.required, &key.name, value.unwrap_or(&Value::String(String::new())));
        return;
    }
    let _ = writeln!(text, "#[{prefix}{}]", key.name);
    for inner in &key.keys {
        // What a table would have to have is left out with the table.
        let mut inner = inner.clone();
        inner.required = false;
        section(text, &format!("{prefix}{}.", key.name), &inner);
    }
}

/// What a key means, what it may be, and what holds without it.
fn explain(text: &mut String, key: &KeyDoc) {
    comment(text, &key.text);
    if !key.keys.is_empty() {
        return;
    }
    let holds = match &key.default {
        Some(default) => format!("Default: {}.", toml(default)),
        None if key.required => "Has to be there.".to_owned(),
        None => "Not set by default.".to_owned(),
    };
    comment(text, &format!("Value: {}. {holds}", key.kind));
    for (word, meaning) in &key.choices {
        comment(text, format!("  {word}: {meaning}").trim_end_matches([' ', ':']));
    }
}

fn line(text: &mut String, set: bool, key: &str, value: &Value) {
    let mark = if set { "" } else { "#" };
    let _ = writeln!(text, "{mark}{key} = {}", toml(value));
}

/// A value as TOML has it.
pub(super) fn toml(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| String::new(), |value| value.to_string())
}

/// A comment, broken at words.
fn comment(text: &mut String, words: &str) {
    let indent = " ".repeat(words.len() - words.trim_start().len());
    let mut line = format!("# {indent}");
    for word in words.split_whitespace() {
        if line.chars().count() + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{}", line.trim_end());
            line = format!("# {indent}  ");
            if indent.is_empty() {
                line = "# ".to_owned();
            }
        }
        line.push_str(word);
        line.push(' ');
    }
    let _ = writeln!(text, "{}", line.trim_end());
}
