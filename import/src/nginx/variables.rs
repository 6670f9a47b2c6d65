//! Texts with nginx's variables, as Ferrule writes them.

use super::job::Job;
use super::tree::Directive;

/// nginx's variables that mean the same here. An ending `*` stands for any name.
const SAME: &str = "\
    args arg_* body_bytes_sent bytes_sent connection connection_requests cookie_* host http_* msec remote_addr \
    remote_port request request_length request_method request_time request_uri scheme server_addr server_port \
    server_protocol status time_iso8601 time_local upstream_addr upstream_connect_time upstream_header_time \
    upstream_response_time upstream_status uri proxy_protocol_addr proxy_protocol_port proxy_protocol_server_addr \
    proxy_protocol_server_port realip_remote_addr realip_remote_port ssl_alpn_protocol ssl_cipher ssl_ciphers \
    ssl_client_cert ssl_client_escaped_cert ssl_client_fingerprint ssl_client_i_dn ssl_client_i_dn_legacy \
    ssl_client_raw_cert ssl_client_s_dn ssl_client_s_dn_legacy ssl_client_serial ssl_client_sigalg \
    ssl_client_v_end ssl_client_v_remain ssl_client_v_start ssl_client_verify ssl_curve ssl_curves ssl_early_data \
    ssl_protocol ssl_server_name ssl_session_reused";

/// Those that have another name here.
const RENAMED: [Renamed; 5] = [
    Renamed { nginx: "query_string", ours: "args" },
    Renamed { nginx: "document_uri", ours: "uri" },
    Renamed { nginx: "binary_remote_addr", ours: "remote_addr" },
    Renamed { nginx: "content_type", ours: "http_content_type" },
    Renamed { nginx: "content_length", ours: "http_content_length" },
];

struct Renamed {
    nginx: &'static str,
    ours: &'static str,
}

/// Variables that a `rewrite` changes, and the parameters of a query (`arg_...`).
const CHANGED: [&str; 5] = ["uri", "document_uri", "args", "query_string", "is_args"];

/// The longest text: twice that of a word.
const TEXT_BYTES: usize = 8192;

/// A variable that `set` makes, and the text of nginx's that it stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Constant {
    /// Without its dollar sign, in lower case.
    pub(super) name: String,
    pub(super) text: String,
}

/// What a variable stands for, if it is one of these.
pub(super) fn found<'c>(constants: &'c [Constant], name: &str) -> Option<&'c str> {
    let is_it = |one: &&Constant| one.name.eq_ignore_ascii_case(name);
    constants.iter().find(is_it).map(|one| one.text.as_str())
}

/// A part of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Text(String),
    Variable(String),
}

/// What variables stand for that have fixed values where the text is used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fixed<'a> {
    pub(super) server_name: &'a str,
    pub(super) proxy_host: &'a str,
    /// What `set` makes.
    pub(super) constants: &'a [Constant],
    /// It is a log: what is empty is a dash there.
    pub(super) is_log: bool,
}

/// What an attribute is taken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AttributeUse {
    /// It is sent or written.
    Shown,
    /// It keeps requests out.
    Compared,
}

/// The parts of a text, or what is wrong with it.
pub(super) fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        if !before.is_empty() {
            all.push(Part::Text(before.to_owned()));
        }
        let is_name = |mark: char| mark.is_ascii_alphanumeric() || mark == '_';
        let (name, behind) = match after.strip_prefix('{') {
            Some(inner) => {
                inner.split_once('}').ok_or_else(|| String::from("`${` is never closed"))?
            }
            None => {
                let end = after.find(|mark: char| !is_name(mark)).unwrap_or(after.len());
                after.split_at_checked(end).unwrap_or((after, ""))
            }
        };
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(String::from("a `$` without the name of a variable: nginx refuses it"));
        }
        all.push(Part::Variable(name.to_owned()));
        rest = behind;
    }
    if !rest.is_empty() {
        all.push(Part::Text(rest.to_owned()));
    }
    Ok(all)
}

/// Does a `rewrite` change this variable?
pub(super) fn is_changed(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CHANGED.contains(&name.as_str()) || name.starts_with("arg_")
}

/// Does a `rewrite` change what this text becomes?
pub(super) fn is_rewritten(text: &str) -> bool {
    let parts = parts(text).unwrap_or_default();
    parts.iter().any(|part| matches!(part, Part::Variable(name) if is_changed(name)))
}

/// The name that a variable of nginx's has here; or why it has none.
pub(super) fn name_of(name: &str) -> Result<String, String> {
    let name = name.to_ascii_lowercase();
    let fits = |known: &str| match known.strip_suffix('*') {
        Some(front) => name.len() > front.len() && name.starts_with(front),
        None => name == known,
    };
    if let Some(renamed) = RENAMED.iter().find(|renamed| renamed.nginx == name) {
        return Ok(renamed.ours.to_owned());
    }
    if SAME.split_ascii_whitespace().any(fits) {
        return Ok(name);
    }
    Err(match name.as_str() {
        "ssl_session_id" => {
            String::from("`$ssl_session_id` does not exist here: the TLS library does not tell it")
        }
        _ if name.starts_with("ssl_") => {
            format!("nginx has no variable `${name}`, and does not start with it")
        }
        _ if name.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("`${name}`, a group of an expression, is not converted here")
        }
        _ => format!("the variable `${name}` is not converted"),
    })
}

impl Job<'_> {
    /// The text as a template of Ferrule's; refused with the directive it stands in if it cannot be one.
    pub(super) fn template(
        &self,
        directive: &Directive,
        text: &str,
        fixed: Fixed<'_>,
    ) -> Option<String> {
        let parts = match parts(text) {
            Ok(parts) => parts,
            Err(message) => {
                self.refuse(directive, message);
                return None;
            }
        };
        let mut out = String::new();
        for part in &parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Variable(name) => match name.as_str() {
                    "server_name" if !fixed.server_name.is_empty() => {
                        out.push_str(fixed.server_name);
                    }
                    "proxy_host" if !fixed.proxy_host.is_empty() => out.push_str(fixed.proxy_host),
                    // There are no passwords here, and so nobody's name.
                    "remote_user" if fixed.is_log => out.push('-'),
                    _ if found(fixed.constants, name).is_some() => {
                        let text = found(fixed.constants, name).unwrap_or_default();
                        let inner = Fixed { constants: &[], ..fixed };
                        out.push_str(&self.template(directive, text, inner)?);
                    }
                    _ => match self.variable(directive, name, AttributeUse::Shown) {
                        Ok(name) => {
                            out.push_str("${");
                            out.push_str(&name);
                            out.push('}');
                            self.look_at(directive, &name);
                        }
                        Err(message) => {
                            self.refuse(directive, message);
                            return None;
                        }
                    },
                },
            }
        }
        if out.len() > TEXT_BYTES {
            self.refuse(directive, format!("this text becomes longer than {TEXT_BYTES} bytes"));
            return None;
        }
        Some(out)
    }

    /// Says what is wrong with trusting a variable.
    pub(super) fn look_at(&self, directive: &Directive, name: &str) {
        if name == "ssl_client_fingerprint" && directive.name != "log_format" {
            self.let_through(
                directive,
                "$ssl_client_fingerprint is SHA-1, and whoever holds an ECDSA certificate can change its own: \
                 $ssl_client_spki_sha256 tells keys apart",
            );
        }
        if name.starts_with("http_") && name.contains("ssl_client") {
            self.let_through(
                directive,
                format!("`${name}` is what the client writes: anybody may have said SUCCESS"),
            );
        }
        if name.ends_with("_dn_legacy") {
            self.let_through(
                directive,
                format!("`${name}` is ambiguous: a `/` within a value looks like the next one"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_taken_apart_as_nginx_does() {
        let variable = |name: &str| Part::Variable(name.to_owned());
        let text = |text: &str| Part::Text(text.to_owned());
        assert_eq!(
            parts("a$b${c}d/$e-f").unwrap(),
            [text("a"), variable("b"), variable("c"), text("d/"), variable("e"), text("-f")]
        );
        assert_eq!(parts("").unwrap(), []);
        for wrong in ["$", "a$-", "${a", "${a-b}", "${}"] {
            assert!(parts(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_variables_of_nginxs_are_known() {
        assert_eq!(name_of("query_string").as_deref(), Ok("args"));
        assert_eq!(name_of("http_x_a").as_deref(), Ok("http_x_a"));
        for wrong in ["http_", "ssl_client_san", "ssl_client_s_dn_cn", "nope", "1"] {
            assert!(name_of(wrong).is_err(), "{wrong}");
        }
        assert!(name_of("ssl_client_san").unwrap_err().contains("does not start"));
    }
}
