//! `ssl_...` of servers as `[[ssls]]`, and `proxy_ssl_...` as `tls` of upstreams.

use toml::Value as Toml;

use crate::fields::plain;

use super::job::{Job, Refused};
use super::scope::Scope;
use super::tree::Directive;

/// Elements of cipher lists that select nothing here: no forward secrecy, CBC, finite-field Diffie-Hellman.
const WITHOUT_MEANING: [&str; 12] =
    ["AES", "DHE", "EDH", "RSA", "SEED", "CAMELLIA", "DES", "RC4", "ADH", "PSK", "SRP", "ARIA"];

/// The suites that exist here, by the part of their name behind the key exchange.
const SUITES: [&str; 3] = ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"];

/// The groups that exist here, by nginx's names for them.
const GROUPS: [Group; 8] = [
    Group { nginx: "X25519MLKEM768", ours: "X25519MLKEM768" },
    Group { nginx: "X25519", ours: "X25519" },
    Group { nginx: "prime256v1", ours: "prime256v1" },
    Group { nginx: "P-256", ours: "prime256v1" },
    Group { nginx: "secp256r1", ours: "prime256v1" },
    Group { nginx: "secp384r1", ours: "secp384r1" },
    Group { nginx: "P-384", ours: "secp384r1" },
    Group { nginx: "x25519", ours: "X25519" },
];

struct Group {
    nginx: &'static str,
    ours: &'static str,
}

/// The `[[ssls]]` of a server, without its names.
pub(super) fn of_server(
    job: &Job<'_>,
    scope: &Scope<'_>,
    server: &Directive,
) -> Result<toml::Table, Refused> {
    let mut table = toml::Table::new();
    let files = |name: &str| -> Result<Vec<String>, Refused> {
        let all = scope.all(name);
        all.iter().map(|line| job.file(line, line.arg(0)).ok_or(Refused)).collect()
    };
    let (certificates, keys) = (files("ssl_certificate")?, files("ssl_certificate_key")?);
    let (Some((certificate, more)), Some((key, more_keys))) =
        (certificates.split_first(), keys.split_first())
    else {
        job.refuse(server, "a server with TLS needs `ssl_certificate` and `ssl_certificate_key`");
        return Err(Refused);
    };
    put(&mut table, "cert", plain(certificate));
    put(&mut table, "key", plain(key));
    let list = |texts: &[String]| Toml::Array(texts.iter().map(|text| plain(text)).collect());
    if !more.is_empty() {
        put(&mut table, "certs", list(more));
        put(&mut table, "keys", list(more_keys));
    }
    for (name, key) in
        [("ssl_password_file", "password_file"), ("ssl_stapling_file", "ssl_stapling_file")]
    {
        if let Some(line) = scope.one(name) {
            put(&mut table, key, plain(&job.file(line, line.arg(0)).ok_or(Refused)?));
        }
    }
    protocols(job, scope.one("ssl_protocols"), &mut table)?;
    ciphers(job, scope.one("ssl_ciphers"), &mut table)?;
    if scope.is_on("ssl_prefer_server_ciphers") {
        put(&mut table, "ssl_prefer_server_ciphers", Toml::from(true));
    }
    groups(job, scope.one("ssl_ecdh_curve"), &mut table);
    if scope.word("ssl_session_tickets") == Some("off") {
        put(&mut table, "session_tickets", Toml::from(false));
    }
    if scope.word("ssl_session_cache").is_some_and(|word| word == "off" || word == "none") {
        put(&mut table, "session_cache", Toml::from(false));
    }
    if let Some(line) = scope.one("ssl_stapling").filter(|line| line.arg(0) == "on") {
        job.changed(
            line,
            "no OCSP response is fetched: put one into a file for `ssl_stapling_file`",
        );
    }
    if let Some(client) = client(job, scope)? {
        put(&mut table, "client", Toml::Table(client));
    }
    Ok(table)
}

/// Which clients are trusted.
fn client(job: &Job<'_>, scope: &Scope<'_>) -> Result<Option<toml::Table>, Refused> {
    let Some(verify) = scope.one("ssl_verify_client").filter(|line| line.arg(0) != "off") else {
        return Ok(None);
    };
    let mut table = toml::Table::new();
    let mode = verify.arg(0);
    if !matches!(mode, "on" | "optional" | "optional_no_ca") {
        job.refuse(verify, "this is none of: on, off, optional, optional_no_ca");
        return Err(Refused);
    }
    if mode != "on" {
        put(&mut table, "verify", Toml::from(mode));
    }
    let mut authorities = Vec::new();
    for name in ["ssl_client_certificate", "ssl_trusted_certificate"] {
        if let Some(line) = scope.one(name) {
            authorities.push(job.file(line, line.arg(0)).ok_or(Refused)?);
        }
    }
    if authorities.is_empty() && mode != "optional_no_ca" {
        job.refuse(
            verify,
            "`ssl_client_certificate` is missing, and nginx does not start without it",
        );
        return Err(Refused);
    }
    authorities.dedup();
    if !authorities.is_empty() {
        let list = authorities.iter().map(|text| plain(text)).collect();
        put(&mut table, "ca", Toml::Array(list));
    }
    let depth = scope.one("ssl_verify_depth");
    if let Some(line) = depth {
        let Ok(depth) = line.arg(0).parse::<i64>() else {
            job.refuse(line, "this is no number");
            return Err(Refused);
        };
        if depth > 10 {
            job.changed(line, "more than 10 intermediate certificates are never allowed");
        }
        put(&mut table, "depth", Toml::from(depth.min(10)));
    }
    if let Some(line) = scope.one("ssl_crl") {
        put(&mut table, "crl", plain(&job.file(line, line.arg(0)).ok_or(Refused)?));
    }
    Ok(Some(table))
}

/// `tls` of an upstream.
pub(super) fn of_upstream(
    job: &Job<'_>,
    scope: &Scope<'_>,
    directive: &Directive,
    name: Option<String>,
) -> Result<toml::Table, Refused> {
    let mut table = toml::Table::new();
    for (name, key) in [
        ("proxy_ssl_certificate", "client_cert"),
        ("proxy_ssl_certificate_key", "client_key"),
        ("proxy_ssl_password_file", "password_file"),
        ("proxy_ssl_crl", "crl"),
    ] {
        if let Some(line) = scope.one(name).filter(|line| !line.arg(0).is_empty()) {
            put(&mut table, key, plain(&job.file(line, line.arg(0)).ok_or(Refused)?));
        }
    }
    let trusted = scope.one("proxy_ssl_trusted_certificate");
    if scope.is_on("proxy_ssl_verify") {
        let Some(trusted) = trusted else {
            job.refuse(directive, "`proxy_ssl_verify on` needs `proxy_ssl_trusted_certificate`, and nginx does not start without it");
            return Err(Refused);
        };
        put(&mut table, "ca", plain(&job.file(trusted, trusted.arg(0)).ok_or(Refused)?));
        if let Some(name) = name {
            put(&mut table, "server_name", plain(&name));
        }
        if let Some(depth) = scope.one("proxy_ssl_verify_depth") {
            job.changed(depth, "chains of upstreams may be as long as their authorities made them");
        }
    } else {
        put(&mut table, "verify", Toml::from("off"));
        table.remove("crl");
        job.let_through(
            directive,
            "the upstream's certificate is not verified (`proxy_ssl_verify` is off unless it is set): whoever gets between \
             the two reads and changes everything; give `tls.ca`, and take `tls.verify` out",
        );
        // Without a check the name only tells the node which certificate to show, and nginx sends it only if asked to.
        if let Some(name) =
            name.filter(|name| scope.is_on("proxy_ssl_server_name") && name.contains('.'))
        {
            put(&mut table, "server_name", plain(&name));
        }
    }
    protocols(job, scope.one("proxy_ssl_protocols"), &mut table)?;
    ciphers(job, scope.one("proxy_ssl_ciphers"), &mut table)?;
    Ok(table)
}

fn protocols(
    job: &Job<'_>,
    line: Option<&Directive>,
    table: &mut toml::Table,
) -> Result<(), Refused> {
    let Some(line) = line else { return Ok(()) };
    let mut kept: Vec<&str> = Vec::new();
    for word in line.texts() {
        match word {
            "TLSv1.2" | "TLSv1.3" => kept.push(word),
            "SSLv2" | "SSLv3" | "TLSv1" | "TLSv1.0" | "TLSv1.1" => {
                job.changed(line, format!("{word} is broken, and does not exist here"));
            }
            _ => {
                job.refuse(line, format!("{word:?} is no version of TLS"));
                return Err(Refused);
            }
        }
    }
    kept.sort_unstable();
    kept.dedup();
    if kept.is_empty() {
        job.refuse(line, "no version of TLS is left: clients need 1.2 or 1.3");
        return Err(Refused);
    }
    if kept.len() == 1 {
        let kept = kept.into_iter().map(Toml::from).collect();
        put(table, "ssl_protocols", Toml::Array(kept));
    }
    Ok(())
}

/// Does an element of a list select nothing here?
fn is_lost(element: &str) -> bool {
    if element.starts_with(['!', '-', '+', '@']) {
        return false;
    }
    if let Some(rest) = element.strip_prefix("ECDHE-") {
        let suite = rest.strip_prefix("ECDSA-").or_else(|| rest.strip_prefix("RSA-"));
        return !suite.is_some_and(|suite| SUITES.contains(&suite));
    }
    let words: Vec<&str> = element.split('+').collect();
    if words.len() > 1 {
        let lost = [
            "EDH", "DHE", "kEDH", "RSA", "kRSA", "SHA", "SHA1", "SHA256", "SHA384", "3DES", "RC4",
            "CAMELLIA",
        ];
        return words.iter().any(|word| lost.contains(word));
    }
    element.contains('-') && WITHOUT_MEANING.iter().any(|begin| element.starts_with(begin))
        || ["RC4", "3DES", "DES", "RSA", "EDH", "kEDH", "SEED", "CAMELLIA"].contains(&element)
}

fn ciphers(
    job: &Job<'_>,
    line: Option<&Directive>,
    table: &mut toml::Table,
) -> Result<(), Refused> {
    let Some(line) = line else { return Ok(()) };
    let elements: Vec<&str> =
        line.arg(0).split([':', ',', ' ']).filter(|word| !word.is_empty()).collect();
    if elements == ["DEFAULT"] {
        return Ok(());
    }
    let (lost, kept): (Vec<&str>, Vec<&str>) =
        elements.iter().partition(|element| is_lost(element));
    if !lost.is_empty() {
        job.changed(line, format!("these select no cipher suite here: {}", lost.join(", ")));
    }
    if !kept.iter().any(|element| !element.starts_with(['!', '-', '+', '@'])) {
        job.refuse(
            line,
            "no cipher suite is left: those with ECDHE and AES-GCM or ChaCha20-Poly1305 are there",
        );
        return Err(Refused);
    }
    put(table, "ssl_ciphers", Toml::from(kept.join(":")));
    Ok(())
}

fn groups(job: &Job<'_>, line: Option<&Directive>, table: &mut toml::Table) {
    let Some(line) = line.filter(|line| line.arg(0) != "auto") else { return };
    let mut kept: Vec<&str> = Vec::new();
    for name in line.arg(0).split(':') {
        match GROUPS.iter().find(|group| group.nginx == name) {
            Some(group) if !kept.contains(&group.ours) => kept.push(group.ours),
            Some(_) => {}
            None => job.changed(line, format!("the group {name} does not exist here")),
        }
    }
    if kept.is_empty() {
        job.changed(line, "none of these groups exists here: those of docs/tls.md are used");
        return;
    }
    put(table, "ssl_ecdh_curve", Toml::Array(kept.into_iter().map(Toml::from).collect()));
}

fn put(table: &mut toml::Table, key: &str, value: Toml) {
    table.insert(key.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use super::is_lost;

    #[test]
    fn elements_that_select_nothing_are_known() {
        for lost in [
            "DHE-RSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES128-SHA",
            "AES128-GCM-SHA256",
            "DES-CBC3-SHA",
            "EDH+AESGCM",
            "AES256+EDH",
            "RSA+AES",
            "EDH",
            "ECDHE-ECDSA-AES256-CCM",
        ] {
            assert!(is_lost(lost), "{lost}");
        }
        for kept in [
            "HIGH",
            "!aNULL",
            "!MD5",
            "ECDHE-RSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "EECDH+AESGCM",
            "AES256+EECDH",
            "ECDHE",
            "!3DES",
        ] {
            assert!(!is_lost(kept), "{kept}");
        }
    }
}
