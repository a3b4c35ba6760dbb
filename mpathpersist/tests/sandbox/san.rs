//! A sandbox for one test, and the real binary on it.
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A sandbox in a folder of its own, which goes with it.
#[derive(Debug)]
pub(crate) struct San {
    folder: TempDir,
}

/// A command that ended.
pub(crate) struct Ran {
    line: String,
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl San {
    /// A sandbox `san`, made with these options.
    pub(crate) fn new(options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let san = Self { folder };
        san.run(&format!("sandbox init san {options}")).ok();
        san
    }

    /// A path below the folder that commands run in.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The binary with these words.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mpathpersist"));
        command.args(line.split_whitespace());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Ran {
        Ran::new(line, &self.command(line).output().unwrap())
    }

    /// The command on a node: its options and the device.
    pub(crate) fn on(&self, node: &str, options: &str) -> Ran {
        self.run(&format!("--sandbox san/{node} {options}"))
    }

    /// How things stand.
    pub(crate) fn table(&self) -> String {
        self.run("sandbox show san").ok()
    }
}

impl Ran {
    pub(crate) fn new(line: &str, output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            line: line.to_owned(),
            status: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// What it wrote to stdout, given that it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.status, 0, "{self}");
        self.out
    }

    /// What it wrote to stderr, given that it failed with this status.
    #[track_caller]
    pub(crate) fn failed(self, status: i32) -> String {
        assert_eq!(self.status, status, "{self}");
        self.err
    }
}

/// As a person sees it at a prompt.
impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ mpathpersist {}", self.line)?;
        f.write_str(&self.out)?;
        for line in self.err.lines() {
            writeln!(f, "! {line}")?;
        }
        writeln!(f, "= {}", self.status)
    }
}
