//! Sample expressions, `ssl_c_s_dn(cn),lower`, and the variables of Ferrule's that have the same value.
//!
//! A value is taken over only if its bytes are the same for every client whose certificate was taken. One that is
//! the same for usual names only is taken over and told; any other is refused.

/// An expression, taken apart.
#[derive(Debug)]
pub(super) struct SampleExpression {
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    pub(super) converters: Vec<String>,
}

/// What the frontends do that a rule is for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct FrontScene {
    /// Do its connections speak TLS? Unknown where only some do.
    pub(super) tls: Option<bool>,
    pub(super) asks: Asks,
}

/// Does a frontend ask its clients for certificates?
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Asks {
    #[default]
    Never,
    /// Some of its clients may come without one.
    Optional,
    Required,
}

/// A value, as a template of Ferrule's.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct SampleTemplate {
    pub(super) text: String,
    /// What is different about it.
    pub(super) note: Option<&'static str>,
}

const LEGACY: &str = "the whole name is that of OpenSSL's oneline form: bytes that are not ASCII are \
                      written `\\xHH`, where HAProxy sends them as they are";
const UPPER: &str =
    "the fingerprint is in lower case here: compare without case, or write `ssl_c_sha1,hex,lower`";

impl SampleExpression {
    /// Takes an expression apart.
    ///
    /// # Errors
    /// Its parentheses do not fit together.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut depth = 0_usize;
        let mut start = 0;
        for (at, mark) in text.char_indices() {
            match mark {
                '(' => depth = depth.saturating_add(1),
                ')' if depth == 0 => return Err(format!("{text:?} has a `)` too many")),
                ')' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    parts.push(text.get(start..at).unwrap_or_default());
                    start = at.saturating_add(1);
                }
                _ => {}
            }
        }
        if depth != 0 {
            return Err(format!("{text:?} has a `(` too many"));
        }
        parts.push(text.get(start..).unwrap_or_default());
        let mut parts = parts.into_iter().map(|part| part.trim().to_owned());
        let first = parts.next().unwrap_or_default();
        let (name, arguments) = match first.split_once('(') {
            Some((name, rest)) => {
                let inner =
                    rest.strip_suffix(')').ok_or_else(|| format!("{text:?} is not understood"))?;
                (name.to_owned(), inner.split(',').map(|word| word.trim().to_owned()).collect())
            }
            None => (first, Vec::new()),
        };
        Ok(Self { name, arguments, converters: parts.collect() })
    }

    /// Are its arguments among those that are understood? Others choose another value.
    ///
    /// # Errors
    /// They are not.
    pub(super) fn understood(&self) -> Result<(), String> {
        let most = match self.name.as_str() {
            "str" => usize::MAX,
            "ssl_c_s_dn" | "ssl_c_i_dn" => 3,
            "hdr" | "req.hdr" | "req.fhdr" | "url_param" | "urlp" | "cook" | "req.cook" => 1,
            _ => 0,
        };
        let none = self.arguments.iter().all(String::is_empty) && self.arguments.len() < 2;
        if !none && self.arguments.len() > most {
            let arguments = self.arguments.join(",");
            return Err(format!(
                "`{}({arguments})` is not converted: it has an argument more than is understood",
                self.name
            ));
        }
        Ok(())
    }

    /// The first argument in lower case, for names of headers and attributes.
    pub(super) fn argument(&self) -> String {
        self.arguments.first().map(|word| word.to_ascii_lowercase()).unwrap_or_default()
    }

    /// The variable that has this value, for headers.
    ///
    /// # Errors
    /// There is none with the same bytes.
    pub(super) fn template(&self, scene: FrontScene) -> Result<SampleTemplate, String> {
        let converters: Vec<&str> = self.converters.iter().map(String::as_str).collect();
        let plain = |name: &str| Ok(variable(name));
        let constant = |text: &str| Ok(SampleTemplate { text: text.to_owned(), note: None });
        let name = self.name.as_str();
        self.understood()?;
        if let Some(subject) = name.strip_prefix("ssl_c_").filter(|rest| rest.ends_with("_dn")) {
            if !converters.is_empty() {
                return Err(self.refusal("converters behind a name are not known here"));
            }
            return self.distinguished_name(subject);
        }
        match (name, converters.as_slice()) {
            ("ssl_c_sha1", ["hex", "lower"]) => plain("ssl_client_fingerprint"),
            ("ssl_c_sha1", ["hex"]) => {
                Ok(SampleTemplate { note: Some(UPPER), ..variable("ssl_client_fingerprint") })
            }
            ("ssl_c_serial", ["hex"]) => plain("ssl_client_serial"),
            ("ssl_c_sha1" | "ssl_c_serial" | "ssl_c_der", []) => {
                Err(self.refusal("its bytes are no text: write `,hex`, or send a header of [identity_headers]"))
            }
            ("ssl_c_der", _) => Err(self.refusal(
                "base64 alone is not sent here: `preset = [\"rfc9440\"]` of [identity_headers] sends the \
                 certificate as `:base64:`",
            )),
            ("ssl_c_notbefore" | "ssl_c_notafter", _) => Err(self.refusal(
                "its format (YYMMDDhhmmssZ) does not exist here; $ssl_client_v_start and $ssl_client_v_end \
                 have nginx's (`Nov 21 22:55:28 2026 GMT`)",
            )),
            // Handshakes with another verdict fail, and without a certificate it is 0, too.
            ("ssl_c_verify" | "ssl_c_err" | "ssl_c_ca_err" | "ssl_c_ca_err_depth", []) => match scene.tls {
                Some(true) => constant("0"),
                // Without TLS there is no value.
                Some(false) => constant(""),
                None => Err(self.refusal("it has a value with TLS only, and here both may come")),
            },
            ("ssl_c_used", []) => match (scene.asks, scene.tls) {
                (_, Some(false)) => constant(""),
                (Asks::Never, Some(true)) => constant("0"),
                (Asks::Required, Some(true)) => constant("1"),
                _ => Err(self.refusal("no variable is 0 or 1 by it; $ssl_client_verify is NONE or SUCCESS")),
            },
            ("ssl_fc", []) => match scene.tls {
                Some(true) => constant("1"),
                Some(false) => constant("0"),
                None => Err(self.refusal("no variable is 0 or 1 by it; $scheme is http or https")),
            },
            ("src", []) => plain("remote_addr"),
            ("src_port", []) => plain("remote_port"),
            ("dst", []) => plain("server_addr"),
            ("dst_port", []) => plain("server_port"),
            ("method" | "capture.req.method", []) => plain("request_method"),
            ("query", []) => plain("args"),
            ("url" | "pathq" | "capture.req.uri", []) => plain("request_uri"),
            ("ssl_fc_protocol", []) => plain("ssl_protocol"),
            ("ssl_fc_cipher", []) => plain("ssl_cipher"),
            ("ssl_fc_sni", []) => plain("ssl_server_name"),
            ("ssl_fc_alpn", []) => plain("ssl_alpn_protocol"),
            ("hdr" | "req.hdr" | "req.fhdr", []) if self.argument() == "host" => plain("http_host"),
            ("str", []) => constant(&self.arguments.join(",").replace('$', "$$")),
            _ => Err(self.refusal("no variable has this value")),
        }
    }

    fn refusal(&self, why: &str) -> String {
        let converters: String = self.converters.iter().map(|word| format!(",{word}")).collect();
        format!("`{}{converters}`: {why}", self.name)
    }

    fn distinguished_name(&self, which: &str) -> Result<SampleTemplate, String> {
        let letter = match which {
            "s_dn" => 's',
            "i_dn" => 'i',
            _ => return Err(self.refusal("no variable has this name")),
        };
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        match arguments.as_slice() {
            [] | [""] => {
                let found = variable(&format!("ssl_client_{letter}_dn_legacy"));
                Ok(SampleTemplate { note: Some(LEGACY), ..found })
            }
            ["", "0", "rfc2253"] => Ok(variable(&format!("ssl_client_{letter}_dn"))),
            [entry] | [entry, "1"] if letter == 's' && is_attribute(entry) => {
                Ok(variable(&format!("ssl_client_s_dn_{}", entry.to_ascii_lowercase())))
            }
            [_] | [_, "1"] if letter == 'i' => Err(self.refusal(
                "attributes of the issuer are no variables here; $ssl_client_i_dn is its name",
            )),
            _ => {
                Err(self
                    .refusal("only the first attribute of a name, or the whole name can be sent"))
            }
        }
    }
}

pub(super) fn is_attribute(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn variable(name: &str) -> SampleTemplate {
    SampleTemplate { text: ["${", name, "}"].concat(), note: None }
}

/// A format, `%[ssl_c_s_dn(cn)] from %ci`, as a template; `note` is told what differs.
///
/// # Errors
/// Something in it has no value here.
pub(super) fn format(
    text: &str,
    scene: FrontScene,
    note: &mut dyn FnMut(&'static str),
) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((front, behind)) = rest.split_once('%') {
        out.push_str(&front.replace('$', "$$"));
        let mut behind = behind;
        if let Some((flags, after)) =
            behind.strip_prefix('{').and_then(|inner| inner.split_once('}'))
        {
            if flags != "+Q" {
                return Err(format!("`%{{{flags}}}` is not converted"));
            }
            note("`%{+Q}` is not taken over: the value has no quotation marks around it");
            behind = after;
        }
        if let Some(after) = behind.strip_prefix('%') {
            out.push('%');
            rest = after;
        } else if let Some(inner) = behind.strip_prefix('[') {
            let end = inner.find(']').ok_or_else(|| format!("{text:?} has a `[` too many"))?;
            let (expression, after) = inner.split_at(end);
            let found = SampleExpression::parse(expression)?.template(scene)?;
            if let Some(words) = found.note {
                note(words);
            }
            out.push_str(&found.text);
            rest = after.strip_prefix(']').unwrap_or_default();
        } else if let Some(after) = behind.strip_prefix("ci") {
            out.push_str("${remote_addr}");
            rest = after;
        } else if let Some(after) = behind.strip_prefix("cp") {
            out.push_str("${remote_port}");
            rest = after;
        } else {
            let name: String = behind.chars().take(2).collect();
            return Err(format!("`%{name}` has no value here"));
        }
    }
    out.push_str(&rest.replace('$', "$$"));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(asks: Asks) -> FrontScene {
        FrontScene { tls: Some(true), asks }
    }

    #[test]
    fn values_with_the_same_bytes_are_taken_over() {
        for (text, wanted) in [
            ("%[ssl_c_s_dn(cn)]", "${ssl_client_s_dn_cn}"),
            ("%[ssl_c_s_dn(,0,rfc2253)]", "${ssl_client_s_dn}"),
            ("%[ssl_c_i_dn]", "${ssl_client_i_dn_legacy}"),
            ("%{+Q}[ssl_c_serial,hex]", "${ssl_client_serial}"),
            ("a %ci:%cp $5 100%%", "a ${remote_addr}:${remote_port} $$5 100%"),
            ("%[ssl_c_verify]%[ssl_fc]%[ssl_c_used]", "011"),
            ("%[str(x$y)]", "x$$y"),
        ] {
            let found = format(text, asked(Asks::Required), &mut |_| {});
            assert_eq!(found.as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn others_are_refused_by_name() {
        for (text, wanted) in [
            ("%[ssl_c_sha1]", "no text"),
            ("%[ssl_c_notafter]", "YYMMDD"),
            ("%[ssl_c_used]", "0 or 1"),
            ("%[ssl_c_der,base64]", "rfc9440"),
            ("%[ssl_c_i_dn(cn)]", "issuer"),
            ("%[ssl_c_s_dn(cn,2)]", "first attribute"),
            ("%[ssl_c_s_dn(cn),lower]", "converters"),
            ("%[hdr(x-role)]", "no variable"),
            ("%[a(b]", "too many"),
            ("%[a", "too many"),
            ("%ts", "%ts"),
            ("%", "no value"),
        ] {
            let error = format(text, asked(Asks::Optional), &mut |_| {}).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
