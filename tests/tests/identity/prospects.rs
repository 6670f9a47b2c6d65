//! Clients that will lose `clientAuth`: found among many by what their certificates say.

use ferrule_engine::identity::{ClientIdentity, IdentityPlan, Verdict};
use ferrule_engine::report::ExpiryTracker;
use ferrule_engine::report::expiry_tracker::{Finding, SeenClient, merge};
use ferrule_tests::Authority;

/// A thousand clients, of whom fifty lack `clientAuth` and thirty others are of an authority that stops, on two cores:
/// each of them is found, whatever else the tables have no room for.
#[test]
fn fifty_of_a_thousand_clients_are_found() {
    let private = Authority::new("private");
    let public = Authority::of_organisation("R99", "Let's Encrypt");
    let mut cores = [ExpiryTracker::default(), ExpiryTracker::default()];
    let mut counted = [0; 3];
    for number in 0..1_000_usize {
        let name = format!("client-{number}.test");
        let leaf = match number {
            _ if number % 20 == 7 => private.server(&[&name]),
            _ if number % 33 == 0 && number > 0 => public.client(&name),
            _ => private.client(&name),
        };
        let body: String =
            leaf.cert_pem.lines().skip(1).take_while(|line| !line.starts_with('-')).collect();
        let der = data_encoding::BASE64.decode(body.as_bytes()).expect("a PEM body");
        let identity = ClientIdentity::of(&[&der], Verdict::Success, &IdentityPlan::default());
        let seen = SeenClient {
            // Those that are found expire last: that is no reason to forget them.
            not_after: identity.not_after
                + i64::from(identity.prospects.lacks_client_auth) * 86_400,
            sha256: &identity.leaf_sha256,
            server_name: "a.test",
            now: 100,
            prospects: identity.prospects,
        };
        let found = cores[number % 2].record(seen, || name.clone());
        if let Some(finding) = found {
            counted[finding as usize] += 1;
        }
    }
    let copies = cores.each_mut().map(|core| core.copy(100));
    let merged = merge(copies.iter());
    let listed = |finding: Finding| &merged.findings[finding as usize];
    let mut lacking: Vec<&str> =
        listed(Finding::WithoutClientAuth).iter().map(|one| one.subject.as_str()).collect();
    lacking.sort_unstable();
    let mut wanted: Vec<String> =
        (0..1_000).filter(|at| at % 20 == 7).map(|at| format!("client-{at}.test")).collect();
    wanted.sort_unstable();
    assert_eq!((lacking.len(), counted[0]), (50, 50));
    assert_eq!(lacking, wanted);
    let stopping = listed(Finding::IssuerStops);
    assert!(stopping.len() >= 28 && stopping.len() == counted[2], "{}", stopping.len());
    assert!(
        stopping.iter().all(|one| one.issuer.is_some_and(|issuer| issuer.ends == "2026-07-08"))
    );
    assert!(listed(Finding::Refused).is_empty());
    assert_eq!(merged.verified.len(), 512);
}
