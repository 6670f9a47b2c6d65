//! The systemd unit, the user, the example and the rotation of the Debian package.

use std::fs;

use ferrule_tests::{Driver, PATIENCE, Setup, Upstream, echo, poll, raw, scratch, shell};

use super::kit::{run, text};

const UNIT: &str = "tools/package/debian/ferrule.service";

/// Of 10, which is a service that may do everything.
#[test]
fn the_unit_is_exposed_by_no_more_than_1_5() {
    let scratch = scratch();
    let said = run(
        scratch.path(),
        &format!("systemd-analyze security --offline=true --threshold=15 --no-pager {UNIT} 2>&1"),
    );
    assert!(said.contains("Overall exposure level"), "{said}");
}

/// systemd reads every line of it, with the binary and the manual in their places.
#[test]
fn the_unit_is_read_without_a_word() {
    let scratch = scratch();
    let said = run(
        scratch.path(),
        &format!(
            "sed -e \"s|/usr/bin/ferrule|$ferrule|; /^Documentation=/d\" {UNIT} > $scratch/ferrule.service
             systemd-analyze verify --man=no $scratch/ferrule.service 2>&1"
        ),
    );
    assert_eq!(said, "");
}

/// The rings, and what the binary calls, pass through the filter of system calls.
#[test]
fn the_filter_has_the_rings() {
    let unit = text(UNIT);
    for call in ["io_uring_setup", "io_uring_enter", "io_uring_register", "sched_setaffinity"] {
        assert!(unit.contains(call), "{call}");
    }
    for line in [
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "MemoryDenyWriteExecute=yes",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        "User=ferrule",
        "SystemCallErrorNumber=EPERM",
        "Type=notify",
    ] {
        assert!(unit.lines().any(|own| own == line), "{line}");
    }
}

#[test]
fn the_user_is_made_by_sysusers() {
    let scratch = scratch();
    let said = run(
        scratch.path(),
        "mkdir -p $scratch/root/etc
         systemd-sysusers --root=$scratch/root $PWD/tools/package/debian/ferrule.sysusers 2>&1
         cat $scratch/root/etc/passwd",
    );
    assert!(said.contains("ferrule:x:") && said.contains("/usr/sbin/nologin"), "{said}");
}

/// The example passes the check that warns, and answers nobody but this machine.
#[test]
fn the_example_is_good_and_serves_loopback_alone() {
    let scratch = scratch();
    run(
        scratch.path(),
        "sed -e \"s|/run/ferrule|$scratch|; s|/var/log/ferrule|$scratch|\" tools/package/debian/ferrule.toml \
           > $scratch/ferrule.toml
         chmod 640 $scratch/ferrule.toml
         $ferrule check --strict -c $scratch/ferrule.toml",
    );
    let example = text("tools/package/debian/ferrule.toml");
    let active = example.lines().filter(|line| !line.starts_with('#'));
    for line in active.filter(|line| line.starts_with("address") || line.starts_with("listen")) {
        assert!(line.contains("\"127.0.0.1:"), "{line}");
    }
    assert!(!example.lines().any(|line| line.starts_with("upstream")), "{example}");
}

/// What the example shows for mutual TLS is a configuration once the marks of comments are gone.
#[test]
fn the_example_of_mutual_tls_loads() {
    let scratch = scratch();
    let example = text("tools/package/debian/ferrule.toml");
    let (_, rest) = example.split_once("a gateway for mutual TLS:\n#\n").expect("the second half");
    let shown: String = rest
        .lines()
        .filter_map(|line| line.strip_prefix("# ").or_else(|| (line == "#").then_some("")))
        .map(|line| format!("{line}\n"))
        .collect();
    let draft = ferrule_config::read_text(&scratch.path().join("x.toml"), shown, &|_| None);
    let draft = draft.expect("TOML");
    assert!(draft.problems.is_empty(), "{}", draft.problems);
}

/// The real logrotate with the file of the package, and the real binary: no line is lost, and none is in two files.
#[test]
fn logs_rotate() {
    let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
    let dir = scratch.path();
    let config = "[[listen]]\naddress = \"127.0.0.1:@front@\"\n\n[[routes]]\nuri = \"/*\"\n\
                  upstream.nodes = { \"127.0.0.1:@upstream@\" = 1 }\n";
    let gateway = Setup::new(dir, Driver::Epoll, config)
        .log_line("access = { path = \"logs/access.log\", format = \"$uri\" }")
        .set("upstream", &upstream.port);
    fs::create_dir(dir.join("logs")).expect("a writable directory");
    let gateway = gateway.start();
    let ask = |path: &str| {
        assert_eq!(raw::plain_get(gateway.port("front"), "x", path).status(), 200);
    };
    // No user of the package here, no systemd, and the directory is another one; all else is as it is.
    let rules = text("tools/package/debian/ferrule.logrotate");
    let signal = format!("kill -USR1 {}", gateway.process.id());
    let rules = rules
        .replace("/var/log/ferrule", &dir.join("logs").display().to_string())
        .replace("\tsu ferrule ferrule\n", "")
        .replace("create 0640 ferrule ferrule", "create 0640")
        .replace("[ -d /run/systemd/system ]", "true")
        .replace(
            "systemctl kill --kill-who=main --signal=USR1 ferrule.service 2>/dev/null || true",
            &signal,
        );
    assert!(rules.contains(&signal) && !rules.contains("copytruncate\n"), "{rules}");
    fs::write(dir.join("rules"), rules).expect("a writable directory");
    shell(
        dir,
        "chmod 644 rules; chmod 755 logs; PATH=$PATH:/usr/sbin; logrotate -d -s state rules",
    );
    for turn in 0..3 {
        for at in 0..20 {
            ask(&format!("/{turn}/{at}"));
        }
        shell(dir, "PATH=$PATH:/usr/sbin; logrotate --force -s state rules");
    }
    ask("/last");
    let all = || {
        shell(
            dir,
            "cd logs; zcat -f access.log.3.gz access.log.2.gz access.log.1 access.log 2>/dev/null || true",
        )
    };
    let complete = poll(PATIENCE, || all().contains("/last\n").then_some(()));
    assert!(complete.is_some(), "{}\n{}", all(), gateway.log());
    let mut wanted: Vec<String> =
        (0..3).flat_map(|turn| (0..20).map(move |at| format!("/{turn}/{at}"))).collect();
    wanted.push("/last".to_owned());
    assert_eq!(all().lines().collect::<Vec<_>>(), wanted);
}
