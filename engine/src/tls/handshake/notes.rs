//! What a running handshake tells its surroundings, and hears from them.
//!
//! rustls calls verifiers, resolvers and ticketers without saying for which connection. A data core
//! runs one handshake at a time, so its notes lie in a core-local cell while rustls runs, and
//! with the connection otherwise ([`HandshakeNotes::during`]).

use std::cell::RefCell;

use rustls::SignatureScheme;

use super::hello::{HelloError, normal_name};
use super::hidden_name::{HiddenServerName, SecondHello};
use crate::identity::VerifyFailure;
use crate::plan::Forbidden;
use crate::tls::signatures::{PSS_PSS_SHA256, PSS_PSS_SHA384, PSS_PSS_SHA512};

/// Certificates of a refused chain that are kept for the log, and bytes of each.
const REFUSED_MAX: usize = 10;
const REFUSED_BYTES_MAX: usize = 16 * 1024;

/// The notes of one connection's handshake; kept with the connection until it is over.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HandshakeNotes {
    server_name: Option<String>,
    leaf_expiry: Option<i64>,
    client_sigalg: Option<SignatureScheme>,
    client_failure: Option<VerifyFailure>,
    client_forbidden: Option<Forbidden>,
    refused: Vec<Vec<u8>>,
    name_differs: bool,
    hidden: Option<HiddenServerName>,
    second_hello: Option<HelloError>,
}

struct RunningHandshake {
    notes: HandshakeNotes,
    now: i64,
}

thread_local! {
    static RUNNING: RefCell<Option<RunningHandshake>> = const { RefCell::new(None) };
}

/// Clears the cell even if rustls panics.
struct ClearOnDrop;

impl Drop for ClearOnDrop {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(|running| *running = None);
    }
}

impl HandshakeNotes {
    /// Notes for a connection whose settings were chosen by this server name (see
    /// [`super::hello::Hello::sni`]); rustls must come to the same one.
    #[must_use]
    pub fn new(server_name: Option<&str>) -> Self {
        Self { server_name: server_name.map(normal_name), ..Self::default() }
    }

    /// The same for a hello of which rustls is shown only so much.
    #[must_use]
    pub fn hiding(mut self, hidden: Option<HiddenServerName>) -> Self {
        self.hidden = hidden;
        self
    }

    /// Does rustls not see the server name? Then it may not see that of a second hello either.
    #[must_use]
    pub const fn hides(&self) -> bool {
        self.hidden.is_some()
    }

    /// As [`SecondHello::read`], and keeps why not.
    ///
    /// # Errors
    /// Those of [`SecondHello::read`].
    pub fn hide_again(
        &mut self,
        second: &mut SecondHello,
        received: &mut [u8],
    ) -> Result<bool, HelloError> {
        let Some(hidden) = &mut self.hidden else { return Ok(true) };
        let read = second.read(hidden, received);
        self.second_hello = read.err();
        read
    }

    /// Why the hello after a `HelloRetryRequest` was refused.
    #[must_use]
    pub const fn bad_second_hello(&self) -> Option<HelloError> {
        self.second_hello
    }

    /// Runs rustls (`process_tls_records`) with these notes at hand. `now` is Unix seconds.
    /// No ticket is written or read outside of this.
    pub fn during<R>(&mut self, now: i64, run: impl FnOnce() -> R) -> R {
        let notes = std::mem::take(self);
        RUNNING.with_borrow_mut(|running| *running = Some(RunningHandshake { notes, now }));
        let cleared = ClearOnDrop;
        let result = run();
        if let Some(running) = RUNNING.with_borrow_mut(Option::take) {
            *self = running.notes;
        }
        drop(cleared);
        result
    }

    /// rustls read another server name than we did; the handshake has failed.
    #[must_use]
    pub const fn name_differs(&self) -> bool {
        self.name_differs
    }

    /// Why the client's chain ended the handshake (`reject = "handshake"`).
    #[must_use]
    pub const fn client_failure(&self) -> Option<VerifyFailure> {
        self.client_failure
    }

    /// Why the client was refused by a list (`reject = "handshake"`).
    #[must_use]
    pub const fn client_forbidden(&self) -> Option<Forbidden> {
        self.client_forbidden
    }

    fn keep(&mut self, chain: &[&[u8]]) {
        let first = chain.iter().take(REFUSED_MAX).filter(|der| der.len() <= REFUSED_BYTES_MAX);
        self.refused = first.map(|der| der.to_vec()).collect();
    }

    /// The chain that was refused, leaf first; rustls does not keep it. Bounded.
    #[must_use]
    pub fn take_refused(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.refused)
    }

    /// `$ssl_client_sigalg`, as OpenSSL names it; empty without a certificate or after resumption.
    #[must_use]
    pub const fn client_sigalg(&self) -> &'static str {
        match self.client_sigalg {
            Some(SignatureScheme::ECDSA_NISTP256_SHA256) => "ecdsa_secp256r1_sha256",
            Some(SignatureScheme::ECDSA_NISTP384_SHA384) => "ecdsa_secp384r1_sha384",
            Some(SignatureScheme::ECDSA_NISTP521_SHA512) => "ecdsa_secp521r1_sha512",
            Some(SignatureScheme::ED25519) => "ed25519",
            Some(SignatureScheme::RSA_PSS_SHA256) => "rsa_pss_rsae_sha256",
            Some(SignatureScheme::RSA_PSS_SHA384) => "rsa_pss_rsae_sha384",
            Some(SignatureScheme::RSA_PSS_SHA512) => "rsa_pss_rsae_sha512",
            Some(PSS_PSS_SHA256) => "rsa_pss_pss_sha256",
            Some(PSS_PSS_SHA384) => "rsa_pss_pss_sha384",
            Some(PSS_PSS_SHA512) => "rsa_pss_pss_sha512",
            Some(SignatureScheme::RSA_PKCS1_SHA256) => "rsa_pkcs1_sha256",
            Some(SignatureScheme::RSA_PKCS1_SHA384) => "rsa_pkcs1_sha384",
            Some(SignatureScheme::RSA_PKCS1_SHA512) => "rsa_pkcs1_sha512",
            _ => "",
        }
    }
}

/// The client's leaf ends then: no ticket may live longer.
pub(crate) fn note_leaf_expiry(end: i64) {
    with_running(|running| running.notes.leaf_expiry = Some(end));
}

/// The client's chain was refused during the handshake.
pub(crate) fn note_client_failure(failure: VerifyFailure, chain: &[&[u8]]) {
    with_running(|running| {
        running.notes.client_failure = Some(failure);
        running.notes.keep(chain);
    });
}

/// The client was refused by a list during the handshake.
pub(crate) fn note_client_forbidden(forbidden: Forbidden, chain: &[&[u8]]) {
    with_running(|running| {
        running.notes.client_forbidden = Some(forbidden);
        running.notes.keep(chain);
    });
}

/// The client proved possession with this.
pub(crate) fn note_client_sigalg(scheme: SignatureScheme) {
    with_running(|running| running.notes.client_sigalg = Some(scheme));
}

/// The time, and when the client's leaf ends; `None` outside of a handshake of ours.
pub(crate) fn time_and_leaf_expiry() -> Option<(i64, Option<i64>)> {
    RUNNING.with_borrow(|running| {
        running.as_ref().map(|running| (running.now, running.notes.leaf_expiry))
    })
}

/// Has rustls read the name by which we chose? Outside of a handshake of ours there is no choice
/// to compare with.
pub(crate) fn agrees_on_name(name: Option<&str>) -> bool {
    RUNNING.with_borrow_mut(|running| {
        let Some(running) = running else { return true };
        let same = running.notes.server_name == name.map(normal_name);
        running.notes.name_differs |= !same;
        same
    })
}

/// These bytes of the running handshake as the client has sent them, if rustls was shown others.
pub(crate) fn restored(bytes: &[u8]) -> Option<Vec<u8>> {
    RUNNING.with_borrow(|running| running.as_ref()?.notes.hidden.as_ref()?.restored(bytes))
}

fn with_running(act: impl FnOnce(&mut RunningHandshake)) {
    RUNNING.with_borrow_mut(|running| {
        if let Some(running) = running {
            act(running);
        }
    });
}
