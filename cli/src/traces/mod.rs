//! Traces for OpenTelemetry: the spans of the layers around a store, sent as OTLP while a command
//! runs, if the configuration or the environment says where to.
//!
//! The feature `otlp` has it; a program without says so to whoever configured an endpoint.

#[cfg(feature = "otlp")]
mod export;

#[cfg(feature = "otlp")]
pub(crate) use export::{configure, end, layer, wanted};

#[cfg(not(feature = "otlp"))]
pub(crate) use without::{configure, end, wanted};

#[cfg(not(feature = "otlp"))]
mod without {
    use std::sync::Once;

    use pinstate_core::config::TracesConfig;

    /// Says that there are none.
    pub(crate) fn configure(traces: &TracesConfig) {
        static SAID: Once = Once::new();
        if traces.endpoint.is_some() {
            SAID.call_once(|| {
                tracing::warn!(
                    "no traces are sent: this program was built without its feature 'otlp'"
                );
            });
        }
    }

    /// Whether spans are sent.
    pub(crate) const fn wanted() -> bool {
        false
    }

    /// Sends what is left.
    pub(crate) const fn end() {}
}
