//! The load generators: wrk for connections that stay open, our `load` for what wrk cannot do.
//!
//! Both run on the load's cores, bounded in time, and end when we end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use ferrule_tools::clock::{PATIENCE, poll};
use ferrule_tools::process::build_dir;
use serde_json::Value;

use crate::case::{Case, Drive, Tls};
use crate::stage::{Layout, NAME, SUITE_13, SUITES_12, Stage, files, launcher};

/// Seconds beyond those asked for after which a generator is ended.
const GRACE_SECONDS: u64 = 20;

/// What a generator said of a run without errors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// Requests answered.
    pub(crate) requests: f64,
    /// The same a second.
    pub(crate) per_second: f64,
    /// Half of them took no longer.
    pub(crate) p50_micros: f64,
    /// 99 of 100 took no longer.
    pub(crate) p99_micros: f64,
    /// Full handshakes.
    pub(crate) full: f64,
    /// Resumed ones.
    pub(crate) resumed: f64,
}

/// Where and how long.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    /// Certificates.
    pub(crate) stage: &'a Stage,
    /// Cores.
    pub(crate) layout: &'a Layout,
    /// What is asked for, over how many connections.
    pub(crate) case: &'a Case,
    /// The proxy's port.
    pub(crate) port: u16,
    /// How long.
    pub(crate) seconds: u64,
}

impl Run<'_> {
    /// As much as goes.
    pub(crate) fn full_speed(&self) -> Result<Reading, String> {
        match self.case.drive {
            Drive::Keep | Drive::Upload(_) => self.wrk(),
            Drive::Full => {
                let reading = self.load("handshakes", None)?;
                // Each request had a connection of its own, and no session to offer.
                let whole = reading.resumed == 0.0 && reading.full >= reading.requests;
                if whole { Ok(reading) } else { Err(miscounted(&reading)) }
            }
            Drive::Resumed => {
                let reading = self.load("resumed", None)?;
                // The first of each connection's sessions comes from a full handshake.
                let whole = reading.resumed >= reading.requests * 0.95;
                if whole { Ok(reading) } else { Err(miscounted(&reading)) }
            }
        }
    }

    /// So many requests a second, on time whatever the proxy does.
    pub(crate) fn at_rate(&self, rate: f64) -> Result<Reading, String> {
        self.load("get", Some(rate))
    }

    fn bounded(&self, program: &Path) -> Command {
        let limit = (self.seconds + GRACE_SECONDS).to_string();
        let words = launcher(&self.layout.load);
        let mut command = Command::new("setpriv");
        command.args(words.iter().skip(1)).args(["timeout", "-k", "2", &limit]).arg(program);
        command.stdin(Stdio::null());
        command
    }

    fn certificate(&self, end: &str) -> PathBuf {
        self.stage.dir().join(format!("{}.{end}", files(self.case.setting.keys).client))
    }

    fn wrk(&self) -> Result<Reading, String> {
        let case = self.case;
        let threads = self.layout.threads.min(case.connections);
        let scheme = if case.setting.tls == Tls::Off { "http" } else { "https" };
        let mut command = self.bounded(Path::new("wrk"));
        command.args(["--latency", "--timeout", "10s"]);
        command.args([format!("-t{threads}"), format!("-c{}", case.connections)]);
        command.arg(format!("-d{}s", self.seconds)).args(["-H", &format!("Host: {NAME}")]);
        if let Drive::Upload(bytes) = case.drive {
            let script = self.stage.dir().join("upload.lua");
            let text = format!("wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", {bytes})\n");
            fs::write(&script, text).map_err(|error| error.to_string())?;
            command.arg("-s").arg(script);
        }
        command.arg(format!("{scheme}://127.0.0.1:{}{}", self.port, case.path));
        let version = match case.setting.tls {
            Tls::Off => None,
            Tls::V12 => Some("1.2"),
            Tls::V13 => Some("1.3"),
        };
        if let Some(version) = version {
            command.env("LD_PRELOAD", &self.stage.preload).env("FERRULE_WRK_SNI", NAME);
            command.env("FERRULE_WRK_CERT", self.certificate("crt"));
            command.env("FERRULE_WRK_KEY", self.certificate("key"));
            command.env("FERRULE_WRK_TLS", version);
            command.env("FERRULE_WRK_SUITES", SUITE_13).env("FERRULE_WRK_CIPHERS", SUITES_12);
        }
        let done = command.output().map_err(|error| format!("wrk: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let reading = read_wrk(&text(&done.stdout), &text(&done.stderr))?;
        let wanted = if version.is_none() { 0.0 } else { count(case.connections) };
        if reading.full + reading.resumed != wanted {
            return Err(format!("{}, for {wanted} connections", miscounted(&reading)));
        }
        Ok(reading)
    }

    fn load(&self, mode: &str, rate: Option<f64>) -> Result<Reading, String> {
        let json = self.stage.dir().join("load.json");
        // What an earlier run left must not be taken for this one's.
        let _ = fs::remove_file(&json);
        let mut command = self.bounded(&build_dir().join("load"));
        self.load_words(&mut command, mode, self.case.connections);
        command.args(["--seconds", &self.seconds.to_string()]).arg("--json").arg(&json);
        if let Some(rate) = rate {
            command.args(["--rate", &format!("{rate:.0}")]);
        }
        let done = command.output().map_err(|error| format!("load: {error}"))?;
        let text = fs::read_to_string(&json).map_err(|_| {
            let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            format!("load ended with {} and no result: {said}", done.status)
        })?;
        read_load(&text)
    }

    fn load_words(&self, command: &mut Command, mode: &str, connections: usize) {
        let case = self.case;
        command.arg(mode).args(["--connect", &format!("127.0.0.1:{}", self.port)]);
        command.args(["--path", case.path, "--connections", &connections.to_string()]);
        command.args(["--threads", &self.layout.threads.min(connections).to_string()]);
        if case.setting.tls == Tls::Off {
            return;
        }
        let ca = format!("{}.crt", files(case.setting.keys).ca);
        command.args(["--tls", "--name", NAME, "--ca"]).arg(self.stage.dir().join(ca));
        command.arg("--cert").arg(self.certificate("crt"));
        command.arg("--key").arg(self.certificate("key"));
        if case.setting.tls == Tls::V12 {
            command.arg("--tls12");
        }
    }

    /// Opens so many connections, makes one request on each, and leaves them open until the value
    /// ends.
    pub(crate) fn idle(&self, connections: usize) -> Result<Held, String> {
        let dir = self.stage.dir();
        let words = launcher(&self.layout.load);
        let mut command = Command::new("setpriv");
        command.args(words.iter().skip(1)).arg(build_dir().join("load"));
        self.load_words(&mut command, "idle", connections);
        command.arg("--json").arg(dir.join("idle.json"));
        let log = dir.join(format!("idle-{}-{connections}.log", self.port));
        let out = File::create(&log).map_err(|error| error.to_string())?;
        let err = out.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::piped()).stdout(out).stderr(err);
        let child = command.spawn().map_err(|error| format!("load: {error}"))?;
        let patience = Duration::from_secs(self.seconds);
        let mut held = Held { child, log: log.clone(), patience };
        let seen = poll(Duration::from_secs(self.seconds) + PATIENCE, || {
            let said = fs::read_to_string(&log).unwrap_or_default();
            if said.lines().any(|line| line == "ready") {
                return Some(Ok(()));
            }
            let ended = held.child.try_wait().is_ok_and(|status| status.is_some());
            ended.then(|| Err(format!("load ended early: {}", said.trim())))
        });
        match seen {
            Some(Ok(())) => Ok(held),
            Some(Err(why)) => Err(why),
            None => Err(format!("{connections} connections were not ready in time")),
        }
    }
}

/// A generator that holds idle connections. They are closed with the value.
pub(crate) struct Held {
    child: Child,
    log: PathBuf,
    patience: Duration,
}

impl Held {
    /// Closes them; it asked each before whether it lived.
    pub(crate) fn end(mut self) -> Result<(), String> {
        match self.stop() {
            Some(status) if status.success() => Ok(()),
            Some(_) => {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                let errors: Vec<&str> =
                    said.lines().filter(|line| line.starts_with("load: ")).collect();
                Err(format!("not all connections lived to the end: {}", errors.join(", ")))
            }
            None => Err(String::from("asking each connection whether it lives took too long")),
        }
    }

    fn stop(&mut self) -> Option<ExitStatus> {
        // The end of its input is the sign to go.
        drop(self.child.stdin.take());
        poll(self.patience, || self.child.try_wait().ok().flatten())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.stop().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn miscounted(reading: &Reading) -> String {
    format!(
        "{} full and {} resumed handshakes in {} requests",
        reading.full, reading.resumed, reading.requests
    )
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

fn read_wrk(text: &str, errors: &str) -> Result<Reading, String> {
    for sign in ["Socket errors", "Non-2xx"] {
        if let Some(line) = text.lines().find(|line| line.contains(sign)) {
            return Err(line.trim().to_owned());
        }
    }
    let lacks = |what: &str| format!("wrk without {what}: {} {}", text.trim(), errors.trim());
    let number = |word: Option<&str>| word.and_then(|word| word.parse::<f64>().ok());
    let requests = number(word_before(text, "requests in")).filter(|count| *count > 0.0);
    let after = |mark: &str| word_after(text, mark).ok_or_else(|| lacks(mark));
    let time = |mark: &str| micros(after(mark)?).ok_or_else(|| lacks(mark));
    Ok(Reading {
        requests: requests.ok_or_else(|| lacks("requests"))?,
        per_second: number(Some(after("Requests/sec:")?)).ok_or_else(|| lacks("a rate"))?,
        p50_micros: time(" 50%")?,
        p99_micros: time(" 99%")?,
        full: number(word_after(errors, "wrk_mtls: full")).unwrap_or(0.0),
        resumed: number(word_after(errors, " resumed")).unwrap_or(0.0),
    })
}

fn read_load(text: &str) -> Result<Reading, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("load: {error}"))?;
    let number = |path: &str| {
        let found = value.pointer(path).and_then(Value::as_f64);
        found.ok_or_else(|| format!("load without {path}: {text}"))
    };
    let errors = number("/errors")?;
    if errors > 0.0 {
        return Err(format!("{errors} errors"));
    }
    let requests = number("/requests")?;
    if requests < 1.0 {
        return Err(String::from("no request was answered"));
    }
    Ok(Reading {
        requests,
        per_second: requests / number("/seconds")?,
        p50_micros: number("/latency_us/p50")?,
        p99_micros: number("/latency_us/p99")?,
        full: number("/full_handshakes")?,
        resumed: number("/resumed_handshakes")?,
    })
}

fn word_after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark)?.1.split_whitespace().next()
}

fn word_before<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark)?.0.split_whitespace().last()
}

/// wrk's `1.23ms`, `456.00us`, `1.20s`.
fn micros(word: &str) -> Option<f64> {
    let scales = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    scales.iter().find_map(|(unit, scale)| {
        word.strip_suffix(unit)?.parse::<f64>().ok().map(|number| number * scale)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRK: &str = "Running 3s test @ https://127.0.0.1:1/small\n  2 threads and 64 connections\n\
        Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     1.67ms  600us   9.00ms   75%\n\
        Latency Distribution\n     50%    1.57ms\n     75%    2.00ms\n     90%    2.50ms\n     99%  980.00us\n\
        120000 requests in 3.00s, 17.2MB read\n";
    const SUM: &str = "Requests/sec:  39999.5\nTransfer/sec:  5.7MB\n";
    const HANDSHAKES: &str = "wrk_mtls: full 64 resumed 0 failed 0\n";

    #[test]
    fn wrk_is_understood() {
        let reading = read_wrk(&format!("{WRK}{SUM}"), HANDSHAKES).unwrap();
        let wanted = Reading {
            requests: 120_000.0,
            per_second: 39_999.5,
            p50_micros: 1570.0,
            p99_micros: 980.0,
            full: 64.0,
            resumed: 0.0,
        };
        assert_eq!(reading, wanted);
    }

    #[test]
    fn a_run_with_errors_is_none() {
        let bad = format!("{WRK}  Non-2xx or 3xx responses: 1\n{SUM}");
        assert_eq!(read_wrk(&bad, ""), Err(String::from("Non-2xx or 3xx responses: 1")));
        let bad = format!("{WRK}  Socket errors: connect 0, read 1, write 0, timeout 0\n{SUM}");
        assert!(read_wrk(&bad, "").is_err());
        assert!(read_wrk("", "unable to connect").is_err());
        let load = r#"{"requests":10,"errors":1,"full_handshakes":10,"resumed_handshakes":0,
            "seconds":2.0,"bytes":1,"latency_us":{"p50":1,"p90":2,"p99":3,"p999":4,"max":5}}"#;
        assert_eq!(read_load(load), Err(String::from("1 errors")));
        let good = read_load(&load.replace(r#""errors":1"#, r#""errors":0"#)).unwrap();
        assert_eq!((good.per_second, good.p99_micros, good.full), (5.0, 3.0, 10.0));
        assert!(read_load("{}").is_err());
    }
}
