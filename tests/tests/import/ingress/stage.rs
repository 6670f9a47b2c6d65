//! Certificates as Secrets, and a service behind the gateway.

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use ferrule_tests::{Authority, Driver, Upstream, echo, free_port, scratch};
use ferrule_tools::process::Process;
use tempfile::TempDir;

use crate::kit::{ImportRun, import, start};

/// Files and servers that manifests name.
pub(super) struct IngressStage {
    dir: TempDir,
    secrets: String,
    pub(super) service: Upstream,
    pub(super) other: Upstream,
}

/// A gateway that was made of manifests.
pub(super) struct MadeGateway {
    pub(super) plain: u16,
    pub(super) tls: u16,
    pub(super) process: Process,
}

impl IngressStage {
    pub(super) fn new() -> Self {
        let dir = scratch();
        let at = dir.path();
        let clients = Authority::new("Clients");
        let subject = [("O", "Acme, Inc."), ("CN", "alice")];
        clients.client_named(&subject, &[]).write(at, "alice");
        clients.client("bob").write(at, "bob");
        Authority::new("Strangers").client("mallory").write(at, "mallory");
        let mut secrets = secret("shop-ca", &[("ca.crt", &clients.cert_pem)]);
        for host in ["shop", "open"] {
            let leaf = Authority::new("Servers").server(&[&format!("{host}.example")]);
            let pair = [("tls.crt", leaf.cert_pem.as_str()), ("tls.key", leaf.key_pem.as_str())];
            secrets.push_str(&secret(&format!("{host}-tls"), &pair));
        }
        let other = std::sync::Arc::new(|client: &mut ferrule_tests::Client| {
            while client.request().is_some() {
                if !client.answer(b"other") {
                    return;
                }
            }
        });
        Self { dir, secrets, service: Upstream::plain(echo()), other: Upstream::plain(other) }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Secrets and endpoints, and then these manifests.
    pub(super) fn import(&self, manifests: &str, folder: &str) -> ImportRun {
        let endpoints = |name: &str, port: u16| {
            format!(
                "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default}}\n\
                 spec:\n  ports: [{{name: http, port: 80, targetPort: 8080}}]\n\
                 ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
                 metadata: {{name: {name}-x, labels: {{kubernetes.io/service-name: {name}}}}}\n\
                 ports: [{{name: http, port: {port}}}]\nendpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]\n"
            )
        };
        let text = [
            self.secrets.clone(),
            endpoints("app", self.service.port),
            endpoints("other", self.other.port),
            manifests.to_owned(),
        ];
        fs::write(self.path().join("all.yaml"), text.concat()).expect("a file");
        import(self.path(), &["ingress-nginx", "all.yaml", "-o", folder])
    }

    pub(super) fn start(&self, folder: &str, driver: Driver) -> MadeGateway {
        let (plain, tls) = (free_port(), free_port());
        let folder: PathBuf = self.path().join(folder);
        let process = start(&folder, driver, |text| {
            text.replace("0.0.0.0:80\"", &format!("127.0.0.1:{plain}\""))
                .replace("0.0.0.0:443\"", &format!("127.0.0.1:{tls}\""))
        });
        MadeGateway { plain, tls, process }
    }
}

fn secret(name: &str, data: &[(&str, &str)]) -> String {
    let lines: String = data
        .iter()
        .map(|(key, text)| format!("  {key}: {}\n", BASE64.encode(text.as_bytes())))
        .collect();
    format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ndata:\n{lines}")
}
