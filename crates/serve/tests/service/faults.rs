//! Clients that are slow, broken, hostile or gone.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::given::{connect, lives, picture, request, rest, server, service, talk};

/// A service with little patience.
fn impatient() -> (residual_serve::Service, residual_serve::Server) {
    let service = service(|options| {
        options.header_timeout = Duration::from_millis(300);
        options.body_timeout = Duration::from_millis(300);
        options.connections = 64;
        options.body_limit = 100_000;
    });
    let server = server(&service);
    (service, server)
}

#[test]
fn clients_that_do_not_go_on_are_let_go() {
    let (_service, server) = impatient();
    // Nothing, a part of HTTP/2's preface, headers without an end, a body without one.
    let body = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nabc";
    let begun: [&[u8]; 5] = [b"", b"PRI * HT", b"POST", b"GET /v2 HTTP/1.1\r\nHost: x\r\nX-Slow: ", body];
    let mut streams: Vec<TcpStream> = (0..60).map(|_| connect(&server)).collect();
    for (stream, bytes) in streams.iter_mut().zip(begun.into_iter().cycle()) {
        stream.write_all(bytes).unwrap();
    }
    // Each is ended by the service, which has room for hardly more of them meanwhile.
    for (mut stream, bytes) in streams.into_iter().zip(begun.into_iter().cycle()) {
        let text = rest(&mut stream);
        assert!(bytes.len() < body.len() || text.starts_with("HTTP/1.1 408"), "{text}");
    }
    lives(&server);
}

#[test]
fn a_connection_that_is_idle_is_ended() {
    let (_service, server) = impatient();
    let mut stream = connect(&server);
    stream.write_all(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert!(rest(&mut stream).starts_with("HTTP/1.1 200"));
    lives(&server);
}

#[test]
fn half_closed_and_killed_clients_harm_nobody() {
    let (service, server) = impatient();
    let whole = request("/v1/classify", &picture(1, [40, 30]));
    for cut in [0, 10, 60, whole.len() - 5, whole.len()] {
        let mut stream = connect(&server);
        stream.write_all(&whole[..cut]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        rest(&mut stream);
        // Gone without a word.
        let mut stream = connect(&server);
        stream.write_all(&whole[..cut]).unwrap();
    }
    lives(&server);
    // No place in the queue is lost.
    for _ in 0..100 {
        let text = String::from_utf8(crate::given::get(&service, "/metrics").bytes).unwrap();
        if text.contains("residual_accepted_images 0\n") {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("places are taken by those who have gone");
}

#[test]
fn connections_come_and_go_by_the_thousand() {
    let (service, server) = impatient();
    for number in 0..2000 {
        let mut stream = connect(&server);
        if number % 3 == 0 {
            let _ = stream.write_all(b"GET /v2 HTT");
        }
    }
    lives(&server);
    let text = String::from_utf8(crate::given::get(&service, "/metrics").bytes).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("residual_connections_total ")).unwrap();
    assert!(total.parse::<u64>().unwrap() >= 2000, "{text}");
}

#[test]
fn garbage_is_refused() {
    let (_service, server) = impatient();
    let mut noise: Vec<u8> = Vec::new();
    let mut state = 7_u32;
    for _ in 0..100 {
        for _ in 0..noise.capacity().clamp(10, 3000) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.push((state >> 24) as u8);
        }
        let text = talk(&server, &noise);
        assert!(!text.contains("200 OK"), "{text}");
        noise.truncate(noise.len() % 2000);
    }
    for text in [
        "\r\n\r\n\r\n\r\n",
        "GET /v2 HTTP/9.9\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "POST /v1/classify HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        "POST /v1/classify HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        "POST /v1/classify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST /v1/classify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame of any kind, but long enough to be read as one",
        "GET /%00%ff%2e%2e/../../etc/passwd HTTP/1.1\r\nConnection: close\r\n\r\n",
    ] {
        let found = talk(&server, text.as_bytes());
        assert!(!found.contains("200 OK"), "{text}: {found}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200_000));
    assert!(!talk(&server, long.as_bytes()).contains("200 OK"));
    let many = format!("GET /v2 HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(5000));
    assert!(!talk(&server, many.as_bytes()).contains("200 OK"));
    lives(&server);
}

#[test]
fn bodies_beyond_the_limit_are_refused_and_their_clients_read_why() {
    let (_service, server) = impatient();
    let text = talk(&server, &request("/v1/classify", &vec![7; 150_000]));
    assert!(text.starts_with("HTTP/1.1 413") && text.contains("100000 bytes"), "{text}");
    // Without its length, in parts.
    let mut body =
        b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec();
    for _ in 0..15 {
        body.extend(b"2710\r\n");
        body.extend([9; 10_000]);
        body.extend(b"\r\n");
    }
    body.extend(b"0\r\n\r\n");
    let text = talk(&server, &body);
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    // A length that nobody will ever send.
    let text = talk(
        &server,
        b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\n",
    );
    assert!(!text.contains("200 OK"), "{text}");
    lives(&server);
}

#[test]
fn what_was_accepted_is_answered_after_the_end_began() {
    let service = service(|_| {});
    let server = server(&service);
    let whole = request("/v1/classify", &picture(1, [40, 30]));
    let mut stream = connect(&server);
    stream.write_all(&whole[..whole.len() - 10]).unwrap();
    // The head has been read once the service asks for nothing more: an answer to another request says so.
    lives(&server);
    let (address, stop) = (server.address(), server.stop_handle());
    stop.stop();
    while TcpStream::connect(address).is_ok_and(|mut stream| {
        // One that was on its way to be accepted is ended at once.
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let _ = stream.read(&mut [0]);
        true
    }) {}
    stream.write_all(&whole[whole.len() - 10..]).unwrap();
    let text = rest(&mut stream);
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"top\""), "{text}");
    server.wait();
}
