//! The values that keys may have, by the names that users know.

use std::fmt;
use std::str::FromStr;

use pinstate_core::config::nearest;
use pinstate_core::{Error, ErrorKind, config};
use schemars::{JsonSchema, Schema};
use scylla::statement::{Consistency, SerialConsistency};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value, json};

/// A value that is one of a few words, in any case.
macro_rules! words {
    ($(#[$doc:meta])* $type:ident, $what:literal, { $($(#[$vdoc:meta])* $name:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, JsonSchema)]
        #[schemars(transform = in_any_case)]
        #[non_exhaustive]
        pub enum $type { $($(#[$vdoc])* #[schemars(rename = $text)] $name,)* }

        impl $type {
            const WORDS: &[(&str, Self)] = &[$(($text, Self::$name),)*];

            /// The word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let found = Self::WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.trim()));
                found.map(|(_, value)| *value).ok_or_else(|| unknown($what, text, Self::WORDS))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                text.parse().map_err(|error: Error| de::Error::custom(error.message()))
            }
        }
    };
}

/// Adds to a schema of words that each may be written in any case. The words stay, for editors to
/// offer.
fn in_any_case(schema: &mut Schema) {
    let Some(words) = schema.remove("oneOf") else { return };
    let one = |word: &Value| {
        let letters = word.get("const")?.as_str()?.chars();
        let any_case = |c: char| match c.is_ascii_alphabetic() {
            true => format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase()),
            false => c.to_string(),
        };
        Some(letters.map(any_case).collect::<String>())
    };
    let all: Vec<String> = words.as_array().into_iter().flatten().filter_map(one).collect();
    let pattern = format!("^\\s*({})\\s*$", all.join("|"));
    let any = json!({ "type": "string", "pattern": pattern });
    schema.insert("anyOf".to_owned(), json!([{ "oneOf": words }, any]));
}

fn unknown<T>(what: &str, text: &str, words: &[(&'static str, T)]) -> Error {
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    // Levels are written in capitals, and looked for in any case.
    let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let near = nearest(text, lower.iter().map(String::as_str))
        .and_then(|near| names.iter().find(|name| name.eq_ignore_ascii_case(near)))
        .map_or_else(String::new, |near| format!("; nearest: {near}"));
    config::invalid(format!(
        "'{}' is no {what}; there are: {}{near}",
        text.escape_debug(),
        names.join(", ")
    ))
}

words! {
    /// A consistency level.
    Level, "consistency level", {
        /// One replica, anywhere.
        One = "ONE",
        /// Two replicas.
        Two = "TWO",
        /// Three replicas.
        Three = "THREE",
        /// A majority of all replicas.
        Quorum = "QUORUM",
        /// Every replica.
        All = "ALL",
        /// One replica of the local datacenter.
        LocalOne = "LOCAL_ONE",
        /// A majority of the local datacenter's replicas.
        LocalQuorum = "LOCAL_QUORUM",
        /// A majority in each datacenter; servers take it for writes only.
        EachQuorum = "EACH_QUORUM",
    }
}

impl Level {
    /// The driver's level.
    pub(crate) fn driver(self) -> Consistency {
        match self {
            Self::One => Consistency::One,
            Self::Two => Consistency::Two,
            Self::Three => Consistency::Three,
            Self::Quorum => Consistency::Quorum,
            Self::All => Consistency::All,
            Self::LocalOne => Consistency::LocalOne,
            Self::LocalQuorum => Consistency::LocalQuorum,
            Self::EachQuorum => Consistency::EachQuorum,
        }
    }

    /// Whether it is met by replicas of the local datacenter alone.
    pub(crate) fn is_local(self) -> bool {
        matches!(self, Self::LocalOne | Self::LocalQuorum)
    }
}

words! {
    /// The consistency of lightweight transactions, which keep the control records.
    SerialLevel, "serial consistency level", {
        /// Across all datacenters.
        Serial = "SERIAL",
        /// Within the local datacenter.
        LocalSerial = "LOCAL_SERIAL",
    }
}

impl SerialLevel {
    /// The driver's level, for writes with a condition.
    pub(crate) fn driver(self) -> SerialConsistency {
        match self {
            Self::Serial => SerialConsistency::Serial,
            Self::LocalSerial => SerialConsistency::LocalSerial,
        }
    }

    /// The driver's level, for reads.
    pub(crate) fn for_reads(self) -> Consistency {
        match self {
            Self::Serial => Consistency::Serial,
            Self::LocalSerial => Consistency::LocalSerial,
        }
    }
}

words! {
    /// A class of failures that may be tried again.
    Retryable, "class of errors", {
        /// No answer in time.
        Timeout = "timeout",
        /// Too few nodes within reach.
        Unavailable = "unavailable",
        /// The server asks for less load.
        Overloaded = "overloaded",
    }
}

impl Retryable {
    /// The kind of errors it stands for.
    pub(crate) fn kind(self) -> ErrorKind {
        match self {
            Self::Timeout => ErrorKind::Timeout,
            Self::Unavailable => ErrorKind::Unavailable,
            Self::Overloaded => ErrorKind::Overloaded,
        }
    }
}

words! {
    /// Compression of frames.
    Compression, "compression", {
        /// None: the right one within a rack.
        None = "none",
        /// LZ4: for links that are slow or paid for.
        Lz4 = "lz4",
        /// Snappy.
        Snappy = "snappy",
    }
}

words! {
    /// The least that is logged.
    LogLevel, "log level", {
        /// Everything.
        Debug = "debug",
        /// What is worth knowing.
        Info = "info",
        /// What is worth looking at.
        Warn = "warn",
        /// Failures.
        Error = "error",
    }
}

impl LogLevel {
    /// The level of events.
    pub(crate) const fn level(self) -> tracing::Level {
        match self {
            Self::Debug => tracing::Level::DEBUG,
            Self::Info => tracing::Level::INFO,
            Self::Warn => tracing::Level::WARN,
            Self::Error => tracing::Level::ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_in_any_case_and_wrong_ones_name_the_right_ones() {
        assert_eq!("local_quorum".parse::<Level>().unwrap(), Level::LocalQuorum);
        assert_eq!("Serial".parse::<SerialLevel>().unwrap(), SerialLevel::Serial);
        let error = "LOCAL_QUORM".parse::<Level>().unwrap_err().to_string();
        assert!(error.contains("ONE, TWO, THREE, QUORUM, ALL, LOCAL_ONE"), "{error}");
        assert!(error.contains("nearest: LOCAL_QUORUM"), "{error}");
        let error = "timeouts".parse::<Retryable>().unwrap_err().to_string();
        assert!(error.contains("timeout, unavailable, overloaded; nearest: timeout"), "{error}");
    }
}
