//! Histories of what several clients did at the same time, and whether a store that keeps
//! its word can have answered so.
//!
//! A [`Recorder`] gives each [`Client`] a handle and writes down when each operation began
//! and ended and what it was told. [`check`] looks for an order of the operations on each
//! key that explains all answers; [`check_sessions`] asks for less, as a store that declares
//! [`ReadYourWrites`](pinstate_core::Consistency::ReadYourWrites) promises less. A [`History`] can be saved as
//! JSON lines and checked again later.
//!
//! `event.rs` what a history is; `recorder.rs` how it is written down; `file.rs` how it is
//! saved; `model.rs` one key as the contract has it; `search.rs` the search for an order, with
//! `moments.rs`, `sets.rs` and `unread.rs` for what it keeps in mind;
//! `shrink.rs` and `verdict.rs` what is said where there is none; `session.rs` the weaker
//! promise; `promise.rs` what a history is judged by, and saved with;
//! `observed.rs` the strongest that it shows, whatever was promised; `timeline.rs` what is
//! drawn of it.

mod event;
mod file;
mod model;
mod moments;
mod observed;
mod promise;
mod recorder;
mod search;
mod session;
mod sets;
mod shrink;
mod timeline;
mod unread;
mod verdict;

pub(crate) use event::Shown;
pub use event::{Answer, Barrier, Call, Condition, End, Event, Found, History, Reply};
pub use observed::Observed;
pub use promise::{BrokenPromise, Origin, Promise, Saved, saved};
pub use recorder::{Client, Recorder};
pub use session::{Broken, check_monotonic, check_sessions, check_settled};
pub use timeline::{Bar, Part, Timeline};
pub use verdict::{Counterexample, Verdict, check};
