//! A server in a folder of its own, with a core that answers as it is told, and a client that
//! speaks in bytes.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mpath_state::protocol::{Command, FrameDecoder, Reply, SocketAddress, encode};
use multipathd_lite::ReplyTo;
use multipathd_lite::model::Model;
use multipathd_lite::server::{Core, Limits, Listener, Remote, Server};
use tempfile::TempDir;

use crate::host;

/// Answers `ok` to all but `suspend`, which it hands to the test, and `fail path`, which fails.
struct FakeCore {
    model: Arc<Model>,
    held: Mutex<Sender<(Command, ReplyTo)>>,
}

impl Core for FakeCore {
    fn snapshot(&self) -> Arc<Model> {
        Arc::clone(&self.model)
    }

    fn ask(&self, command: Command, reply: ReplyTo) {
        let text = command.to_string();
        if text.starts_with("suspend") {
            self.held.lock().unwrap().send((command, reply)).unwrap();
        } else if text.starts_with("fail") {
            let detail = "it is the last one".to_owned();
            reply.answer(Reply::Fail { detail });
        } else {
            reply.answer(Reply::Ok);
        }
    }
}

/// A running server; it ends with this.
pub(crate) struct Running {
    dir: TempDir,
    remote: Remote,
    thread: Option<JoinHandle<()>>,
    /// What the core has not answered.
    pub(crate) held: Receiver<(Command, ReplyTo)>,
}

impl Running {
    pub(crate) fn new(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = SocketAddress::Path(dir.path().join("socket"));
        let listener = Listener::bind(&address).unwrap();
        let (sender, held) = channel();
        let core = FakeCore {
            model: Arc::new(host::model(Instant::now())),
            held: Mutex::new(sender),
        };
        let server = Server::new(core, vec![listener], limits).unwrap();
        let remote = server.remote();
        let thread = Some(std::thread::spawn(move || server.run().unwrap()));
        Self {
            dir,
            remote,
            thread,
            held,
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    pub(crate) fn client(&self) -> Client {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client {
            stream,
            decoder: FrameDecoder::for_replies(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.remote.stop();
        let joined = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            joined.unwrap();
            assert!(
                !self.socket().exists(),
                "the socket is taken away at the end"
            );
        }
    }
}

/// A connection.
pub(crate) struct Client {
    pub(crate) stream: UnixStream,
    decoder: FrameDecoder,
}

impl Client {
    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.send(&encode(command));
        self.answer()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn answer(&mut self) -> String {
        loop {
            if let Some(text) = self.decoder.poll_text().unwrap() {
                return text;
            }
            let mut chunk = [0; 65_536];
            let length = self.stream.read(&mut chunk).unwrap();
            assert!(length > 0, "the server has closed the connection");
            self.decoder.push(&chunk[..length]);
        }
    }

    /// Waits for the server to close the connection.
    pub(crate) fn await_end(&mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            // What the server has not read makes it a reset.
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

/// Far more than the server ever takes.
const PATIENCE: Duration = Duration::from_secs(60);
