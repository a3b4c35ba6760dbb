//! The bindings file, `/etc/multipath/bindings`: which alias multipath-tools gave to which
//! map. Read only; multipath-tools replaces it as a whole.

use std::io;
use std::path::Path;

use crate::words::split;

/// The aliases on file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bindings {
    bindings: Vec<Binding>,
}

/// One line: an alias and the map it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The map's name.
    pub alias: String,
    /// The map's WWID.
    pub wwid: String,
}

impl Bindings {
    /// Where multipath-tools has it.
    pub const DEFAULT_PATH: &str = "/etc/multipath/bindings";

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

    /// Reads lines of alias and WWID. Lines of another form are skipped; of two lines with
    /// the same alias or the same WWID the first counts.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            let words = split(line).unwrap_or_default();
            let [alias, wwid, ..] = words.as_slice() else {
                continue;
            };
            let (alias, wwid) = (alias.text.clone(), wwid.text.clone());
            if found.wwid(&alias).is_none() && found.alias(&wwid).is_none() {
                found.bindings.push(Binding { alias, wwid });
            }
        }
        found
    }

    /// The WWID that `alias` is for.
    #[must_use]
    pub fn wwid(&self, alias: &str) -> Option<&str> {
        let binding = self
            .bindings
            .iter()
            .find(|binding| binding.alias == alias)?;
        Some(&binding.wwid)
    }

    /// The alias that `wwid` has.
    #[must_use]
    pub fn alias(&self, wwid: &str) -> Option<&str> {
        let binding = self.bindings.iter().find(|binding| binding.wwid == wwid)?;
        Some(&binding.alias)
    }

    /// All of them, in file order.
    pub fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_multipath_tools_writes_is_read() {
        let bindings = Bindings::parse(include_str!("../tests/fixtures/bindings"));
        assert_eq!(bindings.iter().count(), 3);
        let wwid = bindings.wwid("mpatha").unwrap();
        assert!(wwid.starts_with("36001405"), "{wwid}");
        assert_eq!(bindings.alias(wwid), Some("mpatha"));
        assert_eq!(bindings.wwid("mpathz"), None);
    }

    #[test]
    fn the_first_of_two_counts_and_odd_lines_are_skipped() {
        let bindings = Bindings::parse("a 1\n\nlonely\na 2\nb 1\n# c 3\nd 4 extra # why\n\"e");
        let shown: Vec<_> = bindings
            .iter()
            .map(|binding| format!("{}={}", binding.alias, binding.wwid))
            .collect();
        assert_eq!(shown, ["a=1", "d=4"]);
    }

    #[test]
    fn a_missing_file_is_empty_and_a_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            Bindings::read(&dir.path().join("none")).unwrap(),
            Bindings::default()
        );
        assert!(Bindings::read(dir.path()).is_err());
    }
}
