//! The lines of the prkeys file, and which bytes to write to change one map's key.
//! Pure: content in, steps out. The parent module's head says why it is done this way.

use crate::StoredKey;
use crate::stored_key::parse_hex;

/// One step of a change. Every prefix of a list of steps, also one that ends inside a
/// write, leaves a file that says the old or the new key and nothing else changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Put `bytes` at `offset`.
    Write { offset: u64, bytes: Vec<u8> },
    /// Wait until what was written so far is on the disk, before what follows may be.
    Sync,
}

/// The line that must be the map's entry is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// From 1.
    pub(crate) line: usize,
}

/// The key that stands for `wwid`.
pub(crate) fn lookup(content: &[u8], wwid: &str) -> Result<Option<StoredKey>, Malformed> {
    Entries::of(content, wwid)?.stored()
}

/// The steps that make `wanted` the key of `wwid`; none if it already is.
pub(crate) fn plan(
    content: &[u8],
    wwid: &str,
    wanted: Option<StoredKey>,
) -> Result<Vec<Step>, Malformed> {
    let entries = Entries::of(content, wwid)?;
    let mut plan = Plan {
        content,
        wwid,
        steps: Vec::new(),
    };
    match (entries.stored()?, wanted) {
        (stored, wanted) if stored == wanted => {}
        (_, None) => plan.remove(entries.current()),
        (None, Some(key)) => match entries.current() {
            Some(removed) => plan.revive(removed, key),
            None => drop(plan.append(key)),
        },
        (Some(_), Some(key)) => plan.replace(&entries, key),
    }
    Ok(plan.steps)
}

/// Where a map's lines are.
struct Entries<'a> {
    content: &'a [u8],
    /// Line starts with a blank before the WWID, in file order: the first one counts.
    live: Vec<Entry>,
    /// Line starts with [`RETIRED`] there: free to be used again.
    retired: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    offset: usize,
    line: usize,
}

impl<'a> Entries<'a> {
    fn of(content: &'a [u8], wwid: &str) -> Result<Self, Malformed> {
        let mut entries = Self {
            content,
            live: Vec::new(),
            retired: Vec::new(),
        };
        let mut offset = 0;
        for (index, line) in content.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let entry = Entry {
                offset,
                line: index + 1,
            };
            offset += line.len();
            // Without its line feed a line is a torn write; multipath-tools sees none either.
            let Some(before) = line
                .strip_suffix(b"\n")
                .and_then(|line| line.strip_suffix(wwid.as_bytes()))
            else {
                continue;
            };
            match before.split_last() {
                Some((b' ', key)) if key.len() == KEY_LEN => entries.live.push(entry),
                Some((&RETIRED, key)) if key.len() == KEY_LEN => entries.retired.push(entry),
                // multipath-tools gives up at such a line, unless it found one before.
                Some((b' ', _)) if entries.live.is_empty() => {
                    return Err(Malformed { line: entry.line });
                }
                _ => {}
            }
        }
        Ok(entries)
    }

    fn current(&self) -> Option<Entry> {
        self.live.first().copied()
    }

    fn stored(&self) -> Result<Option<StoredKey>, Malformed> {
        let Some(entry) = self.current() else {
            return Ok(None);
        };
        let malformed = Malformed { line: entry.line };
        let field = self.key_field(entry).ok_or(malformed)?;
        let (aptpl, digits) = match field.split_at_checked(2).ok_or(malformed)? {
            (b"0x", digits) => (false, digits),
            (b"0X", digits) => (true, digits),
            (removed, _) if removed.first() == Some(&REMOVED) => return Ok(None),
            _ => return Err(malformed),
        };
        let digits = str::from_utf8(digits).map_err(|_| malformed)?;
        let key = parse_hex(digits).ok_or(malformed)?;
        Ok(Some(StoredKey { key, aptpl }))
    }

    fn key_field(&self, entry: Entry) -> Option<&'a [u8]> {
        self.content.get(entry.offset..entry.offset + KEY_LEN)
    }

    /// A line that can take a new key without anybody reading it, and that will be the first
    /// one when it is put in force: a retired one before the current one; else the one that
    /// the current one hides; else, if it hides none, a retired one behind it.
    fn spare(&self, current: Entry) -> Option<Entry> {
        let first = self.retired.first().copied();
        first
            .filter(|retired| retired.offset < current.offset)
            .or_else(|| self.live.get(1).copied())
            .or(first)
    }
}

/// The steps so far.
struct Plan<'a> {
    content: &'a [u8],
    wwid: &'a str,
    steps: Vec<Step>,
}

impl Plan<'_> {
    fn write(&mut self, offset: usize, bytes: impl Into<Vec<u8>>) {
        self.steps.push(Step::Write {
            offset: offset as u64,
            bytes: bytes.into(),
        });
    }

    fn sync(&mut self) {
        self.steps.push(Step::Sync);
    }

    /// Writes that take effect as one byte, on the disk before anything else.
    fn commit(&mut self, offset: usize, byte: u8) {
        self.write(offset, [byte]);
        self.sync();
    }

    fn remove(&mut self, entry: Option<Entry>) {
        if let Some(entry) = entry {
            self.commit(entry.offset, REMOVED);
        }
    }

    /// The entry is there but removed: nobody reads its key until its first byte says so.
    fn revive(&mut self, entry: Entry, key: StoredKey) {
        self.write_hidden_key(entry, key);
        self.sync();
        self.commit(entry.offset, PRESENT);
    }

    fn replace(&mut self, entries: &Entries<'_>, key: StoredKey) {
        let Some(current) = entries.current() else {
            return;
        };
        let Some(spare) = entries.spare(current) else {
            let spare = self.append(key);
            return self.hand_over(current, spare);
        };
        self.write_hidden_key(spare, key);
        self.write(spare.offset, [PRESENT]);
        if spare.offset > current.offset {
            self.write(spare.offset + KEY_LEN, *b" ");
            self.sync();
            return self.hand_over(current, spare.offset);
        }
        self.sync();
        self.commit(spare.offset + KEY_LEN, b' ');
        self.retire(current);
    }

    /// `spare`, behind `current`, is complete and hidden by it: the blank of `current`
    /// makes it the map's entry.
    fn hand_over(&mut self, current: Entry, spare: usize) {
        debug_assert!(spare > current.offset, "the first line counts");
        self.commit(current.offset + KEY_LEN, RETIRED);
        self.write(current.offset, [REMOVED]);
    }

    /// For the eye: what is not in force looks like a comment.
    fn retire(&mut self, entry: Entry) {
        self.write(entry.offset + KEY_LEN, [RETIRED]);
        self.write(entry.offset, [REMOVED]);
    }

    /// All of the key but the first byte.
    fn write_hidden_key(&mut self, entry: Entry, key: StoredKey) {
        let field = key_field(key);
        self.write(entry.offset + 1, field.into_bytes().split_off(1));
    }

    /// Adds a line at the end and gives its offset. First only line feeds, so that a file
    /// that is cut here ends in one: multipath-tools appends without looking. Then a removed
    /// entry over them, then its first byte.
    fn append(&mut self, key: StoredKey) -> usize {
        let line = format!("{} {}", key_field(key), self.wwid);
        let head: &[u8] = match self.content.last() {
            None => HEADER.as_bytes(),
            Some(b'\n') => b"",
            // A torn write of somebody else: end it such that it stays without effect.
            Some(_) => &[RETIRED, b'\n'],
        };
        let end = self.content.len();
        let start = end + head.len();
        if self.content.is_empty() {
            self.write(end, vec![b'\n'; head.len() + line.len() + 1]);
            self.write(end, head);
        } else {
            self.write(end, head);
            self.write(start, vec![b'\n'; line.len() + 1]);
        }
        self.write(start, [REMOVED]);
        self.write(start + 1, line.into_bytes().split_off(1));
        self.sync();
        self.commit(start, PRESENT);
        start
    }
}

/// `0x` or `0X` and 16 digits.
fn key_field(key: StoredKey) -> String {
    let mark = if key.aptpl { 'X' } else { 'x' };
    format!("0{mark}{:016x}", key.key.0)
}

/// Length of a line before the blank and the WWID.
const KEY_LEN: usize = 18;
/// First byte of an entry that counts.
const PRESENT: u8 = b'0';
/// First byte of a removed entry.
const REMOVED: u8 = b'#';
/// In place of the blank: this line is not an entry of the WWID behind it.
const RETIRED: u8 = b'#';
/// Of a new file.
const HEADER: &str = "\
# Persistent reservation keys of multipath maps, one line each:
# 0x (with APTPL: 0X), 16 hexadecimal digits, a blank, the WWID. '#' in front: removed.
# Kept by multipathd and mpathpersist, which lock this file while they change it.
";

#[cfg(test)]
mod tests;
