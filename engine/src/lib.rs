//! Ferrule: an `io_uring`, thread-per-core HTTP/1.1 reverse proxy for mutual TLS.
//!
//! **Pure code makes the decisions; only a thin shell talks to the kernel.** The top-level modules are called
//! rooms.
//!
//! | level | room | job | may use |
//! | --- | --- | --- | --- |
//! | 1 | [`wire`] | HTTP/1.1 as bytes: heads, fields, body lengths, chunks | httparse |
//! | 1 | [`identity`] | what a certificate says, and the verdict on its chain | x509-parser, rustls-webpki, ring |
//! | 2 | [`plan`] | the checked config compiled once for lookup | `config`, `wire`, `identity` |
//! | 3 | [`exchange`] | decides what happens to one request and its response | `wire`, `identity`, `plan` |
//! | 4 | [`tls`] | rustls settings per server name and per upstream | `config`, `plan`, `identity` |
//! | 4 | [`health`] | which nodes of an upstream are asked: set aside, asked again, brought back | `config`, `plan`, `exchange`, `wire` |
//! | 4 | [`limits`] | how many requests of one key may go on, counted over all cores | `config`, `plan`, `exchange` |
//! | 4 | [`report`] | turns one finished exchange into one log line and a few counters | `plan`, `exchange` |
//! | 5 | [`setup`] | turns a file into one generation (plan and TLS settings), or lists every problem | all above |
//! | 6 | `shell` | the data cores, on monoio | all above |
//! | 6 | `control` | the control threads: signals, files, name resolution, active checks, log writer | all above but `shell` |
//!
//! Rooms on one level do not use each other, and no room uses one of a higher level. `wire` to `exchange` are
//! the **core**: no monoio, no `async fn`, no clock, no files.
//! `cargo check -p ferrule-engine --no-default-features --lib` proves it.
//!
//! This is the path of a request, from the first byte of its connection to its log line. Read
//! `shell/service.rs` first: it serves a connection from its first byte to its close.
//!
//! | step | the shell does | the rooms below decide |
//! | --- | --- | --- |
//! | accept | `shell/accept.rs` | `shell/client/address_limit.rs`, `shell/state/load_shedding.rs` |
//! | PROXY header | `shell/client/proxy_header.rs` | `wire/proxy.rs` |
//! | `ClientHello` | `shell/client/first_flight.rs` | `tls/handshake/hello.rs`, `plan/sni.rs` |
//! | TLS handshake | `shell/client/handshake.rs` | `tls/server.rs`, `identity/verify/chain.rs` |
//! | the client's identity | `shell/client/route_identity.rs` | `identity/client/client_identity.rs`, `plan/access.rs` |
//! | request head | `shell/client/connection.rs` | `wire/head.rs`, `wire/framing.rs` |
//! | its id, and its client's address | `shell/request/serve.rs` | `exchange/mark.rs`, `exchange/real_ip.rs` |
//! | admission and route | `shell/request/serve.rs` | `exchange/request.rs`, `plan/route.rs` |
//! | the route's demands | `shell/request/serve.rs` | `exchange/permit.rs`, `exchange/demands.rs` |
//! | limits of its route | `shell/request/limit_steps.rs` | `limits/window.rs`, `limits/bucket.rs`, `limits/concurrency.rs` |
//! | upstream head | `shell/request/attempt.rs` | `exchange/rewrite.rs`, `plan/template.rs` |
//! | choosing a node, retries | `shell/request/forward.rs`, `shell/request/tries.rs` | `exchange/balance/mod.rs`, `exchange/retry.rs`, `exchange/retry_budget.rs` |
//! | waiting for a connection | `shell/request/place_wait.rs`, `shell/state/place_queue.rs` | `health/node_places.rs`, `health/waits.rs` |
//! | upstream connection | `shell/request/lease.rs`, `shell/request/connect.rs`, `shell/request/race.rs` | `exchange/pool.rs`, `exchange/address_order.rs`, `tls/client.rs` |
//! | bodies, both ways | `shell/request/duplex.rs`, `shell/request/relay.rs`, `shell/request/held_body.rs` | `wire/body.rs`, `exchange/flow.rs` |
//! | response head | `shell/request/respond.rs` | `exchange/response.rs`, `exchange/response_head.rs` |
//! | a body that is searched | `shell/request/filtering.rs` | `plan/body_filter.rs`, `exchange/response_shape.rs` |
//! | an answer of our own instead | `shell/request/serve.rs` | `exchange/refusal.rs`, `exchange/refusal_response.rs` |
//! | tunnel after a 101 | `shell/request/tunnel.rs` | `exchange/upgrade.rs`, `wire/websocket.rs` |
//! | log line and counters | `shell/request/serve.rs` | `exchange/outcome.rs`, `report/reporter.rs` |
//!
//! A reload takes another path: `control/reload/loader.rs` reads the file, `setup/generation.rs` builds a
//! generation from it, and `shell/worker.rs` adopts it on each core. A new binary takes over by
//! `control/upgrade/mod.rs` and `setup/inherited.rs`.

pub mod exchange;
pub mod health;
pub mod identity;
pub mod limits;
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
