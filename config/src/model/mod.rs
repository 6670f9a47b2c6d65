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
mod capture;
mod checks;
mod cipher_suite;
mod condition;
mod config;
mod crl_fetch;
mod demand;
mod files;
mod header_ops;
mod http;
mod limits;
mod listen;
mod log;
mod observe;
mod patterns;
mod real_ip;
mod request_id;
mod request_limits;
mod retry;
mod route;
mod runtime;
mod shaping;
mod split;
mod ssl;
mod stores;
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
pub use capture::{CapturedName, NamedCapture};
pub use checks::{Checks, OutlierDetection, PassiveChecks, PassiveHealthy, PassiveUnhealthy};
pub use cipher_suite::CipherSuite;
pub use condition::{Condition, Order, Test};
pub use config::Config;
pub use crl_fetch::{CrlFetch, CrlUrl};
pub use demand::{AddressDemand, AddressList, RefuseRule, Satisfy};
pub use files::{FileAt, KeyPair, Pem, PemSource};
pub use header_ops::{HeaderOps, HeaderValue};
pub use http::{Expect, Forwarded, ForwardedHost, HalfClose, Http, Router};
pub use limits::{QueueStatus, UpstreamQueue};
pub use listen::{Listen, ListenAddress, MtlsRoutes};
pub use log::{
    AccessFormat, AccessLog, ErrorFormat, Facility, Level, Log, LogEscape, LogFilter, LogTarget,
    OwnFormat, Syslog, SyslogFormat, SyslogServer,
};
pub use observe::{Admin, Metrics};
pub(crate) use patterns::PARAMS_MAX;
pub use patterns::{HostPattern, ParamPath, PathPiece, UriPattern};
pub use real_ip::{RealIp, RealIpSource};
pub use request_id::{IdAlgorithm, IdRange, RequestIdRule};
pub use request_limits::{
    BucketRule, ConcurrencyRule, LimitKind, LimitNumber, LimitNumberKey, LimitRule, RequestLimit,
    WindowRule, WindowType,
};
pub use retry::{RetryBudget, RetryCause, RetryOn, RetryPolicy};
pub use route::Route;
pub use runtime::{IoDriver, Resolving, Runtime};
pub use shaping::{
    AnswerBody, BODY_BYTES_MAX, BodyFile, BodyFilter, BodyFilters, Cors, CorsOrigins,
    FilterOversize, FilterScope, Redirect, RedirectTarget, ResponseRule, Rewrite, StaticAnswer,
    UriRule, may_have_body,
};
pub use split::{SplitRule, SplitShare};
pub use ssl::{
    ClientAuth, ClientEku, ClientVerify, KeyExchangeGroup, OnRevoke, Protocols, Reject, Server,
};
pub use stores::{LimitStore, Password, Store, StoreNode, StorePolicy};
pub use trust::{CrlExpired, CrlMissing, Pin, Revocation};
pub use upstream::{
    HttpReuse, KeepalivePool, Node, NodeAddress, PassHost, ProxyProtocol, ProxyTlv, Scheme,
    Upstream, UpstreamCa, UpstreamTimeout, UpstreamTls, UpstreamVerify,
};
