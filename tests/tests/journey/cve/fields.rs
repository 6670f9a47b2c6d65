//! Fields in which an application reads who the client is.

use ferrule_tests::{Dial, Head, on_both_drivers};

use super::{CONFIG, World};

/// The word that no value of ours holds.
const SPOOF: &str = "5p00f";

fn unspoofed(head: &Head, fields: &str) {
    assert!(!head.raw.contains(SPOOF), "{fields}\n{head:?}");
}

on_both_drivers! {
    /// OpenShift's router passed client certificate fields on where it terminated no mutual TLS itself.
    /// Here they are taken away on every listener, the plain one and those without a CA included.
    fn cve_2026_46579_identity_is_taken_away_where_nobody_is_asked(driver) {
        let world = World::start(driver);
        let fields = format!("X-Client-Verify: {SPOOF}\r\nX-Client-Dn: CN={SPOOF}\r\nX-Client-Mail: {SPOOF}\r\n");
        unspoofed(&world.passed_on(None, ("open.test", &fields)), &fields);
        for name in ["open.test", "maybe.test"] {
            let dial = Dial::new(Some(name));
            unspoofed(&world.passed_on(Some(&dial), (name, &fields)), &fields);
        }
    }

    /// FortiClient EMS believed `X-SSL-CLIENT-VERIFY: SUCCESS` of anybody. Here the upstream is told
    /// once, by the gateway: of a client without a certificate `NONE`, whatever it says, and no subject.
    fn cve_2026_35616_success_is_said_by_the_gateway_alone(driver) {
        let world = World::start(driver);
        let fields = "X-CLIENT-VERIFY: SUCCESS\r\nX-CLIENT-VERIFY: SUCCESS\r\nX-CLIENT-DN: CN=root\r\n";
        let head = world.passed_on(Some(&Dial::new(Some("maybe.test"))), ("maybe.test", fields));
        assert_eq!(head.all("x-client-verify"), ["NONE"]);
        assert!(head.all("x-client-dn").is_empty(), "{head:?}");
        let me = Dial::as_client("maybe.test", &world.clients.client("me"));
        let head = world.passed_on(Some(&me), ("maybe.test", fields));
        assert_eq!(head.all("x-client-verify"), ["SUCCESS"]);
        assert_eq!(head.all("x-client-dn"), ["CN=me"]);
    }

    /// oauth2-proxy took `X-Forwarded-User` away and not `X_Forwarded_User`, which CGI cannot tell
    /// apart. Here both spellings and every mixture go, also where underscores are allowed.
    fn cve_2025_64484_underscores_are_dashes(driver) {
        let world = World::with(driver, &format!("[http]\nunderscores_in_headers = true\n{CONFIG}"));
        let me = Dial::as_client("maybe.test", &world.clients.client("me"));
        for name in ["X_Client_Verify", "X_Client-Verify", "X-Client_Verify", "x_client_dn", "X-CLIENT_MAIL"] {
            let fields = format!("{name}: {SPOOF}\r\n{name}: {SPOOF}\r\n");
            unspoofed(&world.passed_on(None, ("open.test", &fields)), &fields);
            unspoofed(&world.passed_on(Some(&me), ("maybe.test", &fields)), &fields);
        }
        let kept = world.passed_on(None, ("open.test", "X_Other: 1\r\n"));
        assert_eq!(kept.all("x_other"), ["1"], "underscores are allowed");
    }

    /// Traefik set its field under the canonical name and left others' spellings of it. Here no case of
    /// letters makes another field of it.
    fn cve_2026_33433_case_makes_no_other_field(driver) {
        let world = World::start(driver);
        let me = Dial::as_client("maybe.test", &world.clients.client("me"));
        for name in ["x-client-verify", "X-CLIENT-VERIFY", "x-cLIENT-vERIFY", "X-client-DN"] {
            let fields = format!("{name}: {SPOOF}\r\n");
            let head = world.passed_on(Some(&me), ("maybe.test", &fields));
            unspoofed(&head, &fields);
            assert_eq!(head.all("x-client-verify"), ["SUCCESS"], "{fields}");
        }
    }

    /// Traefik removed what `Connection` names after it had set its own fields, so that clients could
    /// take these away. Here ours are set last.
    fn cve_2024_45410_connection_takes_no_field_of_ours_away(driver) {
        let world = World::start(driver);
        let me = Dial::as_client("maybe.test", &world.clients.client("me"));
        let fields = "Connection: X-Client-Verify, x-client-dn, Host, X-Forwarded-For, X-Real-IP, X-Forwarded-Proto\r\n";
        let head = world.passed_on(Some(&me), ("maybe.test", fields));
        assert_eq!(head.all("x-client-verify"), ["SUCCESS"]);
        assert_eq!(head.all("x-client-dn"), ["CN=me"]);
        assert_eq!(head.all("host"), ["maybe.test"]);
        let plain = world.passed_on(Some(&me), ("maybe.test", ""));
        for name in ["x-forwarded-for", "x-real-ip", "x-forwarded-proto"] {
            assert_eq!(head.all(name), plain.all(name), "{name}");
        }
    }

    /// Fabio did the same for `X-Forwarded-*`, in a second `Connection` line and in any case. Here
    /// naming a field twice, oddly, or beside a copy of it changes nothing.
    fn cve_2025_48865_connection_in_several_lines_does_neither(driver) {
        let world = World::start(driver);
        let me = Dial::as_client("maybe.test", &world.clients.client("me"));
        let fields = format!(
            "Connection: keep-alive\r\nConnection: ,X-CLIENT-VERIFY ,\tx-forwarded-host\r\n\
             X-Client-Verify: {SPOOF}\r\nconnection: X-Client-Dn\r\nX-Client-Dn: {SPOOF}\r\n"
        );
        let head = world.passed_on(Some(&me), ("maybe.test", &fields));
        unspoofed(&head, &fields);
        assert_eq!(head.all("x-client-verify"), ["SUCCESS"]);
        assert_eq!(head.all("x-client-dn"), ["CN=me"]);
    }

    /// huginn-proxy (#221) overwrote a field only where it had a value for it. Here an empty value sends
    /// nothing, and leaves nothing of the client's.
    fn huginn_221_an_empty_value_leaves_no_room(driver) {
        let world = World::start(driver);
        let me = Dial::as_client("maybe.test", &world.clients.client("me"));
        let fields = format!("X-Client-Mail: {SPOOF}\r\n");
        let head = world.passed_on(Some(&me), ("maybe.test", &fields));
        unspoofed(&head, &fields);
        assert!(head.all("x-client-mail").is_empty(), "{head:?}");
    }
}
