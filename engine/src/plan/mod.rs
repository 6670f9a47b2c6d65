//! The checked configuration, compiled once for lookup. It is immutable, and cores share it by reference
//! count.
//!
//! In: a [`Config`](ferrule_config::model::Config). Out: a [`Plan`]. Its tables answer every question of the
//! hot path without allocating: which server object a name selects ([`sni`]), which route a request takes
//! ([`route`]), what its headers become ([`headers`], [`template`]), and where it goes ([`upstream`]). An id
//! is valid only for the plan that issued it ([`ids`]).

pub mod access;
mod access_log;
pub mod address_set;
pub mod arguments;
mod attempt_values;
pub mod attempts;
pub mod balance;
pub mod body_filter;
mod bypass;
mod bypass_problem;
pub mod captures;
pub mod claims;
mod client;
pub mod client_lists;
mod compiled;
pub mod condition;
pub mod cors;
pub mod demands;
mod empty_variables;
pub mod error_pages;
mod fact;
pub mod facts;
mod field;
#[cfg(test)]
pub(crate) mod fixture;
pub mod forbidden;
pub mod forwarded;
pub mod gate;
pub mod guard_index;
pub mod guards;
pub mod headers;
mod host_paths;
pub mod hosts;
pub mod ids;
mod interpretations;
pub mod log_filter;
pub mod log_line;
mod methods;
pub mod named_capture;
pub mod names;
pub mod node;
mod overlap;
pub mod param_path;
pub mod policy;
pub mod reach;
pub mod real_ip;
pub mod request_ids;
pub mod request_limits;
pub mod reshape;
pub mod response_plan;
pub mod ring;
pub mod route;
pub mod sni;
pub mod split;
pub mod static_answer;
mod succession;
pub mod template;
pub mod upstream;
pub mod uri_plan;
mod value_writer;
mod values;

pub use access::{RouteAccess, TrustId};
pub use compiled::{ListenerPlan, Plan, RoutePlan};
pub use condition::{Condition, Truth};
pub use demands::RouteDemands;
pub use facts::Facts;
pub(crate) use forbidden::ForbiddenKind;
pub use forbidden::{Forbidden, OwnWords};
pub use forwarded::ForwardedFields;
pub use gate::Gate;
pub use headers::{HeaderRules, IdentityHeaders};
pub use host_paths::CandidateVerdict;
pub use hosts::{HostBuf, HostName};
pub use ids::{LimitId, ListenerId, NodeId, NodeIndex, PolicyId, RouteId, ServerId, UpstreamId};
pub use methods::MethodSet;
pub use node::NodePlan;
pub use policy::RoutePolicy;
pub use reach::Reach;
pub use request_ids::RequestIds;
pub use route::{LookupResult, RouteMatch, RouteTable};
pub use sni::{HostMatch, HostMeaning, SniTable};
pub use template::Template;
pub use upstream::UpstreamPlan;
