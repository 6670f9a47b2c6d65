//! `docs/migrate-apisix.md`: its commands are run as they are printed, on other ports.

use std::fs;
use std::process::Command;

use ferrule_tests::{Upstream, echo, free_port, on_both_drivers, poll, scratch, source_dir};
use ferrule_tools::process::{Process, ferrule_binary};

/// The commands of the section, block by block.
fn blocks() -> Vec<String> {
    let page = fs::read_to_string(source_dir().join("docs/migrate-apisix.md")).expect("the page");
    let (_, section) = page.split_once("\n## From start to end\n").expect("its section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1);
    blocks.filter_map(|block| Some(block.split_once("```")?.0.to_owned())).collect()
}

on_both_drivers! {
    fn the_move_from_start_to_end(driver) {
        let dir = scratch();
        let dir = dir.path();
        let upstream = Upstream::plain(echo());
        let (plain, tls) = (free_port(), free_port());
        let moved = |text: &str| {
            text.replace("9080", &plain.to_string())
                .replace("9443", &tls.to_string())
                .replace("127.0.0.1:8080", &format!("127.0.0.1:{}", upstream.port))
        };
        let binary = ferrule_binary();
        let folder = binary.parent().expect("a folder").display().to_string();
        let run = |text: &str| {
            let script = format!("PATH={folder}:$PATH\n{}", moved(text));
            let mut shell = Command::new("bash");
            let done = shell.args(["-uo", "pipefail", "-c", &script]).current_dir(dir).output();
            let done = done.expect("bash");
            let text = [done.stdout, done.stderr].concat();
            (done.status.code(), String::from_utf8_lossy(&text).into_owned())
        };
        let blocks = blocks();
        let [certificates, files, import, check, start, ask] = blocks.as_slice() else {
            panic!("six blocks of commands: {blocks:#?}");
        };
        assert_eq!(run(certificates).0, Some(0));
        assert_eq!(run(files).0, Some(0));
        let (code, report) = run(import);
        assert_eq!(code, Some(2), "{report}");
        assert!(report.contains("`X_Ssl_Client_Serial`"), "{report}");
        let (code, said) = run(check);
        assert_eq!(code, Some(0), "{said}");
        let file = dir.join("ferrule/ferrule.toml");
        let made = fs::read_to_string(&file).expect("what was made");
        fs::write(&file, format!("{made}\n[runtime]\nworkers = 1\nring_entries = 256\nio_driver = \"{driver}\"\n"))
            .expect("a writable file");
        let mut words = start.split_whitespace();
        assert_eq!(words.next(), Some("ferrule"));
        let mut command = Command::new(&binary);
        command.args(words).current_dir(dir);
        let mut process = Process::start(command, &dir.join("log"));
        process.wait_for_output(0, "that it is ready", |text| text.contains(" ready: "));
        process.wait_for_port(tls);
        let lines: Vec<&str> = ask.lines().collect();
        let [with, without] = lines.as_slice() else { panic!("two commands: {ask}") };
        let (code, answer) = run(with);
        assert_eq!(code, Some(0), "{answer}");
        let answer = answer.to_ascii_lowercase();
        assert!(answer.contains("\r\nx-ssl-client-s-dn: cn=client\r\n"), "{answer}");
        assert!(answer.contains("\r\nx-ssl-client-fingerprint: "), "{answer}");
        assert!(answer.contains("\r\nx-ssl-client-serial: "), "{answer}");
        let (_, answer) = run(without);
        assert!(answer.contains("400"), "{answer}");
        assert!(poll(ferrule_tests::PATIENCE, || (upstream.seen().len() == 1).then_some(())).is_some());
    }
}
