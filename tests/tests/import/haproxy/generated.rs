//! Texts of any kind: an import ends, with a report, and hands over nothing when something is refused.

use ferrule_import::Outcome;
use ferrule_import::haproxy::{HaproxyOptions, convert};
use ferrule_import::ingress::{self, ManifestFile};
use proptest::prelude::*;

/// Words that mean something, and some that mean nothing.
const WORDS: [&str; 60] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "bind",
    ":443",
    "127.0.0.1:80",
    "ssl",
    "crt",
    "a.pem",
    "ca-file",
    "verify",
    "required",
    "optional",
    "none",
    "acl",
    "http-request",
    "deny",
    "deny_status",
    "404",
    "return",
    "redirect",
    "scheme",
    "https",
    "set-header",
    "X-A",
    "%[ssl_c_s_dn(cn)]",
    "%[",
    "if",
    "unless",
    "{",
    "}",
    "!",
    "or",
    "path_beg",
    "/a",
    "hdr(host)",
    "-i",
    "-m",
    "reg",
    "^(",
    "use_backend",
    "default_backend",
    "server",
    "check",
    "inter",
    "5s",
    "weight",
    "balance",
    "hdr(",
    "uri",
    "option",
    "httpchk",
    "forwardfor",
    "timeout",
    "client",
    "mode",
    "http",
    "tcp",
];

fn soup() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => proptest::sample::select(&WORDS[..]).prop_map(str::to_owned),
        1 => "[ -~]{0,12}",
        1 => any::<char>().prop_map(|mark| mark.to_string()),
    ];
    let line = proptest::collection::vec(word, 0..9).prop_map(|words| words.join(" "));
    proptest::collection::vec(line, 0..24).prop_map(|lines| lines.join("\n"))
}

const KEYS: [&str; 22] = [
    "kind: Ingress",
    "apiVersion: networking.k8s.io/v1",
    "metadata:",
    "  name: a",
    "  annotations:",
    "    nginx.ingress.kubernetes.io/auth-tls-secret: a/b",
    "    nginx.ingress.kubernetes.io/limit-rps: \"x\"",
    "spec:",
    "  rules:",
    "  - host: a.example",
    "    http:",
    "      paths:",
    "      - path: /",
    "        pathType: Prefix",
    "        backend:",
    "          service: {name: s, port: {number: 80}}",
    "  tls:",
    "  - hosts: [a.example]",
    "    secretName: b",
    "---",
    "kind: Secret",
    "data: {tls.crt: \"%%%\"}",
];

fn manifests() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        9 => proptest::sample::select(&KEYS[..]).prop_map(str::to_owned),
        1 => "[ -~]{0,20}",
    ];
    // Mostly in their order, with some lines left out: near to what works.
    let kept = proptest::collection::vec(any::<bool>(), KEYS.len()).prop_map(|kept| {
        let lines =
            KEYS.iter().zip(kept).filter(|(_, kept)| *kept).map(|(line, _)| (*line).to_owned());
        lines.collect::<Vec<_>>().join("\n")
    });
    prop_oneof![kept, proptest::collection::vec(line, 0..24).prop_map(|lines| lines.join("\n"))]
}

proptest! {
    #[test]
    fn a_haproxy_file_of_any_kind_gets_a_report(text in soup()) {
        let options = HaproxyOptions { source: "a.cfg".to_owned(), base: "/nowhere".into() };
        let made = convert(&text, &options, &|_| None);
        prop_assert_eq!(made.report.outcome() == Outcome::Refused, made.configuration.is_empty());
        prop_assert!(!made.report.text().chars().any(|mark| mark == char::from(27)));
    }

    #[test]
    fn manifests_of_any_kind_get_a_report(text in manifests()) {
        let files = [ManifestFile { name: "a.yaml".to_owned(), text }];
        let made = ingress::convert(&files, &|_| None);
        prop_assert_eq!(made.report.outcome() == Outcome::Refused, made.configuration.is_empty());
        prop_assert_eq!(made.report.outcome() == Outcome::Refused && !made.files.is_empty(), false);
    }
}

#[test]
fn huge_files_end_soon() {
    let options = HaproxyOptions { source: "a.cfg".to_owned(), base: "/nowhere".into() };
    let begins = ferrule_tests::now();
    for text in
        ["frontend a\n".repeat(20_000), "acl a path /a\n".repeat(100_000), "a ".repeat(1 << 20)]
    {
        assert_eq!(convert(&text, &options, &|_| None).report.outcome(), Outcome::Refused);
    }
    assert!(begins.elapsed() < ferrule_tests::PATIENCE * 6, "{:?}", begins.elapsed());
}
