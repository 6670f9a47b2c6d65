//! Who the client is, only the gateway says: the spoof matrix, and the formats of other gateways.

use std::path::Path;

use ferrule_tests::{
    Authority, Dial, Driver, Gateway, Raw, Setup, Upstream, echo, on_both_drivers, raw, scratch,
};

use crate::write_ca;

/// No value of ours holds this word.
const SPOOF: &str = "5p00f";

const LISTEN: &str = r#"
[[listen]]
address = "127.0.0.1:@plain@"

[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"
client = { ca = "ca.crt", verify = "optional" }

[[routes]]
uri = "/*"
headers.set = { X-By-Route = "$ssl_client_s_dn_cn" }
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

/// Every name that only the gateway may send with the configuration below.
const NAMES: [&str; 13] = [
    "X-Client-Verify",
    "X-Empty",
    "X-Days",
    "X-By-Route",
    "X-SSL-Client-Verify",
    "X-SSL-Client-S-DN",
    "X-SSL-Client-Anything",
    "X-Forwarded-Client-Cert",
    "Client-Cert",
    "Client-Cert-Chain",
    "X-Forwarded-Tls-Client-Cert",
    "X-Forwarded-Tls-Client-Cert-Info",
    "X-SSL-Client-Cert",
];

const IDENTITY: &str = r#"
[identity_headers]
X-Client-Verify = "$ssl_client_verify"
X-Empty = "$ssl_client_san_email"
X-Days = "$ssl_client_v_remain"
"#;

fn gateway(dir: &Path, driver: Driver, authority: &Authority, text: &str) -> (Gateway, Upstream) {
    write_ca(dir, "ca", authority);
    authority.server(&["a.test"]).write(dir, "server");
    let upstream = Upstream::plain(echo());
    let gateway = Setup::new(dir, driver, text).set("upstream", &upstream.port).start();
    (gateway, upstream)
}

/// A name as a client may write it that hopes to be read as it.
fn spellings(name: &str) -> Vec<String> {
    let swapped: String =
        name.chars()
            .enumerate()
            .map(|(at, letter)| {
                if at % 2 == 0 { letter.to_ascii_lowercase() } else { letter.to_ascii_uppercase() }
            })
            .collect();
    vec![
        name.to_owned(),
        name.to_lowercase(),
        name.to_uppercase(),
        swapped,
        name.replace('-', "_"),
        name.to_lowercase().replace('-', "_"),
        name.replacen('-', "_", 1),
        name.replace('-', "."),
        name.to_lowercase().replace('-', "~"),
        name.replacen('-', "!", 1),
        ["#", "$", "%", "&", "'", "*", "+", "^", "`", "|"]
            .into_iter()
            .fold(name.to_owned(), |name, sign| name.replacen('-', sign, 1)),
    ]
}

/// The requests of the matrix for one name.
fn requests(name: &str) -> Vec<String> {
    let mut requests = Vec::new();
    for written in spellings(name) {
        let line = format!("{written}: {SPOOF}\r\n");
        for fields in [
            line.clone(),
            format!("{line}{line}"),
            format!("{line}{name}:\r\n{name}: {SPOOF}\r\n"),
            format!("Connection: {written}\r\n{line}"),
            format!("{line}Connection: {name}, keep-alive\r\n"),
        ] {
            requests.push(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"));
        }
        requests.push(format!(
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTrailer: {written}\r\n\
             \r\n1\r\nx\r\n0\r\n{line}\r\n"
        ));
        requests.push(format!(
            "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\
             Connection: TE, Trailer, {written}\r\nTrailer: x, {written}\r\n{line}\
             \r\n1\r\nx\r\n0\r\nx: y\r\n{line}{line}\r\n"
        ));
    }
    requests
}

fn try_all(mut raw: Raw, upstream: &Upstream, verify: Option<&str>) {
    for name in NAMES {
        for request in requests(name) {
            raw.send(request.as_bytes()).expect("a connection");
            let answer = raw.response("GET").expect("an answer");
            assert_eq!(answer.status(), 200, "{request}\n{answer:?}");
            let seen = upstream.seen();
            let message = &seen.last().expect("a request").message;
            let text = format!("{}{}", message.head.raw, message.trailers);
            assert!(!text.contains(SPOOF), "{request}\n{text}");
            let said: Vec<&str> = message.head.all("x-client-verify");
            assert_eq!(said, verify.into_iter().collect::<Vec<_>>(), "{request}\n{text}");
            assert!(message.head.all("x-empty").is_empty(), "{request}\n{text}");
            // What we say of our own connection, and no word of the client's.
            let options = message.head.all("connection");
            assert!(options.iter().all(|one| *one == "TE"), "{request}\n{text}");
            assert_eq!(message.trailers, "", "{request}\n{text}");
        }
    }
}

/// What the upstream was sent, as the gateway's own fields.
fn sent(gateway: &Gateway, dial: Option<&Dial>, fields: &str) -> ferrule_tests::Head {
    let mut raw = match dial {
        Some(dial) => dial.connect(gateway.port("front")).expect("a handshake"),
        None => raw::plain(gateway.port("plain")),
    };
    raw.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n").as_bytes())
        .expect("a connection");
    let answer = raw.response("GET").expect("an answer");
    assert_eq!(answer.status(), 200, "{answer:?}");
    ferrule_tests::Head { raw: answer.text() }
}

on_both_drivers! {
    fn nothing_that_a_client_says_of_itself_passes(driver) {
        for underscores in ["false", "true"] {
            let (scratch, authority) = (scratch(), Authority::new("Root"));
            let http = format!("[http]\nunderscores_in_headers = {underscores}\nkeepalive_requests = 100000\n");
            let text = format!("{http}{IDENTITY}{LISTEN}");
            let (gateway, upstream) = gateway(scratch.path(), driver, &authority, &text);
            let front = gateway.port("front");
            try_all(raw::plain(gateway.port("plain")), &upstream, None);
            let nobody = Dial::new(Some("a.test")).connect(front).expect("a handshake");
            try_all(nobody, &upstream, Some("NONE"));
            let client = Dial::as_client("a.test", &authority.client("me"));
            try_all(client.connect(front).expect("a handshake"), &upstream, Some("SUCCESS"));
        }
    }

    fn presets_speak_as_others_do(driver) {
        let (scratch, authority) = (scratch(), Authority::new("Root, \"one\""));
        let text = format!("[identity_headers]\npreset = ['nginx', 'rfc9440', 'traefik', 'xfcc']\n{LISTEN}");
        let (gateway, _upstream) = gateway(scratch.path(), driver, &authority, &text);
        let middle = authority.intermediate("Middle");
        let names = ["URI:spiffe://a/b", "DNS:c.test", "DNS:d,e.test", "IP:192.0.2.1", "email:f@g.test"];
        let leaf = middle
            .client_named(&[("O", "Acme, Inc."), ("OU", "a=b, CN=root"), ("CN", "me")], &names)
            .behind(&middle.cert_pem);
        let head = sent(&gateway, Some(&Dial::as_client("a.test", &leaf)), "");
        let bodies: Vec<String> = leaf.cert_pem.split("-----BEGIN CERTIFICATE-----").skip(1).map(|pem| {
            pem.split("-----END").next().unwrap_or_default().split_whitespace().collect()
        }).collect();
        assert_eq!(bodies.len(), 2);
        assert_eq!(head.all("client-cert"), [format!(":{}:", bodies[0])]);
        assert_eq!(head.all("client-cert-chain"), [format!(":{}:", bodies[1])]);
        assert_eq!(head.all("x-forwarded-tls-client-cert"), [bodies.join(",")]);
        let info = head.get("x-forwarded-tls-client-cert-info").expect("its info").to_owned();
        let info = info.replace('+', " ").replace("%22", "\"").replace("%3D", "=").replace("%2C", ",")
            .replace("%3B", ";").replace("%3A", ":").replace("%2F", "/").replace("%40", "@");
        // A value that could be read as two attributes is not told, nor a name with a comma.
        assert!(info.starts_with("Subject=\"O=Acme, Inc.,CN=me\";Issuer=\"CN=Middle\";NB=\""), "{info}");
        assert!(info.contains(";SAN=\"c.test,f@g.test,192.0.2.1,spiffe://a/b\",Subject=\"CN=Middle\""), "{info}");
        let xfcc = head.get("x-forwarded-client-cert").expect("an element");
        let (hash, rest) = xfcc.split_once(';').expect("several pairs");
        assert!(hash.starts_with("Hash=") && hash.len() == 69, "{xfcc}");
        assert_eq!(
            rest,
            r#"Subject="CN=me,OU=a=b\, CN=root,O=Acme\, Inc.";URI=spiffe://a/b;DNS=c.test;DNS="d,e.test""#
        );
        assert_eq!(head.all("x-ssl-client-verify"), ["SUCCESS"]);
        assert_eq!(head.all("x-ssl-client-i-dn"), ["CN=Middle"]);
        assert!(head.all("x-ssl-client-cert")[0].starts_with("-----BEGIN%20CERTIFICATE-----%0A"));
        // Without a certificate there is nothing to say, but that there is none.
        let head = sent(&gateway, Some(&Dial::new(Some("a.test"))), "");
        for name in NAMES.iter().skip(3).filter(|name| **name != "X-SSL-Client-Verify") {
            assert!(head.all(&name.to_lowercase()).is_empty(), "{name} {head:?}");
        }
        assert_eq!(head.all("x-ssl-client-verify"), ["NONE"]);
    }

    fn xfcc_passes_as_its_mode_says(driver) {
        let (scratch, authority) = (scratch(), Authority::new("Root"));
        let text = format!("[identity_headers]\nxfcc = @mode@\n{LISTEN}");
        let with = |mode: &str| {
            text.replace("@mode@", &format!("{{ mode = '{mode}', keys = ['By', 'Subject'] }}"))
        };
        let (mut gateway, _upstream) = gateway(scratch.path(), driver, &authority, &with("sanitize"));
        let ours = authority.client_named(&[("CN", "proxy")], &["DNS:a.test", "URI:spiffe://a/proxy"]);
        ours.write(scratch.path(), "server");
        let client = Dial::as_client("a.test", &authority.client("me"));
        let nobody = Dial::new(Some("a.test"));
        let own = "By=spiffe://a/proxy;Subject=\"CN=me\"";
        let fields = "X-Forwarded-Client-Cert: Hash=1\r\nx-forwarded-client-cert: Hash=2\r\n\
                      X_Forwarded_Client_Cert: Hash=3\r\nX-Forwarded-Client-Cert:\r\n";
        let appended = format!("Hash=1,Hash=2,{own}");
        for (mode, verified, none, plain, alone) in [
            ("sanitize", "", "", "", ""),
            ("sanitize_set", own, "", "", own),
            ("forward_only", "Hash=1,Hash=2", "", "", ""),
            ("append_forward", &appended, "", "", own),
            ("always_forward_only", "Hash=1,Hash=2", "Hash=1,Hash=2", "Hash=1,Hash=2", ""),
        ] {
            assert_eq!(gateway.reload(&with(mode)), ferrule_tests::Reloaded::Taken, "{mode}");
            for (dial, fields, wanted) in [
                (Some(&client), fields, verified),
                (Some(&client), "", alone),
                (Some(&nobody), fields, none),
                (None, fields, plain),
            ] {
                let head = sent(&gateway, dial, fields);
                let said = head.all("x-forwarded-client-cert").join("|");
                assert_eq!(said, wanted, "{mode} {head:?}");
                assert!(!head.raw.contains("Hash=3"), "{mode} {head:?}");
            }
            // Who names it in `Connection` has it dropped, and changes nothing that is ours.
            let named = format!("Connection: X-Forwarded-Client-Cert\r\n{fields}");
            let head = sent(&gateway, Some(&client), &named);
            assert_eq!(head.all("x-forwarded-client-cert").join("|"), alone, "{mode} {head:?}");
        }
    }

    /// Who opens a quotation would have our element read as the rest of its own.
    fn an_open_quotation_swallows_no_element(driver) {
        let (scratch, authority) = (scratch(), Authority::new("Root"));
        let text = format!("[identity_headers]\nxfcc = {{ mode = 'append_forward' }}\n{LISTEN}");
        let (gateway, upstream) = gateway(scratch.path(), driver, &authority, &text);
        let client = Dial::as_client("a.test", &authority.client("me"));
        for (value, status) in [
            ("Hash=11;Subject=\"CN=a\"", 200),
            ("Hash=11;URI=spiffe://prod/admin;Subject=\"", 400),
            ("Subject=\"a\\\"", 400),
        ] {
            let before = upstream.seen().len();
            let mut raw = client.connect(gateway.port("front")).expect("a handshake");
            let head = format!(
                "GET / HTTP/1.1\r\nHost: a.test\r\nx-forwarded-client-cert: {value}\r\n\r\n"
            );
            raw.send(head.as_bytes()).expect("a connection");
            assert_eq!(raw.response("GET").expect("an answer").status(), status, "{value}");
            assert_eq!(upstream.seen().len() - before, usize::from(status == 200), "{value}");
        }
    }
}
