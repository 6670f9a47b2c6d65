//! Configurations of other gateways, moved here: imported by the real `ferrule import`, started, and asked by curl over
//! mutual TLS, on `io_uring` and on epoll, with the real nginx and HAProxy beside.
//!
//! Every wait is bounded, every port and directory is the test's own.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]
#![expect(clippy::panic, reason = "a test stops at the first surprise, with its text")]

mod apisix;
mod compare;
mod haproxy;
mod ingress;
mod kit;
mod nginx;
mod parsers;
