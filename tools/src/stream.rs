//! Bodies of any size through mTLS on both sides, every byte checked, in constant memory.
//!
//! The bytes are a pattern that tells where in the body they belong, so that one that is lost, doubled
//! or moved is found at once. While they flow the gateway's memory is looked at.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use strum::{IntoStaticStr, VariantArray};

use crate::clock::{PATIENCE, now};
use crate::gateway::{Driver, Setup};
use crate::http::Conversation;
use crate::pki::{Authority, Leaf};
use crate::slow::memory;
use crate::tls;
use crate::upstream::{Client, Script, Upstream};

const NAME: &str = "stream.test";

/// What is made, sent and checked at once.
pub const BLOCK_BYTES: usize = 64 << 10;

/// Blocks that are on their way at most when both directions flow.
const WINDOW: u64 = 4;

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:@front@"
tls = true

[[ssls]]
sni = "stream.test"
cert = "server.crt"
key = "server.key"
client.ca = "ca.crt"

[[routes]]
uri = "/*"
[routes.upstream]
scheme = "https"
nodes = { "127.0.0.1:@upstream@" = 1 }
tls = { client_cert = "proxy.crt", client_key = "proxy.key", ca = "ca.crt", server_name = "up.test" }
"#;

/// Which way a body flows.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Way {
    /// To the client.
    Down,
    /// To the upstream.
    Up,
    /// Both at once.
    Both,
}

impl Way {
    /// One word; the path of the request.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// Memory over a time, in KiB.
#[derive(Clone, Copy, Debug)]
struct MemoryRange {
    least: u64,
    most: u64,
}

/// What came of one way.
#[derive(Clone, Copy, Debug)]
pub struct StreamReport {
    driver: Driver,
    way: Way,
    bytes: u64,
    time: Duration,
    /// The gateway's memory while the second half flowed.
    memory: MemoryRange,
}

/// One gateway and its upstream, for one way after the other.
pub struct Streams {
    driver: Driver,
    gateway: crate::gateway::Gateway,
    client: Leaf,
    _upstream: Upstream,
}

/// Fills a block with the pattern of its place in the body.
fn fill(number: u64, block: &mut [u8]) {
    let mut state = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for piece in block.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bytes = state.to_le_bytes();
        piece.copy_from_slice(bytes.get(..piece.len()).unwrap_or_default());
    }
}

/// A block of a body.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// Its place, from 0.
    number: u64,
    /// How many bytes it has.
    size: usize,
}

/// The blocks of a body.
fn blocks(bytes: u64) -> impl Iterator<Item = Block> {
    let block = BLOCK_BYTES as u64;
    (0..bytes.div_ceil(block)).map(move |number| {
        let size = (bytes - number * block).min(block);
        Block { number, size: usize::try_from(size).expect("at most a block") }
    })
}

fn send_block<S: io::Read + Write>(
    talk: &mut Conversation<S>,
    Block { number, size }: Block,
    buffer: &mut [u8],
) -> io::Result<()> {
    let bytes = buffer.get_mut(..size).unwrap_or_default();
    fill(number, bytes);
    talk.stream.write_all(bytes)
}

fn check_block<S: io::Read + Write>(
    talk: &mut Conversation<S>,
    Block { number, size }: Block,
    buffer: &mut [u8],
) -> io::Result<()> {
    let came = talk.exactly(size)?;
    let bytes = buffer.get_mut(..size).unwrap_or_default();
    fill(number, bytes);
    if came == bytes { Ok(()) } else { Err(io::Error::other(format!("block {number} is wrong"))) }
}

/// Serves and checks bodies.
fn script() -> Script {
    Arc::new(|client| while serve(client).is_ok_and(|served| served) {})
}

fn serve(client: &mut Client) -> io::Result<bool> {
    let talk = &mut client.talk;
    let Some(head) = talk.head()? else { return Ok(false) };
    let bytes: u64 = head.target().rsplit('/').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut block = vec![0; BLOCK_BYTES];
    let answer = |length: u64| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    if head.target().starts_with("/up/") {
        for part in blocks(bytes) {
            if let Err(error) = check_block(talk, part, &mut block) {
                let text = error.to_string();
                talk.send(format!("{}{text}", answer(text.len() as u64)).as_bytes())?;
                return Ok(false);
            }
        }
        talk.send(format!("{}ok", answer(2)).as_bytes())?;
        return Ok(true);
    }
    let both = head.target().starts_with("/both/");
    talk.send(answer(bytes).as_bytes())?;
    for part in blocks(bytes) {
        if both {
            check_block(talk, part, &mut block)?;
        }
        send_block(talk, part, &mut block)?;
        if both {
            talk.stream.flush()?;
        }
    }
    talk.stream.flush()?;
    Ok(true)
}

impl Streams {
    /// Starts a gateway in `dir`.
    #[must_use]
    pub fn start(dir: &Path, driver: Driver) -> Self {
        let authority = Authority::new("Stream CA");
        fs::write(dir.join("ca.crt"), &authority.cert_pem).expect("a writable directory");
        authority.client("proxy").write(dir, "proxy");
        authority.server(&[NAME]).write(dir, "server");
        let config = tls::server(&authority.server(&["up.test"]), Some(&authority.cert_pem));
        let upstream = Upstream::tls(config, script());
        let setup = Setup::new(dir, driver, CONFIG).quiet().set("upstream", &upstream.port);
        let gateway = setup.start();
        Self { driver, gateway, client: authority.client("me"), _upstream: upstream }
    }

    /// Moves `bytes` this way.
    ///
    /// # Errors
    /// A connection failed, or a byte was not what it should have been.
    pub fn flow(&self, way: Way, bytes: u64) -> io::Result<StreamReport> {
        let mut talk = self.connect()?;
        let method = if way == Way::Down { "GET" } else { "POST" };
        let word = way.word();
        let length =
            if way == Way::Down { String::new() } else { format!("Content-Length: {bytes}\r\n") };
        let head = format!("{method} /{word}/{bytes} HTTP/1.1\r\nHost: {NAME}\r\n{length}\r\n");
        talk.send(head.as_bytes())?;
        let started = now();
        let half = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicBool::new(false));
        let watch = {
            let (half, done, id) =
                (Arc::clone(&half), Arc::clone(&done), self.gateway.process.id());
            thread::spawn(move || watch(id, &half, &done))
        };
        let moved = move_all(&mut talk, way, bytes, &half);
        done.store(true, Ordering::SeqCst);
        let memory = watch.join().expect("looking does not panic");
        moved?;
        Ok(StreamReport { driver: self.driver, way, bytes, time: started.elapsed(), memory })
    }

    fn connect(&self) -> io::Result<Conversation<StreamOwned<ClientConnection, TcpStream>>> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.gateway.port("front")));
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let config = tls::client(Some(&self.client), &[&rustls::version::TLS13]);
        let name = NAME.try_into().expect("a server name");
        let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        Ok(Conversation::new(StreamOwned::new(session, socket)))
    }
}

fn move_all<S: io::Read + Write>(
    talk: &mut Conversation<S>,
    way: Way,
    bytes: u64,
    half: &AtomicBool,
) -> io::Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    let middle = bytes / 2 / BLOCK_BYTES as u64;
    let note = |number: u64| {
        if number == middle {
            half.store(true, Ordering::SeqCst);
        }
    };
    if way == Way::Up {
        for part in blocks(bytes) {
            note(part.number);
            send_block(talk, part, &mut block)?;
        }
        talk.stream.flush()?;
        let answer = talk.response("POST")?;
        return if answer.text() == "ok" { Ok(()) } else { Err(io::Error::other(answer.text())) };
    }
    let mut ahead = blocks(bytes).take(if way == Way::Both { usize::MAX } else { 0 });
    for part in ahead.by_ref().take(usize::try_from(WINDOW).expect("a few")) {
        send_block(talk, part, &mut block)?;
    }
    talk.stream.flush()?;
    let head = talk.head()?.ok_or_else(|| io::Error::other("no answer"))?;
    if head.status() != 200 {
        return Err(io::Error::other(head.raw));
    }
    for part in blocks(bytes) {
        note(part.number);
        check_block(talk, part, &mut block)?;
        if let Some(next) = ahead.next() {
            send_block(talk, next, &mut block)?;
            talk.stream.flush()?;
        }
    }
    Ok(())
}

/// Least and most memory while the second half flows.
fn watch(id: u32, half: &AtomicBool, done: &AtomicBool) -> MemoryRange {
    let (mut least, mut most) = (u64::MAX, 0);
    while !done.load(Ordering::SeqCst) {
        if half.load(Ordering::SeqCst) {
            let now = memory(id);
            (least, most) = (least.min(now), most.max(now));
        }
        thread::park_timeout(Duration::from_millis(20));
    }
    MemoryRange { least: least.min(most), most }
}

impl StreamReport {
    /// By how many KiB memory moved while the second half flowed.
    #[must_use]
    pub const fn swing(&self) -> u64 {
        self.memory.most - self.memory.least
    }

    /// The most memory, in KiB.
    #[must_use]
    pub const fn peak(&self) -> u64 {
        self.memory.most
    }
}

/// One row.
impl fmt::Display for StreamReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { driver, way, bytes, time, memory: MemoryRange { least, most } } = self;
        let rate = u128::from(*bytes) * 1_000 / time.as_millis().max(1) / (1 << 20);
        let (word, mib) = (way.word(), bytes >> 20);
        let seconds = time.as_secs_f64();
        write!(
            out,
            "| {driver} | {word} | {mib} MiB in {seconds:.1} s, {rate} MiB/s | every byte right | \
             {least} to {most} KiB, {} apart |",
            self.swing()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_differ_and_add_up() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..100 {
            let mut block = [0; 100];
            fill(number, &mut block);
            assert!(seen.insert(block));
        }
        for bytes in [0, 1, BLOCK_BYTES as u64, 3 * BLOCK_BYTES as u64 + 7] {
            assert_eq!(blocks(bytes).map(|block| block.size as u64).sum::<u64>(), bytes);
        }
    }
}
