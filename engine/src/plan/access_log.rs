//! The built-in formats of the access log, made of the same pieces as a configured one.

use ferrule_config::JsonPiece;
use ferrule_config::model::AccessFormat;
use ferrule_config::template::{Piece, Template, Variable};

use super::log_line::{LinePiece, LineTemplate};
use super::template::{Compiler, TemplatePiece};
use super::value_writer::Escape;

/// Compiles a format.
pub(super) fn compile(format: &AccessFormat, compiler: &mut Compiler) -> LineTemplate {
    let mut line = FormatBuilder { compiler, pieces: Vec::new() };
    match format {
        AccessFormat::Combined => combined(&mut line),
        AccessFormat::Json => json(&mut line),
        AccessFormat::Text(template) => line.template(template, Escape::Log),
        AccessFormat::Unescaped(template) => line.template(template, Escape::Controls),
        AccessFormat::JsonTemplate(json) => {
            for piece in json.pieces() {
                match piece {
                    JsonPiece::Text(text) => line.text(text),
                    JsonPiece::InString(variable) => line.value(variable, Escape::Json),
                    JsonPiece::Number(variable) => line.value(variable, Escape::JsonNumber),
                    JsonPiece::String(variable) => line.value(variable, Escape::JsonString),
                }
            }
        }
    }
    LineTemplate::new(&line.pieces)
}

/// nginx's `combined`, followed by, quoted: the verdict on the client's certificate, its
/// fingerprint, the server name, the TLS version, and whether the session was resumed.
///
/// `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer"
/// "$http_user_agent"`; there is no remote user here, so its place holds `-`.
fn combined(line: &mut FormatBuilder<'_>) {
    let quoted = |line: &mut FormatBuilder<'_>, variable: &Variable| {
        line.text("\"");
        line.value(variable, Escape::Log);
        line.text("\"");
    };
    line.value(&Variable::RemoteAddr, Escape::Log);
    line.text(" - - [");
    line.value(&Variable::TimeLocal, Escape::Log);
    line.text("] ");
    quoted(line, &Variable::Request);
    line.text(" ");
    line.value(&Variable::Status, Escape::Log);
    line.text(" ");
    line.value(&Variable::BodyBytesSent, Escape::Log);
    for variable in [
        Variable::Http("referer".into()),
        Variable::Http("user_agent".into()),
        Variable::SslClientVerify,
        Variable::SslClientFingerprint,
        Variable::SslServerName,
        Variable::SslProtocol,
        Variable::SslSessionReused,
    ] {
        line.text(" ");
        quoted(line, &variable);
    }
}

/// One JSON object a line. A value that may be a list is a string, as in nginx's own logs; so that every
/// member keeps its type, times that are numbers are there in milliseconds too.
fn json(line: &mut FormatBuilder<'_>) {
    line.text("{\"time\":\"");
    line.value(&Variable::TimeIso8601, Escape::Json);
    line.text("\"");
    line.string("remote_addr", &Variable::RemoteAddr);
    line.string("remote_port", &Variable::RemotePort);
    line.string("method", &Variable::RequestMethod);
    line.string("uri", &Variable::RequestUri);
    line.string("protocol", &Variable::ServerProtocol);
    line.string("host", &Variable::Host);
    line.number("status", &Variable::Status);
    line.number("request_length", &Variable::RequestLength);
    line.number("bytes_sent", &Variable::BytesSent);
    line.number("body_bytes_sent", &Variable::BodyBytesSent);
    line.number("request_time", &Variable::RequestTime);
    line.number("request_time_ms", &Variable::RequestTimeMs);
    line.number("connection", &Variable::Connection);
    line.number("connection_requests", &Variable::ConnectionRequests);
    line.string("outcome", &Variable::Outcome);
    line.string("request_id", &Variable::RequestId);
    line.string("trace_id", &Variable::TraceId);
    line.string("span_id", &Variable::SpanId);
    line.string("route_id", &Variable::RouteId);
    line.string("upstream_addr", &Variable::UpstreamAddr);
    line.string("upstream_status", &Variable::UpstreamStatus);
    line.string("upstream_connect_time", &Variable::UpstreamConnectTime);
    line.number("upstream_connect_time_ms", &Variable::UpstreamConnectTimeMs);
    line.string("upstream_header_time", &Variable::UpstreamHeaderTime);
    line.number("upstream_header_time_ms", &Variable::UpstreamHeaderTimeMs);
    line.string("upstream_response_time", &Variable::UpstreamResponseTime);
    line.number("upstream_response_time_ms", &Variable::UpstreamResponseTimeMs);
    line.string("referer", &Variable::Http("referer".into()));
    line.string("user_agent", &Variable::Http("user_agent".into()));
    line.string("ssl_protocol", &Variable::SslProtocol);
    line.string("ssl_cipher", &Variable::SslCipher);
    line.string("ssl_server_name", &Variable::SslServerName);
    line.string("ssl_session_reused", &Variable::SslSessionReused);
    line.string("ssl_client_verify", &Variable::SslClientVerify);
    line.string("ssl_client_fingerprint", &Variable::SslClientFingerprint);
    line.string("ssl_client_s_dn", &Variable::SslClientSDn);
    line.string("ssl_client_serial", &Variable::SslClientSerial);
    line.text("}");
}

/// The pieces of a line so far.
struct FormatBuilder<'a> {
    compiler: &'a mut Compiler,
    pieces: Vec<LinePiece>,
}

impl FormatBuilder<'_> {
    fn text(&mut self, text: &str) {
        // One piece for what stands side by side.
        if let Some(LinePiece { piece: TemplatePiece::Text(before), .. }) = self.pieces.last_mut() {
            *before = [before, text.as_bytes()].concat().into();
            return;
        }
        let piece = TemplatePiece::Text(text.as_bytes().into());
        self.pieces.push(LinePiece { piece, escape: Escape::None });
    }

    fn value(&mut self, variable: &Variable, escape: Escape) {
        let piece = self.compiler.variable(variable);
        self.pieces.push(LinePiece { piece, escape });
    }

    fn template(&mut self, template: &Template, escape: Escape) {
        for piece in &template.pieces {
            match piece {
                Piece::Text(text) => self.text(text),
                Piece::Variable(variable) => self.value(variable, escape),
            }
        }
    }

    /// A member of an object whose value is a string, `""` for nothing.
    fn string(&mut self, name: &str, variable: &Variable) {
        self.text(&format!(",\"{name}\":\""));
        self.value(variable, Escape::Json);
        self.text("\"");
    }

    /// A member of an object whose value is a number, `null` for nothing.
    fn number(&mut self, name: &str, variable: &Variable) {
        self.text(&format!(",\"{name}\":"));
        self.value(variable, Escape::JsonNumber);
    }
}

#[cfg(test)]
mod tests {
    use ferrule_config::JsonTemplate;

    use super::*;
    use crate::plan::facts::{Facts, LogFacts, RequestFacts};
    use crate::plan::fixture::{NOW, connection};
    use crate::wire::head::{RequestHead, parse_request};
    use crate::wire::limits::HeadLimits;

    fn line(format: &AccessFormat) -> String {
        let line = compile(format, &mut Compiler::default());
        let log = LogFacts { status: 400, body_bytes_sent: 5, ..LogFacts::default() };
        let facts = Facts {
            connection: &connection(true),
            session: None,
            client: None,
            request: None,
            now: NOW,
            log: Some(&log),
            request_ids: None,
        };
        let mut out = Vec::new();
        line.render(&facts, None, &mut out);
        // Rendered in advance, it is the same.
        let mut again = Vec::new();
        let before = Facts { log: None, ..facts };
        line.render(&facts, Some(&line.fixed_parts(&before)), &mut again);
        assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn combined_is_nginxs_with_the_identity_behind() {
        let wanted = "192.0.2.7 - - [21/Nov/2026:22:55:28 +0000] \"-\" 400 5 \"-\" \"-\" \"-\" \"-\" \
                      \"-\" \"-\" \"-\"";
        assert_eq!(line(&AccessFormat::Combined), wanted);
    }

    #[test]
    fn json_is_one_object_even_if_no_head_was_understood() {
        let line = line(&AccessFormat::Json);
        assert!(
            line.starts_with(
                "{\"time\":\"2026-11-21T22:55:28+00:00\",\"remote_addr\":\"192.0.2.7\""
            )
        );
        assert!(line.contains(",\"status\":400,") && line.contains(",\"request_time\":0.000,"));
        assert!(line.contains(",\"request_time_ms\":0,"));
        assert!(line.contains(",\"upstream_response_time_ms\":null,"));
        assert!(line.ends_with(",\"ssl_client_serial\":\"\"}"));
    }
    fn next(seed: &mut u32, below: usize) -> usize {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*seed >> 8) as usize % below
    }

    /// A template of random pieces, most of which are JSON only together.
    fn random_template(seed: &mut u32) -> String {
        let pieces = [
            "{\"a\":",
            "$http_x",
            "\"$http_x\"",
            "\"b$http_x c\"",
            "${status}",
            ",\"c\":",
            ",\"d\":[",
            "]",
            "}",
            "\"",
            "\\",
            " ",
            "\n",
            "7",
            "null",
            "$request_time",
            "\"\\u0041$uri\"",
            ":",
            "\u{e9}",
            "{}",
        ];
        (0..next(seed, 9) + 2).map(|_| pieces[next(seed, pieces.len())]).collect()
    }

    /// Random bytes that a field may hold, among them those that mean something in JSON.
    fn random_value(seed: &mut u32) -> Vec<u8> {
        let random_byte = |_| match next(seed, 4) {
            0 => b"\"\\\t '{}$/"[next(seed, 9)],
            1 => "\u{e9}\u{2603}\u{1f600}".as_bytes()[next(seed, 9)],
            2 => u8::try_from(0x80 | next(seed, 128)).unwrap(),
            _ => u8::try_from(32 + next(seed, 95)).unwrap(),
        };
        (0..12).map(random_byte).collect()
    }

    /// Whatever a request holds, and whatever format is accepted: a line is one JSON object, and what stands
    /// in it is what was received.
    #[test]
    fn an_accepted_json_format_makes_json_of_everything() {
        let mut seed = 7;
        let mut accepted = 0;
        let whole = r#"{"in":"$http_x","out":$http_x,"s":$status,"t":[$request_time],"u":"-$request_uri-"}"#;
        for round in 0..60_000 {
            let text = if round % 30 == 0 { whole.to_owned() } else { random_template(&mut seed) };
            let Ok(template) = ferrule_config::template::parse(&text) else { continue };
            let Ok(template) = JsonTemplate::new(&template) else { continue };
            accepted += 1;
            let value = random_value(&mut seed);
            let line = json_line(template, &value);
            assert!(!line.contains(&b'\n'), "{text}");
            let read: serde_json::Value = serde_json::from_slice(&line).expect(&text);
            if text == whole {
                let received = String::from_utf8_lossy(value.trim_ascii()).into_owned();
                let alone = Some(received.clone()).filter(|text| !text.is_empty());
                let wanted = serde_json::json!({
                    "in": received, "out": alone, "s": 404, "t": [0.007], "u": "-/a\"b-"
                });
                assert_eq!(read, wanted);
            }
        }
        assert!(accepted > 2_050, "{accepted}");
    }

    /// The line of a request with this value in `X`.
    fn json_line(template: JsonTemplate, value: &[u8]) -> Vec<u8> {
        let head = [b"GET /a\"b HTTP/1.1\r\nHost: h\r\nX: ", value, b"\r\n\r\n"].concat();
        let mut parsed = RequestHead::default();
        let limits = HeadLimits { head_bytes_max: 1000, fields_max: 100 };
        parse_request(&head, head.len(), limits, &mut parsed).unwrap();
        let facts = Facts {
            connection: &connection(true),
            session: None,
            client: None,
            request: Some(RequestFacts {
                head: parsed.view(&head),
                target: None,
                host: b"h",
                path: value,
                captures: None,
                route_id: "x",
            }),
            now: NOW,
            log: Some(&LogFacts { status: 404, request_ms: 7, ..LogFacts::default() }),
            request_ids: None,
        };
        let line = compile(&AccessFormat::JsonTemplate(template), &mut Compiler::default());
        let mut out = Vec::new();
        line.render(&facts, None, &mut out);
        out
    }
}
