//! Clients of all kinds: quick, slow, malformed, greedy, and a thousand at once.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use mpath_state::protocol::{MAX_REQUEST_LEN, Reply, SocketAddress, encode};
use multipathd_lite::server::{Limits, Listener};

use crate::fake::Running;

fn server() -> Running {
    Running::new(limits())
}

/// Whoever runs the tests is root to the server.
fn limits() -> Limits {
    Limits {
        root_uid: nix::unistd::getuid().as_raw(),
        ..Limits::default()
    }
}

#[test]
fn one_connection_carries_many_requests() {
    let server = server();
    let mut client = server.client();
    for _ in 0..100 {
        assert_eq!(client.ask("getprstatus map mpatha"), "set\n");
        assert_eq!(client.ask("setprhold map mpatha"), "ok\n");
        assert_eq!(client.ask("fail path sda"), "fail\n");
    }
}

#[test]
fn requests_may_be_sent_ahead_and_are_answered_in_order() {
    let server = server();
    let mut client = server.client();
    let questions = [
        "getprstatus map mpatha",
        "reconfigure",
        "getprkey map dm-11",
        "ping",
    ];
    let all: Vec<u8> = questions
        .iter()
        .cycle()
        .take(400)
        .flat_map(|text| encode(text))
        .collect();
    client.send(&all);
    for _ in 0..100 {
        for expected in ["set\n", "ok\n", "none\n", "ok\n"] {
            assert_eq!(client.answer(), expected);
        }
    }
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let server = server();
    let mut client = server.client();
    for byte in encode("getprkey map mpatha") {
        client.send(&[byte]);
    }
    assert_eq!(client.answer(), "0x123abc:aptpl\n");
}

#[test]
fn impossible_lengths_end_the_connection() {
    let server = server();
    for length in [0, MAX_REQUEST_LEN + 1, u64::MAX, 1 << 63] {
        let mut client = server.client();
        client.send(&length.to_ne_bytes());
        client.await_end();
    }
    assert_eq!(server.client().ask("ping"), "ok\n");
}

#[test]
fn the_longest_request_is_read() {
    let server = server();
    let mut client = server.client();
    let longest = usize::try_from(MAX_REQUEST_LEN).unwrap();
    let mut text = "getprstatus map mpatha".to_owned();
    text.push_str(&" ".repeat(longest - 1 - text.len()));
    assert_eq!(client.ask(&text), "set\n");
}

#[test]
fn noise_is_refused_and_harms_nobody() {
    let server = server();
    let mut witness = server.client();
    let mut noise: u64 = 1;
    for _ in 0..500 {
        let mut client = server.client();
        let bytes: Vec<u8> = (0..64)
            .map(|_| {
                noise = noise
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                noise.to_be_bytes()[0]
            })
            .collect();
        let _ = client.stream.write_all(&bytes);
        let mut framed = server.client();
        let length = bytes.len() as u64;
        framed.send(&length.to_ne_bytes());
        framed.send(&bytes);
        assert_eq!(framed.answer(), "fail\n");
        assert_eq!(witness.ask("getprhold map mpatha"), "unset\n");
    }
}

#[test]
fn who_waits_for_the_core_holds_nobody_up() {
    let server = server();
    let mut waiting = server.client();
    waiting.send(&encode("suspend map mpatha"));
    let (_, reply) = server.held.recv().unwrap();
    assert_eq!(
        server.client().ask("show daemon").split(' ').next(),
        Some("pid")
    );
    reply.answer(Reply::Ok);
    assert_eq!(waiting.answer(), "ok\n");
}

#[test]
fn a_core_that_is_late_means_timeout_and_its_answer_is_dropped() {
    let server = Running::new(Limits {
        core_patience: Duration::from_millis(20),
        ..limits()
    });
    let mut client = server.client();
    assert_eq!(client.ask("suspend map mpatha"), "timeout\n");
    let (_, late) = server.held.recv().unwrap();
    client.send(&encode("suspend map dm-11"));
    let (_, next) = server.held.recv().unwrap();
    late.answer(Reply::Text("late\n".to_owned()));
    next.answer(Reply::Ok);
    assert_ne!(client.answer(), "late\n");
}

#[test]
fn a_client_that_went_is_forgotten() {
    let server = server();
    let mut gone = server.client();
    gone.send(&encode("suspend map mpatha"));
    let (_, reply) = server.held.recv().unwrap();
    drop(gone);
    reply.answer(Reply::Ok);
    assert_eq!(server.client().ask("ping"), "ok\n");
}

#[test]
fn a_request_counts_although_nobody_waits_for_its_answer() {
    let server = server();
    let mut client = server.client();
    client.send(&encode("suspend map mpatha"));
    drop(client);
    let (command, _) = server.held.recv().unwrap();
    assert_eq!(command.to_string(), "suspend map mpatha");
}

#[test]
fn half_a_request_is_not_waited_for() {
    let server = Running::new(Limits {
        request_patience: Duration::from_millis(20),
        ..limits()
    });
    let mut quiet = server.client();
    assert_eq!(quiet.ask("ping"), "ok\n");
    let mut slow = server.client();
    slow.send(&encode("ping")[..9]);
    slow.await_end();
    assert_eq!(quiet.ask("ping"), "ok\n", "who says nothing may stay");
}

#[test]
fn an_answer_that_is_not_read_is_not_kept() {
    let server = Running::new(Limits {
        reply_patience: Duration::from_millis(20),
        ..limits()
    });
    let mut lazy = server.client();
    // The server closes while this is still being sent.
    let _ = lazy
        .stream
        .write_all(&encode("show wildcards").repeat(10_000));
    lazy.await_end();
}

#[test]
fn answers_that_are_not_read_are_bounded_together() {
    let server = Running::new(Limits {
        unsent_bytes: 1024,
        ..limits()
    });
    let lazy: Vec<_> = (0..20)
        .map(|_| {
            let mut client = server.client();
            client.stream.set_nonblocking(true).unwrap();
            // Until the server takes no more.
            let requests = encode("show wildcards").repeat(1000);
            let sent = client.stream.write(&requests);
            assert!(sent.is_ok_and(|sent| sent > 0));
            client
        })
        .collect();
    assert_eq!(server.client().ask("getprstatus map mpatha"), "set\n");
    drop(lazy);
}

#[test]
fn a_thousand_clients_are_served() {
    let server = server();
    let mut clients: Vec<_> = (0..1000).map(|_| server.client()).collect();
    let question = encode("getprstatus map mpatha");
    clients.iter_mut().for_each(|client| client.send(&question));
    for client in &mut clients {
        assert_eq!(client.answer(), "set\n");
    }
    // In the middle of a request all of them, and yet nobody waits.
    clients
        .iter_mut()
        .for_each(|client| client.send(&question[..7]));
    assert_eq!(server.client().ask("getprstatus map mpatha"), "set\n");
    clients
        .iter_mut()
        .for_each(|client| client.send(&question[7..]));
    for client in &mut clients {
        assert_eq!(client.answer(), "set\n");
    }
}

#[test]
fn where_there_are_too_many_the_quietest_goes() {
    let server = Running::new(Limits {
        clients: 4,
        ..limits()
    });
    let mut clients: Vec<_> = (0..4).map(|_| server.client()).collect();
    for index in [1, 0, 2, 3] {
        assert_eq!(clients[index].ask("ping"), "ok\n");
    }
    assert_eq!(server.client().ask("ping"), "ok\n");
    clients[1].await_end();
    assert_eq!(clients[0].ask("ping"), "ok\n");
}

#[test]
fn clients_in_the_middle_of_something_go_for_another() {
    let server = Running::new(Limits {
        clients: 3,
        ..limits()
    });
    let mut clients: Vec<_> = (0..3).map(|_| server.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("ping"), "ok\n");
        client.send(&encode("ping")[..9]);
    }
    assert_eq!(server.client().ask("ping"), "ok\n");
}

#[test]
fn users_take_turns_and_all_are_answered() {
    let server = Running::new(Limits {
        root_uid: limits().root_uid + 1,
        ..Limits::default()
    });
    let mut clients: Vec<_> = (0..50).map(|_| server.client()).collect();
    let requests = encode("getprstatus map mpatha").repeat(40);
    clients.iter_mut().for_each(|client| client.send(&requests));
    for client in &mut clients {
        for _ in 0..40 {
            assert_eq!(client.answer(), "set\n");
        }
    }
}

#[test]
fn who_is_not_root_may_only_look() {
    let server = Running::new(Limits {
        root_uid: limits().root_uid + 1,
        ..Limits::default()
    });
    let mut client = server.client();
    assert_eq!(client.ask("getprkey map mpatha"), "0x123abc:aptpl\n");
    let denied = "permission deny: need to be root\n";
    assert_eq!(client.ask("setprhold map mpatha"), denied);
    assert_eq!(client.ask("shutdown"), denied);
    assert_eq!(
        client.ask("list multipaths raw format %n"),
        "mpatha\nmy disk\n"
    );
}

#[test]
fn the_socket_is_for_everybody_and_replaces_an_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let address = SocketAddress::Path(path.clone());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listener = Listener::bind(&address).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    drop(listener);
    assert!(!path.exists());
    std::fs::write(&path, "precious").unwrap();
    let error = Listener::bind(&address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn an_abstract_name_is_taken_once() {
    let name = format!("mpath-test-{}", std::process::id());
    let address = SocketAddress::Abstract(name);
    let listener = Listener::bind(&address).unwrap();
    let error = Listener::bind(&address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    drop(listener);
    Listener::bind(&address).unwrap();
}
