//! Shards, ports and tablets: which node and shard a request goes to.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use scylla::value::CqlValue;
use uuid::Uuid;

use super::answer::Answer;
use super::book::{Book, Fact};
use super::options_frame;
use super::site::Site;

const SHARD_PORT: u16 = 19_042;
const INSERTS: u32 = 200;

pub(super) async fn checks(site: &Site, book: &mut Book) {
    book.group("shards, ports and tablets");
    let point = site.access.contact_points.first().copied();
    let supported = || {
        let point = point.ok_or_else(|| "no contact point".to_owned())?;
        options_frame::supported(&site.access, point).map_err(|e| e.to_string())
    };
    book.see(
        Fact {
            id: "options-supported",
            shows: "Extensions that the server offers: shards, LWT mark, rate limit, tablets",
            scylla: (
                "SCYLLA_NR_SHARDS, SCYLLA_LWT_ADD_METADATA_MARK, SCYLLA_RATE_LIMIT_ERROR, TABLETS_ROUTING_V1",
                |a| {
                    let names = ["NR_SHARDS", "LWT_ADD", "RATE_LIMIT_ERROR", "TABLETS_ROUTING_V1"];
                    names.iter().all(|name| a.says(name))
                },
            ),
            cassandra: Some(("none of them", |a| a.says("CQL_VERSION") && !a.says("SCYLLA"))),
        },
        async {
            match supported() {
                Ok(map) => Answer::Seen(
                    map.iter()
                        .map(|(key, values)| format!("{key}={}", values.join(",")))
                        .collect::<Vec<_>>()
                        .join("; "),
                ),
                Err(e) => Answer::None(e),
            }
        },
    )
    .await;
    book.see(
        Fact {
            id: "shard-port-advertised",
            shows: "SCYLLA_SHARD_AWARE_PORT is advertised (only if it is set in scylla.yaml)",
            scylla: ("advertised, or not set", |a| matches!(a, Answer::Seen(_))),
            cassandra: None,
        },
        async {
            match supported() {
                Ok(map) => Answer::Seen(match map.get("SCYLLA_SHARD_AWARE_PORT") {
                    Some(port) => format!("advertised: {}", port.join(",")),
                    None => {
                        "not advertised: the driver finds shards over the usual port".to_owned()
                    }
                }),
                Err(e) => Answer::None(e),
            }
        },
    )
    .await;
    book.see(
        Fact {
            id: "shard-port-open",
            shows: "Port 19042 can be reached: where not, the driver's connects take longer",
            scylla: ("open", |a| a.says("open")),
            cassandra: None,
        },
        async {
            let Some(point) = point else { return Answer::None("no contact point".to_owned()) };
            let address = SocketAddr::new(point.ip(), SHARD_PORT);
            match TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
                Ok(_) => Answer::Seen(format!("{address} is open")),
                Err(e) => Answer::None(format!("{address}: {e}")),
            }
        },
    )
    .await;
    book.see(
        Fact {
            id: "shard-count",
            shows: "The driver knows the shards of every node",
            scylla: ("every node with its shards", |a| a.says("shards") && !a.says("no shards")),
            cassandra: Some(("no shards", |a| a.says("no shards"))),
        },
        async {
            let state = site.session.get_cluster_state();
            let nodes = state.get_nodes_info().iter().map(|node| match node.sharder() {
                Some(sharder) => format!("{}: {} shards", node.address, sharder.nr_shards),
                None => format!("{}: no shards", node.address),
            });
            Answer::Seen(nodes.collect::<Vec<_>>().join("; "))
        },
    )
    .await;
    book.see(
        Fact {
            id: "route-vnodes",
            shows: "Keyed inserts into a table without tablets reach a replica, and on ScyllaDB its shard",
            scylla: ("at least 95 % to the right shard", |a| share(a) >= 95),
            cassandra: Some(("at least 95 % to a replica", |a| share(a) >= 95)),
        },
        by_ring(site),
    )
    .await;
    let tablets = format!("{}_routes", site.name);
    book.see(
        Fact {
            id: "route-tablets",
            shows: "Keyed inserts into a table with tablets reach a shard that system.tablets names",
            scylla: ("at least 90 % to the right shard", |a| share(a) >= 90),
            cassandra: None,
        },
        by_tablets(site, &tablets),
    )
    .await;
    book.see(
        Fact {
            id: "tablets-table",
            shows: "system.tablets lists the tablets of a table, the last one up to the largest token",
            scylla: ("rows, the last with last_token 9223372036854775807", |a| {
                a.says("last_token=9223372036854775807")
            }),
            cassandra: Some(("2200 no such table", |a| a.refused("2200", "tablets"))),
        },
        site.ask(&format!(
            "SELECT last_token, tablet_count, replicas FROM system.tablets WHERE table_id = {}",
            table_id(site, &tablets).await
        )),
    )
    .await;
    book.see(
        Fact {
            id: "tablets-keyspaces",
            shows: "system_schema.scylla_keyspaces has a row for a keyspace with tablets",
            scylla: ("a row", |a| a.rows() == Some(1)),
            cassandra: None,
        },
        site.ask(&format!(
            "SELECT keyspace_name, initial_tablets FROM system_schema.scylla_keyspaces \
             WHERE keyspace_name = '{tablets}'"
        )),
    )
    .await;
}

const INSERT: &str = "INSERT INTO {t} (cid, v) VALUES (?, ?)";

/// Who coordinates keyed inserts, by the ring.
async fn by_ring(site: &Site) -> Answer {
    let prepared = match site.session.prepare(site.fill(INSERT)).await {
        Ok(prepared) => prepared,
        Err(e) => return Answer::of_prepare(&e),
    };
    let state = site.session.get_cluster_state();
    let mut right = 0;
    for i in 0..INSERTS {
        let values = (i.to_be_bytes().to_vec(), vec![1_u8]);
        let token = match prepared.calculate_token(&values) {
            Ok(Some(token)) => token,
            other => return Answer::None(format!("no token: {other:?}")),
        };
        let result = match site.session.execute_unpaged(&prepared, &values).await {
            Ok(result) => result,
            Err(e) => return Answer::of(Err(e)),
        };
        let coordinator = result.request_coordinator();
        let host = coordinator.node().host_id;
        let replicas = state.get_token_endpoints(&site.keyspace, "t", token);
        let owner = replicas.iter().any(|(node, shard)| {
            let shard_fits = node.sharder().is_none() || coordinator.shard() == Some(*shard);
            node.host_id == host && shard_fits
        });
        right += u32::from(owner);
    }
    let _ = site.ask("TRUNCATE {t}").await;
    percent(right)
}

fn percent(right: u32) -> Answer {
    Answer::Seen(format!("right: {} % of {INSERTS}", 100 * right / INSERTS))
}

/// Of [`percent`]; 0 for anything else.
fn share(answer: &Answer) -> u32 {
    let Answer::Seen(text) = answer else { return 0 };
    let number = text.strip_prefix("right: ").and_then(|text| text.split(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

async fn table_id(site: &Site, keyspace: &str) -> String {
    let asked = format!(
        "SELECT id FROM system_schema.tables WHERE keyspace_name = '{keyspace}' AND table_name = 't'"
    );
    match site.ask(&asked).await {
        Answer::Rows(rows) => rows.first().and_then(|row| row.split('=').nth(1).map(str::to_owned)),
        _ => None,
    }
    .unwrap_or_else(|| Uuid::nil().to_string())
}

/// Who coordinates keyed inserts, by system.tablets.
async fn by_tablets(site: &Site, keyspace: &str) -> Answer {
    for statement in [
        site.create_keyspace(keyspace, "{'enabled': true}"),
        format!("CREATE TABLE {keyspace}.t (cid blob PRIMARY KEY, v blob)"),
    ] {
        let answer = site.ask(&statement).await;
        if answer.refused("2300", "not enabled") {
            return Answer::Cannot(format!("tablets are off on this cluster: {answer}"));
        }
        if !answer.ok() {
            return answer;
        }
    }
    let insert = format!("INSERT INTO {keyspace}.t (cid, v) VALUES (?, ?)");
    let prepared = match site.session.prepare(insert).await {
        Ok(prepared) => prepared,
        Err(e) => return Answer::of_prepare(&e),
    };
    let tablets = match tablets(site, &table_id(site, keyspace).await).await {
        Ok(tablets) => tablets,
        Err(answer) => return answer,
    };
    let mut right = 0;
    for i in 0..INSERTS {
        let values = (i.to_be_bytes().to_vec(), vec![1_u8]);
        let token = match prepared.calculate_token(&values) {
            Ok(Some(token)) => token.value(),
            other => return Answer::None(format!("no token: {other:?}")),
        };
        let result = match site.session.execute_unpaged(&prepared, &values).await {
            Ok(result) => result,
            Err(e) => return Answer::of(Err(e)),
        };
        let coordinator = result.request_coordinator();
        let host = coordinator.node().host_id;
        let tablet = tablets.iter().find(|(last, _)| token <= *last);
        let owner = tablet.is_some_and(|(_, replicas)| {
            let shard = coordinator.shard().map(i64::from);
            replicas.iter().any(|(id, on)| *id == host && Some(*on) == shard)
        });
        right += u32::from(owner);
    }
    percent(right)
}

type Tablet = (i64, Vec<(Uuid, i64)>);

/// Last token and replicas of every tablet, in the order of the ring.
async fn tablets(site: &Site, table: &str) -> Result<Vec<Tablet>, Answer> {
    let asked = format!("SELECT last_token, replicas FROM system.tablets WHERE table_id = {table}");
    let result = site.session.query_unpaged(asked, &[]).await.map_err(|e| Answer::of(Err(e)))?;
    let rows = result.into_rows_result().map_err(|e| Answer::None(e.to_string()))?;
    let rows = rows.rows::<(i64, CqlValue)>().map_err(|e| Answer::None(e.to_string()))?;
    let mut tablets = Vec::new();
    for row in rows {
        let (last, replicas) = row.map_err(|e| Answer::None(e.to_string()))?;
        let (CqlValue::List(replicas) | CqlValue::Set(replicas) | CqlValue::Vector(replicas)) =
            replicas
        else {
            return Err(Answer::Seen("replicas is no list".to_owned()));
        };
        let replicas = replicas.iter().filter_map(|replica| match replica {
            CqlValue::Tuple(parts) => match parts.as_slice() {
                [Some(CqlValue::Uuid(host)), Some(CqlValue::Int(shard))] => {
                    Some((*host, i64::from(*shard)))
                }
                _ => None,
            },
            _ => None,
        });
        tablets.push((last, replicas.collect()));
    }
    tablets.sort_unstable_by_key(|(last, _)| *last);
    Ok(tablets)
}
