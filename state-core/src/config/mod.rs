//! Choosing and configuring a store: by URI, or by name from a configuration file.
//!
//! A configuration file (TOML, or JSON by its extension) names stores; environment
//! variables `PINSTATE_…` with `__` between the parts override it:
//!
//! ```toml
//! default_store = "main"
//!
//! [stores.main]
//! backend = "sled"
//! path = "/var/lib/pinstate/main"
//!
//! [metrics]
//! listen = "127.0.0.1:9600"
//!
//! [log]
//! format = "json"        # or "text"
//! level = "debug"        # off, error, warn, info, debug, trace
//! sample = 0.01          # of the operations that succeed, one in a hundred
//! filters = { scylla = "info" }
//!
//! [traces]
//! endpoint = "http://127.0.0.1:4318"
//! ```
//!
//! `PINSTATE_STORES__MAIN__PATH` overrides the path. Unknown keys are refused with the
//! place they stand in and the nearest known key.
//!
//! What a key means, its default and its unit are said once: by the type that it is read into
//! ([`Description`]). Help, example files, the reference and the schema for editors come from
//! that.

mod describe;
mod file;
mod place;
mod problem;
mod program;
mod registry;
mod secret;
mod settings;
mod units;
mod unknown;
mod uri;

pub use figment::value::Dict;

pub use describe::{DURATION, Description, KeyDoc, SIZE};
pub use file::{Config, StoreConfig};
pub use place::{Place, position};
pub use problem::Problem;
pub use program::{LogConfig, LogFormat, LogLevel, MetricsConfig, TracesConfig};
pub use registry::{BackendFactory, OpenOptions, Registry};
pub use secret::{HIDDEN, Secret, check_login, is_secret};
pub use settings::Settings;
pub use units::ByteSize;
pub use unknown::nearest;
pub use uri::{Authority, StoreUri};

use std::borrow::Cow;

use crate::error::{Error, ErrorKind, Operation};

/// An error of configuration.
pub fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, Operation::Configure, message)
}
