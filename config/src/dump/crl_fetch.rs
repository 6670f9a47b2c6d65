//! `[crl_fetch]`, as TOML.

use super::writer::Writer;
use crate::model::CrlFetch;
use crate::values::{duration_text, size_text};

pub(super) fn dump_crl_fetch(out: &mut Writer, fetch: &CrlFetch) {
    out.header("[crl_fetch]");
    out.text_line("directory", &fetch.directory.display().to_string());
    out.text_line("refresh", &duration_text(fetch.refresh));
    out.text_line("timeout", &duration_text(fetch.timeout));
    out.text_line("max_size", &size_text(fetch.size_max));
}
