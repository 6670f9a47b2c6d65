//! Checked values: what the engine reads. A `Config` that exists is a `Config` that works, but for
//! what only certificates can tell.
//!
//! Names are lower case, paths absolute (resolved from the configuration file), references resolved
//! to indices, services merged into their routes and every default filled in.

mod access;
mod active_checks;
mod answers;
mod balance;
mod breaker;
mod checks;
mod condition;
mod config;
mod files;
mod http;
mod limits;
mod listen;
mod log;
mod observe;
mod patterns;
mod retry;
mod route;
mod runtime;
mod ssl;
mod trust;
mod upstream;

pub use ipnet::IpNet;

pub use access::{
    ClientLists, ClientMatch, ClientRule, ClientTerm, UriMatch, UriRest, UriSegment, Xfcc, XfccKey,
    XfccMode,
};
pub use active_checks::{ActiveChecks, ActiveHealthy, ActiveUnhealthy, CheckHeader, CheckKind};
pub use answers::{Answers, ErrorPage, Pacing, PageMedia, PageStatuses, Traceparent};
pub use balance::{Balance, BalanceMethod, HashInput, HashOn};
pub use breaker::{BreakHeader, BreakResponse, CircuitBreaker};
pub use checks::{Checks, OutlierDetection, PassiveChecks, PassiveHealthy, PassiveUnhealthy};
pub use condition::{Condition, Order, Test};
pub use config::Config;
pub use files::{FileAt, KeyPair, Pem, PemSource};
pub use http::{Expect, Forwarded, HalfClose, Http};
pub use limits::{QueueStatus, UpstreamQueue};
pub use listen::{Listen, ListenAddress, MtlsRoutes};
pub use log::{AccessFormat, AccessLog, ErrorFormat, Level, Log, LogEscape, LogTarget, OwnFormat};
pub use observe::{Admin, Metrics};
pub use patterns::{HostPattern, UriPattern};
pub use retry::{RetryBudget, RetryCause, RetryOn, RetryPolicy};
pub use route::{HeaderOps, HeaderValue, Route};
pub use runtime::{IoDriver, Resolving, Runtime};
pub use ssl::{ClientAuth, ClientVerify, KeyExchangeGroup, OnRevoke, Protocols, Reject, Server};
pub use trust::{CrlExpired, CrlMissing, Pin, Revocation};
pub use upstream::{
    HttpReuse, KeepalivePool, Node, NodeAddress, PassHost, ProxyProtocol, ProxyTlv, Scheme,
    Upstream, UpstreamCa, UpstreamTimeout, UpstreamTls, UpstreamVerify,
};
