//! Keyspaces, tables and their options.

use std::collections::BTreeMap;

use super::answer::Answer;
use super::book::{Book, Fact};
use super::site::{Site, connect, create_keyspace};

pub(super) async fn checks(site: &Site, book: &mut Book) {
    keyspaces(site, book).await;
    book.group("table options");
    options(site, book).await;
    tombstones(site, book).await;
    eight_openers(site, book).await;
}

async fn keyspaces(site: &Site, book: &mut Book) {
    book.group("keyspaces");
    let datacenters = site.datacenters();
    let first = datacenters.keys().next().cloned().unwrap_or_default();
    let one = |name: &str| format!("{}_{name}", site.name);
    book.see(
        Fact {
            id: "keyspace-low-rf",
            shows: "A replication factor below 3 is taken with a warning",
            scylla: ("done, with a warning", |a| a.says("Replication Factor")),
            cassandra: Some(("done", Answer::ok)),
        },
        site.ask(&create_keyspace(&one("rf1"), [(first.as_str(), 1)].into_iter(), "")),
    )
    .await;
    book.see(
        Fact {
            id: "keyspace-unknown-dc",
            shows: "A datacenter that is not there is refused",
            scylla: ("2300 Unrecognized strategy option", |a| {
                a.refused("2300", "Unrecognized strategy option")
            }),
            cassandra: Some(("2300 Unrecognized strategy option", |a| {
                a.refused("2300", "Unrecognized strategy option")
            })),
        },
        site.ask(&create_keyspace(&one("dcx"), [("nowhere", 1)].into_iter(), "")),
    )
    .await;
    book.see(
        Fact {
            id: "keyspace-class",
            shows: "The class of a replication comes back with its package",
            scylla: ("org.apache.cassandra.locator.NetworkTopologyStrategy", |a| {
                a.says("org.apache.cassandra.locator.Net")
            }),
            cassandra: Some(("org.apache.cassandra.locator.NetworkTopologyStrategy", |a| {
                a.says("org.apache.cassandra.locator.Net")
            })),
        },
        async {
            let asked = format!(
                "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '{}'",
                site.keyspace
            );
            let result = match site.session.query_unpaged(asked, &[]).await {
                Ok(result) => result,
                Err(e) => return Answer::of(Err(e)),
            };
            let rows = match result.into_rows_result() {
                Ok(rows) => rows,
                Err(e) => return Answer::None(e.to_string()),
            };
            match rows.single_row::<(BTreeMap<String, String>,)>() {
                Ok((map,)) => Answer::Seen(format!("{map:?}")),
                Err(e) => Answer::None(e.to_string()),
            }
        },
    )
    .await;
    let tablets = one("tablets");
    let made = async {
        let answer = site.ask(&site.create_keyspace(&tablets, "{'enabled': true}")).await;
        match answer.refused("2300", "not enabled") {
            true => Answer::Cannot(format!("tablets are off on this cluster: {answer}")),
            false => answer,
        }
    };
    book.see(
        Fact {
            id: "keyspace-tablets",
            shows: "A keyspace with tablets can be made, with a warning that it has no LWT",
            scylla: ("done, with a warning", |a| a.says("tablets")),
            cassandra: Some(("2000 or 2300: no such property", |a| {
                matches!(a, Answer::Refused(..))
            })),
        },
        async {
            match site.is_scylla() {
                true => made.await,
                false => {
                    let statement = create_keyspace(
                        &tablets,
                        [(first.as_str(), 1)].into_iter(),
                        "{'enabled': true}",
                    );
                    site.ask(&statement).await
                }
            }
        },
    )
    .await;
    book.see(
        Fact {
            id: "keyspace-flavour",
            shows: "A keyspace cannot be altered between tablets and vnodes",
            scylla: ("2200 Cannot alter replication strategy", |a| {
                a.refused("2200", "Cannot alter replication")
            }),
            cassandra: None,
        },
        site.ask(&format!("ALTER KEYSPACE {} WITH tablets = {{'enabled': true}}", site.keyspace)),
    )
    .await;
}

async fn options(site: &Site, book: &mut Book) {
    let table = |name: &str, with: &str| {
        format!("CREATE TABLE {}.{name} (cid blob PRIMARY KEY, v blob) WITH {with}", site.keyspace)
    };
    book.see(
        Fact {
            id: "option-compression",
            shows: "The names of compression's keys",
            scylla: ("sstable_compression: done", Answer::ok),
            cassandra: Some(("class: done", Answer::ok)),
        },
        site.ask(&table(
            "compressed",
            match site.is_scylla() {
                true => "compression = {'sstable_compression': 'ZstdCompressor', 'chunk_length_in_kb': 16}",
                false => "compression = {'class': 'ZstdCompressor', 'chunk_length_in_kb': 16}",
            },
        )),
    )
    .await;
    book.see(
        Fact {
            id: "option-compression-other",
            shows: "The other server's name for compression is refused",
            scylla: ("2300 Missing sub-option", |a| a.refused("2300", "Missing sub-option")),
            cassandra: None,
        },
        site.ask(&table("compressed2", "compression = {'class': 'LZ4Compressor'}")),
    )
    .await;
    for (id, strategy, there) in [
        ("option-lcs", "LeveledCompactionStrategy", true),
        ("option-ics", "IncrementalCompactionStrategy", false),
    ] {
        let scylla: super::book::Expected = match there {
            true => ("done", Answer::ok),
            false => ("2300 Unable to find compaction strategy class", |a| {
                a.refused("2300", "Unable to find compaction strategy")
            }),
        };
        let cassandra: super::book::Expected = match there {
            true => ("done", Answer::ok),
            false => ("2300", |a| a.refused("2300", "")),
        };
        book.see(
            Fact {
                id,
                shows: match there {
                    true => "LeveledCompactionStrategy is there",
                    false => "IncrementalCompactionStrategy is not (newer ScyllaDB has it)",
                },
                scylla,
                cassandra: Some(cassandra),
            },
            site.ask(&table(
                id.trim_start_matches("option-"),
                &format!("compaction = {{'class': '{strategy}'}}"),
            )),
        )
        .await;
    }
    for (id, with, shows) in [
        (
            "option-read-repair",
            "read_repair = 'BLOCKING'",
            "Cassandra's read_repair is unknown to ScyllaDB",
        ),
        (
            "option-write-policy",
            "additional_write_policy = '99p'",
            "Cassandra's additional_write_policy is unknown to ScyllaDB",
        ),
    ] {
        book.see(
            Fact {
                id,
                shows,
                scylla: ("2000 Unknown property", |a| a.refused("2000", "Unknown property")),
                cassandra: Some(("done", Answer::ok)),
            },
            site.ask(&table(&id.replace('-', "_"), with)),
        )
        .await;
    }
    book.see(
        Fact {
            id: "option-rate-limit",
            shows: "per_partition_rate_limit is an option of ScyllaDB's",
            scylla: ("done", Answer::ok),
            cassandra: Some(("2000 or 2300: no such property", |a| {
                matches!(a, Answer::Refused(..))
            })),
        },
        site.ask(&table("limited", "per_partition_rate_limit = {'max_writes_per_second': 1}")),
    )
    .await;
    book.see(
        Fact {
            id: "table-other-columns",
            shows: "IF NOT EXISTS over a table with other columns succeeds without a word",
            scylla: ("done", Answer::ok),
            cassandra: Some(("done", Answer::ok)),
        },
        site.ask("CREATE TABLE IF NOT EXISTS {t} (another int PRIMARY KEY)"),
    )
    .await;
}

async fn tombstones(site: &Site, book: &mut Book) {
    book.group("tombstones");
    let table = |name: &str, mode: &str| {
        format!(
            "CREATE TABLE {}.gc_{name} (cid blob PRIMARY KEY, v blob) WITH tombstone_gc = {{'mode': '{mode}'}}",
            site.keyspace
        )
    };
    for (id, mode) in
        [("gc-timeout", "timeout"), ("gc-immediate", "immediate"), ("gc-disabled", "disabled")]
    {
        book.see(
            Fact {
                id,
                shows: "A mode of tombstone_gc",
                scylla: ("done", Answer::ok),
                cassandra: None,
            },
            site.ask(&table(mode, mode)),
        )
        .await;
    }
    book.see(
        Fact {
            id: "gc-unknown",
            shows: "Another mode of tombstone_gc is refused",
            scylla: ("2300", |a| a.refused("2300", "")),
            cassandra: Some(("2000 or 2300: no such property", |a| {
                matches!(a, Answer::Refused(..))
            })),
        },
        site.ask(&table("unknown", "sometimes")),
    )
    .await;
    let low = site.datacenters().values().any(|nodes| *nodes < 3);
    book.see(
        Fact {
            id: "gc-repair",
            shows: "Mode repair needs more than one replica",
            scylla: ("done at RF 3, 2300 at RF 1", |a| a.ok() || a.refused("2300", "RF one")),
            cassandra: None,
        },
        async {
            let answer = site.ask(&table("repair", "repair")).await;
            match (low, &answer) {
                (true, Answer::Done(_)) => Answer::Seen("done below RF 3".to_owned()),
                _ => answer,
            }
        },
    )
    .await;
    book.see(
        Fact {
            id: "gc-default",
            shows: "DESCRIBE tells the mode of a table without tablets (none: timeout)",
            scylla: ("no other mode than timeout", |a| {
                a.ok() && !["repair", "immediate", "disabled"].iter().any(|mode| a.says(mode))
            }),
            cassandra: None,
        },
        async {
            let asked = format!(
                "SELECT extensions FROM system_schema.tables WHERE keyspace_name = '{}' AND table_name = 't'",
                site.keyspace
            );
            site.ask(&asked).await
        },
    )
    .await;
    book.see(
        Fact {
            id: "gc-resurrection",
            shows: "An insert older than a delete shows again once the tombstone is gone (immediate, or grace 0)",
            scylla: ("visible again after a restart and a compaction", |_| false),
            cassandra: None,
        },
        async { Answer::Cannot("tombstones go only after a restart of the server".to_owned()) },
    )
    .await;
    book.see(
        Fact {
            id: "truncate-no-tombstone",
            shows: "TRUNCATE leaves no tombstone: a write with an old stamp is seen afterwards",
            scylla: ("one row", |a| a.rows() == Some(1)),
            cassandra: Some(("one row", |a| a.rows() == Some(1))),
        },
        site.ask_all(&[
            "INSERT INTO {u} (cid, v) VALUES (0x01, 0x01)",
            "TRUNCATE {u}",
            "INSERT INTO {u} (cid, v) VALUES (0x01, 0x02) USING TIMESTAMP 5",
            "SELECT v FROM {u} WHERE cid = 0x01",
        ]),
    )
    .await;
}

async fn eight_openers(site: &Site, book: &mut Book) {
    book.group("schema changes at once");
    book.see(
        Fact {
            id: "ddl-eight",
            shows: "Eight sessions that create the same tables at once, IF NOT EXISTS, do no harm",
            scylla: ("no error", |a| a.says("no error")),
            cassandra: Some(("no error", |a| a.says("no error"))),
        },
        async {
            let mut sessions = Vec::new();
            for _ in 0..8 {
                match connect(&site.access, None).await {
                    Ok(session) => sessions.push(session),
                    Err(e) => return Answer::None(e.to_string()),
                }
            }
            let statement = "CREATE TABLE IF NOT EXISTS {k}.eight (cid blob PRIMARY KEY, v blob)";
            let creators = sessions.iter().map(|session| site.ask_at(session, statement));
            let answers = futures::future::join_all(creators).await;
            match answers.into_iter().find(|answer| !answer.ok()) {
                None => Answer::Seen("no error".to_owned()),
                Some(answer) => answer,
            }
        },
    )
    .await;
}
