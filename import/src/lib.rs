//! Turns the configuration of another gateway into one of Ferrule, and says what became of each object.
//!
//! In: the text of an `apisix.yaml`, its JSON twin, or objects of the admin API, and perhaps a `config.yaml`
//! ([`apisix::convert`]); or that of an `nginx.conf` and what it includes ([`nginx::convert`]). Out: an [`Import`]: a report, and, if nothing is refused, a configuration that
//! `ferrule_config` takes, with the files it names. What is not understood is refused, never left out in silence: a
//! plugin that was dropped may have been the one that kept people out.
//!
//! [`Import::write`] lays it down as a folder, which appears whole or not at all.

mod authorities;
mod document;
mod fields;
mod output;
mod pcre;
mod proof;
mod report;
mod work;

pub mod apisix;
pub mod haproxy;
pub mod ingress;
pub mod json;
pub mod nginx;
pub mod yaml;

pub use document::{DocumentError, Entry, LIMITS, Limits, Node, Spot, Value};
pub use output::{Import, OutputError};
pub use report::{Finding, Kind, Outcome, Report};
