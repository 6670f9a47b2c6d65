//! `http.real_ip`: whose word on a client's address is taken.

use ipnet::IpNet;

/// Where the address of a request's client is read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RealIp {
    /// In which part of the request.
    pub source: RealIpSource,
    /// Peers whose word is taken; at least one.
    pub trusted: Vec<IpNet>,
    /// Are trusted addresses at the end of `X-Forwarded-For` passed over?
    pub recursive: bool,
}

/// A part of a request that names an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RealIpSource {
    /// `http_x_forwarded_for`: a list, to which each proxy adds.
    ForwardedFor,
    /// `http_NAME`: one field of this name, in lower case with `-`.
    Header(String),
    /// `arg_NAME`: one query parameter.
    Argument(String),
}
