//! What every peer meets: certificates, the upstream, the load generator, and who runs on which core.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use ferrule_tools::nginx::{Nginx, Shape};
use ferrule_tools::pki::Authority;
use ferrule_tools::process::{build_dir, free_port, shell, source_dir};

/// The server name of the proxy.
pub(crate) const NAME: &str = "compare.test";

/// Set once, used by all.
pub(crate) struct Stage {
    dir: tempfile::TempDir,
    /// The upstream's TLS port; it requires the proxy's certificate.
    pub(crate) tls_port: u16,
    /// The upstream's plain port.
    pub(crate) plain_port: u16,
    /// The preload library that gives wrk a certificate.
    pub(crate) preload: PathBuf,
    /// Cores for the load.
    pub(crate) load_cores: String,
    /// How many threads of load.
    pub(crate) load_threads: usize,
    /// Who runs where, in words.
    pub(crate) cores: String,
    _upstream: Nginx,
}

impl Stage {
    /// Makes the certificates, starts the upstream, builds the preload library.
    pub(crate) fn set() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        certificates(dir.path());
        let preload = preload(dir.path());
        let count = thread::available_parallelism().map_or(1, usize::from);
        let (load_cores, load_threads) = match count {
            0..=2 => (String::from("1"), 1),
            3 => (String::from("2"), 1),
            _ => (format!("2-{}", count - 1), count - 2),
        };
        let upstream_core = if count < 2 { "0" } else { "1" };
        let cores = format!(
            "cores: {count}; proxy on 0, upstream on {upstream_core}, load on {load_cores} ({})",
            if count < 3 { "upstream and load SHARE a core" } else { "none shared" }
        );
        let (tls_port, plain_port) = (free_port(), free_port());
        let launcher = ["taskset", "-c", upstream_core];
        let http = upstream(dir.path(), tls_port, plain_port);
        let upstream =
            Nginx::start_under(&launcher, dir.path(), tls_port, &http, Shape::MasterAndWorker);
        let _upstream = upstream;
        Self { dir, tls_port, plain_port, preload, load_cores, load_threads, cores, _upstream }
    }

    /// Where the certificates are.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

fn certificates(dir: &Path) {
    let clients = Authority::new("Clients CA");
    let upstreams = Authority::new("Upstream CA");
    clients.server(&[NAME]).write(dir, "front");
    clients.client("load").write(dir, "client");
    upstreams.server(&["upstream.test"]).write(dir, "upstream");
    upstreams.client("proxy").write(dir, "proxy");
    for (name, text) in
        [("clients-ca.crt", &clients.cert_pem), ("upstream-ca.crt", &upstreams.cert_pem)]
    {
        fs::write(dir.join(name), text).expect("a writable directory");
    }
}

fn upstream(dir: &Path, tls_port: u16, plain_port: u16) -> String {
    let at = dir.display();
    let places = "location /small { return 200 \"ok\"; }\n\
                  location /proof { return 200 \"$ssl_client_verify|$ssl_client_s_dn|\
                  $http_x_client_fingerprint|$http_x_client_serial|$http_x_client_subject\"; }";
    format!(
        "server {{\nlisten 127.0.0.1:{tls_port} ssl backlog=4096;\nssl_protocols TLSv1.3;\n\
         ssl_certificate {at}/upstream.crt;\nssl_certificate_key {at}/upstream.key;\n\
         ssl_client_certificate {at}/upstream-ca.crt;\nssl_verify_client on;\n{places}\n}}\n\
         server {{\nlisten 127.0.0.1:{plain_port} backlog=4096;\n{places}\n}}"
    )
}

fn preload(dir: &Path) -> PathBuf {
    let source = source_dir().join("tools/preload/wrk_mtls.c");
    let library = build_dir().join("wrk_mtls.so");
    shell(
        dir,
        &format!(
            "gcc -O2 -shared -fPIC -o {} {} -lssl -lcrypto -ldl",
            library.display(),
            source.display()
        ),
    );
    library
}
