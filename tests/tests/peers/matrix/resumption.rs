//! A session of one name, offered to every other.

use ferrule_tests::Dial;
use rustls::version::{TLS12, TLS13};
use strum::VariantArray;

use crate::matrix::peers::{ASKED, Came, KINDS, Kind, Peer, World, dial};

/// How a client remembers its session.
#[derive(Clone, Copy, Debug, VariantArray)]
enum Memory {
    Tls12Id,
    Tls12Ticket,
    Tls13,
}

impl Memory {
    fn dial(self, name: &str, leaf: Option<&ferrule_tests::Leaf>) -> Dial {
        match self {
            Self::Tls12Id => dial(Some(name), leaf, &[&TLS12]).resuming().without_tickets(),
            Self::Tls12Ticket => dial(Some(name), leaf, &[&TLS12]).resuming(),
            Self::Tls13 => dial(Some(name), leaf, &[&TLS13]).resuming(),
        }
    }
}

#[derive(Debug, Default, Eq, PartialEq)]
struct Tally {
    offered: u32,
    /// On the name that gave the session.
    resumed_at_home: u32,
    resumed_elsewhere: u32,
    /// In, where a full handshake does not let this client in.
    let_in: u32,
    /// Out, where a full handshake lets this client in.
    locked_out: u32,
}

impl Tally {
    fn note(&mut self, home: bool, came: Came, full: Came) {
        self.offered += 1;
        let resumed = matches!(came, Came::Answer { resumed: true, .. });
        self.resumed_at_home += u32::from(resumed && home);
        self.resumed_elsewhere += u32::from(resumed && !home);
        self.let_in += u32::from(came.got_in() && !full.got_in());
        self.locked_out += u32::from(!came.got_in() && full.got_in());
    }
}

fn offer_everywhere(world: &World, peer: &Peer, memory: Memory) -> Tally {
    let mut tally = Tally::default();
    for leaf in world.clients() {
        for from in ASKED {
            for to in ASKED {
                // A memory of its own for each pair, so that nothing is spent or renewed between.
                let held = memory.dial(from, leaf.as_ref());
                if !peer.visit(&held, (from, "/")).got_in() {
                    continue;
                }
                let full = peer.visit(&memory.dial(to, leaf.as_ref()), (to, "/"));
                let came = peer.visit(&held.to(to), (to, "/"));
                tally.note(from == to, came, full);
            }
        }
    }
    tally
}

#[test]
fn a_session_opens_what_a_full_handshake_would() {
    let world = World::new();
    println!("| proxy | memory | offered | resumed at home | elsewhere | let in | locked out |");
    println!("| --- | --- | --: | --: | --: | --: | --: |");
    for kind in KINDS {
        let peer = world.peer(kind);
        for memory in Memory::VARIANTS.iter().copied() {
            let tally = offer_everywhere(&world, &peer, memory);
            println!(
                "| {:?} | {memory:?} | {} | {} | {} | {} | {} |",
                peer.kind,
                tally.offered,
                tally.resumed_at_home,
                tally.resumed_elsewhere,
                tally.let_in,
                tally.locked_out
            );
            if matches!(kind, Kind::Ferrule(_)) {
                // Three clients get in at the open name, one at each closed one, two where it is
                // optional: seven, each offered to four names.
                let expected = Tally { offered: 28, resumed_at_home: 7, ..Tally::default() };
                assert_eq!(tally, expected, "{kind:?} {memory:?}");
            }
        }
    }
}
