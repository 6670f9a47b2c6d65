//! What the file may hold: every table and every key, said once.
//!
//! The reader, the JSON Schema, the reference and the defaults are all made from [`ROOT`], so that
//! they cannot drift apart. `key` says what a description is made of, `root` is the file as a whole,
//! `refused` holds the keys that are known and not taken, `foreign_keys` those of other proxies;
//! `example` shows how a key is written.

mod active_checks;
mod balance;
mod body_filters;
mod breaker;
mod checks;
mod crl_fetch;
pub(crate) mod example;
pub(crate) mod foreign_keys;
mod header_changes;
mod http;
mod key;
mod limits;
mod log;
mod observe;
mod proxy;
mod real_ip;
mod refused;
mod request_id;
mod request_limits;
mod resolver;
mod retry;
mod root;
mod route_client;
mod shaping;
mod ssl_client;
mod ssl_defaults;
mod stores;
mod tables;
mod versions_and_groups;

pub(crate) use key::{Fallback, Key, Kind, Need, Table, Words};
pub(crate) use refused::{Refused, Why};
pub(crate) use root::{ROOT, every_table};
