//! What a store is to be told of the limits that are counted in it, and what becomes of its answers.

use std::sync::Arc;

use data_encoding::HEXLOWER;

use super::shared::{Limits, SharedLimit, SharedRule};
use super::store_link::StoreLink;
use super::stored_window::{StoreCount, StoreOffer, StoredWindow};
use super::table::{KeyPlace, SHARDS};
use super::window::RequestWindow;

/// Where gathering goes on: a part of the table of a limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct OfferCursor {
    at: usize,
}

/// An offer of a limit.
#[derive(Clone, Debug)]
pub struct LimitOffer {
    limit: Arc<SharedLimit>,
    offer: StoreOffer,
}

impl Limits {
    /// Offers to this store whose keys were asked for since: about `most`, and the others next time. Holds a lock
    /// of one part of a table for one walk over it, and no two at once.
    pub fn offers(
        &self,
        link: &Arc<StoreLink>,
        cursor: &mut OfferCursor,
        most: usize,
        now: u64,
    ) -> Vec<LimitOffer> {
        let all = self.shared();
        let own: Vec<_> = all.iter().filter(|limit| limit.counts_in(Some(link))).collect();
        let mut offers = Vec::with_capacity(most);
        let parts = own.len() * SHARDS;
        for _ in 0..parts {
            let at = cursor.at % parts;
            if let Some(limit) = own.get(at / SHARDS)
                && let SharedRule::Stored(_, table) = &limit.rule
            {
                table.each_of(at % SHARDS, |key, window| {
                    let offer = window.offer(key, now);
                    offers
                        .extend(offer.map(|offer| LimitOffer { limit: Arc::clone(limit), offer }));
                });
            }
            cursor.at = (at + 1) % parts;
            if offers.len() >= most {
                break;
            }
        }
        offers
    }
}

impl LimitOffer {
    /// The name of the key in the store: the group, the window, and a digest of the key. Without braces, by which a
    /// cluster would put all keys of a group in one place.
    #[must_use]
    pub fn store_key(&self) -> String {
        let group = self.limit.name.replace('%', "%25").replace('{', "%7B");
        let kind = if self.is_sliding() { 's' } else { 'f' };
        let digest = HEXLOWER.encode(&self.offer.name.0);
        format!("ferrule:{group}:{}{kind}:{digest}", self.window_ms())
    }

    /// What the store knows the counts of this gateway by.
    #[must_use]
    pub fn instance(&self) -> String {
        format!("i{:016x}", self.limit.instance)
    }

    /// How long its window is.
    #[must_use]
    pub fn window_ms(&self) -> u64 {
        self.rule().map_or(1, RequestWindow::window_ms)
    }

    /// Do requests of the window before still count?
    #[must_use]
    pub fn is_sliding(&self) -> bool {
        self.rule().is_some_and(RequestWindow::is_sliding)
    }

    /// What is told.
    #[must_use]
    pub const fn offer(&self) -> &StoreOffer {
        &self.offer
    }

    /// It was not told, or there was no answer: the next exchange offers it again.
    pub fn withdraw(&self) {
        self.change(|_, window| window.withdraw());
    }

    /// The store's answer, as [`StoreCount::read`] wants it; false if that is none.
    #[must_use]
    pub fn adopt(&self, numbers: [i64; 5], now: u64) -> bool {
        let count = self.rule().and_then(|rule| StoreCount::read(numbers, rule));
        let Some(count) = count else { return false };
        self.change(|rule, window| window.adopt(rule, &self.offer, &count, now));
        true
    }

    fn rule(&self) -> Option<&RequestWindow> {
        match &self.limit.rule {
            SharedRule::Stored(rule, _) => Some(rule),
            SharedRule::Requests(..) | SharedRule::Rate(..) | SharedRule::Connections(..) => None,
        }
    }

    fn change(&self, act: impl FnOnce(&RequestWindow, &mut StoredWindow)) {
        if let SharedRule::Stored(rule, table) = &self.limit.rule {
            let until = |window: &StoredWindow| window.forgotten_at(rule);
            table.at(self.offer.key, KeyPlace::Own, |window| act(rule, window), until);
        }
    }
}
