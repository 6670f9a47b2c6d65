//! One nginx and two gateways that do the same job: the same names, anchors, depths and modes, in
//! front of the same upstream.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ferrule_tests::zoo::{Herd, Zoo};
use ferrule_tests::{
    Authority, Driver, Gateway, Nginx, PATIENCE, Setup, Shape, Upstream, echo, free_port, guides,
    poll, shell,
};

/// Every variable that nginx has and a header can hold.
pub(crate) const VARIABLES: [&str; 20] = [
    "ssl_client_verify",
    "ssl_client_fingerprint",
    "ssl_client_serial",
    "ssl_client_s_dn",
    "ssl_client_i_dn",
    "ssl_client_s_dn_legacy",
    "ssl_client_i_dn_legacy",
    "ssl_client_v_start",
    "ssl_client_v_end",
    "ssl_client_v_remain",
    "ssl_client_escaped_cert",
    "ssl_protocol",
    "ssl_cipher",
    "ssl_ciphers",
    "ssl_curve",
    "ssl_curves",
    "ssl_server_name",
    "ssl_session_reused",
    "ssl_alpn_protocol",
    "ssl_early_data",
];

/// What only logs may hold.
pub(crate) const LOGGED: [&str; 2] = ["ssl_client_cert", "ssl_client_raw_cert"];

/// How a certificate is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// `on`
    Required,
    /// `optional_no_ca`
    Asked,
}

/// A set of anchors, with a name for every mode and depth it is used with.
pub(crate) struct AnchorSet {
    name: &'static str,
    bundle: PathBuf,
    server: &'static str,
    depths: u32,
    lists: Option<PathBuf>,
}

/// Who answers.
pub(crate) struct Side {
    /// In messages.
    pub(crate) name: String,
    /// On 127.0.0.1.
    pub(crate) port: u16,
    log: PathBuf,
}

/// All of it. Ends with the value.
pub(crate) struct Stage {
    /// nginx.
    pub(crate) reference: Side,
    /// Ferrule, on each driver.
    pub(crate) ours: Vec<Side>,
    nginx: Nginx,
    gateways: Vec<Gateway>,
    _upstream: Upstream,
}

impl Mode {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Required, Self::Asked];

    const fn word(self) -> &'static str {
        match self {
            Self::Required => "on",
            Self::Asked => "optional_no_ca",
        }
    }
}

/// The server name for these settings.
pub(crate) fn host(set: &str, mode: Mode, depth: u32) -> String {
    let mode = if mode == Mode::Required { "on" } else { "asked" };
    format!("{mode}-{depth}.{set}.test")
}

fn sets(dir: &Path, zoo: &Zoo, herd: &Herd) -> Vec<AnchorSet> {
    let guide = |name: &'static str, server, version| {
        let dir = dir.join(name);
        fs::create_dir_all(&dir).expect("a writable directory");
        guides::client_mtls(&dir, version);
        AnchorSet { name, bundle: dir.join("ca.cer"), server, depths: 1, lists: None }
    };
    let set = |name, bundle: &PathBuf, depths, lists: Option<&PathBuf>| AnchorSet {
        name,
        bundle: bundle.clone(),
        server: "server",
        depths,
        lists: lists.cloned(),
    };
    vec![
        set("zoo", &zoo.bundle, 2, None),
        set("herd", &herd.bundle, 3, None),
        set("listed", &herd.listed, 1, Some(&herd.lists)),
        guide("guide-v1", "guide-v1/server", guides::Version::V1),
        guide("guide-v3", "guide-v1/server", guides::Version::V3),
    ]
}

impl AnchorSet {
    fn hosts(&self) -> impl Iterator<Item = (String, Mode, u32)> + '_ {
        (0..=self.depths)
            .flat_map(|depth| Mode::ALL.map(|mode| (host(self.name, mode, depth), mode, depth)))
    }

    /// The server's certificate and key.
    fn files(&self, dir: &Path) -> (PathBuf, PathBuf) {
        let end = if self.server.contains('/') { "cer" } else { "crt" };
        (dir.join(format!("{}.{end}", self.server)), dir.join(format!("{}.key", self.server)))
    }
}

impl Stage {
    /// Starts everything in `dir`.
    pub(crate) fn start(dir: &Path, zoo: &Zoo, herd: &Herd) -> Self {
        Authority::new("front").server(&["front.test"]).write(dir, "server");
        let sets = sets(dir, zoo, herd);
        let upstream = Upstream::plain(echo());
        let port = free_port();
        let log = dir.join("nginx-access.log");
        let text = nginx_text(dir, &sets, port, upstream.port);
        let nginx = Nginx::start(dir, port, &text, Shape::Single);
        let reference = Side { name: "nginx".to_owned(), port, log };
        let text = ferrule_text(dir, &sets);
        let gateways: Vec<Gateway> = [Driver::IoUring, Driver::Epoll]
            .into_iter()
            .map(|driver| {
                let name = format!("{driver}");
                let access =
                    format!("access = {{ path = \"{name}-access.log\", format = '{}' }}", line());
                Setup::new(dir, driver, &text)
                    .named(&name)
                    .log_line(&access)
                    .set("front", &free_port())
                    .set("upstream", &upstream.port)
                    .quiet()
                    .start()
            })
            .collect();
        let side = |(gateway, name): (&Gateway, &str)| Side {
            name: format!("ferrule on {name}"),
            port: gateway.port("front"),
            log: dir.join(format!("{name}-access.log")),
        };
        let ours = gateways.iter().zip(["io_uring", "epoll"]).map(side).collect();
        Self { reference, ours, nginx, gateways, _upstream: upstream }
    }

    /// What the programs themselves said.
    pub(crate) fn diagnostics(&self) -> String {
        let mut text = format!("nginx:\n{}", tail(&self.nginx.errors()));
        for gateway in &self.gateways {
            write!(text, "\nferrule:\n{}", tail(&gateway.log())).expect("a string");
        }
        text
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
}

impl Side {
    /// The log lines as field lists by request target; waits for so many whole ones.
    pub(crate) fn logged(&self, count: usize) -> Vec<(String, Vec<(String, String)>)> {
        let text = poll(PATIENCE, || {
            let text = fs::read(&self.log).ok()?;
            let text = String::from_utf8_lossy(&text).into_owned();
            (text.ends_with('\n') && text.lines().count() >= count).then_some(text)
        });
        let text = text.unwrap_or_else(|| panic!("{}: not {count} lines in the log", self.name));
        let fields = |line: &str| {
            let pairs = line.split("~~").filter_map(|part| part.split_once('='));
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
        };
        text.lines()
            .map(|line| {
                let fields = fields(line);
                let target = fields.iter().find(|(name, _)| name == "target");
                (target.map(|(_, value)| value.clone()).unwrap_or_default(), fields)
            })
            .collect()
    }
}

/// The access log format of both.
fn line() -> String {
    let mut line = String::from("target=$request_uri~~status=$status");
    for name in VARIABLES.iter().chain(&LOGGED) {
        write!(line, "~~{name}=${name}").expect("a string");
    }
    line + "~~"
}

/// The header that carries a variable.
pub(crate) fn header(variable: &str) -> String {
    format!("X-{}", variable.replace('_', "-"))
}

fn nginx_text(dir: &Path, sets: &[AnchorSet], port: u16, upstream: u16) -> String {
    // The zoo's weak keys are for nginx to judge, so its own security level stays.
    let mut text = format!(
        "ssl_protocols TLSv1.2 TLSv1.3;\nssl_ecdh_curve X25519:prime256v1:secp384r1;\n\
         log_format zoo '{}';\nlarge_client_header_buffers 4 64k;\n\
         upstream echo {{ server 127.0.0.1:{upstream}; keepalive 4; }}\n\
         proxy_http_version 1.1;\nproxy_set_header Connection \"\";\nproxy_set_header Host $host;\n\
         proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;\n",
        line()
    );
    for name in VARIABLES {
        writeln!(text, "proxy_set_header {} ${name};", header(name)).expect("a string");
    }
    for set in sets {
        let (cert, key) = set.files(dir);
        let crl = set.lists.as_ref();
        let crl = crl.map(|file| format!(" ssl_crl {};", file.display())).unwrap_or_default();
        for (host, mode, depth) in set.hosts() {
            writeln!(
                text,
                "server {{ listen 127.0.0.1:{port} ssl; server_name {host};\n\
                 access_log {}/nginx-access.log zoo;\n\
                 ssl_certificate {}; ssl_certificate_key {}; ssl_client_certificate {};\n\
                 ssl_verify_client {}; ssl_verify_depth {depth};{crl}\n\
                 location / {{ proxy_pass http://echo; }} }}",
                dir.display(),
                cert.display(),
                key.display(),
                set.bundle.display(),
                mode.word(),
            )
            .expect("a string");
        }
    }
    text
}

fn ferrule_text(dir: &Path, sets: &[AnchorSet]) -> String {
    let mut text = String::from("[identity_headers]\n");
    for name in VARIABLES {
        writeln!(text, "{} = \"${name}\"", header(name)).expect("a string");
    }
    text.push_str(
        "\n[[listen]]\naddress = \"127.0.0.1:@front@\"\ntls = true\n\
         \n[[routes]]\nuri = \"/*\"\nupstream.nodes = { \"127.0.0.1:@upstream@\" = 1 }\n",
    );
    for set in sets {
        let (cert, key) = set.files(dir);
        let crl = set.lists.as_ref();
        let crl = crl.map(|file| format!(", crl = \"{}\"", file.display())).unwrap_or_default();
        for (host, mode, depth) in set.hosts() {
            writeln!(
                text,
                "\n[[ssls]]\nsni = \"{host}\"\ncert = \"{}\"\nkey = \"{}\"\n\
                 client = {{ ca = \"{}\", verify = \"{}\", depth = {depth}{crl} }}",
                cert.display(),
                key.display(),
                set.bundle.display(),
                mode.word(),
            )
            .expect("a string");
        }
    }
    text
}

/// Settings of an OpenSSL client that shows weak certificates too: whether they are taken is for the
/// server to say.
pub(crate) fn lenient_openssl(dir: &Path) -> PathBuf {
    let file = dir.join("client.cnf");
    let text = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n\
                [c]\nCipherString = DEFAULT:@SECLEVEL=0\n";
    fs::write(&file, text).expect("a writable directory");
    file
}

/// OpenSSL's version, for the table.
pub(crate) fn openssl_version(dir: &Path) -> String {
    shell(dir, "openssl version").trim().to_owned()
}
