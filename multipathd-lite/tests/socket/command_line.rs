//! The program as a client, under both of its names.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use multipathd_lite::server::Limits;

use crate::fake::Running;

/// The program with a server of its own.
struct Setting {
    server: Running,
}

impl Setting {
    fn new() -> Self {
        let root_uid = nix::unistd::getuid().as_raw();
        let limits = Limits {
            root_uid,
            ..Limits::default()
        };
        Self {
            server: Running::new(limits),
        }
    }

    fn run(&self, args: &[&str]) -> Output {
        self.run_as(Path::new(PROGRAM), args, "")
    }

    fn run_as(&self, program: &Path, args: &[&str], input: &str) -> Output {
        let mut child = Command::new(program)
            .args(args)
            .env("MULTIPATH_SOCKET_NAME", self.server.socket())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    }

    /// What is printed, and the exit status.
    fn check(&self, args: &[&str], stdout: &str, status: i32) {
        let output = self.run(args);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            stdout,
            "{args:?}: {output:?}"
        );
        assert_eq!(output.status.code(), Some(status), "{args:?}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_multipathd-lite");

#[test]
fn commands_are_sent_in_both_forms() {
    let setting = Setting::new();
    setting.check(&["-kgetprstatus map mpatha"], "set\n", 0);
    setting.check(&["getprstatus", "map", "my disk"], "unknown\n", 0);
    setting.check(
        &["list", "maps", "raw", "format", "%n %d"],
        "mpatha dm-0\nmy disk dm-11\n",
        0,
    );
    setting.check(&["-k'show maps'"], "fail\n", 1);
    setting.check(&["setprhold", "map", "mpatha"], "ok\n", 0);
    setting.check(&["fail", "path", "sda"], "fail\n", 1);
    setting.check(&["bogus"], "fail\n", 1);
}

#[test]
fn through_a_link_it_is_multipathd() {
    let setting = Setting::new();
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("multipathd");
    symlink(PROGRAM, &link).unwrap();
    let output = setting.run_as(&link, &["show", "maps", "raw", "format", "%w"], "");
    let expected = [crate::host::WWID, crate::host::OTHER_WWID].map(|wwid| format!("{wwid}\n"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected.concat());
    let output = setting.run_as(&link, &["-x"], "");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.starts_with("multipathd: unknown option '-x'"),
        "{stderr}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn commands_are_typed_in() {
    let setting = Setting::new();
    let said = |input: &str| {
        let output = setting.run_as(Path::new(PROGRAM), &["-k"], input);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(
        said("ping\n\n  getprkey map mpatha\nbogus\nquit\nping\n"),
        "multipathd> ok\nmultipathd> multipathd> 0x123abc:aptpl\nmultipathd> fail\nmultipathd> "
    );
    assert_eq!(said("ping"), "multipathd> ok\nmultipathd> \n");
    assert_eq!(said(""), "multipathd> \n");
}

#[test]
fn without_a_daemon_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .args(["show", "maps"])
        .env("MULTIPATH_SOCKET_NAME", dir.path().join("none"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let told = "multipathd-lite: no multipath daemon is running: start one: \
                'systemctl start multipathd-lite'\n";
    assert_eq!(stderr, told);
}

#[test]
fn the_usage_is_printed() {
    let output = Command::new(PROGRAM).arg("-h").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("-k\"COMMAND\""));
}
