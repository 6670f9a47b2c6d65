//! `[metrics]` and `[admin]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::check::context::Check;
use crate::check::listens::bound;
use crate::host_names;
use crate::model::{Admin, Listen, Metrics};
use crate::raw::Raw;

/// The kernel's `sun_path` holds 108 bytes, its end included.
const SOCKET_PATH_BYTES_MAX: usize = 107;

impl Check<'_> {
    pub(super) fn metrics(&mut self, root: &Raw, listens: &[Listen]) -> Option<Metrics> {
        let raw = root.table("metrics")?;
        let listen = self.metrics_address(raw, listens);
        let path = raw.text("path")?;
        let good = path.text.starts_with('/')
            && path.text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%\"\\".contains(&byte));
        if !good {
            let help = "a path without escapes or a query, as \"/metrics\"";
            self.error(path.place, raw.path("path"), "this is not a path", help);
        }
        if ["/livez", "/readyz"].contains(&path.text.as_str()) {
            let help = "another path, as \"/metrics\"";
            let message = "this path tells whether the process is healthy";
            self.error(path.place, raw.path("path"), message, help);
        }
        let status_path = self.status_path(raw, &path.text);
        let import_report = self.import_report(raw, status_path.is_some());
        let mut hosts = Vec::new();
        for (index, text) in raw.texts("hosts").to_vec().into_iter().enumerate() {
            match host_names::dns_name(&text.text) {
                Ok(name) => hosts.push(name),
                Err(wrong) => {
                    self.wrong(text.place, format!("{}[{index}]", raw.path("hosts")), wrong);
                }
            }
        }
        let place = raw.at("listen");
        let (listen, path) = (listen?, path.text);
        Some(Metrics { place, listen, path, status_path, import_report, hosts })
    }

    /// Only the page shows it. Whether it is there is found out when somebody looks: nothing else depends on it.
    fn import_report(&mut self, raw: &Raw, has_page: bool) -> Option<PathBuf> {
        let text = raw.text("import_report")?;
        let path = raw.path("import_report");
        if text.text.is_empty() {
            self.error(text.place, path, "this is empty", "the path of a file, as \"import.txt\"");
            return None;
        }
        if !has_page {
            let message = "there is no status page that could show this";
            self.error(text.place, path, message, "set `status_path`, as \"/status\"");
        }
        Some(self.path(&text.text))
    }

    /// The page has files below its path, and names them relative to it.
    fn status_path(&mut self, raw: &Raw, metrics: &str) -> Option<String> {
        let path = raw.text("status_path")?;
        let is_segment = |segment: &str| {
            let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~.".contains(&byte);
            !segment.is_empty() && ![".", ".."].contains(&segment) && segment.bytes().all(safe)
        };
        let segments = path.text.strip_prefix('/').map(|rest| rest.split('/').all(is_segment));
        if segments != Some(true) {
            let help = "a path of letters, digits, `-`, `_`, `.` and `~`, without a slash at its end, as \"/status\"";
            self.error(path.place, raw.path("status_path"), "this is not a path of a page", help);
        }
        let below = |one: &str, other: &str| {
            one.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let taken = ["/livez", "/readyz", metrics]
            .into_iter()
            .find(|other| below(&path.text, other) || below(other, &path.text));
        if let Some(taken) = taken {
            let message = format!("this is at, above or below `{taken}`, which is something else");
            self.error(
                path.place,
                raw.path("status_path"),
                &message,
                "another path, as \"/status\"",
            );
        }
        Some(path.text)
    }

    fn metrics_address(&mut self, raw: &Raw, listens: &[Listen]) -> Option<SocketAddr> {
        let text = raw.text("listen")?;
        let Ok(address) = text.text.parse::<SocketAddr>() else {
            let message = format!("`{}` is not an address to listen on", text.text);
            let help = "write an address and a port, as \"127.0.0.1:9091\" or \"[::1]:9091\"";
            self.error(text.place, raw.path("listen"), &message, help);
            return None;
        };
        let taken = listens
            .iter()
            .find(|one| bound(one).any(|bound| bound == address) && address.port() != 0);
        if let Some(taken) = taken {
            let line = self.problems.position(taken.place).line;
            let message = format!("the [[listen]] of line {line} listens on {address} already");
            self.error(
                text.place,
                raw.path("listen"),
                &message,
                "give the metrics a port of their own",
            );
        }
        if !address.ip().is_loopback() {
            let message = "the metrics can be read from other machines, without any authentication";
            let help = "listen on 127.0.0.1, or let a firewall decide who gets there";
            self.warn(text.place, raw.path("listen"), message, help);
        }
        Some(address)
    }

    pub(super) fn admin(&mut self, root: &Raw) -> Option<Admin> {
        let raw = root.table("admin")?;
        let text = raw.text("socket")?;
        let socket = self.path(&text.text);
        let bytes = socket.as_os_str().len();
        if text.text.is_empty() {
            let help = "the path of the socket, as \"/run/ferrule/ctl.sock\"";
            self.error(text.place, raw.path("socket"), "this is empty", help);
            return None;
        }
        if bytes > SOCKET_PATH_BYTES_MAX {
            let message = format!("the path of this socket has {bytes} bytes");
            let help = format!("the kernel takes {SOCKET_PATH_BYTES_MAX} at most");
            self.error(text.place, raw.path("socket"), &message, &help);
            return None;
        }
        Some(Admin { place: text.place, socket })
    }
}
