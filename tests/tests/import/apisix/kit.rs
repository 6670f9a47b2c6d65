//! One configuration that was moved: its certificates, the gateway that came of it, and curl in front of it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ferrule_tests::{Authority, Driver, Gateway, Setup, Upstream, echo, free_port, scratch, shell};
use ferrule_tools::process::ferrule_binary;

/// A folder with the certificates that the configurations name.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    pub(crate) authority: Authority,
    plain: u16,
    tls: u16,
    /// Answers every request with its own head.
    pub(crate) upstream: Upstream,
}

/// What runs.
pub(crate) struct Moved {
    pub(crate) home: Home,
    /// What the import said.
    pub(crate) report: String,
    _gateway: Gateway,
}

/// What curl got.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = scratch();
        let authority = Authority::new("clients of the move");
        let server = authority.server(&["api.test", "*.api.test", "open.test"]);
        server.write(dir.path(), "server");
        fs::write(dir.path().join("ca.pem"), &authority.cert_pem).expect("a writable directory");
        authority.client("ops").write(dir.path(), "ops");
        let stranger = Authority::new("nobody knows it");
        stranger.client("ops").write(dir.path(), "stranger");
        let (plain, tls) = (free_port(), free_port());
        Self { dir, authority, plain, tls, upstream: Upstream::plain(echo()) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A PEM file as a YAML text: `"-----BEGIN ...\n..."`.
    pub(crate) fn pem(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path().join(name)).expect("a file of ours");
        format!("\"{}\"", text.replace('\n', "\\n"))
    }

    /// Fills in `@upstream@`, `@cert@`, `@key@` and `@ca@`.
    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("@upstream@", &format!("127.0.0.1:{}", self.upstream.port))
            .replace("@upstream_port@", &self.upstream.port.to_string())
            .replace("@cert@", &self.pem("server.crt"))
            .replace("@key@", &self.pem("server.key"))
            .replace("@ca@", &self.pem("ca.pem"))
    }

    /// Runs the import.
    pub(crate) fn import(&self, text: &str, settings: &str, arguments: &[&str]) -> Output {
        let source = self.path().join("source");
        fs::write(&source, self.fill(text)).expect("a writable directory");
        let config = self.path().join("config.yaml");
        let (plain, tls) = (self.plain, self.tls);
        let listen = format!(
            "apisix:\n  node_listen: [{{ip: 127.0.0.1, port: {plain}}}]\n  ssl: {{listen: [{{ip: 127.0.0.1, port: \
             {tls}}}]}}\n{settings}"
        );
        fs::write(&config, listen).expect("a writable directory");
        let mut import = Command::new(ferrule_binary());
        import.args(["import", "apisix"]).arg(&source).arg("--config").arg(&config);
        import.arg("-o").arg(self.path().join("moved")).args(arguments);
        import.output().expect("ferrule")
    }

    /// Imports and starts a configuration; it must end with this exit code.
    pub(crate) fn start(self, driver: Driver, text: &str, settings: &str, code: i32) -> Moved {
        let done = self.import(text, settings, &[]);
        let report = said(&done);
        assert_eq!(done.status.code(), Some(code), "{report}");
        let folder = self.path().join("moved");
        let made = fs::read_to_string(folder.join("ferrule.toml")).expect("what was made");
        let gateway = Setup::new(&folder, driver, &made).named("started").start();
        Moved { home: self, report, _gateway: gateway }
    }
}

impl Moved {
    /// Asks over plain HTTP.
    pub(crate) fn plain(&self, words: &str, path: &str) -> Answer {
        let port = self.home.plain;
        self.curl(&format!("{words} http://127.0.0.1:{port}{path}"))
    }

    /// Asks a server name over TLS, with the certificate of this name if it is not empty.
    pub(crate) fn tls(&self, client: &str, host: &str, words: &str, path: &str) -> Answer {
        let port = self.home.tls;
        let certificate = match client {
            "" => String::new(),
            name => format!("--cert {name}.crt --key {name}.key"),
        };
        self.curl(&format!(
            "--cacert ca.pem {certificate} --resolve {host}:{port}:127.0.0.1 {words} https://{host}:{port}{path}"
        ))
    }

    fn curl(&self, words: &str) -> Answer {
        let dir = self.home.path();
        let text = shell(
            dir,
            &format!("curl --silent --show-error --max-time 10 --noproxy '*' -i {words}"),
        );
        let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
        let status = head.split(' ').nth(1).unwrap_or_default().trim().to_owned();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }
}

impl Answer {
    /// The value of a field in the head that the upstream saw.
    pub(crate) fn seen(&self, name: &str) -> Option<&str> {
        self.body.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn assert(&self, status: &str) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// All that a command wrote.
pub(crate) fn said(done: &Output) -> String {
    String::from_utf8_lossy(&[done.stdout.as_slice(), done.stderr.as_slice()].concat()).into_owned()
}
