//! The pid file, which multipath-tools' multipathd locks as well: of both daemons together one
//! runs.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// Ours until it is dropped, or the process ends. The lock belongs to the process: a child that
/// outlives it (a command that the kernel does not give back) does not keep it.
#[derive(Debug)]
pub struct PidFile {
    _locked: File,
}

/// There can be no daemon here.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// There is one.
    #[error(
        "{name} is running already (process {pid}): stop it first: 'systemctl disable --now {}'",
        units(name)
    )]
    Running {
        /// Its process id; 0 if it cannot be told.
        pid: i32,
        /// What it is called.
        name: String,
    },
    /// The file cannot be written.
    #[error("cannot write the pid file: {0}")]
    Io(#[from] io::Error),
}

impl PidFile {
    /// Where multipath-tools has it.
    pub const DEFAULT_PATH: &str = "/run/multipathd.pid";

    /// Locks the file and writes this process's id into it.
    ///
    /// # Errors
    /// See [`PidFileError`].
    pub fn create(path: &Path) -> Result<Self, PidFileError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o644);
        let file = options.open(path)?;
        match fcntl(&file, FcntlArg::F_SETLK(&whole_file())) {
            Ok(_) => {}
            Err(Errno::EAGAIN | Errno::EACCES) => {
                return Err(running(holder(&file)));
            }
            Err(errno) => return Err(PidFileError::Io(errno.into())),
        }
        file.set_len(0)?;
        file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0)?;
        Ok(Self { _locked: file })
    }
}

fn running(pid: i32) -> PidFileError {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    let name = name.map(|name| name.trim_end().to_owned());
    PidFileError::Running {
        pid,
        name: name.unwrap_or_else(|_| "a multipath daemon".to_owned()),
    }
}

/// multipath-tools' daemon is started by its socket, too.
fn units(name: &str) -> &'static str {
    match name {
        "multipathd-lite" => "multipathd-lite.service",
        _ => "multipathd.service multipathd.socket",
    }
}

fn holder(file: &File) -> i32 {
    let mut wanted = whole_file();
    let asked = fcntl(file, FcntlArg::F_GETLK(&mut wanted));
    asked.map_or(0, |_| wanted.l_pid)
}

fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::c_short::try_from(libc::F_WRLCK).unwrap_or_default(),
        l_whence: libc::c_short::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_the_process_id() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        std::fs::write(&path, "123456789 and more\n").unwrap();
        let _locked = PidFile::create(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_file_that_cannot_be_made_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let created = PidFile::create(&dir.path().join("none/pid"));
        assert!(matches!(created, Err(PidFileError::Io(_))));
    }
}
