//! Names of namespaces.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Operation, Result};

/// The name of a namespace: 1 to 48 characters out of `a-z`, `0-9`, `_` and `-`, beginning
/// with a letter or digit. Short enough to be part of a table's name in CQL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamespaceName(String);

/// Longest name of a namespace in bytes.
pub const MAX_NAMESPACE_NAME_BYTES: usize = 48;

impl NamespaceName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for NamespaceName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for NamespaceName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
        let good = (1..=MAX_NAMESPACE_NAME_BYTES).contains(&name.len())
            && name.bytes().all(legal)
            && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        if good {
            return Ok(Self(name.to_owned()));
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            Operation::OpenNamespace,
            format!(
                "'{}' is no namespace name: use 1 to {MAX_NAMESPACE_NAME_BYTES} of a-z, 0-9, '_' \
                 and '-', beginning with a letter or digit",
                name.escape_debug()
            ),
        ))
    }
}

impl TryFrom<String> for NamespaceName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

impl From<NamespaceName> for String {
    fn from(name: NamespaceName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["default", "0", "a-b_c", &"x".repeat(48)] {
            good.parse::<NamespaceName>().unwrap();
        }
        for bad in ["", "-a", "_a", "A", "a b", "a.b", "ü", &"x".repeat(49)] {
            let error = bad.parse::<NamespaceName>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }
}
