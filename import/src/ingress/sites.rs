//! Hosts and their paths, gathered from all Ingress objects, as nginx has them in a server block.

use std::collections::BTreeMap;

use crate::document::{Node, Spot};
use crate::work::Work;

use super::annotations::{AuthTls, IngressSettings};
use super::objects::{Manifest, items, text};

/// What holds there, which no file tells.
const FIRST: &str = "the controller takes what the oldest says; say the same in all of them";

/// An Ingress and what its annotations say.
pub(super) struct ReadIngress<'a> {
    pub(super) manifest: &'a Manifest<'a>,
    pub(super) settings: IngressSettings,
}

/// One path of a host.
pub(super) struct SitePath<'a> {
    pub(super) path: String,
    pub(super) kind: PathKind,
    pub(super) backend: &'a Node,
    pub(super) spot: Spot,
    pub(super) ingress: &'a ReadIngress<'a>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PathKind {
    Exact,
    /// Whole segments.
    Prefix,
    /// Any beginning of the path.
    Beginning,
}

/// A host; the empty name is every host that has none of its own.
#[derive(Default)]
pub(super) struct IngressSite<'a> {
    pub(super) paths: Vec<SitePath<'a>>,
    pub(super) canaries: Vec<SitePath<'a>>,
    /// The Secret of its certificate, and who says so.
    pub(super) certificate: Option<SiteCertificate<'a>>,
    pub(super) auth: Option<AuthTls>,
    /// Whose annotations ask for client certificates.
    pub(super) asked_by: Option<&'a Manifest<'a>>,
    /// An Ingress that says that nobody is asked.
    asks_nobody: Option<&'a ReadIngress<'a>>,
    pub(super) redirects: bool,
    pub(super) regex: bool,
}

pub(super) struct SiteCertificate<'a> {
    pub(super) secret: String,
    pub(super) spot: Spot,
    pub(super) manifest: &'a Manifest<'a>,
}

/// Gathers the hosts of all of them.
pub(super) fn gather<'a>(
    all: &'a [ReadIngress<'a>],
    work: &Work,
) -> BTreeMap<String, IngressSite<'a>> {
    let mut sites = BTreeMap::new();
    for ingress in all {
        take(ingress, &mut sites, work);
    }
    for (host, site) in &mut sites {
        site.redirects &= site.certificate.is_some();
        site.redirects |= site.paths.iter().any(|path| path.ingress.settings.force_ssl_redirect);
        site.regex = site.paths.iter().any(|path| {
            path.ingress.settings.use_regex || path.ingress.settings.rewrite_target.is_some()
        });
        if let (Some(auth), None, Some(manifest)) = (&site.auth, &site.certificate, site.asked_by) {
            let message =
                format!("{host} asks for certificates, but no `tls` of an Ingress names its own");
            manifest.refuse(work, auth.secret.spot, message);
        }
        if let (Some(_), Some(off)) = (&site.auth, site.asks_nobody) {
            let message = format!(
                "`auth-tls-verify-client: off`, and another Ingress of {host} asks for certificates: {FIRST}"
            );
            off.manifest.refuse(work, off.settings.asks_nobody.unwrap_or_default(), message);
        }
        if site.regex {
            order(site, work);
        }
    }
    sites
}

/// Expressions are tried in nginx's order: the longest first, and of equal length from the last to the first.
fn order(site: &mut IngressSite<'_>, work: &Work) {
    let key = |path: &SitePath<'_>| (path.path.len(), path.path.clone());
    site.paths.sort_by_key(|path| std::cmp::Reverse(key(path)));
    let pairs = site.paths.iter().zip(site.paths.iter().skip(1));
    for (_, other) in pairs.filter(|(one, other)| one.path == other.path) {
        let message = "this expression is there twice for its host, with another `pathType`: write one of them";
        other.ingress.manifest.refuse(work, other.spot, message);
    }
}

fn take<'a>(
    ingress: &'a ReadIngress<'a>,
    sites: &mut BTreeMap<String, IngressSite<'a>>,
    work: &Work,
) {
    let manifest = ingress.manifest;
    let Some(spec) = manifest.node.get("spec") else {
        manifest.refuse(work, manifest.node.spot, "`spec` is missing");
        return;
    };
    manifest.only(work, spec, &["ingressClassName", "tls", "rules", "defaultBackend"]);
    let mut hosts = Vec::new();
    for rule in items(spec.get("rules")) {
        manifest.only(work, rule, &["host", "http"]);
        let host = text(rule, &["host"]).unwrap_or_default().to_ascii_lowercase();
        hosts.push(host.clone());
        for path in items(rule.get("http").and_then(|http| http.get("paths"))) {
            if let Some(path) = site_path(ingress, path, work) {
                let site = sites.entry(host.clone()).or_default();
                if ingress.settings.canary.is_some() {
                    site.canaries.push(path);
                } else {
                    add(site, path, manifest, work);
                }
            }
        }
    }
    if let Some(backend) = spec.get("defaultBackend") {
        hosts.push(String::new());
        let path = SitePath {
            path: String::from("/"),
            kind: PathKind::Prefix,
            backend,
            spot: backend.spot,
            ingress,
        };
        add(sites.entry(String::new()).or_default(), path, manifest, work);
    }
    if ingress.settings.canary.is_some() {
        return;
    }
    certificates(ingress, spec, &hosts, sites, work);
    for host in hosts {
        let site = sites.entry(host).or_default();
        ask(site, ingress, work);
        // The first Ingress of a host says whether it redirects.
        if site.paths.iter().all(|path| path.ingress.manifest.path == manifest.path) {
            site.redirects = ingress.settings.ssl_redirect;
        }
    }
}

fn ask<'a>(site: &mut IngressSite<'a>, ingress: &'a ReadIngress<'a>, work: &Work) {
    if ingress.settings.asks_nobody.is_some() {
        site.asks_nobody = Some(ingress);
    }
    let Some(auth) = &ingress.settings.auth else { return };
    let (Some(known), Some(asked_by)) = (&site.auth, site.asked_by) else {
        site.auth = Some(auth.clone());
        site.asked_by = Some(ingress.manifest);
        return;
    };
    if let Some(what) = difference(known, asked_by, auth, ingress.manifest) {
        let message = format!(
            "two Ingress objects of one host ask for certificates in different ways (`{what}`): {FIRST}"
        );
        ingress.manifest.refuse(work, auth.secret.spot, message);
    }
}

/// The annotation in which they differ.
fn difference(
    one: &AuthTls,
    by_one: &Manifest<'_>,
    other: &AuthTls,
    by_other: &Manifest<'_>,
) -> Option<&'static str> {
    let secrets = by_one.full_name(&one.secret.text) == by_other.full_name(&other.secret.text);
    if !secrets {
        Some("auth-tls-secret")
    } else if one.verify != other.verify {
        Some("auth-tls-verify-client")
    } else if one.depth != other.depth {
        Some("auth-tls-verify-depth")
    } else if one.match_cn != other.match_cn {
        Some("auth-tls-match-cn")
    } else if one.pass_certificate != other.pass_certificate {
        Some("auth-tls-pass-certificate-to-upstream")
    } else {
        None
    }
}

fn certificates<'a>(
    ingress: &'a ReadIngress<'a>,
    spec: &'a Node,
    rules: &[String],
    sites: &mut BTreeMap<String, IngressSite<'a>>,
    work: &Work,
) {
    let manifest = ingress.manifest;
    for tls in items(spec.get("tls")) {
        manifest.only(work, tls, &["hosts", "secretName"]);
        let Some(secret) = text(tls, &["secretName"]) else {
            manifest.refuse(work, tls.spot, "`secretName` is missing: the default certificate of the controller is not known here");
            continue;
        };
        let named: Vec<String> = items(tls.get("hosts"))
            .iter()
            .filter_map(|host| host.text())
            .map(str::to_ascii_lowercase)
            .collect();
        for host in if named.is_empty() { rules.to_vec() } else { named } {
            if host.is_empty() {
                manifest.refuse(
                    work,
                    tls.spot,
                    "`hosts` is missing: a certificate needs the names that it is for",
                );
                continue;
            }
            let site = sites.entry(host).or_default();
            let secret = format!("{}/{secret}", manifest.namespace);
            if site.certificate.as_ref().is_some_and(|known| known.secret != secret) {
                manifest.refuse(
                    work,
                    tls.spot,
                    "another Ingress names another certificate for this host",
                );
            }
            site.certificate = Some(SiteCertificate { secret, spot: tls.spot, manifest });
        }
    }
}

fn site_path<'a>(
    ingress: &'a ReadIngress<'a>,
    node: &'a Node,
    work: &Work,
) -> Option<SitePath<'a>> {
    let manifest = ingress.manifest;
    manifest.only(work, node, &["path", "pathType", "backend"]);
    let path = text(node, &["path"]).unwrap_or("/").to_owned();
    let kind = match text(node, &["pathType"]) {
        Some("Exact") => PathKind::Exact,
        Some("Prefix") => PathKind::Prefix,
        Some("ImplementationSpecific") => PathKind::Beginning,
        _ => {
            manifest.refuse(
                work,
                node.spot,
                "`pathType` must be Exact, Prefix or ImplementationSpecific",
            );
            return None;
        }
    };
    if !path.starts_with('/') {
        manifest.refuse(work, node.spot, "a path begins with `/`");
        return None;
    }
    let Some(backend) = node.get("backend") else {
        manifest.refuse(work, node.spot, "`backend` is missing");
        return None;
    };
    Some(SitePath { path, kind, backend, spot: node.spot, ingress })
}

fn add<'a>(site: &mut IngressSite<'a>, path: SitePath<'a>, manifest: &Manifest<'_>, work: &Work) {
    let twice = site.paths.iter().any(|known| known.path == path.path && known.kind == path.kind);
    if twice {
        manifest.refuse(
            work,
            path.spot,
            "this path is there twice for its host: nginx takes whichever is older",
        );
        return;
    }
    site.paths.push(path);
}
