//! Which nodes have fallen silent.
//!
//! The driver learns of a silent node only when its keepalive times out, up to ten seconds
//! later, and until then goes on choosing it: a request that is given up tells its load
//! balancing nothing. So it is counted here when the first request of a node went out
//! since the node last answered. One that stays silent for `demote_after` is asked last;
//! once a second a request still tries it, and its first answer ends the matter.
//!
//! A node that is cut off from its peers is worse: it takes every request, and answers after
//! its own time limit that the others were not heard of, until it takes them for dead some
//! twenty seconds later. Such answers do not count: a node that gives no other is asked last
//! as a silent one is. Where all nodes give no other, their order is as it was.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use uuid::Uuid;

/// How often a silent node is tried.
const PROBE: Duration = Duration::from_secs(1);

/// What is known of each node's answers.
#[derive(Debug)]
pub(crate) struct Watch {
    began: Instant,
    after: u64,
    nodes: RwLock<HashMap<Uuid, Arc<Node>>>,
    silent: AtomicUsize,
    demotions: AtomicU64,
}

/// Times are nanoseconds since the watch began, plus one; zero is "none".
#[derive(Debug, Default)]
struct Node {
    /// When the first request went out since the last answer.
    asked: AtomicU64,
    /// When the node may be tried again.
    probe: AtomicU64,
    silent: AtomicBool,
    /// Whether the last answer was that its peers were not heard of.
    hampered: AtomicBool,
    /// How often it answered.
    answers: AtomicU64,
}

impl Watch {
    /// Demotes nodes that are silent for so long.
    pub(crate) fn new(after: Duration) -> Self {
        Self {
            began: Instant::now(),
            after: nanos(after),
            nodes: RwLock::default(),
            silent: AtomicUsize::new(0),
            demotions: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        nanos(self.began.elapsed()).saturating_add(1)
    }

    fn node(&self, id: Uuid) -> Arc<Node> {
        if let Some(node) = self.nodes.read().get(&id) {
            return Arc::clone(node);
        }
        Arc::clone(self.nodes.write().entry(id).or_default())
    }

    /// A request is about to go to a node: whether it had better go elsewhere. Where not,
    /// the wait for its answer begins. Only a request that may go to another node if this
    /// one stays silent should be the one that `tries` a silent node.
    pub(crate) fn avoid(&self, id: Uuid, tries: bool) -> bool {
        let nodes = self.nodes.read();
        let Some(node) = nodes.get(&id) else {
            drop(nodes);
            self.node(id).asked.store(self.now(), Ordering::Relaxed);
            return false;
        };
        let now = self.now();
        let asked = node.asked.load(Ordering::Relaxed);
        if asked == 0 {
            node.asked.store(now, Ordering::Relaxed);
            return false;
        }
        if now.saturating_sub(asked) < self.after {
            return false;
        }
        self.demote(id, node);
        if !tries {
            return true;
        }
        let probe = node.probe.load(Ordering::Relaxed);
        let next = now.saturating_add(nanos(PROBE));
        // One request a second finds out whether the node is back.
        now < probe
            || node
                .probe
                .compare_exchange(probe, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
    }

    /// A node answered that it did not hear of its peers: it is there, and may be of no use.
    pub(crate) fn hampered(&self, id: Uuid) {
        let node = self.node(id);
        node.answers.fetch_add(1, Ordering::Relaxed);
        node.hampered.store(true, Ordering::Relaxed);
    }

    /// Whether a node is known to answer nothing at all.
    pub(crate) fn is_mute(&self, id: Uuid) -> bool {
        let hampered = |node: &Arc<Node>| node.hampered.load(Ordering::Relaxed);
        self.is_silent(id) && !self.nodes.read().get(&id).is_some_and(hampered)
    }

    /// Whether a node is silent or as good as that, without asking it.
    pub(crate) fn is_silent(&self, id: Uuid) -> bool {
        self.silent.load(Ordering::Relaxed) > 0
            && self.nodes.read().get(&id).is_some_and(|node| node.silent.load(Ordering::Relaxed))
    }

    /// Whether any node is.
    pub(crate) fn any_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed) > 0
    }

    /// A node answered, whatever it said but that it was [`hampered`](Self::hampered).
    pub(crate) fn answered(&self, id: Uuid) {
        let nodes = self.nodes.read();
        let Some(node) = nodes.get(&id) else {
            drop(nodes);
            self.node(id).answers.fetch_add(1, Ordering::Relaxed);
            return;
        };
        node.answers.fetch_add(1, Ordering::Relaxed);
        node.asked.store(0, Ordering::Relaxed);
        node.hampered.store(false, Ordering::Relaxed);
        if node.silent.load(Ordering::Relaxed) && node.silent.swap(false, Ordering::Relaxed) {
            self.silent.fetch_sub(1, Ordering::Relaxed);
            tracing::info!(node = %id, "a node answers again");
        }
    }

    /// A request that only one node was asked for got no answer in time.
    pub(crate) fn gave_up_on(&self, id: Uuid) {
        let node = self.node(id);
        node.hampered.store(false, Ordering::Relaxed);
        let long_ago = self.now().saturating_sub(self.after).max(1);
        node.asked.store(long_ago, Ordering::Relaxed);
        node.probe.store(self.now().saturating_add(nanos(PROBE)), Ordering::Relaxed);
        self.demote(id, &node);
    }

    fn demote(&self, id: Uuid, node: &Node) {
        if !node.silent.load(Ordering::Relaxed) && !node.silent.swap(true, Ordering::Relaxed) {
            self.silent.fetch_add(1, Ordering::Relaxed);
            self.demotions.fetch_add(1, Ordering::Relaxed);
            let hampered = node.hampered.load(Ordering::Relaxed);
            let why = if hampered { "does not reach its peers" } else { "does not answer" };
            tracing::warn!(node = %id, "a node {why}, and is asked last from now on");
        }
    }

    /// The nodes that are asked last now.
    pub(crate) fn silent(&self) -> Vec<Uuid> {
        let nodes = self.nodes.read();
        let silent = nodes.iter().filter(|(_, node)| node.silent.load(Ordering::Relaxed));
        silent.map(|(id, _)| *id).collect()
    }

    /// How often each node answered.
    pub(crate) fn answers(&self) -> BTreeMap<Uuid, u64> {
        let nodes = self.nodes.read();
        nodes.iter().map(|(id, node)| (*id, node.answers.load(Ordering::Relaxed))).collect()
    }

    /// How often a node answered.
    pub(crate) fn answers_of(&self, id: Uuid) -> u64 {
        self.nodes.read().get(&id).map_or(0, |node| node.answers.load(Ordering::Relaxed))
    }

    /// How often a node was found to be silent or cut off.
    pub(crate) fn demotions(&self) -> u64 {
        self.demotions.load(Ordering::Relaxed)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_node_is_avoided_tried_now_and_then_and_taken_back() {
        let (watch, node, other) = (Watch::new(Duration::ZERO), Uuid::new_v4(), Uuid::new_v4());
        assert!(!watch.avoid(node, true), "nothing is known of it");
        // With no patience at all the second request finds it silent, and is the probe.
        assert!(!watch.avoid(node, true));
        assert!(watch.is_silent(node) && !watch.is_silent(other));
        assert!(watch.avoid(node, true), "the next probe is a second away");
        let (last, far) = (Watch::new(Duration::ZERO), Uuid::new_v4());
        assert!(!last.avoid(far, false));
        assert!(last.avoid(far, false), "whoever has no second chance is no probe");
        watch.answered(node);
        assert!(!watch.any_silent() && !watch.avoid(node, true));
        watch.gave_up_on(other);
        assert_eq!(watch.silent(), [other]);
        assert!(watch.avoid(other, true));
        assert_eq!(watch.demotions(), 2);
    }

    #[test]
    fn a_node_that_only_tells_of_unreachable_peers_is_avoided_and_not_mute() {
        let (watch, node) = (Watch::new(Duration::ZERO), Uuid::new_v4());
        assert!(!watch.avoid(node, true));
        watch.hampered(node);
        assert!(!watch.avoid(node, true), "the probe");
        watch.hampered(node);
        assert!(watch.avoid(node, true) && watch.is_silent(node) && !watch.is_mute(node));
        assert_eq!(watch.answers(), BTreeMap::from([(node, 2)]));
        watch.answered(node);
        assert!(!watch.avoid(node, true) && !watch.is_silent(node));
        watch.gave_up_on(node);
        assert!(watch.is_mute(node));
    }

    #[test]
    fn a_node_that_answers_is_never_silent() {
        let (watch, node) = (Watch::new(Duration::from_secs(60)), Uuid::new_v4());
        for _ in 0..100 {
            assert!(!watch.avoid(node, true));
            watch.answered(node);
        }
        assert!(!watch.avoid(node, true) && !watch.avoid(node, true));
        assert_eq!(watch.demotions(), 0);
        let seldom = Uuid::new_v4();
        watch.answered(seldom);
        assert_eq!((watch.answers_of(node), watch.answers_of(Uuid::new_v4())), (100, 0));
        assert_eq!(watch.answers(), BTreeMap::from([(node, 100), (seldom, 1)]));
    }
}
