//! A node answers before it has the whole request, takes its time over that, and reads nothing meanwhile. Its
//! answer arrives, however long the upload stands still; nginx does the same.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use ferrule_tests::raw::Line;
use ferrule_tests::{
    Authority, Conversation, Dial, Gateway, PATIENCE, Setup, now, on_both_drivers, raw, scratch,
};
use rustls::version::TLS13;

/// A stalled upload has one second, an answer two from piece to piece.
const CONFIG: &str = r#"
[http]
lingering_timeout = "1s"

[[listen]]
address = "127.0.0.1:@front@"

[[listen]]
address = "127.0.0.1:@secure@"
tls = true

[[ssls]]
sni = "a.test"
cert = "server.crt"
key = "server.key"

[[routes]]
uri = "/*"
upstream.nodes = { "127.0.0.1:@upstream@" = 1 }
upstream.timeout = { send = 1, read = 2 }
upstream.retries = 0
"#;

/// More than all sockets between two ends hold.
const LARGE: usize = 16 << 20;

/// Pieces of an answer, and the time between two of them: three times as long as an upload may stand still.
const PIECES: usize = 10;
const PAUSE: Duration = Duration::from_millis(300);

/// A node that reads the head of a request, answers slowly, and then reads on or leaves. One that is asked for
/// `/silent` says nothing at all, and one that is asked for `/half` stops in the middle.
fn serve(stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut talk = Conversation::new(stream);
    let Some(head) = talk.head()? else { return Ok(()) };
    let target = head.target().to_owned();
    if target == "/silent" {
        thread::park_timeout(PATIENCE);
        return Ok(());
    }
    let framing = match target.as_str() {
        "/chunked" => "Transfer-Encoding: chunked\r\n".to_owned(),
        "/close" => "Connection: close\r\n".to_owned(),
        _ => format!("Content-Length: {PIECES}\r\n"),
    };
    talk.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n").as_bytes())?;
    let pieces = if target == "/half" { PIECES / 2 } else { PIECES };
    for _ in 0..pieces {
        thread::park_timeout(PAUSE);
        talk.send(if target == "/chunked" { b"1\r\nx\r\n" } else { b"x" })?;
    }
    match target.as_str() {
        "/half" => thread::park_timeout(PATIENCE),
        "/chunked" => talk.send(b"0\r\n\r\n")?,
        "/reads-on" => drop(talk.exactly(head.length().unwrap_or(0))?),
        // Lest a reset takes the end of the answer along.
        "/close" => {
            talk.stream.shutdown(Shutdown::Write)?;
            talk.exactly(head.length().unwrap_or(0))?;
        }
        _ => {}
    }
    Ok(())
}

fn upstream() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream));
        }
    });
    port
}

fn connect(gateway: &Gateway, secure: bool) -> Line {
    if !secure {
        return raw::plain(gateway.port("front")).stream;
    }
    let dial = Dial::with(Some("a.test"), None, &[&TLS13]);
    dial.connect(gateway.port("secure")).expect("a handshake").stream
}

/// Uploads as much as is taken and reads all the time; everything that came.
fn ask(mut line: Line, target: &str) -> String {
    let head = format!("POST {target} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {LARGE}\r\n\r\n");
    let _ = line.write_all(head.as_bytes());
    line.socket().set_read_timeout(Some(Duration::from_millis(5))).expect("a socket");
    line.socket().set_write_timeout(Some(Duration::from_millis(5))).expect("a socket");
    let (piece, mut left, mut heard) = (vec![b'y'; 1 << 16], LARGE, Vec::new());
    let started = now();
    while started.elapsed() < PATIENCE {
        if left > 0 {
            left -= line.write(&piece[..left.min(piece.len())]).unwrap_or(0);
        }
        let mut room = [0; 4_096];
        match line.read(&mut room) {
            Ok(0) => break,
            Ok(count) => heard.extend_from_slice(&room[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
        if is_whole(&heard) {
            break;
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

/// Is all of the answer there?
fn is_whole(heard: &[u8]) -> bool {
    let text = String::from_utf8_lossy(heard);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    if head.contains("chunked") {
        body.ends_with("0\r\n\r\n")
    } else {
        head.starts_with("HTTP/1.1 200") && body.matches('x').count() == PIECES
    }
}

on_both_drivers! {
    fn an_answer_that_flows_is_not_cut_by_an_upload_that_stands_still(driver) {
        let scratch = scratch();
        let authority = Authority::new("ca");
        authority.server(&["a.test"]).write(scratch.path(), "server");
        let setup = Setup::new(scratch.path(), driver, CONFIG).set("upstream", &upstream());
        let gateway = setup.quiet().start();
        thread::scope(|scope| {
            let mut asked = Vec::new();
            for secure in [false, true] {
                for target in ["/length", "/chunked", "/close", "/reads-on", "/silent", "/half"] {
                    let line = connect(&gateway, secure);
                    asked.push((secure, target, scope.spawn(move || ask(line, target))));
                }
            }
            for (secure, target, client) in asked {
                let text = client.join().expect("a client");
                match target {
                    // Nobody has answered, and nobody reads.
                    "/silent" => assert!(text.starts_with("HTTP/1.1 504 "), "{secure}: {text:?}"),
                    // Once it flows no more, its own time is over.
                    "/half" => {
                        assert!(text.starts_with("HTTP/1.1 200 "), "{secure}: {text:?}");
                        assert_eq!(text.matches('x').count(), PIECES / 2, "{secure}: {text:?}");
                    }
                    _ => assert!(is_whole(text.as_bytes()), "{secure} {target}: {text:?}"),
                }
            }
        });
    }
}
