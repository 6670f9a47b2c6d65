//! The whole file: every table is checked, in the order in which they need each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::check::context::{Check, ClientCerts};
use crate::check::ids::Ids;
use crate::check::listens::tls_port;
use crate::model::{ClientVerify, Config, Listen, Router, Server};
use crate::problem::Problems;
use crate::raw::Raw;

/// Checks a whole file.
pub(crate) fn check(root: &Raw, file: &Path, problems: &mut Problems) -> Config {
    let mut check = Check {
        dir: file.parent().map(Path::to_owned).unwrap_or_default(),
        problems,
        upstreams: Vec::new(),
        upstream_ids: Ids::new("upstreams"),
        stores: Vec::new(),
        store_ids: Ids::new("stores"),
        client_certs: ClientCerts::default(),
        trusts: Vec::new(),
        body_files: Vec::new(),
        https_port: 443,
        in_response: false,
        crl_fetch_place: root.has("crl_fetch").then(|| root.at("crl_fetch")),
        server_names: BTreeMap::new(),
        identity_names: BTreeSet::new(),
        demanded_everywhere: false,
        names_decide: false,
        router: Router::RadixtreeHostUri,
    };
    let identity_headers = check.identity_headers(root);
    let xfcc = check.xfcc(root);
    let servers = check.ssls(root);
    let listens = check.listens(root, &servers);
    check.https_port = tls_port(root);
    check.named_upstreams(root.tables("upstreams"));
    check.named_stores(root.tables("stores"));
    let asks = |server: &Server| {
        server.client.as_ref().is_some_and(|client| client.verify != ClientVerify::Off)
    };
    let asked = servers.iter().any(asks);
    let demands = |server: &Server| {
        server.client.as_ref().is_some_and(|client| client.verify == ClientVerify::On)
    };
    check.demanded_everywhere =
        servers.iter().all(demands) && listens.iter().all(|listen| listen.tls);
    let plain_or_any = |listen: &Listen| !listen.tls || listen.fallback_sni.is_some();
    check.names_decide = !listens.is_empty() && !listens.iter().any(plain_or_any);
    let http = check.http(root);
    check.router = http.router;
    let routes = check.routes(root, &http, asked);
    check.stores_are_used(&routes);
    let log = check.log(root, &routes);
    Config {
        file: file.to_owned(),
        runtime: check.runtime(root),
        http,
        log,
        metrics: check.metrics(root, &listens),
        admin: check.admin(root),
        crl_fetch: check.crl_fetch(root),
        identity_headers,
        xfcc,
        trusts: check.trusts,
        body_files: check.body_files,
        listens,
        servers,
        upstreams: check.upstreams,
        stores: check.stores,
        routes,
    }
}
