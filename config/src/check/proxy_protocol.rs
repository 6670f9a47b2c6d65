//! `proxy_protocol` of listeners and upstreams: whose headers are taken, and which are sent.

use ipnet::IpNet;

use crate::check::context::Check;
use crate::model::{ProxyProtocol, ProxyTlv};
use crate::raw::Raw;
use crate::values::client_range;
use crate::words::{ProxyVersion, Word};

impl Check<'_> {
    /// Whose headers a listener takes; `None` if that is not whole. Nobody is trusted by default:
    /// whoever may send a header may be any client it likes.
    pub(super) fn proxy_protocol(&mut self, raw: &Raw) -> Option<Option<Vec<IpNet>>> {
        const TRUSTED: &str = "proxy_protocol_trusted";
        if !raw.flag("proxy_protocol") {
            if raw.has(TRUSTED) && !raw.is_broken("proxy_protocol") {
                let message = "`proxy_protocol_trusted` is for `proxy_protocol = true` only";
                let help = "set `proxy_protocol`, or take it out";
                self.error(raw.at(TRUSTED), raw.path(TRUSTED), message, help);
            }
            return Some(None);
        }
        let help = "name who may send the header, as [\"10.0.0.0/8\", \"192.0.2.1\"]; every \
                    address is [\"0.0.0.0/0\", \"::/0\"]";
        if !raw.has(TRUSTED) {
            let message = "`proxy_protocol_trusted` is missing";
            self.error(raw.at("proxy_protocol"), raw.path(TRUSTED), message, help);
            return None;
        }
        let mut networks = Vec::new();
        for text in raw.texts(TRUSTED) {
            match client_range(&text.text) {
                Ok(network) => networks.push(network),
                Err(wrong) => self.wrong(text.place, raw.path(TRUSTED), wrong),
            }
        }
        (networks.len() == raw.texts(TRUSTED).len() && !networks.is_empty())
            .then_some(Some(networks))
    }

    /// Which header an upstream gets.
    pub(super) fn proxy_header(&mut self, raw: &Raw) -> Option<ProxyProtocol> {
        const TLVS: &str = "proxy_protocol_tlvs";
        let version = raw.word("proxy_protocol");
        if raw.has(TLVS) && version != Some(ProxyVersion::V2) && !raw.is_broken("proxy_protocol") {
            let message = "`proxy_protocol_tlvs` is for `proxy_protocol = \"v2\"` only";
            self.error(raw.at(TLVS), raw.path(TLVS), message, "set that, or take it out");
        }
        let words = raw.words(TLVS).unwrap_or_default();
        let known = ProxyTlv::VALUES.iter().filter(|tlv| words.contains(&tlv.word()));
        Some(match version? {
            ProxyVersion::V1 => ProxyProtocol::V1,
            ProxyVersion::V2 => ProxyProtocol::V2(known.copied().collect()),
        })
    }
}
