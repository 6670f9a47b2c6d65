//! How names of nodes are looked up.

use super::writer::{Writer, list};
use crate::model::Resolving;
use crate::values::duration_text;

pub(super) fn dump_resolver(resolver: &Resolving, out: &mut Writer) {
    out.header("[runtime.resolver]");
    if !resolver.nameservers.is_empty() {
        out.line("nameservers", list(resolver.nameservers.iter().map(ToString::to_string)));
    }
    out.text_line("min_ttl", &duration_text(resolver.min_ttl));
    out.text_line("max_ttl", &duration_text(resolver.max_ttl));
}
