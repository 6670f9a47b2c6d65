//! One revocation list under many names.

use std::sync::Arc;

use ferrule_config::model::{ClientVerify, Pem, PemSource, Reject, Server};
use ferrule_config::{Place, Problems};
use ferrule_engine::identity::x509::crl::Crl;
use ferrule_engine::tls::{TicketKeys, TlsSettings};
use ferrule_tests::zoo::encode;

use super::{revocation, revoked_by};
use crate::kit::{World, config, now, server};

/// Fifty names of one list, files that are copies of it and the next generation have the same one.
#[test]
fn equal_contents_are_one_list_whoever_names_them() {
    let world = World::new("root", 1);
    let text = encode("X509 CRL", &revoked_by(&world, &[&[1], &[2]]));
    let path = |name: &str| world.dir.path().join(name);
    for name in ["list.pem", "copy.pem"] {
        std::fs::write(path(name), &text).expect("a file");
    }
    let named = |source: PemSource, names: usize| {
        let mut model = server(&world, ClientVerify::On, Reject::Http);
        let mut lists = revocation(&[String::new()]);
        lists.crls = vec![Pem { place: Place::default(), source, shown: None }];
        model.client.as_mut().expect("a policy").revocation = Some(lists);
        vec![model; names]
    };
    let file = |name: &str, names| named(PemSource::Path(path(name)), names);
    let load = |models: Vec<Server>| {
        let mut problems = Problems::default();
        let keys = Arc::new(TicketKeys::new());
        let settings = TlsSettings::load(&config(models, None), &keys, &mut problems, now());
        assert!(problems.is_empty(), "{problems}");
        settings
    };
    let lists = |settings: &TlsSettings| -> Vec<Arc<Crl>> {
        let policies = settings.servers.iter().filter_map(|server| server.policy.as_deref());
        let lists = policies.filter_map(|policy| policy.revocation());
        lists.flat_map(|lists| lists.lists().to_vec()).collect()
    };
    let inline = named(PemSource::Inline(text), 2);
    let first = load([file("list.pem", 50), file("copy.pem", 2), inline].concat());
    let held = lists(&first);
    assert!(held.len() == 54 && held.iter().all(|list| Arc::ptr_eq(list, &held[0])));
    let next = load(file("list.pem", 3));
    assert!(lists(&next).iter().all(|list| Arc::ptr_eq(list, &held[0])));
    // Other contents under the same name are another list, in force from then on.
    let other = encode("X509 CRL", &revoked_by(&world, &[&[3]]));
    std::fs::write(path("list.pem"), other).expect("a file");
    let changed = lists(&load(file("list.pem", 2)));
    assert!(Arc::ptr_eq(&changed[0], &changed[1]) && !Arc::ptr_eq(&changed[0], &held[0]));
    assert!(changed[0].revokes(&[3]) && !changed[0].revokes(&[1]));
}

/// What one name finds out about a list says nothing to another: the order of names means nothing.
#[test]
fn a_shared_list_is_held_against_each_names_own_authority() {
    let (world, foreign) = (World::new("root", 1), World::new("root", 1));
    let text = encode("X509 CRL", &revoked_by(&world, &[&[1]]));
    let named = |world: &World| {
        let mut model = server(world, ClientVerify::On, Reject::Http);
        let client = model.client.as_mut().expect("a policy");
        client.revocation = Some(revocation(std::slice::from_ref(&text)));
        model
    };
    let (own, other) = (named(&world), named(&foreign));
    for models in [vec![own.clone(), other.clone()], vec![other.clone(), own], vec![other]] {
        let mut problems = Problems::default();
        let keys = Arc::new(TicketKeys::new());
        let _ = TlsSettings::load(&config(models, None), &keys, &mut problems, now());
        assert_eq!(problems.len(), 1, "{problems}");
        assert!(format!("{problems:?}").contains("is not signed by CN=root"), "{problems:?}");
    }
}
