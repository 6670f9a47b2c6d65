//! A proxy with three nodes of its own, and what becomes of one case there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ferrule_tests::{Client, Driver, Gateway, Nginx, Setup, Shape, Upstream, free_port, raw};

use super::case::{Case, Does, On, Place};

/// What became of a case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    /// The nodes that were connected to, in this order.
    pub(super) asked: Vec<usize>,
    /// What the client got; 0 if nothing that is a response.
    pub(super) status: u16,
    /// Which node has answered, and how much of a body it has got; nothing if the answer is the proxy's own.
    pub(super) answer: String,
    /// It broke off.
    pub(super) cut: bool,
}

/// What the nodes do at the moment, and who was asked since.
type Scene = Arc<Mutex<([Does; 3], Vec<usize>)>>;

/// Three nodes, and as many addresses at which nobody listens.
pub(super) struct Nodes {
    scene: Scene,
    nodes: Vec<Upstream>,
    dead: [u16; 3],
}

impl Nodes {
    pub(super) fn start() -> Self {
        let scene: Scene = Arc::new(Mutex::new(([Does::Answers; 3], Vec::new())));
        let nodes = (0..3).map(|at| {
            let scene = Arc::clone(&scene);
            Upstream::plain(Arc::new(move |client| {
                let does = {
                    let mut scene = scene.lock().unwrap_or_else(PoisonError::into_inner);
                    scene.1.push(at);
                    scene.0[at]
                };
                act(does, at, client);
            }))
        });
        let nodes = nodes.collect();
        Self { scene, nodes, dead: [(); 3].map(|()| free_port()) }
    }

    fn port(&self, at: usize, refusing: u8) -> u16 {
        if refusing >> at & 1 == 1 { self.dead[at] } else { self.nodes[at].port }
    }

    fn set(&self, does: [Does; 3]) {
        *self.scene.lock().unwrap_or_else(PoisonError::into_inner) = (does, Vec::new());
    }

    fn asked(&self) -> Vec<usize> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

fn act(does: Does, at: usize, client: &mut Client) {
    if does == Does::HangsUp {
        return;
    }
    if does == Does::Resets {
        let Ok(Some(head)) = client.talk.head() else { return };
        let rest = if head.is_chunked() { 10_240 } else { head.length().unwrap_or(0) };
        let _ = client.talk.exactly(rest.min(10_240));
        return;
    }
    let Some(request) = client.request() else { return };
    let body = format!("{at}:{}", request.body.len());
    let ok = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    match does {
        Does::HalfAHead => drop(client.send(b"HTTP/1.1 200 OK\r\nContent-Le")),
        Does::Garbage => drop(client.send(b"220 mail.example.com ESMTP\r\n\r\n")),
        Does::BadField => drop(client.send(b"HTTP/1.1 200 OK\r\nno field\r\n\r\n")),
        Does::Silent => drop(client.request()),
        Does::Cuts => drop(client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi")),
        Does::Status(status) => {
            let head = format!("HTTP/1.1 {status} N\r\nContent-Length: {}\r\n\r\n", body.len());
            let body = if request.head.method() == "HEAD" { "" } else { &body };
            client.send(format!("{head}{body}").as_bytes());
        }
        Does::Answers => {
            let body = if request.head.method() == "HEAD" { "" } else { &body };
            client.send(format!("{ok}{body}").as_bytes());
        }
        Does::Refuses | Does::HangsUp | Does::Closes | Does::Resets => {}
    }
}

/// A proxy at work. Ends with the value.
pub(super) struct Stand {
    pub(super) name: String,
    nodes: Nodes,
    port: u16,
    _runs: Box<dyn std::any::Any + Send + Sync>,
}

impl Stand {
    pub(super) fn nginx(dir: &Path, places: &BTreeSet<Place>) -> Self {
        let (nodes, port) = (Nodes::start(), free_port());
        let mut text = String::new();
        for refusing in 0..8 {
            let [first, second, third] = [0, 1, 2].map(|at| nodes.port(at, refusing));
            // The second before the third, nearly always; else the case is run again.
            writeln!(
                text,
                "upstream nodes{refusing} {{ server 127.0.0.1:{first} max_fails=0; \
                 server 127.0.0.1:{second} backup weight=60000 max_fails=0; \
                 server 127.0.0.1:{third} backup weight=1 max_fails=0; }}"
            )
            .expect("a string");
        }
        writeln!(
            text,
            "server {{ listen 127.0.0.1:{port}; client_max_body_size 0; proxy_http_version 1.1;\n\
             proxy_read_timeout 2s; proxy_connect_timeout 10s;"
        )
        .expect("a string");
        for place in places {
            let on = match place.on {
                On::Nothing => "off",
                On::Errors => "error",
                On::NoResponse => "error timeout invalid_header",
                On::Statuses => {
                    "error timeout invalid_header http_403 http_404 http_429 http_500 http_502 http_503 \
                     http_504"
                }
            };
            let idempotence = if place.non_idempotent && place.on != On::Nothing {
                " non_idempotent"
            } else {
                ""
            };
            let time = if place.hasty { "1s" } else { "0" };
            writeln!(
                text,
                "location = {} {{ proxy_pass http://nodes{}; proxy_next_upstream {on}{idempotence}; \
                 proxy_next_upstream_tries {}; proxy_next_upstream_timeout {time}; }}",
                place.path(),
                place.refusing,
                place.retries + 1,
            )
            .expect("a string");
        }
        text.push('}');
        let nginx = Nginx::start(dir, port, &text, Shape::Single);
        Self { name: "nginx".to_owned(), nodes, port, _runs: Box::new(nginx) }
    }

    pub(super) fn ferrule(dir: &Path, driver: Driver, places: &BTreeSet<Place>) -> Self {
        let nodes = Nodes::start();
        let mut text = String::from("[[listen]]\naddress = \"127.0.0.1:@front@\"\n");
        for place in places {
            let on = match place.on {
                On::Nothing | On::Errors => "\"connect\", \"lost\"",
                On::NoResponse => "\"connect\", \"lost\", \"timeout\", \"bad_response\"",
                On::Statuses => {
                    "\"connect\", \"lost\", \"timeout\", \"bad_response\", \"403\", \"404\", \"429\", \"500\", \
                     \"502\", \"503\", \"504\""
                }
            };
            let members = [0, 1, 2].map(|at| {
                let port = nodes.port(at, place.refusing);
                format!("{{ host = \"127.0.0.1\", port = {port}, priority = {} }}", 2 - at)
            });
            writeln!(
                text,
                "[[routes]]\nuri = \"{}\"\n[routes.upstream]\nnodes = [{}]\nretries = {}\nretry_on = [{on}]\n\
                 retry_non_idempotent = {}\nretry_timeout = {}\ntimeout = {{ connect = 10, read = 2 }}\n\
                 retry_budget = {{ percent = 100, min_per_second = 1000000 }}\nkeepalive_pool.size = 0\n\
                 checks.passive.unhealthy = {{ tcp_failures = 0, timeouts = 0, http_failures = 0 }}",
                place.path(),
                members.join(", "),
                if place.on == On::Nothing { 0 } else { place.retries },
                place.non_idempotent,
                if place.hasty { "1" } else { "15" },
            )
            .expect("a string");
        }
        let gateway: Gateway = Setup::new(dir, driver, &text).quiet().start();
        let port = gateway.port("front");
        Self { name: format!("Ferrule {driver}"), nodes, port, _runs: Box::new(gateway) }
    }

    /// One case, from the client to the nodes and back.
    pub(super) fn run(&self, case: &Case) -> Seen {
        // nginx weighs: once in a long while it asks the third node before the second.
        for _ in 0..5 {
            let seen = self.run_once(case);
            if seen.asked.is_sorted() {
                return seen;
            }
        }
        self.run_once(case)
    }

    fn run_once(&self, case: &Case) -> Seen {
        self.nodes.set(case.nodes);
        let mut client = raw::plain(self.port);
        // It may be answered before all of it is taken.
        let _ = client.send(&case.request());
        let (mut status, mut answer, mut cut) = (0, String::new(), true);
        while let Ok(Some(head)) = client.head() {
            if !head.raw.starts_with("HTTP/1.1 ") {
                // What a node said, without a head of the proxy's.
                (answer, cut) = (head.raw, false);
                break;
            }
            if head.status() < 200 {
                continue;
            }
            status = head.status();
            let len = if case.method == "HEAD" { Some(0) } else { head.length() };
            let body = match len {
                Some(len) => client.exactly(len),
                None if head.is_chunked() => client.chunked().map(|(body, _)| body),
                None => client.rest(),
            };
            cut = body.is_err();
            let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
            // Whatever is of a node, and not a page of the proxy's.
            answer = if body.contains("error_msg") || body.contains("<html>") {
                String::new()
            } else {
                body
            };
            break;
        }
        Seen { asked: self.nodes.asked(), status, answer, cut }
    }
}
