//! One name becomes addresses: `/etc/hosts`, search domains, servers in turn, aliases, services.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ferrule_config::model::Resolving;
use ferrule_config::read_file;
use resolv_conf::{Config as ResolvConf, ScopedIp};

use super::exchange::{ExchangeError, ask};
use super::hosts;
use super::message::{MessageFault, RECORDS_MAX, RecordType, Records};
use crate::control::process::clock;

/// `/etc/hosts` has no TTL, and is read again after this time.
const HOSTS_TTL: Duration = Duration::from_secs(10);
/// Aliases that no server has followed to their end are asked for this many times.
const ALIASES_MAX: u32 = 8;
/// A lookup with all its servers, search domains and services ends after this time.
const PATIENCE: Duration = Duration::from_secs(30);
const DNS_PORT: u16 = 53;
/// Far more than lists of hosts have.
const FILE_MAX: u64 = 16 << 20;

/// Where names are looked up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LookUpSettings {
    /// The hosts file.
    pub hosts: PathBuf,
    /// The file with servers, search domains and options (resolv.conf(5)).
    pub resolv_conf: PathBuf,
    /// The servers to ask instead, and how long answers are good for.
    pub resolving: Resolving,
}

/// Where a name leads.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Found {
    /// Of a service: lower is asked first.
    pub priority: u16,
    /// The address.
    pub address: IpAddr,
    /// The port of a service; `None` for a host's name.
    pub port: Option<u16>,
    /// Of a service: its share among those of its priority.
    pub weight: u16,
}

/// What a name has led to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResolvedName {
    /// At least one, and no more than [`RECORDS_MAX`].
    pub found: Vec<Found>,
    /// How long it is good for.
    pub ttl: Duration,
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    /// No server knows it, with and without the search domains.
    #[error("no such name (NXDOMAIN)")]
    NoSuchName,
    /// It exists, and has no such records.
    #[error("the name has no {0} records")]
    NoRecords(&'static str),
    /// No server gave an answer; the word of the last one.
    #[error("{server}: {reason}")]
    NoAnswer {
        /// Which.
        server: SocketAddr,
        /// Why.
        reason: String,
    },
    /// The lookup could not begin.
    #[error(transparent)]
    Failed(#[from] io::Error),
    /// Its aliases do not end.
    #[error("its aliases (CNAME) do not end")]
    Aliases,
}

/// What the files say, for one lookup.
struct Lookup {
    hosts: String,
    servers: Vec<SocketAddr>,
    conf: ResolvConf,
    deadline: Instant,
}

impl LookUpSettings {
    /// The system's files.
    #[must_use]
    pub fn system(resolving: &Resolving) -> Self {
        Self {
            hosts: "/etc/hosts".into(),
            resolv_conf: "/etc/resolv.conf".into(),
            resolving: resolving.clone(),
        }
    }

    /// Looks up a name: a service if it begins with `_`, else a host. The files are read each time, so that a
    /// change of them counts.
    ///
    /// # Errors
    /// As [`LookUpError`] says.
    pub fn look_up(&self, name: &str, service: bool) -> Result<ResolvedName, LookUpError> {
        self.look_up_until(clock::monotonic() + PATIENCE, name, service)
    }

    /// Likewise, but no longer than until then.
    ///
    /// # Errors
    /// As [`LookUpError`] says.
    pub(crate) fn look_up_until(
        &self,
        end: Instant,
        name: &str,
        service: bool,
    ) -> Result<ResolvedName, LookUpError> {
        let conf = contents(&self.resolv_conf);
        let (mut conf, _) = ResolvConf::parse_with_errors(&conf);
        conf.glibc_normalize();
        let mut servers = self.resolving.nameservers.clone();
        if servers.is_empty() {
            servers = conf.nameservers.iter().map(server).collect();
        }
        if servers.is_empty() {
            servers.push((Ipv4Addr::LOCALHOST, DNS_PORT).into());
        }
        let hosts = String::from_utf8_lossy(&contents(&self.hosts)).into_owned();
        let deadline = end.min(clock::monotonic() + PATIENCE);
        let lookup = Lookup { hosts, servers, conf, deadline };
        let mut resolved = if service {
            lookup.service(name)
        } else {
            lookup.host(name, &lookup.candidates(name))
        }?;
        resolved.found.truncate(RECORDS_MAX);
        resolved.ttl = resolved.ttl.clamp(self.resolving.min_ttl, self.resolving.max_ttl);
        Ok(resolved)
    }
}

/// What a file of the system holds. Without one there is nothing in it; glibc does likewise.
fn contents(path: &Path) -> Vec<u8> {
    read_file(path, FILE_MAX).map(|file| file.bytes).unwrap_or_default()
}

fn server(ip: &ScopedIp) -> SocketAddr {
    match ip {
        ScopedIp::V4(ip) => (*ip, DNS_PORT).into(),
        ScopedIp::V6(ip, scope) => {
            let scope = scope.as_ref().and_then(|scope| scope.parse().ok()).unwrap_or(0);
            SocketAddrV6::new(*ip, DNS_PORT, 0, scope).into()
        }
    }
}

impl Lookup {
    /// The names that a name may stand for, in order (resolv.conf(5), `ndots`).
    fn candidates(&self, name: &str) -> Vec<String> {
        let searched = self.conf.get_last_search_or_domain().map(|domain| domain.trim_matches('.'));
        let mut all: Vec<String> = searched
            .filter(|domain| !domain.is_empty())
            .map(|domain| format!("{name}.{domain}"))
            .collect();
        let dots = name.matches('.').count();
        let first = usize::try_from(self.conf.ndots).is_ok_and(|ndots| dots >= ndots);
        all.insert(if first { 0 } else { all.len() }, name.to_owned());
        all
    }

    fn host(&self, name: &str, candidates: &[String]) -> Result<ResolvedName, LookUpError> {
        let plain = |address| Found { priority: 0, address, port: None, weight: 1 };
        let listed = hosts::find(&self.hosts, name);
        if !listed.is_empty() {
            let found = listed.into_iter().map(plain).collect();
            return Ok(ResolvedName { found, ttl: HOSTS_TTL });
        }
        let records = first_of(candidates, |name| self.addresses(name))?;
        let addresses = reachable(records.addresses);
        let found = addresses.into_iter().map(plain).collect();
        Ok(ResolvedName { found, ttl: records.ttl.unwrap_or_default() })
    }

    /// Targets without an address are left out, unless that leaves none.
    fn service(&self, name: &str) -> Result<ResolvedName, LookUpError> {
        let mut records =
            first_of(&self.candidates(name), |name| self.records(name, RecordType::Srv))?;
        records.services.sort_by_key(|service| service.priority);
        let mut ttl = records.ttl.unwrap_or_default();
        let (mut found, mut last) = (Vec::new(), LookUpError::NoRecords("SRV"));
        for service in &records.services {
            // A target is a whole name: no search domain is added.
            let target = service.target.trim_end_matches('.').to_ascii_lowercase();
            match self.host(&target, std::slice::from_ref(&target)) {
                Ok(host) => {
                    ttl = ttl.min(host.ttl);
                    found.extend(host.found.into_iter().map(|host| Found {
                        priority: service.priority,
                        port: Some(service.port),
                        weight: service.weight,
                        ..host
                    }));
                }
                Err(error) => last = error,
            }
        }
        if found.is_empty() { Err(last) } else { Ok(ResolvedName { found, ttl }) }
    }

    /// IPv6 and IPv4 addresses. One family is enough if there is no answer about the other.
    fn addresses(&self, name: &str) -> Result<Records, LookUpError> {
        let four = self.records(name, RecordType::A);
        if self.conf.no_aaaa || matches!(four, Err(LookUpError::NoSuchName)) {
            return four;
        }
        match (self.records(name, RecordType::Aaaa), four) {
            (Ok(mut six), Ok(four)) => {
                six.addresses.truncate(RECORDS_MAX / 2);
                six.addresses.extend(four.addresses);
                six.ttl = [six.ttl, four.ttl].into_iter().flatten().min();
                Ok(six)
            }
            (Ok(one), Err(_)) | (Err(_), Ok(one)) if !one.addresses.is_empty() => Ok(one),
            (_, Err(error)) | (Err(error), _) => Err(error),
        }
    }

    /// Records of one type, wherever aliases lead; none if the name has no such records.
    fn records(&self, name: &str, wanted: RecordType) -> Result<Records, LookUpError> {
        let (mut name, mut ttl) = (name.to_owned(), None);
        for _ in 0..ALIASES_MAX {
            let mut records = self.ask_servers(&name, wanted)?;
            ttl = [ttl, records.ttl].into_iter().flatten().min();
            match records.alias.take() {
                Some(alias) => name = alias,
                None => return Ok(Records { ttl, ..records }),
            }
        }
        Err(LookUpError::Aliases)
    }

    /// Asks one server after the other, as often as the options say.
    fn ask_servers(&self, name: &str, wanted: RecordType) -> Result<Records, LookUpError> {
        let timeout = Duration::from_secs(u64::from(self.conf.timeout.clamp(1, 30)));
        let mut last = None;
        for _ in 0..self.conf.attempts.clamp(1, 5) {
            for server in &self.servers {
                let left = self.deadline.saturating_duration_since(clock::monotonic());
                if left.is_zero() {
                    break;
                }
                match ask(*server, name, wanted, timeout.min(left)) {
                    Ok(records) => return Ok(records),
                    Err(ExchangeError::Fault(MessageFault::NoSuchName)) => {
                        return Err(LookUpError::NoSuchName);
                    }
                    Err(error) => last = Some(no_answer(*server, &error)),
                }
            }
        }
        let own = || (Ipv4Addr::LOCALHOST, DNS_PORT).into();
        Err(last.unwrap_or_else(|| LookUpError::NoAnswer {
            server: self.servers.first().copied().unwrap_or_else(own),
            reason: "it took too long".to_owned(),
        }))
    }
}

fn no_answer(server: SocketAddr, error: &ExchangeError) -> LookUpError {
    let reason = match error {
        ExchangeError::Failed(error) if error.kind() == io::ErrorKind::TimedOut => {
            "no answer in time".to_owned()
        }
        other => other.to_string(),
    };
    LookUpError::NoAnswer { server, reason }
}

/// The first of these names that has records. A server that does not answer ends the search: with the next
/// domain, another name would be found that somebody else may own.
fn first_of(
    names: &[String],
    look_up: impl Fn(&str) -> Result<Records, LookUpError>,
) -> Result<Records, LookUpError> {
    let mut last = LookUpError::NoSuchName;
    for name in names {
        match look_up(name) {
            Ok(records) if records.addresses.is_empty() && records.services.is_empty() => {
                last = LookUpError::NoRecords("such");
            }
            Err(LookUpError::NoSuchName) => {}
            other => return other,
        }
    }
    Err(last)
}

/// Leaves out addresses that the machine has no route to (all IPv6 ones, mostly), unless that leaves none.
/// Connecting a UDP socket sends nothing.
fn reachable(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let has_route = |address: &IpAddr| {
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0));
        socket.is_ok_and(|socket| socket.connect((*address, DNS_PORT)).is_ok())
    };
    let with_route: Vec<IpAddr> = addresses.iter().copied().filter(has_route).collect();
    if with_route.is_empty() { addresses } else { with_route }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(conf: &str) -> Lookup {
        Lookup {
            hosts: String::new(),
            servers: Vec::new(),
            conf: ResolvConf::parse(conf).unwrap(),
            deadline: clock::monotonic(),
        }
    }

    #[test]
    fn search_domains_come_first_for_names_with_few_dots() {
        let all = lookup("search a.test. b.test\noptions ndots:2\n");
        assert_eq!(all.candidates("app"), ["app.a.test", "app.b.test", "app"]);
        assert_eq!(all.candidates("app.c"), ["app.c.a.test", "app.c.b.test", "app.c"]);
        assert_eq!(all.candidates("x.app.c"), ["x.app.c", "x.app.c.a.test", "x.app.c.b.test"]);
        assert_eq!(lookup("domain d.test\n").candidates("app"), ["app.d.test", "app"]);
        assert_eq!(lookup("").candidates("app"), ["app"]);
    }

    #[test]
    fn a_server_that_does_not_answer_ends_the_search() {
        let names = ["a".to_owned(), "a.search".to_owned()];
        let silent = || LookUpError::NoAnswer {
            server: (Ipv4Addr::LOCALHOST, DNS_PORT).into(),
            reason: String::new(),
        };
        let address = Records { addresses: vec![Ipv4Addr::LOCALHOST.into()], ..Records::default() };
        let of = |first: fn() -> LookUpError| {
            first_of(&names, |name| if name == "a" { Err(first()) } else { Ok(address.clone()) })
        };
        assert!(of(|| LookUpError::NoSuchName).is_ok());
        assert!(of(|| LookUpError::Aliases).is_err());
        assert!(first_of(&names, |_| Err(silent())).is_err());
        assert!(first_of(&names, |_| Ok(Records::default())).is_err());
    }

    #[test]
    fn hosts_need_no_server() {
        let dir = tempfile::tempdir().unwrap();
        let hosts = dir.path().join("hosts");
        std::fs::write(&hosts, "10.1.2.3 app.internal\n").unwrap();
        let resolving = Resolving {
            nameservers: vec![(Ipv4Addr::LOCALHOST, 1).into()],
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_secs(5),
        };
        let settings = LookUpSettings { hosts, resolv_conf: dir.path().join("none"), resolving };
        let resolved = settings.look_up("app.internal", false).unwrap();
        assert_eq!(resolved.found[0].address, IpAddr::from([10, 1, 2, 3]));
        assert_eq!(resolved.ttl, Duration::from_secs(5));
        assert!(settings.look_up("other.internal", false).is_err());
    }

    /// A fetch has an end, and the name is a part of it. The server is there, and says nothing.
    #[test]
    fn a_lookup_ends_when_it_is_told_to() {
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let resolving = Resolving {
            nameservers: vec![silent.local_addr().unwrap()],
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_secs(5),
        };
        let none = tempfile::tempdir().unwrap().path().join("none");
        let settings = LookUpSettings { hosts: none.clone(), resolv_conf: none, resolving };
        let started = clock::monotonic();
        let end = started + Duration::from_millis(50);
        assert!(settings.look_up_until(end, "app.internal", false).is_err());
        // The file's own timeouts are ten seconds.
        assert!(clock::monotonic() < started + Duration::from_secs(5));
    }
}
