//! Ferrule: an `io_uring`, thread-per-core HTTP/1.1 reverse proxy for mutual TLS.
//!
//! **Bytes go in one end and decisions come out of pure code; only a thin shell touches the kernel.**
//!
//! | level | room | job | may use |
//! | --- | --- | --- | --- |
//! | 1 | [`wire`] | HTTP/1.1 as bytes: heads, fields, body lengths, chunks | httparse |
//! | 1 | [`identity`] | a certificate as facts, and the verdict on its chain | x509-parser, rustls-webpki, ring |
//! | 2 | [`plan`] | the checked config compiled once for lookup | `config`, `wire`, `identity` |
//! | 3 | [`exchange`] | the life of one request and its response, as decisions | `wire`, `identity`, `plan` |
//! | 4 | [`tls`] | rustls settings per server name and per upstream | `config`, `plan`, `identity` |
//! | 4 | [`report`] | one finished exchange becomes one log line and a few counters | `plan`, `exchange` |
//! | 5 | [`setup`] | a file becomes one generation: plan, TLS settings, or every problem | all above |
//! | 6 | `shell` | the data cores, the only room that knows monoio | all above |
//! | 6 | `control` | the control threads: signals, files, name resolution, log writer | all above but `shell` |
//!
//! Rooms on one level do not know each other; nothing points upwards. `wire` to `exchange` are the
//! **core**: no monoio, no `async fn`, no clock, no files. `cargo check -p ferrule-engine
//! --no-default-features --lib` proves it.

pub mod exchange;
pub mod identity;
pub mod plan;
pub mod report;
pub mod setup;
pub mod tls;
pub mod wire;

#[cfg(feature = "io")]
pub mod control;
#[cfg(feature = "io")]
pub mod shell;
#[cfg(feature = "io")]
#[cfg(test)]
mod simulation;
