//! Objects of Kubernetes, by kind and name. Whatever is no part of a gateway is left out and told.

use std::collections::BTreeMap;

use data_encoding::BASE64;

use crate::document::{Node, Spot, Value};
use crate::report::Kind;
use crate::work::Work;

/// An object and its name.
pub(super) struct Manifest<'a> {
    pub(super) node: &'a Node,
    pub(super) kind: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    /// For the report: `Ingress shop/web`.
    pub(super) path: String,
}

/// All objects of all files.
#[derive(Default)]
pub(super) struct Manifests<'a> {
    pub(super) ingresses: Vec<Manifest<'a>>,
    secrets: BTreeMap<String, Manifest<'a>>,
    services: BTreeMap<String, Manifest<'a>>,
    endpoints: Vec<Manifest<'a>>,
}

/// An address that serves.
pub(super) struct ServiceNode {
    pub(super) host: String,
    pub(super) port: i64,
}

impl Manifest<'_> {
    /// `NAMESPACE/NAME` of what it names: without a namespace, of its own.
    pub(super) fn full_name(&self, reference: &str) -> String {
        if reference.contains('/') {
            reference.to_owned()
        } else {
            format!("{}/{reference}", self.namespace)
        }
    }

    pub(super) fn say(&self, work: &Work, kind: Kind, spot: Spot, message: impl Into<String>) {
        work.log.add(kind, spot, &self.path, message);
    }

    pub(super) fn refuse(&self, work: &Work, spot: Spot, message: impl Into<String>) {
        self.say(work, Kind::Refused, spot, message);
    }

    /// Refuses keys of a table that are not among these.
    pub(super) fn only(&self, work: &Work, node: &Node, keys: &[&str]) {
        for entry in node.entries().iter().filter(|entry| !keys.contains(&entry.key.as_str())) {
            self.refuse(work, entry.spot, format!("`{}` is not converted", entry.key));
        }
    }
}

/// The items of a list; none if it is something else.
pub(super) fn items(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.value) {
        Some(Value::List(nodes)) => nodes,
        _ => &[],
    }
}

/// The text at the end of these keys.
pub(super) fn text<'a>(node: &'a Node, keys: &[&str]) -> Option<&'a str> {
    let mut node = node;
    for key in keys {
        node = node.get(key)?;
    }
    node.text()
}

fn integer(node: Option<&Node>) -> Option<i64> {
    match node.map(|node| &node.value) {
        Some(Value::Integer(number)) => Some(*number),
        _ => None,
    }
}

impl<'a> Manifests<'a> {
    /// Takes an object, or the objects of a `List`.
    pub(super) fn take(&mut self, node: &'a Node, file: &str, work: &Work) {
        let kind = text(node, &["kind"]).unwrap_or_default();
        if kind == "List" {
            for item in items(node.get("items")) {
                self.take(item, file, work);
            }
            return;
        }
        let name = text(node, &["metadata", "name"]).unwrap_or_default();
        let namespace = text(node, &["metadata", "namespace"]).unwrap_or("default");
        let path = format!("{file}{kind} {namespace}/{name}");
        if kind.is_empty() || name.is_empty() {
            work.log.add(
                Kind::Refused,
                node.spot,
                &path,
                "an object needs `kind` and `metadata.name`",
            );
            return;
        }
        let manifest = Manifest { node, kind, namespace, name, path };
        let key = format!("{namespace}/{name}");
        let twice = match kind {
            "Ingress" => {
                if text(node, &["apiVersion"]) != Some("networking.k8s.io/v1") {
                    manifest.refuse(work, node.spot, "`apiVersion` must be networking.k8s.io/v1");
                }
                let twice =
                    |known: &Manifest<'_>| (known.namespace, known.name) == (namespace, name);
                if self.ingresses.iter().any(twice) {
                    manifest.refuse(work, node.spot, "an object of this name is there twice");
                }
                self.ingresses.push(manifest);
                None
            }
            "Secret" => self.secrets.insert(key, manifest),
            "Service" => self.services.insert(key, manifest),
            "Endpoints" | "EndpointSlice" => {
                self.endpoints.push(manifest);
                None
            }
            _ => {
                manifest.say(
                    work,
                    Kind::Dropped,
                    node.spot,
                    "objects of this kind are no part of a gateway",
                );
                None
            }
        };
        if let Some(twice) = twice {
            twice.refuse(work, node.spot, "an object of this name is there twice");
        }
    }

    /// A text of a Secret, decoded. `None` if it is refused, or is not there and need not be.
    pub(super) fn secret(
        &self,
        from: &Manifest<'_>,
        spot: Spot,
        reference: &str,
        key: &str,
        needed: bool,
        work: &Work,
    ) -> Option<String> {
        let full = from.full_name(reference);
        let Some(secret) = self.secrets.get(&full) else {
            from.refuse(work, spot, format!("the Secret {full} is in none of the files: add it"));
            return None;
        };
        if let Some(plain) = text(secret.node, &["stringData", key]) {
            return Some(plain.to_owned());
        }
        let Some(encoded) = secret.node.get("data").and_then(|data| data.get(key)) else {
            if needed {
                secret.refuse(work, secret.node.spot, format!("`{key}` is missing"));
            }
            return None;
        };
        let compact: String = encoded
            .text()
            .unwrap_or_default()
            .chars()
            .filter(|mark| !mark.is_whitespace())
            .collect();
        let decoded =
            BASE64.decode(compact.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.filter(|text| text.contains("-----BEGIN"));
        if decoded.is_none() {
            secret.refuse(work, encoded.spot, format!("`{key}` is no PEM in base64"));
        }
        decoded
    }

    /// Where a service is: the addresses of its endpoints, or else its name in the cluster.
    pub(super) fn nodes(
        &self,
        from: &Manifest<'_>,
        backend: &Node,
        work: &Work,
    ) -> Option<Vec<ServiceNode>> {
        let Some(service) = backend.get("service") else {
            from.refuse(
                work,
                backend.spot,
                "a `service` is needed: other resources are not converted",
            );
            return None;
        };
        let name = text(service, &["name"]).unwrap_or_default();
        let port = service.get("port");
        let number = integer(port.and_then(|port| port.get("number")));
        let port_name = port.and_then(|port| text(port, &["name"]));
        if name.is_empty() || (number.is_none() && port_name.is_none()) {
            from.refuse(work, service.spot, "`name` and `port` are needed");
            return None;
        }
        let found = self.services.get(&format!("{}/{name}", from.namespace));
        let listed = found.and_then(|found| found.node.get("spec"));
        let entry = items(listed.and_then(|spec| spec.get("ports"))).iter().find(|entry| {
            number.map_or_else(
                || text(entry, &["name"]) == port_name,
                |number| integer(entry.get("port")) == Some(number),
            )
        });
        if found.is_some() && entry.is_none() {
            from.refuse(work, service.spot, format!("the Service {name} has no such port"));
            return None;
        }
        let addresses = self.addresses(from.namespace, name, entry);
        if !addresses.is_empty() {
            return Some(addresses);
        }
        let number = number.or_else(|| integer(entry.and_then(|entry| entry.get("port"))));
        let Some(port) = number else {
            from.refuse(
                work,
                service.spot,
                format!("the Service {name} is in none of the files, and its port has a name only"),
            );
            return None;
        };
        let external = listed.and_then(|spec| text(spec, &["externalName"]));
        let host = external
            .map_or_else(|| format!("{name}.{}.svc.cluster.local", from.namespace), str::to_owned);
        Some(vec![ServiceNode { host, port }])
    }

    fn addresses(&self, namespace: &str, name: &str, entry: Option<&Node>) -> Vec<ServiceNode> {
        let port_name = entry.and_then(|entry| text(entry, &["name"]));
        let mut all = Vec::new();
        for object in self.endpoints.iter().filter(|object| object.namespace == namespace) {
            let (parts, ports_in): (Vec<&Node>, Option<&Node>) = if object.kind == "Endpoints" {
                if object.name != name {
                    continue;
                }
                (items(object.node.get("subsets")).iter().collect(), None)
            } else {
                if text(object.node, &["metadata", "labels", "kubernetes.io/service-name"])
                    != Some(name)
                {
                    continue;
                }
                (vec![object.node], Some(object.node))
            };
            for part in parts {
                let ports = items(ports_in.unwrap_or(part).get("ports"));
                let port = ports
                    .iter()
                    .find(|port| ports.len() == 1 || text(port, &["name"]) == port_name);
                let Some(port) = integer(port.and_then(|port| port.get("port"))) else { continue };
                for address in items(part.get("addresses")) {
                    all.extend(
                        text(address, &["ip"]).map(|ip| ServiceNode { host: ip.to_owned(), port }),
                    );
                }
                for endpoint in items(part.get("endpoints")) {
                    let ready = endpoint.get("conditions").and_then(|node| node.get("ready"));
                    if ready.is_some_and(|node| node.value == Value::Flag(false)) {
                        continue;
                    }
                    for address in items(endpoint.get("addresses")) {
                        all.extend(
                            address.text().map(|ip| ServiceNode { host: ip.to_owned(), port }),
                        );
                    }
                }
            }
        }
        all
    }
}
