//! Traces, for whoever looks for the cause of something.

/// The variable that turns traces on: a filter such as `debug` or `pinstate_core=trace`.
pub(crate) const VARIABLE: &str = "PINSTATE_LOG";

/// Writes traces to stderr if the environment asks for them. Without that nothing is set
/// up, so that a short command stays short.
pub(crate) fn start() {
    if !wanted() {
        return;
    }
    let filter = tracing_subscriber::EnvFilter::from_env(VARIABLE);
    // Fails only where a subscriber is set already, and there is none.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// Whether anybody asked for traces.
pub(crate) fn wanted() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|filter| !filter.is_empty())
}
