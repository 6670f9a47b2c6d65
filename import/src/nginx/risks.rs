//! What the source let through: nothing here changes what is written.

use super::job::Job;
use super::listen::ServerBlock;
use super::route::Proxies;
use super::scope::Scope;
use super::tree::Directive;

/// Paths that probes ask for.
const PROBES: [&str; 7] = ["health", "ping", "ready", "live", "status", "alive", "heartbeat"];

/// How clients of a server are verified.
pub(super) fn of_client(
    job: &Job<'_>,
    scope: &Scope<'_>,
    server: &Directive,
    authorities: &[&str],
) {
    let at = |name: &str| scope.one(name).unwrap_or(server);
    let count: usize = authorities.iter().filter_map(|file| job.blocks(file, "CERTIFICATE")).sum();
    if scope.one("ssl_client_certificate").is_some()
        && scope.one("ssl_trusted_certificate").is_some()
    {
        job.let_through(
            at("ssl_trusted_certificate"),
            "clients of these authorities are let in as well, though the file is often meant for OCSP alone; here they are named to clients, too",
        );
    }
    match scope.one("ssl_crl") {
        Some(crl) => {
            let lists = job.blocks(&job.folder.join(crl.arg(0)).display().to_string(), "X509 CRL");
            if lists.is_some_and(|lists| lists < count) {
                job.let_through(
                    crl,
                    format!("{count} authorities and {} lists: an authority without a list has all its certificates refused, as in nginx (`client.crl_missing`)", lists.unwrap_or(0)),
                );
            }
        }
        None if scope.is_on("ssl_stapling") => job.let_through(
            at("ssl_stapling"),
            "OCSP stapling is about the server's own certificate: revoked clients came in, and come in here; `client.crl` keeps them out",
        ),
        None => job.let_through(
            at("ssl_verify_client"),
            "revocation of clients was not checked (`ssl_crl`): a stolen certificate is good until it expires; give `client.crl`",
        ),
    }
    let depth = scope.word("ssl_verify_depth").unwrap_or("1");
    if count > 1 && matches!(depth, "0" | "1") {
        job.let_through(
            at("ssl_verify_depth"),
            format!("the file of authorities has {count} certificates, and depth {depth} allows {depth} between a client and its root: longer chains are refused"),
        );
    }
    if scope.word("ssl_verify_client") != Some("on") {
        return;
    }
    for location in server.locations() {
        let path = location.args.last().map_or("", |word| word.text.as_str());
        if PROBES.iter().any(|probe| path.to_ascii_lowercase().contains(probe)) {
            job.let_through(
                location,
                format!("a probe of {path} without a certificate gets 400, as all requests of this name do: `client.skip_mtls_uri_regex` exempts paths"),
            );
        }
    }
}

/// What servers say beside each other.
pub(super) fn of_servers(job: &Job<'_>, servers: &[ServerBlock<'_>]) {
    let policy = |server: &ServerBlock<'_>| {
        let words = ["ssl_client_certificate", "ssl_verify_depth", "ssl_crl"];
        let words = words.map(|name| server.scope.word(name).map(str::to_owned));
        let mode = server.verify().to_owned();
        if mode == "off" { (mode, [None, None, None]) } else { (mode, words) }
    };
    let mut with_tls = servers.iter().filter(|server| server.has_tls() && !server.rejects);
    if let Some(first) = with_tls.next()
        && let Some(other) = with_tls.find(|other| policy(other) != policy(first))
    {
        job.let_through(
            other.directive,
            "names with different demands for certificates share sessions: before 1.27.4 nginx resumed a session of one name on another (CVE-2025-23419); here each policy has its own",
        );
    }
    for line in servers.iter().filter_map(|server| server.scope.one("underscores_in_headers")) {
        if line.arg(0) == "on" {
            job.let_through(
                line,
                "X_SSL_CLIENT_VERIFY of a client's own stood beside X-SSL-Client-Verify, and many applications take one for the other; here identity headers are removed in every spelling",
            );
        }
    }
}

/// What locations forget.
pub(super) fn of_locations(job: &Job<'_>, found: &[Proxies<'_>]) {
    let mut names: Vec<&str> = Vec::new();
    for field in found.iter().flat_map(|one| &one.fields).filter(|field| field.identifies) {
        if !names.iter().any(|name| name.eq_ignore_ascii_case(&field.name)) {
            names.push(&field.name);
        }
    }
    for proxied in found {
        let is_set =
            |name: &str| proxied.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
        let forgotten: Vec<&str> = names.iter().copied().filter(|name| !is_set(name)).collect();
        if !forgotten.is_empty() {
            job.let_through(
                proxied.directive,
                format!("{} is not set here (a `proxy_set_header` of its own replaces those around it), so the upstream got what the client wrote; here it is removed", forgotten.join(", ")),
            );
        }
        let mode = proxied.verify;
        if mode.starts_with("optional") && !proxied.is_guarded {
            job.let_through(
                proxied.directive,
                format!("`ssl_verify_client {mode}` lets everybody in, and nothing here asks for $ssl_client_verify: the upstream has to"),
            );
        }
    }
}
