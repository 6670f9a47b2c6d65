//! Who may do what, conditions and presets: mistakes are told, and what is right reads back.

use std::path::Path;

use ferrule_config::model::{
    ClientEku, Condition, CrlExpired, CrlMissing, Test, XfccKey, XfccMode,
};
use ferrule_config::{Config, Draft, read_text};

const LISTEN: &str = "listen = [{ address = '0.0.0.0:443', tls = true }]\n";
const SSL: &str = "[[ssls]]\nsni = 'a'\ncert = 'c'\nkey = 'k'\n";
const ROUTE: &str = "[[routes]]\nuri = '/*'\nupstream.nodes = { 'a:1' = 1 }\n";

#[expect(clippy::expect_used, reason = "a test ends where this fails")]
fn draft(text: &str) -> Draft {
    read_text(Path::new("/etc/ferrule.toml"), text.to_owned(), &|_| None).expect("it is TOML")
}

/// Field and message of every error, a line each.
fn errors(text: &str) -> String {
    let draft = draft(text);
    let lines = draft.problems.iter().map(|one| format!("{}: {}\n", one.field, one.message));
    lines.collect()
}

fn config(text: &str) -> Config {
    let draft = draft(text);
    assert!(draft.problems.is_empty(), "{text}\n{}", draft.problems);
    let dump = draft.config.dump();
    let again = self::draft(&dump);
    assert!(again.problems.is_empty(), "{}\n{dump}", again.problems);
    assert_eq!(again.config.dump(), dump);
    draft.config
}

/// One mistake in the `client` of an `[[ssls]]`.
#[test]
fn lists_of_a_server_name_are_checked() {
    for (line, field, message) in [
        ("client = { ca = 'x', allow = [] }", "ssls[0].client.allow", "this list is empty"),
        ("client = { ca = 'x', allow = 'CN=a' }", "ssls[0].client.allow", "an array is wanted"),
        ("client = { ca = 'x', allow = [[]] }", "ssls[0].client.allow[0]", "entry is empty"),
        ("client = { ca = 'x', allow = [1] }", "ssls[0].client.allow[0]", "an entry is a text"),
        ("client = { ca = 'x', deny = ['ops'] }", "ssls[0].client.deny[0]", "what it is"),
        ("client = { ca = 'x', deny = ['CN=a', ['CN=a']] }", "ssls[0].client.deny[1]", "twice"),
        (
            "client = { ca = 'x', deny = ['CN=a', ['CN=b', \
             'sha256:df6ff72fe9116521268f6f2dd4966f51df479883fe7037b39f75916ac3049d1a']] }",
            "ssls[0].client.deny[1]",
            "a client can change this fingerprint",
        ),
        (
            "client = { ca = 'x', verify = 'optional', allow = ['CN=a'] }",
            "ssls[0].client.allow",
            "`allow` needs `verify = \"on\"`",
        ),
        ("client = { verify = 'off', deny = ['CN=a'] }", "ssls[0].client.deny", "nobody is asked"),
        (
            "client = { ca = 'x', skip_mtls_uri_regex = ['^/(?!a)'] }",
            "ssls[0].client.skip_mtls_uri_regex[0]",
            "look-around",
        ),
        (
            "client = { ca = 'x', skip_mtls_uri_regex = ['^/(a)\\1'] }",
            "ssls[0].client.skip_mtls_uri_regex[0]",
            "backreference",
        ),
        (
            "client = { ca = 'x', skip_mtls_uri_regex = ['^/a'], reject = 'handshake' }",
            "ssls[0].client.skip_mtls_uri_regex",
            "needs `reject = \"http\"`",
        ),
        (
            "client = { verify = 'optional_no_ca', skip_mtls_uri_regex = ['^/a'] }",
            "ssls[0].client.skip_mtls_uri_regex",
            "needs `verify = \"on\"`",
        ),
        (
            "client = { ca = 'x', skip_mtls_uri_regex = [] }",
            "ssls[0].client.skip_mtls_uri_regex",
            "this list is empty",
        ),
        ("client = { ca = 'x', pins = ['a'] }", "ssls[0].client.pins", "write them into `allow`"),
    ] {
        let found = errors(&format!("{LISTEN}{SSL}{line}\n{ROUTE}"));
        assert!(found.starts_with(&format!("{field}: ")), "{line}\n{found}");
        assert!(found.contains(message) && found.lines().count() == 1, "{line}\n{found}");
    }
    let warned =
        draft(&format!("{LISTEN}{SSL}client = {{ ca = 'x', allow = ['serial:01'] }}\n{ROUTE}"));
    assert!(warned.problems.is_empty());
    assert_eq!(warned.problems.warnings().count(), 1, "a serial number alone");
}

#[test]
fn rules_of_routes_are_checked() {
    let asking = format!("{LISTEN}{SSL}client = {{ verify = 'optional_no_ca' }}\n{ROUTE}");
    for (line, field, message) in [
        ("client = {}", "routes[0].client", "asks for nothing"),
        ("client.verify = 'optional'", "routes[0].client.verify", "up to the server name"),
        ("client.verify = 'off'", "routes[0].client.verify", "never asks for less"),
        ("client.depth = 2", "routes[0].client", "asks for nothing"),
        ("client = { verify = 'on', depth = 2 }", "routes[0].client.depth", "needs `ca`"),
        ("client = { verify = 'on', crl = 'l' }", "routes[0].client.crl", "needs `ca`"),
        (
            "client = { verify = 'on', clock_skew = '1m' }",
            "routes[0].client.clock_skew",
            "needs `ca`",
        ),
        (
            "client = { verify = 'on', crl_missing = 'allow' }",
            "routes[0].client.crl_missing",
            "needs `ca`",
        ),
        (
            "client = { ca = 'x', crl_expired = 'warn' }",
            "routes[0].client.crl_expired",
            "says nothing without `crl`",
        ),
        ("client = { ca = 'x', crl = [] }", "routes[0].client.crl", "this list is empty"),
        ("client = { ca = 'x', on_revoke = 'cut' }", "routes[0].client.on_revoke", "[[ssls]]"),
        ("client = { ca = 'x', reject = 'http' }", "routes[0].client.reject", "handshake"),
        ("client = { ca = 'x', pins = ['a'] }", "routes[0].client.pins", "write them into"),
        ("client = { ca = 'x', ocsp = 'on' }", "routes[0].client.ocsp", "not supported yet"),
        ("client.ca = 'system'", "routes[0].client.ca[0]", "never trusted by system roots"),
        ("client.ca = []", "routes[0].client.ca", "this list is empty"),
        ("client.skip_mtls_uri_regex = ['a']", "routes[0].client.skip_mtls_uri_regex", "ssls"),
        ("remote_addr = '10.0.0.1/8'", "routes[0].remote_addr", "bits behind its prefix"),
        ("remote_addrs = ['a']", "routes[0].remote_addrs[0]", "neither an address nor"),
    ] {
        let found = errors(&format!("{asking}{line}\n"));
        assert!(found.contains(&format!("{field}: ")), "{line}\n{found}");
        assert!(found.contains(message), "{line}\n{found}");
    }
    let silent = format!("{LISTEN}{SSL}{ROUTE}client.allow = ['CN=a']\n");
    assert!(errors(&silent).contains("nobody could pass"));
    let denied = format!("{LISTEN}{SSL}{ROUTE}client.deny = ['CN=a']\n");
    assert_eq!(errors(&denied), "", "who shows nothing is not denied");
}

#[test]
fn rules_of_all_levels_stand_in_their_order() {
    let text = format!(
        "{LISTEN}{SSL}client = {{ verify = 'optional_no_ca' }}\n[[global_rules]]\n\
         client.deny = ['OU=left']\n[[services]]\nid = 1\nclient = [{{ ca = 'one.pem' }}, {{ allow \
         = [['CN=a', 'O=b']] }}]\n{ROUTE}service_id = 1\nclient.verify = 'on'\n"
    );
    let config = config(&text);
    let rules = &config.routes[0].clients;
    let required: Vec<_> = rules.iter().map(|rule| rule.required).collect();
    assert_eq!(required, [false, true, true, true]);
    assert_eq!((rules[1].trust, config.trusts.len()), (Some(0), 1));
    assert_eq!(rules[2].lists.allow[0].terms.len(), 2);
}

/// A route never widens what its service and the rules of all routes demand.
#[test]
fn authorities_do_not_take_the_place_of_others() {
    let message = "would judge the clients that line";
    let service = |client: &str| format!("[[services]]\nid = 1\nclient = {client}\n");
    let route = format!("{ROUTE}service_id = 1\n");
    for (above, own, wrong) in [
        (service("{ ca = 'one.pem', allow = ['CN=a'] }"), "client.ca = 'two.pem'", true),
        (service("{ allow = ['CN=a'] }"), "client.ca = 'two.pem'", true),
        (service("{ verify = 'on' }"), "client.ca = 'two.pem'", true),
        (service("[{ verify = 'on' }, { ca = 'two.pem' }]"), "", true),
        (service("{ ca = 'one.pem' }"), "client.allow = ['CN=a']", false),
        (service("{ deny = ['CN=a'] }"), "client.ca = 'two.pem'", false),
        (service("{ ca = 'one.pem', allow = ['CN=a'] }"), "client.deny = ['CN=b']", false),
        (
            format!("[[global_rules]]\nclient.verify = 'on'\n{}", service("{ ca = 'one.pem' }")),
            "",
            true,
        ),
    ] {
        let text =
            format!("{LISTEN}{SSL}client = {{ verify = 'optional_no_ca' }}\n{above}{route}{own}\n");
        let found = errors(&text);
        assert_eq!(found.matches(message).count(), usize::from(wrong), "{text}\n{found}");
        assert!(wrong || found.is_empty(), "{found}");
    }
}

/// What authorities of a route know beside their certificates is read, dumped and watched.
#[test]
fn authorities_of_a_route_have_what_those_of_a_name_have() {
    let text = format!(
        "{LISTEN}{SSL}client = {{ verify = 'optional_no_ca' }}\n{ROUTE}client = {{ ca = 'r.pem', \
         depth = 3, allow_v1 = false, eku = 'any', clock_skew = '1m', crl = ['r.crl', 's.crl'], crl_expired = \
         'warn', crl_missing = 'allow' }}\n"
    );
    let told = draft(&text).problems.render_human();
    assert!(told.contains("routes[0].client.eku: whoever has any"), "{told}");
    let config = config(&text);
    let trust = &config.trusts[0];
    assert_eq!(trust.eku, ClientEku::Any);
    assert_eq!((trust.depth, trust.allow_v1, trust.clock_skew.as_secs()), (3, false, 60));
    let lists = trust.revocation.as_ref().expect("its lists");
    assert_eq!((lists.expired, lists.missing), (CrlExpired::Warn, CrlMissing::Allow));
    for file in ["/etc/r.pem", "/etc/r.crl", "/etc/s.crl"] {
        assert!(config.files().contains(&Path::new(file)), "{file}");
    }
}

/// Who takes certificates for any purpose is told once, where it says so.
#[test]
fn certificates_for_any_purpose_are_warned_about() {
    const DEFAULTS: &str = "[ssl_defaults.client]\nca = 'x'\neku = 'any'\n";
    let more = "[[ssls]]\nsni = 'b'\ncert = 'c'\nkey = 'k'\n";
    for (text, field) in [
        (
            format!("{LISTEN}{SSL}client = {{ ca = 'x', eku = 'any' }}\n{ROUTE}"),
            "ssls[0].client.eku",
        ),
        (format!("{LISTEN}{SSL}{more}{ROUTE}{DEFAULTS}"), "ssl_defaults.client.eku"),
    ] {
        let told = draft(&text).problems.render_human();
        assert_eq!(told.matches("whoever has any certificate").count(), 1, "{told}");
        assert!(told.contains(field), "{told}");
        assert!(
            config(&text)
                .servers
                .iter()
                .all(|one| one.client.as_ref().is_some_and(|client| client.eku == ClientEku::Any))
        );
    }
    let strict = draft(&format!("{LISTEN}{SSL}client = {{ ca = 'x', eku = 'client' }}\n{ROUTE}"));
    assert_eq!(strict.problems.render_human(), "");
    assert!(
        errors(&format!("{LISTEN}{SSL}client = {{ ca = 'x', eku = 'server' }}\n{ROUTE}"))
            .contains("client.eku")
    );
    let alone = format!(
        "{LISTEN}{SSL}client = {{ ca = 'x' }}\n{ROUTE}client = {{ verify = 'on', eku = 'any' }}\n"
    );
    assert!(errors(&alone).contains("this needs `ca`"));
}

#[test]
fn conditions_are_checked() {
    let conditions = format!("{LISTEN}{SSL}{ROUTE}");
    for (vars, message) in [
        ("'a'", "an array is wanted"),
        ("[]", "this list is empty"),
        ("['uri', '==', '/']", "in brackets of its own"),
        ("[['uri']]", "this is no condition"),
        ("[['uri', '?', 'a']]", "no operator `?`"),
        ("[['uri', '!', '==']]", "no operator `!`"),
        ("[['uri', 'x', '==', 'a']]", "this is no condition"),
        ("[['urii', '==', 'a']]", "no variable `urii`"),
        ("[['$uri', '==', 'a']]", "starts with a `$`"),
        ("[['status', '==', 200]]", "not known before"),
        ("[['route_id', '==', 'a']]", "not known before"),
        ("[['ssl_client_cert', '==', 'a']]", "not known before"),
        ("[['uri', '>', 'a']]", "followed by a number"),
        ("[['uri', '==', ['a']]]", "followed by a text or a number"),
        ("[['uri', 'in', 'a']]", "followed by a list"),
        ("[['uri', 'in', []]]", "followed by a list"),
        ("[['uri', '~~', '(?=a)']]", "look-around"),
        ("[['uri', '~~', 1]]", "followed by a regular expression"),
        ("[['remote_addr', 'ipmatch', ['10.0.0.0/99']]]", "neither an address nor"),
        ("[['uri', '==', true]]", "a text, a number or an array"),
        ("[['uri', '==', nan]]", "no plain number"),
        ("['OR', ['uri', '==', 'a']]", "joins two or more"),
        ("['OR', 'uri', 'host']", "stands in brackets"),
    ] {
        let found = errors(&format!("{conditions}vars = {vars}\n"));
        assert!(found.contains(message), "{vars}\n{found}");
    }
}

#[test]
fn conditions_read_as_they_are_written() {
    let text = format!(
        "{LISTEN}{SSL}{ROUTE}remote_addrs = ['10.0.0.0/8']\nvars = [['http_x', '~=', 'a'], ['!OR', \
         ['arg_n', '>=', '1.5'], ['uri', '!', '~*', '^/A']], ['ssl_client_san_dns', 'has', 'b'], \
         ['host', 'c']]\n"
    );
    let config = config(&text);
    let Some(Condition::All(all)) = &config.routes[0].when else { panic!("two sources") };
    assert!(matches!(&all[0], Condition::Test(_, Test::IpMatch(networks)) if networks.len() == 1));
    let Condition::All(vars) = &all[1] else { panic!("a list of conditions") };
    assert!(matches!(&vars[0], Condition::Not(inner) if matches!(&**inner, Condition::Test(..))));
    assert!(
        matches!(&vars[1], Condition::Not(inner) if matches!(&**inner, Condition::Any(two) if two.len() == 2))
    );
    assert!(matches!(&vars[3], Condition::Test(_, Test::Is(text)) if text == "c"));
}

/// On attributes, which are looked at one by one, only if it waits for a comma between them.
#[test]
fn an_expression_on_a_whole_name_is_a_warning() {
    for (name, pattern, warnings) in [
        ("ssl_client_s_dn", "(^|,)OU=ops(,|$)", 1),
        ("ssl_client_i_dn", "(^|,)OU=ops(,|$)", 1),
        ("ssl_client_s_dn", "ops", 1),
        ("ssl_client_s_dn_ou", "(^|,)ops(,|$)", 1),
        ("ssl_client_s_dn_ou", "^ops$", 0),
    ] {
        let text = format!("{LISTEN}{SSL}{ROUTE}vars = [['{name}', '!', '~~', '{pattern}']]\n");
        assert_eq!(draft(&text).problems.warnings().count(), warnings, "{name} {pattern}");
    }
}

/// Whoever must not have a fingerprint gets himself another one.
#[test]
fn to_keep_a_fingerprint_out_is_a_warning() {
    for (vars, warnings) in [
        ("['ssl_client_fingerprint', '~=', 'a']", 1),
        ("['ssl_client_fingerprint_sha256', '!', 'in', ['a', 'b']]", 1),
        ("['!OR', ['uri', '~~', '^/a'], ['ssl_client_fingerprint', '==', 'a']]", 1),
        ("['!AND', ['ssl_client_fingerprint', '~=', 'a'], ['uri', '~~', '^/a']]", 0),
        ("['ssl_client_fingerprint', '==', 'a']", 0),
        ("['ssl_client_spki_sha256', '~=', 'a']", 0),
    ] {
        let text = format!("{LISTEN}{SSL}{ROUTE}vars = [{vars}]\n");
        let vars_bare = format!("{LISTEN}{SSL}{ROUTE}vars = {vars}\n");
        let text = if vars.starts_with("['!") { vars_bare } else { text };
        let draft = draft(&text);
        let about = |text: &str| text.contains("fingerprint");
        let count = draft.problems.warnings().filter(|one| about(&one.message)).count();
        assert_eq!(count, warnings, "{vars}\n{}", draft.problems);
    }
}

/// A conditional route leaves something for the next one with the same host and path.
#[test]
fn a_conditional_route_hides_no_other() {
    let text = format!("{LISTEN}{SSL}{ROUTE}vars = [['arg_a', '==', '1']]\n{ROUTE}");
    assert_eq!(errors(&text), "");
    let hidden = format!("{text}{ROUTE}vars = [['arg_a', '==', '1']]\n");
    assert!(errors(&hidden).contains("no request can reach this route"));
}

#[test]
fn presets_are_headers_given_once() {
    for (line, message) in [
        ("preset = ['envoy']", "`envoy` is not known here"),
        ("preset = 'xfcc'", "an array of strings is wanted"),
        ("preset = ['rfc9440']\nclient_cert = '$ssl_client_verify'", "sets `Client-Cert` too"),
        ("xfcc = 'forward'", "`forward` is not known here"),
        ("xfcc.keys = ['By', 'By']", "stands here twice"),
        ("preset = ['xfcc']\nxfcc = 'sanitize'", "the preset sends what this drops"),
        (
            "preset = ['xfcc']\nX-Forwarded-Client-Cert = '$ssl_client_xfcc'",
            "stands here as a header too",
        ),
        ("X-A = '$ssl_client_raw_cert'", "access log only"),
        ("X-A = '$ssl_client_cert'", "access log only"),
        ("X-A = '$arg_user'", "what the client writes"),
        ("X-A = '$cookie_user'", "what the client writes"),
    ] {
        let found = errors(&format!("{LISTEN}{SSL}{ROUTE}[identity_headers]\n{line}\n"));
        assert!(found.contains(message), "{line}\n{found}");
    }
    let with = |lines: &str| config(&format!("{LISTEN}{SSL}{ROUTE}[identity_headers]\n{lines}\n"));
    assert_eq!(with("preset = ['xfcc']").xfcc.mode, XfccMode::SanitizeSet);
    let own = with("xfcc = { mode = 'append_forward', keys = ['DNS', 'Hash'] }").xfcc;
    assert_eq!((own.mode, own.keys), (XfccMode::AppendForward, vec![XfccKey::Hash, XfccKey::Dns]));
    assert_eq!(with("preset = ['nginx', 'traefik', 'rfc9440']").identity_headers.len(), 12);
    assert_eq!(with("X-A = '${ssl_client_s_dn_2.5.4.3}'").identity_headers.len(), 1);
    let loud = "[identity_headers]\nxfcc = 'always_forward_only'\n";
    let loud = draft(&format!("{LISTEN}{SSL}{ROUTE}{loud}"));
    assert!(loud.problems.warnings().any(|one| one.message.contains("that it is anybody")));
}
