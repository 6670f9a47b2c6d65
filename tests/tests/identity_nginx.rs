//! Every certificate of the zoo, read by a real nginx and by us: the same bytes, the same verdict.
//!
//! Where we refuse what nginx accepts, the zoo says why. There is no other way round.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ferrule_engine::identity::chain::judge;
use ferrule_engine::identity::{ClientIdentity, ClientPolicy, ClientValue, Verdict, Wanted};
use ferrule_tests::zoo::{Animal, Zoo};

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
        write!(
            servers,
            "server {{ listen unix:{} ssl; ssl_certificate {dir}/0.pem; ssl_certificate_key \
             {dir}/leaf.key; ssl_client_certificate {}; ssl_verify_client optional; \
             ssl_verify_depth {depth}; error_page 495 496 =200 @echo; \
             location / {{ return 200 \"{echo}\"; }} location @echo {{ return 200 \"{echo}\"; }} }}\n",
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
    Nginx(command.spawn().expect("nginx starts"))
}

/// What nginx answers to this client; `None` if the handshake failed.
fn ask(dir: &Path, depth: u32, animal: &Animal) -> Option<String> {
    let output = Command::new("curl")
        .args(["-sk", "--max-time", "20", "--retry-connrefused", "--retry", "20"])
        .args(["--retry-delay", "0", "--tls-max", "1.3", "--ciphers", "DEFAULT@SECLEVEL=0"])
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
        // nginx ended the connection: whatever we say, it must not be SUCCESS.
        let accepted = identity.verdict == Verdict::Success;
        return if accepted { vec![format!("{label}: no answer from nginx")] } else { Vec::new() };
    };
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
    let ours = identity.days_remaining(now).unwrap_or_default().to_string();
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
