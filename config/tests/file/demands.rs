//! What refuses requests, the addresses of clients, ids of requests, and cipher lists.
#![expect(clippy::unwrap_used, reason = "a test that finds nothing to unwrap has failed")]

use std::path::Path;

use ferrule_config::model::{AddressList, IdAlgorithm, RealIpSource, Satisfy};
use ferrule_config::{Config, Problem, read_text};

/// The configuration, or the fields and messages of what is wrong with it.
fn read(lines: &str) -> Result<Config, Vec<String>> {
    let text = format!(
        "{lines}\n[[listen]]\naddress = '0.0.0.0:443'\ntls = true\n[[ssls]]\nsni = 'x'\ncert = 'c'\nkey = 'k'\n\
         client = {{ ca = 'ca', verify = 'optional' }}\n"
    );
    let told = |problem: &Problem| {
        let help = problem.help.clone().unwrap_or_default();
        format!("{}: {} ({help})", problem.field, problem.message)
    };
    let draft = read_text(Path::new("/etc/ferrule.toml"), text, &|_| None).unwrap();
    let errors: Vec<_> = draft.problems.iter().map(told).collect();
    if errors.is_empty() { Ok(draft.config) } else { Err(errors) }
}

fn route(keys: &str) -> Result<Config, Vec<String>> {
    read(&format!("routes = [{{ uri = '/*', upstream.nodes = {{ 'u:1' = 1 }}, {keys} }}]"))
}

/// The only problem of these lines has this field and says this.
fn is_refused(result: Result<Config, Vec<String>>, said: &str) {
    let errors = result.unwrap_err();
    assert!(errors.len() == 1 && errors[0].contains(said), "{said}: {errors:?}");
}

#[test]
fn demands_come_out_in_their_order_and_read_back() {
    let text = "global_rules = [{ refuse = { vars = [['http_a', '==', '1']] }, client.deny_addrs = '10.0.0.0/8' }]\n\
                services = [{ id = 's', refuse = [{ vars = [['http_b', '==', '1']], status = 404 }] }]\n\
                routes = [{ uri = '/*', service_id = 's', upstream.nodes = { 'u:1' = 1 }, \
                refuse = [{ vars = [['http_c', '==', '1']], status = 503, body = 'c' }], client = \
                { allow_addrs = ['192.0.2.1', '::ffff:10.0.0.0/104'], verify = 'on', satisfy = 'any' } }]";
    let config = read(text).unwrap();
    let check = |config: &Config| {
        let route = &config.routes[0];
        let statuses: Vec<u16> = route.refuse.iter().map(|rule| rule.answer.status).collect();
        assert_eq!(statuses, [403, 404, 503]);
        let [global, own] = route.clients.as_slice() else { panic!("{:?}", route.clients) };
        let demand = global.addresses.as_ref().unwrap();
        assert_eq!(demand.list, AddressList::Deny(vec!["10.0.0.0/8".parse().unwrap()]));
        assert_eq!((demand.answer.status, global.required), (403, false));
        let body = demand.answer.body.as_deref();
        assert_eq!(body, Some("{\"message\":\"Your IP address is not allowed\"}"));
        let list = ["192.0.2.1/32", "10.0.0.0/8"].map(|net| net.parse().unwrap()).to_vec();
        assert_eq!(own.addresses.as_ref().unwrap().list, AddressList::Allow(list));
        assert_eq!((own.satisfy, own.required), (Satisfy::Any, false));
    };
    check(&config);
    let again = read_text(Path::new("/f.toml"), config.dump(), &|_| None).unwrap();
    check(&again.finish().unwrap());
}

#[test]
fn what_would_keep_nobody_out_is_told() {
    for (keys, said) in [
        ("client = { allow_addrs = ['10.0.0.0/8'], deny_addrs = ['::/0'] }", "exclude each other"),
        ("client = { allow_addrs = ['10.1.2.3/8'] }", "bits behind its prefix"),
        ("client = { allow_addrs = ['localhost'] }", "neither an address"),
        ("client = { allow_addrs = ['10.0.0.1', '::ffff:10.0.0.1'] }", "stands here twice"),
        ("client = { verify = 'on', addrs_status = 404 }", "no address is refused here"),
        ("client = { allow_addrs = ['::1'], addrs_status = 401 }", "addrs_status"),
        ("client = { allow_addrs = ['::1'], addrs_message = '' }", "no length that is sent"),
        ("client = { allow_addrs = ['::1'], satisfy = 'any' }", "no two of which one could do"),
        ("client = { verify = 'on', satisfy = 'any' }", "no two of which one could do"),
        ("client = { deny_addrs = ['::1'], verify = 'on', satisfy = 'any' }", "no two of which"),
        (
            "client = { allow_addrs = ['::1'], allow = ['CN=a'], deny = ['CN=b'], satisfy = 'any' }",
            "pass this by",
        ),
        (
            "client = { allow_addrs = ['::1'], verify = 'on', satisfy = 'any', addrs_status = 404 }",
            "nobody is told this",
        ),
        ("client = { satisfy = 'all' }", "asks for nothing"),
        (
            "client = [{ allow = ['CN=a'], allow_addrs = ['::1'], satisfy = 'any' }, { ca = 'other' }]",
            "would judge the clients",
        ),
        ("client = { cnf_header = 'a b' }", "not a header name"),
        ("client = { cnf_header = 'Connection' }", "belongs to the gateway"),
        ("refuse = [{ status = 403 }]", "vars"),
        ("refuse = [{ vars = [['http_a', '==', '1']], status = 200 }]", "status"),
        ("refuse = [{ vars = ['http_a', '==', '1'] }]", "brackets of its own"),
        ("refuse = [{ vars = [['htpp_a', '==', '1']] }]", "no variable"),
        ("refuse = [{ vars = [['status', '==', '1']] }]", "not known before"),
        ("real_ip = { source = 'arg_a', trusted_addresses = ['::1'] }", "set it in [http]"),
        ("request_id = 'X-Id'", "set it in [[global_rules]]"),
    ] {
        is_refused(route(keys), said);
    }
}

#[test]
fn the_address_of_a_client_is_read_where_it_is_said() {
    let real_ip = |keys: &str| {
        read(&format!(
            "http.real_ip = {{ {keys} }}\n{}",
            "routes = [{ uri = '/*', upstream.nodes = { 'u:1' = 1 } }]"
        ))
    };
    for (source, wanted) in [
        ("http_x_forwarded_for", RealIpSource::ForwardedFor),
        ("http_x_real_ip", RealIpSource::Header("x-real-ip".to_owned())),
        ("arg_realip", RealIpSource::Argument("realip".to_owned())),
    ] {
        let config = real_ip(&format!("source = '{source}', trusted_addresses = '::1'")).unwrap();
        assert_eq!(config.http.real_ip.as_ref().unwrap().source, wanted);
        let again = read_text(Path::new("/f.toml"), config.dump(), &|_| None).unwrap();
        assert_eq!(again.finish().unwrap().http.real_ip, config.http.real_ip);
    }
    for (keys, said) in [
        ("trusted_addresses = '::1'", "source"),
        ("source = 'http_x_forwarded_for'", "trusted_addresses"),
        ("source = 'http_x_forwarded_for', trusted_addresses = []", "trusted_addresses"),
        ("source = 'http_x_forwarded_for', trusted_addresses = '10.0.0.1/8'", "bits behind"),
        ("source = '$http_x_real_ip', trusted_addresses = '::1'", "starts with a `$`"),
        ("source = 'http_X_Real_IP', trusted_addresses = '::1'", "no part of a request"),
        ("source = 'http_', trusted_addresses = '::1'", "no part of a request"),
        ("source = 'cookie_a', trusted_addresses = '::1'", "no part of a request"),
        ("source = 'proxy_protocol_addr', trusted_addresses = '::1'", "`$remote_addr` already"),
        (
            "source = 'http_x_real_ip', trusted_addresses = '::1', recursive = true",
            "one address in this source",
        ),
    ] {
        is_refused(real_ip(keys), said);
    }
}

#[test]
fn ids_of_requests_are_made_as_the_rule_says() {
    let rule = |keys: &str| {
        read(&format!(
            "global_rules = [{{ request_id = {keys} }}]\nroutes = [{{ uri = '/*', upstream.nodes = {{ 'u:1' = 1 }} }}]"
        ))
    };
    let of = |keys: &str| {
        let config = rule(keys).unwrap();
        let again =
            read_text(Path::new("/f.toml"), config.dump(), &|_| None).unwrap().finish().unwrap();
        assert_eq!(again.http.answers.request_id, config.http.answers.request_id);
        config.http.answers.request_id.unwrap()
    };
    let short = of("'X-Id'");
    assert_eq!((short.header_name.as_str(), short.include_in_response), ("X-Id", true));
    assert_eq!(short.algorithm, IdAlgorithm::Uuid);
    assert_eq!(of("{}").header_name, "X-Request-Id");
    let range = of("{ algorithm = 'range_id', include_in_response = false }");
    assert_eq!((range.range.length, range.range.char_set.len()), (16, 62));
    assert!(!range.include_in_response);
    for (keys, said) in [
        ("{ algorithm = 'snowflake' }", "algorithm"),
        ("{ range_id = { length = 20 } }", "made in another way"),
        ("{ algorithm = 'range_id', range_id = { length = 5 } }", "length"),
        ("{ algorithm = 'range_id', range_id = { char_set = 'abcde' } }", "soon guessed"),
        ("{ algorithm = 'range_id', range_id = { char_set = 'abcdea' } }", "twice"),
        (
            "{ algorithm = 'range_id', range_id = { char_set = 'abcde;' } }",
            "may not stand in an id",
        ),
        ("{ header_name = 'Content-Length' }", "belongs to the gateway"),
    ] {
        is_refused(rule(keys), said);
    }
}

#[test]
fn a_cipher_list_leaves_every_version_something() {
    let list = |keys: &str| {
        read_text(
            Path::new("/f.toml"),
            format!(
                "listen = [{{ address = '0.0.0.0:443', tls = true }}]\nroutes = [{{ uri = '/*', upstream.nodes = \
                 {{ 'u:1' = 1 }} }}]\n[[ssls]]\nsni = 'x'\ncert = 'c'\nkey = 'k'\n{keys}\n"
            ),
            &|_| None,
        )
        .unwrap()
    };
    for (keys, said) in [
        ("ssl_ciphers = 'TLS_AES_128_GCM_SHA256'", "TLS 1.2 no cipher suite"),
        ("ssl_ciphers = '!ALL'", "TLS 1.2 no cipher suite"),
        ("ssl_ciphers = ''", "TLS 1.2 no cipher suite"),
        (
            "ssl_ciphers = 'HIGH:!TLS_AES_128_GCM_SHA256:!TLS_AES_256_GCM_SHA384:!TLS_CHACHA20_POLY1305_SHA256'",
            "TLS 1.3 no cipher suite",
        ),
        ("ssl_ciphers = 'HIGH:AES128-SHA'", "no forward secrecy"),
    ] {
        let draft = list(keys);
        let errors: Vec<_> = draft.problems.iter().map(|problem| problem.message.clone()).collect();
        assert!(errors.len() == 1 && errors[0].contains(said), "{keys}: {errors:?}");
    }
    let draft = list("ssl_protocols = ['TLSv1.3']\nssl_ciphers = 'HIGH'");
    assert!(draft.problems.warnings().any(|one| one.message.contains("chooses nothing")));
    let config =
        list("ssl_ciphers = 'CHACHA20:TLS_AES_128_GCM_SHA256'\nssl_prefer_server_ciphers = true");
    let config = config.finish().unwrap();
    let names: Vec<_> = config.servers[0].ciphers.iter().map(|suite| suite.name()).collect();
    let wanted =
        ["TLS_AES_128_GCM_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"];
    assert_eq!(names, wanted);
    let again =
        read_text(Path::new("/f.toml"), config.dump(), &|_| None).unwrap().finish().unwrap();
    assert_eq!(again.servers[0].ciphers, config.servers[0].ciphers);
    assert!(again.servers[0].prefer_server_ciphers);
}
