//! Does a proxy do the whole job? Asked before anything is measured; who fails is left out.
//!
//! It must refuse clients that show no certificate or a stranger's, send the three headers with the
//! values openssl tells, also to a client that sent its own, show its certificate to the upstream, and
//! refuse an upstream that another authority signed.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use ferrule_tools::clock::PATIENCE;
use ferrule_tools::http::{Conversation, Message};
use ferrule_tools::pki::Leaf;
use ferrule_tools::process::shell;
use ferrule_tools::tls;

use crate::case::{Case, Drive, LARGE_BYTES, Setting, Tls};
use crate::peer::{Peer, Place, Proxy};
use crate::stage::{NAME, Stage, files};

/// Does this proxy do all of this case?
pub(crate) fn prove(stage: &Stage, case: &Case, peer: Peer, proxy: &Proxy) -> Result<(), String> {
    let setting = case.setting;
    if setting.tls != Tls::Off {
        prove_identity(stage, setting, peer, proxy.port)?;
    }
    let body = match case.drive {
        Drive::Upload(bytes) => bytes,
        Drive::Keep | Drive::Full | Drive::Resumed => 0,
    };
    let wanted = if case.path == "/large" { LARGE_BYTES } else { "ok".len() };
    let leaf = leaf(stage, files(setting.keys).client);
    let visit = Visit { setting, leaf: Some(&leaf), path: case.path, body, spoof: false };
    let answer = visit.ask(proxy.port).map_err(|error| format!("{}: {error}", case.path))?;
    if answer.status() != 200 || answer.body.len() != wanted {
        let (status, bytes) = (answer.status(), answer.body.len());
        return Err(format!("{} is answered with {status} and {bytes} bytes", case.path));
    }
    Ok(())
}

/// Refuses it an upstream that shows another authority's certificate?
pub(crate) fn prove_upstream_is_verified(
    stage: &Stage,
    setting: Setting,
    peer: Peer,
) -> Result<(), String> {
    let mut place = Place::new(stage, setting);
    place.upstream = stage.impostor_port;
    // Not to start at all is a refusal too, but of the wrong kind: the right upstream has shown that
    // it does start.
    let proxy = peer.start(&place)?;
    let leaf = leaf(stage, files(setting.keys).client);
    let visit = Visit { setting, leaf: Some(&leaf), path: "/small", body: 0, spoof: false };
    match visit.ask(proxy.port) {
        Ok(answer) if answer.status() < 500 => {
            Err(String::from("takes an upstream with another authority's certificate"))
        }
        Ok(_) => Ok(()),
        // Without HTTP there is no status to say it with.
        Err(_) if peer.is_limit() => Ok(()),
        Err(error) => Err(format!("an upstream that is an impostor: {error}")),
    }
}

fn prove_identity(stage: &Stage, setting: Setting, peer: Peer, port: u16) -> Result<(), String> {
    let names = files(setting.keys);
    let right = leaf(stage, names.client);
    let stranger = leaf(stage, "stranger");
    let visit = |leaf, spoof| Visit { setting, leaf, path: "/proof", body: 0, spoof };
    for (who, leaf) in [("no certificate", None), ("a stranger's certificate", Some(&stranger))] {
        if let Ok(answer) = visit(leaf, false).ask(port)
            && answer.status() != 400
        {
            return Err(format!("answers {} to who shows {who}", answer.status()));
        }
    }
    for spoof in [false, true] {
        let answer = visit(Some(&right), spoof).ask(port).map_err(|error| error.to_string())?;
        let text = answer.text();
        let fields: Vec<&str> = text.split('|').collect();
        let [verified, own, fingerprint, serial, subject] = fields.as_slice() else {
            return Err(format!("the proof is answered with {}: {text:.60}", answer.status()));
        };
        if (*verified, *own) != ("SUCCESS", "CN=proxy") {
            return Err(format!("shows the upstream no certificate of its own: {verified} {own}"));
        }
        if peer.is_limit() || setting.identity == 0 {
            return Ok(());
        }
        let fact = |option: &str| fact(stage, names.client, option);
        let sent = [hex(fingerprint), hex(serial), (*subject).to_owned()];
        let wanted =
            [hex(&fact("-fingerprint -sha1")), hex(&fact("-serial")), String::from("CN=load")];
        if sent != wanted {
            return Err(format!("sends {sent:?} where {wanted:?} is right (spoofed: {spoof})"));
        }
    }
    Ok(())
}

fn leaf(stage: &Stage, name: &str) -> Leaf {
    let at = |end: &str| stage.dir().join(format!("{name}.{end}"));
    Leaf::read(&at("crt"), &at("key"))
}

/// What openssl says of the certificate.
fn fact(stage: &Stage, name: &str, option: &str) -> String {
    let text = shell(stage.dir(), &format!("openssl x509 -in {name}.crt -noout {option}"));
    text.trim().split_once('=').map_or_else(String::new, |(_, value)| value.to_owned())
}

/// Peers differ in colons, case and leading zeros.
fn hex(text: &str) -> String {
    text.replace(':', "").to_ascii_lowercase().trim_start_matches('0').to_owned()
}

struct Visit<'a> {
    setting: Setting,
    leaf: Option<&'a Leaf>,
    path: &'a str,
    /// Bytes of the body; 0 is a GET.
    body: usize,
    /// Does it send the identity headers itself?
    spoof: bool,
}

impl Visit<'_> {
    fn ask(&self, port: u16) -> io::Result<Message> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let version = match self.setting.tls {
            Tls::Off => return self.talk(socket),
            Tls::V12 => &rustls::version::TLS12,
            Tls::V13 => &rustls::version::TLS13,
        };
        let config = Arc::new(tls::client(self.leaf, &[version]));
        let name = NAME.try_into().map_err(io::Error::other)?;
        let session = rustls::ClientConnection::new(config, name).map_err(io::Error::other)?;
        self.talk(rustls::StreamOwned::new(session, socket))
    }

    fn talk<S: io::Read + io::Write>(&self, stream: S) -> io::Result<Message> {
        let (path, body) = (self.path, self.body);
        let method = if body > 0 { "POST" } else { "GET" };
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {NAME}\r\n");
        if body > 0 {
            request += "Content-Length: ";
            request += &body.to_string();
            request += "\r\n";
        }
        if self.spoof {
            request.push_str(
                "X-Client-Fingerprint: 00\r\nX-Client-Serial: 00\r\nX-Client-Subject: CN=root\r\n",
            );
        }
        request.push_str("\r\n");
        request.push_str(&"x".repeat(body));
        let mut talk = Conversation::new(stream);
        talk.send(request.as_bytes())?;
        talk.response(method)
    }
}

#[cfg(test)]
mod tests {
    use ferrule_tools::nginx::{Nginx, Shape};
    use ferrule_tools::process::free_port;

    use super::*;
    use crate::case::{MTLS, SMALL};
    use crate::peer::nginx_config;

    fn verdict(stage: &Stage, change: impl Fn(String) -> String) -> Result<(), String> {
        let port = free_port();
        let place = Place::new(stage, MTLS);
        let http = change(nginx_config(&place, port));
        let _nginx = Nginx::start(stage.dir(), port, &http, Shape::Single);
        let wait = Visit { setting: MTLS, leaf: None, path: "/", body: 0, spoof: false };
        let _ = wait.ask(port);
        prove_identity(stage, MTLS, Peer::Nginx, port)?;
        let leaf = leaf(stage, "client");
        let visit = Visit { setting: MTLS, leaf: Some(&leaf), path: SMALL.path, ..wait };
        match visit.ask(port) {
            Ok(answer) if answer.status() == 200 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }

    fn refusal(stage: &Stage, from: &str, to: &str) -> String {
        let change = |text: String| {
            assert!(text.contains(from), "{text}");
            text.replace(from, to)
        };
        verdict(stage, change).expect_err("a peer that does not do the whole job")
    }

    /// Half a job would be measured as a fast one.
    #[test]
    fn who_does_half_the_job_is_refused() {
        let stage = Stage::set(None, None);
        assert_eq!(verdict(&stage, |text| text), Ok(()));
        let why = refusal(&stage, "ssl_verify_client on", "ssl_verify_client off");
        assert!(why.contains("200 to who shows no certificate"), "{why}");
        let why = refusal(&stage, "ssl_verify_client on", "ssl_verify_client optional_no_ca");
        assert!(why.contains("200 to who shows no certificate"), "{why}");
        let why = refusal(&stage, "$ssl_client_serial", "$http_x_client_serial");
        assert!(why.contains("is right"), "{why}");
        let why = refusal(&stage, "X-Client-Subject $ssl_client_s_dn", "X-Client-Subject CN=x");
        assert!(why.contains("CN=x"), "{why}");
        let why = refusal(&stage, "proxy_ssl_certificate ", "#proxy_ssl_certificate ");
        assert!(why.contains("the proof is answered with 400"), "{why}");
    }

    #[test]
    fn serials_are_compared_as_numbers() {
        assert_eq!(hex("0A:1B"), hex("a1b"));
        assert_ne!(hex("0A:1B"), hex("a1b0"));
    }
}
