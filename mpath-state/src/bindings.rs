//! The bindings file, `/etc/multipath/bindings`: which alias was given to which map. It is shared
//! with multipath-tools; how it is changed is told in `appended.rs`.

use std::io;
use std::path::{Path, PathBuf};

use crate::appended::{Edit, edit};
use crate::words::{quote, split};

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

    /// Adds one that was put on file meanwhile.
    pub fn add(&mut self, alias: &str, wwid: &str) {
        self.bindings.push(Binding {
            alias: alias.to_owned(),
            wwid: wwid.to_owned(),
        });
    }

    /// All of them, in file order.
    pub fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter()
    }
}

/// The file, to be changed; it need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingsFile {
    path: PathBuf,
}

impl BindingsFile {
    /// The file at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The alias of `wwid`: the one on file, or `wanted` (a map has it already) if it is free, or
    /// else the first free one of `PREFIXa`, `PREFIXb`, … `PREFIXaa`, …, which is put on file.
    /// `is_taken` says which names are in use without being on file.
    ///
    /// # Errors
    /// The file cannot be read, locked or written, or no name is left.
    pub fn allocate(
        &self,
        wwid: &str,
        prefix: &str,
        wanted: Option<&str>,
        is_taken: impl Fn(&str) -> bool,
    ) -> io::Result<String> {
        if wwid.is_empty() || wwid.contains(|c: char| c.is_control()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        edit(&self.path, HEADER, |text| {
            let bindings = Bindings::parse(text);
            if let Some(alias) = bindings.alias(wwid) {
                return Ok((Edit::Keep, alias.to_owned()));
            }
            let is_free = |alias: &String| bindings.wwid(alias).is_none() && !is_taken(alias);
            let on_file = |alias: &&str| bindings.wwid(alias).is_none() && is_plain(alias);
            let wanted = wanted.filter(on_file).map(str::to_owned);
            let free = || (1..=MAX_ALIASES).map(|id| alias(prefix, id)).find(is_free);
            let alias = wanted.or_else(free).ok_or(io::ErrorKind::StorageFull)?;
            let line = format!("{} {}", quote(&alias), quote(wwid));
            Ok((Edit::Add(line), alias))
        })
    }
}

/// The name with number `id`, from 1: `a` to `z`, `aa` to `zz`, …
fn alias(prefix: &str, mut id: u32) -> String {
    let mut letters = Vec::new();
    while id > 0 {
        id -= 1;
        letters.push(char::from(b'a' + u8::try_from(id % 26).unwrap_or_default()));
        id /= 26;
    }
    let letters: String = letters.iter().rev().collect();
    format!("{prefix}{letters}")
}

/// multipath-tools reads a name up to the first blank.
fn is_plain(alias: &str) -> bool {
    !alias.is_empty() && !alias.starts_with('#') && !alias.contains(char::is_whitespace)
}

/// For a person who opens it; nobody reads it.
const HEADER: &str = "# alias WWID, one map a line; kept by the multipath daemon\n";

/// More LUNs than a host can have disks.
const MAX_ALIASES: u32 = 1 << 20;

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

    #[test]
    fn names_are_counted_in_letters() {
        for (id, expected) in [
            (1, "mpatha"),
            (26, "mpathz"),
            (27, "mpathaa"),
            (52, "mpathaz"),
            (53, "mpathba"),
            (702, "mpathzz"),
            (703, "mpathaaa"),
        ] {
            assert_eq!(alias("mpath", id), expected);
        }
    }

    /// Calls of `allocate` for WWIDs and wanted names, and the file they leave.
    fn allocated(before: &str, asked: &[(&str, Option<&str>)]) -> (Vec<String>, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("multipath/bindings");
        if !before.is_empty() {
            std::fs::create_dir(dir.path().join("multipath")).unwrap();
            std::fs::write(&path, before).unwrap();
        }
        let file = BindingsFile::new(&path);
        let allocate = |(wwid, wanted): &(&str, Option<&str>)| {
            file.allocate(wwid, "mpath", *wanted, |alias| alias == "mpathb")
                .unwrap()
        };
        let aliases = asked.iter().map(allocate).collect();
        (aliases, std::fs::read_to_string(path).unwrap())
    }

    #[test]
    fn free_names_are_given_out_and_kept() {
        let asked = [
            ("w1", None),
            ("w2", None),
            ("w1", None),
            ("w3", Some("mine")),
        ];
        let (aliases, text) = allocated("", &asked);
        assert_eq!(aliases, ["mpatha", "mpathc", "mpatha", "mine"]);
        assert_eq!(text, format!("{HEADER}mpatha w1\nmpathc w2\nmine w3\n"));
        let (aliases, text) = allocated("mpatha w9", &[("w1", Some("mpatha")), ("w9", None)]);
        assert_eq!(aliases, ["mpathc", "mpatha"]);
        assert_eq!(text, "mpatha w9\nmpathc w1\n", "the last line had no end");
    }

    #[test]
    fn a_line_that_was_cut_off_is_left_behind() {
        let whole = allocated("", &[("w1", None)]).1;
        let pending = whole.replace("mpatha w1", "#patha w1");
        for len in HEADER.len()..=pending.len() {
            let (aliases, text) = allocated(&pending[..len], &[("w2", None)]);
            assert_eq!(aliases, ["mpatha"], "{text}");
            assert_eq!(Bindings::parse(&text).iter().count(), 1, "{text}");
        }
    }

    #[test]
    fn threads_get_different_names() {
        let dir = tempfile::tempdir().unwrap();
        let file = &BindingsFile::new(dir.path().join("bindings"));
        let allocate = |id: u32| file.allocate(&format!("w{id}"), "mpath", None, |_| false);
        let mut aliases: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|id| scope.spawn(move || allocate(id))).collect();
            let joined = threads.into_iter().map(|thread| thread.join().unwrap());
            joined.map(Result::unwrap).collect()
        });
        aliases.sort();
        let expected: Vec<_> = (1..=8).map(|id| alias("mpath", id)).collect();
        assert_eq!(aliases, expected);
    }

    #[test]
    fn a_wwid_that_would_make_two_lines_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = BindingsFile::new(dir.path().join("bindings"));
        assert!(file.allocate("a\nb", "mpath", None, |_| false).is_err());
        assert!(file.allocate("", "mpath", None, |_| false).is_err());
    }
}
