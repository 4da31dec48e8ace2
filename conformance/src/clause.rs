//! How clauses and their cases are declared.

use std::fmt;

use futures::future::BoxFuture;

use crate::case::Cx;
use crate::check::Checked;
use crate::gate::Gate;

/// A rule that every backend keeps. Ids are stable and appear in reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Clause {
    /// Its id: a letter for the group and a number.
    pub id: &'static str,
    /// What is promised.
    pub title: &'static str,
    /// What goes wrong for users where it is broken.
    pub why: &'static str,
}

impl Clause {
    /// The letter of its group.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.id.trim_end_matches(|c: char| c.is_ascii_digit())
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.title)
    }
}

/// A clause with its cases.
#[derive(Clone, Copy)]
pub(crate) struct Declared {
    pub(crate) clause: &'static Clause,
    pub(crate) cases: &'static [Case],
}

/// One test of a clause.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) gate: Option<&'static Gate>,
    pub(crate) turn: Turn,
    pub(crate) run: CaseFn,
}

/// When a case runs where several do at the same time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Turn {
    /// Among the first, since it takes longest: what is begun last ends last.
    First,
    Any,
    /// When nothing else does, since it counts what the process holds, or would be disturbed.
    Alone,
}

pub(crate) type CaseFn = fn(Cx) -> BoxFuture<'static, Checked>;

/// Declares the clauses of a group and registers their cases, in one place: a case that is
/// written and not named here is dead code, and the compiler says so.
///
/// `case if GATE` runs where a capability is declared; `case as alone` runs by itself, and
/// `case as long` is begun early.
macro_rules! clauses {
    ($($id:ident: $title:literal, $why:literal, [$($case:ident $(if $gate:ident)? $(as $turn:ident)?),* $(,)?];)*) => {
        pub(super) static CLAUSES: &[$crate::clause::Declared] = &[$(
            $crate::clause::Declared {
                clause: &$crate::clause::Clause {
                    id: stringify!($id),
                    title: $title,
                    why: $why,
                },
                cases: &[$($crate::clause::Case {
                    name: stringify!($case),
                    gate: $crate::clause::clauses!(@gate $($gate)?),
                    turn: $crate::clause::clauses!(@turn $($turn)?),
                    run: |cx| Box::pin($case(cx)),
                }),*],
            },
        )*];
    };
    (@gate) => { None };
    (@gate $gate:ident) => { Some(&$crate::gate::$gate) };
    (@turn) => { $crate::clause::Turn::Any };
    (@turn long) => { $crate::clause::Turn::First };
    (@turn alone) => { $crate::clause::Turn::Alone };
}

pub(crate) use clauses;
