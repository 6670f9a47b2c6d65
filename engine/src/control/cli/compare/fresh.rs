//! The new gateway, started for a comparison: on free ports of the loopback interface, and ended with the value.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use toml::Value as Toml;

use super::client::GatewayUrl;
use crate::control::process::clock;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(20);
/// What it may say until then.
const LOG_BYTES_MAX: u64 = 1 << 20;
const STEP: Duration = Duration::from_millis(20);

/// Where the new gateway listens, and on which port the configuration has that.
#[derive(Clone, Debug)]
pub(super) struct NewListener {
    pub(super) url: GatewayUrl,
    /// `None` where nobody says.
    pub(super) configured_port: Option<u16>,
}

impl NewListener {
    /// The one that answers what `old` does: of several that speak TLS, or do not, the one with its port.
    ///
    /// # Errors
    /// There is none, or nobody can tell which one it is.
    pub(super) fn of<'a>(all: &'a [Self], old: &GatewayUrl) -> Result<&'a GatewayUrl, String> {
        let alike: Vec<&Self> = all.iter().filter(|new| new.url.tls == old.tls).collect();
        let same_port = alike.iter().find(|new| new.configured_port == Some(old.port));
        match (same_port, alike.as_slice()) {
            (Some(new), _) | (None, [new]) => Ok(&new.url),
            (None, []) => Err(format!(
                "the new gateway has no listener {} TLS",
                if old.tls { "with" } else { "without" }
            )),
            (None, _) => Err(format!(
                "the new gateway has several listeners for {}:{}, and none with this port",
                old.host, old.port
            )),
        }
    }
}

/// A gateway of ours. Ends with the value.
pub(super) struct FreshGateway {
    child: Child,
    file: PathBuf,
    pub(super) listeners: Vec<NewListener>,
}

impl Drop for FreshGateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.file);
    }
}

impl FreshGateway {
    /// Starts it with the configuration of the folder, listening elsewhere.
    ///
    /// # Errors
    /// It does not start; its words say why.
    pub(super) fn start(folder: &Path, configuration: &toml::Table) -> Result<Self, String> {
        let mut table = configuration.clone();
        let listeners = move_listeners(&mut table)?;
        let text = toml::to_string(&table).map_err(|error| error.to_string())?;
        let file = folder.join(format!(".compare-{}.toml", std::process::id()));
        let failed = |error: std::io::Error| format!("{}: {error}", file.display());
        fs::write(&file, text).map_err(failed)?;
        let log = file.with_extension("log");
        let output = fs::File::create(&log).map_err(failed)?;
        let program = std::env::current_exe().map_err(failed)?;
        let child = Command::new(program)
            .arg("run")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .map_err(failed)?;
        let mut gateway = Self { child, file: file.clone(), listeners };
        let end = clock::monotonic() + PATIENCE;
        let started = loop {
            let words = ferrule_config::read_file(&log, LOG_BYTES_MAX)
                .map(|file| String::from_utf8_lossy(&file.bytes).into_owned())
                .unwrap_or_default();
            if words.contains(" ready: ") {
                break Ok(());
            }
            let ended = gateway.child.try_wait().ok().flatten().is_some();
            if ended || clock::monotonic() > end {
                break Err(format!("the new gateway does not start:\n{}", words.trim_end()));
            }
            pause();
        };
        let _ = fs::remove_file(&log);
        started.map(|()| gateway)
    }
}

/// Gives each listener a free port, wherever the file names the old one.
fn move_listeners(table: &mut toml::Table) -> Result<Vec<NewListener>, String> {
    // Neither is compared, and both may be in use.
    table.remove("metrics");
    table.remove("admin");
    // It says which process serves, and that is not this one.
    if let Some(Toml::Table(runtime)) = table.get_mut("runtime") {
        runtime.remove("pid_file");
    }
    let mut urls = Vec::new();
    let mut moved = Vec::new();
    let mut held = Vec::new();
    let Some(Toml::Array(listeners)) = table.get_mut("listen") else {
        return Err(String::from("the new configuration has no [[listen]]"));
    };
    for listener in listeners.iter_mut().filter_map(Toml::as_table_mut) {
        let held_port = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let port = held_port.local_addr().map_err(|error| error.to_string())?.port();
        held.push(held_port);
        let address = listener.get("address").and_then(Toml::as_str).unwrap_or_default();
        let old = address.rsplit_once(':').map(|(_, port)| port.to_owned()).unwrap_or_default();
        let configured_port = old.parse().ok();
        moved.push(MovedPort { old, new: port.to_string() });
        let tls = listener.get("tls").and_then(Toml::as_bool).unwrap_or(false);
        listener.insert("address".to_owned(), Toml::String(format!("127.0.0.1:{port}")));
        listener.remove("ipv6only");
        if listener.get("proxy_protocol").and_then(Toml::as_bool) != Some(true) {
            let url = GatewayUrl { tls, host: String::from("127.0.0.1"), port };
            urls.push(NewListener { url, configured_port });
        }
    }
    if let Some(Toml::Array(routes)) = table.get_mut("routes") {
        for vars in routes.iter_mut().filter_map(|route| route.get_mut("vars")) {
            move_ports(vars, &moved);
        }
    }
    Ok(urls)
}

#[expect(clippy::disallowed_methods, reason = "a command, which has no connections")]
fn pause() {
    std::thread::sleep(STEP);
}

struct MovedPort {
    old: String,
    new: String,
}

/// Conditions on `server_port` mean the port that was moved.
fn move_ports(value: &mut Toml, moved: &[MovedPort]) {
    let Toml::Array(list) = value else { return };
    let about_ports = list.first().and_then(Toml::as_str) == Some("server_port");
    for item in list {
        match item {
            Toml::String(text) if about_ports => {
                if let Some(found) = moved.iter().find(|one| one.old == *text) {
                    text.clone_from(&found.new);
                }
            }
            Toml::Array(inner) if about_ports => {
                for text in inner {
                    if let Toml::String(text) = text
                        && let Some(found) = moved.iter().find(|one| one.old == *text)
                    {
                        text.clone_from(&found.new);
                    }
                }
            }
            other => move_ports(other, moved),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_is_compared_with_its_own() {
        let url = |text: &str| GatewayUrl::parse(text).unwrap();
        let new = |text: &str, configured_port| NewListener { url: url(text), configured_port };
        let two = [
            new("https://127.0.0.1:1001", Some(443)),
            new("https://127.0.0.1:1002", Some(8443)),
            new("http://127.0.0.1:1003", Some(80)),
        ];
        let found = |old: &str| NewListener::of(&two, &url(old)).map(|new| new.port);
        assert_eq!(found("https://old"), Ok(1001));
        assert_eq!(found("https://old:8443"), Ok(1002));
        assert_eq!(found("http://old:8080"), Ok(1003), "the only one without TLS");
        assert!(found("https://old:9443").unwrap_err().contains("several"));
        let said = [new("https://new:5", None)];
        assert_eq!(NewListener::of(&said, &url("https://old")).map(|new| new.port), Ok(5));
        assert!(NewListener::of(&said, &url("http://old")).is_err());
    }

    #[test]
    fn listeners_move_with_their_conditions() {
        let text = "[runtime]\npid_file = '/run/f.pid'\n[metrics]\n[[listen]]\naddress = '0.0.0.0:443'\ntls = true\n[[listen]]\naddress = '[::]:80'\n\
                    [[routes]]\nuri = '/*'\nvars = [['OR', ['server_port', '==', '443'], ['server_port', 'in', ['80']]]]\n";
        let mut table: toml::Table = toml::from_str(text).unwrap();
        let urls = move_listeners(&mut table).unwrap();
        let [tls, plain] = urls.as_slice() else { panic!("{urls:?}") };
        assert!(tls.url.tls && !plain.url.tls);
        assert_eq!((tls.configured_port, plain.configured_port), (Some(443), Some(80)));
        let text = table.to_string();
        assert!(!text.contains("\"443\"") && !text.contains("[metrics]"), "{text}");
        assert!(!text.contains("pid_file"), "{text}");
        assert!(text.contains(&format!("\"server_port\", \"==\", \"{}\"", tls.url.port)), "{text}");
        assert!(text.contains(&format!("\"in\", [\"{}\"]", plain.url.port)), "{text}");
    }
}
