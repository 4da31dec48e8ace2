//! Where a user's files are, by the XDG Base Directory Specification 0.8.

use std::ffi::OsString;
use std::path::PathBuf;

/// Where the configuration file is looked for when none is named.
pub(crate) fn default_config() -> Option<PathBuf> {
    base("XDG_CONFIG_HOME", ".config").map(|base| base.join("pinstate").join("config.toml"))
}

/// Where the stores are that are used when none is named, each in a folder with its backend's
/// name.
pub(crate) fn default_stores() -> Option<PathBuf> {
    base("XDG_DATA_HOME", ".local/share").map(|base| base.join("pinstate"))
}

/// Where jobs live unless a folder is named.
pub(crate) fn default_jobs() -> Option<PathBuf> {
    base("XDG_STATE_HOME", ".local/state").map(|base| base.join("pinstate").join("jobs"))
}

fn base(variable: &str, below_home: &str) -> Option<PathBuf> {
    choose(std::env::var_os(variable), std::env::var_os("HOME"), below_home)
}

/// The specification wants a relative path to be ignored.
fn choose(set: Option<OsString>, home: Option<OsString>, below_home: &str) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    set.and_then(absolute).or_else(|| Some(home.and_then(absolute)?.join(below_home)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_variable_wins_over_the_home_directory_if_it_is_absolute() {
        let choose = |set: Option<&str>, home: Option<&str>| {
            super::choose(set.map(Into::into), home.map(Into::into), ".x/y")
        };
        assert_eq!(choose(Some("/data"), Some("/home/u")), Some("/data".into()));
        assert_eq!(choose(Some("data"), Some("/home/u")), Some("/home/u/.x/y".into()));
        assert_eq!(choose(None, Some("/home/u")), Some("/home/u/.x/y".into()));
        assert_eq!(choose(None, Some("")), None);
        assert_eq!(choose(None, None), None);
    }
}
