//! Cassandra's jars, fetched once into the user's cache folder.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::paths;

/// The version that is fetched.
pub(super) const VERSION: &str = "5.0.6";
const MAIN_JAR: &str = "cassandra-all-5.0.6.jar";
const MANIFEST: &str = "MANIFEST";
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// A complete set of jars.
#[derive(Clone, Debug)]
pub(crate) struct Jars {
    pub(super) folder: PathBuf,
    names: Vec<String>,
}

impl Jars {
    /// The set in the cache, which is fetched first if it is not there.
    pub(crate) fn get() -> Result<Self> {
        let folder = paths::cache()?.join(format!("cassandra-{VERSION}"));
        if let Some(jars) = Self::read(&folder)? {
            return Ok(jars);
        }
        let _lock = lock(&folder)?;
        // Somebody else may have fetched it meanwhile.
        if let Some(jars) = Self::read(&folder)? {
            return Ok(jars);
        }
        fetch(&folder)?;
        Self::read(&folder)?.ok_or_else(|| {
            Error::failed(format!("the jars were fetched, but are not in {}", folder.display()))
        })
    }

    /// A set is there as a whole or not at all; every jar must have the size it had.
    fn read(folder: &Path) -> Result<Option<Self>> {
        let Ok(manifest) = fs::read_to_string(folder.join(MANIFEST)) else { return Ok(None) };
        let mut names = Vec::new();
        for line in manifest.lines() {
            let damaged = || {
                let folder = folder.display();
                Error::failed(format!("{folder} is damaged at \"{line}\": remove that folder"))
            };
            let (size, name) = line.split_once(' ').ok_or_else(damaged)?;
            let found = fs::metadata(folder.join(name)).map_err(|_| damaged())?.len();
            if size.parse() != Ok(found) {
                return Err(damaged());
            }
            names.push(name.to_owned());
        }
        Ok(Some(Self { folder: folder.to_path_buf(), names }))
    }

    pub(super) fn class_path(&self) -> String {
        let paths = self.names.iter().map(|name| self.folder.join(name).display().to_string());
        paths.collect::<Vec<_>>().join(":")
    }

    /// Cassandra asks it for the sizes of objects, and starts sooner with it.
    pub(super) fn agent(&self) -> Option<PathBuf> {
        let name = self.names.iter().find(|name| name.starts_with("jamm-"))?;
        Some(self.folder.join(name))
    }

    pub(super) fn lock(&self) -> Result<File> {
        lock(&self.folder)
    }
}

/// Waits until no other process fetches or prepares the same set.
fn lock(folder: &Path) -> Result<File> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(Error::io("cannot create", parent))?;
    }
    let mut path = folder.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let file = File::create(&path).map_err(Error::io("cannot create", &path))?;
    file.lock().map_err(Error::io("cannot lock", &path))?;
    Ok(file)
}

#[allow(clippy::print_stderr, reason = "the first run takes its time and should say so")]
fn fetch(folder: &Path) -> Result<()> {
    let parent = folder.parent().unwrap_or(folder);
    let work =
        tempfile::tempdir_in(parent).map_err(Error::io("cannot create a folder in", parent))?;
    let pom = work.path().join("pom.xml");
    fs::write(&pom, pom_text()).map_err(Error::io("cannot write", &pom))?;
    let set = work.path().join("set");
    eprintln!(
        "testbed: fetching Apache Cassandra {VERSION} (about 66 MB) into {}",
        folder.display()
    );
    // -C: a jar whose checksum differs is an error.
    let output = Command::new("mvn")
        .args(["--batch-mode", "--quiet", "-C", "--file"])
        .arg(&pom)
        .args([PLUGIN, "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", set.display()))
        .stdin(Stdio::null())
        .output()
        .map_err(|e| {
            Error::NoSource(format!(
                "Cassandra is fetched by Maven, and mvn cannot be run: {e} (Debian package maven)"
            ))
        })?;
    if !output.status.success() {
        return Err(Error::NoSource(format!(
            "Maven could not fetch Cassandra {VERSION}: {}",
            String::from_utf8_lossy(&output.stdout).trim()
        )));
    }
    let mut lines = Vec::new();
    for entry in fs::read_dir(&set).map_err(Error::io("cannot read", &set))? {
        let entry = entry.map_err(Error::io("cannot read", &set))?;
        let size = entry.metadata().map_err(Error::io("cannot read", &entry.path()))?.len();
        lines.push(format!("{size} {}", entry.file_name().to_string_lossy()));
    }
    if !lines.iter().any(|line| line.ends_with(&format!(" {MAIN_JAR}"))) {
        return Err(Error::failed(format!(
            "Maven fetched {} jars, but no {MAIN_JAR}",
            lines.len()
        )));
    }
    lines.sort_unstable_by(|a, b| a.split(' ').nth(1).cmp(&b.split(' ').nth(1)));
    let manifest = set.join(MANIFEST);
    fs::write(&manifest, lines.join("\n")).map_err(Error::io("cannot write", &manifest))?;
    // What a broken earlier attempt of another version of this program may have left.
    let _ = fs::remove_dir_all(folder);
    fs::rename(&set, folder).map_err(Error::io("cannot create", folder))
}

fn pom_text() -> String {
    let mut text = String::new();
    let _ = write!(
        text,
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n\
         <modelVersion>4.0.0</modelVersion>\n\
         <groupId>testbed</groupId><artifactId>jars</artifactId><version>1</version>\n\
         <packaging>pom</packaging>\n\
         <dependencies><dependency><groupId>org.apache.cassandra</groupId>\
         <artifactId>cassandra-all</artifactId><version>{VERSION}</version></dependency>\
         </dependencies>\n</project>\n"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_whole_or_damaged_or_absent() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Jars::read(folder.path()).unwrap().is_none());
        fs::write(folder.path().join("a.jar"), b"1234").unwrap();
        fs::write(folder.path().join(MANIFEST), "4 a.jar").unwrap();
        assert_eq!(Jars::read(folder.path()).unwrap().unwrap().names, ["a.jar"]);
        fs::write(folder.path().join("a.jar"), b"123").unwrap();
        assert!(Jars::read(folder.path()).is_err());
        fs::remove_file(folder.path().join("a.jar")).unwrap();
        assert!(Jars::read(folder.path()).is_err());
    }
}
