//! Why an exchange with a store has failed.

use std::fmt;

use redis::ServerError;

use crate::limits::StoreOutcome;

/// Why, for the log and the counters. What the store itself says is never shown: only words that are known here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct StoreFault {
    pub(super) outcome: StoreOutcome,
    words: String,
}

/// Errors of servers: the code, and what an operator should know of it.
const CODES: [(&str, StoreOutcome, &str); 13] = [
    ("WRONGPASS", StoreOutcome::Login, "user or password is wrong"),
    ("NOAUTH", StoreOutcome::Login, "it wants a password"),
    (
        "NOPERM",
        StoreOutcome::Login,
        "the user may not do this: EVALSHA, SCRIPT LOAD and PING are needed, and keys of \"ferrule:*\"",
    ),
    ("ERR", StoreOutcome::Refused, "the command failed"),
    (
        "WRONGTYPE",
        StoreOutcome::Refused,
        "a key that begins with \"ferrule:\" belongs to somebody else",
    ),
    ("READONLY", StoreOutcome::Refused, "it is a replica: name the server that writes"),
    ("LOADING", StoreOutcome::Refused, "it is starting"),
    ("BUSY", StoreOutcome::Refused, "it is running a script"),
    ("OOM", StoreOutcome::Refused, "it has no memory left"),
    ("MISCONF", StoreOutcome::Refused, "it cannot write to its disk"),
    ("MASTERDOWN", StoreOutcome::Refused, "its primary is away"),
    ("CLUSTERDOWN", StoreOutcome::Refused, "the cluster is down"),
    (
        "MOVED",
        StoreOutcome::Refused,
        "it is a cluster, or the cluster changes: `policy = \"redis-cluster\"`",
    ),
];

impl StoreFault {
    pub(super) fn new(outcome: StoreOutcome, words: impl Into<String>) -> Self {
        Self { outcome, words: words.into() }
    }

    /// An error that the server has answered with.
    pub(super) fn answered(error: &ServerError) -> Self {
        match CODES.iter().find(|(code, ..)| *code == error.code()) {
            Some((code, outcome, words)) => Self::new(*outcome, format!("{code}: {words}")),
            None => Self::new(StoreOutcome::Refused, "an error that is not known here"),
        }
    }
}

impl fmt::Display for StoreFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.words)
    }
}
