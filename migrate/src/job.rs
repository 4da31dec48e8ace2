//! Moving a pinset from one place to another, so that it can be interrupted at any moment.
//!
//! A [`Job`] copies what a [`Source`] has into a namespace, and compares the two at the end.
//! What it has done stands in a ledger in a folder of its own, so that whoever begins the same
//! job again goes on with it:
//!
//! ```text
//! copying:    for each part, page by page:  read → rules → write → sync → ledger
//! verifying:  read the target once; it must come to what was copied
//! replacing:  where it was loaded beside what was there: take its place, in one step
//! ```
//!
//! # Why nothing is lost, and little is done twice
//!
//! * A checkpoint is written **after** the target's `sync` has returned for what it tells of,
//!   and a worker writes no page before its last one is in the ledger. A process that is
//!   killed at any instruction has at most one page a worker to write again, and writing it
//!   again changes nothing: records keep their versions and are written *if newer*, or are
//!   written as they are once more (`merge`).
//! * A part is complete at the end that its scan itself declares, and at no other.
//! * The sum over what was written stands in the checkpoints, so a page that is written again
//!   is counted once.
//! * Records that the target will never take, and those that the source cannot read, become
//!   dead letters: they stand in the checkpoint of their page, with their bytes and the reason.
//!   There may be [`MaxErrors`] of them. A job with dead letters is done, and says so.
//! * One process works on a job: it holds a lock in its folder. One job fills a namespace: a
//!   control record of the target says which.
//!
//! # Versions
//!
//! Records keep the versions that they have in their store; entries of a file are as new as the
//! job, in their order, so that the last of several with one key stays. With [`Mode::Merge`]
//! they are drawn anew. The target's clock is set above all of them before the job is over.
//!
//! The source is not to be written to in the meantime: a mirror is for that. The comparison at
//! the end shows it if it was and [`recheck`](Tuning::recheck) was asked for.

mod aside;
mod certificate;
mod copy;
mod folder;
mod into_file;
mod ledger;
mod letters;
mod open;
mod orders;
mod plan;
mod progress;
mod reading;
mod ruled;
mod rules;
mod run;
mod settings;
mod source;
mod target;
mod throttle;
mod verify;
mod watch;
mod write;

pub use self::aside::{Onlooker, certificate, status};
pub use self::certificate::Certificate;
pub use self::folder::JobFolder;
pub use self::into_file::{RuledRecords, ruled_pins};
pub use self::ledger::{Counts, DeadLetter, Ended, Note, Phase, Run, Verified, VerifiedBy};
pub use self::orders::{Orders, Window};
pub use self::plan::{Finding, Plan, Weight, plan};
pub use self::progress::Progress;
pub use self::rules::Rules;
pub use self::run::{Job, Report};
pub use self::settings::{MaxErrors, Mode, Settings, Tuning};
pub use self::source::{
    FileSource, Identity, Pages, Source, SourcePage, SourceRow, StoreSource, Written,
};
pub use self::target::Target;
pub use self::watch::{Step, Unwatched, Watch};
