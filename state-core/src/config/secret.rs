//! A value that cannot be printed.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A password or the like. It has no `Display`; `Debug` and serialisation give a
/// placeholder, so that no log, error, report or shown configuration can carry it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// Whether a key's value is not to be shown, by the key's name. It may be misspelt.
#[must_use]
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "passwd", "passphrase", "secret", "token"].iter().any(|word| key.contains(word))
        || std::iter::once(key.as_str())
            .chain(key.split(['_', '-', '.']))
            .any(|part| strsim::damerau_levenshtein(part, "password") <= 2)
}

/// What is shown in a secret's place.
pub const HIDDEN: &str = "[hidden]";

impl Secret {
    /// Hides a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself: for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_secrets_are_known_misspelt_or_not() {
        for key in ["password", "Password", "pasword", "pass_word", "passwort", "db_passwrod"] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["username", "hosts", "keyspace", "path", "page_size", "tls.ca_file"] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn a_secret_shows_in_no_rendering() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret:?} {}", serde_json::to_string(&secret).unwrap()),
            "[hidden] \"[hidden]\""
        );
        assert_eq!(secret.expose(), "hunter2");
    }
}
