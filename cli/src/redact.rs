//! What was typed, without the password that may be in it.
//!
//! The parser of the command line quotes what it does not understand, and a store's URI may
//! stand where it does not belong.

use std::borrow::Cow;

use pinstate_core::config::{HIDDEN, StoreUri, is_secret};

use crate::backends::registry;

/// A store's name or URI as it may be printed, also where it is neither.
pub(crate) fn store(text: &str) -> Cow<'_, str> {
    match text.parse::<StoreUri>() {
        Ok(uri) if registry().backend(uri.scheme()).is_ok() => Cow::Owned(uri.to_string()),
        // What looks like the backend may be a name, and a password follows.
        _ => typed(text),
    }
}

/// A text that was typed: what stands between the first colon behind a `//` and the last
/// `@` may be a password, and so may what follows a word for it.
fn typed(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    if let Some((user, host)) = text.rsplit_once('@') {
        let (scheme, user) = user.split_at(user.find("//").map_or(0, |at| at + 2));
        if let Some((name, secret)) = user.split_once(':')
            && !secret.is_empty()
        {
            shown = Cow::Owned(format!("{scheme}{name}:{HIDDEN}@{host}"));
        }
    } else if let Some((scheme, rest)) = text.split_once("//")
        && let Some((name, _)) = rest.split_once(':')
        && !StoreUri::is_hosts(rest.split(['/', '?']).next().unwrap_or_default())
    {
        shown = Cow::Owned(format!("{scheme}//{name}:{HIDDEN}"));
    }
    if shown.split('&').all(|setting| secret_in(setting).is_none()) {
        return shown;
    }
    let settings = shown.split('&').map(|setting| match secret_in(setting) {
        Some(before) => format!("{before}{HIDDEN}"),
        None => setting.to_owned(),
    });
    Cow::Owned(settings.collect::<Vec<_>>().join("&"))
}

/// What stands before a value that is a secret by its key.
fn secret_in(setting: &str) -> Option<&str> {
    setting.match_indices('=').find_map(|(at, _)| {
        let key = setting.get(..at)?.rsplit(['?', '/']).next()?;
        is_secret(key).then(|| setting.get(..=at))?
    })
}

/// A text of somebody else's that quotes what this program was called with.
pub(crate) fn quoted(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    for argument in std::env::args_os().skip(1) {
        // As it is quoted where it is no Unicode.
        let argument = argument.to_string_lossy();
        // Of --option=VALUE the value alone may be quoted.
        let value = argument.strip_prefix("--").and_then(|a| a.split_once('=')).map(|(_, v)| v);
        for part in [Some(&*argument), value].into_iter().flatten() {
            if let Cow::Owned(hidden) = typed(part)
                && shown.contains(part)
            {
                shown = Cow::Owned(shown.replace(part, &hidden));
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_wherever_they_stand() {
        for text in [
            "scylla://me:hunter2@h/ks",
            "scylla://me:hunter2@h@h/ks",
            "scylla://me:hunter2?@h",
            "scylla://me:hunter2%@h",
            "scylla://me:2hunter2",
            "//me:hunter2@h",
            "me:hunter2@h",
            "scylla:me:hunter2@h",
            "scylla://me@h/ks?password=hunter2&x=1&Password=hunter2",
            "db_password=hunter2",
            "scylla://me@h/ks?pasword=hunter2",
        ] {
            for shown in [store(text), typed(text)] {
                assert!(!shown.contains("hunter2"), "{text}: {shown}");
            }
        }
        assert_eq!(typed("x=a=password=hunter2&y=1"), "x=a=password=[hidden]&y=1");
        for text in ["scylla://h:9042/ks", "sled:/a/b", "file.json", "a@b", "/ip4/1", "scylla:@a"] {
            assert!(matches!(typed(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
