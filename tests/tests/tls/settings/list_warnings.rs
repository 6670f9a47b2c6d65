//! What is said of a list is true of the whole set.

use std::sync::Arc;

use ferrule_config::Problems;
use ferrule_config::model::{ClientVerify, CrlExpired, Reject};
use ferrule_engine::tls::{TicketKeys, TlsSettings};
use ferrule_tests::zoo::asn1::{element, extension, integer};
use ferrule_tests::zoo::{ListDraft, encode};

use super::revocation;
use crate::kit::{World, config, now, server};

type Dates = (&'static [u8], &'static [u8]);

/// Dates and numbers of lists, the key `crl_expired`, and what is told.
type Case = (&'static [(Dates, u8)], CrlExpired, &'static [&'static str]);

const HOLDS: Dates = (b"240101000000Z", b"480101000000Z");
const ENDED: Dates = (b"230101000000Z", b"240101000000Z");
const TO_COME: Dates = (b"470101000000Z", b"480101000000Z");

fn list(world: &World, (this, next): Dates, number: u8) -> String {
    let draft = ListDraft {
        version: 2,
        this_update: element(0x17, this),
        next_update: element(0x17, next),
        revoked: Vec::new(),
        extensions: vec![extension("2.5.29.20", false, &integer(&[number]))],
    };
    encode("X509 CRL", &draft.sign(&world.root))
}

#[test]
fn what_a_list_means_is_told_as_it_is_judged() {
    let world = World::new("root", 1);
    let warnings = |dates: &[(Dates, u8)], expired| -> Vec<String> {
        let lists: Vec<String> =
            dates.iter().map(|(dates, number)| list(&world, *dates, *number)).collect();
        let mut model = server(&world, ClientVerify::On, Reject::Http);
        let mut named = revocation(&lists);
        named.expired = expired;
        model.client.as_mut().expect("a policy").revocation = Some(named);
        let mut problems = Problems::default();
        let keys = Arc::new(TicketKeys::new());
        let settings = TlsSettings::load(&config(vec![model], None), &keys, &mut problems, now());
        assert!(problems.is_empty(), "{problems}");
        let about = settings.warnings.into_iter().filter(|one| one.message.contains("a list in"));
        about.map(|one| one.message).collect()
    };
    let (reject, warn) = (CrlExpired::Reject, CrlExpired::Warn);
    let table: [Case; 9] = [
        (&[(HOLDS, 1)], reject, &[]),
        (&[(HOLDS, 1), (HOLDS, 1)], reject, &[]),
        (&[(ENDED, 1)], reject, &["has expired: certificates of its CA are refused"]),
        (&[(ENDED, 1)], warn, &["has expired: it is used"]),
        (&[(ENDED, 1), (HOLDS, 2)], reject, &["has expired: it says nothing beside the one"]),
        (&[(ENDED, 1), (HOLDS, 2)], warn, &["has expired: it says nothing beside the one"]),
        (&[(TO_COME, 1)], warn, &["is not yet valid: certificates of its CA are refused"]),
        (&[(HOLDS, 1), (TO_COME, 2)], reject, &["is older than", "is not yet valid: until then"]),
        (&[(HOLDS, 1), (HOLDS, 2)], reject, &["is older than another of its CA: until it ends"]),
    ];
    for (at, (set, expired, expected)) in table.into_iter().enumerate() {
        let mut orders = vec![set.to_vec(), set.iter().rev().copied().collect()];
        orders.dedup();
        for order in orders {
            let found = warnings(&order, expired);
            assert_eq!(found.len(), expected.len(), "case {at}: {found:?}");
            let told = |words: &&&str| found.iter().any(|one| one.contains(**words));
            assert!(expected.iter().all(|words| told(&words)), "case {at}: {found:?}");
        }
    }
}
