//! What all server names share about clients, what each of them says for itself, and what is missed.

use ferrule_config::model::{ClientVerify, Server};

use crate::problems::{ROUTE, TLS_LISTEN, assert_problems, draft, problems};

/// Servers `a`, `b` and so on with these lines each, behind these lines.
fn file(front: &str, servers: &[&str]) -> String {
    let object = |(name, lines): (char, &&str)| {
        format!("[[ssls]]\nsni = '{name}'\ncert = 'c'\nkey = 'k'\n{}\n", lines.replace(';', "\n"))
    };
    let servers: String = ('a'..).zip(servers).map(object).collect();
    format!("{TLS_LISTEN}{}\n{servers}{ROUTE}", front.replace(';', "\n"))
}

fn servers(front: &str, servers: &[&str]) -> Vec<Server> {
    let text = file(front, servers);
    let config = draft(&text).and_then(ferrule_config::Draft::finish);
    config.unwrap_or_else(|problems| unreachable!("{text}\n{problems}")).servers
}

const DEFAULTS: &str = "[ssl_defaults.client];ca = 'ca';crl = 'crl';crl_missing = 'allow';depth = 3;\
                        allow = ['CN=x', 'CN=y']";

/// Verify, depth, whether there are lists of revoked ones, and how many are allowed.
fn settings(server: &Server) -> Option<(ClientVerify, u32, bool, usize)> {
    let auth = server.client.as_ref()?;
    Some((auth.verify, auth.depth, auth.revocation.is_some(), auth.lists.allow.len()))
}

#[test]
fn what_a_server_name_does_not_say_comes_from_the_defaults() {
    let all = Some((ClientVerify::On, 3, true, 2));
    for (client, wanted) in [
        ("", all),
        ("client = {}", all),
        ("client.depth = 1", Some((ClientVerify::On, 1, true, 2))),
        ("client.allow = ['CN=z']", Some((ClientVerify::On, 3, true, 1))),
        ("client.verify = 'off'", Some((ClientVerify::Off, 1, false, 0))),
        ("client = { defaults = false, ca = 'other' }", Some((ClientVerify::On, 1, false, 0))),
    ] {
        assert_eq!(settings(&servers(DEFAULTS, &[client])[0]), wanted, "{client}");
    }
    let other = servers(DEFAULTS, &["client.crl = 'other'"]);
    let revocation = other[0].client.as_ref().and_then(|auth| auth.revocation.clone());
    let lists = revocation.expect("a list").crls;
    assert_eq!(lists.len(), 1);
    assert!(lists[0].name().ends_with("/other"), "{lists:?}");
    // Nothing that says whom to trust: who asked nobody still asks nobody.
    let mild = "[ssl_defaults.client];on_revoke = 'cut'";
    assert_eq!(settings(&servers(mild, &[""])[0]), None);
    assert!(servers(mild, &["client.ca = 'ca'"])[0].client.is_some());
}

/// In doubt a server name is not open.
#[test]
fn defaults_that_demand_a_certificate_hold_for_names_that_say_nothing() {
    let wanted = [(4, 1, "ssls[0].client.ca", "`ca` is missing")];
    assert_problems(&file("[ssl_defaults.client];verify = 'on'", &[""]), &wanted);
    for server in servers(DEFAULTS, &["", "client.reject = 'handshake'", ""]) {
        assert_eq!(server.client.map(|auth| auth.verify), Some(ClientVerify::On));
    }
}

#[test]
fn mistakes_in_defaults_are_told_once_and_in_their_place() {
    let three = ["", "client = {}", "client.depth = 1"];
    for (line, wanted) in [
        ("allow = ['CN']", (4, 10, "ssl_defaults.client.allow[0]", "CN")),
        ("ca = 'system'", (4, 6, "ssl_defaults.client.ca[0]", "never trusted by system roots")),
        ("crl = ''", (4, 7, "ssl_defaults.client.crl", "this is empty")),
        ("crll = 'x'", (4, 1, "ssl_defaults.client.crll", "unknown key `crll`")),
    ] {
        let ca = if line.starts_with("ca") { "" } else { "ca = 'ca'" };
        let text = file(&format!("[ssl_defaults.client];{ca};{line}").replace(";;", ";"), &three);
        let line = if ca.is_empty() { wanted.0 - 1 } else { wanted.0 };
        assert_problems(&text, &[(line, wanted.1, wanted.2, wanted.3)]);
    }
    let text = file("[ssl_defaults.client];ca = 'ca';defaults = true", &[""]);
    assert_problems(&text, &[(4, 12, "ssl_defaults.client.defaults", "these are the defaults")]);
    // What does not go together is told where it comes together.
    let text = file(DEFAULTS, &["client.verify = 'optional'"]);
    let wanted = (12, 1, "ssls[0].client.allow", "comes from [ssl_defaults.client]");
    assert_problems(&text, &[wanted]);
    // Without `crl` anywhere `crl_missing` concerns nobody.
    let text = file("[ssl_defaults.client];ca = 'ca';crl_missing = 'allow'", &[""]);
    assert_problems(&text, &[]);
}

#[test]
fn the_dump_has_what_holds_and_reads_back() {
    let text = file(DEFAULTS, &["", "client.verify = 'off'", "client.depth = 1"]);
    let config = draft(&text).and_then(ferrule_config::Draft::finish).expect("no problem");
    let dump = config.dump();
    assert!(!dump.contains("ssl_defaults"), "{dump}");
    assert_eq!(dump.matches("crl_missing = \"allow\"").count(), 2, "{dump}");
    let again = draft(&dump).and_then(ferrule_config::Draft::finish).expect("no problem");
    assert_eq!(again.dump(), dump);
    let settings: Vec<_> = again.servers.iter().map(settings).collect();
    assert_eq!(settings, config.servers.iter().map(self::settings).collect::<Vec<_>>());
}

fn warnings(front: &str, servers: &[&str]) -> Vec<String> {
    let problems = problems(&file(front, servers));
    assert!(problems.is_empty(), "{problems}");
    problems.warnings().map(|problem| problem.field.clone()).collect()
}

#[test]
fn what_one_server_name_of_several_lacks_is_warned_about() {
    let (bare, crl) = ("client = { ca = 'ca' }", "client = { ca = 'ca', crl = 'crl' }");
    let allow = "client = { ca = 'ca', allow = ['CN=x'] }";
    let alone = "client = { ca = 'ca', defaults = false }";
    let elsewhere = "client = { ca = 'other' }";
    let none: [&str; 0] = [];
    for (servers, wanted) in [
        (&[crl, bare][..], &["ssls[1].client.crl"][..]),
        (&[crl, crl, bare], &["ssls[2].client.crl"]),
        (&[bare, crl, bare], &["ssls[0].client.crl", "ssls[2].client.crl"]),
        (&[crl, crl, elsewhere, ""], &none),
        (&[crl, alone], &none),
        (&[bare, bare], &none),
        (&[allow, bare], &none),
        (&[allow, bare, allow], &["ssls[1].client.allow"]),
        (&[allow, bare, bare, allow], &none),
        (&[allow, alone, allow], &none),
        (&["client = { ca = ['ca', 'other'], crl = 'crl' }", elsewhere], &["ssls[1].client.crl"]),
    ] {
        assert_eq!(warnings("", servers), wanted, "{servers:?}");
    }
    assert_eq!(
        warnings("[ssl_defaults.client];ca = 'ca';crl = 'crl'", &["", "", "client = {}"]),
        none
    );
}

#[test]
fn hosts_without_a_server_name_and_odd_ports_are_warned_about() {
    let server = "[[ssls]]\nsnis = ['a.test', '*.b.test']\ncert = 'c'\nkey = 'k'\n";
    let plain = "[[listen]]\naddress = '0.0.0.0:80'\n";
    let tls = "[[listen]]\naddress = '0.0.0.0:443'\ntls = true\n";
    let assumed = "[[listen]]\naddress = '0.0.0.0:444'\ntls = true\nfallback_sni = 'a.test'\n";
    let fields = |text: String| -> Vec<String> {
        let problems = problems(&text);
        assert!(problems.is_empty(), "{problems}");
        problems.warnings().map(|problem| problem.field.clone()).collect()
    };
    let hosts = "hosts = ['a.test', 'x.b.test', '*.test', 'c.test', '10.0.0.1']\n";
    let strangers = ["routes[0].hosts[3]", "routes[0].hosts[4]"];
    assert_eq!(fields(format!("{tls}{server}{ROUTE}{hosts}")), strangers);
    for listens in [format!("{plain}{tls}"), format!("{tls}{assumed}")] {
        assert!(fields(format!("{listens}{server}{ROUTE}{hosts}")).is_empty(), "{listens}");
    }
    let odd = "[[listen]]\naddress = '0.0.0.0:443'\n";
    assert_eq!(fields(format!("{odd}{ROUTE}")), ["listen[0].address"]);
    let to = |scheme: &str, port: u16| {
        let tls = if scheme == "https" { "upstream.tls.ca = 'x'\n" } else { "" };
        let route = format!(
            "[[routes]]\nuri = '/*'\nupstream.nodes = {{ 'a:{port}' = 1 }}\nupstream.scheme = '{scheme}'\n"
        );
        fields(format!("{plain}{route}{tls}"))
    };
    assert_eq!(to("http", 443), ["routes[0].upstream.nodes"]);
    assert_eq!(to("https", 80), ["routes[0].upstream.nodes"]);
    assert!(to("http", 8443).is_empty() && to("https", 443).is_empty());
}
