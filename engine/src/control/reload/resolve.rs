//! Names of upstream nodes become addresses, off the data cores.
//!
//! A thread asks the system's resolver (getaddrinfo) for every name, again every 30 seconds and sooner
//! after a failure. The last good answer is held for as long as the name is configured. Cores get a new
//! table only when an answer changed.

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

/// How long a good answer is taken for current. getaddrinfo does not tell the record's own time.
const REFRESH: Duration = Duration::from_secs(30);
/// The first pause after a failure; it doubles up to [`REFRESH`].
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Names asked for at once; each may take as long as the system's resolver likes.
const AT_ONCE: usize = 8;
/// With no name to ask for there is nothing to wake up for.
const NOTHING_DUE: Duration = Duration::from_secs(3600);

/// Asks for the addresses of a name.
pub type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// The system's resolver.
///
/// # Errors
/// What getaddrinfo failed with.
pub fn system(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

/// Handle to the resolver's thread, which ends when this is dropped (after the lookup it is in).
#[derive(Debug)]
pub struct Resolver {
    answers: Arc<Mutex<Answers>>,
    orders: Sender<Order>,
}

enum Order {
    /// Find every name of this generation, then say so.
    Find { generation: Arc<Generation>, done: Sender<()> },
    /// The cores have this generation with these addresses: tell them what changes.
    Publish { generation: Arc<Generation>, known: Arc<Addresses> },
}

/// What is known, by name.
#[derive(Debug, Default)]
struct Answers {
    by_name: BTreeMap<String, Answer>,
}

#[derive(Debug, Default)]
struct Answer {
    /// The last good answer, in the resolver's order.
    addresses: Vec<IpAddr>,
    failures: u32,
    /// When to ask again; `None` is at once.
    due: Option<Instant>,
}

impl Resolver {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(links: Vec<Arc<CoreLink>>, lookup: Box<Lookup>) -> io::Result<Self> {
        let answers = Arc::new(Mutex::new(Answers::default()));
        let (orders, receiver) = mpsc::channel();
        let asker = Asker { answers: Arc::clone(&answers), lookup, links, published: None };
        std::thread::Builder::new()
            .name("ferrule-resolve".into())
            .spawn(move || asker.run(&receiver))?;
        Ok(Self { answers, orders })
    }

    /// Addresses of a generation's nodes. Waits for names that are not known, `patience` at most;
    /// those that are still missing then are warned about, and their nodes have no address yet.
    #[must_use]
    pub fn find(&self, generation: &Arc<Generation>, patience: Duration) -> Arc<Addresses> {
        let names = names_of(&generation.config);
        if names.iter().any(|name| !lock(&self.answers).knows(name)) {
            let (done, wait) = mpsc::channel();
            let generation = Arc::clone(generation);
            // If the thread is gone there is nothing to wait for, and the names stay unknown.
            if self.orders.send(Order::Find { generation, done }).is_ok() {
                let _: Result<(), _> = wait.recv_timeout(patience);
            }
        }
        let answers = lock(&self.answers);
        for name in names.iter().filter(|name| !answers.knows(name)) {
            tracing::warn!(
                name,
                "no address for an upstream node's name yet; its node gets no requests until then"
            );
        }
        Arc::new(answers.build(generation))
    }

    /// Addresses of a generation's nodes, as far as they are known. Waits for nothing.
    pub(super) fn known(&self, generation: &Arc<Generation>) -> Arc<Addresses> {
        Arc::new(lock(&self.answers).build(generation))
    }

    /// From now on the cores serve this generation; they know these addresses.
    pub fn publish(&self, generation: &Arc<Generation>, known: &Arc<Addresses>) {
        let order = Order::Publish { generation: Arc::clone(generation), known: Arc::clone(known) };
        drop(self.orders.send(order));
    }
}

impl Answers {
    fn knows(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|answer| !answer.addresses.is_empty())
    }

    fn build(&self, generation: &Generation) -> Addresses {
        Addresses::build(generation.number, &generation.config, &|name| {
            self.by_name.get(name).map(|answer| answer.addresses.as_slice())
        })
    }

    /// Takes an answer. An empty one is a failure; so is an error. Is there anything to say about it?
    fn take(&mut self, name: &str, result: io::Result<Vec<IpAddr>>, now: Instant) {
        let answer = self.by_name.entry(name.to_owned()).or_default();
        match result {
            Ok(addresses) if !addresses.is_empty() => {
                if answer.failures > 0 {
                    tracing::info!(name, "the name of an upstream node resolves again");
                }
                answer.failures = 0;
                answer.due = now.checked_add(REFRESH);
                // Servers rotate the order; that alone is no change.
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

fn lock(answers: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
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

/// The thread's own side.
struct Asker {
    answers: Arc<Mutex<Answers>>,
    lookup: Box<Lookup>,
    links: Vec<Arc<CoreLink>>,
    published: Option<(Arc<Generation>, Arc<Addresses>)>,
}

impl Asker {
    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            match orders.recv_timeout(self.pause()) {
                Ok(Order::Find { generation, done }) => {
                    self.ask(names_of(&generation.config).into_iter().collect());
                    let _: Result<(), _> = done.send(());
                }
                Ok(Order::Publish { generation, known }) => {
                    let names = names_of(&generation.config);
                    lock(&self.answers).by_name.retain(|name, _| names.contains(name));
                    self.published = Some((generation, known));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.ask_again();
            self.tell_cores();
        }
    }

    /// How long until the next name is due?
    fn pause(&self) -> Duration {
        let now = clock::monotonic();
        let Some((generation, _)) = &self.published else { return NOTHING_DUE };
        let answers = lock(&self.answers);
        let due = |name: &String| answers.by_name.get(name).and_then(|answer| answer.due);
        names_of(&generation.config)
            .iter()
            .map(|name| due(name).map_or(Duration::ZERO, |due| due.saturating_duration_since(now)))
            .min()
            .unwrap_or(NOTHING_DUE)
    }

    /// Asks for every name of the published generation that is due.
    fn ask_again(&self) {
        if let Some((generation, _)) = &self.published {
            self.ask(names_of(&generation.config).into_iter().collect());
        }
    }

    /// Asks for those of the names that are due, a few at a time. Each answer counts as soon as it is
    /// there: a slow name does not hide a quick one.
    fn ask(&self, mut names: Vec<String>) {
        let now = clock::monotonic();
        {
            let answers = lock(&self.answers);
            names.retain(|name| {
                let answer = answers.by_name.get(name);
                answer.and_then(|answer| answer.due).is_none_or(|due| due <= now)
            });
        }
        for batch in names.chunks(AT_ONCE) {
            std::thread::scope(|scope| {
                for name in batch {
                    scope.spawn(move || {
                        let result = (self.lookup)(name);
                        lock(&self.answers).take(name, result, clock::monotonic());
                    });
                }
            });
        }
    }

    /// Posts the addresses of the published generation if they are not what the cores know.
    fn tell_cores(&mut self) {
        let Some((generation, known)) = &mut self.published else { return };
        let addresses = lock(&self.answers).build(generation);
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
        let mut answers = Answers::default();
        answers.take("a", Ok(vec![ip("10.0.0.1")]), now);
        assert_eq!(answers.by_name["a"].due, Some(now + REFRESH));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            answers.take("a", failure(), now);
            pauses.push(answers.by_name["a"].due.unwrap().duration_since(now).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(answers.by_name["a"].addresses, [ip("10.0.0.1")]);
        answers.take("a", Ok(Vec::new()), now);
        assert!(answers.knows("a"));
        answers.take("a", Ok(vec![ip("10.0.0.2")]), now);
        assert_eq!(answers.by_name["a"].addresses, [ip("10.0.0.2")]);
        assert_eq!(answers.by_name["a"].due, Some(now + REFRESH));
    }

    #[test]
    fn another_order_is_no_change() {
        let now = clock::monotonic();
        let mut answers = Answers::default();
        answers.take("a", Ok(vec![ip("10.0.0.1"), ip("::1")]), now);
        answers.take("a", Ok(vec![ip("::1"), ip("10.0.0.1")]), now);
        assert_eq!(answers.by_name["a"].addresses, [ip("10.0.0.1"), ip("::1")]);
    }

    #[test]
    fn the_system_knows_addresses() {
        assert_eq!(system("127.0.0.1").unwrap(), [ip("127.0.0.1")]);
    }

    /// A node whose name is not known at start gets its address as soon as the name resolves.
    #[test]
    fn cores_hear_of_a_name_that_resolves_late() {
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
        // Asked for again at once, it is known.
        assert_eq!(resolver.find(&generation, Duration::ZERO), addresses);
    }
}
