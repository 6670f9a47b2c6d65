//! `ferrule ctl events`: what happens to nodes, told as it happens, to readers who may be slow.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;

use ferrule_tests::{
    Driver, Gateway, PATIENCE, Reloaded, Setup, Upstream, echo, on_both_drivers, poll, raw, scratch,
};
use ferrule_tools::process::ferrule_binary;
use serde_json::{Value, json};

use crate::observe::ctl;

fn text(nodes: &[u16]) -> String {
    let nodes: Vec<String> = nodes.iter().map(|port| format!("\"127.0.0.1:{port}\" = 1")).collect();
    format!(
        "[admin]\nsocket = \"ctl.sock\"\n[[listen]]\naddress = \"127.0.0.1:@front@\"\n\
         [[upstreams]]\nid = \"app\"\nnodes = {{ {} }}\n\
         [[routes]]\nuri = \"/*\"\nupstream_id = \"app\"\n",
        nodes.join(", ")
    )
}

fn start(dir: &Path, driver: Driver, nodes: &[u16]) -> Gateway {
    Setup::new(dir, driver, &text(nodes)).start()
}

/// A connection on which this was said.
fn say(dir: &Path, command: &Value) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(dir.join("ctl.sock")).expect("the socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(format!("{command}\n").as_bytes()).expect("it takes a command");
    BufReader::new(stream)
}

/// The next line.
pub(super) fn line(reader: &mut BufReader<UnixStream>) -> Value {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    serde_json::from_str(&line).expect("JSON")
}

/// A reader of events, from now on and so many before.
pub(super) fn reader(dir: &Path, last: usize) -> BufReader<UnixStream> {
    let mut reader = say(dir, &json!({ "command": "events", "last": last }));
    assert_eq!(line(&mut reader)["ok"], true);
    reader
}

fn order(dir: &Path, node: &str, order: &str) {
    let wanted = json!({
        "command": "node", "upstream": "app", "node": node, "order": order, "until_reload": false,
    });
    assert_eq!(line(&mut say(dir, &wanted))["changed"], true);
}

on_both_drivers! {
    /// A node dies: whoever listens is told at once, with what, why and how long; and later ones of the last.
    fn a_node_that_dies_is_told(driver) {
        let scratch = scratch();
        let bad = Upstream::plain(Arc::new(|client| drop(client.request())));
        let good = Upstream::plain(echo());
        let mut gateway = start(scratch.path(), driver, &[bad.port, good.port]);
        let mut listener = reader(scratch.path(), 5);
        let died = poll(PATIENCE, || {
            drop(raw::plain_get(gateway.port("front"), "x", "/"));
            (bad.seen().len() >= 2).then_some(())
        });
        assert!(died.is_some());
        let told = line(&mut listener);
        assert_eq!((&told["upstream"], &told["change"]), (&"app".into(), &"tcp-failures".into()));
        assert_eq!((&told["node"], &told["state"]), (&format!("127.0.0.1:{}", bad.port).into(), &"set-aside".into()));
        assert!(told["asked_again_in_ms"].as_u64().is_some_and(|time| (10_000..=11_000).contains(&time)), "{told}");
        assert!(told["at"].as_u64().is_some_and(|at| at > 1_700_000_000), "{told}");
        // Over a reload, readers and numbers go on.
        assert_eq!(gateway.reload(&format!("{}# again\n", text(&[bad.port, good.port]))), Reloaded::Taken);
        order(scratch.path(), &format!("127.0.0.1:{}", good.port), "drain");
        let next = line(&mut listener);
        assert_eq!((&next["number"], &next["change"]), (&2.into(), &"draining".into()));
        for (last, number) in [(1, 2), (2, 1), (9, 1)] {
            assert_eq!(line(&mut reader(scratch.path(), last))["number"], number);
        }
        let (code, out, _) = ctl(scratch.path(), &["upstreams"]);
        assert!(code == Some(0) && out.contains("draining"), "{out}");
    }

    /// Two readers, and one does not read: the other one misses nothing; and that one is told what it has missed.
    fn a_reader_that_stalls_holds_up_nobody(driver) {
        const BATCH: u64 = 40;
        const ALL: u64 = 30 * BATCH;
        let scratch = scratch();
        let nodes = [Upstream::plain(echo()), Upstream::plain(echo())];
        let gateway = start(scratch.path(), driver, &[nodes[0].port, nodes[1].port]);
        let name = format!("127.0.0.1:{}", nodes[0].port);
        let (mut quick, mut stalled) = (reader(scratch.path(), 0), reader(scratch.path(), 0));
        for number in 1..=ALL {
            order(scratch.path(), &name, if number % 2 == 1 { "drain" } else { "enable" });
            if number % BATCH == 0 {
                for seen in number + 1 - BATCH..=number {
                    assert_eq!(line(&mut quick)["number"], seen);
                }
            }
        }
        let (mut told, mut lost) = (0, 0);
        while told + lost < ALL {
            let event = line(&mut stalled);
            match event["lost"].as_u64() {
                Some(count) => lost += count,
                None => {
                    told += 1;
                    assert_eq!(event["number"], told + lost, "what is missing was told");
                }
            }
        }
        assert!(lost > 0 && told >= 256, "{told} {lost}");
        // Meanwhile requests went on.
        assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
    }

    /// Readers are bounded, so that there is always room for other commands; one that leaves makes room.
    fn readers_are_bounded(driver) {
        let scratch = scratch();
        let node = Upstream::plain(echo());
        let _gateway = start(scratch.path(), driver, &[node.port]);
        let mut readers: Vec<_> = (0..8).map(|_| reader(scratch.path(), 0)).collect();
        let refused = line(&mut say(scratch.path(), &json!({ "command": "events", "last": 0 })));
        assert_eq!(refused["ok"], false, "{refused}");
        assert_eq!(ctl(scratch.path(), &["status"]).0, Some(0));
        readers.pop();
        let room = poll(PATIENCE, || {
            let answer = line(&mut say(scratch.path(), &json!({ "command": "events", "last": 0 })));
            (answer["ok"] == true).then_some(())
        });
        assert!(room.is_some());
    }

    /// The command prints the lines as they come, and ends with an error when the process does.
    fn the_command_prints_each_event(driver) {
        let scratch = scratch();
        let node = Upstream::plain(echo());
        let gateway = start(scratch.path(), driver, &[node.port]);
        let name = format!("127.0.0.1:{}", node.port);
        order(scratch.path(), &name, "drain");
        let mut child = Command::new(ferrule_binary())
            .args(["ctl", "events", "--last", "1", "--socket"])
            .arg(scratch.path().join("ctl.sock"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ferrule");
        let out = BufReader::new(child.stdout.take().expect("its output"));
        let (told, lines) = mpsc::channel();
        // It ends with the child, which ends with the gateway.
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
        let next = || {
            let line = lines.recv_timeout(PATIENCE).expect("a line");
            serde_json::from_str::<Value>(&line).expect("JSON")
        };
        assert_eq!(next()["change"], "draining");
        order(scratch.path(), &name, "enable");
        assert_eq!(next()["change"], "enabled");
        drop(gateway);
        let ended = poll(PATIENCE, || child.try_wait().expect("a child"));
        assert_eq!(ended.and_then(|status| status.code()), Some(3));
    }
}
