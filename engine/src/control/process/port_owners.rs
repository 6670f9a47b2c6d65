//! Who listens where on this machine, by the kernel's tables (`/proc/net/tcp`, `/proc/PID/fd`).
//!
//! In: those files. Out: listening sockets, and for each the process that has it. A socket may listen
//! without any process: the kernel lets go of the descriptors of an `io_uring` a little after its process
//! has ended. That tells an address that is about to be free from one that another program uses.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use ferrule_config::model::ListenAddress;

use crate::setup::listeners::overlap;

/// Bytes of a file about a process.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A listening socket of any process in this network namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SeenListener {
    pub(crate) address: SocketAddr,
    /// The user whose socket it is.
    pub(crate) user: u32,
    /// What `/proc/PID/fd` has as `socket:[INODE]`.
    pub(crate) inode: u64,
}

impl SeenListener {
    /// What it may take: the table does not say whether an IPv6 wildcard takes IPv4.
    pub(crate) const fn widest(&self) -> ListenAddress {
        ListenAddress { address: self.address, ipv6only: false }
    }

    /// What it takes for certain.
    pub(crate) const fn narrowest(&self) -> ListenAddress {
        ListenAddress { address: self.address, ipv6only: true }
    }
}

/// The process that has a socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SocketOwner {
    /// This one.
    Process(ProcessName),
    /// None of the processes that can be seen, but one of these may have it: we may not look into it.
    Hidden(Vec<ProcessName>),
    /// No process that this machine shows us: it has ended, or it is in another container.
    Nobody,
}

/// A process, as `ps` shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ProcessName {
    pub(crate) id: u32,
    pub(crate) program: String,
}

impl std::fmt::Display for ProcessName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} (process {})", self.program, self.id)
    }
}

/// Every listening TCP socket. Empty where `/proc` is not to be had.
pub(crate) fn listeners() -> Vec<SeenListener> {
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    tables.into_iter().filter_map(|table| read_table(Path::new(table)).ok()).flatten().collect()
}

/// Listening sockets come first in the table; what follows, one line for each connection, is not read.
fn read_table(table: &Path) -> io::Result<Vec<SeenListener>> {
    let lines = BufReader::new(File::open(table)?).lines().skip(1);
    let mut found = Vec::new();
    for line in lines {
        let Some(listener) = parse_line(&line?) else { break };
        found.push(listener);
    }
    Ok(found)
}

/// `  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 4242 1 ...`:
/// number, own address, peer's address, state (0A: listens), queues, timer, retransmissions, user,
/// timeout, inode. An address is the bytes of the network in words of the machine.
fn parse_line(line: &str) -> Option<SeenListener> {
    let mut words = line.split_ascii_whitespace();
    let address = parse_address(words.nth(1)?)?;
    if words.nth(1)? != "0A" {
        return None;
    }
    let user = words.nth(3)?.parse().ok()?;
    let inode = words.nth(1)?.parse().ok()?;
    Some(SeenListener { address, user, inode })
}

fn parse_address(word: &str) -> Option<SocketAddr> {
    let (ip, port) = word.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    let mut rest = ip;
    while !rest.is_empty() {
        let (part, after) = rest.split_at_checked(8)?;
        bytes.extend(u32::from_str_radix(part, 16).ok()?.to_ne_bytes());
        rest = after;
    }
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some(SocketAddr::new(ip, port))
}

/// Looks for the process that has this socket.
pub(crate) fn owner_of(listener: &SeenListener) -> SocketOwner {
    let link = format!("socket:[{}]", listener.inode);
    let mut hidden = Vec::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        match has_descriptor(&process.path(), &link) {
            Ok(false) => {}
            Ok(true) => return SocketOwner::Process(ProcessName::read(id)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                if may_be_of(&process.path(), listener.user) {
                    hidden.push(ProcessName::read(id));
                }
            }
            // It has ended meanwhile.
            Err(_) => {}
        }
    }
    if hidden.is_empty() { SocketOwner::Nobody } else { SocketOwner::Hidden(hidden) }
}

/// A process of this program, perhaps one that drains, if it has this address.
pub(crate) fn predecessor_at(address: SocketAddr) -> Option<ProcessName> {
    let wanted = ListenAddress { address, ipv6only: false };
    let mut near = listeners().into_iter().filter(|seen| overlap(seen.widest(), wanted));
    near.find_map(|seen| match owner_of(&seen) {
        SocketOwner::Process(process) => Some(process).filter(ProcessName::is_this_program),
        SocketOwner::Hidden(processes) => processes.into_iter().find(ProcessName::is_this_program),
        SocketOwner::Nobody => None,
    })
}

fn has_descriptor(process: &Path, link: &str) -> io::Result<bool> {
    let mut descriptors = fs::read_dir(process.join("fd"))?.flatten();
    Ok(descriptors.any(|one| fs::read_link(one.path()).is_ok_and(|to| to.as_os_str() == link)))
}

/// Does a process run that may have sockets of this user? One that has ended, and only waits for its parent
/// (a zombie), has none.
fn may_be_of(process: &Path, user: u32) -> bool {
    let Some(status) = read_text(&process.join("status")) else { return false };
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()
    };
    let ended = matches!(field("State:"), Some("Z" | "X"));
    !ended && field("Uid:").and_then(|word| word.parse().ok()) == Some(user)
}

fn read_text(path: &Path) -> Option<String> {
    let read = ferrule_config::read_file(path, FILE_BYTES_MAX).ok()?;
    String::from_utf8(read.bytes).ok()
}

impl ProcessName {
    /// Another process that runs the same program.
    pub(crate) fn is_this_program(&self) -> bool {
        let own = std::process::id();
        self.id != own && self.program == Self::read(own).program
    }

    /// Of the process with this number.
    pub(crate) fn read(id: u32) -> Self {
        let name = read_text(Path::new(&format!("/proc/{id}/comm"))).unwrap_or_default();
        // A program chooses its name; it goes into messages.
        let program = name.trim_end().chars().filter(|one| !one.is_control()).collect();
        Self { id, program }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_line_of_the_table_is_read() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        \
                    0 4242 1 0000000000000000 100 0 0 10 0";
        let found = parse_line(line).unwrap();
        let address =
            if cfg!(target_endian = "little") { "127.0.0.1:8080" } else { "1.0.0.127:8080" };
        let address = address.parse().unwrap();
        assert_eq!(found, SeenListener { address, user: 1000, inode: 4242 });
        assert_eq!(parse_line(&line.replace(" 0A ", " 01 ")), None, "a connection");
    }

    #[test]
    fn whatever_else_there_is_is_not_a_listener() {
        let words =
            ["0:", "0100007F:1F90", "00000000:0000", "0A", "0:0", "0:0", "0", "1000", "0", "4242"];
        for count in 0..words.len() {
            assert_eq!(parse_line(&words[..count].join(" ")), None);
        }
        for odd in [
            "",
            "x:y",
            "0100007F",
            "0100007F0:1",
            "01:1",
            "0100007F:10000",
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}:1",
        ] {
            assert_eq!(parse_address(odd), None, "{odd}");
        }
    }

    #[test]
    fn our_own_listener_is_ours() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may lack IPv6.
            let Ok(socket) = TcpListener::bind(address) else { continue };
            let address = socket.local_addr().unwrap();
            let seen = listeners().into_iter().find(|seen| seen.address == address).unwrap();
            let SocketOwner::Process(owner) = owner_of(&seen) else { panic!("{address}") };
            assert_eq!(owner.id, std::process::id());
            drop(socket);
            assert_eq!(owner_of(&seen), SocketOwner::Nobody);
        }
    }
}
