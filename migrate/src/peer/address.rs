//! Where a peer is, and who asks it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use pinstate_core::config::{Authority, Secret, Settings, StoreUri, check_login, invalid};
use pinstate_core::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;

/// The port of the REST API unless another is named.
const PORT: u16 = 9094;

/// Whether this text is meant as one.
pub(super) fn is_one(text: &str) -> bool {
    let scheme = text.split("://").next().filter(|scheme| scheme.len() < text.len());
    scheme.is_some_and(|scheme| {
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    })
}

/// A peer's address and what goes with it.
pub(super) struct Address {
    /// Without a password.
    pub(super) shown: String,
    pub(super) encrypted: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// What stands before `/allocations`, without a slash at its end.
    pub(super) path: String,
    pub(super) settings: Asked,
}

/// What may be set, behind the question mark.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "u32")]
    pub(super) timeout: Duration,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            username: None,
            password: None,
            password_file: None,
            ca_file: None,
            timeout: Duration::from_secs(60),
        }
    }
}

fn seconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u32::deserialize(from).map(|seconds| Duration::from_secs(u64::from(seconds.max(1))))
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let uri: StoreUri = text.parse()?;
        let wrong = |what: &str| {
            // It is not quoted: what is wrong with it may be a password in it.
            invalid(format!(
                "this is no address of a peer: {what}; it is written \
                 http[s]://[USER[:PASSWORD]@]HOST[:PORT]"
            ))
        };
        if !is_one(text) {
            return Err(wrong("it does not begin with http:// or https://"));
        }
        let Authority { login, hosts: host, path } = uri.authority(wrong)?;
        if host.contains(',') {
            return Err(wrong("it names several hosts or ports, and one peer is asked"));
        }
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().map_err(|_| wrong("its port is none"))?)
            }
            _ => (host, PORT),
        };
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        let settings = Settings::from_uri(&uri, login).extract::<Asked>()?;
        let encrypted = uri.scheme() == "https";
        settings.check(encrypted)?;
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        let shown = format!("{}://{host}:{port}{path}", uri.scheme());
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { shown, encrypted, host, port, path, settings })
    }
}

impl Asked {
    fn check(&self, encrypted: bool) -> Result<()> {
        check_login(
            self.username.as_deref(),
            self.password.as_ref(),
            self.password_file.as_deref(),
        )?;
        if self.ca_file.is_some() && !encrypted {
            return Err(invalid("'ca_file' is for https:// alone"));
        }
        Ok(())
    }

    /// The user and the password, if the peer is to be told who asks.
    ///
    /// # Errors
    /// `Config` for a file that cannot be read.
    pub(super) fn credentials(&self) -> Result<Option<(String, Secret)>> {
        let Some(user) = self.username.clone() else { return Ok(None) };
        let password = match (&self.password, &self.password_file) {
            (Some(password), _) => password.clone(),
            (None, Some(file)) => Secret::read("password_file", file)?,
            (None, None) => return Ok(None),
        };
        Ok(Some((user, password)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Address> {
        text.parse()
    }

    #[test]
    fn parts_are_told_apart() {
        for (text, shown, host, port, path) in [
            ("http://h", "http://h:9094", "h", 9094, ""),
            ("https://h:1/", "https://h:1", "h", 1, ""),
            ("HTTP://127.0.0.1:80/a/b/", "http://127.0.0.1:80/a/b", "127.0.0.1", 80, "/a/b"),
            ("http://[::1]", "http://[::1]:9094", "::1", 9094, ""),
            ("http://[::1]:5", "http://[::1]:5", "::1", 5, ""),
            ("http://me:a%40b@h:2", "http://h:2", "h", 2, ""),
        ] {
            assert!(is_one(text), "{text}");
            let found = of(text).unwrap();
            let parts = (&*found.shown, &*found.host, found.port, &*found.path);
            assert_eq!(parts, (shown, host, port, path), "{text}");
        }
        let known = of("http://me:a%40b@h?timeout=5").unwrap().settings;
        assert_eq!(known.timeout, Duration::from_secs(5));
        let (user, password) = known.credentials().unwrap().unwrap();
        assert_eq!((&*user, password.expose()), ("me", "a@b"));
        assert!(!is_one("httpd") && !is_one("sled:http://x") && !is_one("http:"));
    }

    #[test]
    fn what_is_wrong_is_said_and_no_password_is_quoted() {
        for (text, reason) in [
            ("http://", "no host"),
            ("http://:9094", "no host"),
            ("http://h:99999", "port"),
            ("http://h1,h2", "port"),
            ("http://me@h", "password_file"),
            ("http://h?password_file=x", "'username'"),
            ("http://me:hunter2@h?password_file=x", "keep one"),
            ("http://h?ca_file=x", "https"),
            ("http://me:hunter2@h?tmeout=5", "timeout"),
            ("http://me:hunter2/@h", "%2F"),
            ("http://me:hunter2", "port"),
        ] {
            let Err(error) = of(text) else { panic!("{text} is taken") };
            let told = format!("{error} {error:?}");
            assert!(told.contains(reason) && !told.contains("hunter2"), "{text}: {told}");
        }
    }
}
