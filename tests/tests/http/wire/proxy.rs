//! PROXY protocol headers: tables of bytes and verdicts, each in every split; random ones; and what
//! another reader (`ppp`) makes of the same bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ferrule_engine::wire::proxy::{Ends, HEADER_BYTES_MAX, ProxyError, SIGNATURE, parse_header};
use ferrule_engine::wire::proxy_write::{self, Version2};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;

use super::invariants;

type Verdict = Result<Option<(usize, Option<(String, String)>)>, ProxyError>;

/// The verdict, after it was found to be the same in every split.
fn verdict(bytes: &[u8]) -> Verdict {
    invariants::proxy_header(bytes);
    let header = parse_header(bytes)?;
    Ok(header.map(|header| {
        let ends = header.ends.map(|ends| (ends.source.to_string(), ends.destination.to_string()));
        (header.len, ends)
    }))
}

fn binary(command: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, kind][..], &len, body].concat()
}

#[expect(clippy::unnecessary_wraps, reason = "as a verdict holds it")]
fn named(source: &str, destination: &str) -> Option<(String, String)> {
    Some((source.to_owned(), destination.to_owned()))
}

const INET: &[u8] = &[192, 0, 2, 7, 192, 0, 2, 1, 0x12, 0x67, 0x01, 0xbb];

#[test]
fn lines_are_taken_exactly() {
    let inet = named("192.0.2.7:4711", "192.0.2.1:443");
    for (line, wanted) in [
        ("PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n", Some(inet)),
        ("PROXY TCP6 2001:DB8::7 ::1 0 65535\r\n", Some(named("[2001:db8::7]:0", "[::1]:65535"))),
        ("PROXY UNKNOWN\r\n", Some(None)),
        ("PROXY UNKNOWN ffff:f::ffff x y z\r\n", Some(None)),
        ("PROXY UNKNOWN \u{fc}\0\t\r\n", Some(None)),
        ("PROXY UNKNOWNS\r\n", None),
        ("PROXY unknown\r\n", None),
        ("PROXY \r\n", None),
        ("PROXY  TCP4 192.0.2.7 192.0.2.1 4711 443\r\n", None),
        ("PROXY TCP4 192.0.2.7  192.0.2.1 4711 443\r\n", None),
        ("PROXY TCP4 192.0.2.7 192.0.2.1 4711 443 \r\n", None),
        ("PROXY TCP4 192.0.2.7 192.0.2.1 4711\r\n", None),
        ("PROXY TCP4 192.0.2.7 192.0.2.1 4711 443 1\r\n", None),
        ("PROXY TCP4\t192.0.2.7 192.0.2.1 4711 443\r\n", None),
        ("PROXY TCP5 192.0.2.7 192.0.2.1 4711 443\r\n", None),
        ("PROXY UDP4 192.0.2.7 192.0.2.1 4711 443\r\n", None),
        ("PROXY TCP4 ::1 ::2 4711 443\r\n", None),
        ("PROXY TCP6 192.0.2.7 192.0.2.1 4711 443\r\n", None),
        ("PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 443\r\n", None),
        ("PROXY TCP6 fe80::1%1 ::1 4711 443\r\n", None),
        ("PROXY TCP4 192.0.2.07 192.0.2.1 4711 443\r\n", None),
        ("PROXY TCP4 192.0.2.256 192.0.2.1 4711 443\r\n", None),
        ("PROXY TCP4 192.0.2 192.0.2.1 4711 443\r\n", None),
        ("PROXY TCP4 192.0.2.7 192.0.2.1 04711 443\r\n", None),
        ("PROXY TCP4 192.0.2.7 192.0.2.1 +4711 443\r\n", None),
        ("PROXY TCP4 192.0.2.7 192.0.2.1 65536 443\r\n", None),
        ("PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\n", None),
        ("PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\rX", None),
        ("PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\n\r\n", None),
    ] {
        let wanted = wanted.map(|ends| Some((line.len(), ends))).ok_or(ProxyError::BadLine);
        assert_eq!(verdict(line.as_bytes()), wanted, "{line:?}");
        let behind = format!("{line}\r\nGET / HTTP/1.1\r\n");
        if wanted.is_ok() {
            assert_eq!(verdict(behind.as_bytes()), wanted, "{behind:?}");
        }
    }
}

#[test]
fn a_line_is_bounded() {
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(91));
    assert_eq!(longest.len(), 107);
    assert_eq!(verdict(longest.as_bytes()), Ok(Some((107, None))));
    let longer = longest.replace('\r', "f\r");
    assert_eq!(verdict(longer.as_bytes()), Err(ProxyError::BadLine));
    // Without an end it is given up as soon as none can come in time.
    assert_eq!(verdict(&longest.as_bytes()[..105]), Ok(None));
    assert_eq!(verdict(format!("PROXY {}", "f".repeat(200)).as_bytes()), Err(ProxyError::BadLine));
}

#[test]
fn anything_else_is_no_header_from_its_first_wrong_byte_on() {
    for bytes in [
        &b"G"[..],
        b"PROXYTCP4",
        b"proxy TCP4",
        b"\r\n\r\nGET",
        b"\r\n\r\n\0\r\nQUIT\r",
        b"\x16\x03\x01",
        b" PROXY",
    ] {
        assert_eq!(verdict(bytes), Err(ProxyError::NoHeader), "{bytes:?}");
    }
    for bytes in [&b""[..], b"P", b"PROXY", b"\r\n\r\n\0", SIGNATURE] {
        assert_eq!(verdict(bytes), Ok(None), "{bytes:?}");
    }
}

#[test]
fn every_kind_of_binary_header() {
    let inet6 = [[0x20; 16], [0x30; 16]].concat();
    let inet6 = [&inet6[..], &[0, 1, 0, 2]].concat();
    let long6 = |part: &str, port| format!("[{}]:{port}", [part; 8].join(":"));
    for (command, kind, body, wanted) in [
        (0x21, 0x11, INET, Ok(named("192.0.2.7:4711", "192.0.2.1:443"))),
        (0x21, 0x21, &inet6[..], Ok(named(&long6("2020", 1), &long6("3030", 2)))),
        // Somebody without an address that means anything here.
        (0x21, 0x00, b"", Ok(None)),
        (0x21, 0x00, b"whatever this is", Ok(None)),
        (0x21, 0x12, INET, Ok(None)),
        (0x21, 0x22, &inet6, Ok(None)),
        (0x21, 0x31, &[b'/'; 216], Ok(None)),
        (0x21, 0x32, &[b'/'; 216], Ok(None)),
        // The sender itself: nothing else in the header matters.
        (0x20, 0x00, b"", Ok(None)),
        (0x20, 0x11, INET, Ok(None)),
        (0x20, 0xff, b"", Ok(None)),
        // An address that could be taken for a checksum.
        (0x20, 0x11, &[3, 0, 4, 77, 1, 1, 1], Ok(None)),
        (0x22, 0x11, INET, Err(ProxyError::Unknown)),
        (0x2f, 0x11, INET, Err(ProxyError::Unknown)),
        (0x11, 0x11, INET, Err(ProxyError::Unknown)),
        (0x31, 0x11, INET, Err(ProxyError::Unknown)),
        (0x21, 0x41, INET, Err(ProxyError::Unknown)),
        (0x21, 0x13, INET, Err(ProxyError::Unknown)),
        (0x21, 0x11, &INET[..11], Err(ProxyError::BadLength)),
        (0x21, 0x21, &inet6[..35], Err(ProxyError::BadLength)),
        (0x21, 0x31, &[b'/'; 215], Err(ProxyError::BadLength)),
    ] {
        let header = binary(command, kind, body);
        let wanted = wanted.map(|ends| Some((header.len(), ends)));
        assert_eq!(verdict(&header), wanted, "{command:x} {kind:x} {body:?}");
        if wanted.is_ok() {
            assert_eq!(verdict(&[&header[..], b"\x16\x03\x01"].concat()), wanted);
        }
    }
}

#[test]
fn values_are_laid_out_well_and_otherwise_ignored() {
    for (values, good) in [
        (&b"\x02\0\x06a.test"[..], true),
        (b"\x04\0\0", true),
        (b"\xff\0\x01x\x01\0\x02h2", true),
        (b"\x20\0\x05\x07\0\0\0\0", true),
        (b"\x02\0\x07a.test", false),
        (b"\x02\0\x05a.test", false),
        (b"\x02", false),
        (b"\x02\0", false),
        (b"\x03\0\x03abc", false),
    ] {
        let header = binary(0x21, 0x11, &[INET, values].concat());
        let named = named("192.0.2.7:4711", "192.0.2.1:443");
        let wanted =
            if good { Ok(Some((header.len(), named))) } else { Err(ProxyError::BadValues) };
        assert_eq!(verdict(&header), wanted, "{values:?}");
    }
    let bytes = vec![0; HEADER_BYTES_MAX - 16];
    assert!(parse_header(&binary(0x21, 0, &bytes)).is_ok());
    let bytes = vec![0; HEADER_BYTES_MAX - 15];
    assert_eq!(parse_header(&binary(0x21, 0, &bytes)[..16]), Err(ProxyError::BadLength));
}

fn summed(ends: &Ends) -> Vec<u8> {
    let mut header = Version2::new(ends);
    header.value(2, b"a.test");
    header.checksum();
    header.value(4, b"pad");
    header.finish().unwrap()
}

#[test]
fn a_checksum_that_is_there_must_be_right() {
    let ends = Ends {
        source: "[2001:db8::7]:1".parse().unwrap(),
        destination: "[::1]:2".parse().unwrap(),
    };
    let good = summed(&ends);
    assert!(matches!(verdict(&good), Ok(Some(_))));
    // Whatever bit is wrong, behind the fixed part: nothing of it is believed.
    for at in 16..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        let found = verdict(&bad);
        // A type or a length that changed may hide the sum itself, or break the layout.
        let layout = [52, 53, 54, 61, 62, 63, 68, 69, 70].contains(&at);
        assert!(layout || found == Err(ProxyError::BadChecksum), "{at}: {found:?}");
    }
    let mut twice = Version2::new(&ends);
    twice.checksum();
    twice.checksum();
    assert!(parse_header(&twice.finish().unwrap()).is_err());
}

#[test]
fn two_families_become_one() {
    let ends = Ends {
        source: "[2001:db8::7]:1".parse().unwrap(),
        destination: "10.0.0.1:2".parse().unwrap(),
    };
    let mut line = Vec::new();
    proxy_write::version_1(&ends, &mut line);
    assert_eq!(line, b"PROXY TCP6 2001:db8::7 0:0:0:0:0:ffff:a00:1 1 2\r\n");
    let read = parse_header(&Version2::new(&ends).finish().unwrap()).unwrap().unwrap();
    assert_eq!(read.ends.unwrap().destination, "[::ffff:10.0.0.1]:2".parse().unwrap());
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| IpAddr::from(Ipv4Addr::from(octets))),
        any::<[u8; 16]>().prop_map(|octets| IpAddr::from(Ipv6Addr::from(octets))),
        Just6::any(),
    ];
    (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

/// IPv6 addresses with many zeros, and those that hold IPv4 ones.
struct Just6;

impl Just6 {
    fn any() -> impl Strategy<Value = IpAddr> {
        let segments = vec(select(&[0_u16, 0, 0, 1, 0xffff][..]), 8);
        segments.prop_map(|segments| {
            let mut whole = [0; 8];
            whole.copy_from_slice(&segments);
            IpAddr::from(Ipv6Addr::from(whole))
        })
    }
}

/// Pieces of headers, put together anyhow.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&[u8]] = &[
        b"PROXY ",
        b"TCP4 ",
        b"TCP6 ",
        b"UNKNOWN",
        b"192.0.2.1 ",
        b"::1 ",
        b"80 ",
        b"443",
        b"\r\n",
        b"\n",
        SIGNATURE,
        b"\x21\x11\0\x0c",
        b"\x21\x11\0\x13",
        b"\x21\x21\0\x24",
        b"\x20\0\0\0",
        b"\x21\0\0\x07",
        INET,
        b"\x03\0\x04",
        b"\x02\0\x04",
        b"\0\0\0\0",
    ];
    let piece = prop_oneof![
        8 => select(PIECES).prop_map(|piece: &[u8]| piece.to_vec()),
        1 => vec(any::<u8>(), 1..5),
    ];
    vec(piece, 1..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn random_bytes_keep_the_invariants(bytes in pieces()) {
        invariants::proxy_header(&bytes);
    }

    #[test]
    fn what_is_written_is_read_by_both_readers(source in address(), destination in address()) {
        let ends = Ends { source, destination };
        let mut line = Vec::new();
        proxy_write::version_1(&ends, &mut line);
        for written in [line, summed(&ends)] {
            invariants::proxy_header(&written);
            let read = parse_header(&written).unwrap().unwrap().ends;
            prop_assert_eq!(theirs(&written), Some(read));
        }
    }

    /// Where we take a header, the other reader finds the same one in the same bytes.
    #[test]
    fn the_other_reader_agrees_where_we_accept(bytes in pieces()) {
        if let Ok(Some(header)) = parse_header(&bytes)
            && header.ends.is_some()
        {
            prop_assert_eq!(theirs(&bytes[..header.len]), Some(header.ends));
        }
    }
}

/// What `ppp` reads: the ends, if they are those of TCP connections.
fn theirs(bytes: &[u8]) -> Option<Option<Ends>> {
    if bytes.starts_with(SIGNATURE) {
        let header = ppp::v2::Header::try_from(bytes).ok()?;
        return Some(match header.addresses {
            ppp::v2::Addresses::IPv4(one) => Some(Ends {
                source: (one.source_address, one.source_port).into(),
                destination: (one.destination_address, one.destination_port).into(),
            }),
            ppp::v2::Addresses::IPv6(one) => Some(Ends {
                source: (one.source_address, one.source_port).into(),
                destination: (one.destination_address, one.destination_port).into(),
            }),
            ppp::v2::Addresses::Unspecified | ppp::v2::Addresses::Unix(_) => None,
        });
    }
    let header = ppp::v1::Header::try_from(bytes).ok()?;
    Some(match header.addresses {
        ppp::v1::Addresses::Tcp4(one) => Some(Ends {
            source: (one.source_address, one.source_port).into(),
            destination: (one.destination_address, one.destination_port).into(),
        }),
        ppp::v1::Addresses::Tcp6(one) => Some(Ends {
            source: (one.source_address, one.source_port).into(),
            destination: (one.destination_address, one.destination_port).into(),
        }),
        ppp::v1::Addresses::Unknown => None,
    })
}
