//! The built-in formats of the access log, made of the same pieces as a configured one.

use ferrule_config::model::AccessFormat;
use ferrule_config::template::{Piece, Template, Variable};

use super::log_line::LineTemplate;
use super::template::Compiler;
use super::value_writer::Escape;

/// Compiles a format.
pub(super) fn compile(format: &AccessFormat, compiler: &mut Compiler) -> LineTemplate {
    match format {
        AccessFormat::Combined => LineTemplate::new(&compiler.compile(&combined()), Escape::Log),
        AccessFormat::Json => LineTemplate::new(&compiler.compile(&json()), Escape::Json),
        AccessFormat::Text(template) => LineTemplate::new(&compiler.compile(template), Escape::Log),
    }
}

/// nginx's `combined`, followed by, quoted: the verdict on the client's certificate, its
/// fingerprint, the server name, the TLS version, and whether the session was resumed.
///
/// `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer"
/// "$http_user_agent"`; there is no remote user here, so its place holds `-`.
fn combined() -> Template {
    let mut line = FormatBuilder::default();
    line.value(Variable::RemoteAddr);
    line.text(" - - [");
    line.value(Variable::TimeLocal);
    line.text("] ");
    line.quoted(Variable::Request);
    line.text(" ");
    line.value(Variable::Status);
    line.text(" ");
    line.value(Variable::BodyBytesSent);
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
        line.quoted(variable);
    }
    line.template
}

/// One JSON object a line. Numbers that are always there are numbers, everything else is a string.
fn json() -> Template {
    let mut line = FormatBuilder::default();
    let strings = |line: &mut FormatBuilder, members: Vec<(&str, Variable)>| {
        for (name, variable) in members {
            line.text(&format!(",\"{name}\":"));
            line.quoted(variable);
        }
    };
    line.text("{\"time\":");
    line.quoted(Variable::TimeIso8601);
    strings(
        &mut line,
        vec![
            ("remote_addr", Variable::RemoteAddr),
            ("remote_port", Variable::RemotePort),
            ("method", Variable::RequestMethod),
            ("uri", Variable::RequestUri),
            ("protocol", Variable::ServerProtocol),
            ("host", Variable::Host),
        ],
    );
    for (name, variable) in [
        ("status", Variable::Status),
        ("request_length", Variable::RequestLength),
        ("bytes_sent", Variable::BytesSent),
        ("body_bytes_sent", Variable::BodyBytesSent),
        ("request_time", Variable::RequestTime),
        ("connection", Variable::Connection),
        ("connection_requests", Variable::ConnectionRequests),
    ] {
        line.text(&format!(",\"{name}\":"));
        line.value(variable);
    }
    strings(
        &mut line,
        vec![
            ("outcome", Variable::Outcome),
            ("request_id", Variable::RequestId),
            ("trace_id", Variable::TraceId),
            ("span_id", Variable::SpanId),
            ("route_id", Variable::RouteId),
            ("upstream_addr", Variable::UpstreamAddr),
            ("upstream_status", Variable::UpstreamStatus),
            ("upstream_connect_time", Variable::UpstreamConnectTime),
            ("upstream_header_time", Variable::UpstreamHeaderTime),
            ("upstream_response_time", Variable::UpstreamResponseTime),
            ("referer", Variable::Http("referer".into())),
            ("user_agent", Variable::Http("user_agent".into())),
            ("ssl_protocol", Variable::SslProtocol),
            ("ssl_cipher", Variable::SslCipher),
            ("ssl_server_name", Variable::SslServerName),
            ("ssl_session_reused", Variable::SslSessionReused),
            ("ssl_client_verify", Variable::SslClientVerify),
            ("ssl_client_fingerprint", Variable::SslClientFingerprint),
            ("ssl_client_s_dn", Variable::SslClientSDn),
            ("ssl_client_serial", Variable::SslClientSerial),
        ],
    );
    line.text("}");
    line.template
}

#[derive(Default)]
struct FormatBuilder {
    template: Template,
}

impl FormatBuilder {
    fn text(&mut self, text: &str) {
        match self.template.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.template.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    fn value(&mut self, variable: Variable) {
        self.template.pieces.push(Piece::Variable(variable));
    }

    fn quoted(&mut self, variable: Variable) {
        self.text("\"");
        self.value(variable);
        self.text("\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::facts::{Facts, LogFacts};
    use crate::plan::fixture::{NOW, connection};

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
        assert!(line.ends_with(",\"ssl_client_serial\":\"\"}"));
    }
}
