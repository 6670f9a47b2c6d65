//! Configurations that work in both.

use ferrule_tests::on_both_drivers;

use super::stage::{HaproxyCase, Stage};

/// Words of curl for a client and a host.
const CASES: [HaproxyCase; 13] = [
    // What guides show.
    HaproxyCase {
        text: "frontend web\n  bind 127.0.0.1:@front@ ssl crt site.pem ca-file clients.pem verify required\n  \
               http-request set-header X-SSL %[ssl_fc]\n  \
               http-request set-header X-SSL-Client-Verify %[ssl_c_verify]\n  \
               http-request set-header X-SSL-Client-DN %[ssl_c_s_dn]\n  \
               http-request set-header X-SSL-Client-RFC %[ssl_c_s_dn(,0,rfc2253)]\n  \
               http-request set-header X-SSL-Client-CN %{+Q}[ssl_c_s_dn(cn)]\n  \
               http-request set-header X-SSL-Client-Serial %[ssl_c_serial,hex]\n  \
               http-request set-header X-SSL-Client-SHA1 %[ssl_c_sha1,hex,lower]\n  \
               http-request set-header X-SSL-Issuer %[ssl_c_i_dn]\n  \
               http-request set-header X-Who \"%[src] over %[ssl_fc_protocol], \\$5 100%%\"\n  \
               default_backend app\nbackend app\n  server one 127.0.0.1:@echo@\n",
        code: 2,
        asks: &[
            "--cert alice.crt --key alice.key https://127.0.0.1:@front@/a?b=c",
            "--cert bob.crt --key bob.key https://127.0.0.1:@front@/",
            "--cert mallory.crt --key mallory.key https://127.0.0.1:@front@/",
            "https://127.0.0.1:@front@/",
            "--cert alice.crt --key alice.key -H X-SSL-Client-CN:root https://127.0.0.1:@front@/",
        ],
        headers: &[
            "x-ssl",
            "x-ssl-client-verify",
            "x-ssl-client-dn",
            "x-ssl-client-rfc",
            "x-ssl-client-cn",
            "x-ssl-client-serial",
            "x-ssl-client-sha1",
            "x-ssl-issuer",
            "x-who",
        ],
        told: &["oneline form", "not taken over"],
    },
    // A certificate on some paths only.
    HaproxyCase {
        text: "frontend web\n  bind 127.0.0.1:@front@ ssl crt site.pem ca-file clients.pem verify optional\n  \
               acl private path_beg /private\n  acl ops ssl_c_s_dn(ou) ops\n  \
               http-request deny deny_status 401 if private !{ ssl_c_used }\n  \
               http-request deny if private !ops\n  \
               http-request set-header X-SSL-Client-CN %[ssl_c_s_dn(cn)] if { ssl_c_used }\n  \
               default_backend app\nbackend app\n  server one 127.0.0.1:@echo@\n",
        code: 2,
        asks: &[
            "https://127.0.0.1:@front@/",
            "https://127.0.0.1:@front@/private/x",
            "--cert alice.crt --key alice.key https://127.0.0.1:@front@/private/x",
            "--cert bob.crt --key bob.key https://127.0.0.1:@front@/private/x",
            "--cert bob.crt --key bob.key https://127.0.0.1:@front@/open",
            "--cert mallory.crt --key mallory.key https://127.0.0.1:@front@/open",
        ],
        headers: &["x-ssl-client-cn"],
        told: &["What this configuration let through", "could send this header itself"],
    },
    // Revocation.
    HaproxyCase {
        text: "frontend web\n  bind 127.0.0.1:@front@ ssl crt site.pem ca-file clients.pem crl-file clients.crl verify required\n  \
               default_backend app\nbackend app\n  server one 127.0.0.1:@echo@\n",
        code: 0,
        asks: &[
            "--cert alice.crt --key alice.key https://127.0.0.1:@front@/",
            "--cert bob.crt --key bob.key https://127.0.0.1:@front@/",
        ],
        headers: &[],
        told: &[],
    },
    // By host, path, method and header, in their order.
    HaproxyCase {
        text: "frontend web\n  bind 127.0.0.1:@front@\n  \
               acl api hdr(host) -i api.example\n  acl sub hdr_end(host) .wide.example\n  acl down path_beg /down /gone\n  \
               acl writes method POST PUT\n  acl beta hdr(x-beta) on\n  \
               use_backend no if down\n  use_backend two if api !writes or sub\n  use_backend two if beta\n  \
               use_backend two if { path_reg ^/[0-9]+$ } { req.fhdr(x-n) -m reg . }\n  default_backend one\n\
               backend one\n  server s 127.0.0.1:@echo@\nbackend two\n  server s 127.0.0.1:@other@\nbackend no\n",
        code: 0,
        asks: &[
            "http://127.0.0.1:@front@/",
            "-H Host:api.example http://127.0.0.1:@front@/x",
            "-H Host:API.example http://127.0.0.1:@front@/x",
            "-H Host:api.example -X POST http://127.0.0.1:@front@/x",
            "-H Host:x.wide.example http://127.0.0.1:@front@/x",
            "-H X-Beta:a,on http://127.0.0.1:@front@/x",
            "-H X-Beta:online http://127.0.0.1:@front@/x",
            "-H Host:api.example http://127.0.0.1:@front@/gone/x",
            "-H X-N:1 http://127.0.0.1:@front@/123",
            "http://127.0.0.1:@front@/123",
        ],
        headers: &["host-none"],
        told: &[],
    },
    // Networks, statuses and texts.
    HaproxyCase {
        text: "frontend web\n  bind 127.0.0.1:@front@\n  acl local src 127.0.0.0/8 ::1\n  \
               http-request deny deny_status 404 if { path /hidden }\n  \
               http-request return status 200 content-type text/plain string pong if { path /ping }\n  \
               http-request redirect location https://www.example/ code 301 if { path /old }\n  \
               http-request redirect prefix https://new.example code 308 if { path_beg /moved }\n  \
               http-request deny if !local\n  default_backend app\nbackend app\n  \
               http-request deny deny_status 405 if { path_end .php }\n  server one 127.0.0.1:@echo@\n",
        code: 0,
        asks: &[
            "http://127.0.0.1:@front@/hidden",
            "http://127.0.0.1:@front@/ping",
            "http://127.0.0.1:@front@/old",
            "http://127.0.0.1:@front@/moved/a?b=c",
            "http://127.0.0.1:@front@/x.php",
            "http://127.0.0.1:@front@/x",
        ],
        headers: &[],
        told: &[],
    },
    // Plain HTTP leads to TLS.
    HaproxyCase {
        text: "frontend web\n  bind 127.0.0.1:@front@\n  bind 127.0.0.1:@second@ ssl crt site.pem ca-file clients.pem verify required\n  \
               http-request redirect scheme https code 301 unless { ssl_fc }\n  \
               http-request set-header X-Forwarded-Proto https if { ssl_fc }\n  default_backend app\n\
               backend app\n  server one 127.0.0.1:@echo@\n",
        code: 0,
        asks: &[
            "--cert alice.crt --key alice.key https://127.0.0.1:@second@/x",
            "https://127.0.0.1:@second@/x",
        ],
        headers: &["x-forwarded-proto", "x-forwarded-for"],
        told: &[],
    },
    // TLS to servers, with a certificate of ours.
    HaproxyCase {
        text: "frontend web\n  bind 127.0.0.1:@front@\n  default_backend app\n\
               backend app\n  default-server ssl verify required ca-file servers.pem\n  \
               server one 127.0.0.1:@secure@ crt gateway.pem sni str(behind.example) check inter 1s fall 2 rise 1\n",
        code: 2,
        asks: &["http://127.0.0.1:@front@/x"],
        headers: &[],
        told: &["makes no TLS handshake"],
    },
    // A server under the wrong name is not asked; and one that nobody verifies.
    HaproxyCase {
        text: "frontend web\n  bind 127.0.0.1:@front@\n  use_backend any if { path /any }\n  default_backend app\n\
               backend app\n  server one 127.0.0.1:@secure@ ssl verify required ca-file servers.pem crt gateway.pem sni str(wrong.example)\n\
               backend any\n  server one 127.0.0.1:@secure@ ssl verify none crt gateway.pem\n",
        code: 2,
        asks: &["http://127.0.0.1:@front@/any"],
        headers: &[],
        told: &["was not verified"],
    },
    // One section, several servers, checks.
    HaproxyCase {
        text: "listen all\n  bind 127.0.0.1:@front@\n  balance leastconn\n  option httpchk GET /up\n  http-check expect status 200-299\n  \
               option forwardfor\n  timeout queue 2s\n  \
               server a 127.0.0.1:@echo@ check inter 500ms weight 10 maxconn 50\n  \
               server b 127.0.0.1:@other@ check inter 500ms backup weight 10 maxconn 50\n",
        code: 0,
        asks: &["http://127.0.0.1:@front@/x", "http://127.0.0.1:@front@/y"],
        headers: &["x-forwarded-for"],
        told: &[],
    },
    // Headers, in their order, of both directions.
    HaproxyCase {
        text: "frontend web\n  bind 127.0.0.1:@front@\n  http-request del-header X-Internal\n  http-request add-header X-Via one\n  \
               http-request set-header X-Once a\n  http-request set-header X-Once b\n  http-request set-path /fixed if TRUE\n  \
               http-response set-header X-Frame-Options DENY\n  default_backend app\n\
               backend app\n  http-request add-header X-Via two\n  http-request set-header Host inner.example\n  \
               http-response add-header X-From app\n  server one 127.0.0.1:@echo@\n",
        code: 0,
        asks: &["-H X-Internal:1 -H X-Via:client http://127.0.0.1:@front@/x?y=z"],
        headers: &["x-internal", "x-via", "x-once", "host", "x-frame-options", "x-from"],
        told: &[],
    },
    // An open port and one for certificates, each with its own backend.
    HaproxyCase {
        text: "frontend open\n  bind 127.0.0.1:@front@ ssl crt open.pem\n  default_backend two\n\
               frontend closed\n  bind 127.0.0.1:@second@ ssl crt site.pem ca-file clients.pem verify required\n  default_backend one\n\
               backend one\n  server s 127.0.0.1:@echo@\nbackend two\n  server s 127.0.0.1:@other@\n",
        code: 0,
        asks: &[
            "https://127.0.0.1:@front@/",
            "https://127.0.0.1:@second@/",
            "--cert alice.crt --key alice.key https://127.0.0.1:@second@/",
        ],
        headers: &[],
        told: &[],
    },
    // A list: what is asked of clients by their server name.
    HaproxyCase {
        text: "frontend web\n  bind 127.0.0.1:@front@ ssl crt-list list.txt\n  \
               http-request set-header X-SSL-Client-CN %[ssl_c_s_dn(cn)] if { ssl_c_used }\n  default_backend one\n\
               backend one\n  server s 127.0.0.1:@echo@\n",
        code: 2,
        asks: &[
            "--connect-to ::127.0.0.1:@front@ https://open.example/",
            "--connect-to ::127.0.0.1:@front@ https://site.example/",
            "--connect-to ::127.0.0.1:@front@ --cert alice.crt --key alice.key https://site.example/",
            "--connect-to ::127.0.0.1:@front@ --cert mallory.crt --key mallory.key https://site.example/",
            "--connect-to ::127.0.0.1:@front@ https://y.site.example/",
            "--connect-to ::127.0.0.1:@front@ --cert alice.crt --key alice.key https://y.site.example/",
            "--connect-to ::127.0.0.1:@front@ https://x.site.example/",
            "--connect-to ::127.0.0.1:@front@ https://b.example/",
        ],
        headers: &["x-ssl-client-cn"],
        told: &[],
    },
    // A folder of certificates, and no default.
    HaproxyCase {
        text: "frontend web\n  bind 127.0.0.1:@front@ ssl crt certs strict-sni alpn http/1.1 ssl-min-ver TLSv1.2 \
               ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256 curves X25519:P-256\n  \
               use_backend two if { ssl_fc_sni b.example }\n  default_backend one\n\
               backend one\n  server s 127.0.0.1:@echo@\nbackend two\n  server s 127.0.0.1:@other@\n",
        code: 0,
        asks: &[
            "--connect-to ::127.0.0.1:@front@ https://a.example/",
            "--connect-to ::127.0.0.1:@front@ https://x.a.example/",
            "--connect-to ::127.0.0.1:@front@ https://b.example/",
            "--connect-to ::127.0.0.1:@front@ https://c.example/",
            "--connect-to ::127.0.0.1:@front@ --tls-max 1.1 https://b.example/",
        ],
        headers: &[],
        told: &[],
    },
];

on_both_drivers! {
    fn both_answer_the_same(driver) {
        let stage = Stage::new();
        for case in &CASES {
            let folder = stage.path().join(format!("made-{driver}"));
            if folder.exists() {
                std::fs::remove_dir_all(folder).expect("a folder of ours");
            }
            stage.play(driver, case);
        }
        assert!(stage.plain.accepted() > 0);
    }
}
