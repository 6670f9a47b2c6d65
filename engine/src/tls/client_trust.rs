//! Which clients a table of the configuration trusts: authorities, depth and revocation lists.
//!
//! In: a table and its files. Out: one [`ClientTrust`] for all tables that trust the same; every problem is
//! pushed.

use std::sync::Arc;

use ferrule_config::model::{ClientAuth, ClientEku, ClientVerify};
use rustls::DistinguishedName;

use super::load::findings::Findings;
use super::load::shared_objects::{self, ClientTrust, ClientTrustSources, CrlSources};
use super::load::{authorities, crls};
use crate::identity::verify::anchors;
use crate::identity::verify::client_policy::ClientPolicy;
use crate::identity::verify::purpose::Purpose;
use crate::identity::x509::raw_certificate::RawCertificate;

/// Loads the authorities of a table and the lists beside them; pushes every problem.
pub(super) fn load(
    client: &ClientAuth,
    client_field: &str,
    found: &mut Findings<'_>,
) -> Option<ClientTrust> {
    let field = format!("{client_field}.ca");
    let make = |found: &mut Findings<'_>| {
        let build = |anchors: Vec<Vec<u8>>, found: &mut Findings<'_>| {
            policy(client, client_field, &field, &anchors, found)
        };
        let policy = authorities::load(&client.ca, purpose(client), &field, build, found)?;
        let anchors = policy.anchors().ders().iter();
        let anchors = anchors.filter_map(|der| RawCertificate::read(der));
        let names = anchors.map(|anchor| DistinguishedName::from(anchor.subject.to_vec()));
        Some(ClientTrust { ca_names: names.collect(), policy })
    };
    if client.ca.is_empty() {
        // Nothing is shared, and whoever lacks an authority is told so.
        return make(found);
    }
    let sources = ClientTrustSources {
        ca: shared_objects::sources(&client.ca),
        crls: client.revocation.as_ref().map(CrlSources::of),
        depth: client.depth,
        allow_v1: client.allow_v1,
        eku: client.eku,
        skew: skew(client),
        without_ca: client.verify == ClientVerify::OptionalNoCa,
    };
    let places = shared_objects::places(&client.ca, client.revocation.as_ref());
    let crl = format!("{client_field}.crl");
    found.load_once(|all| &mut all.client_trusts, sources, places, &crl, make)
}

/// What certificates of clients have to be good for.
const fn purpose(client: &ClientAuth) -> Purpose {
    match client.eku {
        ClientEku::Client => Purpose::Client,
        ClientEku::Any => Purpose::AnyClient,
    }
}

/// Seconds by which clocks may be apart.
fn skew(client: &ClientAuth) -> i64 {
    i64::try_from(client.clock_skew.as_secs()).unwrap_or(i64::MAX)
}

/// The policy over these authorities, with the lists that belong to them.
fn policy(
    client: &ClientAuth,
    client_field: &str,
    field: &str,
    anchors: &[Vec<u8>],
    found: &mut Findings<'_>,
) -> Option<Arc<ClientPolicy>> {
    // Trust never defaults to anything.
    if anchors.is_empty() && client.verify != ClientVerify::OptionalNoCa {
        if client.ca.is_empty() {
            let message = "no client can be trusted without a CA".to_owned();
            found.error(client.place, field, message, Some("the CA that issued your clients"));
        }
        return None;
    }
    let skew = skew(client);
    match ClientPolicy::new(anchors, client.depth, client.allow_v1) {
        Ok(policy) => {
            let revocation = match &client.revocation {
                Some(lists) => {
                    Some(crls::load(lists, policy.anchors(), skew, client_field, found)?)
                }
                None => None,
            };
            let policy = policy.with_purpose(purpose(client)).with_clock_skew(skew);
            Some(Arc::new(policy.with_revocation(revocation)))
        }
        Err(anchors::AnchorError::NotACertificate(at)) => {
            let message = format!("CA certificate {} cannot be used", at + 1);
            found.error(client.place, field, message, None);
            None
        }
    }
}
