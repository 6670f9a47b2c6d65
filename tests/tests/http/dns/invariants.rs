//! What has to hold for any answer of a name server. The tests and the fuzz target call the same function; it panics
//! where an invariant is broken.

use std::net::IpAddr;

use ferrule_engine::control::names::message::{MessageFault, Query, RECORDS_MAX, RecordType};

/// The id of the query.
pub(crate) const ID: u16 = 0x1234;

/// The name that is asked for, as DNS writes it.
pub(crate) const NAME: &[u8] = b"\x01a\x04test\x00";

/// The first byte says what was asked for, the others are the answer: it is refused unless it answers exactly this
/// question under this id, and says nothing that its bytes do not.
pub(crate) fn dns_answer(bytes: &[u8]) {
    let Some((kind, answer)) = bytes.split_first() else { return };
    let (wanted, number) = match kind % 3 {
        0 => (RecordType::A, 1),
        1 => (RecordType::Aaaa, 28),
        _ => (RecordType::Srv, 33),
    };
    let query = Query::new(ID, "a.test", wanted).unwrap();
    let found = query.read(answer);
    if found == Err(MessageFault::Foreign) {
        return;
    }
    assert!(is_ours(answer, number), "it answers another question, or none: {found:?}");
    let Ok(records) = found else { return };
    assert!(records.addresses.len() <= RECORDS_MAX && records.services.len() <= RECORDS_MAX);
    let holds = |wanted: &[u8]| answer.windows(wanted.len()).any(|bytes| bytes == wanted);
    for address in &records.addresses {
        match address {
            IpAddr::V4(address) => assert!(wanted == RecordType::A && holds(&address.octets())),
            IpAddr::V6(address) => assert!(wanted == RecordType::Aaaa && holds(&address.octets())),
        }
    }
    for service in &records.services {
        assert!(wanted == RecordType::Srv && holds(&service.port.to_be_bytes()));
        assert!(service.port > 0 && !service.target.is_empty());
    }
    let found = !records.addresses.is_empty() || !records.services.is_empty();
    assert!(!found || (records.ttl.is_some() && records.alias.is_none()));
}

/// Read without any parser: a response of this id with our question alone, which begins behind the header.
fn is_ours(answer: &[u8], number: u8) -> bool {
    let question = [NAME, &[0, number, 0, 1]].concat();
    let [high, low] = ID.to_be_bytes();
    let header = answer.get(..12).unwrap_or_default();
    let id_and_count = matches!(header, [a, b, flags, _, 0, 1, ..]
        if (*a, *b) == (high, low) && flags & 0x80 != 0);
    let asked = answer.get(12..12 + question.len()).unwrap_or_default();
    id_and_count && asked.eq_ignore_ascii_case(&question)
}
