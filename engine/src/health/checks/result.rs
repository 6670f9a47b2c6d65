//! What one check came to: in words, and what it says of the node.

use std::fmt;

use ferrule_config::model::ActiveChecks;
use strum::{EnumCount, IntoStaticStr, VariantArray};

use crate::health::rules::FailureKind;

/// What one check came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CheckResult {
    /// There is a connection, and nothing more is asked for.
    Connected,
    /// An answer with this status.
    Answered(u16),
    /// An answer 400 from a node that was shown no certificate: what nginx says to a client without one.
    WantsCertificate,
    /// No connection, for this reason.
    NoConnection(String),
    /// The handshake failed, or TLS broke behind it, for this reason.
    Tls(String),
    /// What came is no answer: the word of the rule that it breaks.
    NotHttp(&'static str),
    /// It ended the connection before a whole head.
    Closed,
    /// It took too long, and was here by then.
    TimedOut(CheckStage),
    /// Not asked: we had no address, or no room for a connection. Says nothing of the node.
    NotAsked,
}

/// How far a check got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CheckStage {
    /// No connection yet.
    Connecting,
    /// Within the handshake of TLS.
    Handshake,
    /// The request is sent.
    Waiting,
}

/// What a check says of its node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CheckMeaning {
    /// It works.
    Passes,
    /// It does not.
    Fails(FailureKind),
    /// Nothing.
    Nothing,
}

/// The words of the metrics.
#[derive(Clone, Copy, Debug, EnumCount, Eq, IntoStaticStr, PartialEq, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum CheckWord {
    /// It passed.
    Passed,
    /// A status that fails.
    Status,
    /// A status of neither list.
    OtherStatus,
    /// No connection.
    Connect,
    /// TLS failed.
    Tls,
    /// No HTTP.
    NotHttp,
    /// Closed without an answer.
    Closed,
    /// Too slow.
    Timeout,
    /// Not asked.
    NotAsked,
}

impl CheckResult {
    /// What it says of the node under these settings.
    #[must_use]
    pub(super) fn meaning(&self, checks: &ActiveChecks) -> CheckMeaning {
        match self {
            Self::Connected => CheckMeaning::Passes,
            Self::Answered(status) => of_status(*status, checks),
            Self::WantsCertificate => of_status(400, checks),
            Self::NoConnection(_) | Self::Tls(_) | Self::NotHttp(_) | Self::Closed => {
                CheckMeaning::Fails(FailureKind::Tcp)
            }
            Self::TimedOut(_) => CheckMeaning::Fails(FailureKind::Timeout),
            Self::NotAsked => CheckMeaning::Nothing,
        }
    }

    /// The word of the metrics.
    #[must_use]
    pub fn word(&self, checks: &ActiveChecks) -> CheckWord {
        match (self, self.meaning(checks)) {
            (_, CheckMeaning::Passes) => CheckWord::Passed,
            (Self::Connected | Self::Answered(_) | Self::WantsCertificate, meaning) => {
                if meaning == CheckMeaning::Nothing {
                    CheckWord::OtherStatus
                } else {
                    CheckWord::Status
                }
            }
            (Self::NoConnection(_), _) => CheckWord::Connect,
            (Self::Tls(_), _) => CheckWord::Tls,
            (Self::NotHttp(_), _) => CheckWord::NotHttp,
            (Self::Closed, _) => CheckWord::Closed,
            (Self::TimedOut(_), _) => CheckWord::Timeout,
            (Self::NotAsked, _) => CheckWord::NotAsked,
        }
    }
}

fn of_status(status: u16, checks: &ActiveChecks) -> CheckMeaning {
    if checks.healthy.has(status) {
        CheckMeaning::Passes
    } else if checks.unhealthy.has(status) {
        CheckMeaning::Fails(FailureKind::Http)
    } else {
        CheckMeaning::Nothing
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => out.write_str("connected"),
            Self::Answered(status) => write!(out, "status {status}"),
            Self::WantsCertificate => {
                out.write_str("status 400, as nginx answers a client without a certificate; see `tls.client_cert`")
            }
            Self::NoConnection(reason) => write!(out, "no connection: {reason}"),
            Self::Tls(reason) => write!(out, "TLS: {reason}"),
            Self::NotHttp(word) => write!(out, "not an answer in HTTP: {word}"),
            Self::Closed => out.write_str("closed without an answer"),
            Self::TimedOut(CheckStage::Connecting) => out.write_str("timeout: no connection"),
            Self::TimedOut(CheckStage::Handshake) => out.write_str("timeout: TLS handshake"),
            Self::TimedOut(CheckStage::Waiting) => out.write_str("timeout: no answer"),
            Self::NotAsked => out.write_str("not asked"),
        }
    }
}
