//! `_meta` of APISIX's plugins: each member is honoured or refused by its name, wherever the plugin stands.

use ferrule_import::apisix::{Options, convert};
use ferrule_import::{Import, Kind, Outcome};

/// Where a plugin may stand.
const PLACES: [&str; 4] = ["route", "service", "plugin_config", "global_rule"];

/// A configuration with this plugin in one of the places, and `more` behind it.
fn placed(place: &str, plugin: &str, more: &str) -> String {
    let of =
        |here: &str| if place == here { format!("plugins: {{{plugin}}}") } else { String::new() };
    let parts = |here: &str| {
        let plugins = of(here);
        if plugins.is_empty() { String::from("plugins: {}") } else { plugins }
    };
    let mut text = format!(
        "routes:\n  - {{id: r, uri: /a, service_id: s, plugin_config_id: c, {}}}\n\
         services:\n  - {{id: s, upstream: {{type: roundrobin, nodes: {{\"127.0.0.1:9\": 1}}}}, {}}}\n\
         plugin_configs:\n  - {{id: c, {}}}\n",
        parts("route"),
        parts("service"),
        parts("plugin_config")
    );
    if place == "global_rule" {
        let rule = format!("global_rules:\n  - {{id: g, {}}}\n", of("global_rule"));
        text.push_str(&rule);
    }
    text.push_str(more);
    text
}

fn import(text: &str) -> Import {
    let options = Options { source: String::from("apisix.yaml"), ..Options::default() };
    convert(text, &options, &|_| None)
}

fn said(import: &Import, kind: Kind, words: &str) -> bool {
    let mut all = import.report.findings.iter();
    all.any(|finding| finding.kind == kind && finding.message.contains(words))
}

#[test]
fn a_plugin_that_is_switched_off_does_nothing_wherever_it_stands() {
    for place in PLACES {
        let on = import(&placed(place, "ip-restriction: {whitelist: [10.0.0.0/8]}", ""));
        assert!(on.configuration.contains("allow_addrs"), "{place}: {}", on.report.text());
        let plugin = "ip-restriction: {whitelist: [10.0.0.0/8], _meta: {disable: true}}";
        let off = import(&placed(place, plugin, ""));
        assert_ne!(off.report.outcome(), Outcome::Refused, "{place}: {}", off.report.text());
        assert!(!off.configuration.contains("allow_addrs"), "{place}: {}", off.configuration);
        assert!(said(&off, Kind::Dropped, "switches it off"), "{place}: {}", off.report.text());
    }
}

#[test]
fn what_meta_says_besides_is_refused_or_told() {
    for place in PLACES {
        for (member, wanted) in [
            ("filter: [[arg_a, \"==\", \"1\"]]", "`_meta.filter`"),
            ("error_response: {message: no}", "answers are worded"),
            ("pre_function: \"return function() end\"", "no scripts"),
            ("disable: \"true\"", "a flag is needed"),
            ("else: 1", "there is no such key"),
        ] {
            let plugin =
                format!("ip-restriction: {{whitelist: [10.0.0.0/8], _meta: {{{member}}}}}");
            let made = import(&placed(place, &plugin, ""));
            assert_eq!(made.report.outcome(), Outcome::Refused, "{place}: {member}");
            assert!(
                said(&made, Kind::Refused, wanted),
                "{place}: {member}: {}",
                made.report.text()
            );
        }
        let plugin = "ip-restriction: {whitelist: [10.0.0.0/8], _meta: {priority: 1}}";
        let made = import(&placed(place, plugin, ""));
        assert!(
            said(&made, Kind::Changed, "the order of things is fixed"),
            "{}",
            made.report.text()
        );
        assert!(made.configuration.contains("allow_addrs"), "{place}");
    }
    // The one that can be told when it holds.
    let plugin = "response-rewrite: {status_code: 201, _meta: {filter: [[arg_a, \"==\", \"1\"]]}}";
    let made = import(&placed("route", plugin, ""));
    assert!(made.configuration.contains("arg_a"), "{}", made.report.text());
}

#[test]
fn a_consumer_whose_certificate_is_switched_off_is_nobody() {
    let consumers = |ops: &str| {
        format!(
            "consumers:\n  - {{username: ops, plugins: {{cert-auth: {{cn: ops{ops}}}}}}}\n  \
             - {{username: dev, plugins: {{cert-auth: {{cn: dev}}}}}}\n"
        )
    };
    let both = import(&placed("route", "cert-auth: {}", &consumers("")));
    assert!(!both.report.findings.is_empty(), "{}", both.report.text());
    let off = ", _meta: {disable: true}";
    let made = import(&placed("route", "cert-auth: {}", &consumers(off)));
    let text = made.report.text();
    assert!(said(&made, Kind::Dropped, "no certificate tells this consumer"), "{text}");
    assert!(
        !said(&made, Kind::Converted, "CN=ops") && !made.configuration.contains("CN=ops"),
        "{text}"
    );
    // Who is named and is nobody lets nobody in.
    let named = "cert-auth: {}, consumer-restriction: {whitelist: [ops]}";
    let made = import(&placed("route", named, &consumers(off)));
    assert!(said(&made, Kind::Refused, "no consumer \"ops\""), "{}", made.report.text());
    // Only those that are switched off: nobody is left.
    let alone = "consumers:\n  - {username: ops, plugins: {cert-auth: {cn: ops, _meta: {disable: true}}}}\n";
    let made = import(&placed("route", "cert-auth: {}", alone));
    assert!(said(&made, Kind::Refused, "nobody would be let in"), "{}", made.report.text());
    for (member, wanted) in [
        ("filter: [[arg_a, \"==\", \"1\"]]", "`_meta.filter` of a consumer"),
        ("error_response: {message: no}", "answers are worded"),
        ("disable: 1", "a flag is needed"),
    ] {
        let made = import(&placed(
            "route",
            "cert-auth: {}",
            &consumers(&format!(", _meta: {{{member}}}")),
        ));
        assert!(said(&made, Kind::Refused, wanted), "{member}: {}", made.report.text());
    }
    // Another plugin of a consumer is refused, but for one that is switched off.
    let other = |meta: &str| {
        format!(
            "consumers:\n  - {{username: ops, plugins: {{cert-auth: {{cn: ops}}, key-auth: {{key: k{meta}}}}}}}\n"
        )
    };
    assert!(said(
        &import(&placed("route", "", &other(""))),
        Kind::Refused,
        "`key-auth` of a consumer"
    ));
    let made = import(&placed("route", "", &other(off)));
    assert!(!said(&made, Kind::Refused, "key-auth"), "{}", made.report.text());
}
