//! Relays between a store and real nodes that understand frames, and lose, delay and forge
//! them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pinstate_scylla::ScyllaConfig;
use scylla::errors::DbError;
use scylla_proxy::{
    Action, Condition, Node, Proxy, Reaction, RequestFrame, RequestOpcode, RequestReaction,
    RequestRule, ResponseFrame, ResponseOpcode, ResponseReaction, ResponseRule, RunningProxy,
    ShardAwareness, get_exclusive_local_address,
};
use testbed::Cluster;
use tokio::sync::Notify;

/// A request that came to a node and was met by a rule.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// From 0.
    pub(crate) node: usize,
    pub(crate) at: Instant,
    body: Vec<u8>,
}

impl Seen {
    /// Whether these bytes are among the bound values.
    pub(crate) fn has(&self, bytes: &[u8]) -> bool {
        self.body.windows(bytes.len()).any(|window| window == bytes)
    }
}

/// Requests that were seen, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<(Mutex<Vec<Seen>>, Notify)>);

impl Log {
    fn note(&self, node: usize, request: &RequestFrame) {
        let seen = Seen { node, at: Instant::now(), body: request.body.to_vec() };
        self.0.0.lock().push(seen);
        self.0.1.notify_waiters();
    }

    /// Those that carry these bytes.
    pub(crate) fn about(&self, bytes: &[u8]) -> Vec<Seen> {
        self.0.0.lock().iter().filter(|seen| seen.has(bytes)).cloned().collect()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Seen> {
        self.0.0.lock().clone()
    }

    /// Waits until there are so many about something; not for ever.
    pub(crate) async fn wait_for(&self, bytes: &[u8], count: usize) {
        let come = async {
            loop {
                let more = self.0.1.notified();
                tokio::pin!(more);
                more.as_mut().enable();
                if self.about(bytes).len() >= count {
                    return;
                }
                more.await;
            }
        };
        let come = tokio::time::timeout(Duration::from_secs(30), come).await;
        come.expect("the request never came to a node");
    }
}

/// A relay before each node of a cluster.
pub(crate) struct Proxied {
    proxy: RunningProxy,
    /// How a store gets there.
    pub(crate) config: ScyllaConfig,
    pub(crate) log: Log,
}

/// An address for a relay beside the node, so that clusters do not meet.
fn beside(node: SocketAddr) -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(20);
    let ip = match node.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => {
            let [a, b, c, _] = ip.octets();
            Ipv4Addr::new(a, b, c, NEXT.fetch_add(1, Ordering::Relaxed)).into()
        }
        _ => get_exclusive_local_address(),
    };
    SocketAddr::new(ip, node.port())
}

/// Requests to run a prepared statement, but for those of the driver about the cluster.
pub(crate) fn executes() -> Condition {
    Condition::RequestOpcode(RequestOpcode::Execute)
        .and(Condition::not(Condition::ConnectionRegisteredAnyEvent))
}

/// Those that carry these bytes.
pub(crate) fn about(bytes: &[u8]) -> Condition {
    executes().and(Condition::BodyContainsCaseSensitive(bytes.into()))
}

/// The condition for one time, after it was met so often.
pub(crate) fn once_after(condition: Condition, times: usize) -> Condition {
    let first = Condition::not(Condition::TrueForLimitedTimes(times));
    condition.and(first).and(Condition::TrueForLimitedTimes(1))
}

/// Results, but for those about the cluster.
pub(crate) fn results() -> Condition {
    Condition::ResponseOpcode(ResponseOpcode::Result)
        .and(Condition::not(Condition::ConnectionRegisteredAnyEvent))
}

/// Rules that do the same to each answer.
pub(crate) fn answers(condition: Condition, reaction: ResponseReaction) -> Vec<ResponseRule> {
    vec![ResponseRule(condition, reaction)]
}

impl Proxied {
    /// Begins relays; `config` is that of a store which goes to the nodes themselves.
    pub(crate) async fn start(cluster: &Cluster, config: &ScyllaConfig) -> Self {
        let pairs: Vec<_> =
            cluster.nodes().iter().map(|node| (node.address, beside(node.address))).collect();
        let node = |(real, own): &(SocketAddr, SocketAddr)| {
            Node::new(*real, *own, ShardAwareness::QueryNode, None, None)
        };
        let proxy = Proxy::new(pairs.iter().map(node)).run().await.unwrap();
        let mut config = config.clone();
        config.hosts = pairs.iter().map(|(_, own)| own.to_string()).collect();
        let rule = |(real, own): &(SocketAddr, SocketAddr)| (real.to_string(), own.to_string());
        config.address_translation = pairs.iter().map(rule).collect();
        config.create = false;
        Self { proxy, config, log: Log::default() }
    }

    /// Sets the rules for what comes to each node, by the node's number from 0.
    pub(crate) fn requests(&mut self, rules: impl Fn(usize) -> Vec<RequestRule>) {
        for (i, node) in self.proxy.running_nodes.iter_mut().enumerate() {
            node.change_request_rules(Some(rules(i)));
        }
    }

    /// Sets the rules for what each node answers.
    pub(crate) fn responses(&mut self, rules: impl Fn(usize) -> Vec<ResponseRule>) {
        for (i, node) in self.proxy.running_nodes.iter_mut().enumerate() {
            node.change_response_rules(Some(rules(i)));
        }
    }

    /// Lets everything pass.
    pub(crate) fn heal(&mut self) {
        self.proxy.turn_off_rules();
    }

    /// Writes down what comes to a node, and passes it on.
    pub(crate) fn noted(&self, node: usize, what: Condition) -> RequestRule {
        self.noted_and(node, what, || ())
    }

    /// The same, with something else to be done before it is passed on.
    pub(crate) fn noted_and(
        &self,
        node: usize,
        what: Condition,
        also: impl Fn() + Send + Sync + 'static,
    ) -> RequestRule {
        let log = self.log.clone();
        let note = move |request: RequestFrame| {
            log.note(node, &request);
            also();
            request
        };
        RequestRule(what, RequestReaction::transform_frame(Arc::new(note)))
    }

    /// Writes down what comes to a node, and passes it on after so long.
    pub(crate) fn late(&self, node: usize, what: Condition, after: Duration) -> RequestRule {
        let log = self.log.clone();
        let (come, mut frames) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some((frame, _)) = frames.recv().await {
                log.note(node, &frame);
            }
        });
        RequestRule(what, RequestReaction::delay(after).with_feedback_when_performed(come))
    }

    /// Writes down what comes to a node, and answers with an error in its stead.
    pub(crate) fn refused(
        &self,
        node: usize,
        what: Condition,
        error: DbError,
        text: &'static str,
    ) -> RequestRule {
        let log = self.log.clone();
        let forge = move |request: RequestFrame| {
            log.note(node, &request);
            let params = request.params.for_response();
            ResponseFrame::forged_error(params, error.clone(), Some(text)).unwrap()
        };
        let forged = Action { delay: None, msg_processor: Some(Arc::new(forge) as Arc<_>) };
        let reaction = RequestReaction {
            to_addressee: None,
            to_sender: Some(forged),
            drop_connection: None,
            feedback_channel: None,
        };
        RequestRule(what, reaction)
    }
}
