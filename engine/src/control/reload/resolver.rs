//! The resolver: names of upstream nodes become addresses, off the data cores.
//!
//! In: the names in a configuration. Out: addresses, posted to the cores when they change. A thread asks
//! the system's resolver (getaddrinfo) for every name, again every 30 seconds, and sooner after a
//! failure. The last good answer is kept for as long as the name is configured.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ferrule_config::Config;
use ferrule_config::model::NodeAddress;

use crate::control::process::clock;
use crate::setup::{Addresses, CoreLink, Generation};

/// How long a good answer counts as current: getaddrinfo does not tell the TTL of the record.
const REFRESH: Duration = Duration::from_secs(30);
/// The first pause after a failure; it doubles up to [`REFRESH`].
const RETRY_MIN: Duration = Duration::from_secs(1);
/// How many names are looked up at once; each may take as long as the system's resolver likes.
const LOOKUPS_AT_ONCE: usize = 8;
/// How long the thread sleeps if there is no name to look up.
const NOTHING_DUE: Duration = Duration::from_secs(3600);

/// Looks up the addresses of a name.
pub type LookupName = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Looks up a name with the system's resolver.
///
/// # Errors
/// What getaddrinfo failed with.
pub fn system(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

/// Handle to the resolver's thread, which ends when this is dropped (after the lookup it is in).
#[derive(Debug)]
pub struct Resolver {
    table: Arc<Mutex<AddressTable>>,
    requests: Sender<ResolverRequest>,
}

enum ResolverRequest {
    /// Look up every name of this generation, then notify.
    Find { generation: Arc<Generation>, done: Sender<()> },
    /// The cores have this generation with these addresses: post changes from now on.
    Publish { generation: Arc<Generation>, known: Arc<Addresses> },
}

/// The addresses known, by name.
#[derive(Debug, Default)]
struct AddressTable {
    by_name: BTreeMap<String, ResolvedName>,
}

/// The state of one name.
#[derive(Debug, Default)]
struct ResolvedName {
    /// The last good answer, in the order of the resolver.
    addresses: Vec<IpAddr>,
    failures: u32,
    /// When to look the name up again; `None` is at once.
    due: Option<Instant>,
}

impl Resolver {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(links: Vec<Arc<CoreLink>>, lookup: Box<LookupName>) -> io::Result<Self> {
        let table = Arc::new(Mutex::new(AddressTable::default()));
        let (requests, receiver) = mpsc::channel();
        let thread = ResolverThread { table: Arc::clone(&table), lookup, links, published: None };
        std::thread::Builder::new()
            .name("ferrule-resolve".into())
            .spawn(move || thread.run(&receiver))?;
        Ok(Self { table, requests })
    }

    /// The addresses of a generation's nodes. Waits for unknown names, `patience` at most. A name that is
    /// still unknown then is logged, and its node has no address yet.
    #[must_use]
    pub fn find(&self, generation: &Arc<Generation>, patience: Duration) -> Arc<Addresses> {
        let names = names_of(&generation.config);
        if names.iter().any(|name| !lock(&self.table).knows(name)) {
            let (done, wait) = mpsc::channel();
            let generation = Arc::clone(generation);
            // If the thread has ended, there is nothing to wait for, and the names stay unknown.
            if self.requests.send(ResolverRequest::Find { generation, done }).is_ok() {
                let _: Result<(), _> = wait.recv_timeout(patience);
            }
        }
        let table = lock(&self.table);
        for name in names.iter().filter(|name| !table.knows(name)) {
            tracing::warn!(
                name,
                "no address for an upstream node's name yet; its node gets no requests until then"
            );
        }
        Arc::new(table.build(generation))
    }

    /// The addresses of a generation's nodes, as far as they are known. Does not wait.
    pub(super) fn known(&self, generation: &Arc<Generation>) -> Arc<Addresses> {
        Arc::new(lock(&self.table).build(generation))
    }

    /// From now on the cores serve this generation with these addresses; changes are posted to them.
    pub fn publish(&self, generation: &Arc<Generation>, known: &Arc<Addresses>) {
        let request = ResolverRequest::Publish {
            generation: Arc::clone(generation),
            known: Arc::clone(known),
        };
        drop(self.requests.send(request));
    }
}

impl AddressTable {
    fn knows(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|answer| !answer.addresses.is_empty())
    }

    fn build(&self, generation: &Generation) -> Addresses {
        Addresses::build(generation.number, &generation.config, &|name| {
            self.by_name.get(name).map(|answer| answer.addresses.as_slice())
        })
    }

    /// Records an answer, and logs a first failure or recovery. An empty answer counts as a failure.
    fn record(&mut self, name: &str, result: io::Result<Vec<IpAddr>>, now: Instant) {
        let answer = self.by_name.entry(name.to_owned()).or_default();
        match result {
            Ok(addresses) if !addresses.is_empty() => {
                if answer.failures > 0 {
                    tracing::info!(name, "the name of an upstream node resolves again");
                }
                answer.failures = 0;
                answer.due = now.checked_add(REFRESH);
                // Servers rotate their addresses; another order alone is no change.
                let set = |list: &[IpAddr]| list.iter().copied().collect::<BTreeSet<IpAddr>>();
                if set(&answer.addresses) != set(&addresses) {
                    answer.addresses = addresses;
                }
            }
            other => {
                let pause = RETRY_MIN.saturating_mul(1_u32 << answer.failures.min(5)).min(REFRESH);
                answer.due = now.checked_add(pause);
                answer.failures = answer.failures.saturating_add(1);
                if answer.failures == 1 {
                    let held = answer.addresses.len();
                    let error =
                        other.err().map_or_else(|| "no address".to_owned(), |e| e.to_string());
                    tracing::warn!(
                        name,
                        error,
                        held,
                        "cannot resolve the name of an upstream node"
                    );
                }
            }
        }
    }
}

fn lock(table: &Mutex<AddressTable>) -> MutexGuard<'_, AddressTable> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The names that a configuration needs.
fn names_of(config: &Config) -> BTreeSet<String> {
    let nodes = config.upstreams.iter().flat_map(|upstream| &upstream.nodes);
    nodes
        .filter_map(|node| match &node.address {
            NodeAddress::Name { host, .. } => Some(host.clone()),
            NodeAddress::Ip(_) | NodeAddress::Unix(_) => None,
        })
        .collect()
}

/// What the thread works with.
struct ResolverThread {
    table: Arc<Mutex<AddressTable>>,
    lookup: Box<LookupName>,
    links: Vec<Arc<CoreLink>>,
    published: Option<PublishedAddresses>,
}

/// What the cores serve.
struct PublishedAddresses {
    generation: Arc<Generation>,
    /// The addresses that the cores have.
    known: Arc<Addresses>,
}

impl ResolverThread {
    fn run(mut self, requests: &Receiver<ResolverRequest>) {
        loop {
            match requests.recv_timeout(self.time_to_next()) {
                Ok(ResolverRequest::Find { generation, done }) => {
                    self.look_up(names_of(&generation.config).into_iter().collect());
                    let _: Result<(), _> = done.send(());
                }
                Ok(ResolverRequest::Publish { generation, known }) => {
                    let names = names_of(&generation.config);
                    lock(&self.table).by_name.retain(|name, _| names.contains(name));
                    self.published = Some(PublishedAddresses { generation, known });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.look_up_published();
            self.post_changes();
        }
    }

    /// How long is it until the next name is due?
    fn time_to_next(&self) -> Duration {
        let now = clock::monotonic();
        let Some(published) = &self.published else { return NOTHING_DUE };
        let table = lock(&self.table);
        let due = |name: &String| table.by_name.get(name).and_then(|answer| answer.due);
        names_of(&published.generation.config)
            .iter()
            .map(|name| due(name).map_or(Duration::ZERO, |due| due.saturating_duration_since(now)))
            .min()
            .unwrap_or(NOTHING_DUE)
    }

    /// Looks up every name of the published generation that is due.
    fn look_up_published(&self) {
        if let Some(published) = &self.published {
            self.look_up(names_of(&published.generation.config).into_iter().collect());
        }
    }

    /// Looks up those of the names that are due, a few at a time. Each answer counts at once: a slow name
    /// does not delay a quick one.
    fn look_up(&self, mut names: Vec<String>) {
        let now = clock::monotonic();
        {
            let table = lock(&self.table);
            names.retain(|name| {
                let answer = table.by_name.get(name);
                answer.and_then(|answer| answer.due).is_none_or(|due| due <= now)
            });
        }
        for batch in names.chunks(LOOKUPS_AT_ONCE) {
            std::thread::scope(|scope| {
                for name in batch {
                    scope.spawn(move || {
                        let result = (self.lookup)(name);
                        lock(&self.table).record(name, result, clock::monotonic());
                    });
                }
            });
        }
    }

    /// Posts the addresses of the published generation if the cores have others.
    fn post_changes(&mut self) {
        let Some(PublishedAddresses { generation, known }) = &mut self.published else { return };
        let addresses = lock(&self.table).build(generation);
        if addresses != **known {
            let addresses = Arc::new(addresses);
            for link in &self.links {
                link.addresses.post(Arc::clone(&addresses));
            }
            *known = addresses;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::control::reload::reloader::testing;
    use crate::setup::LinkCursor;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn failure() -> io::Result<Vec<IpAddr>> {
        Err(io::ErrorKind::NotFound.into())
    }

    #[test]
    fn a_failure_keeps_the_last_good_answer_and_asks_sooner() {
        let now = clock::monotonic();
        let mut table = AddressTable::default();
        table.record("a", Ok(vec![ip("10.0.0.1")]), now);
        assert_eq!(table.by_name["a"].due, Some(now + REFRESH));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            table.record("a", failure(), now);
            pauses.push(table.by_name["a"].due.unwrap().duration_since(now).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(table.by_name["a"].addresses, [ip("10.0.0.1")]);
        table.record("a", Ok(Vec::new()), now);
        assert!(table.knows("a"));
        table.record("a", Ok(vec![ip("10.0.0.2")]), now);
        assert_eq!(table.by_name["a"].addresses, [ip("10.0.0.2")]);
        assert_eq!(table.by_name["a"].due, Some(now + REFRESH));
    }

    #[test]
    fn another_order_is_no_change() {
        let now = clock::monotonic();
        let mut table = AddressTable::default();
        table.record("a", Ok(vec![ip("10.0.0.1"), ip("::1")]), now);
        table.record("a", Ok(vec![ip("::1"), ip("10.0.0.1")]), now);
        assert_eq!(table.by_name["a"].addresses, [ip("10.0.0.1"), ip("::1")]);
    }

    #[test]
    fn the_system_knows_addresses() {
        assert_eq!(system("127.0.0.1").unwrap(), [ip("127.0.0.1")]);
    }

    /// A node whose name is not known at start gets its address as soon as the name resolves.
    #[test]
    fn a_name_that_resolves_late_is_posted_to_the_cores() {
        let (_folder, file) = testing::folder("127.0.0.1:0");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("127.0.0.1:9", "late.test:80")).unwrap();
        let generation = Arc::clone(&testing::reloader(&file).current);
        let link = Arc::new(CoreLink::new(0));
        let asked = AtomicU32::new(0);
        let lookup = move |name: &str| {
            assert_eq!(name, "late.test");
            match asked.fetch_add(1, Ordering::Relaxed) {
                0 => failure(),
                _ => Ok(vec![ip("10.0.0.7")]),
            }
        };
        let resolver = Resolver::start(vec![Arc::clone(&link)], Box::new(lookup)).unwrap();
        let known = resolver.find(&generation, Duration::from_secs(20));
        assert!(known.get(0, 0).is_empty());
        resolver.publish(&generation, &known);
        let mut seen = LinkCursor::default();
        let started = clock::monotonic();
        let addresses = loop {
            if let Some(addresses) = link.updates(&mut seen).addresses {
                break addresses;
            }
            assert!(started.elapsed() < Duration::from_secs(20));
            std::thread::park_timeout(Duration::from_millis(5));
        };
        assert_eq!(addresses.generation, generation.number);
        assert_eq!(addresses.get(0, 0), ["10.0.0.7:80".parse().unwrap()]);
        // It is known at once from now on.
        assert_eq!(resolver.find(&generation, Duration::ZERO), addresses);
    }
}
