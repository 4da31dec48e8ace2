//! The clauses, a group a file.

mod absent;
mod basic;
mod batch;
mod binary;
mod count;
mod cursor;
mod errors;
mod idempotence;
mod list;
mod pins;
mod replace;
mod resources;
mod sizes;

use crate::clause::Declared;

/// Every clause with its cases. A clause may have cases in two files, as a promise about
/// records and as one about pins.
pub(crate) fn all() -> Vec<&'static Declared> {
    [
        basic::CLAUSES,
        replace::CLAUSES,
        idempotence::CLAUSES,
        absent::CLAUSES,
        list::CLAUSES,
        cursor::CLAUSES,
        batch::CLAUSES,
        count::CLAUSES,
        sizes::CLAUSES,
        binary::CLAUSES,
        errors::CLAUSES,
        resources::CLAUSES,
        pins::CLAUSES,
    ]
    .into_iter()
    .flatten()
    .collect()
}
