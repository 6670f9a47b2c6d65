//! DNS messages (RFC 1035): a query as bytes, and what an answer to exactly this query says.
//!
//! In: bytes from a server, or from somebody who pretends to be it. Out: records of the name that was asked for,
//! or of the name that its aliases lead to. Everything else in a message is passed over.

use std::net::IpAddr;
use std::time::Duration;

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::message_builder::MessageBuilder;
use domain::base::wire::ParseError;
use domain::base::{Message, Name, ToName, Ttl};
use domain::rdata::{A, Aaaa, Cname, Srv};

/// Addresses of one name, and services of one SRV name, that are looked at; the rest is left out.
pub const RECORDS_MAX: usize = 32;

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses (RFC 3596).
    Aaaa,
    /// Services (RFC 2782).
    Srv,
}

/// A service's target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceTarget {
    /// Lower is asked first.
    pub priority: u16,
    /// The share among those of the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The name of the host, without its trailing dot.
    pub target: String,
}

/// What an answer says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Records {
    /// Addresses, for A and AAAA.
    pub addresses: Vec<IpAddr>,
    /// Services, for SRV.
    pub services: Vec<ServiceTarget>,
    /// How long this is good for: the least TTL of the records, aliases included.
    pub ttl: Option<Duration>,
    /// Where aliases lead if the server has not followed them to the end.
    pub alias: Option<String>,
}

/// Why a message does not answer the query.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MessageFault {
    /// It answers another query, or none: whoever sent it does not know what was asked.
    #[error("the message answers another query")]
    Foreign,
    /// It was cut, and is to be asked for over TCP.
    #[error("the answer was cut")]
    Truncated,
    /// The name does not exist.
    #[error("no such name (NXDOMAIN)")]
    NoSuchName,
    /// The server cannot or will not answer.
    #[error("the server answered {0}")]
    Refused(Rcode),
    /// The answer is not laid out as such, or its aliases go round.
    #[error("the answer is malformed")]
    Malformed,
}

/// A query.
#[derive(Clone, Debug)]
pub struct Query {
    message: Message<Vec<u8>>,
    name: Name<Vec<u8>>,
    wanted: RecordType,
}

impl Query {
    /// A query under this id; `None` if this is no name of DNS.
    #[must_use]
    pub fn new(id: u16, name: &str, wanted: RecordType) -> Option<Self> {
        let name = Name::vec_from_str(name).ok()?;
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(id);
        builder.header_mut().set_rd(true);
        let mut question = builder.question();
        let rtype = match wanted {
            RecordType::A => Rtype::A,
            RecordType::Aaaa => Rtype::AAAA,
            RecordType::Srv => Rtype::SRV,
        };
        question.push((&name, rtype, Class::IN)).ok()?;
        Some(Self { message: question.into_message(), name, wanted })
    }

    /// Its bytes, as UDP carries them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.message.as_slice()
    }

    /// What a message says to this query; a name without such records has none, which is no fault.
    ///
    /// # Errors
    /// As [`MessageFault`] says.
    pub fn read(&self, bytes: &[u8]) -> Result<Records, MessageFault> {
        let message = Message::from_slice(bytes).map_err(|_| MessageFault::Foreign)?;
        if !message.is_answer(&self.message) {
            return Err(MessageFault::Foreign);
        }
        if message.header().tc() {
            return Err(MessageFault::Truncated);
        }
        match message.header().rcode() {
            Rcode::NOERROR => {}
            Rcode::NXDOMAIN => return Err(MessageFault::NoSuchName),
            other => return Err(MessageFault::Refused(other)),
        }
        // Bounded by the crate: 20 aliases.
        let owner = message.canonical_name().ok_or(MessageFault::Malformed)?;
        let mut records = Records::default();
        self.collect(message, &owner, &mut records).map_err(|_| MessageFault::Malformed)?;
        let found = !records.addresses.is_empty() || !records.services.is_empty();
        if !found && !owner.name_eq(&self.name) {
            records.alias = Some(owner.to_string());
        }
        Ok(records)
    }

    /// The records of this owner that were asked for, and the TTLs of all aliases.
    fn collect(
        &self,
        message: &Message<[u8]>,
        owner: &impl ToName,
        records: &mut Records,
    ) -> Result<(), ParseError> {
        let answer = message.answer()?;
        for record in answer.limit_to_in::<Cname<_>>() {
            records.shorten(record?.ttl());
        }
        match self.wanted {
            RecordType::A => {
                for record in answer.limit_to_in::<A>() {
                    let record = record?;
                    if record.owner().name_eq(owner) {
                        records.add_address(record.data().addr().into(), record.ttl());
                    }
                }
            }
            RecordType::Aaaa => {
                for record in answer.limit_to_in::<Aaaa>() {
                    let record = record?;
                    if record.owner().name_eq(owner) {
                        records.add_address(record.data().addr().into(), record.ttl());
                    }
                }
            }
            RecordType::Srv => {
                for record in answer.limit_to_in::<Srv<_>>() {
                    let record = record?;
                    if record.owner().name_eq(owner) {
                        let service = record.data();
                        records.add_service(
                            ServiceTarget {
                                priority: service.priority(),
                                weight: service.weight(),
                                port: service.port(),
                                target: service.target().to_string(),
                            },
                            record.ttl(),
                        );
                    }
                }
            }
        }
        Ok(())
    }
}

impl Records {
    fn shorten(&mut self, ttl: Ttl) {
        let ttl = Duration::from_secs(ttl.as_secs().into());
        self.ttl = Some(self.ttl.map_or(ttl, |known| known.min(ttl)));
    }

    fn add_address(&mut self, address: IpAddr, ttl: Ttl) {
        self.shorten(ttl);
        if self.addresses.len() < RECORDS_MAX && !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }

    fn add_service(&mut self, service: ServiceTarget, ttl: Ttl) {
        self.shorten(ttl);
        // A target of "." says that there is no such service.
        if self.services.len() < RECORDS_MAX
            && service.port > 0
            && !matches!(service.target.as_str(), "" | ".")
        {
            self.services.push(service);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: u16 = 0x1234;

    /// One record: owner and data as raw bytes.
    fn record(owner: &[u8], rtype: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
        let mut all = owner.to_vec();
        all.extend(rtype.to_be_bytes());
        all.extend([0, 1]);
        all.extend(ttl.to_be_bytes());
        all.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        all.extend(data);
        all
    }

    fn answer(query: &Query, flags: u16, records: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = query.bytes().to_vec();
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        bytes[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
        bytes.extend(records.concat());
        bytes
    }

    const GOOD: u16 = 0x8180;
    const QNAME: &[u8] = &[0xc0, 12];

    fn query(wanted: RecordType) -> Query {
        Query::new(ID, "a.test", wanted).unwrap()
    }

    #[test]
    fn addresses_have_the_least_ttl() {
        let query = query(RecordType::A);
        let all = [
            record(QNAME, 1, 60, &[10, 0, 0, 1]),
            record(QNAME, 1, 7, &[10, 0, 0, 2]),
            record(QNAME, 1, 7, &[10, 0, 0, 2]),
            record(b"\x01b\x04test\x00", 1, 1, &[10, 9, 9, 9]),
        ];
        let found = query.read(&answer(&query, GOOD, &all)).unwrap();
        assert_eq!(found.ttl, Some(Duration::from_secs(7)));
        let wanted: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
        assert_eq!(found.addresses, wanted, "not what belongs to another name");
        assert_eq!(query.read(&answer(&query, GOOD, &[])).unwrap(), Records::default());
    }

    #[test]
    fn aliases_are_followed_as_far_as_the_message_goes() {
        let query = query(RecordType::A);
        let alias = record(QNAME, 5, 9, b"\x01b\x04test\x00");
        let end = record(b"\x01b\x04test\x00", 1, 60, &[10, 0, 0, 3]);
        let found = query.read(&answer(&query, GOOD, &[end, alias.clone()])).unwrap();
        assert_eq!((found.addresses.len(), found.ttl), (1, Some(Duration::from_secs(9))));
        let found = query.read(&answer(&query, GOOD, std::slice::from_ref(&alias))).unwrap();
        assert_eq!(found.alias.as_deref(), Some("b.test"));
        let back = record(b"\x01b\x04test\x00", 5, 9, QNAME);
        assert_eq!(query.read(&answer(&query, GOOD, &[alias, back])), Err(MessageFault::Malformed));
    }

    #[test]
    fn what_does_not_answer_the_query_is_not_believed() {
        let asked = query(RecordType::A);
        let all = [record(QNAME, 1, 60, &[10, 0, 0, 1])];
        let good = answer(&asked, GOOD, &all);
        assert!(asked.read(&good).is_ok());
        for (at, byte) in [(0, 0x99), (2, 0x01), (13, b'z'), (21, 28)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(asked.read(&bad), Err(MessageFault::Foreign), "byte {at}");
        }
        assert_eq!(asked.read(&answer(&asked, 0x8380, &all)), Err(MessageFault::Truncated));
        assert_eq!(asked.read(&answer(&asked, 0x8183, &all)), Err(MessageFault::NoSuchName));
        let refused = Err(MessageFault::Refused(Rcode::SERVFAIL));
        assert_eq!(asked.read(&answer(&asked, 0x8182, &all)), refused);
        // A name that points at itself, a record that is cut, an address of three bytes.
        let at = u8::try_from(asked.bytes().len()).unwrap();
        for bad in [
            record(&[0xc0, at], 1, 60, &[10, 0, 0, 1]),
            record(QNAME, 1, 60, &[10, 0, 0]),
            record(QNAME, 1, 60, &[10, 0, 0, 1])[..9].to_vec(),
        ] {
            assert_eq!(asked.read(&answer(&asked, GOOD, &[bad])), Err(MessageFault::Malformed));
        }
    }

    #[test]
    fn services_have_targets_and_ports() {
        let query = Query::new(ID, "_http._tcp.a.test", RecordType::Srv).unwrap();
        let data = |priority: u8, weight: u8, port: u8, target: &[u8]| {
            [&[0, priority, 0, weight, 0, port][..], target].concat()
        };
        let all = [
            record(QNAME, 33, 5, &data(1, 2, 80, b"\x01b\x04test\x00")),
            record(QNAME, 33, 5, &data(1, 2, 80, b"\x00")),
        ];
        let found = query.read(&answer(&query, GOOD, &all)).unwrap();
        let target = "b.test".to_owned();
        assert_eq!(found.services, [ServiceTarget { priority: 1, weight: 2, port: 80, target }]);
    }

    /// Bytes that are changed at random are read or refused, and never believed under another id.
    #[test]
    fn any_bytes_are_read_in_bounded_time() {
        let query = query(RecordType::A);
        let alias = record(QNAME, 5, 9, b"\x01b\x04test\x00");
        let good = answer(&query, GOOD, &[alias, record(QNAME, 1, 60, &[10, 0, 0, 1])]);
        let mut state = 7_u64;
        let mut below = |most: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % most
        };
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..=below(4) {
                let at = below(bytes.len());
                bytes[at] = u8::try_from(below(256)).unwrap();
            }
            bytes.truncate(1 + below(good.len()));
            if query.read(&bytes).is_ok() {
                assert_eq!(bytes[..2], ID.to_be_bytes());
            }
        }
    }
}
