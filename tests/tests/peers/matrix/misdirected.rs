//! A connection made for one name, and requests for every other, in every spelling: 421.

use crate::matrix::peers::{ASKED, Came, KINDS, Kind, World, dial};

/// Ways to write the host of a request: the Host field and the target.
fn spellings(name: &str) -> [(&'static str, String, String); 6] {
    let plain = || ("/".to_owned(), name.to_owned());
    let with = |label, host: String| (label, host, "/".to_owned());
    let (target, host) = plain();
    [
        ("as it is", host, target),
        with("upper case", name.to_uppercase()),
        with("dot", format!("{name}.")),
        with("port", format!("{name}:8443")),
        with("all three", format!("{}.:443", name.to_uppercase())),
        ("absolute", "ignored.test".to_owned(), format!("https://{name}/")),
    ]
}

#[derive(Debug, Default)]
struct Tally {
    asked: u32,
    misdirected: u32,
    /// Answered, where a handshake for that host does not let this client in.
    let_in: u32,
    /// Not answered, though it is the very name of the connection, and lets this client in.
    locked_out: u32,
}

#[test]
fn a_host_is_served_to_whom_its_own_name_would_let_in() {
    let world = World::new();
    println!("| proxy | asked | 421 | let in | locked out |\n| --- | --: | --: | --: | --: |");
    for kind in KINDS {
        let peer = world.peer(kind);
        let mut tally = Tally::default();
        for leaf in world.clients() {
            let own = |name: &str| {
                peer.visit(&dial(Some(name), leaf.as_ref(), rustls::ALL_VERSIONS), (name, "/"))
            };
            // Without a server name, the open name's policy holds; an unknown one is as good as none.
            let names = ASKED.iter().map(|name| Some(*name)).chain([None, Some("unknown.test")]);
            for sni in names {
                let connection = dial(sni, leaf.as_ref(), rustls::ALL_VERSIONS);
                for name in ASKED.iter().chain(&["y.maybe.test"]) {
                    for (label, host, target) in spellings(name) {
                        let full = own(name);
                        let came = peer.visit(&connection, (&host, &target));
                        tally.asked += 1;
                        tally.misdirected +=
                            u32::from(matches!(came, Came::Answer { status: 421, .. }));
                        let fault = (
                            came.got_in() && !full.got_in(),
                            sni == Some(name) && full.got_in() && !came.got_in(),
                        );
                        tally.let_in += u32::from(fault.0);
                        tally.locked_out += u32::from(fault.1);
                        if matches!(kind, Kind::Ferrule(_)) {
                            let case = format!("{sni:?} -> {name}, {label}: {came:?}, {full:?}");
                            assert_eq!(fault, (false, false), "{case}");
                        }
                    }
                }
            }
        }
        println!(
            "| {kind:?} | {} | {} | {} | {} |",
            tally.asked, tally.misdirected, tally.let_in, tally.locked_out
        );
    }
}
