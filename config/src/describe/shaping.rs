//! The keys of what a route makes of requests and responses beside request headers.

use crate::defaults;
use crate::describe::body_filters::{FILTER_MAX_BODY_SIZE, FILTER_OVERSIZE, FILTER_TYPES, FILTERS};
use crate::describe::key::{Fallback, Key, Kind, Table, flag, optional, with};

pub(super) const RETURN: Key = optional(
    "return",
    Kind::Table(&RETURN_TABLE),
    "requests are forwarded",
    "The gateway answers by itself, and no upstream is needed (responses.md). The route's table replaces its \
         service's.",
);

static RETURN_TABLE: Table = Table {
    name: "return",
    doc: "An answer of the gateway's own, as nginx's `return` gives: nothing is sent upstream. Who may not \
         take the route is refused first.",
    keys: &[
        with("status", Kind::Int(200, 599), Fallback::Int(defaults::RETURN_STATUS), "Its status."),
        optional(
            "body",
            Kind::Template,
            "no body; the text of an error from status 400 on",
            "Its body, with `$variables`.",
        ),
        optional(
            "body_base64",
            Kind::Text,
            "see `body`",
            "Its body in base64; nothing in it is a variable.",
        ),
        optional(
            "body_file",
            Kind::Text,
            "see `body`",
            "A file with its body, of at most 1 MiB; read at every load, and nothing in it is a variable.",
        ),
        with(
            "content_type",
            Kind::Text,
            Fallback::Text(defaults::CONTENT_TYPE),
            "What the body is. Variables may stand in `text/plain` and in JSON, where their values are \
                 escaped.",
        ),
        optional(
            "headers",
            Kind::Fields(true),
            "none",
            "Its header fields, with `$variables`: name = text, or a list of texts. One that has no \
                 value, or none that fits on a line, is left out.",
        ),
    ],
    refused: &[],
};

pub(super) const REWRITE: Key = optional(
    "rewrite",
    Kind::Table(&REWRITE_TABLE),
    "requests are sent as they came",
    "What is sent upstream in the place of what the client asked for (rewrite.md). The route's table replaces \
         its service's.",
);

static REWRITE_TABLE: Table = Table {
    name: "rewrite",
    doc: "Another path, host or method than the client's, as APISIX's `proxy-rewrite`. Who may take the route \
         is judged by what the client asked for, and by what is sent.",
    keys: &[
        optional(
            "uri",
            Kind::Template,
            "the path stays",
            "The path that is sent, with `$variables`. The client's query goes along, behind a query that \
                 stands here; a `?` at the end takes it away.",
        ),
        optional(
            "regex_uri",
            Kind::Texts,
            "the path stays",
            "Pairs of an expression, which is looked for in the normalised path, and of what stands in the \
                 place of its match: `$1` or `$name` for its groups, and `$variables`. The first pair \
                 that matches counts.",
        ),
        optional(
            "host",
            Kind::Text,
            "see `pass_host`",
            "The `Host` that is sent, whatever `pass_host` says.",
        ),
        optional(
            "method",
            Kind::Text,
            "the client's",
            "The method that is sent. The client is answered as its own method asks.",
        ),
    ],
    refused: &[],
};

pub(super) const REDIRECT: Key = optional(
    "redirect",
    Kind::Table(&REDIRECT_TABLE),
    "requests are forwarded",
    "The client is sent elsewhere (responses.md). The route's table replaces its service's.",
);

static REDIRECT_TABLE: Table = Table {
    name: "redirect",
    doc: "A redirect, as APISIX's plugin `redirect`. No client has a say in the host that it leads to.",
    keys: &[
        optional(
            "uri",
            Kind::Template,
            "see `regex_uri`",
            "Where to, with `$variables`: a path, or `https://` and a host.",
        ),
        optional(
            "regex_uri",
            Kind::Texts,
            "see `http_to_https`",
            "Pairs as in `rewrite.regex_uri`; a request that none matches is forwarded.",
        ),
        flag(
            "http_to_https",
            false,
            "The same by TLS, for what did not come by TLS: 301 for GET and HEAD, 308 for other methods.",
        ),
        optional(
            "https_port",
            Kind::Int(1, 65_535),
            "443 if a `[[listen]]` with TLS has it, else the port of the first one",
            "The port of `http_to_https`.",
        ),
        with(
            "status",
            Kind::Int(300, 399),
            Fallback::Int(defaults::REDIRECT_STATUS),
            "301, 302, 303, 307 or 308.",
        ),
        flag("append_query_string", false, "Append the client's query."),
        flag(
            "encode_uri",
            false,
            "Encode what comes from the client once more, `%` and `?` in it, too.",
        ),
    ],
    refused: &[],
};

pub(super) const RESPONSE: Key = optional(
    "response",
    Kind::TableOrTables(&RESPONSE_TABLE),
    "responses pass as they are",
    "What is made of responses: header fields, status, body (responses.md). Several tables apply one after \
         another. The route's tables replace its service's; those of global rules come first.",
);

static RESPONSE_TABLE: Table = Table {
    name: "response",
    doc: "What is made of responses, as APISIX's `response-rewrite`. Framing stays the gateway's.",
    keys: &[
        optional(
            "vars",
            Kind::Conditions,
            "every response",
            "Which responses: conditions as in `vars` of a route, also on `status`, which is the upstream's.",
        ),
        optional("status", Kind::Int(200, 599), "the upstream's", "Another status."),
        optional(
            "body",
            Kind::Template,
            "the upstream's",
            "Another body, with `$variables`. What described the upstream's goes with it \
                 (`Content-Encoding`, `ETag`, ...).",
        ),
        optional("body_base64", Kind::Text, "see `body`", "The same in base64."),
        optional(
            "body_file",
            Kind::Text,
            "see `body`",
            "A file with it, of at most 1 MiB; read at every load.",
        ),
        optional(
            "content_type",
            Kind::Text,
            "as the response says",
            "What that body is. Needed where it holds variables, which only `text/plain` and JSON may.",
        ),
        FILTERS,
        FILTER_TYPES,
        FILTER_MAX_BODY_SIZE,
        FILTER_OVERSIZE,
        optional(
            "headers",
            Kind::Table(&RESPONSE_HEADERS),
            "none",
            "Changes of header fields, also of the gateway's own answers.",
        ),
    ],
    refused: &[],
};

static RESPONSE_HEADERS: Table = Table {
    name: "response.headers",
    doc: "Changes of response headers, in the order add, set, remove. Values may hold `$variables`, `$status` \
         among them.",
    keys: &[
        optional(
            "add",
            Kind::Fields(true),
            "none",
            "Added behind what is there: name = text, or a list of texts.",
        ),
        optional(
            "set",
            Kind::Fields(true),
            "none",
            "Put in the place of what is there. With an empty value none is sent.",
        ),
        optional("remove", Kind::Texts, "none", "Names of fields to remove."),
    ],
    refused: &[],
};

pub(super) const CORS: Key = optional(
    "cors",
    Kind::Table(&CORS_TABLE),
    "pages of other origins may not read",
    "Which pages of other origins may read responses, and preflights (cors.md). The route's table replaces its \
         service's, and either replaces that of a global rule.",
);

static CORS_TABLE: Table = Table {
    name: "cors",
    doc: "Cross-origin resource sharing, as APISIX's plugin `cors`: key by key, with its defaults.",
    keys: &[
        with(
            "allow_origins",
            Kind::Text,
            Fallback::Text("*"),
            "Origins with commas between them; `*` for all, `**` to name whichever asks.",
        ),
        optional(
            "allow_origins_by_regex",
            Kind::Texts,
            "see `allow_origins`",
            "Expressions, of which one matches the origin; `allow_origins` does not count then.",
        ),
        with(
            "allow_methods",
            Kind::Text,
            Fallback::Text("*"),
            "Methods with commas between them, `*`, or `**` for a list of all.",
        ),
        with(
            "allow_headers",
            Kind::Text,
            Fallback::Text("*"),
            "Names with commas between them, `*`, or `**` for what the preflight asks for.",
        ),
        optional(
            "expose_headers",
            Kind::Text,
            "none",
            "Names of fields that a page may read; `*` for all.",
        ),
        with(
            "max_age",
            Kind::Int(-1, 86_400),
            Fallback::Int(defaults::CORS_MAX_AGE),
            "Seconds for which a browser remembers a preflight; -1 for none.",
        ),
        flag(
            "allow_credential",
            false,
            "Cookies and client certificates go along. No `*` may stand beside it.",
        ),
        flag(
            "answer_options",
            false,
            "Every OPTIONS is answered with 200 and no body, as APISIX does; not only preflights, which are those with \
                 `Origin` and `Access-Control-Request-Method`.",
        ),
        optional(
            "timing_allow_origins",
            Kind::Text,
            "none",
            "Origins that may read timings (`Timing-Allow-Origin`).",
        ),
        optional(
            "timing_allow_origins_by_regex",
            Kind::Texts,
            "see `timing_allow_origins`",
            "Likewise by expressions.",
        ),
    ],
    refused: &[],
};

pub(super) const REDIRECT_TO_HTTPS: Key = flag(
    "redirect_to_https",
    false,
    "For plain HTTP only: every request is sent to the same by TLS, with 301 for GET and HEAD and 308 for other \
         methods, and no route is asked (responses.md).",
);

pub(super) const HTTPS_PORT: Key = optional(
    "https_port",
    Kind::Int(1, 65_535),
    "443 if a `[[listen]]` with TLS has it, else the port of the first one",
    "The port of `redirect_to_https`.",
);
