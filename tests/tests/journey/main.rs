//! Promises to users, kept on real sockets by the real binary, on `io_uring` and on epoll.
//!
//! Every wait is bounded, every port and directory is the test's own.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]

mod guides;
