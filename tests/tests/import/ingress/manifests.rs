//! Manifests, and what their gateways answer.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ferrule_tests::on_both_drivers;

use super::stage::IngressStage;
use crate::kit::{curl, lines};

/// A manifest and what is asked of it: curl's words, the status, and a line of the request that the service got, or of
/// the answer.
struct IngressCase {
    annotations: &'static str,
    spec: &'static str,
    code: i32,
    asks: &'static [[&'static str; 3]],
}

const TLS_SPEC: &str = "  tls: [{hosts: [shop.example], secretName: shop-tls}]\n  rules:\n  - host: shop.example\n    http:\n      paths:\n      \
                        - {path: /, pathType: Prefix, backend: {service: {name: app, port: {number: 80}}}}\n";
const PLAIN_SPEC: &str = "  rules:\n  - host: shop.example\n    http:\n      paths:\n      \
                          - {path: /api, pathType: Prefix, backend: {service: {name: app, port: {name: http}}}}\n      \
                          - {path: /api/exact, pathType: Exact, backend: {service: {name: other, port: {number: 80}}}}\n";

const ALICE: &str = "--cert alice.crt --key alice.key https://shop.example/x";
const NOBODY: &str = "https://shop.example/x";

const CASES: [IngressCase; 10] = [
    IngressCase {
        annotations: "auth-tls-secret: default/shop-ca",
        spec: TLS_SPEC,
        code: 0,
        asks: &[
            [ALICE, "200", "ssl-client-verify: SUCCESS"],
            [ALICE, "200", r"ssl-client-subject-dn: CN=alice,O=Acme\, Inc."],
            [ALICE, "200", "ssl-client-issuer-dn: CN=Clients"],
            [ALICE, "200", "x-forwarded-proto: https"],
            [NOBODY, "400", ""],
            ["--cert mallory.crt --key mallory.key https://shop.example/x", "400", ""],
            ["-X POST http://shop.example/x", "308", ""],
        ],
    },
    IngressCase {
        annotations: "auth-tls-secret: shop-ca\n    nginx.ingress.kubernetes.io/auth-tls-verify-client: optional\n    \
                      nginx.ingress.kubernetes.io/auth-tls-pass-certificate-to-upstream: \"true\"",
        spec: TLS_SPEC,
        code: 2,
        asks: &[
            [ALICE, "200", "ssl-client-cert: -----BEGIN%20CERTIFICATE-----%0A"],
            [NOBODY, "200", "ssl-client-verify: NONE"],
            [
                "-H ssl-client-subject-dn:CN=root https://shop.example/x",
                "200",
                "!ssl-client-subject-dn",
            ],
        ],
    },
    IngressCase {
        annotations: "auth-tls-secret: shop-ca\n    nginx.ingress.kubernetes.io/auth-tls-match-cn: CN=(alice|carol)",
        spec: TLS_SPEC,
        code: 2,
        asks: &[
            [ALICE, "200", ""],
            [
                "--cert bob.crt --key bob.key https://shop.example/x",
                "403",
                "client certificate unauthorized",
            ],
        ],
    },
    IngressCase {
        annotations: "proxy-body-size: 10",
        spec: PLAIN_SPEC,
        code: 0,
        asks: &[
            ["http://shop.example/api/x", "200", "x-scheme: http"],
            ["http://shop.example/api", "200", "host: shop.example"],
            ["http://shop.example/apix", "404", ""],
            ["http://shop.example/api/exact", "200", "other"],
            ["-d 12345678901 http://shop.example/api", "413", ""],
        ],
    },
    IngressCase {
        annotations: "rewrite-target: /$2",
        spec: "  rules:\n  - host: shop.example\n    http:\n      paths:\n      - {path: /old(/|$)(.*), pathType: ImplementationSpecific, \
               backend: {service: {name: app, port: {number: 80}}}}\n",
        code: 0,
        asks: &[
            ["http://shop.example/old/a/b?c=d", "200", "GET /a/b?c=d HTTP/1.1"],
            ["http://shop.example/OLD/a", "200", "GET /a HTTP/1.1"],
            ["http://shop.example/other", "404", ""],
        ],
    },
    IngressCase {
        annotations: "whitelist-source-range: 192.0.2.0/24, 198.51.100.7",
        spec: PLAIN_SPEC,
        code: 0,
        asks: &[["http://shop.example/api", "403", ""]],
    },
    IngressCase {
        annotations: "ssl-redirect: \"false\"",
        spec: TLS_SPEC,
        code: 0,
        asks: &[
            ["http://shop.example/x", "200", "x-scheme: http"],
            [NOBODY, "200", "x-scheme: https"],
        ],
    },
    IngressCase {
        annotations: "enable-cors: \"true\"\n    nginx.ingress.kubernetes.io/cors-allow-origin: https://app.example",
        spec: PLAIN_SPEC,
        code: 2,
        asks: &[[
            "-H Origin:https://app.example http://shop.example/api",
            "200",
            "access-control-allow-origin: https://app.example",
        ]],
    },
    IngressCase {
        annotations: "limit-rps: \"1\"\n    nginx.ingress.kubernetes.io/limit-burst-multiplier: \"0\"",
        spec: "  defaultBackend: {service: {name: other, port: {number: 80}}}\n",
        code: 0,
        asks: &[["http://any.example/a", "200", "other"], ["http://any.example/b", "503", ""]],
    },
    IngressCase {
        annotations: "upstream-hash-by: $request_uri\n    nginx.ingress.kubernetes.io/upstream-vhost: inner.example\n    \
                      nginx.ingress.kubernetes.io/proxy-read-timeout: \"5\"",
        spec: PLAIN_SPEC,
        code: 0,
        asks: &[["http://shop.example/api", "200", "host: inner.example"]],
    },
];

fn manifest(annotations: &str, spec: &str, name: &str) -> String {
    let annotation = annotations.split_once(": ").map(|(name, value)| {
        format!("    nginx.ingress.kubernetes.io/{name}: {}\n", quoted(value))
    });
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\n  annotations:\n{}\
         spec:\n  ingressClassName: nginx\n{spec}",
        annotation.unwrap_or_default()
    )
}

/// The first line of a value in quotation marks, as annotations are texts.
fn quoted(value: &str) -> String {
    let (first, rest) =
        value.split_once('\n').map_or((value, None), |(first, rest)| (first, Some(rest)));
    let first = if first.starts_with('"') { first.to_owned() } else { format!("\"{first}\"") };
    rest.map_or_else(|| first.clone(), |rest| format!("{first}\n{rest}"))
}

on_both_drivers! {
    fn manifests_serve_as_they_did(driver) {
        let stage = IngressStage::new();
        for (at, case) in CASES.iter().enumerate() {
            let folder = format!("made-{at}");
            let run = stage.import(&manifest(case.annotations, case.spec, "shop"), &folder);
            assert_eq!(run.code, Some(case.code), "{}: {}", case.annotations, run.text);
            let gateway = stage.start(&folder, driver);
            for [words, status, line] in case.asks {
                let (plain, tls) = (gateway.plain, gateway.tls);
                let to = format!(
                    "--connect-to :80:127.0.0.1:{plain} --connect-to :443:127.0.0.1:{tls} {words}"
                );
                let answer = curl(stage.path(), &to);
                let context = format!("{words}: {answer:?}\n{}", gateway.process.output());
                assert_eq!(answer.status, *status, "{context}");
                match line.strip_prefix('!') {
                    Some(name) => assert!(lines(&answer.body, &[name]).is_empty(), "{context}"),
                    None => {
                        let name = line.split(':').next().unwrap_or_default();
                        let heard = lines(&answer.body, &[name]).iter().any(|found| found.starts_with(line))
                            || answer.body.contains(line)
                            || answer.fields.iter().any(|field| field == line);
                        assert!(heard, "{line} {context}");
                    }
                }
            }
        }
    }
    fn a_canary_gets_its_share(driver) {
        let stage = IngressStage::new();
        let canary = "canary: \"true\"\n    nginx.ingress.kubernetes.io/canary-by-header: x-new\n    \
                      nginx.ingress.kubernetes.io/canary-weight: \"50\"";
        let spec = |name: &str| {
            format!("  rules:\n  - host: shop.example\n    http:\n      paths:\n      \
                     - {{path: /, pathType: Prefix, backend: {{service: {{name: {name}, port: {{number: 80}}}}}}}}\n")
        };
        let text = manifest("ssl-redirect: \"true\"", &spec("app"), "shop") + &manifest(canary, &spec("other"), "canary");
        let run = stage.import(&text, "made");
        assert_eq!(run.code, Some(0), "{}", run.text);
        let gateway = stage.start("made", driver);
        let ask = |more: &str| {
            let words = format!("--connect-to :80:127.0.0.1:{} {more} http://shop.example/", gateway.plain);
            curl(stage.path(), &words).body == "other"
        };
        assert!((0..4).all(|_| ask("-H x-new:always")));
        assert!((0..4).all(|_| !ask("-H x-new:never")));
        assert_eq!((0..8).filter(|_| ask("")).count(), 4);
    }
}

#[test]
fn secrets_become_files_that_only_their_owner_reads() {
    let stage = IngressStage::new();
    let run = stage.import(&manifest("auth-tls-secret: shop-ca", TLS_SPEC, "shop"), "made");
    assert_eq!(run.code, Some(0), "{}", run.text);
    let mut names = Vec::new();
    for entry in fs::read_dir(stage.path().join("made")).expect("a folder") {
        let entry = entry.expect("an entry");
        assert_eq!(entry.metadata().expect("a file").permissions().mode() & 0o777, 0o600);
        names.push(entry.file_name().to_string_lossy().into_owned());
        let text = fs::read_to_string(entry.path()).expect("text");
        let secret =
            text.lines().nth(1).filter(|_| text.starts_with("-----BEGIN")).unwrap_or("-----");
        assert!(secret == "-----" || !run.text.contains(secret), "{}", run.text);
    }
    names.sort();
    assert_eq!(
        names,
        ["ferrule.toml", "shop_example-client-ca.pem", "shop_example.key", "shop_example.pem"]
    );
}

#[test]
fn what_is_not_converted_is_refused_by_name_and_line() {
    let stage = IngressStage::new();
    for (annotation, wanted) in [
        (
            "configuration-snippet: \"more_set_headers 'A: b';\"",
            "`configuration-snippet` is not converted: directives of nginx",
        ),
        ("server-snippet: \"deny all;\"", "`server-snippet` is not converted"),
        ("auth-url: https://a.example", "`auth-url` is not converted"),
        ("auth-tls-error-page: https://a.example", "`auth-tls-error-page`"),
        ("auth-tls-secret: default/nowhere", "default/nowhere is in none of the files"),
        ("auth-tls-verify-client: sometimes", "must be one of: on, off"),
        ("backend-protocol: GRPC", "must be one of: HTTP, HTTPS"),
        ("proxy-read-timeout: 5s", "must be a number"),
        ("no-such-thing: a", "`no-such-thing` is not converted"),
    ] {
        let run = stage.import(&manifest(annotation, TLS_SPEC, "shop"), "made");
        assert_eq!(run.code, Some(1), "{annotation}: {}", run.text);
        let text = fs::read_to_string(stage.path().join("all.yaml")).expect("a file");
        let name = annotation.split(':').next().unwrap_or_default();
        let line = text
            .lines()
            .position(|line| line.contains(&format!("kubernetes.io/{name}:")))
            .expect("it stands there");
        let place = format!("all.yaml:{}:", line + 1);
        let told = run.text.lines().any(|line| line.starts_with(&place) && line.contains(wanted));
        assert!(told, "{annotation}: {}", run.text);
        assert!(!stage.path().join("made").exists());
    }
    for (text, wanted) in [
        ("---\nkind: [", "this is no YAML"),
        ("---\nkind: Ingress\n", "an object needs `kind` and `metadata.name`"),
        ("---\nkind: ConfigMap\nmetadata: {name: a}\n", "there is no Ingress"),
    ] {
        let run = stage.import(text, "made");
        assert!(run.code == Some(1) && run.text.contains(wanted), "{text}: {}", run.text);
    }
}
