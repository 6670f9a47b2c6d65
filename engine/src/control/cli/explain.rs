//! `ferrule explain`: the verdict on a client certificate, without a client, and how it came about.
//!
//! It is verified as in a handshake, with the same settings; every path that is tried is printed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use ferrule_config::model::{ClientVerify, Reject, Server};
use ferrule_config::{Config, read_file};

use crate::control::process::{clock, environment, terminal};
use crate::control::state::client_outlook;
use crate::exchange::refusal::Refusal;
use crate::identity::verify::chain::{self, VerificationStep};
use crate::identity::verify::client_policy::ClientPolicy;
use crate::identity::verify::explain::{ChainDiagnosis, text};
use crate::identity::x509::certificate::Certificate;
use crate::identity::x509::raw_certificate::RawCertificate;
use crate::identity::x509::signature;
use crate::identity::x509::time::unix_day;
use crate::identity::{Access, ClientIdentity, ClientValue, IdentityPlan, Verdict, VerifyFailure};
use crate::plan::{Forbidden, Gate, HostBuf, client_lists};
use crate::setup;
use crate::tls::PEM_BYTES_MAX;
use crate::tls::pem::{self, Contents};
use crate::tls::resumption::tickets::TicketKeys;
use crate::tls::server::alert;

/// The arguments of `ferrule explain`.
#[derive(Args, Debug)]
pub(crate) struct ExplainArguments {
    /// The client's certificate, PEM; certificates after it in the file are sent after it.
    #[arg(value_name = "CERT")]
    cert: PathBuf,
    /// More certificates that the client sends after it, PEM.
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
    /// The server name that the client asks for.
    #[arg(long, value_name = "NAME")]
    sni: String,
    /// The configuration file.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Judge for this time: `2027-01-31`, `2027-01-31T12:00:00Z` or Unix seconds.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<i64>,
}

/// Verifies the certificate and prints how the verdict came about.
pub(crate) fn run(arguments: &ExplainArguments) -> ExitCode {
    let presented = match read_chain(arguments) {
        Ok(presented) => presented,
        Err(code) => return code,
    };
    let chain: Vec<&[u8]> = presented.iter().map(Vec::as_slice).collect();
    let now = arguments.at.unwrap_or_else(clock::unix_seconds);
    let tickets = Arc::new(TicketKeys::new());
    let loaded = setup::load(&arguments.config, &environment::variable, &tickets, 1, now);
    let generation = match loaded {
        Ok(generation) => generation,
        Err(problems) => {
            // The entries may be what the operator needs to mend this very file.
            terminal::print(&deny_entries(&chain).join("\n"));
            return terminal::print_problems(&problems);
        }
    };
    let name = arguments.sni.to_ascii_lowercase();
    let server = generation.plan.sni.resolve(HostBuf::default().read(name.as_bytes()));
    let found = server.and_then(|id| {
        let id = id.0 as usize;
        Some((generation.config.servers.get(id)?, generation.tls.servers.get(id)?))
    });
    let Some((server, tls)) = found else {
        terminal::print_error(&format!("no [[ssls]] serves the name `{name}`"));
        return ExitCode::from(terminal::REFUSED);
    };
    let verify = server.client.as_ref().map_or(ClientVerify::Off, |client| client.verify);
    let policy = tls.policy.as_deref().filter(|_| verify != ClientVerify::Off);
    let Some(policy) = policy else {
        terminal::print(&format!(
            "[[ssls]] {} asks for no certificate: anybody gets in",
            server.id
        ));
        return ExitCode::SUCCESS;
    };
    let (verdict, mut out) = verify_step_by_step(&chain, policy, now);
    out.insert(0, format!("server name {name}: [[ssls]] {}", server.id));
    let passes = explain_access(server, &chain, verdict, &mut out);
    if passes && routes_demand_more(&generation.config) {
        out.push(
            "not asked: what `client` of global rules, services and routes demands".to_owned(),
        );
    }
    out.extend(values(&chain, verdict));
    out.extend(deny_entries(&chain));
    terminal::print(&out.join("\n"));
    if passes { ExitCode::SUCCESS } else { ExitCode::from(terminal::REFUSED) }
}

/// The certificates that the client sends, from both files.
fn read_chain(arguments: &ExplainArguments) -> Result<Vec<Vec<u8>>, ExitCode> {
    let mut presented = Vec::new();
    for path in [Some(&arguments.cert), arguments.chain.as_ref()].into_iter().flatten() {
        match read(path) {
            Ok(more) => presented.extend(more),
            Err(error) => {
                terminal::print_error(&format!("{}: {error}", path.display()));
                return Err(ExitCode::from(terminal::USAGE));
            }
        }
    }
    Ok(presented)
}

/// Adds whether the server object lets this client in, and what the client is sent if not.
fn explain_access(
    server: &Server,
    chain: &[&[u8]],
    verdict: Verdict,
    out: &mut Vec<String>,
) -> bool {
    let client = server.client.as_ref();
    let verify = client.map_or(ClientVerify::Off, |client| client.verify);
    let reject = client.map_or(Reject::Http, |client| client.reject);
    let lists = client.map(|client| client_lists::compile(&client.lists));
    let leaf = chain.first().copied().unwrap_or_default();
    let listed = lists.map_or(Access::Allowed, |lists| lists.check(leaf, verdict));
    let listed = Forbidden::check(listed);
    let answer = refusal_text(leaf, reject, Gate::of(verify, verdict), listed);
    let passes = answer.is_none();
    if let Err(forbidden) = listed {
        out.push(format!("lists: {}", forbidden.word()));
    }
    out.push(format!("verdict: {}", if passes { "accepted" } else { "refused" }));
    out.extend(answer.map(|text| format!("the client is told: {text}")));
    passes
}

/// The TLS alert or the response that a refused client is sent; `None` if it is served.
fn refusal_text(
    leaf: &[u8],
    reject: Reject,
    gate: Gate,
    listed: Result<(), Forbidden>,
) -> Option<String> {
    // A signature by this key could not be checked.
    if !signature::can_prove(leaf) {
        let failure = VerifyFailure::Unsupported;
        return Some(format!("the TLS alert {:?} ({})", alert(failure), failure.text()));
    }
    let refusal = match (gate, listed) {
        (Gate::NoCertificate, _) => Refusal::NoCertificate,
        (Gate::BadCertificate(failure), _) => Refusal::BadCertificate(failure),
        (Gate::Pass, Err(forbidden)) => Refusal::Forbidden(forbidden),
        (Gate::Pass, Ok(())) => return None,
    };
    // Without a readable certificate the handshake fails under every setting.
    if RawCertificate::read(leaf).is_none() {
        return Some(format!("the TLS alert {:?}", alert(VerifyFailure::Unspecified)));
    }
    Some(client_outlook::told(reject, refusal))
}

/// Do routes demand more of a client than its server name does?
fn routes_demand_more(config: &Config) -> bool {
    config.routes.iter().any(|route| !route.clients.is_empty())
}

/// The certificates of a PEM file, as DER.
pub(super) fn read(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let text = read_file(path, PEM_BYTES_MAX).map_err(|error| error.to_string())?.bytes;
    let blocks = pem::read(&text, Contents::Chain)
        .map_err(|error| format!("{error}; {}", error.flaw.help()))?;
    if blocks.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    Ok(blocks.into_iter().map(|block| block.der).collect())
}

/// The verdict, and every step on the way to it.
fn verify_step_by_step(chain: &[&[u8]], policy: &ClientPolicy, now: i64) -> (Verdict, Vec<String>) {
    let mut out = vec![format!("the client sends {} certificates:", chain.len())];
    for der in chain {
        out.push(match Certificate::parse(der) {
            Some(certificate) => format!("  {}", line(&certificate)),
            None => "  (one that cannot be read)".to_owned(),
        });
    }
    let mut tried = 0;
    let verdict = chain::verify_client_traced(chain, policy, now, &mut |step| {
        let (certificates, from_peer, verdict) = match step {
            VerificationStep::Path { certificates, from_peer, result: verdict } => {
                (certificates, from_peer, verdict)
            }
            VerificationStep::Searched { signatures } => {
                out.push(format!("no other path is left ({signatures} signatures were checked)"));
                return;
            }
        };
        tried += 1;
        out.push(format!("path {tried}:"));
        for (at, certificate) in certificates.iter().enumerate() {
            let from = if at < from_peer { "sent" } else { "trusted" };
            out.push(format!("  {at} ({from}) {}", text(certificate.raw.subject)));
        }
        out.push(format!("  {}", verdict.map_or_else(VerifyFailure::text, |()| "good")));
    });
    if tried == 0 {
        out.push("no path could be tried".to_owned());
    }
    let account = ChainDiagnosis::of(chain, Some(policy.anchors()), verdict, now);
    if !account.missing.is_empty() {
        out.push(format!("missing: {}", account.missing));
    }
    out.push(format!("trusted: {}", account.trusted_line()));
    (verdict, out)
}

/// Subject, issuer and dates on one line.
fn line(certificate: &Certificate<'_>) -> String {
    let outline = &certificate.raw;
    let mut dates = Vec::new();
    outline.not_before.print(&mut dates);
    dates.extend_from_slice(b" to ");
    outline.not_after.print(&mut dates);
    let dates = String::from_utf8_lossy(&dates);
    format!("{}, issued by {}, {dates}", text(outline.subject), text(outline.issuer))
}

/// The variables that an upstream can be sent.
fn values(chain: &[&[u8]], verdict: Verdict) -> Vec<String> {
    let shown = [
        ("ssl_client_verify", ClientValue::Verify),
        ("ssl_client_s_dn", ClientValue::SDn),
        ("ssl_client_i_dn", ClientValue::IDn),
        ("ssl_client_serial", ClientValue::Serial),
        ("ssl_client_fingerprint", ClientValue::Fingerprint),
        ("ssl_client_fingerprint_sha256", ClientValue::FingerprintSha256),
        ("ssl_client_spki_sha256", ClientValue::SpkiSha256),
        ("ssl_client_x5t_s256", ClientValue::X5tS256),
        ("ssl_client_v_start", ClientValue::VStart),
        ("ssl_client_v_end", ClientValue::VEnd),
        ("ssl_client_san", ClientValue::San),
        ("ssl_client_spiffe_id", ClientValue::SpiffeId),
    ];
    let mut wanted = IdentityPlan::default();
    for (_, value) in shown {
        wanted.add(value);
    }
    let identity = ClientIdentity::of(chain, verdict, &wanted);
    let mut out = vec!["variables:".to_owned()];
    out.extend(shown.into_iter().map(|(name, value)| {
        format!("  ${name} = {}", String::from_utf8_lossy(identity.values.get(value)))
    }));
    out
}

/// Entries of `client.deny` that name this client, whatever certificate it uses later.
fn deny_entries(chain: &[&[u8]]) -> Vec<String> {
    let mut wanted = IdentityPlan::default();
    for value in [ClientValue::SpkiSha256, ClientValue::IDn, ClientValue::Serial] {
        wanted.add(value);
    }
    let unjudged = Verdict::Failed(VerifyFailure::Unspecified);
    let identity = ClientIdentity::of(chain, unjudged, &wanted);
    let term = |kind: &str, value| {
        let value = String::from_utf8_lossy(identity.values.get(value));
        // A TOML string is written like a JSON string.
        serde_json::Value::from(format!("{kind}:{value}")).to_string()
    };
    let (issuer, serial) = (term("issuer", ClientValue::IDn), term("serial", ClientValue::Serial));
    vec![
        "entries of `client.deny` that name it:".to_owned(),
        format!(
            "  {}  # its key, in whatever certificate",
            term("spki-sha256", ClientValue::SpkiSha256)
        ),
        format!("  [{issuer}, {serial}]  # this certificate"),
    ]
}

/// Reads a time as Unix seconds.
fn moment(written: &str) -> Result<i64, String> {
    if let Ok(seconds) = written.parse() {
        return Ok(seconds);
    }
    let (date, time) = written.split_once('T').unwrap_or((written, "00:00:00Z"));
    let time = time.strip_suffix('Z');
    let numbers = |text: &str, mark| -> Option<[i64; 3]> {
        let list: Option<Vec<i64>> = text.split(mark).map(|one| one.parse().ok()).collect();
        list?.try_into().ok()
    };
    let parts = numbers(date, '-').zip(time.and_then(|time| numbers(time, ':')));
    match parts {
        Some(([year, month, day], [hour, minute, second]))
            if (1970..=9999).contains(&year)
                && (1..=12).contains(&month)
                && (1..=31).contains(&day)
                && (0..24).contains(&hour)
                && (0..60).contains(&minute)
                && (0..60).contains(&second) =>
        {
            // A day after the last one of its month is a day of the next month.
            let first = unix_day(year, month, 1).unwrap_or_default();
            Ok((first + day - 1) * 86_400 + hour * 3_600 + minute * 60 + second)
        }
        _ => Err("write 2027-01-31, 2027-01-31T12:00:00Z or Unix seconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_understood() {
        assert_eq!(moment("1970-01-01"), Ok(0));
        assert_eq!(moment("2000-03-01"), Ok(951_868_800));
        assert_eq!(moment("2026-11-18T11:06:40Z"), Ok(1_795_000_000));
        assert_eq!(moment("1795000000"), Ok(1_795_000_000));
        for wrong in ["", "2027", "2027-13-01x", "2027-13-01", "2027-01-01T00:00:00", "x"] {
            assert!(moment(wrong).is_err() || wrong == "2027", "{wrong}");
        }
    }
}
