//! `http.real_ip`.

use crate::check::context::Check;
use crate::model::{RealIp, RealIpSource};
use crate::raw::Raw;
use crate::values::Wrong;

impl Check<'_> {
    pub(super) fn real_ip(&mut self, http: &Raw) -> Option<RealIp> {
        let raw = http.table("real_ip")?;
        let trusted = self.networks(raw, "trusted_addresses");
        let text = raw.text("source")?;
        let recursive = raw.flag("recursive");
        match source(&text.text) {
            Ok(source) => {
                if recursive && source != RealIpSource::ForwardedFor {
                    let help = "take it out, or set `source = \"http_x_forwarded_for\"`";
                    let (at, path) = (raw.at("recursive"), raw.path("recursive"));
                    self.error(at, path, "there is one address in this source", help);
                }
                Some(RealIp { source, trusted, recursive })
            }
            Err(wrong) => {
                self.wrong(text.place, raw.path("source"), wrong);
                None
            }
        }
    }
}

fn source(text: &str) -> Result<RealIpSource, Wrong> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let (kind, name) = text.split_once('_').unwrap_or_default();
    match kind {
        _ if text.starts_with('$') => {
            Err(Wrong::new(format!("`{text}` starts with a `$`")).help("write the name alone"))
        }
        "http" if text == "http_x_forwarded_for" => Ok(RealIpSource::ForwardedFor),
        "http" if !name.is_empty() && name.bytes().all(legal) => {
            Ok(RealIpSource::Header(name.replace('_', "-")))
        }
        "arg" if !name.is_empty() => Ok(RealIpSource::Argument(name.to_owned())),
        _ => Err(Wrong::new(format!("`{text}` is no part of a request that names an address"))
            .help("\"http_x_forwarded_for\", \"http_x_real_ip\" or \"arg_realip\"; the address of a PROXY \
                   protocol header is `$remote_addr` already")),
    }
}

impl RealIpSource {
    /// As it is written in a file.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::ForwardedFor => "http_x_forwarded_for".to_owned(),
            Self::Header(name) => format!("http_{}", name.replace('-', "_")),
            Self::Argument(name) => format!("arg_{name}"),
        }
    }
}
