//! What is counted and logged of clients that were admitted, and of those that were refused.
//!
//! One structured line for each refusal, limited per cause with a count of what was left out. Nothing
//! is rendered for a line that will not be written.

use ferrule_config::model::KeyExchangeGroup;
use serde_json::{Map, Value};

use super::connection::Client;
use super::handshake_error::{HandshakeCause, HandshakeError};
use crate::exchange::refusal::Refusal;
use crate::identity::verify::chain::lacks_purpose_alone;
use crate::identity::verify::explain::{ChainDiagnosis, subject};
use crate::identity::{ClientIdentity, ClientPolicy, IdentityPlan, Verdict, VerifyFailure};
use crate::plan::ServerId;
use crate::report::expiry_tracker::SeenClient;
use crate::report::{CompletedHandshake, HandshakeFault};
use crate::shell::transport::tls::Session;

/// Counts a handshake that succeeded, and notes a client that was verified.
pub(crate) fn record_handshake(client: &Client, server: ServerId, resumed: bool) {
    let (Some(identity), Some(session)) = (&client.identity, &client.session) else { return };
    let core = &client.core;
    let tls13 = session.protocol == "TLSv1.3";
    let group = KeyExchangeGroup::ALL.iter().copied().find(|group| group.name() == session.curve);
    core.events().handshake_done(CompletedHandshake { tls13, resumed, group }, identity.verdict);
    let (not_after, now) = (identity.not_after, core.clock.unix_seconds());
    let (sha256, prospects) = (&identity.leaf_sha256, identity.prospects);
    let server_name = &*session.server_name;
    let seen = SeenClient { not_after, sha256, server_name, now, prospects };
    match identity.verdict {
        Verdict::Success => {
            client.live.meters.verified(server, identity.anchor, not_after, now);
            let leaf = || identity.chain.first().and_then(|leaf| subject(leaf));
            let found =
                core.expiry_tracker.borrow_mut().record(seen, || leaf().unwrap_or_default());
            found.into_iter().for_each(|finding| core.events().found(finding));
        }
        Verdict::Failed(VerifyFailure::Purpose) => {
            let chain: Vec<&[u8]> = identity.chain.iter().map(AsRef::as_ref).collect();
            record_refused(client, server, &chain, seen);
        }
        Verdict::None | Verdict::Failed(_) => {}
    }
}

/// Notes a client that was refused for the purpose of its certificate, if that is all that is wrong with it.
fn record_refused(client: &Client, server: ServerId, chain: &[&[u8]], seen: SeenClient<'_>) {
    let core = &client.core;
    if !seen.prospects.lacks_client_auth {
        return;
    }
    let settings = client.live.generation.tls.servers.get(server.0 as usize);
    let Some(policy) = settings.and_then(|settings| settings.policy.as_deref()) else { return };
    let found = core.expiry_tracker.borrow_mut().record_refused(seen, || {
        let good = lacks_purpose_alone(chain, policy, seen.now);
        good.then(|| chain.first().and_then(|leaf| subject(leaf)).unwrap_or_default())
    });
    found.into_iter().for_each(|finding| core.events().found(finding));
}

/// The same in a handshake that fails for it.
fn record_failed(client: &Client, chain: &[&[u8]], server_name: &str) {
    let Some(server) = client.server else { return };
    let identity = ClientIdentity::of(
        chain,
        Verdict::Failed(VerifyFailure::Purpose),
        &IdentityPlan::default(),
    );
    let seen = SeenClient {
        not_after: identity.not_after,
        sha256: &identity.leaf_sha256,
        server_name,
        now: client.core.clock.unix_seconds(),
        prospects: identity.prospects,
    };
    record_refused(client, server, chain, seen);
}

/// Counts and logs a handshake that failed.
pub(crate) fn log_handshake_failure(client: &Client, error: &HandshakeError) {
    let core = &client.core;
    let fault = error.fault();
    core.events().handshake_failed(fault);
    if let HandshakeCause::Certificate { failure: VerifyFailure::Purpose, chain } = &error.cause {
        record_failed(client, &as_slices(chain), error.server_name.as_deref().unwrap_or_default());
    }
    if !client.live.generation.config.log.handshake_failures {
        return;
    }
    let Some(suppressed) = core.allow_complaint(fault.index()) else { return };
    let (reason, detail) = (fault.word(), error.detail());
    let address = &client.facts.remote_addr;
    let sni = error.server_name.as_deref().unwrap_or_default();
    let about = client.server.and_then(|server| match &error.cause {
        // A session that refused a chain does not keep it.
        HandshakeCause::Certificate { failure, chain } => {
            Some(diagnose(client, server, Verdict::Failed(*failure), &as_slices(chain)))
        }
        HandshakeCause::Forbidden { chain, .. } => {
            Some(diagnose(client, server, Verdict::Success, &as_slices(chain)))
        }
        _ if fault == HandshakeFault::NoCertificate => {
            Some(diagnose(client, server, Verdict::None, &[]))
        }
        _ => None,
    });
    match about {
        Some(about) => tracing::info!(
            client = %address,
            sni,
            reason,
            detail,
            subject = about.subject,
            issuer = about.issuer,
            serial = about.serial,
            sha256 = about.sha256,
            sent = about.sent,
            missing = about.missing,
            trusted = about.trusted_line(),
            suppressed,
            "a TLS handshake failed"
        ),
        None => {
            tracing::info!(client = %address, sni, reason, detail, suppressed, "a TLS handshake failed");
        }
    }
}

/// Logs a request that we answered ourselves; who the client is, where that is why.
pub(crate) fn log_refusal(client: &Client, refusal: Refusal) {
    let core = &client.core;
    let identity = about_identity(refusal);
    let enabled = if identity {
        client.live.generation.config.log.handshake_failures
    } else {
        tracing::enabled!(tracing::Level::DEBUG)
    };
    if !enabled {
        return;
    }
    let Some(suppressed) = core.allow_complaint(HandshakeFault::COUNT + refusal.index()) else {
        return;
    };
    let address = &client.facts.remote_addr;
    let sni = client.session.as_ref().map_or("", |session| &session.server_name);
    let (word, reason) = (refusal.word(), refusal.reason().unwrap_or_else(|| refusal.word()));
    let Some((server, true)) = client.server.map(|server| (server, identity)) else {
        let limit = refusal.key();
        tracing::debug!(client = %address, sni, reason = word, limit, suppressed, "a request was refused");
        return;
    };
    let verdict = verdict_of(client, refusal);
    let about = with_chain(client, |chain| diagnose(client, server, verdict, chain));
    tracing::info!(
        client = %address,
        sni,
        reason,
        subject = about.subject,
        issuer = about.issuer,
        serial = about.serial,
        sha256 = about.sha256,
        sent = about.sent,
        missing = about.missing,
        trusted = about.trusted_line(),
        suppressed,
        "a client was refused"
    );
}

/// The members that the JSON answer gets on top (`client.explain`), each with a comma in front.
#[must_use]
pub(crate) fn json_details(client: &Client, refusal: Refusal) -> String {
    let certificate = matches!(
        refusal,
        Refusal::NoCertificate | Refusal::BadCertificate(_) | Refusal::CertificateExpired
    );
    let Some(server) = client.server.filter(|_| certificate) else { return String::new() };
    let explains = client.live.generation.config.servers.get(server.0 as usize);
    let explains = explains.and_then(|server| server.client.as_ref());
    if !explains.is_some_and(|client| client.explain) {
        return String::new();
    }
    let verdict = verdict_of(client, refusal);
    let about = with_chain(client, |chain| diagnose(client, server, verdict, chain));
    let mut members = Map::new();
    let texts = [
        ("subject", about.subject),
        ("issuer", about.issuer),
        ("serial", about.serial),
        ("sha256", about.sha256),
        ("missing", about.missing),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        members.insert(name.to_owned(), Value::String(text));
    }
    members.insert("sent".to_owned(), about.sent.into());
    members.insert("trusted".to_owned(), about.trusted.into());
    if about.trusted_more > 0 {
        members.insert("trusted_more".to_owned(), about.trusted_more.into());
    }
    let text = Value::Object(members).to_string();
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default();
    format!(",{inner}")
}

/// Is the client's certificate, or the name it came under, why?
const fn about_identity(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::NoCertificate
            | Refusal::BadCertificate(_)
            | Refusal::CertificateExpired
            | Refusal::Forbidden(_)
            | Refusal::MisdirectedRequest
    )
}

fn verdict_of(client: &Client, refusal: Refusal) -> Verdict {
    refusal.certificate_failure().map_or_else(
        || client.identity.as_ref().map_or(Verdict::None, |identity| identity.verdict),
        Verdict::Failed,
    )
}

fn as_slices(chain: &[Vec<u8>]) -> Vec<&[u8]> {
    chain.iter().map(Vec::as_slice).collect()
}

fn diagnose(
    client: &Client,
    server: ServerId,
    verdict: Verdict,
    chain: &[&[u8]],
) -> ChainDiagnosis {
    let settings = client.live.generation.tls.servers.get(server.0 as usize);
    let named = settings.and_then(|settings| settings.policy.as_deref());
    let anchors = client.request_policy().or(named);
    let now = client.core.clock.unix_seconds();
    ChainDiagnosis::of(chain, anchors.map(ClientPolicy::anchors), verdict, now)
}

/// Runs on the chain that the client has shown, leaf first.
fn with_chain<R>(client: &Client, run: impl FnOnce(&[&[u8]]) -> R) -> R {
    // After the handshake it is the identity that keeps it.
    if let Some(identity) = &client.identity {
        let chain: Vec<&[u8]> = identity.chain.iter().map(AsRef::as_ref).collect();
        return run(&chain);
    }
    let security = client.stream.security.borrow();
    let chain = match &security.session {
        Session::Server(connection) => connection.peer_certificates().unwrap_or_default(),
        Session::Plain | Session::Client(_) | Session::Fast(_) | Session::Over => &[],
    };
    let chain: Vec<&[u8]> = chain.iter().map(AsRef::as_ref).collect();
    run(&chain)
}

/// Logs a server name that is no host name, and is served by the fallback.
pub(crate) fn log_unusable_name(client: &Client, name: &str) {
    if !client.live.generation.config.log.handshake_failures {
        return;
    }
    let fault = HandshakeFault::BadServerName;
    let Some(suppressed) = client.core.allow_complaint(fault.index()) else { return };
    let address = &client.facts.remote_addr;
    let (reason, detail) = (fault.word(), "the server name is not a name: the fallback serves");
    tracing::info!(
        client = %address, sni = name, reason, detail, suppressed, "a TLS handshake goes on"
    );
}
