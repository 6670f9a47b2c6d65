//! Raw tables become checked values.
//!
//! In: the [`Raw`](crate::raw::Raw) file. Out: a [`Config`](crate::model::Config) of every object that was whole; what was wrong is in
//! the problems, all of it. Each file here answers for some tables; `context` holds what they
//! share, `file` asks them all.

mod active_checks;
mod alike;
mod answers;
mod balance;
mod body_filters;
mod breaker;
mod captures;
mod checks;
mod clients;
mod conditions;
mod constants;
mod context;
mod cors;
mod crl_fetch;
mod demands;
mod file;
mod headers;
mod ids;
mod limits;
mod listens;
mod log;
mod log_targets;
mod observe;
mod pools;
mod process;
mod proxy_protocol;
mod reach;
mod real_ip;
mod redirect;
mod request_id;
mod request_limits;
mod response;
mod retry;
mod rewrite;
mod routes;
mod split;
mod ssls;
mod static_answer;
mod stores;
mod tls_choices;
mod trust;
mod upstreams;

pub(crate) use file::check;
