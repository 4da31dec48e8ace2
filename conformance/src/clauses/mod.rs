//! The clauses, a group a file.

mod absent;
mod basic;
mod batch;
mod binary;
mod cancel;
mod concurrent;
mod count;
mod cursor;
mod damage;
mod durable;
mod errors;
mod expiry;
mod health;
mod idempotence;
mod list;
mod memory;
mod pins;
mod power;
mod pressure;
mod replace;
mod resources;
mod shown;
mod sizes;
mod transfer;
mod upgrade;

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
        shown::CLAUSES,
        cursor::CLAUSES,
        batch::CLAUSES,
        count::CLAUSES,
        sizes::CLAUSES,
        binary::CLAUSES,
        errors::CLAUSES,
        concurrent::CLAUSES,
        cancel::CLAUSES,
        pressure::CLAUSES,
        health::CLAUSES,
        resources::CLAUSES,
        durable::CLAUSES,
        power::CLAUSES,
        damage::CLAUSES,
        pins::CLAUSES,
        expiry::CLAUSES,
        transfer::CLAUSES,
        upgrade::CLAUSES,
        crate::safety::CLAUSES,
    ]
    .into_iter()
    .flatten()
    .collect()
}
