//! The command line: all commands of `ferrule`. Every command except `run` is implemented here.

pub mod arguments;
mod check;
mod compare;
mod ctl;
mod ctl_clients;
mod ctl_events;
mod ctl_operator;
mod ctl_routes;
mod ctl_table;
mod ctl_upstreams;
mod explain;
mod import;
pub(crate) mod inventory;
mod manual;
mod tips;
