//! Everything that one generation needs for TLS, loaded from the files that a configuration names.

use std::sync::Arc;

use ferrule_config::{Config, Problem, Problems};

use super::authority_index::AuthorityIndex;
use super::client::UpstreamTls;
use super::client_trust;
use super::load::findings::Findings;
use super::load::loaded_crl::{self, LoadedCrl};
use super::load::loaded_objects::{KeptObject, LoadedObjects};
use super::load::{own_certificates, ticket_files};
use super::provider::provider;
use super::resumption::tickets::TicketKeys;
use super::server::ServerTls;
use crate::identity::verify::client_policy::ClientPolicy;

/// Everything that one generation needs for TLS.
#[derive(Debug)]
pub struct TlsSettings {
    /// One per [`Config::servers`], in the same order.
    pub servers: Vec<ServerTls>,
    /// The client authorities of the server objects.
    pub authorities: AuthorityIndex,
    /// One per [`Config::trusts`], in the same order.
    pub trusts: Vec<Arc<ClientPolicy>>,
    /// One per [`Config::upstreams`], in the same order; `None` for plain HTTP.
    pub upstreams: Vec<Option<UpstreamTls>>,
    /// One per [`Config::stores`], in the same order; `None` for those without TLS.
    pub stores: Vec<Option<UpstreamTls>>,
    /// Every revocation list in use, once.
    pub crls: Vec<LoadedCrl>,
    /// What does not keep it from working, but should be looked at.
    pub warnings: Vec<Problem>,
    /// Every object that was taken from files.
    pub objects: LoadedObjects,
    /// Objects that were refused, in whose place those in force stay.
    pub kept: Vec<KeptObject>,
}

impl TlsSettings {
    /// Opens and matches every certificate and key that the configuration names. Pushes every
    /// problem; only without any of ours do the lists line up with the configuration's. `now` is Unix
    /// seconds.
    #[must_use]
    pub fn load(
        config: &Config,
        keys: &Arc<TicketKeys>,
        problems: &mut Problems,
        now: i64,
    ) -> Self {
        Self::load_after(None, config, keys, problems, now)
    }

    /// The same where settings of another configuration are in force: of them only the lists that were
    /// fetched count.
    #[must_use]
    pub fn load_after(
        before: Option<&Self>,
        config: &Config,
        keys: &Arc<TicketKeys>,
        problems: &mut Problems,
        now: i64,
    ) -> Self {
        let fetched_before = before.map(|settings| &settings.objects.fetched);
        let found = Findings { fetched_before, now, ..Findings::default() };
        Self::load_with(found, config, keys, problems)
    }

    /// The same once settings of the same configuration are in force: an object that is refused is kept
    /// from them.
    #[must_use]
    pub fn load_beside(
        before: Option<&Self>,
        config: &Config,
        keys: &Arc<TicketKeys>,
        problems: &mut Problems,
        now: i64,
    ) -> Self {
        let before = before.map(|settings| &settings.objects);
        let fetched_before = before.map(|objects| &objects.fetched);
        let found = Findings { before, fetched_before, now, ..Findings::default() };
        Self::load_with(found, config, keys, problems)
    }

    fn load_with(
        mut found: Findings<'_>,
        config: &Config,
        keys: &Arc<TicketKeys>,
        problems: &mut Problems,
    ) -> Self {
        let provider = Arc::new(provider());
        found.crl_directory = config.crl_fetch.as_ref().map(|fetch| fetch.directory.clone());
        let files = ticket_files::take_or_keep(&config.http.ticket_key_files, &mut found);
        let servers: Vec<ServerTls> = config
            .servers
            .iter()
            .filter_map(|server| {
                let field = problems.field_at(server.place);
                ServerTls::load(server, field, keys, &files, &provider, &mut found)
            })
            .collect();
        let trusts = config
            .trusts
            .iter()
            .filter_map(|trust| client_trust::load(trust, "routes.client", &mut found))
            .map(|trust| trust.policy)
            .collect();
        let upstreams = config
            .upstreams
            .iter()
            .map(|upstream| {
                let tls = upstream.tls.as_ref()?;
                let field = format!("{}.tls", problems.field_at(upstream.place));
                UpstreamTls::load(tls, &field, &provider, &mut found)
            })
            .collect();
        let stores = config
            .stores
            .iter()
            .map(|store| {
                let tls = store.tls.as_ref()?;
                let field = format!("{}.tls", problems.field_at(store.place));
                UpstreamTls::load(tls, &field, &provider, &mut found)
            })
            .collect();
        own_certificates::warn(config, problems, &mut found);
        found.refusals.into_iter().for_each(|problem| problems.push(problem));
        let Findings { warnings, crls, objects, kept, .. } = found;
        let crls = loaded_crl::in_use(crls);
        let authorities = AuthorityIndex::of(&servers);
        Self { servers, authorities, trusts, upstreams, stores, crls, warnings, objects, kept }
    }

    /// The URIs of the certificates that we present, by server object.
    #[must_use]
    pub fn own_uris(&self) -> Vec<Vec<Box<[u8]>>> {
        self.servers.iter().map(|server| server.own_uris.clone()).collect()
    }
}
