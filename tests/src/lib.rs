//! The kit of Ferrule's journey tests: the two guides' certificates ([`guides`]), a zoo of
//! client certificates ([`zoo`]), a byte-level client ([`raw`]), and from `ferrule-tools` the real binary, a real nginx and scripted upstreams.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a test stops at the first surprise, with its text"
)]

pub mod dns;
pub mod exposition;
pub mod guides;
mod kernel_socket;
pub mod promql;
pub mod raw;
pub mod zoo;

pub use ferrule_tools::clock::{PATIENCE, now, poll};
pub use ferrule_tools::gateway::{Driver, Gateway, Reloaded, Setup, tls_fast_path};
pub use ferrule_tools::haproxy::Haproxy;
pub use ferrule_tools::http::{Conversation, Head, Message};
pub use ferrule_tools::nginx::{Nginx, Shape};
pub use ferrule_tools::pki::{Authority, Leaf};
pub use ferrule_tools::process::{free_port, shell, source_dir};
pub use ferrule_tools::revoke::Revoke;
pub use ferrule_tools::slow;
pub use ferrule_tools::storm::{Storm, cpu_time};
pub use ferrule_tools::stream;
pub use ferrule_tools::tls;
pub use ferrule_tools::upstream::{Client, Script, Upstream, echo};
pub use kernel_socket::KernelSocket;
pub use raw::{Dial, Raw};

/// A directory that goes with the value.
#[must_use]
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Each test once on `io_uring` and once on epoll: a test that passes on one proves little about the
/// other.
#[macro_export]
macro_rules! on_both_drivers {
    ($($(#[doc = $doc:literal])* fn $name:ident($driver:ident) $body:block)*) => {
        $(
            $(#[doc = $doc])*
            mod $name {
                use super::*;

                fn run($driver: $crate::Driver) $body

                #[test]
                fn io_uring() {
                    run($crate::Driver::IoUring);
                }

                #[test]
                fn epoll() {
                    run($crate::Driver::Epoll);
                }
            }
        )*
    };
}
