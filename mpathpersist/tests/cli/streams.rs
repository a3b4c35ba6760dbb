//! Readers that go away and disks that are full.
use crate::fake::FakeRunner;
use mpathpersist::cli::{ExitStatus, Privilege, run};
use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};

/// A stream on which every write fails in this way.
struct Broken(ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn run_on(out: ErrorKind, line: &str) -> (ExitStatus, String, usize) {
    let mut runner = FakeRunner::default();
    let mut err = Vec::new();
    let args = std::iter::once("mpathpersist")
        .chain(line.split(' '))
        .map(OsString::from);
    let status = run(
        args,
        &mut runner,
        Privilege::Root,
        &mut Broken(out),
        &mut err,
    );
    (status, String::from_utf8(err).unwrap(), runner.seen.len())
}

#[test]
fn nobody_reading_is_no_failure() {
    let (status, err, requests) = run_on(ErrorKind::BrokenPipe, "-ik dev");
    assert_eq!(
        (status, err.as_str(), requests),
        (ExitStatus::SUCCESS, "", 1)
    );
}

#[test]
fn output_that_is_lost_is_one() {
    let (status, err, _) = run_on(ErrorKind::StorageFull, "-ik dev");
    assert_eq!(status, ExitStatus::OTHER);
    assert_eq!(err, "cannot write to standard output: no storage space\n");
    let (status, _, _) = run_on(ErrorKind::StorageFull, "-o -C -K 1 dev");
    assert_eq!(status, ExitStatus::SUCCESS, "nothing was to be written");
}

#[test]
fn a_batch_goes_on_without_a_reader() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"-ik a\n-o -I -S 1 b\n-ik c\n").unwrap();
    let line = format!("-f {}", file.path().display());
    for kind in [ErrorKind::BrokenPipe, ErrorKind::StorageFull] {
        assert_eq!(run_on(kind, &line).2, 3);
    }
}

#[test]
fn stderr_that_is_gone_changes_nothing() {
    let mut runner = FakeRunner::default();
    let mut out = Vec::new();
    let args = ["mpathpersist", "-o", "-R", "-K", "1", "dev"].map(OsString::from);
    let mut err = Broken(ErrorKind::BrokenPipe);
    let status = run(args, &mut runner, Privilege::Root, &mut out, &mut err);
    assert_eq!((status, runner.seen.len()), (ExitStatus::SUCCESS, 1));
}
