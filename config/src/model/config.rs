//! One whole configuration, and the files that it names.

use std::path::{Path, PathBuf};

use super::access::Xfcc;
use super::crl_fetch::CrlFetch;
use super::files::Pem;
use super::header_ops::HeaderValue;
use super::http::Http;
use super::listen::Listen;
use super::log::Log;
use super::observe::{Admin, Metrics};
use super::route::Route;
use super::runtime::Runtime;
use super::shaping::BodyFile;
use super::ssl::{ClientAuth, Server};
use super::stores::Store;
use super::upstream::{Upstream, UpstreamCa};

/// One whole configuration file.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub file: PathBuf,
    /// Threads, rings and limits of the process.
    pub runtime: Runtime,
    /// Defaults for every listener.
    pub http: Http,
    /// Where logs go.
    pub log: Log,
    /// Where metrics can be fetched; `None` serves none.
    pub metrics: Option<Metrics>,
    /// Where `ferrule ctl` gets in; `None` opens no socket.
    pub admin: Option<Admin>,
    /// How revocation lists are fetched; `None` fetches none.
    pub crl_fetch: Option<CrlFetch>,
    /// Stripped from every request on every listener, then set from the connection.
    pub identity_headers: Vec<HeaderValue>,
    /// What is done about Envoy's `X-Forwarded-Client-Cert`.
    pub xfcc: Xfcc,
    /// Where we listen.
    pub listens: Vec<Listen>,
    /// `[[ssls]]` of type `server`: what we present, and which clients we trust, by server name.
    pub servers: Vec<Server>,
    /// Authorities that routes have of their own; only those of `ClientAuth` that concern trust count.
    pub trusts: Vec<ClientAuth>,
    /// Files that are bodies of answers: what an [`AnswerBody`](super::AnswerBody) counts in.
    pub body_files: Vec<BodyFile>,
    /// `[[upstreams]]`, and after them the inline ones of services and routes.
    pub upstreams: Vec<Upstream>,
    /// `[[stores]]`: where gateways count requests together.
    pub stores: Vec<Store>,
    /// `[[routes]]`, each merged with its service and the global rules.
    pub routes: Vec<Route>,
}

impl Config {
    /// Every file that the configuration names, but for logs and sockets: certificates, keys and
    /// what belongs to them.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        let mut files = Vec::new();
        for server in &self.servers {
            server.pairs.iter().for_each(|pair| files.extend(pair.files()));
            files.extend(server.stapling_files.iter().map(|file| file.path.as_path()));
        }
        let asked = self.servers.iter().filter_map(|server| server.client.as_ref());
        for client in asked.chain(&self.trusts) {
            files.extend(client.ca.iter().filter_map(Pem::file));
            let lists = client.revocation.iter().flat_map(|lists| &lists.crls);
            files.extend(lists.filter_map(Pem::file));
        }
        let stores = self.stores.iter().filter_map(|store| store.tls.as_ref());
        let upstreams = self.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref());
        for tls in upstreams.chain(stores) {
            tls.client.iter().for_each(|pair| files.extend(pair.files()));
            if let Some(UpstreamCa::Files(pems)) = &tls.ca {
                files.extend(pems.iter().filter_map(Pem::file));
            }
            let lists = tls.revocation.iter().flat_map(|lists| &lists.crls);
            files.extend(lists.filter_map(Pem::file));
        }
        files.extend(self.http.ticket_key_files.iter().map(|file| file.path.as_path()));
        files.sort_unstable();
        files.dedup();
        files
    }
}
