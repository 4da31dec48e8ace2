//! Warnings, for everybody, and traces, for whoever looks for the cause of something.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::{
    EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

/// The variable that turns traces on: a filter such as `debug` or `pinstate_core=trace`.
pub(crate) const VARIABLE: &str = "PINSTATE_LOG";

/// Changes what is shown. There is none where the variable says it.
static SHOWN: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// What our own crates have to say from a level on. The driver and the engines tell of the
/// same things, and of many more.
fn ours(level: tracing::Level) -> EnvFilter {
    EnvFilter::new(format!("pinstate={level}"))
}

/// Writes warnings to stderr, and traces if the environment asks for them.
pub(crate) fn start() {
    // Setting up fails only where a subscriber is set already, and there is none.
    let _ = if wanted() {
        let filter = EnvFilter::from_env(VARIABLE);
        let plain = fmt::layer().with_ansi(coloured()).with_writer(std::io::stderr);
        tracing_subscriber::registry().with(filter).with(plain).try_init()
    } else {
        let (filter, handle) = reload::Layer::new(ours(USUAL));
        let _ = SHOWN.set(handle);
        let plain = fmt::layer()
            .with_ansi(coloured())
            .with_writer(std::io::stderr)
            .without_time()
            .with_target(false);
        tracing_subscriber::registry().with(filter).with(plain).try_init()
    };
}

/// What is logged where nobody says anything else.
pub(crate) const USUAL: tracing::Level = tracing::Level::WARN;

/// Shows what is logged from a level on. Not where the environment says what is: then false.
pub(crate) fn level(level: tracing::Level) -> bool {
    // Fails only where the subscriber is gone, and it is there to the end.
    SHOWN.get().is_some_and(|shown| shown.reload(ours(level)).is_ok())
}

/// Whether anybody asked for traces.
pub(crate) fn wanted() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|filter| !filter.is_empty())
}

/// Whether what is said goes to a terminal, whose user has not said otherwise.
fn coloured() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !unwanted
}
