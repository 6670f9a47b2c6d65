//! What the machine has to offer before a configuration can be in force.
//!
//! In: a configuration. Out: what is missing, each with its place in the file. `ferrule check`, the start and
//! a reload ask this before they do anything else, so that what one of them refuses, all do. Asking makes,
//! opens for good and changes nothing.
//!
//! What depends on other processes at that moment is not asked: whether a port is free, whether somebody
//! reads a pipe, whether another process has the admin socket.

use std::io;
use std::net::SocketAddr;

use ferrule_config::model::LogTarget;
use ferrule_config::{Config, Place, Problems};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::control::endpoints::open_endpoints;
use crate::control::logs::log_file;
use crate::control::process::{directory, machine, pid_file};

/// Adds to the problems what stands in the way of a configuration. `before` is the one in force: its addresses
/// are not asked for again, because a socket stays even if its address leaves the machine.
pub(super) fn check(config: &Config, before: Option<&Config>, problems: &mut Problems) {
    if let Err(too_old) = machine::check_kernel() {
        problems.push_at(Place::default(), "", too_old, None);
    }
    check_log(&config.log.error, config.log.error_place, "log.error.path", problems);
    if let Some(access) = &config.log.access {
        check_log(&access.target, access.place, "log.access.path", problems);
    }
    if let Some(admin) = &config.admin
        && let Err(error) = open_endpoints::check_socket_place(&admin.socket)
    {
        let message = format!("{} cannot be opened: {error}", admin.socket.display());
        let help = "a directory that is there, and that this user may write to";
        problems.push_at(admin.place, "admin.socket", message, Some(help.to_owned()));
    }
    if let Some(fetch) = &config.crl_fetch
        && let Err(error) = directory::can_hold(&fetch.directory.join("list"))
            .and_then(|()| directory::is_closed(&fetch.directory))
    {
        let message = format!("{} cannot keep lists: {error}", fetch.directory.display());
        let help = "a directory that is there, and that this user and root alone may write to";
        problems.push_at(fetch.place, "crl_fetch.directory", message, Some(help.to_owned()));
    }
    let runtime = &config.runtime;
    if let Some(path) = &runtime.pid_file
        && let Err(error) = pid_file::check(path)
    {
        let message = format!("{} cannot be written: {error}", path.display());
        let help = "a file in a directory that is there, and that this user may write to";
        problems.push_at(
            runtime.pid_file_place,
            "runtime.pid_file",
            message,
            Some(help.to_owned()),
        );
    }
    check_addresses(config, before, problems);
}

fn check_log(target: &LogTarget, place: Place, field: &str, problems: &mut Problems) {
    let LogTarget::File(path) = target else { return };
    if let Err(error) = log_file::check(path) {
        let message = format!("{} cannot be opened: {error}", path.display());
        let help = "a file that this user may write to, \"stderr\", \"stdout\", \"syslog\" or \"journald\"";
        problems.push_at(place, field, message, Some(help.to_owned()));
    }
}

fn check_addresses(config: &Config, before: Option<&Config>, problems: &mut Problems) {
    let in_force = |address: SocketAddr| {
        before.is_some_and(|before| {
            before.listens.iter().any(|one| one.address == address)
                || before.metrics.as_ref().is_some_and(|metrics| metrics.listen == address)
        })
    };
    let listens = config.listens.iter().enumerate();
    let listens =
        listens.map(|(at, one)| (one.address, one.address_place, format!("listen[{at}].address")));
    let metrics = config.metrics.iter();
    let metrics = metrics.map(|one| (one.listen, one.place, "metrics.listen".to_owned()));
    for (address, place, field) in listens.chain(metrics) {
        if !in_force(address)
            && let Err(error) = has_address(address)
        {
            let message = format!("this machine has no address {}: {error}", address.ip());
            let help = "`ip address` lists them; \"0.0.0.0\" and \"[::]\" stand for all";
            problems.push_at(place, field, message, Some(help.to_owned()));
        }
    }
}

/// Can a socket have this address, whatever its port? Other reasons against it than the address do not count.
fn has_address(address: SocketAddr) -> io::Result<()> {
    let mut any_port = address;
    any_port.set_port(0);
    let bound = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
        .and_then(|socket| socket.bind(&SockAddr::from(any_port)));
    match bound {
        Err(error) if is_of_address(&error) => Err(error),
        _ => Ok(()),
    }
}

fn is_of_address(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(code, Some(rustix::io::Errno::ADDRNOTAVAIL | rustix::io::Errno::AFNOSUPPORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_another_machine_is_told_from_one_that_is_taken() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(has_address(taken.local_addr().unwrap()).is_ok());
        // Reserved for documentation (RFC 5737).
        assert!(has_address("192.0.2.1:80".parse().unwrap()).is_err());
    }
}
