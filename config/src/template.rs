//! The `$variable` grammar, and the closed list of variables.
//!
//! `$name` or `${name}` is a variable, `$$` a dollar sign; everything else stands for itself.

/// Text with variables in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Template {
    /// In order; no two texts side by side.
    pub pieces: Vec<Piece>,
}

/// A part of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// Itself.
    Text(String),
    /// A variable's value.
    Variable(Variable),
}

/// Every variable, by nginx's name (`$ssl_client_verify` is `SslClientVerify`).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Variable {
    /// `$args`: the query without its `?`.
    Args,
    /// `$body_bytes_sent`: log only.
    BodyBytesSent,
    /// `$bytes_sent`: log only.
    BytesSent,
    /// `$connection`: serial number of the client connection on its core.
    Connection,
    /// `$connection_requests`: requests on this connection so far.
    ConnectionRequests,
    /// `$host`: the request's host, lower case, without port.
    Host,
    /// `$http_NAME`: a request field; the name is lower case with `_` for `-`.
    Http(String),
    /// `$msec`: Unix seconds with milliseconds.
    Msec,
    /// `$remote_addr`: the peer's address.
    RemoteAddr,
    /// `$remote_port`: the peer's port.
    RemotePort,
    /// `$request`: the whole request line; log only.
    Request,
    /// `$request_length`: bytes read for this request; log only.
    RequestLength,
    /// `$request_method`
    RequestMethod,
    /// `$request_time`: seconds with milliseconds; log only.
    RequestTime,
    /// `$request_uri`: the target as received.
    RequestUri,
    /// `$route_id`: which route was taken.
    RouteId,
    /// `$scheme`: `http` or `https`.
    Scheme,
    /// `$server_addr`: the address the client reached.
    ServerAddr,
    /// `$server_port`
    ServerPort,
    /// `$server_protocol`: `HTTP/1.1`.
    ServerProtocol,
    /// `$ssl_alpn_protocol`
    SslAlpnProtocol,
    /// `$ssl_cipher`
    SslCipher,
    /// `$ssl_ciphers`: the client's list, as it came
    SslCiphers,
    /// `$ssl_client_cert`: log only (holds line feeds).
    SslClientCert,
    /// `$ssl_client_cert_rfc9440`: the leaf as an RFC 9440 byte sequence
    SslClientCertRfc9440,
    /// `$ssl_client_chain_rfc9440`: the rest of the chain as an RFC 9440 list
    SslClientChainRfc9440,
    /// `$ssl_client_escaped_cert`
    SslClientEscapedCert,
    /// `$ssl_client_fingerprint`
    SslClientFingerprint,
    /// `$ssl_client_fingerprint_sha256`
    SslClientFingerprintSha256,
    /// `$ssl_client_i_dn`
    SslClientIDn,
    /// `$ssl_client_i_dn_legacy`
    SslClientIDnLegacy,
    /// `$ssl_client_raw_cert`: log only (holds line feeds).
    SslClientRawCert,
    /// `$ssl_client_s_dn`
    SslClientSDn,
    /// `$ssl_client_s_dn_legacy`
    SslClientSDnLegacy,
    /// `$ssl_client_s_dn_NAME`: one attribute of the subject, by OpenSSL's short name in lower case
    SslClientSDnAttribute(String),
    /// `$ssl_client_san`: every subject alternative name, typed
    SslClientSan,
    /// `$ssl_client_san_dns`
    SslClientSanDns,
    /// `$ssl_client_san_email`
    SslClientSanEmail,
    /// `$ssl_client_san_ip`
    SslClientSanIp,
    /// `$ssl_client_san_uri`
    SslClientSanUri,
    /// `$ssl_client_serial`
    SslClientSerial,
    /// `$ssl_client_sigalg`: full handshakes only
    SslClientSigalg,
    /// `$ssl_client_spiffe_id`
    SslClientSpiffeId,
    /// `$ssl_client_spki_sha256`
    SslClientSpkiSha256,
    /// `$ssl_client_v_end`
    SslClientVEnd,
    /// `$ssl_client_v_remain`: per request.
    SslClientVRemain,
    /// `$ssl_client_v_start`
    SslClientVStart,
    /// `$ssl_client_verify`
    SslClientVerify,
    /// `$ssl_client_xfcc`: one Envoy `X-Forwarded-Client-Cert` element
    SslClientXfcc,
    /// `$ssl_curve`
    SslCurve,
    /// `$ssl_curves`: the client's list, as it came
    SslCurves,
    /// `$ssl_early_data`: always empty; we never accept it
    SslEarlyData,
    /// `$ssl_protocol`
    SslProtocol,
    /// `$ssl_server_name`
    SslServerName,
    /// `$ssl_session_reused`
    SslSessionReused,
    /// `$status`: log only.
    Status,
    /// `$time_iso8601`: log only.
    TimeIso8601,
    /// `$time_local`: log only.
    TimeLocal,
    /// `$upstream_addr`: log only.
    UpstreamAddr,
    /// `$upstream_response_time`: log only.
    UpstreamResponseTime,
    /// `$upstream_status`: log only.
    UpstreamStatus,
    /// `$uri`: the path, normalised.
    Uri,
}
