//! Ranges of a namespace and places in a scan, as values that can be stored.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::name::NamespaceName;

/// Which namespace of which store a [`Range`] or [`Cursor`] belongs to. Another store, or
/// the same one after a change of its format, refuses it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The store's UUID.
    pub store: Uuid,
    /// The store's format version.
    pub format: u32,
    /// The namespace.
    pub namespace: NamespaceName,
}

impl Scope {
    /// Refuses what comes from elsewhere.
    pub fn check(&self, other: &Self) -> Result<()> {
        let (what, ours, theirs): (&str, &dyn fmt::Display, &dyn fmt::Display) =
            if self.store != other.store {
                ("store", &self.store, &other.store)
            } else if self.namespace != other.namespace {
                ("namespace", &self.namespace, &other.namespace)
            } else if self.format != other.format {
                ("format version", &self.format, &other.format)
            } else {
                return Ok(());
            };
        Err(Error::new(
            ErrorKind::InvalidInput,
            Operation::Scan,
            format!("the range or cursor belongs to {what} {theirs}, and this is {ours}"),
        ))
    }
}

/// A part of a namespace. The bounds are bytes in the backend's own order (keys in an
/// ordered store, tokens in a ring).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Where it belongs.
    pub scope: Scope,
    /// The first place inside, or `None` for the beginning.
    #[serde(with = "hex_option")]
    pub start: Option<Bytes>,
    /// The first place after it, or `None` for the end.
    #[serde(with = "hex_option")]
    pub end: Option<Bytes>,
}

impl Range {
    /// The whole namespace.
    #[must_use]
    pub fn all(scope: Scope) -> Self {
        Self { scope, start: None, end: None }
    }
}

/// A place in a scan: everything up to and including it has been read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The range that is being read.
    pub range: Range,
    /// The last place read, in the backend's own terms.
    #[serde(with = "hex")]
    pub position: Bytes,
}

macro_rules! text_form {
    ($type:ident, $name:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let json = serde_json::to_vec(self).map_err(|_| fmt::Error)?;
                f.write_str(&BASE64URL_NOPAD.encode(&json))
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                BASE64URL_NOPAD
                    .decode(text.trim().as_bytes())
                    .ok()
                    .and_then(|json| serde_json::from_slice(&json).ok())
                    .ok_or_else(|| {
                        Error::new(
                            ErrorKind::InvalidInput,
                            Operation::Scan,
                            concat!("this is no ", $name, " that a store gave: copy it whole"),
                        )
                    })
            }
        }
    };
}

text_form!(Range, "range");
text_form!(Cursor, "cursor");

mod hex {
    use bytes::Bytes;
    use data_encoding::HEXLOWER;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&HEXLOWER.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(from)?;
        HEXLOWER.decode(text.as_bytes()).map(Bytes::from).map_err(D::Error::custom)
    }
}

mod hex_option {
    use bytes::Bytes;
    use data_encoding::HEXLOWER;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Bytes>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(|bytes| HEXLOWER.encode(bytes)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Bytes>, D::Error> {
        Option::<String>::deserialize(from)?
            .map(|text| HEXLOWER.decode(text.as_bytes()).map(Bytes::from))
            .transpose()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(namespace: &str) -> Scope {
        Scope { store: Uuid::nil(), format: 1, namespace: namespace.parse().unwrap() }
    }

    #[test]
    fn cursors_survive_their_text_form_and_only_that() {
        let cursor = Cursor {
            range: Range { scope: scope("a"), start: None, end: Some(Bytes::from_static(&[0xff])) },
            position: Bytes::from_static(&[0, 1]),
        };
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        let text = cursor.to_string();
        assert!(text[..text.len() - 2].parse::<Cursor>().is_err());
        assert!("".parse::<Cursor>().is_err());
    }

    #[test]
    fn a_scope_refuses_others_by_name() {
        scope("a").check(&scope("a")).unwrap();
        let error = scope("a").check(&scope("b")).unwrap_err();
        assert!(error.to_string().contains("namespace b, and this is a"), "{error}");
    }
}
