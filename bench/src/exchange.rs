//! One client's exchange without its sockets: request head in, request head out, response head in,
//! response head out.

use std::hint::black_box;

use ferrule_config::Place;
use ferrule_config::model::{AccessFormat, AccessLog, LogFilter, LogTarget};
use ferrule_config::template::Variable;
use ferrule_engine::exchange::request::Admission;
use ferrule_engine::exchange::response::{PendingRequest, ResponseStep, admit_response};
use ferrule_engine::exchange::response_head::client_head;
use ferrule_engine::wire::head::{ResponseHead, parse_response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::input::{self, Connection};

const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 22:55:28 GMT\r\n\
    Content-Type: application/json\r\nContent-Length: 128\r\nConnection: keep-alive\r\n\
    ETag: \"0123\"\r\n\r\n";

const VALUES: [Variable; 10] = [
    Variable::SslClientVerify,
    Variable::SslClientFingerprint,
    Variable::SslClientSerial,
    Variable::SslClientSDn,
    Variable::SslClientIDn,
    Variable::SslClientFingerprintSha256,
    Variable::SslClientSpkiSha256,
    Variable::SslClientVStart,
    Variable::SslClientVEnd,
    Variable::SslClientXfcc,
];

/// A connection with one admitted request, and room for what is written.
pub struct Exchange {
    connection: Connection,
    admission: Admission,
    response: ResponseHead,
    out: Vec<u8>,
}

impl Exchange {
    /// Of a client without a certificate, on a route with four headers of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Connection::new())
    }

    /// Of a verified client, with the first so many identity headers and no others.
    #[must_use]
    pub fn identified(headers: usize) -> Self {
        let mut config = input::config();
        config.routes[0].headers.clear();
        let wanted = VALUES.into_iter().take(headers);
        config.identity_headers =
            wanted.map(|value| input::header(&format!("X-{}", value.name()), value)).collect();
        let pem = include_bytes!("../certificates/v3-p256.crt");
        let leaf = CertificateDer::from_pem_slice(pem).expect("a certificate");
        Self::of(Connection::of(&config, &[&leaf]))
    }

    /// Of a verified client whose requests are logged in JSON.
    #[must_use]
    pub fn logged() -> Self {
        let mut config = input::config();
        let access = AccessLog {
            target: LogTarget::Stdout,
            place: Place::default(),
            format: AccessFormat::Json,
            format_place: Place::default(),
            filter: LogFilter::default(),
        };
        config.log.access = Some(access);
        let pem = include_bytes!("../certificates/v3-p256.crt");
        let leaf = CertificateDer::from_pem_slice(pem).expect("a certificate");
        Self::of(Connection::of(&config, &[&leaf]))
    }

    fn of(mut connection: Connection) -> Self {
        let admission = connection.admit();
        Self {
            connection,
            admission,
            response: ResponseHead::default(),
            out: Vec::with_capacity(4096),
        }
    }

    /// The head that goes upstream, of the request admitted last; its length.
    pub fn rewrite(&mut self) -> usize {
        self.connection.rewrite(black_box(&self.admission), &mut self.out);
        self.out.len()
    }

    /// From the client's bytes to the head that goes upstream.
    pub fn request(&mut self) -> usize {
        self.admission = self.connection.admit();
        self.rewrite()
    }

    /// From the upstream's bytes to the head that goes to the client.
    pub fn response(&mut self) -> usize {
        let pending = PendingRequest {
            upgrade: false,
            method: self.admission.method,
            version: self.admission.version,
            keep_alive: self.admission.keep_alive,
            repeatable: false,
            interims: 0,
            http_date: input::NOW.http_date,
            continue_wanted: false,
            trailers: None,
            via: None,
            request_id: None,
        };
        self.out.clear();
        let (bytes, limits) = (black_box(RESPONSE), self.connection.plan.response_limits());
        parse_response(bytes, bytes.len(), limits, &mut self.response).expect("a good head");
        let step = admit_response(self.response.view(bytes), &pending).expect("a good response");
        if let ResponseStep::Final(delivery) = step {
            client_head(self.response.view(bytes), &delivery, &pending, &mut self.out);
        }
        self.out.len()
    }

    /// The line in the access log; its length.
    pub fn line(&mut self) -> usize {
        self.connection.log(black_box(&self.admission), &mut self.out);
        self.out.len()
    }

    /// The request and its response.
    pub fn whole(&mut self) -> usize {
        self.request() + self.response()
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}
