//! The backends that this program is built with: the only list of them.

use pinstate_core::config::Registry;

/// The backend of CQL clusters, which has commands of its own.
#[cfg(feature = "scylla")]
pub(crate) use pinstate_scylla as cql;

/// What stands for the store when neither the command line nor the configuration names
/// one: its backend, which keeps its data in the user's data directory. Of the embedded ones it
/// is the one that keeps its memory and its speed as a pinset grows, where it is built in.
pub(crate) const DEFAULT_BACKEND: &str =
    if cfg!(any(feature = "fjall", not(feature = "sled"))) { "fjall" } else { "sled" };

/// Every backend, those left out by name.
pub(crate) fn registry() -> Registry {
    let registry = Registry::new();
    #[cfg(feature = "fjall")]
    let registry = registry.with(pinstate_fjall::FjallFactory);
    #[cfg(not(feature = "fjall"))]
    let registry = registry.with_left_out("fjall", "fjall");
    #[cfg(feature = "memory")]
    let registry = registry.with(pinstate_memory::MemoryFactory::new());
    #[cfg(not(feature = "memory"))]
    let registry = registry.with_left_out("memory", "memory");
    #[cfg(feature = "sled")]
    let registry = registry.with(pinstate_sled::SledFactory);
    #[cfg(not(feature = "sled"))]
    let registry = registry.with_left_out("sled", "sled");
    #[cfg(feature = "scylla")]
    let registry = registry.with(pinstate_scylla::ScyllaFactory::new());
    #[cfg(not(feature = "scylla"))]
    let registry = registry.with_left_out("scylla", "scylla");
    registry
}
