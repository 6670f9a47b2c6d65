//! Revocation lists that are fetched, and what somebody between the gateway and their server makes of that.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ferrule_tests::zoo::asn1::{basic_constraints, common_name};
use ferrule_tests::zoo::{Issuer, Key, Kind, encode};
use ferrule_tests::{PATIENCE, Reloaded, Setup, Upstream, on_both_drivers, poll};

use crate::crl_fetch::{
    Answers, BY_URL, CONFIG, Files, certificate, numbered, sends, status, whole,
};

/// Another authority that the table trusts.
fn second_authority(files: &Files, name: &str) -> Issuer {
    let dir = files.scratch.path();
    let other = Issuer { name: common_name(name), key: Key::new(dir, "second", Kind::P256) };
    let root = certificate(name, 5, vec![basic_constraints(true, None)]).sign(&other.key, &other);
    let before = fs::read_to_string(dir.join("clients.crt")).expect("a CA");
    let both = format!("{before}{}", encode("CERTIFICATE", &root));
    fs::write(dir.join("clients.crt"), both).expect("a CA");
    other
}

on_both_drivers! {
    /// The list of another authority of the table, sent in the place of the wanted one, pins nothing and takes nothing
    /// away: neither one of another name nor a namesake.
    fn a_list_of_another_authority_pins_nothing(driver) {
        let files = Files::new();
        let other = second_authority(&files, "clients");
        let answers = Answers::new(sends(whole(&numbered(&other, 7, &[]))));
        let server = answers.serve();
        let allowed = format!("{BY_URL}, crl_missing = \"allow\"");
        let place = files.start(driver, &allowed, server.port);
        // There is a list of that name, and it is none of this key.
        place.becomes(&place.good, 400);
        answers.set(sends(whole(&numbered(&place.ca, 1, &[3]))));
        place.becomes(&place.good, 200);
        assert_eq!(place.visit(&place.bad), 400);
        answers.set(sends(whole(&numbered(&other, 9, &[]))));
        let before = place.fetches("success");
        let gone_by = poll(PATIENCE, || (place.fetches("success") > before + 1.5).then_some(()));
        assert!(gone_by.is_some(), "{}", place.gateway.log());
        assert_eq!((place.visit(&place.bad), place.visit(&place.good)), (400, 200));
        answers.set(sends(whole(&numbered(&place.ca, 2, &[2]))));
        place.becomes(&place.good, 400);
        place.becomes(&place.bad, 200);
        place.kept();
    }

    /// An old list with the validator of the new one: the honest server is asked for the list itself before long.
    fn a_forged_validator_delays_by_few_fetches(driver) {
        let files = Files::new();
        let (old, new) = (numbered(&files.ca, 1, &[]), numbered(&files.ca, 2, &[3]));
        let lies = Arc::new(AtomicBool::new(true));
        let is_lying = Arc::clone(&lies);
        let server = Upstream::plain(Arc::new(move |client| {
            let Some(request) = client.request() else { return };
            let body = if is_lying.load(Ordering::SeqCst) { &old } else { &new };
            let head = format!("HTTP/1.1 200 OK\r\nETag: \"2\"\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = if request.head.raw.contains("If-None-Match: \"2\"") {
                client.send(b"HTTP/1.1 304 Not Modified\r\nETag: \"2\"\r\n\r\n")
            } else {
                client.send(&[head.as_bytes(), body].concat())
            };
        }));
        let place = files.start(driver, BY_URL, server.port);
        place.becomes(&place.good, 200);
        lies.store(false, Ordering::SeqCst);
        place.becomes(&place.bad, 400);
        let seen = server.seen();
        let conditional = seen.iter().filter(|one| one.message.head.raw.contains("If-None-Match"));
        assert!(conditional.count() > 0, "{}", place.gateway.log());
    }

    /// Neither another directory nor another authority beside loses what is in force, whether or not its server is there.
    fn a_reload_keeps_the_list_in_force(driver) {
        let files = Files::new();
        let answers = Answers::new(sends(whole(&numbered(&files.ca, 1, &[3]))));
        let server = answers.serve();
        let dir = files.scratch.path().to_owned();
        let mut place = files.start(driver, BY_URL, server.port);
        place.becomes(&place.good, 200);
        answers.set(status("500 Oh"));
        fs::create_dir(dir.join("other")).expect("a directory");
        let text = CONFIG.replace("@crl@", BY_URL).replace("\"lists\"", "\"other\"");
        assert_eq!(place.gateway.reload(&text), Reloaded::Taken);
        assert_eq!((place.visit(&place.bad), place.visit(&place.good)), (400, 200));
        let beside = Issuer { name: common_name("b"), key: Key::new(&dir, "b", Kind::P256) };
        let root = certificate("b", 5, vec![basic_constraints(true, None)]).sign(&beside.key, &beside);
        let before = fs::read_to_string(dir.join("clients.crt")).expect("a CA");
        fs::write(dir.join("both.crt"), format!("{before}{}", encode("CERTIFICATE", &root))).expect("a CA");
        assert_eq!(place.gateway.reload(&text.replace("clients.crt", "both.crt")), Reloaded::Taken);
        assert_eq!((place.visit(&place.bad), place.visit(&place.good)), (400, 200));
        // An old list is still one.
        answers.set(sends(whole(&numbered(&place.ca, 0, &[]))));
        place.told("is older than the one that is held");
        assert_eq!(place.visit(&place.bad), 400);
    }

    /// Where others may write, and what they have put there, is not believed.
    fn a_directory_of_others_is_refused_and_a_link_not_followed(driver) {
        let files = Files::new();
        let dir = files.scratch.path().to_owned();
        let answers = Answers::new(sends(whole(&numbered(&files.ca, 2, &[3]))));
        let server = answers.serve();
        let lists = dir.join("lists");
        let mode = |mode| fs::set_permissions(&lists, fs::Permissions::from_mode(mode)).expect("mine");
        mode(0o1777);
        let setup = Setup::new(&dir, driver, &CONFIG.replace("@crl@", BY_URL));
        let (code, text) = setup.set("upstream", &files.upstream.port).set("lists", &1).check();
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("others may write to") && text.contains("crl_fetch.directory"), "{text}");
        mode(0o755);
        let mut place = files.start(driver, BY_URL, server.port);
        place.becomes(&place.good, 200);
        let file = place.kept();
        fs::rename(&file, dir.join("away")).expect("a file");
        symlink(dir.join("away"), &file).expect("a link");
        place.told("a revocation list was not fetched: cannot read");
        // It is no list, and the one in force stays.
        assert_eq!(place.gateway.signal_reload(), Reloaded::Taken);
        assert_eq!((place.visit(&place.bad), place.visit(&place.good)), (400, 200));
    }

    fn more_lists_than_a_table_may_have_are_an_error(driver) {
        let files = Files::new();
        let urls: Vec<_> = (0..257).map(|at| format!("\"http://127.0.0.1:1/{at}\"")).collect();
        let text = CONFIG.replace("@crl@", &format!("crl = [{}]", urls.join(", ")));
        let setup = Setup::new(files.scratch.path(), driver, &text);
        let (code, text) = setup.set("upstream", &files.upstream.port).check();
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("257 lists are to be fetched here"), "{text}");
    }
}
