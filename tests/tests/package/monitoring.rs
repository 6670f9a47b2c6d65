//! The dashboard and the alerts: every name in them exists, promtool reads them, and a real Prometheus runs them on
//! what the real binary says.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use ferrule_tests::{
    Driver, PATIENCE, Setup, Upstream, echo, free_port, poll, raw, scratch, source_dir,
};
use ferrule_tools::process::Process;
use serde_json::Value;

use super::kit::{run, text};

const CONFIG: &str = "[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n\n[[listen]]\n\
                      address = \"127.0.0.1:@front@\"\n\n[[routes]]\nuri = \"/*\"\n\
                      upstream.nodes = { \"127.0.0.1:@upstream@\" = 1 }\n";

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|mark: char| !(mark.is_ascii_alphanumeric() || mark == '_'));
    words.filter(|word| word.starts_with("ferrule_")).map(str::to_owned).collect()
}

/// Those of the catalogue, which is made from the code; a histogram has three.
fn catalogue() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text("docs/metrics.md").lines().filter(|line| line.starts_with("| `ferrule_")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`');
        if cells[2] == "histogram" {
            found.extend(["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")));
        } else {
            found.insert(name.to_owned());
        }
    }
    assert!(found.len() > 50, "{found:?}");
    found
}

/// Every expression of the dashboard.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name == "expr" => found.push(text.clone()),
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

fn dashboard() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&text("docs/monitoring/grafana.json")).expect("JSON");
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    // What Grafana puts in.
    found
        .iter()
        .map(|text| text.replace("$__rate_interval", "1m").replace("$instance", ".*"))
        .collect()
}

#[test]
fn every_name_exists() {
    let catalogue = catalogue();
    let mut used: BTreeSet<String> = dashboard().iter().flat_map(|text| names(text)).collect();
    for file in ["alerts.yml", "alerts-test.yml"] {
        let text = text(&format!("docs/monitoring/{file}"));
        let series = text.lines().filter(|line| !line.contains("description:"));
        used.extend(series.flat_map(names));
    }
    let unknown: Vec<_> = used.difference(&catalogue).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn promtool_reads_and_plays_the_alerts() {
    let scratch = scratch();
    let said = run(
        scratch.path(),
        "cd docs/monitoring; promtool check rules alerts.yml; promtool test rules alerts-test.yml 2>&1",
    );
    assert!(said.contains("SUCCESS"), "{said}");
    let alerts = text("docs/monitoring/alerts.yml");
    let played = text("docs/monitoring/alerts-test.yml");
    for name in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let fires = format!("alertname: {name}\n        exp_alerts:");
        assert!(played.contains(&fires), "nothing makes {name} fire");
        assert!(text("docs/monitoring.md").contains(name), "{name} is not explained");
    }
}

/// What the documents recommend is in the file, word for word.
#[test]
fn the_recommended_alerts_are_there() {
    let alerts = text("docs/monitoring/alerts.yml");
    let operations = text("docs/operations.md");
    let (_, rest) = operations.split_once("Recommended alerts:").expect("the table");
    let rows = rest.lines().skip(4).take_while(|line| line.starts_with("| `"));
    let mut count = 0;
    for row in rows {
        let expression = row.split('`').nth(1).expect("an expression");
        assert!(alerts.contains(&format!("expr: {expression}\n")), "{expression}");
        count += 1;
    }
    assert!(count >= 5, "{count} rows");
}

/// A real Prometheus with our rules scrapes the real binary: no rule fails, every expression of the dashboard is
/// answered, and an alert fires.
#[test]
fn prometheus_scrapes_and_alerts() {
    let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
    let dir = scratch.path();
    let mut gateway =
        Setup::new(dir, Driver::IoUring, CONFIG).set("upstream", &upstream.port).start();
    assert_eq!(raw::plain_get(gateway.port("front"), "x", "/").status(), 200);
    // The file on disk is refused from now on: an alert.
    fs::write(&gateway.file, "broken").expect("the file we wrote");
    gateway.process.signal(rustix::process::Signal::HUP);
    let rules = text("docs/monitoring/alerts.yml").replace("for: 1m", "for: 0s");
    fs::write(dir.join("alerts.yml"), rules).expect("a writable directory");
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [alerts.yml]\n\
         scrape_configs:\n  - job_name: ferrule\n    static_configs: [{{ targets: [\"127.0.0.1:{}\"] }}]\n",
        gateway.port("metrics")
    );
    fs::write(dir.join("prometheus.yml"), config).expect("a writable directory");
    let port = free_port();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let mut prometheus = Process::start(command, &dir.join("prometheus.log"));
    prometheus.wait_for_port(port);
    let ask = |path: &str| -> Value {
        let answer = raw::plain_get(port, "127.0.0.1", path);
        // It is not ready at once.
        serde_json::from_str(&answer.text()).unwrap_or_default()
    };
    let firing = poll(PATIENCE * 3, || {
        let answer = ask("/api/v1/alerts");
        let alerts = answer["data"]["alerts"].as_array()?.clone();
        alerts
            .iter()
            .any(|alert| {
                alert["labels"]["alertname"] == "FerruleReloadRefused" && alert["state"] == "firing"
            })
            .then_some(())
    });
    assert!(firing.is_some(), "{}\n{}", ask("/api/v1/alerts"), prometheus.output());
    let rules = ask("/api/v1/rules");
    let groups = rules["data"]["groups"].as_array().expect("groups");
    for rule in groups.iter().flat_map(|group| group["rules"].as_array().expect("rules")) {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    let queries = dashboard();
    assert!(queries.len() > 30, "{}", queries.len());
    let with_samples = || {
        let answers = queries.iter().map(|query| {
            let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let answer = ask(&format!("/api/v1/query?query={encoded}"));
            assert_eq!(answer["status"], "success", "{query}: {answer}");
            answer["data"]["result"].as_array().is_some_and(|all| !all.is_empty())
        });
        answers.filter(|has_samples| *has_samples).count()
    };
    // A rate has a value from the second scrape on.
    let enough = poll(PATIENCE * 3, || (with_samples() > 10).then_some(()));
    assert!(enough.is_some(), "{} have samples", with_samples());
    assert!(source_dir().join("docs/monitoring/grafana.json").is_file());
    let _ = gateway.stop();
}
