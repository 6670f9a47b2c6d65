//! Which server names that ask for a certificate could serve a host pattern.
//!
//! In: server names with their policies. Out: [`Guards`] for any host pattern, looked up while routes are
//! compiled.

use ferrule_config::model::{HostPattern, Server};
use hashbrown::HashMap;

use super::guards::Guards;
use super::hosts::HostBuf;
use super::ids::{ServerId, index};
use super::sni::{HostMatch, SniTable};

type GuardMap = HashMap<Box<[u8]>, Guards, foldhash::fast::FixedState>;

/// The server names that ask for a certificate, by what they have in common with host patterns.
#[derive(Debug)]
pub struct GuardIndex<'a> {
    sni: &'a SniTable,
    /// The policies of wildcard names, by what follows `*.`.
    wildcard: GuardMap,
    /// The policies of all names below a suffix, by that suffix.
    below: GuardMap,
}

impl<'a> GuardIndex<'a> {
    /// Builds the index of these servers, compiled to `sni`. The name `*` is left out: whatever host it is meant for
    /// has its policy.
    #[must_use]
    pub fn build(servers: &[Server], sni: &'a SniTable) -> Self {
        let mut index_of = Self { sni, wildcard: GuardMap::default(), below: GuardMap::default() };
        for (at, server) in servers.iter().enumerate() {
            let guards = sni.guards_of(sni.policy(ServerId(index(at))));
            if guards == Guards::default() {
                continue;
            }
            for name in &server.snis {
                let text = match name {
                    HostPattern::Any => continue,
                    HostPattern::Exact(name) => name.as_bytes(),
                    HostPattern::Wildcard(suffix) => {
                        for map in [&mut index_of.wildcard, &mut index_of.below] {
                            map.entry(suffix.as_bytes().into()).or_default().join(guards);
                        }
                        suffix.as_bytes()
                    }
                };
                for suffix in suffixes(text) {
                    index_of.below.entry(suffix.into()).or_default().join(guards);
                }
            }
        }
        index_of
    }

    /// The policies of the names that could serve a host of this pattern: of a server name that one
    /// alone, otherwise of all that overlap ([`HostPattern::overlaps`]), `*` aside.
    #[must_use]
    pub fn of(&self, pattern: &HostPattern) -> Guards {
        let suffix = match pattern {
            HostPattern::Any => return Guards::default(),
            HostPattern::Exact(name) => {
                let meaning = self.sni.meaning(HostBuf::default().read(name.as_bytes()), None);
                let mut guards = meaning.above;
                if let (HostMatch::Named, Some(policy)) = (meaning.matched, meaning.policy) {
                    guards.join(self.sni.guards_of(policy));
                }
                return guards;
            }
            HostPattern::Wildcard(suffix) => suffix.as_bytes(),
        };
        let mut guards = self.below.get(suffix).copied().unwrap_or_default();
        for above in suffixes(suffix).filter_map(|suffix| self.wildcard.get(suffix)) {
            guards.join(*above);
        }
        guards
    }
}

/// What follows each dot.
fn suffixes(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    memchr::memchr_iter(b'.', name).filter_map(|dot| name.get(dot + 1..))
}
