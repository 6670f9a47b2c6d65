//! The table of what all `[[ssls]]` share.

use crate::describe::key::{Kind, Table, optional};
use crate::describe::ssl_client::CLIENT;

/// `[ssl_defaults]`
pub(super) static SSL_DEFAULTS: Table = Table {
    name: "ssl_defaults",
    doc: "What all `[[ssls]]` of type \"server\" share.",
    keys: &[optional(
        "client",
        Kind::Table(&CLIENT),
        "each [[ssls]] says it for itself",
        "Every key here holds for every server name whose own `client` table does not give it; one that \
             does replaces the whole value, also of a list. With `ca` or `verify` here, a server name \
             without a `client` table asks for certificates as well; `client.verify = \"off\"` lets it \
             be open, and takes nothing from here.",
    )],
    refused: &[],
};
