//! Outages come and go: one or two nodes at a time are killed, stopped, cut off, or fail at one step of an
//! exchange; then they come back.

use std::rc::Rc;
use std::time::Duration;

use super::client;
use super::context::RunContext;
use super::fate::{NodeFate, OUTAGES, Outage, share};
use super::node;
use crate::shell::transport::net::{sleep, spawn};
use crate::simulation::network::world::{self, below};

/// No request takes longer than this: with such a rest between them, none meets two times of trouble.
const REST: Duration = Duration::from_secs(40);

/// A node that works again is asked again within this time.
const RETURN: Duration = Duration::from_secs(200);

/// Starts a node's process.
pub(super) fn launch(run: &Rc<RunContext>, fate: &Rc<NodeFate>) {
    spawn(share(Rc::clone(fate), node::node(Rc::clone(run), Rc::clone(fate))));
}

/// Lets outages come and go while there are clients; then every node has to be asked again.
pub(super) async fn befall(run: Rc<RunContext>, fates: Vec<Rc<NodeFate>>) {
    sleep(Duration::from_millis(below(6_000) as u64)).await;
    let mut next = 0;
    while run.clients_left.get() > 1 {
        // Now and then the others, while those that failed before are still set aside.
        let first = if below(2) == 0 { next } else { below(fates.len()) };
        let count = 1 + usize::from(below(3) > 0);
        let hit: Vec<_> = fates.iter().cycle().skip(first).take(count).collect();
        next = (first + count) % fates.len();
        run.journal.trouble_begins();
        for fate in &hit {
            let outage = OUTAGES[below(OUTAGES.len())];
            run.journal.tell(&format!("node {}: {outage:?}", fate.number()));
            if !matches!(outage, Outage::Fails { .. }) {
                run.journal.meets(outage);
            }
            fate.befall(outage);
        }
        sleep(Duration::from_millis(2_000 + below(15_000) as u64)).await;
        for fate in &hit {
            run.journal.tell(&format!("node {}: works again", fate.number()));
            if fate.recover() == Some(Outage::Killed) {
                launch(&run, fate);
            }
        }
        run.journal.trouble_ends();
        // After a short one, the nodes that failed before are set aside while others fail.
        let rest = if below(2) == 0 { REST } else { Duration::from_secs(1) };
        let rested = world::now() + rest + Duration::from_millis(below(10_000) as u64);
        while run.clients_left.get() > 1 && world::now() < rested {
            sleep(Duration::from_millis(500)).await;
        }
    }
    let before: Vec<u64> = fates.iter().map(|fate| fate.asked()).collect();
    let latest = world::now() + RETURN;
    while let Some((fate, _)) =
        fates.iter().zip(&before).find(|(fate, before)| fate.asked() == **before)
    {
        if world::now() > latest {
            run.journal.violation(format!("node {} is not asked any more", fate.number()));
            break;
        }
        client::ask_once(&run).await;
        sleep(Duration::from_millis(below(600) as u64)).await;
    }
    run.clients_left.set(run.clients_left.get() - 1);
}
