//! The jobs that are compared. Another one is another line here.

/// One job.
#[derive(Debug)]
pub(crate) struct Case {
    /// Its name on the command line and in the results.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) words: &'static str,
    /// Connections at once.
    pub(crate) connections: u32,
    /// mTLS on both sides, or plaintext on both.
    pub(crate) tls: bool,
    /// A new connection, and handshake, for every request.
    pub(crate) fresh: bool,
    /// What is asked for.
    pub(crate) path: &'static str,
}

const SMALL: Case = Case {
    name: "small-64",
    words: "small mTLS -> mTLS, 64 connections",
    connections: 64,
    tls: true,
    fresh: false,
    path: "/small",
};

/// In the order in which they run.
pub(crate) const CASES: &[Case] = &[
    SMALL,
    Case { name: "small-4", words: "small mTLS -> mTLS, 4 connections", connections: 4, ..SMALL },
    Case { name: "small-1", words: "small mTLS -> mTLS, 1 connection", connections: 1, ..SMALL },
    Case {
        name: "plain-64",
        words: "small plaintext -> plaintext, 64 connections",
        tls: false,
        ..SMALL
    },
];
