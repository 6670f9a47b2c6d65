//! What is told about `traffic_split`, and what becomes of it.

use std::path::Path;

use ferrule_config::model::SplitRule;
use ferrule_config::{Draft, Problems, read_text};

fn draft(service: &str, route: &str) -> Result<Draft, Problems> {
    let text = format!(
        "listen = [{{ address = '0.0.0.0:80' }}]\n[[upstreams]]\nid = 'u'\nnodes = {{ 'a' = 1 }}\n\
         [[upstreams]]\nid = 'v'\nnodes = {{ 'b' = 1 }}\ntimeout = {{ read = '7s', send = '8s' }}\n\
         [[services]]\nid = 's'\nupstream_id = 'u'\n{service}\n\
         [[routes]]\nuri = '/*'\nservice_id = 's'\n{route}"
    );
    read_text(Path::new("/etc/ferrule.toml"), text, &|_| None)
}

fn rules(draft: &Draft) -> &[SplitRule] {
    &draft.config.routes[0].split
}

const TO_V: &str =
    "traffic_split = { weighted_upstreams = [{ upstream_id = 'v' }, { weight = 9 }] }\n";

#[test]
fn a_routes_rules_replace_its_services() {
    assert!(rules(&draft("", "").unwrap()).is_empty());
    let of_service = draft(TO_V, "").unwrap();
    let shares = &rules(&of_service)[0].shares;
    let found: Vec<_> = shares.iter().map(|share| (share.upstream, share.weight)).collect();
    assert_eq!(found, [(Some(1), 1), (None, 9)]);
    let own = draft(TO_V, "traffic_split = [{ vars = [['arg_a', '==', '1']] }, {}]\n").unwrap();
    assert_eq!(rules(&own).len(), 2);
    assert!(rules(&own)[0].when.is_some() && rules(&own)[1].when.is_none());
    assert_eq!(rules(&own)[1].shares[0].upstream, None);
}

/// What the route says stands over what each upstream says, field by field.
#[test]
fn timeouts_are_the_routes_over_those_of_each_upstream() {
    let found = draft(TO_V, "timeout = { read = '3s' }\n").unwrap();
    let timeout = rules(&found)[0].shares[0].timeout.unwrap();
    assert_eq!((timeout.read.as_secs(), timeout.send.as_secs()), (3, 8));
    assert!(rules(&draft(TO_V, "").unwrap())[0].shares[0].timeout.is_none());
}

#[test]
fn the_dump_reads_back() {
    let own = "traffic_split = [{ vars = [['arg_a', '==', '1']], weighted_upstreams = [\
               { upstream = { nodes = { 'c' = 1 } }, weight = 3 }, { upstream_id = 'v', weight = 0 }, {}] }]\n";
    let found = draft("", own).unwrap();
    assert!(found.problems.is_empty(), "{}", found.problems);
    let text = found.config.dump();
    assert!(text.contains("upstream_id = \"routes.0.traffic_split.0.0\", weight = 3"), "{text}");
    let again = read_text(Path::new("/etc/ferrule.toml"), text.clone(), &|_| None).unwrap();
    assert!(again.problems.is_empty(), "{}", again.problems);
    assert_eq!(again.config.dump(), text);
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    for (keys, field, said) in [
        ("weighted_upstreams = []", "weighted_upstreams", "this list is empty"),
        ("weighted_upstreams = [{ weight = 0 }]", "weighted_upstreams", "every weight is 0"),
        (
            "weighted_upstreams = [{ upstream_id = 'w' }]",
            "weighted_upstreams[0].upstream_id",
            "there are no [[upstreams]] with the id `w`",
        ),
        (
            "weighted_upstreams = [{ upstream_id = 'u', upstream = { nodes = { 'c' = 1 } } }]",
            "weighted_upstreams[0].upstream_id",
            "exclude each other",
        ),
        ("weighted_upstreams = [{ weight = -1 }]", "weighted_upstreams[0].weight", "out of range"),
        ("match = [{ vars = [] }]", "match", "match"),
        ("vars = []", "vars", "this list is empty"),
        ("vars = [['arg_a', '=', '1']]", "vars", "there is no operator `=`"),
    ] {
        let problems = match draft("", &format!("traffic_split = [{{ {keys} }}]\n")) {
            Ok(draft) => draft.problems,
            Err(problems) => problems,
        };
        let found = problems.all().iter().any(|(_, one)| {
            one.field.starts_with("routes[0].traffic_split[0]")
                && one.field.ends_with(field)
                && one.message.contains(said)
        });
        assert!(found, "{keys}: {problems}");
    }
}
