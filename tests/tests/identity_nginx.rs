//! Every certificate of the zoo, read by a real nginx and by us: the same bytes, the same verdict.
//!
//! Where we refuse what nginx accepts, the zoo says why. There is no other way round.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise; it waits for a real nginx"
)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ferrule_engine::identity::chain::judge;
use ferrule_engine::identity::{ClientIdentity, ClientPolicy, ClientValue, Verdict, Wanted};
use ferrule_tests::zoo::{Animal, Zoo};

/// Until nginx must have bound its sockets.
const PATIENCE: Duration = Duration::from_secs(20);

const VALUES: [(&str, ClientValue); 11] = [
    ("verify", ClientValue::Verify),
    ("fingerprint", ClientValue::Fingerprint),
    ("serial", ClientValue::Serial),
    ("s_dn", ClientValue::SDn),
    ("i_dn", ClientValue::IDn),
    ("s_dn_legacy", ClientValue::SDnLegacy),
    ("i_dn_legacy", ClientValue::IDnLegacy),
    ("v_start", ClientValue::VStart),
    ("v_end", ClientValue::VEnd),
    ("escaped_cert", ClientValue::EscapedCert),
    ("raw_cert", ClientValue::RawCert),
];

/// Ends with the test.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One server per depth, each on its own socket; a refused client is shown its variables too.
fn start_nginx(dir: &Path, bundle: &Path) -> Nginx {
    let mut echo = String::new();
    for (name, _) in VALUES {
        write!(echo, "@@{name}=$ssl_client_{name}\\n").expect("a string");
    }
    echo.push_str("@@v_remain=$ssl_client_v_remain\\n@@end=");
    let mut servers = String::new();
    for depth in 0..=2 {
        let socket = dir.join(format!("{depth}.sock"));
        writeln!(
            servers,
            "server {{ listen unix:{} ssl; ssl_certificate {dir}/0.pem; ssl_certificate_key \
             {dir}/leaf.key; ssl_client_certificate {}; ssl_verify_client optional; \
             ssl_verify_depth {depth}; error_page 495 496 =200 @echo; \
             location / {{ return 200 \"{echo}\"; }} location @echo {{ return 200 \"{echo}\"; }} }}",
            socket.display(),
            bundle.display(),
            dir = dir.display(),
        )
        .expect("a string");
    }
    let text = format!(
        "daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log;\n\
         events {{}}\nhttp {{ access_log off; large_client_header_buffers 4 64k;\n\
         client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;\n\
         uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;\n{servers} }}\n",
        dir = dir.display()
    );
    let lenient = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n\
                   [c]\nCipherString = DEFAULT:@SECLEVEL=0\n";
    fs::write(dir.join("client.cnf"), lenient).expect("a configuration");
    let file = dir.join("nginx.conf");
    fs::write(&file, text).expect("a configuration");
    let check = Command::new("nginx").args(["-t", "-c"]).arg(&file).output();
    let check = check.expect("nginx is installed (apt-get install nginx)");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    // The sockets that the check has bound and left.
    for depth in 0..=2 {
        let _ = fs::remove_file(dir.join(format!("{depth}.sock")));
    }
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    let nginx = Nginx(command.spawn().expect("nginx starts"));
    let last = dir.join("2.sock");
    let from = Instant::now();
    while UnixStream::connect(&last).is_err() {
        assert!(from.elapsed() < PATIENCE, "nginx does not answer");
        std::thread::yield_now();
    }
    nginx
}

/// What nginx answers to this client; `None` if the handshake failed.
fn ask(dir: &Path, depth: u32, animal: &Animal) -> Option<String> {
    let output = Command::new("curl")
        // Our client presents weak certificates too; whether they are taken is for nginx to say.
        .env("OPENSSL_CONF", dir.join("client.cnf"))
        .args(["-sk", "--max-time", "20"])
        .arg("--unix-socket")
        .arg(dir.join(format!("{depth}.sock")))
        .arg("--cert")
        .arg(&animal.certificates)
        .arg("--key")
        .arg(&animal.key)
        .arg("https://zoo.example/")
        .output()
        .expect("curl is installed");
    // A dropped connection is an answer too.
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn field<'a>(answer: &'a str, name: &str) -> &'a str {
    let start = format!("@@{name}=");
    let rest = answer.split(&start).nth(1).unwrap_or_default();
    rest.split("\n@@").next().unwrap_or_default()
}

/// Differences that are meant: the serial on one line.
fn expected(name: &str, nginx: &str) -> String {
    if name == "serial" { nginx.replace("\\\n", "") } else { nginx.to_owned() }
}

fn compare(
    dir: &Path,
    policy: &ClientPolicy,
    depth: u32,
    animal: &Animal,
    now: i64,
) -> Vec<String> {
    let mut wanted = Wanted::default();
    VALUES.iter().for_each(|(_, value)| wanted.add(*value));
    let chain: Vec<&[u8]> = animal.chain.iter().map(Vec::as_slice).collect();
    let verdict = judge(&chain, policy, now);
    let identity = ClientIdentity::of(&chain, verdict, &wanted);
    let label = format!("{} (depth {depth})", animal.name);
    let Some(answer) = ask(dir, depth, animal) else {
        let refused = animal.unreadable && identity.verdict != Verdict::Success;
        return if refused { Vec::new() } else { vec![format!("{label}: no answer from nginx")] };
    };
    assert!(!animal.unreadable, "{label}: nginx has read it");
    let mut differences = Vec::new();
    for (name, value) in VALUES {
        let ours = String::from_utf8_lossy(identity.values.get(value)).into_owned();
        let theirs = expected(name, field(&answer, name));
        if ours == theirs {
            continue;
        }
        let stricter = name == "verify" && theirs == "SUCCESS" && animal.stricter.is_some();
        if !stricter {
            differences.push(format!("{label}: {name}\n   nginx {theirs}\n   ours  {ours}"));
        }
    }
    let ours = identity.days_remaining(now).map(|days| days.to_string()).unwrap_or_default();
    if ours != field(&answer, "v_remain") {
        differences.push(format!("{label}: v_remain {} {ours}", field(&answer, "v_remain")));
    }
    differences
}

#[test]
fn nginx_and_we_read_the_same_in_every_certificate() {
    let dir = tempfile::tempdir().expect("a directory");
    let now = std::time::UNIX_EPOCH.elapsed().expect("a time after 1970").as_secs();
    let now = i64::try_from(now).expect("a time before the end");
    let zoo = Zoo::build(dir.path(), now);
    assert!(zoo.animals.len() >= 60, "only {} certificates", zoo.animals.len());
    let nginx = start_nginx(dir.path(), &zoo.bundle);
    let mut differences = Vec::new();
    for animal in &zoo.animals {
        let depths = if animal.chain.len() > 1 { 0..=2 } else { 1..=1 };
        for depth in depths {
            let policy = ClientPolicy::new(&zoo.anchors, depth, true).expect("anchors");
            differences.extend(compare(dir.path(), &policy, depth, animal, now));
        }
    }
    drop(nginx);
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}
