//! Apache Cassandra 5 from Maven Central on Java 17: the cluster that every machine with a
//! Java can run.

mod archive;
mod config;
mod fleet;
mod jars;
mod java;

pub(crate) use fleet::{Cassandra, Plan, Record};
pub(crate) use java::Java;
