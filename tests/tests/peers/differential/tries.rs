//! What the logs say of tries at nodes that are dead, hang, hang up, talk nonsense or work: the same lists
//! from a real nginx and the real gateway.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ferrule_tests::{
    Driver, Gateway, Nginx, PATIENCE, Setup, Shape, Upstream, echo, free_port, poll, raw, scratch,
};

/// A path, the nodes that it leads to (the heaviest first), and how the client behaves.
struct Scene {
    path: &'static str,
    nodes: Vec<String>,
    /// The client leaves without waiting for an answer.
    leaves: bool,
}

const FORMAT: &str = "$request_uri|$status|$upstream_addr|$upstream_status|$upstream_connect_time|\
                      $upstream_header_time|$upstream_response_time";

/// The nodes, as long as they are wanted.
struct Nodes {
    scenes: Vec<Scene>,
    hanging: Upstream,
    _others: Vec<Upstream>,
}

impl Nodes {
    fn start(dir: &Path) -> Self {
        let local = |port: u16| format!("127.0.0.1:{port}");
        let living = Upstream::plain(echo());
        let hanging = Upstream::plain(Arc::new(|client| while client.request().is_some() {}));
        let hangs_up = Upstream::plain(Arc::new(|client| drop(client.request())));
        let nonsense = Upstream::plain(Arc::new(|client| {
            drop(client.request());
            client.send(b"HTTP/1.1 200 OK\r\nno field\0\r\n\r\n");
        }));
        let cuts = Upstream::plain(Arc::new(|client| {
            drop(client.request());
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi");
        }));
        let (dead, other) = (local(free_port()), local(free_port()));
        let absent = format!("unix:{}", dir.join("absent").display());
        let alive = local(living.port);
        let scene = |path, nodes: &[&String]| Scene {
            path,
            nodes: nodes.iter().copied().cloned().collect(),
            leaves: false,
        };
        let scenes = vec![
            scene("/living", &[&alive]),
            scene("/dead", &[&dead]),
            scene("/dead-living", &[&dead, &alive]),
            scene("/dead-dead", &[&dead, &other]),
            scene("/dead-dead-living", &[&dead, &other, &alive]),
            scene("/absent-living", &[&absent, &alive]),
            scene("/hanging", &[&local(hanging.port)]),
            scene("/hangs-up", &[&local(hangs_up.port)]),
            scene("/nonsense", &[&local(nonsense.port)]),
            scene("/cuts", &[&local(cuts.port)]),
            scene("/none", &[]),
            Scene { leaves: true, ..scene("/leaves", &[&local(hanging.port)]) },
        ];
        Self { scenes, hanging, _others: vec![living, hangs_up, nonsense, cuts] }
    }
}

fn nginx(dir: &Path, scenes: &[Scene]) -> (Nginx, u16) {
    let port = free_port();
    let log = dir.join("nginx.log");
    let mut upstreams = String::new();
    let mut locations = String::new();
    for Scene { path, nodes, leaves } in scenes {
        let name = path.trim_start_matches('/');
        if nodes.is_empty() {
            locations.extend(["location = ", path, " { return 404; }\n"]);
            continue;
        }
        // As heavy as ours, and never set aside.
        let server = |(at, node): (usize, &String)| {
            let weight = 100_u32.pow(u32::try_from(nodes.len() - at - 1).expect("few"));
            format!("server {node} weight={weight} max_fails=0;\n")
        };
        let servers: String = nodes.iter().enumerate().map(server).collect();
        upstreams.extend(["upstream ", name, " { ", &servers, " }\n"]);
        let read = if *leaves { "60s" } else { "300ms" };
        locations.extend(["location = ", path, " { proxy_pass http://", name]);
        locations.extend(["; proxy_next_upstream error; proxy_read_timeout ", read, "; }\n"]);
    }
    let text = format!(
        "log_format tries '{FORMAT}';\n{upstreams}server {{ listen 127.0.0.1:{port}; access_log {} tries;\n{locations} }}",
        log.display()
    );
    (Nginx::start(dir, port, &text, Shape::Single), port)
}

fn gateway(dir: &Path, driver: Driver, scenes: &[Scene]) -> Gateway {
    let mut text = String::from("[[listen]]\naddress = \"127.0.0.1:@front@\"\n");
    for Scene { path, nodes, leaves } in scenes.iter().filter(|scene| !scene.nodes.is_empty()) {
        let node = |(at, node): (usize, &String)| {
            format!(
                "\"{node}\" = {}",
                100_u32.pow(u32::try_from(nodes.len() - at - 1).expect("few"))
            )
        };
        let nodes: Vec<String> = nodes.iter().enumerate().map(node).collect();
        let read = if *leaves { "60s" } else { "300ms" };
        text.extend(["[[routes]]\nuri = \"", path, "\"\nupstream.timeout.read = \"", read]);
        text.extend(["\"\nupstream.nodes = { ", &nodes.join(", "), " }\n"]);
        text.push_str("upstream.checks.passive.unhealthy = { tcp_failures = 0, timeouts = 0 }\n");
    }
    let log = format!("access = {{ path = \"{driver}.log\", format = '{FORMAT}' }}");
    Setup::new(dir, driver, &text).log_line(&log).start()
}

/// Asks once; the line that the log has of it.
fn ask(port: u16, log: &Path, scene: &Scene, hanging: &Upstream) -> String {
    let asked = hanging.seen().len();
    let before = fs::read_to_string(log).unwrap_or_default().lines().count();
    let mut client = raw::plain(port);
    let request = format!("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", scene.path);
    client.send(request.as_bytes()).expect("a connection");
    if scene.leaves {
        let reached = poll(PATIENCE, || (hanging.seen().len() > asked).then_some(()));
        reached.expect("the request reaches its node");
        drop(client);
    } else {
        let _ = client.response("GET");
    }
    let line = poll(PATIENCE, || {
        let text = fs::read_to_string(log).ok()?;
        text.lines().nth(before).filter(|_| text.ends_with('\n')).map(str::to_owned)
    });
    line.expect("a line")
}

/// The line of a request that went to the heaviest node first: of a few, most do.
fn heaviest_first(port: u16, log: &Path, scene: &Scene, hanging: &Upstream) -> String {
    let first = scene.nodes.first().map_or("-", String::as_str);
    let mut seen = Vec::new();
    for _ in 0..6 {
        let line = ask(port, log, scene, hanging);
        let list = line.split('|').nth(2).expect("addresses");
        if list.split(", ").next() == Some(first)
            && list.split(", ").eq(scene
                .nodes
                .iter()
                .map(String::as_str)
                .take(list.split(", ").count()))
        {
            return line;
        }
        seen.push(line);
    }
    if scene.nodes.is_empty() {
        seen.swap_remove(0)
    } else {
        panic!("{first} was never first: {seen:?}")
    }
}

/// Times are another run's: `0.001` becomes `T`.
fn without_times(line: &str) -> String {
    let fields = line.split('|').enumerate().map(|(at, field)| {
        let value = |value: &str| {
            let is_time = at > 3
                && value.split_once('.').is_some_and(|(seconds, millis)| {
                    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
                    digits(seconds) && digits(millis) && millis.len() == 3
                });
            if is_time { "T".to_owned() } else { value.to_owned() }
        };
        field.split(", ").map(value).collect::<Vec<_>>().join(", ")
    });
    fields.collect::<Vec<_>>().join("|")
}

#[test]
fn nginx_and_the_gateway_list_the_same_tries() {
    let scratch = scratch();
    let dir = scratch.path();
    let Nodes { scenes, hanging, _others } = Nodes::start(dir);
    let (_nginx, port) = nginx(dir, &scenes);
    let drivers = [Driver::IoUring, Driver::Epoll];
    let gateways = drivers.map(|driver| (driver, gateway(dir, driver, &scenes)));
    for scene in &scenes {
        let theirs = heaviest_first(port, &dir.join("nginx.log"), scene, &hanging);
        for (driver, gateway) in &gateways {
            let log = dir.join(format!("{driver}.log"));
            let ours = heaviest_first(gateway.port("front"), &log, scene, &hanging);
            assert_eq!(without_times(&ours), without_times(&theirs), "{driver}: {ours} {theirs}");
        }
    }
}
