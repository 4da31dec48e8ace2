//! An example or two of each command, for its help and its manual page.

use clap::Command;

/// Commands by their names, and what is typed after `pinstate` with what it does. A command that
/// has commands of its own shows those of its most common one.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "",
        &[
            ("import state.json", "put the pins of a file into the store"),
            ("export state.json", "write them to a file"),
            ("--store sled:/var/lib/pins count", "count the pins of another store"),
        ],
    ),
    (
        "pin",
        &[("pin add QmUaFyXjZUNaUwYF8rBtbJc7fEJ46aJXvgV8z2HHs6jvmJ --name photos", "add a pin")],
    ),
    (
        "pin add",
        &[
            ("pin add QmUaFyXjZUNaUwYF8rBtbJc7fEJ46aJXvgV8z2HHs6jvmJ", "pin the whole DAG"),
            (
                "pin add QmUaFyXjZUNaUwYF8rBtbJc7fEJ46aJXvgV8z2HHs6jvmJ --replication 2 --expire-in 720h",
                "on two peers, for thirty days",
            ),
        ],
    ),
    ("pin get", &[("pin get QmUaFyXjZUNaUwYF8rBtbJc7fEJ46aJXvgV8z2HHs6jvmJ", "show one pin")]),
    (
        "pin has",
        &[("pin has QmUaFyXjZUNaUwYF8rBtbJc7fEJ46aJXvgV8z2HHs6jvmJ", "say whether it is there")],
    ),
    ("pin rm", &[("pin rm QmUaFyXjZUNaUwYF8rBtbJc7fEJ46aJXvgV8z2HHs6jvmJ", "remove one pin")]),
    (
        "pin ls",
        &[
            ("pin ls --name 'photos*' --limit 20", "list the first twenty pins of such a name"),
            ("pin ls --expired", "list those whose time is over"),
        ],
    ),
    (
        "export",
        &[
            ("export state.json", "write what ipfs-cluster-service can import"),
            ("export --format snapshot state.snapshot", "in its binary form, which is smaller"),
        ],
    ),
    (
        "import",
        &[
            ("import state.json", "into a store without pins"),
            ("import --mode merge --rejects bad.json state.json", "beside those that are there"),
        ],
    ),
    ("state", &[("state export --backend sled state.json", "as 'export' does")]),
    ("state export", &[("state export --backend sled state.json", "as 'export' does")]),
    ("state import", &[("state import --mode replace state.json", "as 'import' does")]),
    ("count", &[("count", "count the pins"), ("count --estimate", "about, without reading them")]),
    (
        "digest",
        &[("digest", "of the store"), ("digest state.json", "of a file, to be compared with it")],
    ),
    (
        "verify",
        &[
            ("verify sled:/var/lib/old scylla://db1/ipfs_pins", "compare two stores"),
            ("verify main state.json --repair", "make a store what a file says"),
        ],
    ),
    ("diff", &[("diff sled:/var/lib/old state.json", "list every pin that differs")]),
    (
        "migrate",
        &[(
            "migrate plan --from sled:/var/lib/old --to scylla://db1/ipfs_pins",
            "what it would do",
        )],
    ),
    (
        "migrate plan",
        &[(
            "migrate plan --from sled:/var/lib/old --to scylla://db1/ipfs_pins",
            "what it would do",
        )],
    ),
    (
        "migrate run",
        &[
            ("migrate run --from sled:/var/lib/old --to scylla://db1/ipfs_pins --yes", "do it"),
            (
                "migrate run --from http://127.0.0.1:9094 --to main --yes",
                "out of a running peer of ipfs-cluster",
            ),
        ],
    ),
    (
        "migrate status",
        &[
            ("migrate status", "say how far the jobs are"),
            ("migrate status --watch", "and go on saying it until they are over"),
        ],
    ),
    ("migrate pause", &[("migrate pause", "let the only job wait")]),
    ("migrate resume", &[("migrate resume", "let it go on")]),
    ("migrate throttle", &[("migrate throttle --write-rows 1000", "write 1,000 pins a second")]),
    (
        "migrate abort",
        &[("migrate abort --from sled:/var/lib/old --to scylla://db1/ipfs_pins", "give it up")],
    ),
    (
        "migrate retry-dead",
        &[("migrate retry-dead --from sled:/var/lib/old --to scylla://db1/ipfs_pins", "once more")],
    ),
    ("migrate certificate", &[("migrate certificate --html job.html", "write it as a page")]),
    (
        "mirror",
        &[("mirror start --from old --to new --job /var/lib/job", "begin, and stay to serve it")],
    ),
    (
        "mirror start",
        &[("mirror start --from old --to new --job /var/lib/job", "begin, and stay to serve it")],
    ),
    ("mirror status", &[("mirror status --job /var/lib/job", "say how far it is")]),
    ("mirror advance", &[("mirror advance --job /var/lib/job --all", "up to the cut-over")]),
    (
        "mirror shadow",
        &[("mirror shadow --job /var/lib/job --percent 10", "compare one read in ten")],
    ),
    ("mirror cutover", &[("mirror cutover --job /var/lib/job", "let the new store answer")]),
    (
        "mirror rollback",
        &[("mirror rollback --job /var/lib/job", "let the old store answer again")],
    ),
    ("mirror finalise", &[("mirror finalise --job /var/lib/job", "let go of the old store")]),
    ("mirror abort", &[("mirror abort --job /var/lib/job", "let go of the new store")]),
    ("bench", &[("bench run --store sled:/tmp/bench --rate 1000", "a load of 1,000 a second")]),
    ("bench list", &[("bench list", "show the workloads")]),
    (
        "bench run",
        &[
            ("bench run --store sled:/tmp/bench --rate 1000", "a load of 1,000 a second"),
            (
                "bench run --store fjall:/tmp/bench --closed 8 --duration 1m --report report",
                "eight clients, a minute long",
            ),
        ],
    ),
    (
        "bench find-rate",
        &[(
            "bench find-rate --store sled:/tmp/bench --slo 'p99<5ms'",
            "find the highest rate that keeps a promise",
        )],
    ),
    (
        "bench restart",
        &[(
            "bench restart --store fjall:/tmp/bench --preload 1000000",
            "time how long opening takes",
        )],
    ),
    (
        "compare",
        &[(
            "compare sled:/tmp/a fjall:/tmp/b --rate 1000 --report report",
            "one against the other",
        )],
    ),
    ("namespaces", &[("namespaces list", "list them")]),
    ("namespaces list", &[("namespaces list", "list them")]),
    ("namespaces create", &[("namespaces create staging", "make one")]),
    ("namespaces drop", &[("namespaces drop staging --yes", "remove one with all its pins")]),
    ("cleanup", &[("cleanup --yes", "remove all pins of the namespace 'default'")]),
    ("health", &[("health --store scylla://db1/ipfs_pins", "say whether it answers")]),
    ("doctor", &[("doctor --store scylla://db1/ipfs_pins", "look at each of its nodes")]),
    (
        "schema",
        &[("schema check --store scylla://db1/ipfs_pins", "compare it with what is needed")],
    ),
    (
        "schema show",
        &[(
            "schema show --store scylla://db1/ipfs_pins --replication dc1=3 --dialect scylla",
            "print it, without asking the cluster",
        )],
    ),
    (
        "schema create",
        &[("schema create --store scylla://db1/ipfs_pins --replication dc1=3", "make it")],
    ),
    ("schema check", &[("schema check --store scylla://db1/ipfs_pins", "compare it")]),
    ("schema upgrade", &[("schema upgrade --store scylla://db1/ipfs_pins", "bring it up to date")]),
    (
        "conformance",
        &[("conformance --store memory: --report report", "test what the backend promises")],
    ),
    ("conformance list", &[("conformance list", "list the clauses")]),
    ("conformance explain", &[("conformance explain K1", "tell what one is for")]),
    ("conformance compare", &[("conformance compare before after", "compare two reports")]),
    ("conformance gc", &[("conformance gc --older-than 24h", "remove what broken runs have left")]),
    ("conformance recheck", &[("conformance recheck report", "judge its histories again")]),
    ("backends", &[("backends", "list them, with all that they can do")]),
    ("config", &[("config init sled", "make a file to begin with")]),
    (
        "config init",
        &[
            ("config init scylla", "make the file that is read, for a store on a cluster"),
            ("config init fjall --file - ", "print one"),
        ],
    ),
    ("config show", &[("config show --output text", "show what holds, and why")]),
    (
        "config check",
        &[
            ("config check", "judge the file that is read"),
            ("config check --config new.toml", "judge one before it is used"),
        ],
    ),
    ("config schema", &[("config schema", "print it: keep it in a file beside the configuration")]),
    ("config reference", &[("config reference sled", "tell what the keys of one backend mean")]),
    ("completions", &[("completions bash", "print it: keep it where your shell looks for such")]),
    (
        "man",
        &[
            ("man ~/.local/share/man/man1", "write them where 'man pinstate' finds them"),
            ("man", "print the first one"),
        ],
    ),
];

/// Adds them to a command and all that are within it.
pub(crate) fn with_examples(command: Command) -> Command {
    within(command, "")
}

fn within(mut command: Command, path: &str) -> Command {
    if let Some((_, examples)) = EXAMPLES.iter().find(|(name, _)| *name == path) {
        let lines = examples.iter().map(|(typed, what)| {
            let typed = typed.trim_end();
            format!("\n  pinstate {typed}\n      {what}")
        });
        command = command.after_help(format!("Examples:{}", lines.collect::<String>()));
    }
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    for name in names {
        let path = format!("{path} {name}");
        command = command.mut_subcommand(&name, |inner| within(inner, path.trim_start()));
    }
    command
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;
    use crate::args::CommandLine;

    fn names(command: &Command, path: &str, found: &mut BTreeSet<String>) {
        found.insert(path.to_owned());
        for inner in command.get_subcommands() {
            names(inner, format!("{path} {}", inner.get_name()).trim_start(), found);
        }
    }

    #[test]
    fn every_command_has_an_example_and_no_other_has() {
        let mut there = BTreeSet::new();
        names(&CommandLine::command(), "", &mut there);
        let shown: BTreeSet<String> = EXAMPLES.iter().map(|(name, _)| (*name).to_owned()).collect();
        let without: Vec<_> = there.difference(&shown).collect();
        assert!(without.is_empty(), "without an example: {without:?}");
        let gone: Vec<_> = shown.difference(&there).collect();
        // Of commands that this build was made without.
        let features = cfg!(all(feature = "conformance", feature = "scylla"));
        assert!(gone.is_empty() || !features, "there is no such command: {gone:?}");
        let mut command = with_examples(CommandLine::command());
        assert!(command.render_help().to_string().contains("pinstate import state.json"));
        fn all_show(command: &Command) {
            assert!(command.get_after_help().is_some(), "{}", command.get_name());
            command.get_subcommands().for_each(all_show);
        }
        command.build();
        command.get_subcommands().filter(|c| c.get_name() != "help").for_each(|c| {
            assert!(c.get_after_help().is_some(), "{}", c.get_name());
            c.get_subcommands().filter(|c| c.get_name() != "help").for_each(all_show);
        });
    }

    #[test]
    fn every_example_is_understood_and_is_one_of_its_command() {
        let mut there = BTreeSet::new();
        names(&CommandLine::command(), "", &mut there);
        for (name, examples) in EXAMPLES.iter().filter(|(name, _)| there.contains(*name)) {
            assert!(!examples.is_empty(), "{name}");
            for (typed, _) in *examples {
                let unquoted = typed.replace('\'', "");
                let args = std::iter::once("pinstate").chain(unquoted.split_whitespace());
                let parsed = CommandLine::command().try_get_matches_from(args);
                assert!(parsed.is_ok(), "{typed}: {}", parsed.unwrap_err());
                assert!(typed.contains(name), "{typed} is no example of {name}");
            }
        }
    }
}
