//! `config check`.

use pinstate_core::config::Config;
use serde_json::json;

use crate::args::{Global, VARIABLES};
use crate::backends::registry;
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::session::config_file;

/// Tells everything that is wrong, in the order of the file, and which stores are good.
pub(super) fn run(global: &Global, out: Output) -> Outcome {
    let file = config_file(global);
    let (config, mut problems) = Config::survey(file.as_deref(), VARIABLES)?;
    problems.extend(registry().problems(&config));
    problems.sort();
    problems.dedup();
    let mut lines = out.lines();
    for problem in &problems {
        lines.result(problem, &json!({ "problem": problem }))?;
    }
    for name in config.stores.keys() {
        let key = format!("stores.{name}");
        let of_it = |found: &str| {
            found.strip_prefix(&key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let wrong = problems.iter().filter(|problem| problem.key.as_deref().is_some_and(of_it));
        let wrong = wrong.count();
        let state = match wrong {
            0 => "good".to_owned(),
            1 => "1 problem".to_owned(),
            several => format!("{several} problems"),
        };
        lines.result(
            format_args!("{name}  {state}"),
            &json!({ "store": name, "good": wrong == 0, "state": state }),
        )?;
    }
    lines.finish()?;
    if config.stores.is_empty() && problems.is_empty() {
        match &file {
            Some(file) => out.note(format_args!("{} configures no store", file.display())),
            None => out.note("there is no configuration file: 'pinstate config init' makes one"),
        }
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Usage })
}
