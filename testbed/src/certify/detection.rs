//! Which server it is, and which dialect it speaks.

use super::answer::Answer;
use super::book::{Book, Fact};
use super::site::Site;

pub(super) async fn checks(site: &Site, book: &mut Book) {
    book.group("detection and dialect");
    book.see(
        Fact {
            id: "detect-features",
            shows: "The column supported_features of system.local tells ScyllaDB from Cassandra, and needs no grant",
            scylla: ("a row", |a| a.rows() == Some(1)),
            cassandra: Some(("2200, no such column", |a| a.refused("2200", "supported_features"))),
        },
        async {
            match site.ask("SELECT supported_features FROM system.local").await {
                Answer::Rows(rows) if rows.len() == 1 => Answer::Rows(vec!["supported_features is there".to_owned()]),
                other => other,
            }
        },
    )
    .await;
    book.see(
        Fact {
            id: "detect-version",
            shows: "system.versions has the server's own version",
            scylla: ("a row", |a| a.rows() == Some(1)),
            cassandra: None,
        },
        site.ask("SELECT version, build_mode FROM system.versions"),
    )
    .await;
    book.see(
        Fact {
            id: "detect-peers-v2",
            shows: "There is no system.peers_v2: peers are read from system.peers",
            scylla: ("2200 unconfigured table", |a| a.refused("2200", "unconfigured table")),
            cassandra: Some(("rows", |a| a.rows().is_some())),
        },
        site.ask("SELECT peer FROM system.peers_v2"),
    )
    .await;
    book.see(
        Fact {
            id: "dialect-bypass-cache",
            shows: "BYPASS CACHE is a word of ScyllaDB's dialect alone",
            scylla: ("rows", |a| a.rows().is_some()),
            cassandra: Some(("2000, a syntax error", |a| a.refused("2000", ""))),
        },
        site.ask("SELECT cid FROM {t} BYPASS CACHE"),
    )
    .await;
    book.see(
        Fact {
            id: "dialect-using-timeout",
            shows: "USING TIMEOUT stands after BYPASS CACHE",
            scylla: ("rows", |a| a.rows().is_some()),
            cassandra: None,
        },
        site.ask("SELECT cid FROM {t} BYPASS CACHE USING TIMEOUT 60s"),
    )
    .await;
    book.see(
        Fact {
            id: "dialect-timeout-order",
            shows: "The other order is refused",
            scylla: ("2000, a syntax error", |a| a.refused("2000", "")),
            cassandra: None,
        },
        site.ask("SELECT cid FROM {t} USING TIMEOUT 60s BYPASS CACHE"),
    )
    .await;
    book.see(
        Fact {
            id: "dialect-timeout-expired",
            shows: "A USING TIMEOUT that expires is a read time-out",
            scylla: ("1200", |a| a.refused("1200", "Operation timed out")),
            cassandra: None,
        },
        site.ask("SELECT cid FROM {t} USING TIMEOUT 0ms"),
    )
    .await;
    book.see(
        Fact {
            id: "durability-commitlog",
            shows: "Whether acknowledged writes of one replica survive its death: commitlog_sync",
            scylla: ("periodic (as shipped: up to 10 s of writes are lost) or batch", |a| {
                a.says("periodic") || a.says("batch")
            }),
            cassandra: None,
        },
        site.ask("SELECT value FROM system.config WHERE name = 'commitlog_sync'"),
    )
    .await;
    book.see(
        Fact {
            id: "durability-kill",
            shows: "With commitlog_sync periodic, RF 1 and SIGKILL, acknowledged writes are lost",
            scylla: ("415 of 3,000 lost", |_| false),
            cassandra: None,
        },
        async {
            Answer::Cannot("needs a node to be killed, which a report does not do".to_owned())
        },
    )
    .await;
}
