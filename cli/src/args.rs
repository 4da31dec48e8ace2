//! The command line. What belongs to one command stands in that command's room.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use pinstate_core::NamespaceName;
use pinstate_core::format::Fault;
use pinstate_metrics::Metrics;
use serde_json::json;

#[cfg(feature = "conformance")]
use crate::commands::conformance;
#[cfg(feature = "scylla")]
use crate::commands::schema;
use crate::commands::{
    bench, cleanup, completions, config, count, digest, export, import, man, migrate, mirror,
    namespaces, pin, state, verify,
};
use crate::examples;
use crate::exit::Exit;
use crate::logging::LogForm;
use crate::output::Form;
use crate::redact;

/// The variables of the environment that stand for options below or that the conformance suite
/// reads, without `PINSTATE_` and in lower case: the configuration does not read them.
pub(crate) const VARIABLES: &[&str] = &[
    "config",
    "store",
    "namespace",
    "output",
    "log",
    "log_format",
    "conformance_child",
    "conformance_fixture",
    "conformance_kills",
    "conformance_profile",
    "conformance_report",
    "conformance_seed",
];

/// Keep, list, import and export an IPFS-Cluster pinset.
///
/// The store is named by URI (sled:PATH, memory:, scylla://HOST/KEYSPACE) or by a name from the configuration file.
/// Without either it is a sled store in the user's data directory.
///
/// Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 finished, but some
/// records were rejected or unreadable (each is reported); 4 two pinsets are not the same; 5
/// interrupted.
#[derive(Debug, Parser)]
#[command(name = "pinstate", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Configuration file, TOML or (by its ending .json) JSON [default:
    /// ~/.config/pinstate/config.toml, if it is there]
    #[arg(long, value_name = "FILE", env = "PINSTATE_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Store, by URI or by its name in the configuration
    #[arg(
        long,
        value_name = "NAME|URI",
        env = "PINSTATE_STORE",
        hide_env_values = true,
        global = true
    )]
    pub(crate) store: Option<String>,
    /// Namespace of the store
    #[arg(
        long,
        value_name = "NAME",
        env = "PINSTATE_NAMESPACE",
        default_value = "default",
        value_parser = namespace,
        global = true
    )]
    pub(crate) namespace: NamespaceName,
    /// Form of the output. auto: text where stdout is a terminal, JSON elsewhere
    #[arg(long, value_enum, env = "PINSTATE_OUTPUT", default_value_t, global = true)]
    pub(crate) output: Form,
    /// Form of the log, which goes to stderr [default: 'log.format' of the configuration, else
    /// text]
    #[arg(long, value_enum, value_name = "FORM", env = "PINSTATE_LOG_FORMAT", global = true)]
    pub(crate) log_format: Option<LogForm>,
    /// Who is told what the stores do, where anybody wants to know.
    #[arg(skip)]
    pub(crate) metrics: OnceLock<Arc<Metrics>>,
    /// Where these came from.
    #[arg(skip)]
    pub(crate) origins: Origins,
}

/// Where the global options came from, for people.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    pub(crate) config: &'static str,
    pub(crate) store: &'static str,
    pub(crate) namespace: &'static str,
    pub(crate) output: &'static str,
}

impl Origins {
    fn of(matches: &ArgMatches) -> Self {
        let of = |id: &str, option: &'static str, variable: &'static str| match matches
            .value_source(id)
        {
            Some(ValueSource::CommandLine) => option,
            Some(ValueSource::EnvVariable) => variable,
            _ => "default",
        };
        Self {
            config: of("config", "--config", "PINSTATE_CONFIG"),
            store: of("store", "--store", "PINSTATE_STORE"),
            namespace: of("namespace", "--namespace", "PINSTATE_NAMESPACE"),
            output: of("output", "--output", "PINSTATE_OUTPUT"),
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add, show, list and remove pins
    #[command(subcommand)]
    Pin(pin::PinCommand),
    Export(export::ExportArgs),
    Import(import::ImportArgs),
    /// The same import and export under the names of ipfs-cluster-service
    #[command(subcommand)]
    State(state::StateCommand),
    /// Count the pins
    Count(count::CountArgs),
    /// Print a digest of the pinset, to compare it with another
    Digest(digest::DigestArgs),
    Verify(verify::VerifyArgs),
    Diff(verify::DiffArgs),
    #[command(subcommand)]
    Migrate(migrate::MigrateCommand),
    #[command(subcommand)]
    Mirror(mirror::MirrorCommand),
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    Compare(bench::CompareArgs),
    /// List, create and drop namespaces
    #[command(subcommand)]
    Namespaces(namespaces::NamespacesCommand),
    /// Remove all pins of the namespace
    Cleanup(cleanup::CleanupArgs),
    /// Say how the store is
    Health,
    /// Look at the cluster of a ScyllaDB or Cassandra store, node by node
    #[cfg(feature = "scylla")]
    Doctor,
    /// Show, make, check and upgrade the schema of a ScyllaDB or Cassandra store
    #[cfg(feature = "scylla")]
    #[command(subcommand)]
    Schema(schema::SchemaCommand),
    #[cfg(feature = "conformance")]
    Conformance(conformance::ConformanceArgs),
    /// Show the backends of this program and what they can do
    Backends,
    /// Make, check and show the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

pub(crate) fn namespace(text: &str) -> Result<NamespaceName, String> {
    text.parse().map_err(|error: pinstate_core::Error| error.message().to_owned())
}

/// An argument that is one of the library's own values.
pub(crate) fn parsed<T: FromStr<Err = Fault>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|fault: Fault| fault.reason.into_owned())
}

/// The command line as it is told: to the parser, in help, in completions and manuals.
pub(crate) fn command() -> clap::Command {
    examples::with_examples(CommandLine::command())
}

/// Reads the command line; tells what is wrong with it, or the help that was asked for.
pub(crate) fn parse() -> Result<CommandLine, Exit> {
    let mut command = command();
    let parsed = command.try_get_matches_from_mut(std::env::args_os()).and_then(|matches| {
        let mut line =
            CommandLine::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        line.global.origins = Origins::of(&matches);
        Ok(line)
    });
    parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A pager that was closed is no error.
            let _ = error.print();
            Exit::Done
        }
        _ => {
            if wants_json(std::env::args_os(), std::env::var_os("PINSTATE_OUTPUT")) {
                let text = error.render().to_string();
                let text = redact::quoted(&text);
                let line = text.lines().next().unwrap_or_default();
                let message = line.strip_prefix("error: ").unwrap_or(line);
                let json = json!({ "error": {
                    "kind": "usage",
                    "message": message,
                    "operation": "configure",
                    "outcome": "not-applied",
                    "retry": "never",
                    "backend": null,
                    "hint": "pinstate --help",
                    "exit": Exit::Usage as u8,
                } });
                let _ = writeln!(std::io::stderr(), "{json}");
            } else {
                let text = error.render().to_string();
                match redact::quoted(&text) {
                    // In colours, where they can be seen.
                    Cow::Borrowed(_) => drop(error.print()),
                    Cow::Owned(shown) => drop(write!(std::io::stderr(), "{shown}")),
                }
            }
            Exit::Usage
        }
    })
}

/// Whether a command line that cannot be understood asks for JSON.
fn wants_json(args: impl Iterator<Item = OsString>, variable: Option<OsString>) -> bool {
    let mut form = variable;
    let mut args = args.skip(1);
    while let Some(arg) = args.next() {
        if arg == "--" {
            break;
        }
        if arg == "--output" {
            form = args.next();
        } else if let Some(value) = arg.to_str().and_then(|arg| arg.strip_prefix("--output=")) {
            form = Some(value.into());
        }
    }
    form.is_some_and(|form| form == "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn a_broken_command_line_still_says_its_form() {
        let wants = |args: &[&str], variable: Option<&str>| {
            let args = std::iter::once("pinstate").chain(args.iter().copied());
            wants_json(args.map(OsString::from), variable.map(OsString::from))
        };
        assert!(wants(&["--output", "json", "x"], None));
        assert!(wants(&["x", "--output=json"], Some("text")));
        assert!(wants(&["x"], Some("json")));
        assert!(!wants(&["x", "--output", "text"], Some("json")));
        assert!(!wants(&["--", "--output=json"], None));
        assert!(!wants(&["--output"], None));
    }
}
