//! ingress-nginx: Ingress objects with their Secrets and Services, as `kubectl get -o yaml` writes them.

mod annotations;
mod objects;
mod routes;
mod sites;

use std::collections::{BTreeMap, BTreeSet};

use toml::Value as Toml;

use crate::document::Node;
use crate::fields::{plain, put};
use crate::output::Import;
use crate::proof::{Draft, Source, finish};
use crate::report::Kind;
use crate::work::Work;
use crate::yaml;

use self::objects::{Manifests, text};
use self::routes::RouteWriter;
use self::sites::{IngressSite, ReadIngress};

/// A file of objects.
#[derive(Clone, Debug)]
pub struct ManifestFile {
    /// Its name, for the report.
    pub name: String,
    /// Its text: YAML, with `---` between objects.
    pub text: String,
}

/// What stands in the first line of what is made.
const MAKER: &str = "ferrule import ingress-nginx";

/// Classes that ingress-nginx takes.
const CLASSES: [&str; 1] = ["nginx"];

/// What is different for every configuration that moves here.
const DIFFERENCES: [&str; 8] = [
    "A request whose Host belongs to another policy than its server name gets 421, and one for a server name without \
     a certificate of its own ends in the handshake: there is no default certificate.",
    "Headers that only a gateway may send (ssl-client-*, X-SSL-* and the like) are removed from every request, also \
     of hosts that ask for no certificate; headers with an underscore in their name are dropped.",
    "Redirects to https have 301 for GET and HEAD, and 308 for other methods; ingress-nginx has 308 for all.",
    "Dot segments and broken escapes in a path are refused with 400 and not resolved.",
    "X-Forwarded-For is appended to (docs/http.md); ingress-nginx replaces it, unless `use-forwarded-headers` is set.",
    "Settings of the controller's ConfigMap are not imported.",
    "TLS 1.1 and cipher suites without forward secrecy and AEAD do not exist. Tickets count only for the policy under \
     which they were made.",
    "Error answers have other texts; a node that fails several requests in a row is set aside for a while.",
];

/// Converts the objects of these files; `env` is asked for variables of the environment by the file's reader.
#[must_use]
pub fn convert(files: &[ManifestFile], env: &dyn Fn(&str) -> Option<String>) -> Import {
    let work = Work::default();
    let source = match files {
        [one] => one.name.clone(),
        _ => String::from("manifests"),
    };
    let mut draft = Draft::new(MAKER);
    let mut documents: BTreeMap<&str, Vec<Node>> = BTreeMap::new();
    for file in files {
        match yaml::read_all(&file.text) {
            Ok(nodes) => documents.entry(&file.name).or_default().extend(nodes),
            Err(error) => work.log.add(Kind::Refused, error.spot, &file.name, error.message),
        }
    }
    let mut manifests = Manifests::default();
    for (name, nodes) in &documents {
        let file = if files.len() > 1 { format!("{name}: ") } else { String::new() };
        for node in nodes {
            manifests.take(node, &file, &work);
        }
    }
    write_all(&manifests, &work, &mut draft);
    if !work.log.refused() {
        draft.prove(&work, env);
    }
    finish(work, draft, &source, &DIFFERENCES)
}

fn write_all(manifests: &Manifests<'_>, work: &Work, draft: &mut Draft) {
    let read: Vec<ReadIngress<'_>> = manifests
        .ingresses
        .iter()
        .filter(|manifest| {
            let by_spec = text(manifest.node, &["spec", "ingressClassName"]);
            let by_annotation =
                text(manifest.node, &["metadata", "annotations", "kubernetes.io/ingress.class"]);
            let class = by_spec.or(by_annotation).unwrap_or("nginx");
            let ours = CLASSES.contains(&class);
            if !ours {
                let message = format!("it is of the class {class}, and not of nginx");
                manifest.say(work, Kind::Skipped, manifest.node.spot, message);
            }
            ours
        })
        .map(|manifest| ReadIngress { manifest, settings: annotations::read(manifest, work) })
        .collect();
    if read.is_empty() {
        work.log.add(
            Kind::Refused,
            crate::document::Spot::default(),
            "file",
            "there is no Ingress",
        );
    }
    let sites = sites::gather(&read, work);
    let any_tls = sites.values().any(|site| site.certificate.is_some());
    let redirected = any_tls && sites.values().all(|site| site.redirects);
    let asks = sites.values().any(|site| site.auth.is_some());
    process(any_tls, redirected, asks, draft);
    for (host, site) in &sites {
        certificate(host, site, manifests, work, draft);
    }
    let mut writer = RouteWriter {
        manifests,
        work,
        redirected,
        known: BTreeSet::new(),
        upstreams: Draft::new(MAKER),
        routes: Draft::new(MAKER),
    };
    writer.write(&sites);
    draft.append(writer.upstreams);
    draft.append(writer.routes);
    request_id(draft);
}

/// Where is listened, and nginx's limit of bodies.
fn process(any_tls: bool, redirected: bool, asks: bool, draft: &mut Draft) {
    let http = [("client_max_body_size".to_owned(), Toml::from("1m"))].into_iter().collect();
    draft.push_own("http", http, false);
    let mut plain_table = toml::Table::new();
    put(&mut plain_table, "address", Some("0.0.0.0:80"));
    if redirected {
        put(&mut plain_table, "redirect_to_https", Some(true));
    } else if asks {
        put(&mut plain_table, "mtls_routes", Some("reject"));
    }
    draft.push_own("listen", plain_table, true);
    if any_tls {
        let mut table = toml::Table::new();
        put(&mut table, "address", Some("0.0.0.0:443"));
        put(&mut table, "tls", Some(true));
        draft.push_own("listen", table, true);
    }
}

fn request_id(draft: &mut Draft) {
    let mut id = toml::Table::new();
    put(&mut id, "header_name", Some("X-Request-ID"));
    put(&mut id, "include_in_response", Some(false));
    let rule = [("request_id".to_owned(), Toml::Table(id))].into_iter().collect();
    draft.push_own("global_rules", rule, true);
}

/// The server name of a host, and whom it trusts.
fn certificate(
    host: &str,
    site: &IngressSite<'_>,
    manifests: &Manifests<'_>,
    work: &Work,
    draft: &mut Draft,
) {
    let Some(certificate) = &site.certificate else { return };
    let manifest = certificate.manifest;
    let get = |key: &str| {
        manifests.secret(manifest, certificate.spot, &certificate.secret, key, true, work)
    };
    let (Some(cert), Some(key)) = (get("tls.crt"), get("tls.key")) else { return };
    let stem = host.replace('*', "wildcard");
    let mut table = toml::Table::new();
    put(&mut table, "sni", Some(plain(host)));
    put(&mut table, "cert", Some(work.keep(&stem, "pem", &cert)));
    put(&mut table, "key", Some(work.keep(&stem, "key", &key)));
    if let (Some(auth), Some(asked_by)) = (&site.auth, site.asked_by) {
        let get = |key: &str, needed: bool| {
            manifests.secret(asked_by, auth.secret.spot, &auth.secret.text, key, needed, work)
        };
        let mut client = toml::Table::new();
        let ca = get("ca.crt", true);
        put(&mut client, "ca", ca.map(|ca| work.keep(&format!("{stem}-client-ca"), "pem", &ca)));
        put(&mut client, "verify", (auth.verify != "on").then_some(auth.verify));
        put(&mut client, "depth", Some(auth.depth));
        let crl = get("ca.crl", false);
        put(
            &mut client,
            "crl",
            crl.map(|crl| work.keep(&format!("{stem}-client-ca"), "crl", &crl)),
        );
        put(&mut table, "client", Some(client));
    }
    draft.push(
        "ssls",
        table,
        Source { path: manifest.path.clone(), file: None, spot: certificate.spot },
    );
}
