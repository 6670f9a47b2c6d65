//! `[http]`: what holds for every listener.

use std::time::Duration;

use super::FileAt;

/// `[http]`
#[derive(Clone, Debug)]
pub struct Http {
    /// From the first byte of a head to its end.
    pub client_header_timeout: Duration,
    /// Between two reads of a request body.
    pub client_body_timeout: Duration,
    /// Between two writes to a client.
    pub send_timeout: Duration,
    /// An idle kept-alive client connection.
    pub keepalive_timeout: Duration,
    /// Requests on one client connection.
    pub keepalive_requests: u32,
    /// Bytes of a request body; `None` is unlimited.
    pub client_max_body_size: Option<u64>,
    /// Bytes of one request head.
    pub head_bytes_max: u32,
    /// Field lines in one head.
    pub fields_max: u16,
    /// Files of 48 or 80 random bytes that session tickets are sealed with: the first seals, all
    /// open. Empty: the process makes its own.
    pub ticket_key_files: Vec<FileAt>,
    /// Accept field names with an underscore (they are dropped otherwise).
    pub underscores_in_headers: bool,
}
