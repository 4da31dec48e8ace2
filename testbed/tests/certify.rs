//! The report about a server, on the server that is at hand.

#![allow(clippy::unwrap_used, reason = "tests")]

use scylla::statement::{Consistency, Statement};
use testbed::certify::{Verdict, certify, write};
use testbed::{Options, for_tests};

#[test]
fn what_cassandra_answers_is_known_and_nothing_is_left_there() {
    let options = Options::topology("dc1:1,dc2:1".parse().unwrap()).with_auth();
    let Some(cluster) = for_tests::cluster(&options) else { return };
    let report = certify(cluster.access()).unwrap();

    let differs = report.checks.iter().filter(|check| check.verdict == Verdict::Differs);
    let differs: Vec<_> = differs.map(|c| format!("{}: {}", c.id, c.observed)).collect();
    assert!(differs.is_empty(), "{differs:#?}");
    let mut ids: Vec<_> = report.checks.iter().map(|check| check.id.as_str()).collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id is there twice");
    if !report.server.scylla {
        let sharded = report.checks.iter().find(|check| check.id == "route-tablets").unwrap();
        assert_eq!(sharded.verdict, Verdict::CannotBeShown);
        assert_eq!(sharded.observed, "not ScyllaDB: cannot be shown here");
    }

    assert!(report.left.is_empty(), "{:?}", report.left);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let left = runtime.block_on(async {
        let session = cluster.session_builder().unwrap().build().await.unwrap();
        let mut left = Vec::new();
        for statement in [
            "SELECT keyspace_name FROM system_schema.keyspaces",
            "SELECT role FROM system_auth.roles",
        ] {
            let mut statement = Statement::new(statement);
            statement.set_consistency(Consistency::One);
            let rows = session.query_unpaged(statement, &[]).await.unwrap();
            let rows = rows.into_rows_result().unwrap();
            left.extend(rows.rows::<(String,)>().unwrap().map(|row| row.unwrap().0));
        }
        left
    });
    assert!(!left.iter().any(|name| name.starts_with("certify_")), "{left:?}");

    let folder = tempfile::tempdir().unwrap();
    write(&report, &folder.path().join("report")).unwrap();
    let page = std::fs::read_to_string(folder.path().join("report/report.html")).unwrap();
    assert!(report.checks.iter().all(|check| page.contains(&format!("<code>{}</code>", check.id))));
}
