//! Which kernel interface drives a core: the ladder of ring flags, and epoll at its foot.
//!
//! monoio falls back silently on some errors and not at all when the kernel refuses the *flags*, so
//! the ladder is ours: each rung is tried with a throw-away ring first, and the choice is logged.

use std::io;

use ferrule_config::model::IoDriver;

use crate::setup::Driver;

/// The rungs, best first. `SINGLE_ISSUER | DEFER_TASKRUN` took 20-28 % of CPU off at 4 connections.
const RUNGS: [Driver; 3] = [Driver::UringDeferred, Driver::UringCooperative, Driver::UringPlain];

/// The ring settings of a rung.
fn builder(rung: Driver, entries: u32) -> io_uring::Builder {
    let mut builder = io_uring::IoUring::builder();
    match rung {
        Driver::UringDeferred => {
            builder.setup_single_issuer().setup_defer_taskrun();
        }
        Driver::UringCooperative => {
            builder.setup_coop_taskrun();
        }
        Driver::UringPlain | Driver::Unknown | Driver::Epoll => {}
    }
    if rung != Driver::UringPlain {
        builder.setup_submit_all();
    }
    // A completion for each submission, and bursts of four on top, without overflow handling.
    builder.setup_cqsize(entries.saturating_mul(4));
    builder
}

/// The kernel has no `io_uring` for us.
#[derive(Debug, thiserror::Error)]
#[error("io_uring is not to be had: {}", why(error))]
struct NoUring {
    /// The plain rung's.
    error: io::Error,
}

/// The kernel's error, and what is behind it.
fn why(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::Unsupported => {
            "the kernel has none (5.1 and later do), or a container hides it"
        }
        io::ErrorKind::PermissionDenied => {
            "a container's seccomp profile (Docker's by default) or `sysctl kernel.io_uring_disabled` \
             forbids it"
        }
        io::ErrorKind::OutOfMemory => {
            "a ring takes locked memory on kernels before 5.12: raise RLIMIT_MEMLOCK, or take fewer \
             `runtime.ring_entries`"
        }
        io::ErrorKind::InvalidInput => {
            "this kernel takes no ring of so many `runtime.ring_entries`"
        }
        _ => return error.to_string(),
    };
    format!("{error}; {words}")
}

/// The best driver this kernel and this process's limits allow.
///
/// # Errors
/// `io_uring` was asked for and the kernel has none for us: what it said to the plain rung, in words.
pub(crate) fn choose(wanted: IoDriver, entries: u32) -> io::Result<Driver> {
    if wanted == IoDriver::Epoll {
        return Ok(Driver::Epoll);
    }
    let mut refused = io::Error::from(io::ErrorKind::Unsupported);
    for rung in RUNGS {
        match builder(rung, entries).build(entries) {
            Ok(_) => return Ok(rung),
            Err(error) => {
                tracing::debug!(rung = rung.text(), %error, "the kernel refuses these ring flags");
                refused = error;
            }
        }
    }
    let refused = NoUring { error: refused };
    match wanted {
        IoDriver::IoUring => Err(io::Error::other(format!(
            "{refused}. `runtime.io_driver = \"io_uring\"` needs it; \"auto\" takes epoll instead"
        ))),
        IoDriver::Auto | IoDriver::Epoll => {
            tracing::warn!("{refused}: running on epoll");
            Ok(Driver::Epoll)
        }
    }
}

/// Refuses early what no worker could run on.
///
/// # Errors
/// As [`choose`].
pub(crate) fn check(wanted: IoDriver, entries: u32) -> io::Result<()> {
    choose(wanted, entries).map(|_| ())
}

/// Runs `future` to its end on a new runtime of this thread.
///
/// # Errors
/// The runtime could not be built.
pub(crate) fn block_on<F: Future>(
    driver: Driver,
    entries: u32,
    future: F,
) -> io::Result<F::Output> {
    if driver == Driver::Epoll {
        let mut runtime =
            monoio::RuntimeBuilder::<monoio::LegacyDriver>::new().enable_timer().build()?;
        return Ok(runtime.block_on(future));
    }
    let mut runtime = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new()
        .with_entries(entries)
        .uring_builder(builder(driver, entries))
        .enable_timer()
        .build()?;
    Ok(runtime.block_on(future))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_refuses_is_said_in_words() {
        for (errno, words) in [
            (38, "the kernel has none"),
            (1, "kernel.io_uring_disabled"),
            (13, "seccomp"),
            (12, "RLIMIT_MEMLOCK"),
            (22, "runtime.ring_entries"),
            (24, "Too many open files"),
        ] {
            let said = NoUring { error: io::Error::from_raw_os_error(errno) }.to_string();
            assert!(
                said.starts_with("io_uring is not to be had: ") && said.contains(words),
                "{said}"
            );
        }
    }

    #[test]
    fn epoll_is_always_to_be_had() {
        assert_eq!(choose(IoDriver::Epoll, 256).unwrap(), Driver::Epoll);
        assert_eq!(block_on(Driver::Epoll, 256, async { 7 }).unwrap(), 7);
    }

    #[test]
    fn auto_takes_a_rung_that_runs() {
        let driver = choose(IoDriver::Auto, 256).unwrap();
        assert_eq!(block_on(driver, 256, async { 7 }).unwrap(), 7);
    }
}
