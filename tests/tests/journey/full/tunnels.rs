//! Tunnels of which one side has stopped reading.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ferrule_tests::{PATIENCE, Upstream, on_both_drivers, poll, scratch};

use super::{CLOSE_NOTIFY, FLOOD, RECORD, body, busy, everywhere, filled, patiently, say, take};
use crate::bare::{ALERT, APPLICATION_DATA};
use crate::revoke;
use crate::spoken::WEBSOCKET;

#[test]
fn a_tunnel_with_one_side_full_goes_on_in_the_other_direction() {
    everywhere(|stage| {
        for client_reads in [true, false] {
            let (client, upstream) = stage.tunnel();
            let (mut open, mut full) =
                if client_reads { (client, upstream) } else { (upstream, client) };
            let name = format!("{}, {client_reads}", stage.name);
            thread::scope(|scope| {
                let records: Vec<_> = body(FLOOD)
                    .chunks(RECORD)
                    .map(|piece| open.seal(APPLICATION_DATA, piece))
                    .collect();
                let mut writing = open.socket.try_clone().expect("a descriptor");
                let written = scope
                    .spawn(move || records.iter().try_for_each(|record| writing.write_all(record)));
                filled(&full.socket);
                full.send(APPLICATION_DATA, b"one");
                open.text_until("one");
                let word = say(&mut full, stage, !client_reads);
                full.send(APPLICATION_DATA, b"two");
                open.text_until("two");
                let busy = busy(stage);
                assert!(busy < Duration::from_millis(100), "{name}: {busy:?}");
                full.send(ALERT, CLOSE_NOTIFY);
                let goodbye = open.hear().expect("a goodbye");
                assert_eq!(goodbye, (ALERT, CLOSE_NOTIFY.to_vec()), "{name}");
                assert!(take(&mut full, FLOOD, &[word], &name) == body(FLOOD), "{name}");
                written.join().expect("a writer").expect("a reader");
                open.send(ALERT, CLOSE_NOTIFY);
                assert_eq!(
                    full.hear().expect("one, too"),
                    (ALERT, CLOSE_NOTIFY.to_vec()),
                    "{name}"
                );
            });
        }
    });
}

#[test]
fn a_tunnel_whose_one_side_stays_full_ends_in_its_time() {
    patiently("1s", |stage| {
        let (mut client, upstream) = stage.tunnel();
        let records: Vec<_> =
            body(FLOOD).chunks(RECORD).map(|piece| client.seal(APPLICATION_DATA, piece)).collect();
        let mut writing = client.socket.try_clone().expect("a descriptor");
        let writer = thread::spawn(move || {
            let _ = records.iter().try_for_each(|record| writing.write_all(record));
        });
        let error = loop {
            if let Err(error) = client.hear() {
                break error.kind();
            }
        };
        // Our own patience has no part in it.
        assert_ne!(error, ErrorKind::WouldBlock, "{}", stage.name);
        // It may be reset already.
        let _ = client.socket.shutdown(Shutdown::Both);
        writer.join().expect("a writer");
        drop(upstream);
    });
}

on_both_drivers! {
    fn a_tunnel_whose_one_side_is_full_is_cut_with_its_client(driver) {
        let scratch = scratch();
        let dir = scratch.path();
        let upstream = Upstream::plain(Arc::new(|client| {
            client.request();
            client.send(&[WEBSOCKET, b"hello"].concat());
            thread::park();
        }));
        let ca = revoke::authority(dir);
        let bad = revoke::client(dir, &ca, "bad", 3);
        let gateway = revoke::tunnels(dir, driver, &upstream, "close");
        let mut raw = revoke::dig(&gateway, &bad);
        thread::spawn(move || while raw.send(&[7; RECORD]).is_ok() {});
        let upstreams = || queued_towards(upstream.port);
        assert!(poll(PATIENCE, || (upstreams() > 200_000).then_some(())).is_some(), "not full");
        revoke::write_list(dir, &ca, &[3]);
        let told = || gateway.log().contains("a tunnel was cut").then_some(());
        assert!(poll(PATIENCE, told).is_some(), "{}", gateway.log());
    }
}

/// What is unacknowledged on connections to this port.
fn queued_towards(port: u16) -> u64 {
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
    let end = format!(":{port:04X}");
    let rows = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(2);
        let towards = words.next()?.ends_with(&end);
        let (sent, _) = words.nth(1)?.split_once(':')?;
        u64::from_str_radix(sent, 16).ok().filter(|_| towards)
    });
    rows.sum()
}
