//! The wwids file, `/etc/multipath/wwids`: every WWID that was ever made a map of. It is shared
//! with multipath-tools; how it is changed is told in `appended.rs`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::appended::{Edit, edit};

/// The WWIDs on file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wwids {
    wwids: BTreeSet<String>,
}

impl Wwids {
    /// Where multipath-tools has it.
    pub const DEFAULT_PATH: &str = "/etc/multipath/wwids";

    /// Reads the file; a missing one is empty.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Self::parse(&String::from_utf8_lossy(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Reads lines of `/WWID/`; lines of another form are skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let wwids = text.lines().filter_map(wwid_of);
        Self {
            wwids: wwids.map(str::to_owned).collect(),
        }
    }

    /// Whether `wwid` is on file.
    #[must_use]
    pub fn contains(&self, wwid: &str) -> bool {
        self.wwids.contains(wwid)
    }

    /// All of them, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.wwids.iter().map(String::as_str)
    }
}

/// The file, to be changed; it need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WwidsFile {
    path: PathBuf,
}

impl WwidsFile {
    /// The file at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Puts `wwid` on file, if it is not there.
    ///
    /// # Errors
    /// The file cannot be read, locked or written, or the WWID cannot stand in it.
    pub fn add(&self, wwid: &str) -> io::Result<()> {
        if wwid.is_empty() || wwid.contains(|c: char| c == '/' || c.is_control()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        edit(&self.path, HEADER, |text| {
            let is_known = text.lines().any(|line| wwid_of(line) == Some(wwid));
            let edit = if is_known {
                Edit::Keep
            } else {
                Edit::Add(format!("/{wwid}/"))
            };
            Ok((edit, ()))
        })
    }

    /// Takes `wwid` off the file: its line becomes a comment.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn remove(&self, wwid: &str) -> io::Result<()> {
        edit(&self.path, HEADER, |text| {
            let mut at = 0;
            for line in text.split_inclusive('\n') {
                if wwid_of(line) == Some(wwid) {
                    return Ok((Edit::Retire(at), ()));
                }
                at += line.len() as u64;
            }
            Ok((Edit::Keep, ()))
        })
    }
}

fn wwid_of(line: &str) -> Option<&str> {
    let (wwid, _) = line.strip_prefix('/')?.split_once('/')?;
    (!wwid.is_empty()).then_some(wwid)
}

/// For a person who opens it; nobody reads it.
const HEADER: &str = "# WWIDs of all maps, one a line; kept by the multipath daemon\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_multipath_tools_writes_is_read() {
        let wwids = Wwids::parse(include_str!("../tests/fixtures/wwids"));
        assert_eq!(wwids.iter().count(), 3);
        let first = wwids.iter().next().unwrap();
        assert!(
            wwids.contains(first) && first.starts_with("36001405"),
            "{first}"
        );
        assert!(!wwids.contains("36001405"));
    }

    #[test]
    fn odd_lines_are_skipped() {
        let wwids = Wwids::parse("# /1/\n/2/\n\n/3\n//\n4/\n/5/ trailing\n");
        assert_eq!(wwids.iter().collect::<Vec<_>>(), ["2", "5"]);
    }

    #[test]
    fn a_missing_file_is_empty_and_a_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            Wwids::read(&dir.path().join("none")).unwrap(),
            Wwids::default()
        );
        assert!(Wwids::read(dir.path()).is_err());
    }

    #[test]
    fn wwids_are_added_once_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wwids");
        let file = WwidsFile::new(&path);
        let text = || std::fs::read_to_string(&path).unwrap();
        for wwid in ["36001", "36002", "36001"] {
            file.add(wwid).unwrap();
        }
        assert_eq!(text(), format!("{HEADER}/36001/\n/36002/\n"));
        file.remove("36001").unwrap();
        file.remove("36009").unwrap();
        assert_eq!(text(), format!("{HEADER}#36001/\n/36002/\n"));
        file.add("36001").unwrap();
        let wwids = Wwids::read(&path).unwrap();
        assert_eq!(wwids.iter().collect::<Vec<_>>(), ["36001", "36002"]);
    }

    #[test]
    fn the_distributions_file_keeps_its_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wwids");
        let before = include_str!("../tests/fixtures/wwids");
        std::fs::write(&path, before).unwrap();
        WwidsFile::new(&path).add("3600").unwrap();
        let after = std::fs::read_to_string(&path).unwrap();
        assert_eq!(after, format!("{before}/3600/\n"));
    }

    #[test]
    fn a_wwid_that_would_make_two_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = WwidsFile::new(dir.path().join("wwids"));
        for wwid in ["", "a/b", "a\nb"] {
            assert!(file.add(wwid).is_err(), "{wwid:?}");
        }
    }
}
