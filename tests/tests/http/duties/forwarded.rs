//! What upstreams are told of the client's connection.

use super::gate::Gate;

/// Every such field as a client may send it, and more.
const CLAIMED: &str = "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nx-forwarded-for:\r\n\
                       X-FORWARDED-FOR: 3.3.3.3\r\nX-Forwarded-Proto: gopher\r\n\
                       X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Real-IP: 4.4.4.4\r\n\
                       Forwarded: for=5.5.5.5\r\nX_Forwarded_For: 6.6.6.6\r\n\
                       x_real-ip: 7.7.7.7\r\nX-Forwarded_Proto: x\r\nX-Other: 1\r\n";

fn sent(http: &str, route: &str, peer: &str, fields: &str) -> Vec<String> {
    Gate::new(http, route, peer).sent("GET /", fields).unwrap()
}

const OURS: [&str; 5] = [
    "X-Real-IP: 192.0.2.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Port: 8443",
    "X-Forwarded-Host: h",
    "X-Forwarded-For: 192.0.2.7",
];

#[test]
fn an_upstream_is_told_of_the_connection() {
    assert_eq!(sent("", "", "192.0.2.7", ""), OURS);
}

/// Whoever is not trusted may add to the path of addresses, and to nothing else.
#[test]
fn a_stranger_is_believed_nothing() {
    for underscores in [false, true] {
        let http = format!("underscores_in_headers = {underscores}");
        let mut wanted = vec!["X-Other: 1"];
        wanted.extend(&OURS[..4]);
        wanted.push("X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7");
        assert_eq!(sent(&http, "", "192.0.2.7", CLAIMED), wanted);
    }
}

#[test]
fn a_trusted_peer_is_believed() {
    let http =
        "trusted_addresses = ['192.0.2.0/24', '2001:db8::/32']\nunderscores_in_headers = true";
    let wanted = [
        "X-Forwarded-Proto: gopher",
        "X-Forwarded-Host: evil",
        "X-Forwarded-Port: 1",
        "Forwarded: for=5.5.5.5",
        "X-Other: 1",
        "X-Real-IP: 192.0.2.7",
        "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7",
    ];
    assert_eq!(sent(http, "", "192.0.2.7", CLAIMED), wanted);
    // What it does not say we do.
    assert_eq!(sent(http, "", "192.0.2.7", ""), OURS);
    let lines = sent(http, "", "2001:db8::1", "X-Forwarded-Proto: a\r\n");
    assert_eq!(lines[0], "X-Forwarded-Proto: a");
    assert!(lines.contains(&"X-Real-IP: 2001:db8::1".to_owned()), "{lines:?}");
    assert_eq!(sent(http, "", "198.51.100.1", "X-Forwarded-Proto: a\r\n").len(), 5);
}

/// Where others are trusted, the list of a stranger is nobody's word.
#[test]
fn the_list_of_a_stranger_begins_anew_where_others_are_trusted() {
    let http = "trusted_addresses = ['192.0.2.0/24']\nunderscores_in_headers = true";
    let mut wanted = vec!["X-Other: 1", "X-Real-IP: 198.51.100.1"];
    wanted.extend(&OURS[1..4]);
    wanted.push("X-Forwarded-For: 198.51.100.1");
    assert_eq!(sent(http, "", "198.51.100.1", CLAIMED), wanted);
}

/// An empty line is no word to be taken: not beside another one, and not alone.
#[test]
fn what_a_trusted_peer_leaves_empty_we_say() {
    let http = "trusted_addresses = ['192.0.2.0/24']";
    let empty = "X-Forwarded-Proto:\r\nX-Forwarded-Host: \r\nX-Forwarded-Port:\r\nForwarded:\r\n";
    assert_eq!(sent(http, "", "192.0.2.7", empty), OURS);
    let two = "X-Forwarded-Proto:\r\nX-Forwarded-Proto: a\r\n";
    let lines = sent(http, "", "192.0.2.7", two);
    let proto: Vec<_> = lines.iter().filter(|line| line.contains("Proto")).collect();
    assert_eq!(proto, ["X-Forwarded-Proto: a"]);
}

/// The host as the client wrote it, and the port that it named; whatever its own fields say.
#[test]
fn the_host_may_be_told_as_it_came() {
    let http = "forwarded_host = 'http_host'";
    for (host, told, port) in [
        ("Example.COM:8444", "Example.COM:8444", "8444"),
        ("h", "h", "8443"),
        ("h:", "h:", "8443"),
        ("[::1]:9", "[::1]:9", "9"),
    ] {
        for fields in ["", "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n"] {
            let gate = Gate::new(http, "", "192.0.2.7");
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
            let (_, head) = gate.request(&head).unwrap();
            let all = |name: &str| -> Vec<String> {
                let lines = head.lines().filter_map(|line| line.strip_prefix(name));
                lines.map(str::to_owned).collect()
            };
            assert_eq!(all("X-Forwarded-Host: "), [told], "{head}");
            assert_eq!(all("X-Forwarded-Port: "), [port], "{head}");
        }
    }
    // A trusted peer's word, and a route's, come before it.
    let trusting = "forwarded_host = 'http_host'\ntrusted_addresses = ['192.0.2.7']";
    let gate = Gate::new(trusting, "headers.set = { X-Forwarded-Port = 'own' }", "192.0.2.7");
    let ask = "GET / HTTP/1.1\r\nHost: h:81\r\nX-Forwarded-Host: theirs\r\n\r\n";
    let (_, head) = gate.request(ask).unwrap();
    for line in ["X-Forwarded-Host: theirs", "X-Forwarded-Port: own"] {
        let name = line.split(' ').next().unwrap();
        let all: Vec<_> = head.lines().filter(|one| one.starts_with(name)).collect();
        assert_eq!(all, [line], "{head}");
    }
}

/// What a route says about a name is the last word.
#[test]
fn the_rules_of_a_route_win() {
    let set = "headers.set = { X-Real-IP = 'mine', X-Forwarded-For = '$remote_addr!' }\n\
               headers.remove = ['X-Forwarded-Port']";
    let wanted = [
        "X-Other: 1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: h",
        "X-Real-IP: mine",
        "X-Forwarded-For: 192.0.2.7!",
    ];
    assert_eq!(sent("", set, "192.0.2.7", CLAIMED), wanted);
}

#[test]
fn switched_off_all_of_it_passes_as_it_came() {
    let lines = sent("forwarded_headers = false", "", "192.0.2.7", CLAIMED);
    let dashed: Vec<_> =
        CLAIMED.split_terminator("\r\n").filter(|line| !line.contains('_')).collect();
    let trimmed: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
    assert_eq!(trimmed, dashed);
}

/// HTTP/1.0 may name no host; then there is none to tell, and nobody else's is taken for it.
#[test]
fn without_a_host_there_is_none_to_tell() {
    let gate = Gate::new("", "", "192.0.2.7");
    let (_, head) = gate.request("GET / HTTP/1.0\r\nX-Forwarded-Host: evil\r\n\r\n").unwrap();
    assert!(!head.contains("X-Forwarded-Host"), "{head}");
}
