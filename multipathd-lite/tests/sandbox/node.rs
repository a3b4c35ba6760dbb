//! A sandbox, the command on it, and the daemon of a node. Whatever is waited for is announced:
//! by a line of the daemon's log.
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use mpathpersist::cli::{self, ExitStatus, Privilege};
use mpathpersist::sandbox::{Paint, command};
use mpathpersist::{Host, HostRunner};
use tempfile::TempDir;

/// A sandbox in a folder of its own, which goes with it.
#[derive(Debug)]
pub(crate) struct San {
    folder: TempDir,
}

/// The daemon of a node; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    lines: Receiver<String>,
    heard: String,
}

impl San {
    pub(crate) fn new(options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let san = Self { folder };
        san.sandbox("init", "", options);
        for node in ["alice", "bob"] {
            let config = "defaults {\n\treservation_key file\n\tpolling_interval 1\n\
                          \tmax_polling_interval 1\n\tchecker_timeout 1\n}\n";
            std::fs::write(san.at(node).join("multipath.conf"), config).unwrap();
        }
        san
    }

    /// Both nodes registered, alice with the reservation.
    pub(crate) fn with_reservation(options: &str) -> Self {
        let san = Self::new(options);
        san.on("alice", "-o -G -S a1 mpatha");
        san.on("bob", "-o -G -S b2 mpatha");
        san.on("alice", "-o -R -K a1 -T 5 mpatha");
        san
    }

    /// A node's folder; of the sandbox itself without a name.
    pub(crate) fn at(&self, node: &str) -> PathBuf {
        self.folder.path().join("san").join(node)
    }

    /// `mpathpersist sandbox VERB DIR[/NODE] OPTIONS`
    pub(crate) fn sandbox(&self, verb: &str, node: &str, options: &str) -> String {
        let mut args: Vec<OsString> = ["mpathpersist", "sandbox", verb].map(Into::into).into();
        args.push(self.at(node).into());
        args.extend(options.split_whitespace().map(OsString::from));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = command::run(&args, Paint::Plain, &mut out, &mut err);
        let err = String::from_utf8(err).unwrap();
        assert_eq!(status, ExitStatus::SUCCESS, "{args:?}: {err}");
        String::from_utf8(out).unwrap()
    }

    /// `mpathpersist --sandbox DIR/NODE OPTIONS`, which succeeds.
    pub(crate) fn on(&self, node: &str, options: &str) -> String {
        let args = ["mpathpersist"].into_iter().chain(options.split(' '));
        let host = Host::in_sandbox(&self.at(node)).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = args.map(OsString::from);
        let mut runner = HostRunner::new(&host);
        let status = cli::run(args, &mut runner, Privilege::Root, &mut out, &mut err);
        let err = String::from_utf8(err).unwrap();
        assert_eq!(status, ExitStatus::SUCCESS, "{node}: {options}: {err}");
        String::from_utf8(out).unwrap()
    }

    /// How a node stands: its line of the table.
    pub(crate) fn row(&self, node: &str) -> String {
        let table = self.sandbox("show", "", "");
        let row = table.lines().find(|line| line.starts_with(node)).unwrap();
        row.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Starts the daemon of a node, and waits until it has settled all its paths.
    pub(crate) fn daemon(&self, node: &str) -> Daemon {
        self.daemon_with(node, &[])
    }

    pub(crate) fn daemon_with(&self, node: &str, options: &[&str]) -> Daemon {
        let mut child = self
            .lite(node)
            .args(["-d", "-s", "-v3"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut lines = log.lines().map_while(Result::ok);
            lines.try_for_each(|line| sender.send(line))
        });
        let mut daemon = Daemon {
            child,
            lines,
            heard: String::new(),
        };
        daemon.until("multipathd-lite 0");
        daemon
    }

    /// The binary for a node.
    pub(crate) fn lite(&self, node: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_multipathd-lite"));
        command.arg("--sandbox").arg(self.at(node));
        command
    }

    /// What the daemon of a node answers.
    pub(crate) fn ask(&self, node: &str, question: &str) -> String {
        let mut client = self.lite(node);
        let output = client.arg(format!("-k{question}")).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits until the daemon of a node answers like this: what it has just logged is in its
    /// answers a moment later.
    #[track_caller]
    pub(crate) fn until_answered(&self, node: &str, question: &str, expected: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.ask(node, question) != expected {
            let is_late = Instant::now() >= deadline;
            assert!(!is_late, "{question}: {}", self.ask(node, question));
        }
    }
}

impl Daemon {
    /// Waits until it logs a line with this in it.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str) -> String {
        self.until_any(&[what])
    }

    #[track_caller]
    fn until_any(&mut self, any: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("none of {any:?} is in the log:\n{}", self.heard);
            };
            self.heard += &line;
            self.heard += "\n";
            if any.iter().any(|what| line.contains(what)) {
                return line;
            }
        }
    }

    /// The line with this in it, also if it was logged before what was waited for last.
    #[track_caller]
    pub(crate) fn heard(&mut self, what: &str) -> String {
        let known = self.heard.lines().find(|line| line.contains(what));
        match known.map(str::to_owned) {
            Some(known) => known,
            None => self.until(what),
        }
    }

    /// The same for several, in whatever order.
    #[track_caller]
    pub(crate) fn until_all(&mut self, all: &[&str]) {
        let mut missing = all.to_vec();
        while !missing.is_empty() {
            let line = self.until_any(&missing);
            missing.retain(|what| !line.contains(what));
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it without a chance to do anything more.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Far longer than anything takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
