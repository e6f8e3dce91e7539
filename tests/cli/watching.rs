//! `pipewright job watch` over connections that break.

use std::{
    fs,
    io::{self, Read},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::binary::{Running, Served, gate, pipewright};

/// Forwards to the service until the test cuts the connections.
#[derive(Clone)]
struct Proxy {
    address: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn start(service: SocketAddr) -> Self {
        Self::breaking(0, service)
    }

    /// Breaks this many connections once they have sent a request.
    fn breaking(count: usize, service: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            open: Arc::default(),
        };
        let open = Arc::clone(&proxy.open);
        thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                let mut client = client.unwrap();
                if number < count {
                    // The HTTP/2 preface, and the start of the call behind it.
                    client.read_exact(&mut [0; 100]).unwrap();
                    continue;
                }
                let server = TcpStream::connect(service).unwrap();
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || io::copy(&mut from, &mut to));
                }
                open.lock().unwrap().extend([client, server]);
            }
        });
        proxy
    }

    /// Breaks every connection.
    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            // A connection that the other side has closed already counts as cut.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn a_call_is_retried_when_its_connection_breaks() {
    let served = Served::start(&["--no-embedded-runner"]);
    served.create("p", "true");
    let proxy = Proxy::breaking(2, served.address);
    let server = proxy.address.to_string();
    let ran = served.run(&["pipeline", "trigger", "p", "--server", &server]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_stream_that_reaches_its_maximum_age_is_resumed_silently() {
    let served = Served::start(&["--max-stream-age", "1s"]);
    let data = r#"{"name":"p","stages":[{"name":"s","command":"for i in 1 2 3 4; do echo $i; sleep 1; done"}]}"#;
    served.run(&["pipeline", "create", "--data", data]).ok();
    let ran = served.run(&["pipeline", "trigger", "p", "--watch"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    for line in ["[s] 1\n", "[s] 2\n", "[s] 3\n", "[s] 4\n"] {
        assert_eq!(ran.stdout.matches(line).count(), 1, "{line}{ran:?}");
    }
}

#[test]
fn a_watch_resumes_by_itself_and_sees_each_event_once() {
    const STAGES: usize = 5;
    let served = Served::start(&[]);
    let stages = (0..STAGES).map(|number| {
        let path = served.path(&format!("gate-{number}"));
        gate(&path);
        let command = format!("cat {}", path.display());
        serde_json::json!({ "name": format!("s{number}"), "command": command })
    });
    let data = serde_json::json!({ "name": "p", "stages": stages.collect::<Vec<_>>() });
    served
        .run(&["pipeline", "create", "--data", &data.to_string()])
        .ok();
    let job = served.trigger("p");

    let proxy = Proxy::start(served.address);
    let server = proxy.address.to_string();
    let watch = [
        "job", "watch", &job, "--after", "0", "-o", "json", "--server", &server,
    ];
    let mut watching = Running::start(&mut pipewright(&watch));
    let mut seen = String::new();
    for number in 0..STAGES {
        // Each stage continues only when its start was seen and the connection is gone.
        let started = format!(r#""stageName":"s{number}","startTime""#);
        seen += &watching.until_stdout(&started);
        proxy.cut();
        fs::write(served.path(&format!("gate-{number}")), "").unwrap();
    }
    let ran = watching.finish();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("reconnecting"), "{ran:?}");

    seen += &ran.stdout;
    let sequence = |line: &str| -> i64 {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["sequence"].as_str().unwrap().parse().unwrap()
    };
    let got = served.run(&["job", "get", &job, "-o", "json"]).json();
    let last: i64 = got["lastSequence"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        seen.lines().map(sequence).collect::<Vec<_>>(),
        (1..=last).collect::<Vec<_>>()
    );
}
