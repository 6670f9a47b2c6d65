//! Several gateways: every file of `docs/fleet` is read by the program that it is for.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use ferrule_tests::scratch;

use super::kit::{run, text};

#[test]
fn haproxy_bird_and_keepalived_read_their_files() {
    let scratch = scratch();
    run(
        scratch.path(),
        "haproxy -c -q -f docs/fleet/haproxy.cfg
         bird -p -c docs/fleet/bird.conf
         keepalived --config-test --use-file docs/fleet/keepalived.conf",
    );
    // They do find what is wrong.
    for (program, file) in [
        ("haproxy -c -q -f", "haproxy.cfg"),
        ("bird -p -c", "bird.conf"),
        ("keepalived --config-test --use-file", "keepalived.conf"),
    ] {
        let broken = text(&format!("docs/fleet/{file}")) + "\nno such line {\n";
        fs::write(scratch.path().join(file), broken).expect("a writable directory");
        let said = run(
            scratch.path(),
            &format!("{program} $scratch/{file} > /dev/null 2>&1 || echo refused"),
        );
        assert_eq!(said, "refused\n", "{program}");
    }
}

#[test]
fn the_gateways_file_is_one() {
    let scratch = scratch();
    let said = run(scratch.path(), "$ferrule dump docs/fleet/gateway.toml");
    assert!(said.contains("proxy_protocol = true"), "{said}");
    // What the balancers ask for is what the gateway has.
    for file in ["haproxy.cfg", "keepalived.conf"] {
        let text = text(&format!("docs/fleet/{file}"));
        assert!(text.contains("/readyz") && text.contains("9091"), "{file}");
    }
    assert!(said.contains(":9091"), "{said}");
}

/// A key is known to every gateway a day before one seals with it, and opens for as long after.
#[test]
fn ticket_keys_move_down() {
    let scratch = scratch();
    let keys = |day: usize| {
        run(scratch.path(), "docs/fleet/rotate-tickets $scratch");
        let read =
            |name: &str| fs::read(scratch.path().join(format!("{name}.key"))).expect("a key");
        let found = ["new", "current", "old"].map(read);
        assert!(found.iter().all(|key| key.len() == 80), "day {day}");
        found
    };
    let days: Vec<_> = (0..4).map(keys).collect();
    for pair in days.windows(2) {
        assert_eq!(pair[1][1], pair[0][0], "the new one becomes the current one");
        assert_eq!(pair[1][2], pair[0][1], "the current one becomes the old one");
    }
    let all: BTreeSet<_> = days.iter().map(|day| &day[0]).collect();
    assert_eq!(all.len(), 4, "every day has a key of its own");
    let files = fs::read_dir(scratch.path()).expect("the directory");
    for file in files.map(|file| file.expect("a file")) {
        let mode = file.metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{}", file.path().display());
    }
}

/// The scripts are shell, and the list of nodes is checked before it is taken up.
#[test]
fn the_scripts_are_read() {
    let scratch = scratch();
    run(scratch.path(), "dash -n docs/fleet/ferrule-ready; dash -n docs/fleet/rotate-tickets");
    let template = text("docs/fleet/consul-template.hcl");
    assert!(
        template.contains("ferrule check -c /etc/ferrule/ferrule.toml && systemctl reload ferrule")
    );
}
