//! What all peers of a run know: its settings, its journal, and what they need for TLS.

use std::cell::Cell;

use super::certificates::PeerTls;
use super::journal::RunJournal;
use super::setting::Setting;

/// What all peers of a run know.
pub(super) struct RunContext {
    pub(super) setting: Setting,
    pub(super) journal: RunJournal,
    pub(super) clients_left: Cell<usize>,
    /// What is sent at once is received at once.
    pub(super) calm: bool,
    pub(super) tls: Option<PeerTls>,
}

impl RunContext {
    /// A client's side of TLS, if there is to be any.
    pub(super) fn client_tls(&self) -> Option<rustls::Connection> {
        self.tls.as_ref().map(PeerTls::client)
    }

    /// A node's side of TLS, if there is to be any.
    pub(super) fn node_tls(&self) -> Option<rustls::Connection> {
        self.tls.as_ref().map(PeerTls::node)
    }
}
