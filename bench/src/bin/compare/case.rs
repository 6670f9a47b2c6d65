//! The jobs that are compared. Another one is another line here.

/// Which protocol, on both sides of the proxy.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Tls {
    /// Plaintext.
    Off,
    /// TLS 1.2 alone.
    V12,
    /// TLS 1.3 alone.
    V13,
}

/// The keys of the proxy and of its clients.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Keys {
    /// ECDSA P-256.
    P256,
    /// RSA with 2048 bits.
    Rsa,
}

/// How a proxy is set up.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Setting {
    /// The protocol.
    pub(crate) tls: Tls,
    /// The keys of the client's side.
    pub(crate) keys: Keys,
    /// How many identity headers it adds: 0, 3 or 10.
    pub(crate) identity: usize,
    /// Does it write an access log, in JSON?
    pub(crate) log: bool,
    /// On how many cores it runs.
    pub(crate) workers: usize,
}

/// How it is loaded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Drive {
    /// Requests on connections that stay open, one behind the other.
    Keep,
    /// The same, each request with a body of this many bytes.
    Upload(usize),
    /// A new connection with a full handshake for every request.
    Full,
    /// A new connection with a resumed session for every request.
    Resumed,
}

/// What a case compares, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// All peers, as loaded as they can be: CPU time per request.
    Peers,
    /// All peers at the same rates: latency.
    Latency,
    /// All peers with idle connections: memory.
    Idle,
    /// Ferrule on one core and on several, at the same rate per core.
    Cores,
    /// Ferrule set up in two ways.
    Variants([(&'static str, Setting); 2]),
}

/// One job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// Its name on the command line and in the results.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) words: &'static str,
    /// Connections at once.
    pub(crate) connections: usize,
    /// How the proxies are set up.
    pub(crate) setting: Setting,
    /// How they are loaded.
    pub(crate) drive: Drive,
    /// What is asked for.
    pub(crate) path: &'static str,
    /// What is compared.
    pub(crate) shape: Shape,
    /// Is it a part of `--quick`?
    pub(crate) quick: bool,
}

/// The setting of most.
pub(crate) const MTLS: Setting =
    Setting { tls: Tls::V13, keys: Keys::P256, identity: 3, log: false, workers: 1 };

/// Bytes of the large response.
pub(crate) const LARGE_BYTES: usize = 1024 * 1024;

/// Bytes of the uploaded body.
pub(crate) const UPLOAD_BYTES: usize = 256 * 1024;

/// What most others differ from in one thing.
pub(crate) const SMALL: Case = Case {
    name: "small-64",
    words: "small mTLS -> mTLS, 64 connections",
    connections: 64,
    setting: MTLS,
    drive: Drive::Keep,
    path: "/small",
    shape: Shape::Peers,
    quick: true,
};

const FULL: Case = Case {
    name: "full-p256",
    words: "new connection, full handshake, P-256",
    connections: 16,
    drive: Drive::Full,
    ..SMALL
};

/// In the order in which they run.
pub(crate) const CASES: &[Case] = &[
    SMALL,
    Case {
        name: "small-4",
        words: "small mTLS -> mTLS, 4 connections",
        connections: 4,
        quick: false,
        ..SMALL
    },
    Case {
        name: "small-1",
        words: "small mTLS -> mTLS, 1 connection",
        connections: 1,
        quick: false,
        ..SMALL
    },
    Case {
        name: "tls12-64",
        words: "small mTLS -> mTLS, 64 connections, TLS 1.2",
        setting: Setting { tls: Tls::V12, ..MTLS },
        quick: false,
        ..SMALL
    },
    FULL,
    Case {
        name: "full-rsa",
        words: "new connection, full handshake, RSA-2048",
        setting: Setting { keys: Keys::Rsa, ..MTLS },
        quick: false,
        ..FULL
    },
    Case {
        name: "resumed-p256",
        words: "new connection, resumed, P-256",
        drive: Drive::Resumed,
        quick: false,
        ..FULL
    },
    Case {
        name: "large",
        words: "1 MiB response, 16 connections",
        connections: 16,
        path: "/large",
        ..SMALL
    },
    Case {
        name: "upload",
        words: "256 KiB upload, 16 connections",
        connections: 16,
        path: "/upload",
        drive: Drive::Upload(UPLOAD_BYTES),
        ..SMALL
    },
    Case {
        name: "plain-64",
        words: "small plaintext -> plaintext, 64 connections",
        setting: Setting { tls: Tls::Off, identity: 0, ..MTLS },
        quick: false,
        ..SMALL
    },
    Case {
        name: "latency",
        words: "latency at shares of nginx's saturation, 64 connections",
        shape: Shape::Latency,
        ..SMALL
    },
    Case { name: "idle", words: "KiB per idle mTLS connection", shape: Shape::Idle, ..SMALL },
    Case {
        name: "cores",
        words: "several cores, the same rate per core",
        shape: Shape::Cores,
        quick: false,
        ..SMALL
    },
    Case {
        name: "log",
        words: "access log in JSON",
        shape: Shape::Variants([("off", MTLS), ("on", Setting { log: true, ..MTLS })]),
        quick: false,
        ..SMALL
    },
    Case {
        name: "identity",
        words: "ten identity headers",
        shape: Shape::Variants([
            ("none", Setting { identity: 0, ..MTLS }),
            ("ten", Setting { identity: 10, ..MTLS }),
        ]),
        quick: false,
        ..SMALL
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_small_comes_first() {
        for (at, case) in CASES.iter().enumerate() {
            assert!(CASES.iter().skip(at + 1).all(|other| other.name != case.name));
        }
        // Its nginx tells the saturation that later cases are driven at.
        assert_eq!(CASES.first().map(|case| case.name), Some("small-64"));
    }
}
