//! Where the checks work: a session, and keyspaces of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::serialize::row::SerializeRow;
use scylla::statement::{Consistency, Statement};

use super::answer::Answer;
use super::report::Server;
use crate::access::Access;
use crate::error::{Error, Result};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Of a removal, each by another node.
const RETRIES: usize = 5;

pub(super) struct Site {
    pub(super) access: Access,
    pub(super) session: Session,
    /// Starts the name of everything that the checks make.
    pub(super) name: String,
    /// A keyspace without tablets, replicated in every datacenter.
    pub(super) keyspace: String,
    server: Server,
}

impl Site {
    pub(super) async fn open(access: &Access) -> Result<Self> {
        let session = connect(access, None).await?;
        let server = server(&session).await?;
        let name = format!("certify_{:012x}", fastrand::u64(..1 << 48));
        let keyspace = format!("{name}_k");
        let site = Self { access: access.clone(), session, name, keyspace, server };
        let made = site.make().await;
        if made.is_err() {
            let _ = site.clear().await;
        }
        made.map(|()| site)
    }

    async fn make(&self) -> Result<()> {
        let keyspace = &self.keyspace;
        let statements = [
            self.create_keyspace(keyspace, "{'enabled': false}"),
            format!("CREATE TABLE {keyspace}.t (cid blob PRIMARY KEY, v blob, n bigint)"),
            format!("CREATE TABLE {keyspace}.u (cid blob PRIMARY KEY, v blob, n bigint)"),
            format!("CREATE TABLE {keyspace}.l (id text PRIMARY KEY, v blob, n int)"),
        ];
        for statement in statements {
            let answer = self.ask(&statement).await;
            if !answer.ok() {
                return Err(Error::failed(format!("{statement}: {answer}")));
            }
        }
        Ok(())
    }

    /// `CREATE KEYSPACE` with up to three replicas in every datacenter; `tablets` is for
    /// ScyllaDB alone.
    pub(super) fn create_keyspace(&self, keyspace: &str, tablets: &str) -> String {
        let replicas = self.datacenters();
        let replicas = replicas.iter().map(|(name, nodes)| (name.as_str(), (*nodes).min(3)));
        let tablets = if self.is_scylla() { tablets } else { "" };
        create_keyspace(keyspace, replicas, tablets)
    }

    /// Removes all that the checks made, and names what is left with the reason.
    pub(super) async fn clear(&self) -> Vec<String> {
        let mut statements: Vec<_> = match self.keyspaces().await {
            Ok(keyspaces) => keyspaces.iter().map(|name| format!("DROP KEYSPACE {name}")).collect(),
            Err(why) => return vec![format!("keyspaces {}*: {why}", self.name)],
        };
        if self.access.login.is_some() {
            statements.push(format!("DROP ROLE IF EXISTS {}", self.role()));
        }
        let mut left = Vec::new();
        for statement in statements {
            let mut answer = self.ask(&statement).await;
            for _ in 0..RETRIES {
                if answer.ok() {
                    break;
                }
                answer = self.ask(&statement).await;
            }
            if !answer.ok() {
                left.push(format!("{statement}: {answer}"));
            }
        }
        left
    }

    /// Those that the checks made.
    async fn keyspaces(&self) -> Result<Vec<String>, String> {
        let listed = "SELECT keyspace_name FROM system_schema.keyspaces";
        let result = self.session.query_unpaged(listed, &[]).await.map_err(|e| e.to_string())?;
        let rows = result.into_rows_result().map_err(|e| e.to_string())?;
        let rows = rows.rows::<(String,)>().map_err(|e| e.to_string())?;
        let mut keyspaces = Vec::new();
        for row in rows {
            let (name,) = row.map_err(|e| e.to_string())?;
            if name.starts_with(&self.name) {
                keyspaces.push(name);
            }
        }
        Ok(keyspaces)
    }

    /// The role that the checks of grants make.
    pub(super) fn role(&self) -> String {
        format!("{}_r", self.name)
    }

    pub(super) fn is_scylla(&self) -> bool {
        self.server.scylla
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Number of nodes by datacenter.
    pub(super) fn datacenters(&self) -> BTreeMap<String, usize> {
        let mut datacenters = BTreeMap::new();
        for node in self.session.get_cluster_state().get_nodes_info() {
            let name = node.datacenter.clone().unwrap_or_default();
            *datacenters.entry(name).or_default() += 1;
        }
        datacenters
    }

    /// One statement without values; its `{t}`, `{u}` and `{l}` are the tables.
    pub(super) async fn ask(&self, statement: &str) -> Answer {
        self.ask_at(&self.session, statement).await
    }

    pub(super) async fn ask_at(&self, session: &Session, statement: &str) -> Answer {
        Answer::of(session.query_unpaged(self.fill(statement), &[]).await)
    }

    /// One statement, prepared, with values.
    pub(super) async fn put(&self, statement: &str, values: impl SerializeRow) -> Answer {
        match self.session.prepare(self.fill(statement)).await {
            Ok(prepared) => Answer::of(self.session.execute_unpaged(&prepared, values).await),
            Err(e) => Answer::of_prepare(&e),
        }
    }

    /// The first of several statements that is refused, or the last answer.
    pub(super) async fn ask_all(&self, statements: &[&str]) -> Answer {
        let mut last = Answer::Done(Vec::new());
        for statement in statements {
            last = self.ask(statement).await;
            if !last.ok() {
                break;
            }
        }
        last
    }

    pub(super) fn fill(&self, statement: &str) -> Statement {
        let mut text = statement.to_owned();
        for table in ["t", "u", "l"] {
            text = text.replace(&format!("{{{table}}}"), &format!("{}.{table}", self.keyspace));
        }
        let mut statement = Statement::new(text.replace("{k}", &self.keyspace));
        statement.set_request_timeout(Some(TIMEOUT));
        statement
    }
}

pub(super) fn create_keyspace<'a>(
    keyspace: &str,
    replicas: impl Iterator<Item = (&'a str, usize)>,
    tablets: &str,
) -> String {
    let replicas: String = replicas.map(|(name, n)| format!(", '{name}': {n}")).collect();
    let tablets = match tablets {
        "" => String::new(),
        tablets => format!(" AND tablets = {tablets}"),
    };
    format!(
        "CREATE KEYSPACE {keyspace} WITH replication = \
         {{'class': 'NetworkTopologyStrategy'{replicas}}}{tablets}"
    )
}

/// A session that repeats nothing by itself; `datacenter` is the one to speak with.
pub(super) async fn connect(access: &Access, datacenter: Option<&str>) -> Result<Session> {
    let balancing = DefaultPolicy::builder();
    let balancing = match datacenter {
        Some(name) => balancing.prefer_datacenter(name.to_owned()),
        None => balancing,
    };
    let profile = ExecutionProfile::builder()
        .request_timeout(Some(TIMEOUT))
        .consistency(Consistency::LocalQuorum)
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .load_balancing_policy(balancing.build())
        .build();
    let builder = access.session_builder()?.default_execution_profile_handle(profile.into_handle());
    builder.build().await.map_err(|e| {
        let points: Vec<_> = access.contact_points.iter().map(ToString::to_string).collect();
        Error::failed(format!("no session with {}: {e}", points.join(", ")))
    })
}

async fn server(session: &Session) -> Result<Server> {
    let features = "SELECT supported_features FROM system.local";
    let scylla = Answer::of(session.query_unpaged(features, &[]).await).ok();
    let version = match scylla {
        true => "SELECT version FROM system.versions",
        false => "SELECT release_version FROM system.local",
    };
    let version = match Answer::of(session.query_unpaged(version, &[]).await) {
        Answer::Rows(rows) => {
            rows.first().and_then(|row| Some(row.split('=').nth(1)?.trim_matches('\'').to_owned()))
        }
        // On ScyllaDB the table needs a grant.
        _ => None,
    };
    let state = session.get_cluster_state();
    let mut nodes: Vec<_> = state
        .get_nodes_info()
        .iter()
        .map(|node| format!("{} {}", node.address, node.datacenter.as_deref().unwrap_or("?")))
        .collect();
    nodes.sort_unstable();
    Ok(Server { scylla, version: version.unwrap_or_else(|| "unknown".to_owned()), nodes })
}
