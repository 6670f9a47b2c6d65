//! A DNS server on a loopback port that answers as its script says: messages are made by hand here, so that they
//! may be wrong in any way. Shares no code with the engine's.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name, lower case, without a trailing dot.
    pub name: String,
    /// The number of the record type.
    pub rtype: u16,
    /// The query came over TCP.
    pub tcp: bool,
    bytes: Vec<u8>,
}

/// What a record says.
#[derive(Clone, Debug)]
pub enum Data {
    /// An A or AAAA record.
    Address(IpAddr),
    /// A CNAME record.
    Alias(&'static str),
    /// An SRV record: priority, weight, port, target.
    Service([u16; 3], &'static str),
}

/// A record: owner, TTL in seconds, data.
pub type Record = (&'static str, u32, Data);

/// Messages to send for a question; over TCP only the first is.
pub type Answers = Arc<dyn Fn(&Question) -> Vec<Vec<u8>> + Send + Sync>;

/// A running server. Ends with the value.
pub struct DnsServer {
    /// Where it listens on 127.0.0.1, over UDP and TCP.
    pub port: u16,
    asked: Arc<Mutex<Vec<Question>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

fn name_bytes(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).expect("a short label"));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

impl Data {
    const fn rtype(&self) -> u16 {
        match self {
            Self::Address(IpAddr::V4(_)) => A,
            Self::Address(IpAddr::V6(_)) => AAAA,
            Self::Alias(_) => CNAME,
            Self::Service(..) => SRV,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Address(IpAddr::V4(address)) => address.octets().to_vec(),
            Self::Address(IpAddr::V6(address)) => address.octets().to_vec(),
            Self::Alias(name) => name_bytes(name),
            Self::Service(numbers, target) => {
                let numbers = numbers.iter().flat_map(|number| number.to_be_bytes());
                numbers.chain(name_bytes(target)).collect()
            }
        }
    }
}

impl Question {
    fn read(bytes: &[u8], tcp: bool) -> Option<Self> {
        let (mut at, mut labels) = (12, Vec::new());
        loop {
            let len = usize::from(*bytes.get(at)?);
            if len == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(bytes.get(at + 1..=at + len)?).into_owned());
            at += len + 1;
        }
        let rtype = u16::from_be_bytes([*bytes.get(at + 1)?, *bytes.get(at + 2)?]);
        let name = labels.join(".").to_ascii_lowercase();
        Some(Self { name, rtype, tcp, bytes: bytes.get(..at + 5)?.to_vec() })
    }

    /// The id of the query.
    #[must_use]
    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    /// An answer with these flags and records.
    #[must_use]
    pub fn answer(&self, flags: u16, records: &[Record]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        let count = u16::try_from(records.len()).expect("few records");
        bytes[6..8].copy_from_slice(&count.to_be_bytes());
        bytes[8..12].fill(0);
        for (owner, ttl, data) in records {
            bytes.extend(name_bytes(owner));
            bytes.extend(data.rtype().to_be_bytes());
            bytes.extend([0, 1]);
            bytes.extend(ttl.to_be_bytes());
            let data = data.bytes();
            bytes.extend(u16::try_from(data.len()).expect("short data").to_be_bytes());
            bytes.extend(data);
        }
        bytes
    }

    /// A good answer: those of the records that belong to the name and type, and the aliases that lead to them.
    /// A name without any record does not exist.
    #[must_use]
    pub fn from_zone(&self, zone: &[Record]) -> Vec<u8> {
        let mut name = self.name.clone();
        let mut found: Vec<Record> = Vec::new();
        let mut known = false;
        for _ in 0..zone.len() + 1 {
            let of_name = || zone.iter().filter(|record| record.0 == name);
            known |= of_name().next().is_some();
            found.extend(of_name().filter(|record| record.2.rtype() == self.rtype).cloned());
            let alias = of_name().find(|record| matches!(record.2, Data::Alias(_))).cloned();
            let Some(alias) = alias else { break };
            if let Data::Alias(to) = alias.2 {
                name = to.to_owned();
            }
            found.push(alias);
        }
        self.answer(if known { GOOD } else { NXDOMAIN }, &found)
    }
}

/// Flags of an answer.
pub const GOOD: u16 = 0x8180;
/// Flags of an answer that says that there is no such name.
pub const NXDOMAIN: u16 = 0x8183;
/// Flags of an answer that was cut.
pub const CUT: u16 = 0x8380;
/// Flags of a server that fails.
pub const SERVFAIL: u16 = 0x8182;

/// An IPv4 or IPv6 address as data of a record.
#[must_use]
pub fn address(text: &str) -> Data {
    Data::Address(text.parse().expect("an address"))
}

impl DnsServer {
    /// On a free port.
    #[must_use]
    pub fn start(answers: &Answers) -> Self {
        let (udp, tcp) = (0..100)
            .find_map(|_| {
                let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
                let udp = UdpSocket::bind(tcp.local_addr().ok()?).ok()?;
                Some((udp, tcp))
            })
            .expect("a port that is free for both");
        let port = tcp.local_addr().expect("a bound socket").port();
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::default()));
        let ends = || (Arc::clone(&stop), Arc::clone(answers), Arc::clone(&asked));
        let (over_udp, over_tcp) = (ends(), ends());
        let threads = vec![
            thread::spawn(move || {
                let mut buffer = [0; 2048];
                while let Ok((len, from)) = udp.recv_from(&mut buffer) {
                    if over_udp.0.load(Ordering::Relaxed) {
                        return;
                    }
                    let Some(question) = Question::read(&buffer[..len], false) else { continue };
                    note(&over_udp.2, &question);
                    for answer in (over_udp.1)(&question) {
                        drop(udp.send_to(&answer, from));
                    }
                }
            }),
            thread::spawn(move || {
                while let Ok((stream, _)) = tcp.accept() {
                    if over_tcp.0.load(Ordering::Relaxed) {
                        return;
                    }
                    drop(serve(stream, &over_tcp.1, &over_tcp.2));
                }
            }),
        ];
        Self { port, asked, stop, threads }
    }

    /// What was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn note(asked: &Mutex<Vec<Question>>, question: &Question) {
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(question.clone());
}

fn serve(
    mut stream: TcpStream,
    answers: &Answers,
    asked: &Mutex<Vec<Question>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut query)?;
    let Some(question) = Question::read(&query, true) else { return Ok(()) };
    note(asked, &question);
    if let Some(answer) = answers(&question).first() {
        let len = u16::try_from(answer.len()).expect("a short answer").to_be_bytes();
        stream.write_all(&[&len[..], answer].concat())?;
    }
    Ok(())
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let own = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        drop(TcpStream::connect(own));
        if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
            drop(socket.send_to(b"end", own));
        }
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}
