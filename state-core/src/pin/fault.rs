//! Short ways to make a [`Fault`].

use std::borrow::Cow;

use crate::format::Fault;

/// A fault of one field of a record whose end is known.
pub(crate) fn fault(
    field: impl Into<Cow<'static, str>>,
    reason: impl Into<Cow<'static, str>>,
) -> Fault {
    Fault { field: field.into(), reason: reason.into(), offset: None, recoverable: true }
}

/// The name of one element of a list field: `allocations[2]`.
pub(crate) fn element(field: &str, index: usize) -> String {
    format!("{field}[{index}]")
}
