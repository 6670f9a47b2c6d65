//! What routes make of requests and responses, as TOML.

use data_encoding::BASE64;
use toml::Value;

use super::redaction::{fields, uri};
use super::writer::{Writer, list, template_text, text, vars};
use crate::model::{
    AnswerBody, BodyFile, BodyFilters, Cors, CorsOrigins, Redirect, RedirectTarget, ResponseRule,
    Rewrite, StaticAnswer, UriRule,
};
use crate::uri_template::UriTemplate;
use crate::words::Word as _;

pub(super) fn dump_return(out: &mut Writer, answer: &StaticAnswer, files: &[BodyFile]) {
    let mut keys = vec![format!("status = {}", answer.status)];
    keys.extend(body_key(&answer.body, files));
    keys.push(format!("content_type = {}", text(&answer.content_type)));
    if !answer.headers.is_empty() {
        keys.push(format!("headers = {}", fields(out, &answer.headers)));
    }
    out.line("return", format!("{{ {} }}", keys.join(", ")));
}

fn body_key(body: &AnswerBody, files: &[BodyFile]) -> Option<String> {
    match body {
        AnswerBody::Unsaid => None,
        AnswerBody::Text(template) => Some(format!("body = {}", template_text(template))),
        AnswerBody::Bytes(bytes) => Some(format!("body_base64 = \"{}\"", BASE64.encode(bytes))),
        AnswerBody::File(index) => {
            let file = files.get(*index)?;
            Some(format!("body_file = {}", text(&file.path.display().to_string())))
        }
    }
}

pub(super) fn dump_rewrite(out: &mut Writer, rewrite: &Rewrite) {
    let mut keys = Vec::new();
    keys.extend(rewrite.uri.as_ref().map(|uri| format!("uri = {}", template(out, uri))));
    keys.extend(rules(out, &rewrite.regex_uri));
    keys.extend(rewrite.host.as_ref().map(|host| format!("host = {}", text(host))));
    keys.extend(rewrite.method.as_ref().map(|method| format!("method = {}", text(method))));
    out.line("rewrite", format!("{{ {} }}", keys.join(", ")));
}

pub(super) fn dump_redirect(out: &mut Writer, redirect: &Redirect) {
    let Redirect { to, status, append_query, encode_uri } = redirect;
    let line = match to {
        RedirectTarget::Https(port) => format!("http_to_https = true, https_port = {port}"),
        RedirectTarget::Uri(uri) => format!("uri = {}", template(out, uri)),
        RedirectTarget::Rules(pairs) => rules(out, pairs).unwrap_or_default(),
    };
    let rest = match to {
        RedirectTarget::Https(_) => String::new(),
        RedirectTarget::Uri(_) | RedirectTarget::Rules(_) => format!(
            ", status = {status}, append_query_string = {append_query}, encode_uri = {encode_uri}"
        ),
    };
    out.line("redirect", format!("{{ {line}{rest} }}"));
}

/// As a template without groups is read.
fn template(out: &Writer, template: &UriTemplate) -> String {
    Value::String(uri(out, &template.to_string())).to_string()
}

fn rules(out: &Writer, rules: &[UriRule]) -> Option<String> {
    let texts = rules
        .iter()
        .flat_map(|rule| [rule.pattern.as_str().to_owned(), uri(out, &rule.to.to_string())]);
    (!rules.is_empty()).then(|| format!("regex_uri = {}", list(texts)))
}

pub(super) fn dump_response(out: &mut Writer, rules: &[ResponseRule], files: &[BodyFile]) {
    let tables = rules.iter().map(|rule| {
        let mut keys = Vec::new();
        keys.extend(rule.when.as_ref().map(|when| format!("vars = {}", vars(out, when))));
        keys.extend(rule.status.map(|status| format!("status = {status}")));
        keys.extend(body_key(&rule.body, files));
        keys.extend(
            rule.content_type.as_ref().map(|given| format!("content_type = {}", text(given))),
        );
        keys.extend(filter_keys(&rule.filters));
        let mut changes = Vec::new();
        for (key, all) in [("add", &rule.headers.add), ("set", &rule.headers.set)] {
            changes.extend((!all.is_empty()).then(|| format!("{key} = {}", fields(out, all))));
        }
        let removed = &rule.headers.remove;
        changes.extend(
            (!removed.is_empty()).then(|| format!("remove = {}", list(removed.iter().cloned()))),
        );
        keys.extend(
            (!changes.is_empty()).then(|| format!("headers = {{ {} }}", changes.join(", "))),
        );
        format!("{{ {} }}", keys.join(", "))
    });
    let tables: Vec<_> = tables.collect();
    if !tables.is_empty() {
        out.line("response", format!("[{}]", tables.join(", ")));
    }
}

fn filter_keys(filters: &BodyFilters) -> Vec<String> {
    if filters.filters.is_empty() {
        return Vec::new();
    }
    let tables = filters.filters.iter().map(|filter| {
        let regex = text(filter.pattern.groups().as_str());
        let (replace, scope) = (text(&filter.to.to_string()), text(filter.scope.word()));
        format!("{{ regex = {regex}, replace = {replace}, scope = {scope} }}")
    });
    let mut keys = vec![format!("filters = [{}]", tables.collect::<Vec<_>>().join(", "))];
    if !filters.types.is_empty() {
        keys.push(format!("filter_types = {}", list(filters.types.iter().cloned())));
    }
    keys.push(format!("filter_max_body_size = {}", filters.bytes_max));
    keys.push(format!("filter_oversize = {}", text(filters.oversize.word())));
    keys
}

pub(super) fn dump_cors(out: &mut Writer, cors: &Cors) {
    let mut keys = origins("allow_origins", &cors.allow_origins);
    keys.push(format!("allow_methods = {}", text(&cors.allow_methods)));
    keys.push(format!("allow_headers = {}", text(cors.allow_headers.as_deref().unwrap_or("**"))));
    keys.extend(
        cors.expose_headers.as_ref().map(|names| format!("expose_headers = {}", text(names))),
    );
    keys.push(format!("max_age = {}", cors.max_age));
    keys.push(format!("allow_credential = {}", cors.allow_credential));
    keys.push(format!("answer_options = {}", cors.answer_options));
    keys.extend(
        cors.timing_allow_origins.iter().flat_map(|timing| origins("timing_allow_origins", timing)),
    );
    out.line("cors", format!("{{ {} }}", keys.join(", ")));
}

fn origins(key: &str, origins: &CorsOrigins) -> Vec<String> {
    vec![match origins {
        CorsOrigins::Any => format!("{key} = \"*\""),
        CorsOrigins::Each => format!("{key} = \"**\""),
        CorsOrigins::Listed(all) => format!("{key} = {}", text(&all.join(","))),
        CorsOrigins::Matching(all) => {
            let all = all.iter().map(|pattern| pattern.as_str().to_owned());
            format!("{key}_by_regex = {}", list(all))
        }
    }]
}
