//! The driver alone on the cluster: keys and values are there as bytes, and nothing is encoded
//! or decoded. The statements, the connections and the routing are the backend's.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use bytes::Bytes;
use futures::TryStreamExt;
use pinstate_scylla::ScyllaConfig;
use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;
use tokio::runtime::Runtime;

use crate::engine::look_at;
use crate::pins::Pins;
use crate::scylla_shared;
use crate::subject::{BATCH, CALLERS, Op, SINGLES, Spent, Subject, measured};

/// Rows under way at the same time where the backend writes or reads many in one call.
const AT_A_TIME: usize = 128;

pub(crate) struct RawDriver {
    inner: Arc<Inner>,
    runtime: Arc<Runtime>,
    filled: bool,
}

struct Inner {
    session: Session,
    pins: Arc<Pins>,
    insert: PreparedStatement,
    select: PreparedStatement,
    scan: PreparedStatement,
    version: AtomicI64,
    table: String,
}

impl Inner {
    async fn put(&self, i: usize) {
        let (key, value) = &self.pins.records[i];
        let version = self.version.fetch_add(1, Ordering::Relaxed);
        let values = (&key[..], &value[..], version);
        self.session.execute_unpaged(&self.insert, values).await.unwrap();
    }

    async fn get(&self, i: usize) -> u64 {
        let key = self.pins.asked_keys[i].as_bytes();
        let result = self.session.execute_unpaged(&self.select, (key,)).await.unwrap();
        let rows = result.into_rows_result().unwrap();
        type Row = (Option<Bytes>, Option<i64>, Option<i64>);
        look_at(&rows.single_row::<Row>().unwrap().0.unwrap())
    }

    async fn truncate(&self) {
        self.session.query_unpaged(format!("TRUNCATE {}", self.table), ()).await.unwrap();
    }
}

impl RawDriver {
    /// In a table of its own, in a keyspace that is there.
    pub(crate) fn new(
        config: &ScyllaConfig,
        builder: scylla::client::session_builder::SessionBuilder,
        pins: &Arc<Pins>,
        runtime: &Arc<Runtime>,
    ) -> Self {
        let table = format!("\"{}\".raw_pins", config.keyspace);
        let inner = runtime.block_on(async {
            let session = scylla_shared::session(builder, config).await;
            let make = format!("CREATE TABLE {table} (cid blob PRIMARY KEY, v blob, d boolean)");
            session.query_unpaged(make, ()).await.unwrap();
            session.await_schema_agreement().await.unwrap();
            let ready = async |text: String| {
                let mut statement = session.prepare(text).await.unwrap();
                statement.set_is_idempotent(true);
                statement.set_use_cached_result_metadata(true);
                statement
            };
            let insert = format!("INSERT INTO {table} (cid, v) VALUES (?, ?) USING TIMESTAMP ?");
            let row = "SELECT v, writetime(v), writetime(d)";
            let select = format!("{row} FROM {table} WHERE cid = ?");
            let scan = format!("SELECT cid, v, writetime(v), writetime(d) FROM {table}");
            Inner {
                insert: ready(insert).await,
                select: ready(select).await,
                scan: ready(scan).await,
                session,
                pins: Arc::clone(pins),
                version: AtomicI64::new(1),
                table: table.clone(),
            }
        });
        Self { inner: Arc::new(inner), runtime: Arc::clone(runtime), filled: false }
    }

    /// Does something for each number, from so many tasks.
    fn each<F>(&self, count: usize, tasks: usize, work: fn(Arc<Inner>, usize) -> F) -> usize
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let next = Arc::new(AtomicUsize::new(0));
        self.runtime.block_on(async {
            let tasks: Vec<_> = (0..tasks)
                .map(|_| {
                    let (inner, next) = (Arc::clone(&self.inner), Arc::clone(&next));
                    tokio::spawn(async move {
                        loop {
                            let i = next.fetch_add(1, Ordering::Relaxed);
                            if i >= count {
                                return;
                            }
                            work(Arc::clone(&inner), i).await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        count
    }

    fn put(&self, count: usize, tasks: usize) -> usize {
        self.each(count, tasks, |inner, i| async move { inner.put(i).await })
    }

    fn get(&self, tasks: usize) -> usize {
        self.each(self.inner.pins.len(), tasks, |inner, i| async move {
            black_box(inner.get(i).await);
        })
    }

    fn scan(&self) -> usize {
        let inner = &self.inner;
        self.runtime.block_on(async {
            let mut scan = inner.scan.clone();
            scan.set_page_size(i32::try_from(BATCH).unwrap());
            let pages = inner.session.execute_iter(scan, ()).await.unwrap();
            type Row = (Bytes, Option<Bytes>, Option<i64>, Option<i64>);
            let mut rows = pages.rows_stream::<Row>().unwrap();
            let (mut seen, mut sum) = (0, 0);
            while let Some((_, value, ..)) = rows.try_next().await.unwrap() {
                sum += look_at(&value.unwrap());
                seen += 1;
            }
            black_box(sum);
            seen
        })
    }
}

impl Subject for RawDriver {
    fn name(&self) -> &'static str {
        "raw driver"
    }

    fn can(&self, op: Op) -> bool {
        matches!(op, Op::Add | Op::Add64 | Op::Get64 | Op::GetMany | Op::Scan)
    }

    fn run(&mut self, op: Op) -> Spent {
        let all = self.inner.pins.len();
        if op.writes() {
            self.runtime.block_on(self.inner.truncate());
            self.filled = false;
        } else if !self.filled {
            self.put(all, AT_A_TIME);
            self.filled = true;
        }
        let spent = measured(|| match op {
            Op::Add => self.put(all, AT_A_TIME),
            Op::Add64 => self.put(all.min(SINGLES), CALLERS),
            Op::Get64 => self.get(CALLERS),
            Op::GetMany => self.get(AT_A_TIME),
            _ => self.scan(),
        });
        assert!(op == Op::Add64 || spent.pins == all);
        spent
    }
}
