//! Where a cluster comes from: the first source that is there.

use std::fmt;

use crate::cassandra::Java;
use crate::docker::Docker;
use crate::error::{Error, Result};
use crate::external::{self, External};

/// Names one kind of source, so that no other one is looked for.
const VARIABLE: &str = "PINSTATE_TEST_SOURCE";

/// A source that is there.
#[derive(Debug)]
pub(crate) enum Source {
    External(External),
    Docker(Docker),
    Cassandra(Java),
}

impl Source {
    /// The first source that is there.
    ///
    /// # Errors
    /// `Skipped` if the user wants no cluster, `NoSource` if there is none.
    pub(crate) fn find() -> Result<Self> {
        match External::from_environment()? {
            external::Wish::Skip => Err(Error::Skipped(format!(
                "{} is skip: tests that need a CQL cluster are not run",
                external::VARIABLE
            ))),
            external::Wish::Cluster(cluster) => Ok(Self::External(cluster)),
            external::Wish::None => Self::local(),
        }
    }

    /// The first source that can start a cluster here.
    pub(crate) fn local() -> Result<Self> {
        let docker = || Docker::find().map(Self::Docker);
        let cassandra = || Java::find().map(Self::Cassandra);
        match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("") => docker().or_else(|no_docker| {
                cassandra().map_err(|no_java| Error::NoSource(none(&no_docker, &no_java)))
            }),
            Ok("docker") => docker(),
            Ok("cassandra") => cassandra(),
            Ok(other) => {
                Err(Error::usage(format!("{VARIABLE} is docker or cassandra, not \"{other}\"")))
            }
        }
    }
}

fn none(docker: &Error, java: &Error) -> String {
    format!(
        "there is no CQL cluster to test with, and none can be started here. One of these gives \
         you one:\n\
         - {variable}=HOST:PORT,… names a cluster that you run;\n\
         - Docker, for the image of ScyllaDB ({docker});\n\
         - Java and Maven, for Apache Cassandra ({java}).\n\
         With {variable}=skip the tests that need a cluster report that and do nothing.",
        variable = external::VARIABLE
    )
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::External(_) => f.write_str("a cluster of the user's"),
            Self::Docker(docker) => write!(f, "Docker, {}", docker.image()),
            Self::Cassandra(_) => f.write_str("Apache Cassandra"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_no_cluster_the_ways_to_get_one_are_told() {
        let docker = Error::failed("cannot run docker");
        let java = Error::NoSource("none was found (Debian package openjdk)".to_owned());
        let told = none(&docker, &java);
        let ways = ["PINSTATE_TEST_CQL=HOST:PORT", "cannot run docker", "openjdk", "=skip"];
        assert!(ways.iter().all(|way| told.contains(way)), "{told}");
    }
}
