//! Guards that an importer could have lost on its way: each is kept or refused by its name.

use std::path::Path;

use data_encoding::BASE64;
use ferrule_import::apisix::{self, Options};
use ferrule_import::haproxy::{self, HaproxyOptions};
use ferrule_import::ingress::{self, ManifestFile};
use ferrule_import::{Import, Kind, Outcome};

/// A certificate that nothing verifies, and what looks like its key.
const CERTIFICATE: &str = include_str!("unverified.crt");
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";

const PLAIN: &str = "bind 127.0.0.1:80";
const OPTIONAL: &str = "bind 127.0.0.1:443 ssl crt a.pem ca-file ca.pem verify optional";

/// A frontend with these binds and rules.
fn haproxy(binds: &[&str], rules: &str) -> Import {
    let folder = tempfile::tempdir();
    let base = folder.as_ref().map_or_else(|_| Path::new("/nowhere"), tempfile::TempDir::path);
    let written = std::fs::write(base.join("a.pem"), format!("{CERTIFICATE}{KEY}"))
        .and_then(|()| std::fs::write(base.join("ca.pem"), CERTIFICATE));
    assert!(written.is_ok(), "{written:?}");
    let text = format!(
        "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\nfrontend f\n {}\n{rules}\n \
         default_backend b\nbackend b\n server s 127.0.0.1:9\n",
        binds.join("\n ")
    );
    let options = HaproxyOptions { source: "a.cfg".to_owned(), base: base.to_owned() };
    haproxy::convert(&text, &options, &|_| None)
}

fn refused(import: &Import, wanted: &str, given: &str) {
    let told = |finding: &ferrule_import::Finding| {
        finding.kind == Kind::Refused && finding.message.contains(wanted)
    };
    let report = import.report.text();
    assert!(import.report.findings.iter().any(told), "{given}: {wanted}: {report}");
    assert!(import.configuration.is_empty(), "{given}");
}

/// What was made, without the spaces of its form.
fn made<'i>(import: &'i Import, given: &str) -> &'i str {
    let report = import.report.text();
    assert_ne!(import.report.outcome(), Outcome::Refused, "{given}: {report}");
    &import.configuration
}

#[test]
fn haproxy_has_no_value_of_tls_without_tls() {
    for test in [
        "ssl_c_verify 0",
        "ssl_c_verify ge 0",
        "ssl_c_used",
        "ssl_c_s_dn(cn) a",
        "ssl_fc_sni a.test",
        "ssl_fc",
        "ssl_fc_has_sni",
    ] {
        // Nobody is let in, as nothing holds: every request is answered.
        let rule = format!(" http-request deny unless {{ {test} }}");
        let import = haproxy(&[PLAIN], &rule);
        let text = made(&import, test);
        assert!(text.contains("status = 403") && !text.contains("upstream_id"), "{test}: {text}");
        // And nobody is kept out by it.
        let rule = format!(" http-request deny if {{ {test} }}");
        let import = haproxy(&[PLAIN], &rule);
        let text = made(&import, test);
        assert!(text.contains("upstream_id") && !text.contains("refuse"), "{test}: {text}");
    }
    // Of a port with TLS, `ssl_c_verify` is 0 without a certificate, too.
    let import = haproxy(&[OPTIONAL], " http-request deny unless { ssl_c_verify 0 }");
    let text = made(&import, "verify");
    assert!(text.contains("upstream_id") && !text.contains("refuse"), "{text}");
    assert!(import.report.text().contains("this test holds for everybody"));
}

/// HAProxy asks the first value of an attribute, and here a condition holds for any of them.
#[test]
fn haproxy_takes_nobody_for_a_second_name() {
    const DOUBT: &str = "(?is)(?:^|[,+])ou=.*[,+]ou=";
    for rule in [
        " http-request deny unless { ssl_c_s_dn(ou) ops }",
        " http-request deny if !{ ssl_c_s_dn(OU) -m beg ops }",
        " http-request deny if { ssl_c_s_dn(ou) guest }",
        " http-request redirect location /x if { ssl_c_s_dn(ou) ops }",
    ] {
        let import = haproxy(&[OPTIONAL], rule);
        let text = made(&import, rule);
        let routes = text.matches("[[routes]]").count();
        assert_eq!(text.matches(DOUBT).count(), routes, "{rule}: {text}");
    }
    // What is sent is the first one in both.
    let rule = " http-request set-header X-OU %[ssl_c_s_dn(ou)]";
    assert!(!made(&haproxy(&[OPTIONAL], rule), rule).contains("refuse"));
    let rule = " http-request deny if { ssl_c_s_dn(2.5.4.11) ops }";
    refused(&haproxy(&[OPTIONAL], rule), "`ssl_c_s_dn", rule);
}

#[test]
fn haproxy_sends_no_verdict_without_tls() {
    let rule = " http-request set-header X-V %[ssl_c_verify]";
    let import = haproxy(&[PLAIN], rule);
    let text = made(&import, rule);
    assert!(text.contains("remove = [\"X-V\"]"), "{text}");
    let import = haproxy(&[OPTIONAL], rule);
    assert!(made(&import, rule).contains("X-V = \"0\""), "{}", import.configuration);
}

#[test]
fn haproxy_tests_that_would_mean_something_else_are_refused() {
    for [test, wanted] in [
        ["req.hdr(x) -m found", "-m reg ."],
        ["req.fhdr(x) -m found", "-m reg ."],
        ["hdr(host) -m found", "-m reg ."],
        ["urlp(x) -m found", "-m reg ."],
        ["cook(x) -m found", "-m reg ."],
        ["req.fhdr(x) -m reg ^$", "-m reg ."],
        ["req.fhdr(x) -m reg .*", "-m reg ."],
        ["req.fhdr(x) -m beg \"\"", "-m reg ."],
        ["hdr(x-role,1) evil", "`hdr(x-role,1)` is not converted"],
        ["hdr(host,-1) evil", "`hdr(host,-1)` is not converted"],
        ["urlp(k,;) v", "`urlp(k,;)` is not converted"],
        ["cook(a,b) v", "`cook(a,b)` is not converted"],
        ["path(1) /a", "`path(1)` is not converted"],
        ["hdr(x) a,b", "cut at commas"],
        ["ssl_fc 0", "overlooks what stands behind a flag"],
        ["ssl_c_used 0", "overlooks what stands behind a flag"],
        ["always_true 0", "overlooks what stands behind a flag"],
        ["ssl_fc -m found", "overlooks what stands behind a flag"],
        ["ssl_c_verify -m beg 0", "compared as one"],
        ["dst_port gt 8000", "one by one"],
        ["dst_port 8000:9000", "one by one"],
        ["path_reg ^/[a-z&&[^b]]", "join classes"],
        ["path_reg ^/[a--b]", "join classes"],
        ["path_reg ^/[~~]", "join classes"],
    ] {
        let import = haproxy(&[OPTIONAL], &format!(" http-request deny if {{ {test} }}"));
        refused(&import, wanted, test);
        assert!(import.report.findings.iter().any(|finding| finding.spot.line == 8), "{test}");
    }
    for test in [
        "ssl_c_s_dn(cn) -m found",
        "ssl_fc_sni -m found",
        "req.fhdr(x) -m reg .",
        "dst_port 80 8080",
        "ssl_c_used 1",
        "urlp(K) v",
        "path_reg ^/[a-z_-]+$",
    ] {
        let import = haproxy(&[OPTIONAL], &format!(" http-request deny if {{ {test} }}"));
        assert!(made(&import, test).contains("refuse"), "{test}");
    }
}

#[test]
fn haproxy_lines_keep_all_their_words() {
    for [line, wanted] in [
        ["http-request set-header X-A %[hdr(host,1)]", "an argument more"],
        ["http-request return status 200 hdr X a hdr x b if { path /a }", "set once"],
        ["option forwardfor header X-A if-none", "`if-none`"],
        [".if defined(X)", "without conditions"],
        [
            "acl a path /b\ndefaults e\n mode http\n acl a path /a\nfrontend g from e\n bind 127.0.0.1:81\n acl a path /c",
            "keeps apart",
        ],
        ["http-request replace-path ^/a|/b$ /c", "the whole path"],
        ["http-request replace-path ^/a(.*)$ /$1", "the whole path"],
        ["http-request replace-path ^/[a&&b](.*)$ /\\\\1", "join classes"],
    ] {
        refused(&haproxy(&[OPTIONAL], &format!(" {line}")), wanted, line);
    }
    let line = r" http-request replace-path ^/pub/(.*)$ /\\1";
    let import = haproxy(&[OPTIONAL], line);
    let text = made(&import, line);
    assert!(text.contains(r#"["^/pub/(.*)$", "/$${1}"]"#), "{text}");
}

/// An Ingress of one host with these annotations, and its paths.
fn ingress(name: &str, annotations: &[&str], paths: &[&str]) -> String {
    let lines = |list: &[&str], before: &str| -> String {
        list.iter().map(|one| format!("{before}{one}\n")).collect()
    };
    let backend = "backend: {service: {name: s, port: {number: 9}}}";
    let paths: String = paths
        .iter()
        .map(|path| {
            format!("      - {{path: '{path}', pathType: ImplementationSpecific, {backend}}}\n")
        })
        .collect();
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\n  namespace: d\n  annotations:\n{}\
         spec:\n  tls: [{{hosts: [a.test], secretName: tls}}]\n  rules:\n  - host: a.test\n    http:\n      paths:\n{paths}",
        lines(annotations, "    nginx.ingress.kubernetes.io/")
    )
}

fn manifests(text: &str) -> Import {
    let secret = |name: &str, key: &str, pem: &str| {
        format!("{key}: {}", BASE64.encode(pem.as_bytes())) + name
    };
    let pair = [secret(", ", "tls.crt", CERTIFICATE), secret("", "tls.key", KEY)].concat();
    let one = |name: &str, data: &str| {
        format!("---\nkind: Secret\nmetadata: {{name: {name}, namespace: d}}\ndata: {{{data}}}\n")
    };
    let ca = secret("", "ca.crt", CERTIFICATE);
    let text = [one("tls", &pair), one("ca", &ca), one("other", &ca), text.to_owned()].concat();
    ingress::convert(&[ManifestFile { name: "a.yaml".to_owned(), text }], &|_| None)
}

#[test]
fn ingresses_of_one_host_ask_alike() {
    const SECRET: &str = "auth-tls-secret: ca";
    for [more, wanted] in [
        ["auth-tls-match-cn: CN=ops", "`auth-tls-match-cn`"],
        ["auth-tls-verify-depth: \"3\"", "`auth-tls-verify-depth`"],
        [
            "auth-tls-pass-certificate-to-upstream: \"true\"",
            "`auth-tls-pass-certificate-to-upstream`",
        ],
        ["auth-tls-verify-client: optional", "`auth-tls-verify-client`"],
        ["auth-tls-verify-client: \"off\"", "another Ingress of a.test asks"],
    ] {
        let pair = [ingress("one", &[SECRET], &["/a"]), ingress("two", &[SECRET, more], &["/b"])];
        refused(&manifests(&pair.concat()), wanted, more);
        let [one, two] = pair;
        refused(&manifests(&[two, one].concat()), wanted, more);
    }
    let other =
        [ingress("one", &[SECRET], &["/a"]), ingress("two", &["auth-tls-secret: other"], &["/b"])];
    refused(&manifests(&other.concat()), "`auth-tls-secret`", "another Secret");
    let same =
        [ingress("one", &[SECRET], &["/a"]), ingress("two", &["auth-tls-secret: d/ca"], &["/b"])];
    made(&manifests(&same.concat()), "the same Secret");
    let twice = [ingress("one", &[SECRET], &["/a"]), ingress("one", &[SECRET], &["/b"])];
    refused(&manifests(&twice.concat()), "of this name is there twice", "two of a name");
}

#[test]
fn annotations_without_a_secret_are_told() {
    for annotation in ["auth-tls-verify-client: \"on\"", "auth-tls-match-cn: CN=a"] {
        let import = manifests(&ingress("one", &[annotation], &["/"]));
        made(&import, annotation);
        let told = |finding: &ferrule_import::Finding| {
            finding.kind == Kind::Security
                && finding.message.contains("nobody was asked for a certificate")
        };
        assert!(import.report.findings.iter().any(told), "{annotation}: {}", import.report.text());
    }
}

#[test]
fn expressions_of_a_host_have_nginx_order() {
    let open = ingress("one", &["use-regex: \"true\""], &["/a."]);
    let closed = ingress("two", &["whitelist-source-range: 10.9.9.9/32"], &["/ab"]);
    for text in [[open.clone(), closed.clone()].concat(), [closed, open].concat()] {
        let import = manifests(&text);
        let made = made(&import, "order");
        let (guarded, free) = (made.find("^/ab"), made.find("^/a."));
        assert!(guarded.is_some() && guarded < free, "{made}");
    }
    for path in ["/[a-z&&[^b]]", "/[a--c]"] {
        let import = manifests(&ingress("one", &["use-regex: \"true\""], &[path]));
        assert_eq!(import.report.outcome(), Outcome::Refused, "{path}");
        refused(&import, "join classes", path);
    }
}

/// Routes with these plugins, whatever stands before the brace; `more` is written behind them.
fn apisix(routes: &[&str], more: &str, skipped: &[&str]) -> Import {
    let lines: String = routes
        .iter()
        .enumerate()
        .map(|(at, route)| {
            format!(
                "  - {{id: r{at}, uri: /r{at}, {route}, upstream: {{type: roundrobin, nodes: {{\"127.0.0.1:9\": 1}}}}}}\n"
            )
        })
        .collect();
    let options = Options {
        source: "apisix.yaml".to_owned(),
        skip_plugins: skipped.iter().map(|name| (*name).to_owned()).collect(),
        knows: !skipped.is_empty(),
        ..Options::default()
    };
    apisix::convert(&format!("routes:\n{lines}{more}"), &options, &|_| None)
}

#[test]
fn a_plugin_that_is_left_out_takes_no_other_with_it() {
    const CONSUMERS: &str = "consumers:\n  - {username: ops, plugins: {cert-auth: {cn: ops}}}\n  - {username: dev, plugins: {cert-auth: {cn: dev}}}\n";
    let both = "plugins: {cert-auth: {}, consumer-restriction: {whitelist: [ops]}}";
    let pem = |text: &str| text.replace('\n', "\\n");
    let (cert, key) = (pem(CERTIFICATE), pem(KEY));
    let asks = format!(
        "{CONSUMERS}ssls:\n  - {{id: s, snis: [a.test], cert: \"{cert}\", key: \"{key}\", client: {{ca: \"{cert}\"}}}}\n"
    );
    let import = apisix(&[both], &asks, &["consumer-restriction"]);
    let text = made(&import, both);
    assert!(text.contains("CN=ops") && text.contains("CN=dev"), "{text}");
    let import = apisix(&[both], CONSUMERS, &["cert-auth"]);
    refused(&import, "only `cert-auth` beside it", "cert-auth left out");
    let rule = format!("{CONSUMERS}global_rules:\n  - {{id: g, plugins: {{cert-auth: {{}}}}}}\n");
    let alone = "plugins: {consumer-restriction: {whitelist: [ops]}}";
    refused(&apisix(&[alone], &rule, &["cert-auth"]), "only `cert-auth` beside it", "of a rule");
}

#[test]
fn expressions_of_apisix_mean_the_same_or_are_refused() {
    for route in [
        "plugins: {uri-blocker: {block_rules: ['^/[a-z&&b]']}}",
        "plugins: {ua-restriction: {denylist: ['[a--z]bot']}}",
        "vars: [[arg_a, \"~~\", \"[~~]\"]]",
    ] {
        refused(&apisix(&[route], "", &[]), "join classes", route);
    }
    let route = "plugins: {uri-blocker: {block_rules: ['^/[a-z_-]+/a&&b']}}";
    made(&apisix(&[route], "", &[]), route);
}

#[test]
fn names_of_servers_keep_their_arguments() {
    for (sni, taken) in [
        ("req.hdr(host)", true),
        ("req.hdr(host),field(1,:)", true),
        ("str(b.test)", true),
        ("req.hdr(host,2)", false),
        ("str(b.test),upper", false),
    ] {
        let rules = format!(
            " default_backend c\nbackend c\n server s 127.0.0.1:9 ssl verify required ca-file ca.pem sni {sni}\nfrontend g\n bind 127.0.0.1:81"
        );
        let import = haproxy(&[PLAIN], &rules);
        if taken {
            made(&import, sni);
        } else {
            refused(&import, "is not converted", sni);
        }
    }
}

#[test]
fn the_address_of_a_client_is_that_of_all_routes() {
    const REAL: &str =
        "plugins: {real-ip: {source: http_x_forwarded_for, trusted_addresses: [10.0.0.0/8]}}";
    const RULE: &str = "global_rules:\n  - {id: g, plugins: {real-ip: {source: http_x_forwarded_for, trusted_addresses: [10.0.0.0/8]}}}\n";
    let guarded = "plugins: {ip-restriction: {whitelist: [10.9.9.9]}}";
    for (routes, more) in
        [(&[REAL][..], ""), (&[REAL, REAL][..], ""), (&[guarded, guarded][..], RULE)]
    {
        let import = apisix(routes, more, &[]);
        assert!(made(&import, more).contains("real_ip"), "{}", import.configuration);
    }
    refused(&apisix(&[REAL, guarded], "", &[]), "put it into a global rule", "another route");
    refused(&apisix(&[REAL, "name: x"], "", &[]), "put it into a global rule", "a bare route");
    let limit = "global_rules:\n  - {id: g, plugins: {ip-restriction: {whitelist: [10.9.9.9]}}}\n";
    refused(&apisix(&[REAL], limit, &[]), "put it into a global rule", "a rule");
    for route in ["remote_addr: 10.0.0.1", "vars: [[remote_addr, \"==\", 10.0.0.1]]"] {
        refused(&apisix(&[route], RULE, &[]), "a route is chosen by the address", route);
    }
}

#[test]
fn a_port_without_tls_that_verifies_is_told() {
    let import = haproxy(&["bind 127.0.0.1:80 ca-file ca.pem verify required"], "");
    made(&import, "verify without ssl");
    assert!(import.report.text().contains("`verify` without `ssl`"), "{}", import.report.text());
}

#[test]
fn consumers_of_one_name_are_refused() {
    let more = "consumers:\n  - {username: ops, plugins: {cert-auth: {cn: ops}}}\n  - {username: ops, plugins: {cert-auth: {cn: dev}}}\n";
    let import = apisix(&["plugins: {cert-auth: {}}"], more, &[]);
    refused(&import, "two consumers \"ops\"", more);
}
