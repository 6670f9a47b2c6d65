//! What a generation wants fetched, and who has to have signed it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use ferrule_config::model::{self, CrlUrl};

use crate::identity::verify::anchors::Anchors;
use crate::setup::Generation;
use crate::tls::load::fetched_crls;

/// A list that is wanted.
#[derive(Debug)]
pub(super) struct WantedCrl {
    /// The authorities of every table that wants it.
    pub(super) anchors: Anchors,
    /// Seconds by which clocks may be apart, the most of any of them.
    pub(super) skew: i64,
}

/// The authorities and the skew, while they are gathered.
#[derive(Default)]
struct WantedBy {
    ders: Vec<Vec<u8>>,
    skew: i64,
}

/// Everything that a generation wants fetched. Without `[crl_fetch]` that is nothing.
pub(super) fn of(generation: &Generation) -> BTreeMap<CrlUrl, Arc<WantedCrl>> {
    let (config, tls) = (&generation.config, &generation.tls);
    if config.crl_fetch.is_none() {
        return BTreeMap::new();
    }
    let mut found = Gathering::default();
    let seconds = |client: &model::ClientAuth| i64::try_from(client.clock_skew.as_secs());
    let asked =
        config.servers.iter().zip(&tls.servers).filter_map(|(server, loaded)| {
            Some(server.client.as_ref()?).zip(loaded.policy.as_ref())
        });
    for (client, policy) in asked.chain(config.trusts.iter().zip(&tls.trusts)) {
        let skew = seconds(client).unwrap_or(i64::MAX);
        found.add(client.revocation.as_ref(), policy.anchors(), skew);
    }
    let upstreams = config.upstreams.iter().map(|upstream| upstream.tls.as_ref());
    let stores = config.stores.iter().map(|store| store.tls.as_ref());
    let loaded = tls.upstreams.iter().chain(&tls.stores);
    for (model, loaded) in upstreams.chain(stores).zip(loaded) {
        if let (Some(model), Some(loaded)) = (model, loaded) {
            found.add(model.revocation.as_ref(), loaded.anchors(), 0);
        }
    }
    found.finish()
}

#[derive(Default)]
struct Gathering {
    wanted: BTreeMap<CrlUrl, WantedBy>,
    /// Where the authorities of tables that trust the same are in memory: ten thousand names may share them.
    seen: HashSet<*const Anchors>,
}

impl Gathering {
    fn add(&mut self, revocation: Option<&model::Revocation>, anchors: &Anchors, skew: i64) {
        let Some(revocation) = revocation else { return };
        if !self.seen.insert(std::ptr::from_ref(anchors)) {
            return;
        }
        for url in fetched_crls::urls(revocation, anchors) {
            let by = self.wanted.entry(url).or_default();
            by.ders.extend(anchors.ders().iter().cloned());
            by.skew = by.skew.max(skew);
        }
    }

    fn finish(self) -> BTreeMap<CrlUrl, Arc<WantedCrl>> {
        let made = self.wanted.into_iter().filter_map(|(url, by)| {
            // They have been anchors before.
            let anchors = Anchors::new(&by.ders).ok()?;
            Some((url, Arc::new(WantedCrl { anchors, skew: by.skew })))
        });
        made.collect()
    }
}
