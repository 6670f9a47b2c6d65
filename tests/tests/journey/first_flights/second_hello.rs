//! A server name that is none, after a `HelloRetryRequest`: the same name or nothing.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use ferrule_tests::PATIENCE;

use super::{Draft, GROUPS, KEY_SHARE, on_both, records, shorts, vector16};

const ILLEGAL_PARAMETER: u8 = 47;
const CHANGE_CIPHER_SPEC: [u8; 6] = [20, 3, 3, 0, 1, 1];

/// A hello whose one key is of a group that the server does not have (P-521).
fn first(name: &[u8]) -> Vec<u8> {
    let share = [&[0, 0x19, 0, 133][..], &[4; 133]].concat();
    let draft = Draft::tls13().with(GROUPS, vector16(&shorts(&[0x0019, 0x001d])));
    draft.with(KEY_SHARE, vector16(&share)).named(name).bytes()
}

/// The hello that was asked for.
fn second(name: &[u8]) -> Draft {
    Draft::tls13().with(GROUPS, vector16(&shorts(&[0x0019, 0x001d]))).named(name)
}

fn record(socket: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut header = [0; 5];
    socket.read_exact(&mut header).expect("a record");
    let mut content = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    socket.read_exact(&mut content).expect("a whole record");
    (header[0], content)
}

/// The record that answers `flight` after a `HelloRetryRequest`; its type and its content.
fn told(port: u16, name: &[u8], flight: &[&[u8]]) -> (u8, Vec<u8>) {
    told_early(port, name, b"", flight)
}

/// The same, with so much of the flight right behind the first hello.
fn told_early(port: u16, name: &[u8], early: &[u8], flight: &[&[u8]]) -> (u8, Vec<u8>) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut socket = TcpStream::connect(address).expect("up");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    socket.set_nodelay(true).expect("a socket");
    socket.write_all(&[&first(name), early].concat()).expect("a connection that takes bytes");
    let (kind, asked) = record(&mut socket);
    // The random that says so (RFC 8446, section 4.1.3).
    assert_eq!((kind, asked.get(6..10)), (22, Some(&[0xcf, 0x21, 0xad, 0x74][..])), "{name:?}");
    for piece in flight {
        socket.write_all(piece).expect("a connection that takes bytes");
    }
    loop {
        match record(&mut socket) {
            (20, _) => {}
            other => return other,
        }
    }
}

#[test]
fn the_name_of_a_second_hello_is_the_same_and_hidden_as_well() {
    on_both(|gateway, _| {
        let port = gateway.port("lenient");
        for name in [&b"*.x"[..], b"x:443", b"", b"\xff\x00"] {
            for size in [1, 3, 16_384] {
                let hello = records(22, &second(name).message(), size);
                for flight in [&[&hello[..]][..], &[&CHANGE_CIPHER_SPEC, &hello]] {
                    let (kind, content) = told(port, name, flight);
                    assert_eq!((kind, content.first()), (22, Some(&2)), "{name:?} {size}");
                }
                let (start, end) = hello.split_at(hello.len() / 2);
                let (kind, content) = told(
                    port,
                    name,
                    &[&CHANGE_CIPHER_SPEC[..3], &CHANGE_CIPHER_SPEC[3..], start, end],
                );
                assert_eq!((kind, content.first()), (22, Some(&2)), "{name:?} in pieces of {size}");
            }
            let none = second(name).without(super::SERVER_NAME);
            for other in [second(b"y:1"), second(b"x"), second(b"*.X"), none] {
                let (kind, content) = told(port, name, &[&other.bytes()]);
                assert_eq!((kind, &content[..]), (21, &[2, ILLEGAL_PARAMETER][..]), "{name:?}");
            }
        }
    });
}

/// What comes before it was asked for may have been shown to rustls: served if it was no whole record,
/// refused otherwise.
#[test]
fn a_second_hello_that_begins_too_early_is_served_or_refused() {
    on_both(|gateway, _| {
        let port = gateway.port("lenient");
        for size in [3, 16_384] {
            let hello = records(22, &second(b"*.x").message(), size);
            for cut in [1, 4, 5, 7, 8, 9, 40, hello.len() - 1, hello.len()] {
                let (early, late) = hello.split_at(cut);
                let (kind, content) = told_early(port, b"*.x", early, &[late]);
                let whole = cut >= 5 + size.min(hello.len() - 5);
                let expected: &[u8] = if whole { &[2, ILLEGAL_PARAMETER] } else { &[2] };
                let got = if kind == 22 { content.get(..1) } else { Some(&content[..]) };
                assert_eq!(got, Some(expected), "{cut} of {} in {size}", hello.len());
            }
        }
    });
}

/// What is not the hello that was asked for is told so.
#[test]
fn something_else_in_the_place_of_a_second_hello_is_refused() {
    let finished = records(22, &super::message(20, &[0; 32]), 99);
    let cases: [(&[u8], u8); 6] = [
        (&finished, super::UNEXPECTED_MESSAGE),
        (&[24, 3, 3, 0, 3, 1, 0, 0], super::UNEXPECTED_MESSAGE),
        (&[0, 3, 3, 0, 1, 0], super::UNEXPECTED_MESSAGE),
        (&[23, 3, 3, 0, 1, 0], super::UNEXPECTED_MESSAGE),
        (&[22, 3, 3, 0, 0, 0], super::DECODE_ERROR),
        (&[22, 3, 3, 0x40, 1, 0], super::RECORD_OVERFLOW),
    ];
    on_both(|gateway, _| {
        for (flight, alert) in cases {
            let (kind, content) = told(gateway.port("lenient"), b"*.x", &[flight]);
            assert_eq!((kind, &content[..]), (21, &[2, alert][..]), "{flight:?}");
        }
    });
}
