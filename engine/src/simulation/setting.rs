//! What a run is like: drawn from its seed, and told to Ferrule as a configuration.

use std::net::SocketAddr;

use crate::simulation::network::world::{Weather, below, chance};

/// How connections are secured, on both sides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    Plain,
    /// Mutual TLS by rustls, all the way or for the handshake only.
    Tls {
        fast: bool,
    },
}

/// How upstream connections are kept.
#[derive(Clone, Copy, Debug)]
struct PoolLimits {
    size: usize,
    /// In seconds.
    idle_timeout: usize,
    requests: usize,
}

/// One run.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(super) struct Setting {
    pub(super) mode: Mode,
    pub(super) nodes: usize,
    pub(super) clients: usize,
    /// The largest request body that Ferrule takes.
    pub(super) body_max: Option<usize>,
    /// Connects to nodes may fail.
    pub(super) connects_fail: bool,
    /// Nodes may end idle connections.
    pub(super) idle_ends: bool,
    /// Ferrule may have no descriptor left.
    pub(super) no_room: bool,
    /// Of 100 answers, so many are wrong.
    pub(super) node_trouble: usize,
    /// Of 100 client connections, so many are wrong.
    pub(super) client_trouble: usize,
    /// Large bodies.
    pub(super) large: bool,
    /// It comes to a drain while there are clients.
    pub(super) drain: bool,
    /// It comes to a reload.
    pub(super) reload: bool,
    keepalive_requests: usize,
    pool: PoolLimits,
    pub(super) retries: usize,
    forwards_expect: bool,
    paced: bool,
    /// Nodes fail for a while and come back, and this is how they are chosen.
    balance: Option<&'static str>,
}

impl Setting {
    /// Draws all settings of a run.
    pub(super) fn draw(mode: Mode) -> Self {
        // One in four runs has no trouble at all: then everything must be delivered.
        let trouble = |percent: usize| !chance(25) && chance(percent);
        let (node, client) = (trouble(70), trouble(60));
        Self {
            mode,
            nodes: 1 + below(3),
            clients: 1 + below(4),
            body_max: chance(15).then(|| 1_000 + below(20_000)),
            connects_fail: trouble(20),
            idle_ends: trouble(40),
            no_room: trouble(10),
            node_trouble: if node { 5 + below(40) } else { 0 },
            client_trouble: if client { 10 + below(60) } else { 0 },
            large: chance(15),
            drain: trouble(10),
            reload: chance(20),
            keepalive_requests: [1, 2, 5, 100][below(4)],
            pool: PoolLimits {
                size: [1, 2, 8][below(3)],
                idle_timeout: 2 + below(8),
                requests: [1, 3, 100, 100][below(4)],
            },
            retries: below(3),
            forwards_expect: chance(40),
            paced: chance(20),
            balance: None,
        }
    }

    /// Draws all settings of a run in which nodes fail for a while and come back. No answer is wrong but for that.
    pub(super) fn draw_outages(mode: Mode) -> Self {
        let methods = ["roundrobin", "least_conn", "ewma", "random", "chash"];
        Self {
            mode,
            nodes: 3 + below(3),
            clients: 2 + below(4),
            body_max: None,
            connects_fail: false,
            idle_ends: false,
            no_room: false,
            node_trouble: 0,
            client_trouble: if chance(15) { 30 } else { 0 },
            large: chance(4),
            drain: false,
            reload: chance(20),
            keepalive_requests: [3, 100][below(2)],
            pool: PoolLimits {
                size: [1, 2, 8][below(3)],
                idle_timeout: 2 + below(10),
                requests: [3, 100, 100][below(3)],
            },
            retries: 2,
            forwards_expect: chance(40),
            paced: false,
            balance: Some(methods[below(methods.len())]),
        }
    }

    /// Do nodes fail for a while and come back?
    pub(super) const fn has_outages(&self) -> bool {
        self.balance.is_some()
    }

    /// Draws how the network behaves.
    pub(super) fn weather(&self) -> Weather {
        let no = |yes: bool, most: usize| if yes { 1 + below(most) } else { 0 };
        Weather {
            delay_ms: [0, 1, 20, 100][below(4)],
            segments: [1, 2, 8, 60][below(4)],
            room: match self.mode {
                _ if self.large => 1 << 17,
                Mode::Plain => [200, 2_000, 1 << 16][below(3)],
                // A handshake has its time, and flights of some thousand bytes.
                Mode::Tls { .. } => [4_000, 1 << 16][below(2)],
            },
            hesitation: [0, 10, 50][below(3)],
            no_connection: [
                no(self.connects_fail, 30),
                no(self.connects_fail, 15),
                no(self.no_room, 10),
            ],
            no_accept: no(self.no_room, 40),
        }
    }

    /// Does every client read what it gets, as soon as it gets it?
    pub(super) fn clients_behave(&self) -> bool {
        self.client_trouble == 0 && !self.drain && !self.no_room && !self.has_outages()
    }

    pub(super) fn front() -> SocketAddr {
        ([10, 9, 0, 1], 80).into()
    }

    pub(super) fn node(number: usize) -> SocketAddr {
        ([10, 8, 0, u8::try_from(number).unwrap_or(u8::MAX)], 80).into()
    }

    /// The configuration; with TLS it has these tables for the server and for the upstream.
    pub(super) fn config(&self, server: &str, upstream: &str) -> String {
        let (server, upstream) = match self.mode {
            Mode::Plain => ("", ""),
            Mode::Tls { .. } => (server, upstream),
        };
        let secure = self.mode != Mode::Plain;
        let scheme = if secure { "https" } else { "http" };
        let nodes: Vec<String> =
            (0..self.nodes).map(|node| format!("'{}' = 1", Self::node(node))).collect();
        let PoolLimits { size, idle_timeout, requests } = self.pool;
        // Three tries take less time than that, and there are too few requests for a budget to be earned.
        let nodes_fail = self.balance.map_or_else(String::new, |balance| {
            let key = if balance == "chash" { "key = 'uri'\n" } else { "" };
            format!(
                "type = '{balance}'\n{key}retry_timeout = '60s'\n\
                 retry_budget = {{ percent = 100, min_per_second = 1000 }}\n"
            )
        });
        format!(
            "[runtime]\nworkers = 1\n\
             [http]\nclient_header_timeout = '8s'\nclient_body_timeout = '8s'\n\
             send_timeout = '8s'\nkeepalive_timeout = '10s'\nkeepalive_requests = {}\n\
             client_max_body_size = {}\nexpect = '{}'\n\
             client_body_min_rate = {rate}\nsend_min_rate = {rate}\nmin_rate_grace = '15s'\n\
             [[listen]]\naddress = '{}'\ntls = {secure}\n\
             {server}\n\
             [[upstreams]]\nid = 'nodes'\nscheme = '{scheme}'\nnodes = {{ {} }}\n\
             retries = {}\nretry_buffer = {}\ntimeout = {{ connect = 3, send = 5, read = 5 }}\n\
             keepalive_pool = {{ size = {size}, idle_timeout = {idle_timeout}, requests = {requests} }}\n\
             {nodes_fail}{upstream}\n\
             [[routes]]\nid = 'all'\nuri = '/*'\nupstream_id = 'nodes'\n",
            self.keepalive_requests,
            self.body_max.unwrap_or(0),
            if self.forwards_expect { "forward" } else { "answer" },
            Self::front(),
            nodes.join(", "),
            self.retries,
            // Nothing, less than most bodies, and more; as other draws have it.
            [0, 300, 4_000, 1 << 16][(size + idle_timeout) % 4],
            rate = if self.paced { 20 } else { 0 },
        )
    }
}
