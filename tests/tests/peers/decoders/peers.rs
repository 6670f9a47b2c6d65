//! The decoders: servers that answer `ADMIN` for a path that they take for one below `/admin`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ferrule_tests::{Client, Nginx, Shape, Upstream, free_port, shell};
use ferrule_tools::process::{Process, source_dir};

/// A running one.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    _running: Running,
}

#[expect(dead_code, reason = "held so that it runs")]
enum Running {
    Process(Process),
    Nginx(Nginx),
    Model(Upstream),
}

/// Everybody who is here; without gunicorn, nginx and Node it panics.
pub(crate) fn start(dir: &Path) -> Vec<Peer> {
    let top = source_dir();
    shell(&top, "tests/decoders/install");
    let here = top.join("tests/decoders");
    let mut peers = vec![gunicorn(dir, &top), nginx(dir), servlet_model()];
    for name in ["url", "early", "merged"] {
        let port = free_port();
        let mut command = Command::new("node");
        command.arg(here.join("server.js")).arg(port.to_string()).arg(name);
        peers.push(process(dir, name, port, command));
    }
    peers.extend(go(dir, &here));
    peers.extend(tomcat(dir, &here));
    peers
}

fn process(dir: &Path, name: &'static str, port: u16, command: Command) -> Peer {
    let mut process = Process::start(command, &dir.join(format!("{name}.log")));
    process.wait_for_port(port);
    Peer { name, port, _running: Running::Process(process) }
}

/// WSGI: escapes are decoded once.
fn gunicorn(dir: &Path, top: &Path) -> Peer {
    let port = free_port();
    let mut command = Command::new(top.join("target/gunicorn/bin/gunicorn"));
    command.args(["--worker-class", "gthread", "--threads", "2", "--keep-alive", "60"]);
    command.args(["--bind", &format!("127.0.0.1:{port}"), "--chdir"]);
    command.arg(top.join("tests/decoders")).arg("wsgi:app");
    process(dir, "gunicorn", port, command)
}

/// Escapes are decoded once, slashes merged.
fn nginx(dir: &Path) -> Peer {
    let port = free_port();
    let http = format!(
        "server {{ listen 127.0.0.1:{port}; location / {{ return 200 public; }} \
         location = /admin {{ return 200 ADMIN; }} location /admin/ {{ return 200 ADMIN; }} }}"
    );
    let nginx = Nginx::start(dir, port, &http, Shape::Single);
    Peer { name: "nginx", port, _running: Running::Nginx(nginx) }
}

/// Go's `ServeMux`, where there is a compiler.
fn go(dir: &Path, here: &Path) -> Option<Peer> {
    let (binary, port) = (dir.join("mux"), free_port());
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&binary).arg(here.join("mux.go"));
    build.env("GO111MODULE", "off").env("GOFLAGS", "");
    if !build.status().is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = Command::new(binary);
    command.arg(port.to_string());
    Some(process(dir, "go", port, command))
}

/// Tomcat, where Debian's `libtomcat10-embed-java` and `libtomcat10-java` are.
fn tomcat(dir: &Path, here: &Path) -> Option<Peer> {
    let jars = PathBuf::from("/usr/share/java");
    let needed = ["tomcat10-embed-core.jar", "tomcat10-annotations-api.jar"];
    if !needed.iter().all(|name| jars.join(name).is_file()) {
        return None;
    }
    let port = free_port();
    let mut command = Command::new("java");
    command.arg("-cp").arg(jars.join("*")).arg(here.join("Servlets.java")).arg(port.to_string());
    Some(process(dir, "tomcat", port, command))
}

/// What the servlet specification says (version 6, section 3.5.2): parameters are cut off each segment,
/// then escapes are decoded, then backslashes and doubled slashes are mended.
fn servlet_model() -> Peer {
    let script = |client: &mut Client| {
        while let Some(message) = client.request() {
            let body = if is_admin(message.head.target()) { "ADMIN" } else { "public" };
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if !client.send(answer.as_bytes()) {
                return;
            }
        }
    };
    let upstream = Upstream::plain(Arc::new(script));
    Peer { name: "servlet", port: upstream.port, _running: Running::Model(upstream) }
}

fn is_admin(target: &str) -> bool {
    let cut = target.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    let cut = cut.collect::<Vec<_>>().join("/");
    let mut pieces = cut.split('%');
    let mut path = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let byte = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        path.extend(byte.map(char::from));
        path.push_str(piece.get(2..).unwrap_or_default());
    }
    path = path.replace('\\', "/");
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    path == "/admin" || path.starts_with("/admin/")
}
