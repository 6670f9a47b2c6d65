//! `[[stores]]`, as TOML.

use super::trust::dump_upstream_tls;
use super::writer::{Writer, list};
use crate::model::Store;
use crate::values::duration_text;
use crate::words::Word;

pub(super) fn dump_store(out: &mut Writer, store: &Store) {
    out.header("[[stores]]");
    out.text_line("id", &store.id);
    out.text_line("policy", store.policy.word());
    out.line("nodes", list(store.nodes.iter().map(ToString::to_string)));
    if let Some(name) = &store.username {
        out.text_line("username", name);
    }
    if let Some(password) = &store.password {
        out.text_line("password", &out.secret(password.reveal()));
    }
    out.line("database", store.database);
    out.text_line("timeout", &duration_text(store.timeout));
    out.text_line("sync_interval", &duration_text(store.sync_interval));
    if let Some(tls) = &store.tls {
        dump_upstream_tls(out, "[stores.tls]", tls);
    }
}
