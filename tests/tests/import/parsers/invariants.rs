//! What holds of an import, whatever bytes it is made from: it ends, says where it stands, and its size is bounded by
//! that of its source.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ferrule_import::apisix::{self, Options};
use ferrule_import::haproxy::{self, HaproxyOptions};
use ferrule_import::ingress::{self, ManifestFile};
use ferrule_import::nginx::{self, Files, NginxOptions};
use ferrule_import::{Import, Outcome};

/// A certificate that nothing verifies, and what looks like its key.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
MIIBeTCCAR+gAwIBAgIUQecEpNpJ6+aq9y8Wkl8CPbLIOEcwCgYIKoZIzj0EAwIw\n\
ETEPMA0GA1UEAwwGYS50ZXN0MCAXDTI2MTEzMDAyMzkwNVoYDzIxMjYxMTA2MDIz\n\
OTA1WjARMQ8wDQYDVQQDDAZhLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n\
AARep8SlgyLOVWlYrGBLDBb85mtOLPSFT9UMDHu2XR4pmBuMz/y8Yaabgmfi4TpK\n\
6rQTNpN8Zmx6JZqKrrybN5Smo1MwUTAdBgNVHQ4EFgQUynmRizrmP+IsuKtX1NhN\n\
3xQT0cwwHwYDVR0jBBgwFoAUynmRizrmP+IsuKtX1NhN3xQT0cwwDwYDVR0TAQH/\n\
BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBPYCST4R6U8f4YGuCG20AD8H/z3e+h\n\
/dXMSTfERQTU/wIhANjHVUq28rKCRp9UPJxvmYDIHRGXe0/g9a/CYKQyNhGl\n\
-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";

/// What an import may take of a source with so many bytes.
const fn most(bytes: usize) -> usize {
    (1 << 20) + 4096 * bytes
}

fn holds(made: &Import, bytes: usize) {
    let is_refused = made.report.outcome() == Outcome::Refused;
    assert_eq!(is_refused, made.configuration.is_empty(), "{}", made.report.text());
    assert!(made.configuration.len() <= most(bytes), "{} bytes", made.configuration.len());
    assert!(made.report.findings.len() <= 1000 + 64 * bytes, "{}", made.report.findings.len());
    for finding in &made.report.findings {
        // A line has a byte at least, but for the last.
        assert!(finding.spot.line <= bytes + 1, "{}", made.report.text());
    }
}

/// The pieces of a source between bytes of 0: the first is the file, and the others are what it may include.
struct Pieces<'b>(Vec<&'b [u8]>);

impl Files for Pieces<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let piece = name.parse::<usize>().ok().and_then(|number| self.0.get(number));
        piece.map(|piece| piece.to_vec()).ok_or_else(|| String::from("it is not there"))
    }

    fn names(&self, _: &Path) -> Vec<String> {
        (1..self.0.len()).map(|number| number.to_string()).collect()
    }
}

/// `nginx.conf`, and what it includes.
pub(crate) fn import_nginx(bytes: &[u8]) {
    let pieces = Pieces(bytes.split(|byte| *byte == 0).collect());
    for skips_files in [false, true] {
        let options = NginxOptions {
            source: String::from("nginx.conf"),
            path: PathBuf::from("/etc/nginx/0"),
            prefix: None,
            skips_files,
        };
        let main = pieces.0.first().copied().unwrap_or_default();
        // A pattern may include each piece once, and each of those the others: up to 16 deep and 64 MiB.
        let made = nginx::convert(main, &options, &pieces);
        if pieces.0.len() == 1 {
            holds(&made, bytes.len());
        }
    }
}

/// `haproxy.cfg`, in a folder with the certificate `a.pem`.
pub(crate) fn import_haproxy(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let options = HaproxyOptions { source: String::from("haproxy.cfg"), base: folder().to_owned() };
    holds(&haproxy::convert(&text, &options, &|_| None), text.len());
}

/// `apisix.yaml`.
pub(crate) fn import_apisix(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for drop_invalid in [false, true] {
        let options =
            Options { source: String::from("apisix.yaml"), drop_invalid, ..Options::default() };
        let made = apisix::convert(&text, &options, &|_| None);
        // An alias stands for what it names.
        holds(&made, text.len() * text.len().min(1024));
    }
}

/// Dumps of the admin API and files of ADC, in JSON.
pub(crate) fn import_dump(bytes: &[u8]) {
    let text = format!("{{{}", String::from_utf8_lossy(bytes));
    let options = Options { source: String::from("dump.json"), ..Options::default() };
    holds(&apisix::convert(&text, &options, &|_| None), text.len());
}

/// Objects of Kubernetes.
pub(crate) fn import_ingress(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let most = text.len() * text.len().min(1024);
    let file = ManifestFile { name: String::from("ingress.yaml"), text };
    holds(&ingress::convert(&[file], &|_| None), most);
}

/// A `crt-list` of HAProxy's.
pub(crate) fn import_crt_list(bytes: &[u8]) {
    let list = folder().join(format!("{:?}.txt", std::thread::current().id()));
    assert!(std::fs::write(&list, bytes).is_ok(), "a file of ours");
    let text = format!(
        "defaults\n mode http\nfrontend f\n bind :443 ssl crt-list '{}'\n default_backend b\nbackend b\n server s 127.0.0.1:9\n",
        list.display()
    );
    let options = HaproxyOptions { source: String::from("haproxy.cfg"), base: folder().to_owned() };
    holds(&haproxy::convert(&text, &options, &|_| None), text.len() + bytes.len());
}

/// A folder of this process, with a certificate in it.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let around = option_env!("CARGO_TARGET_TMPDIR").map(PathBuf::from);
        let around = around.unwrap_or_else(std::env::temp_dir);
        let folder = around.join(format!("ferrule-import-{}", std::process::id()));
        let made = std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(folder.join("a.pem"), CERTIFICATE));
        assert!(made.is_ok(), "a folder of ours");
        folder
    })
}
