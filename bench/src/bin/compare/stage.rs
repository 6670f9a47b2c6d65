//! What every peer meets: certificates, the upstream, the load generators, and who runs on which core.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use ferrule_tools::nginx::{Nginx, Shape};
use ferrule_tools::pki::Authority;
use ferrule_tools::process::{build_dir, free_port, shell, source_dir};

use crate::case::{Keys, LARGE_BYTES, Tls};
use crate::watch::family;

/// The server name of the proxy.
pub(crate) const NAME: &str = "compare.test";

/// The suites everybody is made to use, so that none gets by with a shorter key.
pub(crate) const SUITE_13: &str = "TLS_AES_256_GCM_SHA384";
/// The same for TLS 1.2, by the kind of key.
pub(crate) const SUITES_12: &str = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

/// Who runs on which core.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The proxy's, as `taskset -c` takes them.
    pub(crate) proxy: String,
    /// The upstream's.
    pub(crate) upstream: String,
    /// The load's.
    pub(crate) load: String,
    /// How many threads of load.
    pub(crate) threads: usize,
    /// Must the proxy share its cores?
    pub(crate) shared: bool,
}

impl Layout {
    /// One core for the proxy, another for the upstream, the rest for the load.
    pub(crate) fn single(count: usize) -> Self {
        let (upstream, load, threads) = match count {
            0 | 1 => ("0", String::from("0"), 1),
            2 => ("1", String::from("1"), 1),
            3 => ("1", String::from("2"), 1),
            _ => ("1", format!("2-{}", count - 1), count - 2),
        };
        Self {
            proxy: String::from("0"),
            upstream: upstream.to_owned(),
            load,
            threads,
            shared: count < 2,
        }
    }

    /// Several cores for the proxy. Upstream and load have the same cores for every number of workers
    /// that fits beside them.
    pub(crate) fn several(count: usize, workers: usize) -> Option<Self> {
        let fits = match count {
            0..=3 => return None,
            4 | 5 => 2,
            _ => 4,
        };
        Some(Self {
            proxy: format!("0-{}", workers - 1),
            upstream: fits.to_string(),
            load: format!("{}-{}", fits + 1, count - 1),
            threads: count - fits - 1,
            shared: workers > fits,
        })
    }

    /// In words, for the report.
    pub(crate) fn words(&self, count: usize) -> String {
        format!(
            "cores: {count}; proxy on {}, upstream on {}, load on {} ({})",
            self.proxy,
            self.upstream,
            self.load,
            if self.upstream == self.load {
                "upstream and load SHARE a core"
            } else {
                "none shared"
            }
        )
    }
}

/// How many cores there are.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Set once, used by all.
pub(crate) struct Stage {
    dir: tempfile::TempDir,
    /// The upstream's TLS port; it requires the proxy's certificate.
    pub(crate) tls_port: u16,
    /// The same with a certificate of an authority nobody trusts.
    pub(crate) impostor_port: u16,
    /// The upstream's plain port.
    pub(crate) plain_port: u16,
    /// The preload library that gives wrk a certificate.
    pub(crate) preload: PathBuf,
    /// Where Envoy is, if it is anywhere.
    pub(crate) envoy: Option<PathBuf>,
    /// Another build of Ferrule.
    pub(crate) other: Option<PathBuf>,
    upstream: Nginx,
}

impl Stage {
    /// Makes the certificates, and starts the upstream.
    pub(crate) fn set(envoy: Option<PathBuf>, other: Option<PathBuf>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        certificates(dir.path());
        fs::create_dir(dir.path().join("www")).expect("a writable directory");
        fs::write(dir.path().join("www/large"), vec![b'x'; LARGE_BYTES]).expect("a megabyte");
        let ports = [free_port(), free_port(), free_port()];
        let [tls_port, impostor_port, plain_port] = ports;
        let http = upstream(dir.path(), ports);
        let launcher = launcher(&Layout::single(cores()).upstream);
        let words: Vec<&str> = launcher.iter().map(String::as_str).collect();
        let shape = Shape::MasterAndWorker;
        let upstream = Nginx::start_under(&words, dir.path(), tls_port, &http, shape);
        let preload = build_dir().join("wrk_mtls.so");
        Self { dir, tls_port, impostor_port, plain_port, preload, envoy, other, upstream }
    }

    /// Builds the preload library.
    pub(crate) fn build_preload(&self) {
        let source = source_dir().join("tools/preload/wrk_mtls.c");
        let (library, source) = (self.preload.display(), source.display());
        shell(
            self.dir(),
            &format!("cc -O2 -shared -fPIC -o {library} {source} -lssl -lcrypto -ldl"),
        );
    }

    /// Moves the upstream to the core that this layout gives it.
    pub(crate) fn arrange(&self, layout: &Layout) {
        for id in family(self.upstream.process.id()) {
            shell(self.dir(), &format!("taskset -apc {} {id}", layout.upstream));
        }
    }

    /// Where the certificates are.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The port behind the proxy.
    pub(crate) const fn upstream_port(&self, tls: Tls) -> u16 {
        match tls {
            Tls::Off => self.plain_port,
            Tls::V12 | Tls::V13 => self.tls_port,
        }
    }
}

/// Runs what follows on these cores, and ends it when we end, in whatever way.
pub(crate) fn launcher(cores: &str) -> Vec<String> {
    ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", cores].map(String::from).to_vec()
}

/// The names of certificate files, by kind of key.
pub(crate) const fn files(keys: Keys) -> Files {
    match keys {
        Keys::P256 => Files { front: "front", client: "client", ca: "clients-ca" },
        Keys::Rsa => Files { front: "front-rsa", client: "client-rsa", ca: "clients-ca-rsa" },
    }
}

/// Names of files without their endings.
pub(crate) struct Files {
    /// The proxy's certificate.
    pub(crate) front: &'static str,
    /// The client's.
    pub(crate) client: &'static str,
    /// Who signed both.
    pub(crate) ca: &'static str,
}

/// Is this program on the path?
pub(crate) fn is_there(program: &str) -> bool {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("command -v {program} || test -x /usr/sbin/{program}")]);
    command.stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn certificates(dir: &Path) {
    let clients = Authority::new("Clients CA");
    let upstreams = Authority::new("Upstream CA");
    let others = Authority::new("Upstream CA");
    clients.server(&[NAME]).write(dir, "front");
    clients.client("load").write(dir, "client");
    others.client("load").write(dir, "stranger");
    upstreams.server(&["upstream.test"]).write(dir, "upstream");
    others.server(&["upstream.test"]).write(dir, "impostor");
    upstreams.client("proxy").write(dir, "proxy");
    for (name, text) in
        [("clients-ca.crt", &clients.cert_pem), ("upstream-ca.crt", &upstreams.cert_pem)]
    {
        fs::write(dir.join(name), text).expect("a writable directory");
    }
    rsa(dir);
}

/// ring makes no RSA keys; openssl does.
fn rsa(dir: &Path) {
    shell(
        dir,
        &format!(
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout clients-ca-rsa.key \
             -out clients-ca-rsa.crt -days 30 -subj '/CN=Clients CA RSA' 2>&1\n\
             leaf() {{ openssl req -newkey rsa:2048 -nodes -keyout $1.key -out $1.csr -subj /CN=$2 2>&1\n\
             openssl x509 -req -in $1.csr -CA clients-ca-rsa.crt -CAkey clients-ca-rsa.key -CAcreateserial \
             -days 30 -out $1.crt -extfile <(printf 'subjectAltName=DNS:%s\\nextendedKeyUsage=%s' $2 $3) 2>&1\n}}\n\
             leaf front-rsa {NAME} serverAuth\nleaf client-rsa load clientAuth"
        ),
    );
    for name in ["front", "front-rsa", "proxy"] {
        let text = ["crt", "key"].map(|end| {
            fs::read_to_string(dir.join(format!("{name}.{end}"))).expect("what was just written")
        });
        // HAProxy wants both in one file.
        fs::write(dir.join(format!("{name}.pem")), text.concat()).expect("a writable directory");
    }
}

fn upstream(dir: &Path, ports: [u16; 3]) -> String {
    let [tls_port, impostor_port, plain_port] = ports;
    let at = dir.display();
    // An upload is read to its end before it is answered, as an application would; `return` answers at once.
    let places = format!(
        "location /small {{ return 200 \"ok\"; }}\n\
         location /large {{ root {at}/www; output_buffers 2 256k; }}\n\
         location /upload {{ client_max_body_size 8m; client_body_buffer_size 512k;\n\
         proxy_pass http://self/small; proxy_method GET; proxy_pass_request_body off;\n\
         proxy_set_header Content-Length \"\"; proxy_set_header Connection \"\"; proxy_http_version 1.1; }}\n\
         location /proof {{ return 200 \"$ssl_client_verify|$ssl_client_s_dn|\
         $http_x_client_fingerprint|$http_x_client_serial|$http_x_client_subject\"; }}"
    );
    let secure = |port: u16, name: &str| {
        format!(
            "server {{\nlisten 127.0.0.1:{port} ssl backlog=4096;\nssl_protocols TLSv1.2 TLSv1.3;\n\
             ssl_ciphers {SUITES_12};\nssl_conf_command Ciphersuites {SUITE_13};\n\
             ssl_certificate {at}/{name}.crt;\nssl_certificate_key {at}/{name}.key;\n\
             ssl_client_certificate {at}/upstream-ca.crt;\nssl_verify_client on;\n{places}\n}}\n"
        )
    };
    format!(
        "keepalive_timeout 1h;\nupstream self {{ server 127.0.0.1:{plain_port}; keepalive 64; }}\n\
         {}{}server {{\nlisten 127.0.0.1:{plain_port} backlog=4096;\n{places}\n}}",
        secure(tls_port, "upstream"),
        secure(impostor_port, "impostor")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_shares_the_proxies_core_where_there_are_two() {
        let two = Layout::single(2);
        assert_eq!((two.proxy.as_str(), two.upstream.as_str(), two.load.as_str()), ("0", "1", "1"));
        assert!(two.words(2).contains("SHARE"));
        let four = Layout::single(4);
        assert_eq!((four.upstream.as_str(), four.load.as_str(), four.threads), ("1", "2-3", 2));
        assert!(!four.words(4).contains("SHARE"));
    }

    #[test]
    fn several_cores_need_some_beside_them() {
        assert!(Layout::several(3, 2).is_none());
        let two = Layout::several(4, 2).unwrap();
        assert_eq!((two.proxy.as_str(), two.upstream.as_str(), two.shared), ("0-1", "2", false));
        assert!(Layout::several(4, 4).unwrap().shared);
        let four = Layout::several(8, 4).unwrap();
        assert_eq!((four.upstream.as_str(), four.load.as_str()), ("4", "5-7"));
        assert!(!four.shared);
    }
}
