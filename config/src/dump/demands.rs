//! What requests are refused for besides their certificates, as TOML.

use super::writer::{Writer, list, text, vars};
use crate::model::{AddressList, ClientRule, RealIp, RefuseRule, Satisfy};
use crate::words::Word;

/// The keys of a `client` table about addresses and tokens.
pub(super) fn dump_demands(out: &mut Writer, rule: &ClientRule) {
    if let Some(demand) = &rule.addresses {
        let (key, networks) = match &demand.list {
            AddressList::Allow(networks) => ("allow_addrs", networks),
            AddressList::Deny(networks) => ("deny_addrs", networks),
        };
        out.line(key, list(networks.iter().map(ToString::to_string)));
        if rule.satisfy == Satisfy::All {
            out.line("addrs_status", demand.answer.status);
            out.text_line("addrs_message", &demand.message);
        } else {
            out.text_line("satisfy", rule.satisfy.word());
        }
    }
    rule.cnf_header.iter().for_each(|name| out.text_line("cnf_header", name));
}

pub(super) fn dump_real_ip(out: &mut Writer, real_ip: &RealIp) {
    let trusted = list(real_ip.trusted.iter().map(ToString::to_string));
    let (source, recursive) = (text(&real_ip.source.text()), real_ip.recursive);
    let table =
        format!("{{ source = {source}, trusted_addresses = {trusted}, recursive = {recursive} }}");
    out.line("real_ip", table);
}

pub(super) fn dump_refuse(out: &mut Writer, rules: &[RefuseRule]) {
    for rule in rules {
        out.header("[[routes.refuse]]");
        let when = vars(out, &rule.when);
        out.line("vars", when);
        out.line("status", rule.answer.status);
        rule.answer.body.iter().for_each(|body| out.line("body", text(body)));
    }
}
