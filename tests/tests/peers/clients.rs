//! Other people's TLS clients against the real binary: a certificate shown, a large answer read, the
//! session resumed, in both versions. What the gateway's access log says of it is what counts.
//!
//! `cargo test -p ferrule-tests --test peers clients -- --nocapture` prints the table of `docs/clients.md`.
//! Go, Java and Node are asked where they are installed, and left out of the table where not.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise, with its text")]
#![expect(clippy::print_stdout, reason = "the table is for people")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use ferrule_tests::{
    Authority, Driver, Gateway, PATIENCE, Script, Setup, Upstream, poll, scratch, shell, source_dir,
};

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "x.test"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
"#;

const ACCESS: &str = "access = { path = \"access.log\", format = '$ssl_protocol $status $body_bytes_sent \
                      $ssl_session_reused' }";

/// What is in the answer.
const BYTES: usize = 1_000_000;

const VERSIONS: [&str; 2] = ["1.2", "1.3"];

const REQUEST: &str = r"printf 'GET /big HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n'";

/// One client: how it is made ready, and how it visits twice. `$port` and `$version` are set, the
/// directory has `ca.crt`, `client.crt`, `client.key`, `client.p12`; `$sources` has our own programs.
struct Client {
    name: &'static str,
    /// Left out if this is not there; empty for what `tests/run` installs.
    program: &'static str,
    versions: &'static [&'static str],
    prepare: &'static str,
    visit: &'static str,
    /// In these versions it has a way to resume.
    resumes: &'static [&'static str],
}

const OURS: &str = "$port $version ca.crt client.crt client.key /big";

const CLIENTS: [Client; 10] = [
    Client {
        name: "curl",
        program: "",
        versions: &VERSIONS,
        prepare: "",
        visit: "curl -sS --resolve x.test:$port:127.0.0.1 --cacert ca.crt --cert client.crt --key client.key \
                --tlsv$version --tls-max $version -H 'Connection: close' \
                https://x.test:$port/big -o /dev/null https://x.test:$port/big -o /dev/null",
        resumes: &VERSIONS,
    },
    Client {
        name: "OpenSSL `s_client`",
        program: "",
        versions: &VERSIONS,
        prepare: "",
        visit: "for how in -sess_out -sess_in; do (REQUEST; sleep 0.5) | openssl s_client \
                -connect 127.0.0.1:$port -servername x.test -tls${version/./_} -CAfile ca.crt \
                -cert client.crt -key client.key -ign_eof $how session.pem > /dev/null 2>&1 || true; done",
        resumes: &VERSIONS,
    },
    Client {
        name: "Python `ssl`",
        program: "",
        versions: &VERSIONS,
        prepare: "",
        visit: "python3 $sources/visit.py OURS",
        resumes: &VERSIONS,
    },
    Client {
        name: "GnuTLS `gnutls-cli`",
        program: "",
        versions: &VERSIONS,
        prepare: "",
        // It sends nothing before it has resumed.
        visit: "(REQUEST; sleep 0.5) | gnutls-cli --x509cafile ca.crt --x509certfile client.crt \
                --x509keyfile client.key --sni-hostname x.test --verify-hostname x.test -p $port 127.0.0.1 \
                --resume --waitresumption --priority NORMAL:-VERS-ALL:+VERS-TLS$version > /dev/null",
        resumes: &VERSIONS,
    },
    Client {
        name: "NSS `tstclnt` and `strsclnt`",
        program: "",
        versions: &VERSIONS,
        prepare: "mkdir db; certutil -N -d sql:db --empty-password; certutil -A -d sql:db -n ca -t CT,, \
                  -i ca.crt; pk12util -d sql:db -i client.p12 -W secret > /dev/null",
        // The first comes once, and goes on when the other side has ended. The second comes again, with a
        // request of its own; with one from a file (`-f`) it hangs before it has sent it.
        visit: "(REQUEST; sleep 0.5) | timeout 2 tstclnt -h 127.0.0.1 -p $port -d sql:db -a x.test \
                -V tls$version:tls$version -n client > /dev/null 2>&1 || true; \
                timeout 60 strsclnt -p $port -d sql:db -n client -c 3 -t 1 -u -q -a x.test \
                -V tls$version:tls$version 127.0.0.1 > /dev/null 2>&1",
        resumes: &VERSIONS,
    },
    Client {
        name: "mbedTLS",
        program: "",
        // The 2.28 of Debian has no other.
        versions: &["1.2"],
        prepare: "gcc -O1 -o mbedtls $sources/mbedtls.c -lmbedtls -lmbedx509 -lmbedcrypto",
        visit: "./mbedtls OURS yes",
        resumes: &VERSIONS,
    },
    Client {
        name: "wolfSSL",
        program: "",
        versions: &VERSIONS,
        prepare: "gcc -O1 -o wolfssl $sources/wolfssl.c -lwolfssl",
        visit: "./wolfssl OURS yes",
        resumes: &VERSIONS,
    },
    Client {
        name: "Go `net/http`",
        program: "go",
        versions: &VERSIONS,
        prepare: "GOFLAGS=-mod=mod GOCACHE=$PWD/go-cache go build -o visit-go $sources/visit.go",
        visit: "./visit-go OURS",
        resumes: &VERSIONS,
    },
    Client {
        name: "Java `SSLSocket`",
        program: "java",
        versions: &VERSIONS,
        prepare: "",
        visit: "java $sources/Visit.java $port $version client.p12 /big",
        resumes: &VERSIONS,
    },
    Client {
        name: "Node `https`",
        program: "node",
        versions: &VERSIONS,
        prepare: "",
        visit: "node $sources/visit.js OURS",
        resumes: &VERSIONS,
    },
];

fn large() -> Script {
    Arc::new(|client| {
        let body = "x".repeat(BYTES);
        while client.request().is_some() && client.answer(body.as_bytes()) {}
    })
}

fn is_installed(program: &str) -> bool {
    let mut command = Command::new("sh");
    let command = command.arg("-c").arg(format!("command -v {program}")).stdout(Stdio::null());
    program.is_empty() || command.status().expect("a shell").success()
}

fn start(dir: &Path, driver: Driver, upstream: &Upstream) -> Gateway {
    let authority = Authority::new("ca");
    fs::write(dir.join("ca.crt"), &authority.cert_pem).expect("a writable directory");
    authority.server(&["x.test"]).write(dir, "server");
    authority.client("client").write(dir, "client");
    shell(
        dir,
        "openssl pkcs12 -export -in client.crt -inkey client.key -certfile ca.crt -name client \
         -passout pass:secret -out client.p12",
    );
    let setup = Setup::new(dir, driver, CONFIG).set("upstream", &upstream.port);
    setup.log_line(ACCESS).start()
}

/// Runs one client; the lines that its visits left in the access log.
fn visit(dir: &Path, gateway: &Gateway, client: &Client, version: &str) -> Vec<String> {
    let log = dir.join("access.log");
    let lines = || -> Vec<String> {
        let text = fs::read_to_string(&log).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let before = lines().len();
    let port = gateway.port("front");
    let sources = source_dir().join("tests/clients");
    let words = client.visit.replace("OURS", OURS).replace("REQUEST", REQUEST);
    let told = shell(
        dir,
        &format!("port={port}; version={version}; sources={}; {words}", sources.display()),
    );
    let resumed = |line: &String| line.ends_with(" r");
    // A line of the visit before can come late.
    let ours = format!("TLSv{version} ");
    let done = || {
        let mut new = lines().split_off(before);
        new.retain(|line| line.starts_with(&ours));
        let whole = !client.resumes.contains(&version) || new.iter().any(resumed);
        (whole && !new.is_empty()).then_some(new)
    };
    let found = poll(PATIENCE, done);
    assert!(found.is_some(), "{} {version}: {told}\n{}", client.name, gateway.log());
    found.unwrap_or_default()
}

fn table(driver: Driver) {
    let scratch = scratch();
    let dir = scratch.path();
    let upstream = Upstream::plain(large());
    let gateway = start(dir, driver, &upstream);
    println!("| client | TLS | whole answers | resumed |\n| --- | --- | --: | --- |");
    for client in CLIENTS.iter().filter(|client| is_installed(client.program)) {
        let sources = source_dir().join("tests/clients");
        shell(dir, &format!("sources={}; {}", sources.display(), client.prepare));
        for version in client.versions {
            let lines = visit(dir, &gateway, client, version);
            for line in &lines {
                let whole = format!("TLSv{version} 200 {BYTES} ");
                assert!(line.starts_with(&whole), "{} {version}: {lines:?}", client.name);
            }
            let resumed = lines.iter().any(|line| line.ends_with(" r"));
            let how = if resumed { "yes" } else { "not tried" };
            println!("| {} | {version} | {} | {how} |", client.name, lines.len());
        }
    }
}

#[test]
fn clients_of_other_people_are_served_on_io_uring() {
    table(Driver::IoUring);
}

#[test]
fn clients_of_other_people_are_served_on_epoll() {
    table(Driver::Epoll);
}

/// An authority and certificates of both kinds as Mozilla's profile wants them.
const PROFILE: &str = r#"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt \
  -subj /O=test/CN=ca -days 300 -addext keyUsage=critical,keyCertSign 2> /dev/null
echo 'subjectAltName=DNS:x.test' > ext
echo 'extendedKeyUsage=serverAuth' >> ext
echo 'authorityKeyIdentifier=keyid' >> ext
for kind in 'ec -pkeyopt ec_paramgen_curve:P-256' rsa:2048; do
  name=${kind%%[: ]*}
  openssl req -newkey $kind -nodes -keyout $name.key -out $name.csr -subj /CN=x.test 2> /dev/null
  openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out $name.crt -days 90 \
    -extfile ext 2> /dev/null
done
"#;

/// `FERRULE_SSLYZE` names the program, if it is not on the path.
#[test]
#[ignore = "wants sslyze (pip install sslyze) and half a minute"]
fn sslyze_finds_the_intermediate_profile_kept() {
    let scratch = scratch();
    let dir = scratch.path();
    if shell(dir, "command -v ${FERRULE_SSLYZE:-sslyze} || true").is_empty() {
        println!("left out: no sslyze");
        return;
    }
    shell(dir, PROFILE);
    for kind in ["ec", "rsa"] {
        let text = CONFIG
            .replace("server.", &format!("{kind}."))
            .replace("client.ca = \"ca.crt\"\n", "")
            .replace("tls = true\n", "tls = true\nfallback_sni = \"x.test\"\n");
        let setup = Setup::new(dir, Driver::IoUring, &text).named(kind).set("upstream", &9);
        let gateway = setup.start();
        let told = shell(
            dir,
            &format!(
                "${{FERRULE_SSLYZE:-sslyze}} --mozilla_config=intermediate --certinfo_ca_file ca.crt \
                 --sni x.test 127.0.0.1:{} || true",
                gateway.port("front")
            ),
        );
        assert!(told.contains("OK - Compliant"), "{kind}: {told}");
    }
}
