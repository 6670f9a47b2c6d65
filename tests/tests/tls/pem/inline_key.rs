//! A private key or a credential in the configuration itself is as secret as one in a file of its own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::stage::Stage;

/// Modes of files that are not only their owner's, and what others can do.
const OPEN: [(u32, &str); 8] = [
    (0o644, "can be read by others"),
    (0o640, "can be read by others"),
    (0o604, "can be read by others"),
    (0o620, "can be written by others"),
    (0o602, "can be written by others"),
    (0o622, "can be written by others"),
    (0o666, "can be read and written by others"),
    (0o642, "can be read and written by others"),
];
/// Modes that leave it to its owner. What others may run, they may not read.
const CLOSED: [u32; 4] = [0o600, 0o400, 0o700, 0o611];

#[test]
fn a_configuration_with_a_key_that_is_open_to_others_is_warned_of() {
    let stage = Stage::new();
    let file = stage.dir.path().join("open.toml");
    let config = |key: &str| {
        format!(
            "[[listen]]\naddress = \"127.0.0.1:1\"\ntls = true\n[[ssls]]\nsni = \"a.test\"\ncert = \
             \"leaf.pem\"\nkey = {key}\n[[routes]]\nuri = \"/*\"\nupstream.nodes = {{ \"127.0.0.1:9\" = \
             1 }}\n"
        )
    };
    let inline = config(&format!("\"\"\"\n{}\"\"\"", stage.key));
    let escaped = config(&format!("{:?}", stage.key));
    let unused = format!("{}# {}", config("\"key.pem\""), stage.key.replace('\n', "\n# "));
    let from_environment = config("\"${env:KEY}\"");
    let of_a_file = config("\"key.pem\"");
    let env = |name: &str| (name == "KEY").then(|| stage.key.clone());
    let warnings = |text: &str, mode: u32| -> Vec<String> {
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("a mode");
        let draft = ferrule_config::read(&file, &env).expect("TOML");
        assert!(draft.problems.is_empty(), "{}", draft.problems);
        let shown = draft.problems.render_human();
        assert!(!shown.contains(stage.key.lines().nth(1).expect("a line")), "{shown}");
        draft.problems.warnings().map(|one| one.message.clone()).collect()
    };
    for text in [&inline, &escaped, &unused] {
        for (mode, what) in OPEN {
            let found = warnings(text, mode);
            assert!(found.len() == 1 && found[0].contains(what), "{mode:o}: {found:?}");
        }
        assert!(CLOSED.iter().all(|mode| warnings(text, *mode).is_empty()));
    }
    for text in [&from_environment, &of_a_file] {
        assert!(warnings(text, 0o666).is_empty(), "no key is in the file");
    }
}

/// Every table that sets headers, every name that tells a credential, every way to write the value.
#[test]
fn a_configuration_with_a_fixed_credential_that_is_open_to_others_is_warned_of() {
    let page = Page { dir: tempfile::tempdir().expect("a directory") };
    let fixed = format!("\"Basic {SECRET}\"");
    for table in ["rule", "service", "route", "added", "steps"] {
        for name in ["Authorization", "proxy-authorization", "Cookie", "X-Api-Key", "X-Vault-Token"]
        {
            let text = setting(table, name, &fixed);
            for (mode, what) in OPEN {
                let found = page.warnings(&text, mode);
                let named = |one: &String| one.contains(name) && one.contains(what);
                assert!(found.len() == 1 && named(&found[0]), "{mode:o}: {found:?}\n{text}");
            }
            assert!(CLOSED.iter().all(|mode| page.warnings(&text, *mode).is_empty()), "{text}");
        }
    }
    for (name, value, told) in [
        ("Authorization", "\"Bearer ${env:TOKEN}\"".to_owned(), false),
        ("Authorization", "\"${env:TOKEN}\"".to_owned(), false),
        ("X-Api-Key", "\"$ssl_client_serial\"".to_owned(), false),
        ("Cookie", "\"session=${env:TOKEN}\"".to_owned(), false),
        ("Authorization", "\"\"".to_owned(), false),
        ("X-Color", "\"blue\"".to_owned(), false),
        ("Authorization", format!("\"{SECRET}${{env:TOKEN}}\""), true),
        ("Cookie", format!("\"a={SECRET}; b=$request_id\""), true),
        ("Authorization", format!("\"\\u0042asic {SECRET}\""), true),
        ("Authorization", format!("'''{SECRET}'''"), true),
    ] {
        let found = page.warnings(&setting("route", name, &value), 0o644);
        assert_eq!(!found.is_empty(), told, "{name} = {value}: {found:?}");
    }
}

/// What nobody is to see.
const SECRET: &str = "c2VjcmV0";

/// A configuration file whose mode changes.
struct Page {
    dir: tempfile::TempDir,
}

impl Page {
    fn warnings(&self, text: &str, mode: u32) -> Vec<String> {
        let file = self.dir.path().join("open.toml");
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("a mode");
        let env = |name: &str| (name == "TOKEN").then(|| SECRET.to_owned());
        let draft = ferrule_config::read(&file, &env).expect("TOML");
        assert!(draft.problems.is_empty(), "{}\n{text}", draft.problems);
        let shown = draft.problems.render_human();
        assert!(!shown.contains(SECRET), "{shown}");
        draft.problems.warnings().map(|one| one.message.clone()).collect()
    }
}

/// A configuration that sets this header there.
fn setting(table: &str, name: &str, value: &str) -> String {
    let at = |own: &str| match table {
        _ if own != table => String::new(),
        "added" => format!("headers = {{ add = {{ {name} = {value} }} }}\n"),
        "steps" => {
            format!("headers = [{{ remove = [\"X-A\"] }}, {{ set = {{ {name} = [{value}] }} }}]\n")
        }
        _ => format!("headers = {{ set = {{ {name} = {value} }} }}\n"),
    };
    format!(
        "[[listen]]\naddress = \"127.0.0.1:1\"\n[[global_rules]]\nid = \"all\"\n{}[[services]]\nid = \
         \"some\"\n{}[[routes]]\nuri = \"/*\"\nservice_id = \"some\"\n{}{}{}upstream.nodes = {{ \
         \"127.0.0.1:9\" = 1 }}\n",
        at("rule"),
        at("service"),
        at("route"),
        at("added"),
        at("steps"),
    )
}

/// The warning of a file of its own says what others can do with it.
#[test]
fn a_secret_file_that_is_open_to_others_is_warned_of_in_true_words() {
    let stage = Stage::new();
    let write = |name: &str, bytes: &[u8], mode: u32| {
        let path = stage.dir.path().join(name);
        fs::write(&path, bytes).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
    };
    let tickets: Vec<u8> = (0..80).collect();
    let files =
        [("tickets", &tickets[..]), ("key.pem", stage.key.as_bytes()), ("phrases", &b"one\n"[..])];
    write("cert.pem", stage.leaf.as_bytes(), 0o666);
    let config = "http.ssl_session_ticket_key = \"tickets\"\n[[listen]]\naddress = \
                  \"127.0.0.1:1\"\ntls = true\n[[ssls]]\nsni = \"a.test\"\ncert = \"cert.pem\"\nkey = \
                  \"key.pem\"\npassword_file = \"phrases\"\n[[routes]]\nuri = \"/*\"\n\
                  upstream.nodes = { \"127.0.0.1:9\" = 1 }\n";
    for (own, _) in files {
        for (mode, what) in OPEN.into_iter().chain(CLOSED.map(|mode| (mode, ""))) {
            for (name, bytes) in files {
                write(name, bytes, if name == own { mode } else { 0o600 });
            }
            let found = stage.warnings(config);
            let told = found.iter().all(|one| one.contains(own) && one.contains(what));
            let count = usize::from(!what.is_empty());
            assert!(found.len() == count && told, "{own} {mode:o}: {found:?}");
        }
    }
}
