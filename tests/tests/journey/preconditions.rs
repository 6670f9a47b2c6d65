//! What `check` passes, `run` and a reload take, as far as this machine is concerned; and what a reload warns of
//! is shown to whoever asked for it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ferrule_tests::{Driver, Reloaded, Setup, Upstream, echo, free_port, on_both_drivers, scratch};
use ferrule_tools::process::ferrule_binary;
use serde_json::Value;

use crate::PLAIN;

/// A part of the configuration that this machine cannot serve, with the key and words of the message.
struct Unfit {
    log: &'static str,
    text: &'static str,
    words: [&'static str; 2],
}

/// `DIR` is the directory of the test.
const UNFIT: [Unfit; 8] = [
    Unfit {
        log: "access = 'DIR/no/access.log'",
        text: "",
        words: [
            "log.access.path",
            "DIR/no/access.log cannot be opened: there is no directory DIR/no",
        ],
    },
    Unfit {
        log: "access = 'DIR/folder'",
        text: "",
        words: ["log.access.path", "DIR/folder cannot be opened: it is a directory"],
    },
    Unfit {
        log: "access = 'DIR/file/access.log'",
        text: "",
        words: ["log.access.path", "DIR/file/access.log cannot be opened: Not a directory"],
    },
    Unfit {
        log: "access = 'DIR/dangling'",
        text: "",
        words: ["log.access.path", "DIR/dangling cannot be opened: there is no directory DIR/no"],
    },
    Unfit {
        log: "",
        text: "[admin]\nsocket = 'DIR/no/ctl.sock'\n",
        words: ["admin.socket", "DIR/no/ctl.sock cannot be opened: there is no directory DIR/no"],
    },
    Unfit {
        log: "",
        text: "[admin]\nsocket = 'DIR/file'\n",
        words: [
            "admin.socket",
            "DIR/file cannot be opened: there is something that is not a socket",
        ],
    },
    // Reserved for documentation (RFC 5737).
    Unfit {
        log: "",
        text: "[metrics]\nlisten = '192.0.2.1:9091'\n",
        words: ["metrics.listen", "this machine has no address 192.0.2.1"],
    },
    Unfit {
        log: "",
        text: "[[listen]]\naddress = '192.0.2.1:80'\n",
        words: ["listen[1].address", "this machine has no address 192.0.2.1"],
    },
];

fn ferrule(arguments: &[&str], file: &Path) -> Output {
    Command::new(ferrule_binary()).args(arguments).arg(file).output().expect("ferrule")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// The names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("our own directory");
    let names =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

on_both_drivers! {
    fn check_and_run_and_reload_refuse_the_same(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        fs::create_dir(dir.join("folder")).expect("a writable directory");
        fs::write(dir.join("file"), "precious").expect("a writable directory");
        std::os::unix::fs::symlink("no/where", dir.join("dangling")).expect("a writable directory");
        let mut gateway = Setup::new(dir, driver, PLAIN).set("upstream", &upstream.port).start();
        let good = fs::read_to_string(&gateway.file).expect("the file we wrote");
        let file = dir.join("unfit.toml");
        fs::write(&file, "").expect("a writable directory");
        let before = names(dir);
        for Unfit { log, text, words } in UNFIT {
            let shown = |text: &str| text.replace("DIR", &dir.display().to_string());
            let unfit = good.replace("\n[log]\n", &format!("\n[log]\n{}\n", shown(log))) + &shown(text);
            fs::write(&file, &unfit).expect("a writable directory");
            let [key, message] = words.map(shown);
            // Another process has the port, which is no business of `check`: nothing is told but this.
            for arguments in [["check", "-c"], ["run", "-c"]] {
                let done = ferrule(&arguments, &file);
                let said = said(&done);
                assert_eq!(done.status.code(), Some(1), "{arguments:?} {log}{text}: {said}");
                assert!(said.contains(&key) && said.contains(&message), "{arguments:?} {log}{text}: {said}");
                let line = unfit.lines().position(|line| shown(text).lines().last() == Some(line));
                let line = line.map_or_else(String::new, |at| format!("{}:", at + 1));
                assert!(said.contains(&format!("unfit.toml:{line}")), "no place: {said}");
            }
            fs::write(&gateway.file, &unfit).expect("a writable directory");
            let from = gateway.log().len();
            assert_eq!(gateway.signal_reload(), Reloaded::Refused, "{log}{text}");
            let since = gateway.log().split_off(from);
            assert!(since.contains(&message), "{since}");
            assert_eq!(names(dir), before, "{log}{text}");
        }
        assert_eq!(fs::read(dir.join("file")).expect("still there"), b"precious");
    }

    /// Nobody has to know about a limit that stands in the way of a default only.
    fn few_descriptors_are_warned_of_if_many_connections_are_asked_for(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let runtime = format!("workers = 1\nio_driver = \"{driver}\"\nring_entries = 256\n");
        for (more, wanted) in [
            ("", "INFO \"the limit of open files is enough for 172 connections"),
            ("max_connections = 1000\n", "WARN \"the limit of open files is too low for runtime.max_connections"),
            ("max_connections = 172\n", ""),
        ] {
            let setup = Setup::new(scratch.path(), driver, PLAIN).set("upstream", &upstream.port);
            let setup = setup.runtime(&format!("{runtime}{more}")).under(&["prlimit", "--nofile=600"]);
            let mut gateway = setup.start();
            assert!(gateway.stop().success(), "{}", gateway.log());
            let log = gateway.log();
            assert!(log.contains(wanted), "{log}");
            assert_eq!(log.contains("the limit of open files"), !wanted.is_empty(), "{log}");
        }
    }

    /// As text and as JSON; what is logged and what is shown are the same.
    fn a_reload_shows_what_it_warns_of(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let dir = scratch.path();
        let text = format!("{PLAIN}\n[admin]\nsocket = \"ctl.sock\"\n");
        let gateway = Setup::new(dir, driver, &text).set("upstream", &upstream.port).start();
        let config = fs::read_to_string(&gateway.file).expect("the file we wrote");
        let quiet = ferrule(&["ctl", "reload", "--wait", "-c"], &gateway.file);
        assert_eq!((quiet.status.code(), quiet.stderr.as_slice()), (Some(0), &b""[..]));
        let metrics = format!("[metrics]\nlisten = \"0.0.0.0:{}\"\n", free_port());
        fs::write(&gateway.file, config.replace("ring_entries = 256", "ring_entries = 512") + &metrics).expect("a writable directory");
        let warned = ["runtime.ring_entries cannot change by a reload", "the metrics can be read from other machines"];
        let shown = ferrule(&["ctl", "reload", "--wait", "-c"], &gateway.file);
        assert_eq!(shown.status.code(), Some(0));
        let text = String::from_utf8_lossy(&shown.stderr);
        assert!(warned.iter().all(|words| text.contains(words)), "{text}");
        assert!(String::from_utf8_lossy(&shown.stdout).contains("is in force"));
        let shown = ferrule(&["ctl", "--json", "reload", "--wait", "-c"], &gateway.file);
        let answer: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
        let warnings: Vec<&str> = answer["warnings"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        for words in warned {
            assert!(warnings.iter().any(|warning| warning.contains(words)), "{warnings:?}");
            assert!(gateway.log().contains(words));
        }
    }
}

/// A start makes what `check` has left alone.
#[test]
fn check_makes_nothing() {
    let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
    let dir = scratch.path();
    let text = format!("{PLAIN}\n[admin]\nsocket = \"ctl.sock\"\n");
    let setup = Setup::new(dir, Driver::Epoll, &text)
        .log_line("access = \"access.log\"")
        .set("upstream", &upstream.port);
    let (code, said) = setup.clone().check();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(names(dir), ["ferrule.toml"]);
    let _gateway = setup.start();
    assert!(
        names(dir).contains(&"access.log".to_owned())
            && names(dir).contains(&"ctl.sock".to_owned())
    );
}
