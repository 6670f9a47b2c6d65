//! A variable by its name, and what its name says of it.

use crate::attributes::{is_attribute, is_dotted};
use crate::template::{Scope, Variable};
use crate::variables::Listed;

impl Variable {
    /// The variable of this name (without `$`).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(listed) = Self::ALL.iter().find(|listed| listed.name == name) {
            // The prefix of a family is not a variable.
            return (!name.ends_with('_')).then(|| listed.variable.clone());
        }
        let is_field_name =
            |rest: &str| rest.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if let Some(field) = name.strip_prefix("http_").filter(|field| is_field_name(field)) {
            return Some(Self::Http(field.to_owned()));
        }
        // A name that no `$` can carry is for conditions, or stands in braces.
        let is_name = |rest: &&str| {
            let legal =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            !rest.is_empty() && rest.bytes().all(legal)
        };
        if let Some(argument) = name.strip_prefix("arg_").filter(is_name) {
            return Some(Self::Arg(argument.to_owned()));
        }
        if let Some(cookie) = name.strip_prefix("cookie_").filter(is_name) {
            return Some(Self::Cookie(cookie.to_owned()));
        }
        let is_plain = |rest: &&str| {
            !rest.is_empty()
                && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if let Some(param) = name.strip_prefix("uri_param_").filter(is_plain) {
            return Some(Self::UriParam(param.to_owned()));
        }
        if let Some(part) = name.strip_prefix("capture_").filter(is_plain) {
            return Some(Self::Capture(part.to_owned()));
        }
        if let Some(group) = name.strip_prefix("rewrite_").filter(is_plain) {
            return Some(Self::Rewrite(group.to_owned()));
        }
        let attribute = name.strip_prefix("ssl_client_s_dn_")?;
        (is_attribute(attribute) || is_dotted(attribute))
            .then(|| Self::SslClientSDnAttribute(attribute.to_owned()))
    }

    /// Its name, without `$`.
    #[must_use]
    pub fn name(&self) -> String {
        let member = match self {
            Self::Arg(member)
            | Self::Capture(member)
            | Self::Cookie(member)
            | Self::Http(member)
            | Self::Rewrite(member)
            | Self::SslClientSDnAttribute(member)
            | Self::UriParam(member) => member.as_str(),
            _ => "",
        };
        let listed = self.listed().map_or("", |listed| listed.name);
        format!("{listed}{member}")
    }

    /// How long its value stays the same.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.listed().map_or(Scope::Log, |listed| listed.scope)
    }

    /// May its value be sent in a header?
    #[must_use]
    pub fn allowed_in_headers(&self) -> bool {
        self.scope() != Scope::Log
    }

    /// Is a value that is for the log known as soon as the head of a response is sent? It may stand in that head then.
    #[must_use]
    pub const fn is_known_with_response_head(&self) -> bool {
        matches!(
            self,
            Self::Status
                | Self::UpstreamAddr
                | Self::UpstreamConnectTime
                | Self::UpstreamConnectTimeMs
                | Self::UpstreamHeaderTime
                | Self::UpstreamHeaderTimeMs
                | Self::UpstreamQueueTime
                | Self::UpstreamStatus
        )
    }

    /// Does the client write its value into each request, as it likes? It may not stand in an identity header
    /// then, and a condition on it keeps nobody out.
    #[must_use]
    pub const fn is_written_by_client(&self) -> bool {
        matches!(
            self,
            Self::Arg(_)
                | Self::Args
                | Self::Capture(_)
                | Self::Cookie(_)
                | Self::Host
                | Self::Http(_)
                | Self::RequestId
                | Self::RequestMethod
                | Self::RequestUri
                | Self::Rewrite(_)
                | Self::ServerProtocol
                | Self::SpanId
                | Self::TraceId
                | Self::Traceparent
                | Self::Tracestate
                | Self::Uri
                | Self::UriParam(_)
        )
    }

    /// Is its value a number, unless it is empty or a list? Where a JSON log format has it outside of
    /// quotes, it is written as one.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        matches!(
            self,
            Self::BodyBytesSent
                | Self::BytesSent
                | Self::Connection
                | Self::ConnectionRequests
                | Self::Msec
                | Self::ProxyProtocolPort
                | Self::ProxyProtocolServerPort
                | Self::RealipRemotePort
                | Self::RemotePort
                | Self::RequestLength
                | Self::RequestTime
                | Self::RequestTimeMs
                | Self::ServerPort
                | Self::SslClientVRemain
                | Self::Status
                | Self::UpstreamConnectTime
                | Self::UpstreamConnectTimeMs
                | Self::UpstreamHeaderTime
                | Self::UpstreamHeaderTimeMs
                | Self::UpstreamQueueTime
                | Self::UpstreamResponseTime
                | Self::UpstreamResponseTimeMs
                | Self::UpstreamStatus
        )
    }

    fn listed(&self) -> Option<&'static Listed> {
        Self::ALL
            .iter()
            .find(|listed| std::mem::discriminant(&listed.variable) == std::mem::discriminant(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for listed in Variable::ALL {
            let name = match listed.variable {
                Variable::Arg(_) => "arg_page",
                Variable::Capture(_) => "capture_tenant",
                Variable::Cookie(_) => "cookie_id",
                Variable::Http(_) => "http_user_agent",
                Variable::Rewrite(_) => "rewrite_1",
                Variable::SslClientSDnAttribute(_) => "ssl_client_s_dn_cn",
                Variable::UriParam(_) => "uri_param_id",
                _ => listed.name,
            };
            let variable = Variable::parse(name).unwrap();
            assert_eq!(variable.name(), name);
            assert_eq!(variable.scope(), listed.scope);
        }
        assert!(Variable::ALL.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn a_family_needs_a_member_that_can_exist() {
        for name in ["http_", "http_User", "ssl_client_s_dn_", "ssl_client_s_dn_CN", "nothing", ""]
        {
            assert_eq!(Variable::parse(name), None, "{name}");
        }
    }
}
