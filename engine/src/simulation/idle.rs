//! Ten thousand idle upstream connections: whatever is done about them, others get their turn meanwhile.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ferrule_config::model::KeepalivePool;

use super::gateway::Gateway;
use super::setting::{Mode, Setting};
use crate::exchange::pool::{Address, Identity, Idle, PoolKey};
use crate::identity::TimeRange;
use crate::plan::{NodeId, NodeIndex, UpstreamId};
use crate::shell::state::core::Core;
use crate::shell::state::load_shedding;
use crate::shell::state::upstream_connection::{PooledConnection, UpstreamConnection};
use crate::shell::transport::net::{UnixStream, sleep, spawn};
use crate::shell::transport::stream::Stream;
use crate::shell::transport::tls::Session;
use crate::shell::worker;
use crate::simulation::network::tasks;
use crate::simulation::network::world::{self, Weather};

const MANY: usize = 10_000;
/// The most that may go while others wait for one turn.
const AT_ONCE: usize = 64;
const IDLE_TIME: Duration = Duration::from_secs(5);

fn fill(core: &Core) -> Vec<UnixStream> {
    let (size, max_age) = (u32::MAX, Duration::MAX);
    let limits =
        KeepalivePool { size, idle_timeout: IDLE_TIME, requests: 10, max_age, min_idle: 0 };
    let identity = Identity { upstream: "u", address: Address::Ip(Setting::node(0)), tls: None };
    let node = NodeId { upstream: UpstreamId(0), node: NodeIndex(0) };
    let key: PoolKey = core.pool.borrow_mut().key(&identity);
    let now_ms = u64::try_from(core.clock.elapsed().as_millis()).expect("soon");
    let one = |_| {
        let (ours, theirs) = UnixStream::pair();
        let stream = Stream::unix(ours, Session::Plain, &core.deadlines, &core.buffers);
        let connection = UpstreamConnection { stream: Box::new(stream), peer: None };
        let connection =
            PooledConnection { connection, open: core.live().take_place(node).unwrap() };
        let (holds, requests_max) = (TimeRange::ALWAYS, u32::MAX);
        let idle = Idle { connection, requests: 1, requests_max, opened_us: 0, until_ms: 0, holds };
        assert!(core.pool.borrow_mut().put(key, idle, &limits, now_ms).is_none());
        theirs
    };
    (0..MANY).map(one).collect()
}

/// What happens to the connections; their other ends, of which some stay open.
type IdleEvent = fn(&Core, Vec<UnixStream>) -> Vec<UnixStream>;

#[test]
fn idle_upstream_connections_are_ended_a_slice_at_a_time() {
    let events: [(&str, IdleEvent); 3] = [
        ("all upstreams have left", |core, theirs| {
            drop(theirs);
            core.inspection.begin();
            Vec::new()
        }),
        ("there is nothing left for others", |core, theirs| {
            load_shedding::relieve(core, &rustix::io::Errno::MFILE.into());
            theirs
        }),
        ("their time is over", |_, theirs| theirs),
    ];
    for (name, event) in events {
        world::begin(1, Weather::default());
        let gateway = Gateway::of(&Setting::draw(Mode::Plain), None);
        let core = Rc::clone(&gateway.core);
        let theirs = fill(&core);
        let (most, last) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(MANY)));
        {
            let (core, most, last) = (Rc::clone(&core), Rc::clone(&most), Rc::clone(&last));
            spawn(async move {
                loop {
                    sleep(Duration::from_millis(1)).await;
                    let now = core.pool.borrow().len();
                    most.set(most.get().max(last.replace(now).saturating_sub(now)));
                }
            });
        }
        let turning = Rc::clone(&gateway.service);
        spawn(async move {
            let _open = event(&turning.core, theirs);
            loop {
                worker::wait_for_tick(&turning).await;
                turning.core.tick();
            }
        });
        let latest = world::now() + IDLE_TIME * 3;
        let _ = tasks::run(latest, || core.pool.borrow().is_empty());
        tasks::clear();
        // Those of the last turn, which the other has not seen.
        most.set(most.get().max(last.get()));
        assert!(core.pool.borrow().is_empty(), "{name}: {} are left", core.pool.borrow().len());
        assert!(most.get() <= AT_ONCE, "{name}: {} at once", most.get());
    }
}

#[test]
fn idle_upstream_connections_are_looked_at_a_slice_at_a_time() {
    world::begin(1, Weather::default());
    let gateway = Gateway::of(&Setting::draw(Mode::Plain), None);
    let core = Rc::clone(&gateway.core);
    let theirs = fill(&core);
    core.inspection.begin();
    let gaps = std::iter::from_fn(|| core.inspect_idle()).take(MANY).count();
    assert!((MANY / 512..MANY / 8).contains(&gaps), "{gaps}");
    assert_eq!(core.pool.borrow().len(), theirs.len());
}
