//! How large things may be, and the texts of refusals.

use scylla::statement::batch::{Batch, BatchType};

use super::answer::Answer;
use super::book::{Book, Expected, Fact};
use super::site::Site;

const INSERT: &str = "INSERT INTO {u} (cid, v) VALUES (?, ?)";
const MIB: usize = 1 << 20;

pub(super) async fn checks(site: &Site, book: &mut Book) {
    book.group("limits");
    keys(site, book).await;
    values(site, book).await;
    book.group("error texts");
    texts(site, book).await;
    rate_limit(site, book).await;
}

async fn keys(site: &Site, book: &mut Book) {
    let key = |length: usize| site.put(INSERT, (vec![7_u8; length], vec![1_u8]));
    let empty: Expected =
        ("2200 Key may not be empty", |a| a.refused("2200", "Key may not be empty"));
    book.see(
        Fact {
            id: "key-empty",
            shows: "An empty key is refused on writes",
            scylla: empty,
            cassandra: Some(empty),
        },
        key(0),
    )
    .await;
    book.see(
        Fact {
            id: "key-65533",
            shows: "The longest key of ScyllaDB has 65,533 bytes",
            scylla: ("done", Answer::ok),
            cassandra: Some(("done", Answer::ok)),
        },
        key(65_533),
    )
    .await;
    book.see(
        Fact {
            id: "key-65534",
            shows: "One more: permanent, although its code looks like a passing error on ScyllaDB",
            scylla: ("0000 Key size too large", |a| a.refused("0000", "Key size too large")),
            cassandra: Some(("done", Answer::ok)),
        },
        key(65_534),
    )
    .await;
    book.see(
        Fact {
            id: "key-65536",
            shows: "65,536 bytes are too many for both",
            scylla: ("0000 Key size too large", |a| a.refused("0000", "Key size too large")),
            cassandra: Some(("2200", |a| a.refused("2200", ""))),
        },
        key(65_536),
    )
    .await;
}

async fn values(site: &Site, book: &mut Book) {
    let value = |mib: usize| async move {
        let answer = site.put(INSERT, (vec![8_u8], vec![1_u8; mib * MIB])).await;
        match answer {
            Answer::Refused(code, text) => Answer::Refused(code, text),
            other => other,
        }
    };
    for (id, mib, shows) in [
        ("value-1m", 1, "A value of 1 MiB, the most that is declared"),
        (
            "value-16m",
            16,
            "A value of 16 MiB (Cassandra: half a commit log segment, and 16 MiB a request)",
        ),
    ] {
        let cassandra: Expected = match mib {
            1 => ("done", Answer::ok),
            _ => ("refused", |a| !a.ok()),
        };
        book.see(
            Fact { id, shows, scylla: ("done", Answer::ok), cassandra: Some(cassandra) },
            value(mib),
        )
        .await;
    }
    book.see(
        Fact {
            id: "value-40m",
            shows: "40 MiB time out every time, on ScyllaDB",
            scylla: ("1100 after 2 s", |a| a.refused("1100", "")),
            cassandra: None,
        },
        value(40),
    )
    .await;
    book.see(
        Fact {
            id: "batch-large",
            shows: "A batch over many partitions that is too large is refused: 1 MiB on ScyllaDB, 50 KiB on Cassandra",
            scylla: ("2200 Batch too large", |a| a.refused("2200", "Batch too large")),
            cassandra: Some(("2200 Batch too large", |a| a.refused("2200", "Batch too large"))),
        },
        async {
            let prepared = match site.session.prepare(site.fill(INSERT)).await {
                Ok(prepared) => prepared,
                Err(e) => return Answer::of_prepare(&e),
            };
            let mut batch = Batch::new(BatchType::Unlogged);
            let mut rows = Vec::new();
            for i in 0..24_u8 {
                batch.append_statement(prepared.clone());
                rows.push((vec![9, i], vec![1_u8; 64 * 1024]));
            }
            Answer::of(site.session.batch(&batch, &rows).await)
        },
    )
    .await;
    book.see(
        Fact {
            id: "in-over-100",
            shows: "IN with more than 100 keys: permanent, although its code looks like a passing error",
            scylla: ("0000", |a| a.refused("0000", "")),
            cassandra: Some(("no rows", |a| a.rows() == Some(0))),
        },
        async {
            let keys: Vec<_> = (0..101).map(|i| format!("0xff{i:02x}")).collect();
            site.ask(&format!("SELECT cid FROM {{t}} WHERE cid IN ({})", keys.join(", "))).await
        },
    )
    .await;
}

async fn texts(site: &Site, book: &mut Book) {
    for (id, shows, statement, scylla, cassandra) in [
        (
            "text-table",
            "A table that is not there",
            "SELECT cid FROM {k}.nothing",
            (
                "2200 unconfigured table",
                (|a: &Answer| a.refused("2200", "unconfigured table")) as fn(&Answer) -> bool,
            ),
            ("2200", (|a: &Answer| a.refused("2200", "nothing")) as fn(&Answer) -> bool),
        ),
        (
            "text-keyspace",
            "A keyspace that is not there",
            "SELECT cid FROM {k}x.t",
            ("2200 Keyspace … does not exist", |a| a.refused("2200", "does not exist")),
            ("2200 keyspace … does not exist", |a| a.refused("2200", "does not exist")),
        ),
        (
            "text-column",
            "A column that is not there",
            "SELECT nothing FROM {t}",
            ("2200 Unrecognized name", |a| a.refused("2200", "Unrecognized name")),
            ("2200 Undefined column name", |a| a.refused("2200", "Undefined column name")),
        ),
        (
            "text-column-write",
            "The same in a write",
            "INSERT INTO {t} (cid, nothing) VALUES (0x01, 1)",
            ("2200 Unknown identifier", |a| a.refused("2200", "Unknown identifier")),
            ("2200 Undefined column name", |a| a.refused("2200", "Undefined column name")),
        ),
    ] {
        let fact = Fact { id, shows, scylla, cassandra: Some(cassandra) };
        book.see(fact, site.ask(statement)).await;
    }
}

async fn rate_limit(site: &Site, book: &mut Book) {
    book.see(
        Fact {
            id: "rate-limit",
            shows: "More writes to one partition than per_partition_rate_limit allows are an error of its own kind",
            scylla: ("RateLimitReached", |a| a.refused("rate limit", "rate limit")),
            cassandra: None,
        },
        async {
            let answer = site
                .ask(
                    "CREATE TABLE {k}.rate (cid blob PRIMARY KEY, v blob) \
                     WITH per_partition_rate_limit = {'max_writes_per_second': 1}",
                )
                .await;
            if !answer.ok() {
                return answer;
            }
            let mut last = answer;
            for _ in 0..2_000 {
                last = site.put("INSERT INTO {k}.rate (cid, v) VALUES (?, ?)", (vec![1_u8], vec![1_u8])).await;
                if !last.ok() {
                    break;
                }
            }
            last
        },
    )
    .await;
}
