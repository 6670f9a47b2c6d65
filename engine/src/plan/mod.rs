//! The checked configuration, compiled once for lookup. It is immutable, and cores share it by reference
//! count.
//!
//! In: a [`Config`](ferrule_config::model::Config). Out: a [`Plan`]. Its tables answer every question of the
//! hot path without allocating: which server object a name selects ([`sni`]), which route a request takes
//! ([`route`]), what its headers become ([`headers`], [`template`]), and where it goes ([`upstream`]). An id
//! is valid only for the plan that issued it ([`ids`]).

pub mod access;
mod access_log;
mod arguments;
mod attempt_values;
pub mod attempts;
pub mod balance;
mod bypass;
mod bypass_problem;
pub mod claims;
mod client;
mod compiled;
pub mod condition;
mod empty_variables;
pub mod error_pages;
mod fact;
pub mod facts;
mod field;
#[cfg(test)]
pub(crate) mod fixture;
pub mod forwarded;
pub mod gate;
pub mod guard_index;
pub mod guards;
pub mod headers;
pub mod hosts;
pub mod ids;
mod interpretations;
pub mod log_line;
mod methods;
pub mod names;
pub mod node;
mod overlap;
pub mod reach;
pub mod request_ids;
pub mod ring;
pub mod route;
pub mod sni;
mod succession;
pub mod template;
pub mod upstream;
mod value_writer;
mod values;

pub(crate) use access::ForbiddenKind;
pub use access::{Forbidden, RouteAccess, TrustId};
pub use compiled::{ListenerPlan, Plan, RoutePlan};
pub use condition::{Condition, Truth};
pub use facts::Facts;
pub use forwarded::ForwardedFields;
pub use gate::Gate;
pub use headers::{HeaderRules, IdentityHeaders};
pub use hosts::{HostBuf, HostName};
pub use ids::{ListenerId, NodeId, NodeIndex, PolicyId, RouteId, ServerId, UpstreamId};
pub use methods::MethodSet;
pub use node::NodePlan;
pub use reach::Reach;
pub use request_ids::RequestIds;
pub use route::{LookupResult, RouteMatch, RouteTable};
pub use sni::{HostMatch, HostMeaning, SniTable};
pub use template::Template;
pub use upstream::UpstreamPlan;
