//! What clients must show to a server name: `[ssls.client]`, and the keys that routes share with it.

use crate::defaults;
use crate::describe::key::{Fallback, Key, Kind, Table, Words, flag, optional, with};
use crate::describe::refused;
use crate::model::{ClientEku, ClientVerify, CrlExpired, CrlMissing, OnRevoke, Reject};
use crate::words::Word;

static ON_EXPIRED: Words = Words { words: CrlExpired::WORDS, refused: &[] };
static ON_MISSING: Words = Words { words: CrlMissing::WORDS, refused: &[] };
pub(super) const CLOCK_SKEW: Key = with(
    "clock_skew",
    Kind::Skew,
    Fallback::Duration(defaults::CLOCK_SKEW),
    "How far clocks may be apart: certificates and revocation lists count from that much earlier \
         until that much later.",
);
pub(super) const CRL: Key = optional(
    "crl",
    Kind::Texts,
    "revocation is not checked",
    "Certificate revocation lists, PEM (several in a file are fine) or DER: paths, or the text \
         itself. One that begins with `http://` is fetched, as `[crl_fetch]` says. Every authority of \
         a chain needs one.",
);
pub(super) const CRL_DISTRIBUTION_POINTS: Key = flag(
    "crl_distribution_points",
    false,
    "Also fetch the lists that the certificates in `ca` name themselves (`cRLDistributionPoints`). \
         What peers send is never asked for the place of a list. Needs `[crl_fetch]`.",
);
pub(super) const CRL_EXPIRED: Key = with(
    "crl_expired",
    Kind::Word(&ON_EXPIRED),
    Fallback::Text("reject"),
    "What happens when a list is past its `nextUpdate`. \"reject\": its authority's certificates \
         are refused. \"warn\": the list is still used.",
);
pub(super) const CRL_MISSING: Key = with(
    "crl_missing",
    Kind::Word(&ON_MISSING),
    Fallback::Text("reject"),
    "What happens when there is no list of an authority. \"reject\": its certificates are refused, \
         as in nginx. \"allow\": they are not checked for revocation.",
);

static CLIENT_VERIFY: Words = Words { words: ClientVerify::WORDS, refused: &[] };
static ON_REVOKE: Words = Words { words: OnRevoke::WORDS, refused: &[] };
static REJECT: Words = Words { words: Reject::WORDS, refused: &[] };
static EKU_WORDS: Words = Words { words: ClientEku::WORDS, refused: &[] };

/// Of `client` tables.
pub(super) const EKU: Key = with(
    "eku",
    Kind::Word(&EKU_WORDS),
    Fallback::Text("client"),
    "What `extKeyUsage` of a certificate, and of the authorities below the trusted one, has to allow where it is \
         there. \"client\": `clientAuth`, as in nginx. \"any\": whatever it says, for certificates of authorities that \
         issue only for servers; warned about, because whoever has any certificate of the authority gets in \
         (client-auth-eku.md).",
);

/// Of `client` tables.
pub(super) const ALLOW: Key = optional(
    "allow",
    Kind::Matches,
    "every verified client",
    "Only verified clients get in that match one of these: `CN=ops` and other attributes as whole \
         values, `issuer.O=Acme`, `URI:spiffe://a/ns/*`, `DNS:*.a.com`, `email:`, `IP:` (an \
         address or a network), `subject:` and `issuer:` (whole names), `serial:`, `sha256:`, \
         `spki-sha256:`. All entries of a list within the list must match together. Others get \
         403.",
);
/// Of `client` tables.
pub(super) const DENY: Key = optional(
    "deny",
    Kind::Matches,
    "nobody",
    "No client gets in that matches one of these, whatever `allow` says. The entries are those of \
         `allow` without `sha256:`, because a client can change its own fingerprint: write \
         `spki-sha256:`, or `issuer:` and `serial:` together.",
);

pub(super) static CLIENT: Table = Table {
    name: "ssls.client",
    doc: "Which clients are trusted. There are no system roots here.",
    keys: &[
        flag(
            "defaults",
            true,
            "Take what is not said here from `[ssl_defaults.client]`. With false nothing is taken from \
                 there, and nothing that other server names have is missed.",
        ),
        optional(
            "ca",
            Kind::Texts,
            "needed by `verify = \"on\"` and \"optional\"",
            "Trusted certificate authorities, PEM: paths, or the text itself.",
        ),
        with(
            "verify",
            Kind::Word(&CLIENT_VERIFY),
            Fallback::Text("on"),
            "\"on\": a good certificate is required. \"optional\": a client may send none, but not \
                 a bad one. \"optional_no_ca\": one is asked for, and one of an unknown issuer \
                 passes: routes or the upstream decide. \"off\": none is asked for.",
        ),
        with(
            "depth",
            Kind::Int(0, 10),
            Fallback::Int(defaults::DEPTH),
            "Intermediate certificates allowed (OpenSSL's count: neither the leaf nor the \
                 authority).",
        ),
        with(
            "reject",
            Kind::Word(&REJECT),
            Fallback::Text("http"),
            "How a refused client learns of it. \"http\": the handshake completes and a 400 says \
                 why. \"handshake\": by a TLS alert.",
        ),
        with(
            "on_revoke",
            Kind::Word(&ON_REVOKE),
            Fallback::Text("close"),
            "What happens to a connection whose certificate is no longer good: revoked, expired, \
                 or refused by a new configuration. \"close\": it ends after the running request, \
                 a WebSocket at once. \"cut\": it ends at once. \"keep\": it lives on with the \
                 verdict of its handshake until the certificate expires, for its own server name \
                 alone (any other Host gets 421), and while that name belongs to the same object, \
                 with the same names, that says \"keep\".",
        ),
        flag(
            "allow_v1",
            true,
            "Accept X.509 v1 certificates issued directly by a listed authority.",
        ),
        EKU,
        CLOCK_SKEW,
        CRL,
        CRL_DISTRIBUTION_POINTS,
        CRL_EXPIRED,
        CRL_MISSING,
        flag("send_ca_names", true, "Name the authorities when asking for the certificate."),
        flag(
            "explain",
            false,
            "Tell a refused client in the body of the 400 which certificate it showed, why it was \
                 refused, and which authorities are trusted: in JSON, whatever `Accept` and \
                 `error_pages` say.",
        ),
        ALLOW,
        DENY,
        optional(
            "skip_mtls_uri_regex",
            Kind::Texts,
            "no path",
            "Regular expressions for the start of the normalised path; a request that one of them \
                 matches passes without a good certificate. None may match every path, or begin \
                 with `^` in only some of its alternatives. Needs `verify = \"on\"` and `reject = \
                 \"http\"`.",
        ),
    ],
    refused: refused::IN_CLIENT,
};
