//! A Java 17 and how Cassandra wants it started.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// The only Java that the options below are for.
const MAJOR: &str = "17";

/// Internals of Java that Cassandra 5 reaches into, as its own start script opens them.
const EXPORTS: [&str; 9] = [
    "java.base/java.lang.ref",
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.attach/sun.tools.attach",
    "jdk.compiler/com.sun.tools.javac.file",
    "jdk.unsupported/sun.misc",
];
const OPENS: [&str; 18] = [
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "java.rmi/sun.rmi.transport.tcp",
    "jdk.compiler/com.sun.tools.javac",
    "jdk.management/com.sun.management.internal",
];

/// A Java program of the right version.
#[derive(Clone, Debug)]
pub(crate) struct Java {
    program: PathBuf,
    /// All it says of its version: what a class archive depends on.
    version: String,
}

impl Java {
    /// Finds a Java 17: in `JAVA_HOME`, on the path, or where Debian puts it.
    pub(crate) fn find() -> Result<Self> {
        let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
        let mut candidates: Vec<_> = home.into_iter().chain([PathBuf::from("java")]).collect();
        let installed = std::fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
        candidates.extend(installed.map(|entry| entry.path().join("bin/java")));
        let mut others = Vec::new();
        for program in candidates {
            match version(&program) {
                Some(version) if major(&version) == Some(MAJOR) => {
                    return Ok(Self { program, version });
                }
                Some(version) => others.push(version.lines().next().unwrap_or_default().to_owned()),
                None => {}
            }
        }
        let others = others.join("; ");
        let found = if others.is_empty() {
            "none was found".to_owned()
        } else {
            format!("found: {others}")
        };
        Err(Error::NoSource(format!(
            "Cassandra needs Java {MAJOR}, and {found} \
             (Debian package openjdk-{MAJOR}-jdk-headless, or JAVA_HOME)"
        )))
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The program with everything that does not depend on the node.
    pub(crate) fn command(&self, heap_mib: usize, namespace: Option<&str>) -> Command {
        let mut command = match namespace {
            // Becomes Java itself, under the same process number.
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.arg(format!("-Xms{heap_mib}m")).arg(format!("-Xmx{heap_mib}m"));
        // Small and quick to start: several nodes share two cores, so the optimizing
        // compiler and parallel collectors cost more than they give.
        command.args([
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xss512k",
            "-XX:-UsePerfData",
        ]);
        for package in EXPORTS {
            command.args(["--add-exports", &format!("{package}=ALL-UNNAMED")]);
        }
        for package in OPENS {
            command.args(["--add-opens", &format!("{package}=ALL-UNNAMED")]);
        }
        command
    }
}

/// What `java -version` says, if it can be run.
fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("-version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(text)
}

/// The major version in a line such as `openjdk version "17.0.15" 2025-04-15`.
fn major(version: &str) -> Option<&str> {
    version.split('"').nth(1)?.split(['.', '-', '+']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK"), Some("17"));
        assert_eq!(major("openjdk version \"21-ea\" 2023-09-19"), Some("21"));
        assert_eq!(major("java version \"1.8.0_412\""), Some("1"));
        assert_eq!(major("nonsense"), None);
    }
}
