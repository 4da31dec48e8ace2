//! The manifest: a small JSON document beside an export, `FILE.manifest`, which says what the
//! export holds, so that an import can tell whether it got all of it.
//!
//! ```json
//! {
//!   "version": 1,
//!   "format": "ndjson",
//!   "zone": "UTC",
//!   "count": 3,
//!   "bytes": 1653,
//!   "blake3": "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
//!   "digest": "pin:3:0123456789abcdef0123456789abcdef"
//! }
//! ```
//!
//! `bytes` and `blake3` are those of the export file, or of `state.bin` in a raft folder
//! (whose manifest stands beside the folder that was given, not in it). `zone` is the time
//! zone of the times in NDJSON, and is missing in the other formats, which have none.
//! `digest` is that of the [records](crate::digest).

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digest;

/// The version of the document that this code writes, and the only one it reads.
pub const VERSION: u64 = 1;

/// The formats that can be exported and imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON document a line, as `ipfs-cluster-service state export` writes.
    Ndjson,
    /// The binary [snapshot](super::snapshot).
    Snapshot,
    /// The folder of a [raft snapshot](super::raft).
    Raft,
}

impl Format {
    /// Its name in manifests and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Snapshot => "snapshot",
            Self::Raft => "raft",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an export holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the document.
    version: u64,
    /// The format of the export.
    pub format: Format,
    /// The time zone of the times in the export, where the format has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// How many records were exported.
    pub count: u64,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The BLAKE3 hash of the file.
    #[serde(with = "as_text")]
    pub blake3: FileHash,
    /// The digest of the records.
    #[serde(with = "as_text")]
    pub digest: Digest,
}

impl Manifest {
    /// A manifest of the present version, of an export that is not in a time zone.
    #[must_use]
    pub const fn new(format: Format, count: u64, file: (u64, FileHash), digest: Digest) -> Self {
        let (bytes, blake3) = file;
        Self { version: VERSION, format, zone: None, count, bytes, blake3, digest }
    }

    /// The same manifest, with the time zone of the export.
    #[must_use]
    pub fn in_zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Where the manifest of the export at `path` is: `path` with `.manifest` after it.
    #[must_use]
    pub fn path_for(path: &Path) -> PathBuf {
        // A folder may be given with a separator at its end.
        let path: PathBuf = path.components().collect();
        let mut name = OsString::from(path);
        name.push(".manifest");
        name.into()
    }

    /// The document, with a line feed at its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // None of its fields can fail to be written.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a document.
    ///
    /// # Errors
    /// If it is of another version, or not a manifest; the message says where and why.
    pub fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        let broken = |error: serde_json::Error| ManifestError::Broken(error.to_string());
        // The version first: another one may have other fields.
        let document: serde_json::Value = serde_json::from_slice(text).map_err(broken)?;
        match document.get("version") {
            None => Err(ManifestError::Broken("it has no field `version`".to_owned())),
            Some(version) if version.as_u64() != Some(VERSION) => {
                Err(ManifestError::Version(version.to_string()))
            }
            // Not from the document, which knows no lines and keeps one of two equal fields.
            Some(_) => serde_json::from_slice(text).map_err(broken),
        }
    }

    /// What differs between this manifest and what was `found` in the file, in the order of
    /// the fields; nothing if the file is what it should be. The zone is not compared, since
    /// it cannot be found in a file.
    #[must_use]
    pub fn differences(&self, found: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut compare = |field, expected: String, found: String| {
            if expected != found {
                differences.push(Difference { field, expected, found });
            }
        };
        compare("format", self.format.to_string(), found.format.to_string());
        compare("count", self.count.to_string(), found.count.to_string());
        compare("bytes", self.bytes.to_string(), found.bytes.to_string());
        compare("blake3", self.blake3.to_string(), found.blake3.to_string());
        compare("digest", self.digest.to_string(), found.digest.to_string());
        differences
    }
}

/// A field in which an export is not what its manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The field's name in the manifest.
    pub field: &'static str,
    /// What the manifest says.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, expected, found } = self;
        write!(f, "{field}: the manifest says {expected}, found {found}")
    }
}

/// Why a document is no manifest that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It was written by another version of this program.
    #[error(
        "the manifest is of version {0}, and this program knows version {VERSION}; \
         import with the program that wrote it, or remove the manifest to import unchecked"
    )]
    Version(String),
    /// It is no manifest at all.
    #[error("the manifest cannot be read: {0}; remove it to import unchecked")]
    Broken(String),
}

/// The BLAKE3 hash of a file. Its text is 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHash(blake3::Hash);

impl fmt::Display for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl FromStr for FileHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        let hash = blake3::Hash::from_hex(text).ok().filter(|_| lower);
        hash.map(Self).ok_or("it is not 64 lower-case hexadecimal digits")
    }
}

/// Takes the size and hash of a file whose bytes go by.
#[derive(Clone, Debug, Default)]
pub struct FileHasher {
    hasher: blake3::Hasher,
    bytes: u64,
}

impl FileHasher {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the bytes that come next.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
    }

    /// The size and hash of what has gone by, as [`Manifest::new`] takes them.
    #[must_use]
    pub fn finish(&self) -> (u64, FileHash) {
        (self.bytes, FileHash(self.hasher.finalize()))
    }
}

/// A field that is written as its text.
mod as_text {
    use super::{Deserialize, Deserializer, FromStr, Serializer, fmt};

    pub(super) fn serialize<T: fmt::Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: fmt::Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
