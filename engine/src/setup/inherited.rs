//! Listening sockets that a former process of this program hands over in an upgrade.
//!
//! In: descriptors, with what that process says of them. Out: the sockets of each address, if the kernel says
//! the same of each: a TCP socket that listens at this address beside others (`SO_REUSEPORT`), or the hold of
//! the address. The descriptors are the same sockets as in the former process, with what waits in their
//! accept queues. That process had more cores than this one? Then some core has more than one of them. It had
//! fewer? Then more are bound.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ferrule_config::model::ListenAddress;
use socket2::{Domain, Protocol, Socket, Type};

use super::handover::OpenListener;
use super::listeners::Listeners;
use super::listening_sockets::ListeningSockets;
use super::port_hold::PortHold;
use crate::plan::ListenerId;

/// What a former process hands over, by address as configured.
#[derive(Debug, Default)]
pub struct InheritedSockets(BTreeMap<ListenAddress, InheritedAddress>);

#[derive(Debug)]
struct InheritedAddress {
    hold: PortHold,
    bound: SocketAddr,
    sockets: Vec<Arc<TcpListener>>,
}

impl InheritedSockets {
    /// Adds the hold of an address: the first that comes of it.
    ///
    /// # Errors
    /// It is not what it is said to be, in words.
    pub fn add_hold(&mut self, address: ListenAddress, descriptor: OwnedFd) -> Result<(), String> {
        let wrong = |words: &str| Err(format!("the hold of {}: {words}", address.address));
        if self.0.contains_key(&address) {
            return wrong("it came twice");
        }
        let socket = Socket::from(descriptor);
        let bound = match checked(&socket, address) {
            Ok(bound) => bound,
            Err(error) => return wrong(&error.to_string()),
        };
        match PortHold::inherit(socket) {
            Ok(hold) => {
                self.0.insert(address, InheritedAddress { hold, bound, sockets: Vec::new() });
                Ok(())
            }
            Err(error) => wrong(&error.to_string()),
        }
    }

    /// Adds the listening socket of a core: the next of its address.
    ///
    /// # Errors
    /// It is not what it is said to be, in words.
    pub fn add_socket(
        &mut self,
        address: ListenAddress,
        core: usize,
        descriptor: OwnedFd,
    ) -> Result<(), String> {
        let wrong =
            |words: &str| format!("the socket of {} and core {core}: {words}", address.address);
        let entry = self.0.get_mut(&address).ok_or_else(|| wrong("its address has no hold"))?;
        if entry.sockets.len() != core {
            return Err(wrong("it is out of order"));
        }
        let socket = Socket::from(descriptor);
        let bound = checked(&socket, address).map_err(|error| wrong(&error.to_string()))?;
        let reuses = socket.reuse_port().map_err(|error| wrong(&error.to_string()))?;
        let listens = socket.is_listener().map_err(|error| wrong(&error.to_string()))?;
        if bound != entry.bound {
            return Err(wrong(&format!("it is bound to {bound}")));
        }
        if !reuses || !listens {
            return Err(wrong("it does not listen beside others"));
        }
        entry.sockets.push(Arc::new(socket.into()));
        Ok(())
    }

    /// The listeners of a process with so many cores, which takes these over. Sockets that are missing are
    /// bound, and do not listen yet.
    ///
    /// # Errors
    /// An address has no socket, or one cannot be bound, in words.
    pub fn into_listeners(self, cores: usize) -> Result<Listeners, String> {
        let wrong = |address: ListenAddress, error: &dyn std::fmt::Display| {
            format!("the sockets of {}: {error}", address.address)
        };
        // Sockets are bound beside every hold that overlaps.
        for (address, one) in &self.0 {
            one.hold.loosen().map_err(|error| wrong(*address, &error))?;
        }
        let mut all = Vec::new();
        for (address, InheritedAddress { hold, sockets, .. }) in self.0 {
            if sockets.is_empty() {
                return Err(wrong(address, &"there are none"));
            }
            let mut sockets = ListeningSockets::shared(address, hold, sockets);
            sockets.bind_missing(cores).map_err(|error| wrong(address, &error))?;
            all.push(sockets);
        }
        Ok(Listeners::inheriting(cores, all))
    }
}

/// Where a TCP socket of this family is bound, if that is the address that was configured.
fn checked(socket: &Socket, listen: ListenAddress) -> io::Result<SocketAddr> {
    let wrong = |words: String| Err(io::Error::other(words));
    if socket.r#type()? != Type::STREAM || socket.protocol()? != Some(Protocol::TCP) {
        return wrong(String::from("it is no TCP socket"));
    }
    let Some(bound) = socket.local_addr()?.as_socket() else {
        return wrong(String::from("it has no address"));
    };
    let configured = listen.address;
    if bound.ip() != configured.ip() || ![0, bound.port()].contains(&configured.port()) {
        return wrong(format!("it is bound to {bound}"));
    }
    if socket.domain()? == Domain::IPV6 && socket.only_v6()? != listen.ipv6only {
        return wrong(String::from("it differs in what it takes of IPv4"));
    }
    Ok(bound)
}

/// Listening sockets of this process alone, on loopback: for each core one for each listener of the
/// configuration. A new process answers on them to prove that it can, before it takes real connections.
#[derive(Debug)]
pub struct SelfTestSockets {
    /// By core.
    sockets: Vec<Vec<OpenListener>>,
}

impl SelfTestSockets {
    /// Opens them.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(listeners: usize, cores: usize) -> io::Result<Self> {
        let one = |index: usize| {
            let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = ListenAddress { address: socket.local_addr()?, ipv6only: true };
            let listener = ListenerId(u32::try_from(index).unwrap_or(u32::MAX));
            Ok(OpenListener { address, slot: 0, listener, socket: Arc::new(socket) })
        };
        let of_core = |_| (0..listeners).map(one).collect::<io::Result<Vec<_>>>();
        Ok(Self { sockets: (0..cores).map(of_core).collect::<io::Result<_>>()? })
    }

    /// Those of one core, in the order of the configuration.
    #[must_use]
    pub fn of_core(&self, core: usize) -> Vec<OpenListener> {
        self.sockets.get(core).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: SocketAddr) -> ListenAddress {
        ListenAddress { address, ipv6only: true }
    }

    /// The hold and the sockets of a process with two cores.
    fn former() -> ListeningSockets {
        let any = listen("127.0.0.1:0".parse().unwrap());
        let bound = ListeningSockets::bind(any, PortHold::bind(any, false).unwrap(), 2).unwrap();
        bound.listen().unwrap();
        bound.hold().tighten().unwrap();
        bound
    }

    fn copy(socket: &TcpListener) -> OwnedFd {
        socket.try_clone().unwrap().into()
    }

    fn inherit(former: &ListeningSockets) -> InheritedSockets {
        let mut inherited = InheritedSockets::default();
        let hold = former.hold().socket().try_clone().unwrap();
        inherited.add_hold(former.address(), hold.into()).unwrap();
        for (core, socket) in former.sockets().iter().enumerate() {
            inherited.add_socket(former.address(), core, copy(socket)).unwrap();
        }
        inherited
    }

    #[test]
    fn a_process_with_more_cores_binds_what_is_missing_and_does_not_listen() {
        let former = former();
        let listeners = inherit(&former).into_listeners(3).unwrap();
        let text = "[[listen]]\naddress = '127.0.0.1:0'\n[[routes]]\nuri = '/*'\n\
                    upstream.nodes = { '127.0.0.1:9' = 1 }\n";
        let config = ferrule_config::read_text("x.toml".as_ref(), text.to_owned(), &|_| None)
            .unwrap()
            .config;
        let prepared = listeners.prepare(&config).unwrap();
        assert_eq!(prepared.bound(), [former.local_address()]);
        let listening = |core| {
            let sockets = prepared.of_core(core);
            socket2::SockRef::from(&*sockets[0].socket).is_listener().unwrap()
        };
        assert_eq!([listening(0), listening(1), listening(2)], [true, true, false]);
        listeners.listen(&prepared).unwrap();
        assert!(listening(2));
        // Until it owns them, its end is not theirs.
        listeners.commit(prepared);
        drop(listeners.close_all(crate::control::process::clock::monotonic()));
        assert!(std::net::TcpStream::connect(former.local_address()).is_ok());
    }

    #[test]
    fn what_is_not_what_it_is_said_to_be_is_refused() {
        let former = former();
        let (address, hold) = (former.address(), former.hold().socket());
        let mut inherited = InheritedSockets::default();
        let early = inherited.add_socket(address, 0, copy(&former.sockets()[0])).unwrap_err();
        assert!(early.contains("no hold"), "{early}");
        let other = listen("127.0.0.2:0".parse().unwrap());
        let hold_of = || OwnedFd::from(hold.try_clone().unwrap());
        assert!(inherited.add_hold(other, hold_of()).unwrap_err().contains("bound to 127.0.0.1"));
        assert!(inherited.add_hold(address, copy(&former.sockets()[0])).is_err(), "it listens");
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(inherited.add_hold(address, file.into()).is_err());
        inherited.add_hold(address, hold_of()).unwrap();
        assert!(inherited.add_hold(address, hold_of()).unwrap_err().contains("twice"));
        let first = || copy(&former.sockets()[0]);
        assert!(inherited.add_socket(address, 1, first()).unwrap_err().contains("order"));
        assert!(inherited.add_socket(address, 0, hold_of()).unwrap_err().contains("beside"));
        let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(
            inherited.add_socket(address, 0, elsewhere.into()).unwrap_err().contains("bound to")
        );
        assert!(inherited.into_listeners(1).unwrap_err().contains("none"));
    }
}
