//! `[identity_headers]`, and the `headers` of rules, services and routes.

use std::collections::BTreeSet;

use crate::check::context::Check;
use crate::model::{HeaderOps, HeaderValue, Xfcc, XfccKey, XfccMode};
use crate::place::Place;
use crate::raw::{Field, FieldValue, Raw, join};
use crate::template::{Piece, Template, Variable};
use crate::values::{FIELD_NAME_BYTES_MAX, Wrong, folded, is_token, nearest};
use crate::words::Word;

/// Fields that say where a message ends, or live for one hop (RFC 9110, section 7.6.1; RFC 9112).
pub(super) const OURS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Check<'_> {
    pub(super) fn identity_headers(&mut self, root: &Raw) -> Vec<HeaderValue> {
        let mut headers = Vec::new();
        for field in root.fields("identity_headers") {
            let path = join("identity_headers", &field.name);
            let named = self.header_name(&field.name, field.place, &path);
            if named && !self.identity_names.insert(folded(&field.name)) {
                let wrong = Wrong::new("this name stands here twice, but for case, `-` and `_`");
                self.wrong(field.place, &*path, wrong.help("upstreams may read both as one"));
            }
            for FieldValue { place, template } in &field.values {
                self.identity_value(template, *place, &path);
                if named {
                    self.no_misspelt_key(&field.name, template, field.place, &path);
                }
                self.header_value(template, *place, &path);
                let (name, value) = (field.name.clone(), template.clone());
                headers.push(HeaderValue { place: field.place, name, value });
            }
        }
        if let Some(raw) = root.table("identity_headers") {
            headers.extend(self.preset_headers(raw));
        }
        headers
    }

    /// The headers of presets, which are written like any others.
    fn preset_headers(&mut self, raw: &Raw) -> Vec<HeaderValue> {
        let place = raw.at("preset");
        let mut headers = Vec::new();
        for preset in raw.words("preset").unwrap_or_default() {
            for (name, variable) in preset_fields(preset) {
                if !self.identity_names.insert(folded(name)) {
                    let wrong = Wrong::new(format!("the preset \"{preset}\" sets `{name}` too"));
                    self.wrong(place, raw.path("preset"), wrong.help("take one of them out"));
                }
                let value = Template { pieces: vec![Piece::Variable(variable)] };
                headers.push(HeaderValue { place, name: name.to_owned(), value });
            }
        }
        headers
    }

    /// What is done about `X-Forwarded-Client-Cert`.
    pub(super) fn xfcc(&mut self, root: &Raw) -> Xfcc {
        let Some(raw) = root.table("identity_headers") else { return Xfcc::default() };
        let preset = raw.words("preset").is_some_and(|presets| presets.contains(&"xfcc"));
        let table = raw.table("xfcc");
        let mut xfcc = Xfcc::default();
        if let Some(table) = table {
            xfcc.mode = table.word("mode").unwrap_or_default();
            if let Some(words) = table.words("keys") {
                let named = |key: &XfccKey| words.contains(&key.word());
                xfcc.keys = XfccKey::VALUES.iter().copied().filter(named).collect();
            }
        } else if preset {
            xfcc.mode = XfccMode::SanitizeSet;
        }
        if preset && xfcc.mode == XfccMode::Sanitize {
            let help = "take the preset out, or write \"sanitize_set\"";
            let message = "the preset sends what this drops";
            self.error(raw.at("xfcc"), raw.path("xfcc"), message, help);
        }
        let taken = self.identity_names.contains("x-forwarded-client-cert");
        if taken && xfcc.mode != XfccMode::Sanitize {
            let help = "take one of them out";
            let message = "`X-Forwarded-Client-Cert` stands here as a header too";
            self.error(raw.place, raw.path("xfcc"), message, help);
        }
        if xfcc.mode != XfccMode::Sanitize {
            self.identity_names.insert("x-forwarded-client-cert".to_owned());
        }
        if xfcc.mode == XfccMode::AlwaysForwardOnly {
            let message = "whoever reaches this gateway can say in `X-Forwarded-Client-Cert` that \
                           it is anybody";
            let help = "only behind another gateway that writes it; \"forward_only\" asks for a \
                        verified client";
            self.warn(raw.at("xfcc"), raw.path("xfcc"), message, help);
        }
        xfcc
    }

    /// What a client may write has no place in an identity.
    fn identity_value(&mut self, template: &Template, place: Place, path: &str) {
        for variable in template.variables().filter(|variable| variable.is_written_by_client()) {
            let name = variable.name();
            let wrong = Wrong::new(format!("`${name}` is what the client writes, as it likes"))
                .help("use `headers.set` of a route or global rule for it");
            self.wrong(place, path, wrong);
        }
    }

    /// Every name that is no key is a header, so a misspelt key would be one too.
    fn no_misspelt_key(&mut self, name: &str, template: &Template, place: Place, path: &str) {
        if name.contains(['-', '_']) {
            return;
        }
        let near = nearest(name, ["preset", "xfcc"].into_iter());
        let fixed = template.variables().next().is_none();
        if near.is_none() && !fixed {
            return;
        }
        let wrong = Wrong::new(format!("`{name}` would be a header"));
        self.wrong(
            place,
            path,
            wrong.help(near.map_or_else(
                || {
                    "the keys are `preset` and `xfcc`; fixed text belongs to `headers.set`"
                        .to_owned()
                },
                |near| format!("did you mean `{near}`?"),
            )),
        );
    }

    /// The changes of one object, in their order.
    pub(super) fn headers(&mut self, raw: &Raw) -> Vec<HeaderOps> {
        let mut steps = Vec::new();
        for table in raw.tables("headers") {
            let mut ops = HeaderOps::default();
            // Setting a list is setting its first value and adding the others behind it.
            let mut behind = HeaderOps::default();
            let add = self.header_fields(table, "add");
            let set = self.header_fields(table, "set");
            for (field, values) in add {
                ops.add.extend(values.into_iter().map(|value| header(field, value)));
            }
            for (field, values) in set {
                let mut values = values.into_iter();
                ops.set.extend(values.next().map(|value| header(field, value)));
                behind.add.extend(values.map(|value| header(field, value)));
            }
            ops.remove = self.removed(table, &ops);
            let nothing =
                |ops: &HeaderOps| ops.add.is_empty() && ops.set.is_empty() && ops.remove.is_empty();
            steps.extend([ops, behind].into_iter().filter(|ops| !nothing(ops)));
        }
        steps
    }

    fn header_fields<'r>(&mut self, raw: &'r Raw, key: &str) -> Vec<(&'r Field, Vec<Template>)> {
        let mut names = BTreeSet::new();
        let mut fields = Vec::new();
        for field in raw.fields(key) {
            let path = join(&raw.path(key), &field.name);
            let named = self.changeable(&field.name, field.place, &path);
            if named && !names.insert(field.name.to_ascii_lowercase()) {
                let wrong = Wrong::new("this name stands here twice, but for case");
                self.wrong(field.place, &*path, wrong.help("write a list of values"));
            }
            for FieldValue { place, template } in &field.values {
                self.header_value(template, *place, &path);
            }
            let values = field.values.iter().map(|value| value.template.clone());
            fields.push((field, values.collect()));
        }
        fields
    }

    fn removed(&mut self, raw: &Raw, ops: &HeaderOps) -> Vec<String> {
        let mut names = BTreeSet::new();
        let mut removed = Vec::new();
        for (index, text) in raw.texts("remove").iter().enumerate() {
            let path = format!("{}[{index}]", raw.path("remove"));
            if !self.changeable(&text.text, text.place, &path) {
                continue;
            }
            let same = |value: &HeaderValue| value.name.eq_ignore_ascii_case(&text.text);
            if ops.set.iter().chain(&ops.add).any(same) {
                let wrong = Wrong::new(format!("`{}` is given and removed at once", text.text));
                self.wrong(text.place, &*path, wrong.help("remove comes last: drop one of them"));
            } else if !names.insert(text.text.to_ascii_lowercase()) {
                self.wrong(text.place, &*path, Wrong::new("this name stands here twice"));
            }
            removed.push(text.text.clone());
        }
        removed
    }

    /// A name that rules, services and routes may change.
    pub(super) fn changeable(&mut self, name: &str, place: Place, path: &str) -> bool {
        if self.identity_names.contains(&folded(name)) {
            let wrong = Wrong::new(format!("`{name}` belongs to [identity_headers]"))
                .help("those are set last: a change here would never be seen");
            self.wrong(place, path, wrong);
            return false;
        }
        self.header_name(name, place, path)
    }

    pub(super) fn header_name(&mut self, name: &str, place: Place, path: &str) -> bool {
        let lower = name.to_ascii_lowercase();
        let wrong = if !is_token(name) {
            Wrong::new(format!("{name:?} is not a header name"))
                .help("letters, digits and `-`; no spaces, no `:`")
        } else if name.len() > FIELD_NAME_BYTES_MAX {
            Wrong::new(format!("a header name of {} bytes is too long", name.len()))
                .help(format!("at most {FIELD_NAME_BYTES_MAX} bytes"))
        } else if lower == "host" {
            Wrong::new("`Host` is not changed by `headers`")
                .help("use `pass_host` and `upstream_host` of the upstream")
        } else if OURS.contains(&lower.as_str()) {
            Wrong::new(format!("`{name}` belongs to the gateway"))
                .help("it says where a message ends, or is for one hop alone")
        } else {
            return true;
        };
        self.wrong(place, path, wrong);
        false
    }

    pub(super) fn header_value(&mut self, template: &Template, place: Place, path: &str) {
        let space = |piece: Option<&Piece>, is: fn(&str) -> bool| matches!(piece, Some(Piece::Text(text)) if is(text));
        if space(template.pieces.first(), |text| text.starts_with([' ', '\t']))
            || space(template.pieces.last(), |text| text.ends_with([' ', '\t']))
        {
            let wrong = Wrong::new("this value begins or ends with white space");
            self.wrong(place, path, wrong.help("no reader of a header keeps it: take it out"));
        }
        for piece in &template.pieces {
            match piece {
                Piece::Text(text) => {
                    if text.chars().any(|letter| letter.is_control() && letter != '\t') {
                        let wrong = Wrong::new("this value holds control characters");
                        self.wrong(place, path, wrong.help("a header value is one line"));
                    }
                }
                Piece::Variable(variable) => self.header_variable(variable, place, path),
            }
        }
    }

    fn header_variable(&mut self, variable: &Variable, place: Place, path: &str) {
        let name = variable.name();
        if !self.is_known(variable) {
            let instead = match variable {
                Variable::SslClientCert | Variable::SslClientRawCert => {
                    "it holds line feeds; `$ssl_client_escaped_cert` and \
                     `$ssl_client_cert_rfc9440` do not"
                }
                Variable::Request => "use `$request_method` and `$request_uri`",
                _ => "it is known only when the request is over",
            };
            let message = format!("`${name}` is for the access log only");
            self.wrong(place, path, Wrong::new(message).help(instead));
        }
        let modern = match variable {
            Variable::SslClientSDnLegacy => "ssl_client_s_dn",
            Variable::SslClientIDnLegacy => "ssl_client_i_dn",
            _ => return,
        };
        let message = format!(
            "`${name}` is ambiguous: a `/` inside a value looks like the start of the next one"
        );
        self.warn(place, path.to_owned(), &message, &format!("`${modern}` is not"));
    }
}

/// The headers of a preset, as other gateways call them.
fn preset_fields(preset: &str) -> Vec<(&'static str, Variable)> {
    match preset {
        "nginx" => vec![
            ("X-SSL-Client-Verify", Variable::SslClientVerify),
            ("X-SSL-Client-S-DN", Variable::SslClientSDn),
            ("X-SSL-Client-I-DN", Variable::SslClientIDn),
            ("X-SSL-Client-Serial", Variable::SslClientSerial),
            ("X-SSL-Client-Fingerprint", Variable::SslClientFingerprint),
            ("X-SSL-Client-V-Start", Variable::SslClientVStart),
            ("X-SSL-Client-V-End", Variable::SslClientVEnd),
            ("X-SSL-Client-Cert", Variable::SslClientEscapedCert),
        ],
        "rfc9440" => vec![
            ("Client-Cert", Variable::SslClientCertRfc9440),
            ("Client-Cert-Chain", Variable::SslClientChainRfc9440),
        ],
        "traefik" => vec![
            ("X-Forwarded-Tls-Client-Cert", Variable::SslClientCertTraefik),
            ("X-Forwarded-Tls-Client-Cert-Info", Variable::SslClientInfoTraefik),
        ],
        // Its mode says what is done; see `xfcc`.
        _ => Vec::new(),
    }
}

fn header(field: &Field, value: Template) -> HeaderValue {
    HeaderValue { place: field.place, name: field.name.clone(), value }
}
