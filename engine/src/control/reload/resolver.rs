//! The resolver: names of upstream nodes become addresses, off the data cores.
//!
//! In: the names in a configuration. Out: addresses, posted to the cores when they change. A thread has each
//! name looked up again when the TTL of its records is over, and sooner after a failure; each lookup has a thread
//! of its own, so a slow name does not delay another. Addresses that fail their checks are left out. The last good answer is kept for as long as the name is
//! configured, whatever the servers say or do not say later.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ferrule_config::Config;
use ferrule_config::model::Resolving;

use super::address_table::{AddressTable, NameState};
use crate::control::checks::CheckBoard;
use crate::control::names::{LookUpError, LookUpKey, LookUpSettings, ResolvedName};
use crate::control::process::clock;
use crate::control::state::name_status::NameStatus;
use crate::setup::{Addresses, CoreLink, Generation};

/// How many names are looked up at once; each has a thread for that time.
const LOOKUPS_AT_ONCE: usize = 8;
/// How long the thread sleeps if there is no name to look up.
const NOTHING_DUE: Duration = Duration::from_secs(3600);
/// What a lookup needs: no more than messages and a few names.
const STACK_BYTES: usize = 256 << 10;

/// Looks up the addresses of a name.
pub type LookUpName =
    dyn Fn(&LookUpKey, &Resolving) -> Result<ResolvedName, LookUpError> + Send + Sync;

/// Looks up a name in the system's files, and at the servers that they or the configuration name.
///
/// # Errors
/// As [`LookUpError`] says.
pub fn system(key: &LookUpKey, resolving: &Resolving) -> Result<ResolvedName, LookUpError> {
    LookUpSettings::system(resolving).look_up(&key.name, key.service)
}

/// Handle to the resolver's thread, which ends when this is dropped.
#[derive(Debug)]
pub struct Resolver {
    table: Arc<Mutex<AddressTable>>,
    checks: Arc<CheckBoard>,
    requests: Sender<ResolverRequest>,
}

enum ResolverRequest {
    /// Look up every name of this generation, then notify.
    Find { generation: Arc<Generation>, done: Sender<()> },
    /// The cores have this generation with these addresses: post changes from now on.
    Publish { generation: Arc<Generation>, known: Arc<Addresses> },
    /// A lookup has ended.
    Answer { key: LookUpKey, result: Result<ResolvedName, LookUpError> },
    /// Other addresses fail their checks.
    Checked,
    /// The handle is gone.
    End,
}

impl Resolver {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        links: Vec<Arc<CoreLink>>,
        look_up: Arc<LookUpName>,
        status: Arc<NameStatus>,
        checks: &Arc<CheckBoard>,
    ) -> std::io::Result<Self> {
        let table = Arc::new(Mutex::new(AddressTable::default()));
        let (requests, receiver) = mpsc::channel();
        let told = Arc::new(AtomicBool::new(false));
        let (tell, to_tell) = (requests.clone(), Arc::clone(&told));
        checks.watch(move || {
            // However many addresses change, one request at a time waits for the thread.
            if !to_tell.swap(true, Ordering::SeqCst) {
                drop(tell.send(ResolverRequest::Checked));
            }
        });
        let thread = ResolverThread {
            table: Arc::clone(&table),
            checks: Arc::clone(checks),
            told,
            look_up,
            links,
            status,
            requests: requests.clone(),
            published: None,
            resolving: None,
            running: BTreeSet::new(),
            waiting: Vec::new(),
        };
        std::thread::Builder::new()
            .name("ferrule-resolve".into())
            .spawn(move || thread.run(&receiver))?;
        Ok(Self { table, checks: Arc::clone(checks), requests })
    }

    /// The addresses of a generation's nodes. Waits for unknown names, `patience` at most. A name that is
    /// still unknown then is logged, and its node has no address yet.
    #[must_use]
    pub fn find(&self, generation: &Arc<Generation>, patience: Duration) -> Arc<Addresses> {
        let names = names_of(&generation.config);
        if names.iter().any(|key| !lock(&self.table).knows(key)) {
            let (done, wait) = mpsc::channel();
            let generation = Arc::clone(generation);
            // If the thread has ended, there is nothing to wait for, and the names stay unknown.
            if self.requests.send(ResolverRequest::Find { generation, done }).is_ok() {
                let _: Result<(), _> = wait.recv_timeout(patience);
            }
        }
        let table = lock(&self.table);
        for key in names.iter().filter(|key| !table.knows(key)) {
            tracing::warn!(
                name = key.name,
                "no address for an upstream node's name yet; its node gets no requests until then"
            );
        }
        Arc::new(table.build(generation, &self.checks))
    }

    /// The addresses of a generation's nodes, as far as they are known. Does not wait.
    pub(super) fn known(&self, generation: &Arc<Generation>) -> Arc<Addresses> {
        Arc::new(lock(&self.table).build(generation, &self.checks))
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

impl Drop for Resolver {
    fn drop(&mut self) {
        drop(self.requests.send(ResolverRequest::End));
    }
}

fn lock(table: &Mutex<AddressTable>) -> MutexGuard<'_, AddressTable> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The names that a configuration needs.
fn names_of(config: &Config) -> BTreeSet<LookUpKey> {
    let nodes = config.upstreams.iter().flat_map(|upstream| &upstream.nodes);
    nodes.filter_map(|node| LookUpKey::of(&node.address)).collect()
}

/// What the thread works with.
struct ResolverThread {
    table: Arc<Mutex<AddressTable>>,
    checks: Arc<CheckBoard>,
    /// A request says that other addresses fail, and waits to be read.
    told: Arc<AtomicBool>,
    look_up: Arc<LookUpName>,
    links: Vec<Arc<CoreLink>>,
    status: Arc<NameStatus>,
    /// To itself, for the threads of lookups.
    requests: Sender<ResolverRequest>,
    published: Option<PublishedAddresses>,
    /// How names are looked up, as of the newest generation.
    resolving: Option<Resolving>,
    /// The names that are being looked up.
    running: BTreeSet<LookUpKey>,
    waiting: Vec<NameWaiter>,
}

/// Somebody waits until these names have been looked up once.
struct NameWaiter {
    names: BTreeSet<LookUpKey>,
    done: Sender<()>,
}

/// What the cores serve.
struct PublishedAddresses {
    generation: Arc<Generation>,
    names: BTreeSet<LookUpKey>,
    /// The addresses that the cores have.
    known: Arc<Addresses>,
}

impl ResolverThread {
    fn run(mut self, requests: &Receiver<ResolverRequest>) {
        loop {
            match requests.recv_timeout(self.time_to_next()) {
                Ok(ResolverRequest::Find { generation, done }) => self.wait_for(&generation, done),
                Ok(ResolverRequest::Publish { generation, known }) => {
                    self.take_over(&generation.config.runtime.resolver);
                    let names = names_of(&generation.config);
                    lock(&self.table).by_name.retain(|key, _| names.contains(key));
                    self.status.retain(|key| names.contains(key));
                    self.published = Some(PublishedAddresses { generation, names, known });
                }
                Ok(ResolverRequest::Answer { key, result }) => self.take_answer(&key, result),
                Ok(ResolverRequest::Checked) => self.told.store(false, Ordering::SeqCst),
                Ok(ResolverRequest::End) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.begin_due();
            self.post_changes();
        }
    }

    /// Other servers may give other answers: everything is due.
    fn take_over(&mut self, resolving: &Resolving) {
        if self.resolving.as_ref() != Some(resolving) {
            for state in lock(&self.table).by_name.values_mut() {
                state.due = None;
            }
            self.resolving = Some(resolving.clone());
        }
    }

    fn wait_for(&mut self, generation: &Generation, done: Sender<()>) {
        self.take_over(&generation.config.runtime.resolver);
        let now = clock::monotonic();
        let mut names = names_of(&generation.config);
        {
            let table = lock(&self.table);
            let open = |key: &LookUpKey| !table.knows(key) && table.is_due(key, now);
            names.retain(|key| open(key) || self.running.contains(key));
        }
        self.waiting.push(NameWaiter { names, done });
        self.tell_who_waits();
    }

    fn take_answer(&mut self, key: &LookUpKey, result: Result<ResolvedName, LookUpError>) {
        self.running.remove(key);
        let now = clock::monotonic();
        let good = result.is_ok();
        let answer = {
            let mut table = lock(&self.table);
            table.record(key, result, now);
            table.by_name.get(key).map(NameState::answer).unwrap_or_default()
        };
        self.status.record(key, good, answer, now);
        for waiter in &mut self.waiting {
            waiter.names.remove(key);
        }
        self.tell_who_waits();
    }

    fn tell_who_waits(&mut self) {
        self.waiting.retain(|waiter| {
            let done = waiter.names.is_empty();
            if done {
                let _: Result<(), _> = waiter.done.send(());
            }
            !done
        });
    }

    /// The names that are needed and not being looked up.
    fn idle_names(&self) -> impl Iterator<Item = &LookUpKey> {
        let published = self.published.iter().flat_map(|published| &published.names);
        let waited_for = self.waiting.iter().flat_map(|waiter| &waiter.names);
        published.chain(waited_for).filter(|key| !self.running.contains(*key))
    }

    /// How long is it until the next name is due? An answer comes sooner where there is no room for it.
    fn time_to_next(&self) -> Duration {
        if self.running.len() >= LOOKUPS_AT_ONCE {
            return NOTHING_DUE;
        }
        let now = clock::monotonic();
        let table = lock(&self.table);
        let due = |key: &LookUpKey| table.by_name.get(key).and_then(|state| state.due);
        self.idle_names()
            .map(|key| due(key).map_or(Duration::ZERO, |due| due.saturating_duration_since(now)))
            .min()
            .unwrap_or(NOTHING_DUE)
    }

    /// Begins to look up names that are due, as far as there is room.
    fn begin_due(&mut self) {
        let now = clock::monotonic();
        let room = LOOKUPS_AT_ONCE.saturating_sub(self.running.len());
        let due: BTreeSet<LookUpKey> = {
            let table = lock(&self.table);
            self.idle_names().filter(|key| table.is_due(key, now)).cloned().collect()
        };
        for key in due.into_iter().take(room) {
            self.begin(&key);
        }
    }

    fn begin(&mut self, key: &LookUpKey) {
        let Some(resolving) = self.resolving.clone() else { return };
        let (look_up, requests) = (Arc::clone(&self.look_up), self.requests.clone());
        self.running.insert(key.clone());
        let own = key.clone();
        let thread = std::thread::Builder::new().name("ferrule-lookup".into());
        let begun = thread.stack_size(STACK_BYTES).spawn(move || {
            let result = look_up(&own, &resolving);
            // Nobody is there any more at the end of the process.
            drop(requests.send(ResolverRequest::Answer { key: own, result }));
        });
        if let Err(error) = begun {
            self.take_answer(key, Err(error.into()));
        }
    }

    /// Posts the addresses of the published generation if the cores have others.
    fn post_changes(&mut self) {
        let Some(PublishedAddresses { generation, known, .. }) = &mut self.published else {
            return;
        };
        let addresses = lock(&self.table).build(generation, &self.checks);
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
    use std::net::IpAddr;
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::control::names::Found;
    use crate::control::reload::reloader::testing;
    use crate::setup::LinkCursor;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const TTL: Duration = Duration::from_secs(7);

    fn failure() -> Result<ResolvedName, LookUpError> {
        Err(LookUpError::NoSuchName)
    }

    fn answer(addresses: &[&str]) -> ResolvedName {
        let plain = |text: &&str| Found { priority: 0, address: ip(text), port: None, weight: 1 };
        ResolvedName { found: addresses.iter().map(plain).collect(), ttl: TTL }
    }

    fn host(name: &str) -> LookUpKey {
        LookUpKey { service: false, name: name.to_owned() }
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
        let lookup = move |key: &LookUpKey, _: &Resolving| {
            assert_eq!(*key, host("late.test"));
            match asked.fetch_add(1, Ordering::Relaxed) {
                0 => failure(),
                _ => Ok(answer(&["10.0.0.7"])),
            }
        };
        let status = Arc::new(NameStatus::default());
        let links = vec![Arc::clone(&link)];
        let resolver =
            Resolver::start(links, Arc::new(lookup), Arc::clone(&status), &Arc::default()).unwrap();
        let known = resolver.find(&generation, Duration::from_secs(20));
        assert!(known.get(0, 0).unwrap().all.is_empty());
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
        assert_eq!(addresses.get(0, 0).unwrap().all, ["10.0.0.7:80".parse().unwrap()]);
        assert_eq!(status.lookups(), [1, 1]);
        // It is known at once from now on.
        assert_eq!(resolver.find(&generation, Duration::ZERO), addresses);
    }
}
