//! The CQL backend: a pinset on a ScyllaDB or Cassandra cluster, for many processes at a
//! time.
//!
//! ```no_run
//! # use pinstate_core::{Key, Put, ReadOptions, Result, Store, Version, WriteOptions};
//! # use pinstate_scylla::{ScyllaConfig, ScyllaStore, create_schema};
//! # async fn example() -> Result<()> {
//! let config = ScyllaConfig::new(["10.0.0.1", "10.0.0.2"], "ipfs_pins").with_local_dc("dc1");
//! // Once, by whoever may: what 'pinstate schema create --replication dc1=3' does.
//! create_schema(&config.clone().create("dc1=3")).await?;
//! let store = ScyllaStore::open(&config).await?;
//! let pins = store.open_namespace(&"default".parse()?).await?;
//! let key = Key::copy_from(b"the bytes of a CID");
//! pins.put(Put::new(key.clone(), "a pin", Version(1)), WriteOptions::if_newer()).await?;
//! assert!(pins.get(&key, ReadOptions::new()).await?.is_some());
//! store.close().await
//! # }
//! ```
//!
//! As a URI: `scylla://USER@HOST,HOST:9042/KEYSPACE?local_dc=dc1&consistency=LOCAL_QUORUM`,
//! or `scylla:@FILE` for a JSON configuration of the original ScyllaDB state store. All keys
//! are in [`ScyllaConfig`].
//!
//! # What is stored
//!
//! A **namespace is a table**, `PRIMARY KEY (cid)`, with the value verbatim in `v`. The
//! version of a record is the write time of `v`, bound as `USING TIMESTAMP`, so a write that
//! is repeated or comes late never overwrites a newer one, and servers agree on the winner
//! by their own rule, which is the contract's.
//!
//! A **plain delete** deletes the row at its version. A **conditional delete** (`if newer`)
//! empties `v` and sets `d`, the marker, whose write time is the delete's version. A record
//! is live if it has a value and no marker as new or newer. So a marker keeps older puts
//! out for as long as it is there, whatever servers do with their tombstones (on ScyllaDB
//! they may go after a repair, on both after `gc_grace_seconds`); `purge_deleted` turns it
//! into a plain delete of the same version, which may keep older puts out for some time
//! longer. No record needs more than one write, and reading costs one number more.
//!
//! Which table a namespace is stands in the **catalog**, a table of control records in a
//! keyspace of its own (ScyllaDB takes no lightweight transactions where there are
//! tablets), which alone is written by lightweight transactions. All namespaces are one
//! partition there, so putting one in another's place is one conditional batch. A table is
//! dropped when nothing points to it any more; what a process that died in between has
//! left, [`check_schema`] lists and [`upgrade_schema`] removes.
//!
//! # What is promised
//!
//! * **Acknowledged** means: by as many replicas as the consistency level says
//!   ([`Durability::Replicated`](pinstate_core::Durability)). What these replicas have done
//!   by then is the servers' own matter: with `commitlog_sync: periodic`, which both ship
//!   with, a node that dies loses what it acknowledged within the last moments, and what all
//!   replicas of a record lose is gone. `doctor` says what the servers are set to.
//! * **Failures say whether they happened**, by one table with a test for each row
//!   (`error.rs`). What is not known there is "outcome unknown, do not repeat".
//! * **One attempt.** A request goes to one node; to one other if the first refuses or its
//!   connection breaks; and once more, to another, if there was no answer at all within
//!   `attempt_timeout`. What was lost on the way stays unknown, whatever the other node
//!   says. A page goes to one replica after the other. All else is the retry layer's
//!   ([`ScyllaConfig::layers`]).
//! * **Silent nodes** are asked last after `demote_after`, long before the driver finds out
//!   that they are gone, and so are nodes that reach none of their peers (`watch.rs`).
//! * **Consistency is never lowered** unless `degraded_reads` says so, and then only for
//!   reads of single records: what is found is marked [`degraded`], counted and logged; what
//!   is not found stays an error. Scans, counts and exports never are.
//! * **A scan** gives rows in the order of their tokens, each once, whatever happens to
//!   nodes meanwhile, and ends only when all of its range was read. Its cursor is the last
//!   token and key. It reads up to four slices ahead, of about half a mebibyte each.
//! * **Handles** on a namespace that was dropped or replaced answer `NoNamespace`; those of
//!   other processes do so once the table is gone. A handle that another process holds on a
//!   *staged* namespace goes on under its new name: whoever replaces a namespace must be
//!   alone, which the binary asks for (`--exclusive`).
//! * **After `sync`** nothing applies that had been given up before: a write whose future was
//!   dropped is waited for as long as servers may work on it.
//!
//! [`degraded`]: pinstate_core::Record::degraded
//!
//! # Limits
//!
//! Keys of 1 to 65,533 bytes, values of 1 MiB unless configured, versions up to an hour
//! ahead of this machine's clock. Requests under way are limited (`max_in_flight` for each
//! connection, and 8 MiB of values in all), with a bounded queue and a bounded wait. Atomic
//! batches, `if absent` and `if version` are `Unsupported`: lightweight transactions and writes
//! with versions must not meet on one row.
//!
//! # The rooms
//!
//! `config.rs` what may be set, `factory.rs` how a store is opened by its name; `open.rs`
//! whether it fits the cluster; `session.rs` the driver's session, `translate.rs` where it reaches nodes; `schema.rs`, `ddl.rs`,
//! `tables.rs`, `admin.rs` keyspaces and tables;
//! `statements.rs` all statements; `catalog.rs` lightweight transactions, on which
//! `control.rs` and the namespaces of `store.rs` stand; `core.rs` what a store's parts
//! share; `namespace.rs` records; `scan.rs`, `page.rs`, `pace.rs`, `ring.rs` scans;
//! `count.rs` what is done over a whole namespace; `limit.rs`, `watch.rs`, `replicas.rs`,
//! `retry_policy.rs` how requests reach nodes; `error.rs` what failures mean; `health.rs`,
//! `doctor.rs`, `stats.rs` how it is.
//!
//! # Behaviour and its test
//!
//! | behaviour | test |
//! |---|---|
//! | the contract, raw and under layers, on three nodes | `tests/conformance.rs` |
//! | every key, the original file as it is, a URI | `config::tests::the_original_file_is_taken_as_it_is`, `a_uri_says_everything` |
//! | contradictions and wrong values are refused by name | `config::tests::contradictions_are_refused_with_the_reason`, `wrong_values_name_the_key_and_what_it_may_be` |
//! | `retryable_errors` only narrows | `config::tests::retryable_errors_only_narrow` |
//! | an unknown datacenter lists the real ones | `store::a_wrong_datacenter_lists_the_real_ones` |
//! | a datacenter without replicas, too few replicas | `open::tests::a_datacenter_without_replicas_is_refused`, `too_few_replicas_are_refused` |
//! | nothing is made without being asked for | `store::what_is_missing_is_not_made_without_being_asked_for` |
//! | older, newer and foreign schemas are refused | `store::schemas_of_others_and_other_versions_are_refused` |
//! | eight openers make one store | `store::eight_openers_make_one_store` |
//! | the schema is made, checked, tidied up; two dialects | `store::schema_is_made_checked_and_tidied_up`, `schema::tests::only_scylla_is_told_of_tablets` |
//! | versions a server should not see | `store::versions_that_no_server_should_see_are_refused` |
//! | order within a microsecond | `store::put_delete_put_within_a_microsecond_each_keeps_its_order` |
//! | markers outlive tombstones | `store::a_marker_keeps_older_puts_out_whatever_became_of_tombstones` |
//! | handles of other processes | `store::a_dropped_table_ends_the_handles_of_other_processes_too` |
//! | all that the suite asks, while one node after the other is killed and comes back | `conformance_node_killed` |
//! | scans: each row once, in order; keys of one token | `store::a_scan_gives_each_row_once_in_order_and_counts_agree`, `keys_whose_hashes_meet_are_neither_lost_nor_repeated` |
//! | the edge of the ring | `scan::tests::bounds_never_become_the_number_that_means_none` |
//! | control records, many writers | `store::of_many_who_set_a_control_record_one_wins_each_time` |
//! | errors: kind, retry class, outcome | `error::tests` |
//! | in-flight limit, queue, wait | `limit::tests` |
//! | silent nodes are gone around; without a quorum it is said; recovery; degraded reads | `watch::tests`, `nodes::a_silent_node_is_gone_around_and_two_dead_ones_are_told` |
//! | a node is cut from its peers, or from clients, under load | `links::nothing_acknowledged_is_lost_while_a_node_is_cut_from_its_peers_or_from_clients`, `watch::tests` |
//! | nodes behind NAT | `translate::tests`, `config::tests::rules_for_addresses_come_as_a_table_or_as_one_text`, all of `tests/frames` |
//! | an answer lost after the write: unknown, and repeated with the same version | `frames::writes::a_write_whose_answer_is_lost_is_unknown_and_repeated_with_its_version` |
//! | one other node is asked, never the same twice | `frames::writes::a_node_that_loses_answers_is_asked_once_and_another_answers` |
//! | what may be applied is never said not to be | `frames::writes::a_refusal_after_a_lost_answer_leaves_the_outcome_unknown`, `a_refusal_after_a_broken_connection_leaves_the_outcome_unknown` |
//! | a late write or its repetition never beats a newer one | `frames::writes::a_newer_write_wins_over_one_that_is_late`, `a_newer_write_wins_over_the_repetition_of_one_whose_answer_is_late` |
//! | errors of servers: kind, outcome, nodes asked, attempts, growing pauses | `frames::errors::errors_from_all_nodes_are_told_and_repeated_within_bounds`, `errors_from_one_node_do_not_reach_who_has_the_layers` |
//! | a page that fails, is lost or never comes: read again or told, never a short scan | `frames::scans::a_page_that_fails_is_read_again_or_told_and_the_scan_is_never_short`, `a_connection_cut_between_request_and_page_leaves_the_scan_whole`, `a_page_that_never_comes_is_read_from_another_replica` |
//! | opening ends in time where nodes never answer PREPARE | `frames::limits::opening_ends_where_a_node_never_prepares` |
//! | requests under way, counted before the nodes; a full queue and a long wait | `frames::limits::no_more_requests_than_allowed_are_under_way_and_a_full_queue_is_told`, `whoever_waits_too_long_for_a_place_is_told` |
//! | pages halved after failures, kept in size | `pace::tests` |
//! | each node in turn silent, dead, back, under load: nothing acknowledged lost, nothing deleted back, nothing denied that happened, scans whole; latency and failures after it | `storm::nothing_acknowledged_is_lost_while_each_node_falls_silent_and_dies`, `oracle::tests` |
//! | requests keep to the local datacenter, go on without the other, leave it for failover alone | `datacenters::requests_stay_in_the_local_datacenter_unless_failover_is_configured` |
//! | a datacenter without replicas, on real nodes | `datacenters::a_datacenter_without_replicas_is_refused_at_open` |
//! | passwords are read at each login | `session::tests::the_password_is_read_anew_at_every_login` |
//! | TLS: chain, name, age, `server_names`, unchecked with a warning | `security::certificates_are_checked` |
//! | wrong and missing logins and client's certificates | `security::a_login_or_a_clients_certificate_that_is_missing_or_wrong_is_said` |
//! | a password file is read again | `security::a_changed_password_is_read_from_its_file_at_the_next_login`, `an_open_store_logs_in_with_the_changed_password_when_its_connections_break` |
//! | SELECT and MODIFY are enough for data | `security::a_role_with_select_and_modify_does_all_with_data_and_nothing_else` |
//! | no secret is told | `security::nothing_that_fails_tells_a_secret` |
//! | health and doctor | `store::health_and_doctor_say_how_it_is`, `health::tests` |
//! | the binary; an import killed at any moment and run again | `cli/tests/scylla.rs` |
//! | the binary tells no secret, whatever fails | `cli/tests/secrets.rs` |
//! | a client that shares no code with this finds the bytes that Go writes | `cli/tests/independent.rs` |
//!
//! # Measured
//!
//! On two processors, which the servers share with the client, Cassandra 5.0.6:
//!
//! * `cargo bench -p pinstate-scylla --bench over_query_iter`, three nodes, RF 3, 100,000 pins:
//!   a scan takes 1 / 1.30 of the time of the driver's `query_iter` (range of five rounds 1.06
//!   to 1.40; another run gave 1.14), and 1 / 1.40 with 5 ms on each frame. What limits both is
//!   the servers' processors, of which ours keeps 1.9 of 2 busy.
//! * `cargo bench -p pinstate-scylla --bench over_driver -- 40000 5`, one node, 128 requests at a
//!   time, client and server on a processor each: processor time of the client over that of the
//!   driver in a loop, 1.01 for a put, 0.88 for a get, 1.13 and 0.95 for those of `State`, whose
//!   loop encodes and decodes as well (the gets ranged from 0.65 to 2.3: that server answered
//!   2,600 a second); throughput 1.23, 1.30, 1.01 and 1.13 times that of the loop; 0.46 and 0.36
//!   of the processor time that gocql takes.
//! * `scripts/memory-scylla target/release/pinstate 10000 200000`: peaks of 28 and 37 MiB for
//!   import, 21 and 25 MiB for export.
//!
//! # Not proven by a run here
//!
//! All of this ran on Cassandra 5.0.6. What only a ScyllaDB can show (`system.tablets`,
//! `BYPASS CACHE` and `USING TIMEOUT`, keyspaces with and without tablets, the column that
//! tells it from Cassandra, its error texts) follows what ScyllaDB 6.2.3 was seen to answer.

mod admin;
mod catalog;
mod config;
mod control;
mod core;
mod count;
mod ddl;
mod doctor;
mod error;
mod factory;
mod grace;
mod health;
mod limit;
mod namespace;
mod open;
mod pace;
mod page;
mod replicas;
mod retry_policy;
mod ring;
mod room;
mod scan;
mod schema;
mod session;
mod statements;
mod stats;
mod store;
mod tables;
mod translate;
mod watch;

#[doc(hidden)]
pub use admin::run_statement;
pub use admin::{SchemaReport, check_schema, create_schema, show_schema, upgrade_schema};
pub use config::{
    Compression, GoDuration, Level, LogLevel, RetryPolicy, Retryable, ScyllaConfig, SerialLevel,
    TlsConfig,
};
pub use doctor::{Doctor, Peer, doctor};
pub use error::BACKEND;
pub use factory::ScyllaFactory;
pub use schema::{Dialect, Replication, SCHEMA};
pub use stats::Stats;
pub use store::ScyllaStore;
#[doc(hidden)]
pub use tables::TablePool;
