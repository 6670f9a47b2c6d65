//! What is refused, with its line; and that nothing is written then.

use std::fs;

use super::stage::Stage;
use crate::kit::import;

/// A configuration that works, and one line that is put into one of its sections (the first word says which).
const WORKS: &str = "global\n  maxconn 100\ndefaults\n  mode http\n  timeout client 5s\n  timeout server 5s\n  timeout connect 5s\n\
                     frontend web\n  bind 127.0.0.1:8443 ssl crt site.pem ca-file clients.pem verify optional\n  default_backend app\n\
                     backend app\n  server one 127.0.0.1:8080\n";

/// Section, line, and what is said of it.
const REFUSED: [[&str; 3]; 34] = [
    ["backend", "mode tcp", "only `mode http` is converted"],
    ["frontend", "tcp-request connection reject", "`tcp-request` is not converted"],
    ["frontend", "bind :9443 ssl crt-list all.txt", "all.txt cannot be read"],
    ["frontend", "bind :9443 ssl crt nowhere.pem", "nowhere.pem cannot be read"],
    ["frontend", "bind :9443 ssl crt clients.pem", "holds no private key"],
    ["frontend", "bind :9443 ssl", "`ssl` needs `crt`"],
    ["frontend", "bind :9443 ssl crt open.pem verify required", "`verify` needs `ca-file`"],
    [
        "frontend",
        "bind :9443 ssl crt open.pem ca-file servers.pem verify required",
        "another `bind` asks",
    ],
    ["frontend", "bind :9443 ssl crt site.pem", "two `bind` lines that differ"],
    ["frontend", "bind :9443 accept-proxy", "proxy_protocol_trusted"],
    ["frontend", "bind :8000-8010", "a `bind` line for each port"],
    [
        "frontend",
        "bind :9443 ssl crt open.pem ca-file clients.pem verify optional crt-ignore-err all",
        "optional_no_ca",
    ],
    ["frontend", "bind :9443 ssl crt open.pem force-sslv3", "`force-sslv3`"],
    ["frontend", "http-request set-header X-End %[ssl_c_notafter]", "YYMMDDhhmmssZ"],
    ["frontend", "http-request set-header X-Print %[ssl_c_sha1]", "its bytes are no text"],
    ["frontend", "http-request set-header X-Used %[ssl_c_used]", "no variable is 0 or 1"],
    [
        "frontend",
        "http-request set-header X-A b if { path /a }",
        "write the condition as `use_backend`",
    ],
    ["frontend", "http-request auth if { path /a }", "`http-request auth` is not converted"],
    ["frontend", "http-request deny if nobody", "there is no acl \"nobody\""],
    ["frontend", "http-request deny if { ssl_c_s_dn CN=a }", "`ssl_c_s_dn` is not converted"],
    ["frontend", "http-request deny if { path /a", "is not closed"],
    ["frontend", "http-request deny if { src -f list.txt }", "patterns in a file"],
    ["frontend", "http-request deny if { ssl_c_sha1,hex aa }", "never matches"],
    ["frontend", "use_backend %[path] if TRUE", "the name of a backend must be fixed"],
    ["frontend", "use_backend nowhere", "there is no backend \"nowhere\""],
    ["frontend", "option accept-invalid-http-request", "`option accept-invalid-http-request`"],
    ["frontend", "stick-table type ip size 1m", "`stick-table` is not converted"],
    ["backend", "cookie SRV insert", "`cookie` is not converted"],
    ["backend", "server two 127.0.0.1:81 ssl", "`verify required` needs `ca-file`"],
    ["backend", "server two 127.0.0.1:81 ssl verify none", "must share their TLS settings"],
    ["backend", "server two 127.0.0.1", "an address and a port are needed"],
    ["backend", "balance first", "`balance first` is not converted"],
    ["backend", "http-response lua.x", "`http-response lua.x` is not converted"],
    ["global", "lua-load-per-thread x.lua", "`lua-load-per-thread` is not converted"],
];

#[test]
fn every_line_that_is_not_converted_is_named() {
    let stage = Stage::new();
    let run = |text: &str| {
        fs::write(stage.path().join("a.cfg"), text).expect("a file");
        import(stage.path(), &["haproxy", "a.cfg", "-o", "made"])
    };
    for [section, line, wanted] in REFUSED {
        let mut number = 0;
        let text: String = WORKS
            .lines()
            .enumerate()
            .flat_map(|(at, text)| {
                let more = text.starts_with(section).then(|| {
                    number = at + 2;
                    format!("  {line}\n")
                });
                [Some(format!("{text}\n")), more].into_iter().flatten()
            })
            .collect();
        // What is wrong with the mode is said of the section that has it.
        let place =
            if line == "mode tcp" { String::from("a.cfg:") } else { format!("a.cfg:{number}:") };
        let result = run(&text);
        let named =
            result.text.lines().any(|text| text.starts_with(&place) && text.contains(wanted));
        let shared = wanted.contains("must share")
            || wanted.contains("differ")
            || wanted.contains("another `bind`");
        assert!(named || (shared && result.text.contains(wanted)), "{line}: {}", result.text);
        assert_eq!(result.code, Some(1), "{line}: {}", result.text);
        assert!(!stage.path().join("made").exists(), "{line}");
    }
    assert_eq!(run(WORKS).code, Some(0), "{}", run(WORKS).text);
}

#[test]
fn bytes_that_are_no_text_have_their_place() {
    let stage = Stage::new();
    fs::write(stage.path().join("a.cfg"), b"global\n  \xffmaxconn 1\n").expect("a file");
    let result = import(stage.path(), &["haproxy", "a.cfg", "-o", "made"]);
    assert_eq!(result.code, Some(1));
    assert!(result.text.contains("a.cfg:2:3: this line is not UTF-8"), "{}", result.text);
    let result = import(stage.path(), &["haproxy", "nowhere.cfg"]);
    assert!(
        result.code == Some(1) && result.text.contains("nowhere.cfg cannot be read"),
        "{}",
        result.text
    );
}

#[test]
fn no_key_is_ever_shown() {
    let stage = Stage::new();
    let key = fs::read_to_string(stage.path().join("site.pem")).expect("a file");
    let secret = key.lines().rev().nth(1).expect("a line of the key");
    // A certificate where the configuration should be.
    for (file, words) in
        [("site.pem", vec!["haproxy", "site.pem"]), ("site.pem", vec!["ingress-nginx", "site.pem"])]
    {
        let result = import(stage.path(), &words);
        assert_eq!(result.code, Some(1), "{file}: {}", result.text);
        assert!(!result.text.contains(secret), "{}", result.text);
    }
}
