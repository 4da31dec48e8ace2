//! The numbers that a store may tell of itself, beside what can be seen from outside.

use std::fmt;

/// How a number behaves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GaugeKind {
    /// It is what it is now.
    Level,
    /// It only grows, from the opening of the store.
    Total,
}

macro_rules! gauges {
    ($($name:ident = $text:literal, $kind:ident, $unit:literal, $about:literal;)*) => {
        /// A number that a store may tell of itself.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Gauge { $(#[doc = $about] $name,)* }

        impl Gauge {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its stable name, without a prefix or an ending.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// How it behaves.
            #[must_use]
            pub const fn kind(self) -> GaugeKind {
                match self { $(Self::$name => GaugeKind::$kind,)* }
            }

            /// What is counted or measured.
            #[must_use]
            pub const fn unit(self) -> &'static str {
                match self { $(Self::$name => $unit,)* }
            }

            /// What it says, in a line.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)* }
            }
        }
    };
}

gauges! {
    Connections = "connections", Level, "connections", "Open connections to the nodes of a cluster";
    Nodes = "nodes", Level, "nodes", "Nodes of the cluster that the driver knows";
    NodesReachable = "nodes_reachable", Level, "nodes", "Of these, nodes that have a connection and are not silent";
    NodesDemoted = "nodes_demoted", Level, "nodes", "Nodes that are silent or do not reach their peers, and are asked last";
    NodeDemotions = "node_demotions", Total, "times", "How often a node was found to be so";
    RequestsUnderWay = "requests_in_flight", Level, "requests", "Requests to a cluster that are under way";
    RequestsLimit = "requests_limit", Level, "requests", "Most requests that may be under way";
    RequestsWaiting = "requests_waiting", Level, "requests", "Requests that wait for a place among those under way";
    Requests = "requests", Total, "requests", "Requests about single records";
    RequestWaits = "request_waits", Total, "requests", "Requests that had to wait for a place";
    RequestWaitSeconds = "request_wait_seconds", Total, "seconds", "How long requests waited for a place, in all";
    RequestRefusals = "request_refusals", Total, "requests", "Requests that were refused a place";
    SecondNodeRequests = "second_node_requests", Total, "requests", "Requests whose first node did not answer in time, so that another was asked";
    DegradedReads = "degraded_reads", Total, "reads", "Reads at a lower consistency than configured";
    ScanPageFailures = "scan_page_failures", Total, "attempts", "Attempts at a page of a scan that failed";
    Barriers = "barriers", Total, "barriers", "How often what was written was made durable, for many calls at a time: waits for the disk, unless the store promises less";
    BarrierCalls = "barrier_calls", Total, "calls", "Calls that were answered by these";
    BarrierSeconds = "barrier_seconds", Total, "seconds", "How long these took, in all";
    CallsWaiting = "calls_waiting", Level, "calls", "Writing calls that wait for their turn or for a barrier";
    AmbiguousControlWrites = "ambiguous_control_writes", Total, "writes", "Control writes whose answer left open what happened";
}

impl fmt::Display for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
