//! A value that cannot be printed.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use super::invalid;
use crate::error::Result;

/// A password or the like. It has no `Display`; `Debug` and serialisation give a
/// placeholder, so that no log, error, report or shown configuration can carry it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// Whether a key's value is not to be shown, by the key's name. It may be misspelt.
#[must_use]
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "passwd", "passphrase", "secret", "token", "headers"]
        .iter()
        .any(|word| key.contains(word))
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

    /// Reads one from a file whose text it is; a line end behind it does not count.
    ///
    /// # Errors
    /// `Config`, with the key that named the file, if it cannot be read.
    pub fn read(key: &str, file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            invalid(format!("'{key}' {} cannot be read", file.display())).with_source(error)
        })?;
        Ok(Self::new(text.trim_end_matches(['\r', '\n'])))
    }

    /// The value itself: for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Refuses a password without a user, a user without a password, and two passwords, as the
/// keys `username`, `password` and `password_file` can have them.
///
/// # Errors
/// `Config`, with the keys.
pub fn check_login(
    username: Option<&str>,
    password: Option<&Secret>,
    password_file: Option<&Path>,
) -> Result<()> {
    let wrong = match (username, password, password_file) {
        (None, Some(_), _) | (None, _, Some(_)) => "there is a password without a 'username'",
        (_, Some(_), Some(_)) => "'password' and 'password_file' are both set: keep one",
        (Some(_), None, None) => "'username' is set without 'password' or 'password_file'",
        _ => return Ok(()),
    };
    Err(invalid(wrong))
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

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_secrets_are_known_misspelt_or_not() {
        for key in
            ["password", "Password", "pasword", "pass_word", "passwort", "db_passwrod", "headers"]
        {
            assert!(is_secret(key), "{key}");
        }
        for key in ["username", "hosts", "keyspace", "path", "page_size", "tls.ca_file"] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn a_login_is_a_user_and_one_password_or_neither() {
        let (secret, file) = (Secret::new("hunter2"), Path::new("/run/secret"));
        for (user, password, from, reason) in [
            (None, None, None, None),
            (Some("me"), Some(&secret), None, None),
            (Some("me"), None, Some(file), None),
            (Some("me"), None, None, Some("'password_file'")),
            (Some("me"), Some(&secret), Some(file), Some("keep one")),
            (None, Some(&secret), None, Some("'username'")),
            (None, None, Some(file), Some("'username'")),
            (None, Some(&secret), Some(file), Some("'username'")),
        ] {
            let told = check_login(user, password, from).err().map(|error| error.to_string());
            assert_eq!(told.is_some(), reason.is_some(), "{told:?}");
            assert!(told.unwrap_or_default().contains(reason.unwrap_or_default()));
        }
    }

    #[test]
    fn a_secret_is_read_without_the_end_of_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let missing = Secret::read("password_file", &file).unwrap_err().to_string();
        assert!(missing.contains("'password_file'") && missing.contains("secret"), "{missing}");
        std::fs::write(&file, " hunter2 \r\n").unwrap();
        assert_eq!(Secret::read("password_file", &file).unwrap().expose(), " hunter2 ");
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
