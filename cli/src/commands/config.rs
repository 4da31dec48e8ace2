//! `config`.

use std::fmt::Write;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::redact;
use crate::session::Choice;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show it: the file, the default store, and every store with its settings
    Show,
    /// Judge the settings of every configured store, and say what is wrong; opens none
    Check,
}

/// Runs one of them.
pub(crate) fn run(global: &Global, command: ConfigCommand, out: Output) -> Outcome {
    let choice = Choice::new(global)?;
    match command {
        ConfigCommand::Show => show(&choice, out),
        ConfigCommand::Check => check(&choice, out),
    }
}

fn show(choice: &Choice, out: Output) -> Outcome {
    let file = choice.file.as_ref().map(|file| file.display().to_string());
    let used = choice.store()?;
    let used = redact::store(&used);
    let mut text = format!("file:  {}", file.as_deref().unwrap_or("none"));
    let _ = write!(text, "\nstore: {used}");
    let mut stores = Map::new();
    for (name, store) in &choice.config.stores {
        let _ = write!(text, "\n\n{name}\n  {:<18} {}", "backend", store.backend);
        let mut settings = Map::new();
        for (key, value) in store.settings.shown() {
            let _ = write!(text, "\n  {key:<18} {value}  ({})", store.settings.place(key));
            settings.insert(key.to_owned(), Value::String(value));
        }
        stores.insert(name.clone(), json!({ "backend": store.backend, "settings": settings }));
    }
    let json = json!({
        "file": file,
        "store": used,
        "default_store": choice.config.default_store.as_deref().map(redact::store),
        "stores": stores,
    });
    out.result(text, &json)?;
    Ok(Exit::Done)
}

/// Every store is looked at, so that one mistake does not hide another.
fn check(choice: &Choice, out: Output) -> Outcome {
    let mut exit = Exit::Done;
    let mut lines = out.lines();
    for name in choice.config.stores.keys() {
        let checked = choice.registry.check(&choice.config, name);
        let state = checked.as_ref().map_or_else(|error| error.message(), |()| "good");
        lines.result(
            format_args!("{name}  {state}"),
            &json!({ "store": name, "good": checked.is_ok(), "state": state }),
        )?;
        if let Err(error) = checked {
            exit = Failure::from(error).exit();
        }
    }
    lines.finish()?;
    if choice.config.stores.is_empty() {
        out.note("no store is configured");
    }
    Ok(exit)
}
