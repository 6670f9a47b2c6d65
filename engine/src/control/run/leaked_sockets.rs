//! Closes what a former process has left to this one by accident. One of the places with unsafe code.
//!
//! Under `io_uring` an accepted connection is closed on `exec` only from the moment on at which its task sets that:
//! the kernel's flag for it (`SOCK_CLOEXEC`) is not to be had of monoio. A process that is started by an upgrade in
//! between inherits the connection. Its client would never see the end of it, and it would go on to the next process.
//! The former process cannot prevent that: whatever it marks, the next accept may come right after. So the new one
//! closes every socket above the standard streams before anything else: it expects none, because what is handed over
//! comes as messages. Other descriptors stay: a log may be `/dev/fd/3` of whoever has started the first process.

use std::fs;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use crate::control::process::environment;

/// The standard streams: the last of them.
const STANDARD_LAST: RawFd = 2;

/// Closes inherited sockets, if this process is started by an upgrade. To be called first of all: nothing may have
/// opened a socket before. Without `/proc` nothing is closed.
pub fn close() {
    if environment::upgrade().is_none() {
        return;
    }
    for number in sockets() {
        #[expect(unsafe_code, reason = "a descriptor that nobody owns is known by its number")]
        // SAFETY: the number is of a socket that was inherited. Nothing in this process owns it: this is the first that
        // is done, so there is no other thread, and nothing was opened but the directory that is closed by now.
        let socket = unsafe { OwnedFd::from_raw_fd(number) };
        drop(socket);
    }
}

/// The numbers of the sockets that are open, but for the standard streams.
fn sockets() -> Vec<RawFd> {
    let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let sockets = open.filter_map(|one| {
        let number: RawFd = one.file_name().to_str()?.parse().ok()?;
        let to = fs::read_link(one.path()).ok()?;
        (number > STANDARD_LAST && to.to_str()?.starts_with("socket:")).then_some(number)
    });
    sockets.collect()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn sockets_are_told_from_other_descriptors() {
        let (file, socket) = (
            fs::File::open("/dev/null").unwrap(),
            std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
        );
        let found = sockets();
        assert!(found.contains(&socket.as_raw_fd()) && !found.contains(&file.as_raw_fd()));
        assert!(found.iter().all(|number| *number > STANDARD_LAST));
    }
}
