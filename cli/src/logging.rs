//! Warnings, for everybody, and traces, for whoever looks for the cause of something.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use pinstate_core::config::{LogConfig, LogFormat, LogLevel};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// The variable that turns traces on: a filter such as `debug` or `pinstate_core=trace`.
pub(crate) const VARIABLE: &str = "PINSTATE_LOG";

type Writer = Box<dyn Layer<Registry> + Send + Sync>;

/// Changes what is shown, and how.
struct Shown {
    filter: reload::Handle<EnvFilter, Registry>,
    writer: reload::Handle<Writer, Registry>,
}

static SHOWN: OnceLock<Shown> = OnceLock::new();

/// Whether the configuration says what is shown, so that a store has no say in it.
static CONFIGURED: AtomicBool = AtomicBool::new(false);

/// The form of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum LogForm {
    /// For people
    Text,
    /// A JSON object a line, for programs
    Json,
}

/// What our own crates have to say from a level on. The driver and the engines tell of the
/// same things, and of many more.
fn ours(level: &str) -> EnvFilter {
    EnvFilter::new(format!("pinstate={level}"))
}

/// Writes warnings to stderr, and traces if the environment asks for them.
pub(crate) fn start(form: Option<LogForm>) {
    let filter =
        if wanted_by_variable() { EnvFilter::from_env(VARIABLE) } else { ours(&USUAL.to_string()) };
    let (filter, filters) = reload::Layer::new(filter);
    let whole = wanted_by_variable() || form.is_some();
    let (writer, writers) = reload::Layer::new(writer(form, whole));
    let _ = SHOWN.set(Shown { filter: filters, writer: writers });
    // What is exported is no matter of what is shown.
    let layers = vec![
        writer.with_filter(filter).boxed(),
        #[cfg(feature = "otlp")]
        crate::traces::layer().boxed(),
    ];
    // Setting up fails only where a subscriber is set already, and there is none.
    let _ = tracing_subscriber::registry().with(layers).try_init();
}

/// Lines with or without what a reader of a log wants and somebody at a terminal does not:
/// when it was, and who says it.
fn writer(form: Option<LogForm>, whole: bool) -> Writer {
    let plain = fmt::layer().with_writer(std::io::stderr);
    match form {
        Some(LogForm::Json) => {
            let json = plain.json().flatten_event(true);
            json.with_current_span(false).with_span_list(false).boxed()
        }
        _ if whole => plain.with_ansi(coloured()).boxed(),
        _ => plain.with_ansi(coloured()).without_time().with_target(false).boxed(),
    }
}

/// Shows what the configuration says; the command line and the environment come before it.
pub(crate) fn configure(log: &LogConfig, form: Option<LogForm>) {
    CONFIGURED.store(log.is_set(), Ordering::Relaxed);
    let Some(shown) = SHOWN.get().filter(|_| log.is_set()) else { return };
    let form = form.or_else(|| {
        log.format.map(|format| match format {
            LogFormat::Text => LogForm::Text,
            LogFormat::Json => LogForm::Json,
        })
    });
    // Both fail only where the subscriber is gone, and it is there to the end.
    let _ = shown.writer.reload(writer(form, true));
    if !wanted_by_variable() {
        let level = log.level.unwrap_or(LogLevel::Warn);
        let others = log.filters.iter().map(|(path, level)| format!(",{path}={}", level.as_str()));
        let filter = format!("pinstate={}{}", level.as_str(), others.collect::<String>());
        let _ = shown.filter.reload(EnvFilter::new(filter));
    }
}

/// What is logged where nobody says anything else.
pub(crate) const USUAL: tracing::Level = tracing::Level::WARN;

/// Shows what is logged from a level on, where neither the environment nor the configuration
/// of the program says it.
pub(crate) fn level(level: tracing::Level) {
    if let Some(shown) = SHOWN.get().filter(|_| !wanted()) {
        let _ = shown.filter.reload(ours(&level.to_string()));
    }
}

/// Who says what is logged, other than the stores.
pub(crate) fn said_by() -> Option<&'static str> {
    let configured = CONFIGURED.load(Ordering::Relaxed).then_some("[log]");
    if wanted_by_variable() { Some(VARIABLE) } else { configured }
}

fn wanted_by_variable() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|filter| !filter.is_empty())
}

/// Whether anybody asked for a log of what is done.
pub(crate) fn wanted() -> bool {
    said_by().is_some()
}

/// Whether what is said goes to a terminal, whose user has not said otherwise.
fn coloured() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !unwanted
}
