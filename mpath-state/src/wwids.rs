//! The wwids file, `/etc/multipath/wwids`: every WWID that multipath-tools ever made a map
//! of. Read only; multipath-tools appends to it and rewrites it.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

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
        let wwid = |line: &str| {
            let (wwid, _) = line.strip_prefix('/')?.split_once('/')?;
            (!wwid.is_empty()).then(|| wwid.to_owned())
        };
        Self {
            wwids: text.lines().filter_map(wwid).collect(),
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
}
