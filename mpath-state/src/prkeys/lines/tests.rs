//! The crash property: a change is cut off after every byte that it writes, and what is left
//! is read by this program and by a model of multipath-tools, and changed again by both.

use std::io;

use super::*;
use crate::prkeys::edit::{Store, apply};

const A: &str = "360014058d777f385d3dfec8810000000";
const B: &str = "36001405b8a9f715dbb64fd5c50000000";
/// Begins like [`A`]: what is half written of A's line must not count as this one's.
const A_SHORT: &str = "360014058d777";
const MAPS: [&str; 3] = [A, B, A_SHORT];

/// A disk of which `budget` more bytes can be written.
struct Disk {
    content: Vec<u8>,
    budget: usize,
    /// What happens then: the power goes (nothing is done any more), or it is full.
    loses_power: bool,
}

impl Store for Disk {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        assert!(offset <= self.content.len(), "a hole would read as NUL");
        let part = &bytes[..bytes.len().min(self.budget)];
        self.budget -= part.len();
        let end = offset + part.len();
        self.content.resize(self.content.len().max(end), 0);
        self.content[offset..end].copy_from_slice(part);
        if part.len() < bytes.len() {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        if !self.loses_power {
            self.content.truncate(usize::try_from(len).unwrap());
        }
        Ok(())
    }
}

fn key(value: u64) -> StoredKey {
    StoredKey::new(scsi_pr::ReservationKey(value))
}

/// The content after a change of which only `budget` bytes were written.
fn change(content: &[u8], wwid: &str, wanted: Option<StoredKey>, budget: usize) -> Vec<u8> {
    let steps = plan(content, wwid, wanted).unwrap();
    let mut disk = Disk {
        content: content.to_vec(),
        budget,
        loses_power: true,
    };
    let _ = apply(&mut disk, content.len() as u64, &steps);
    disk.content
}

fn bytes_written(content: &[u8], wwid: &str, wanted: Option<StoredKey>) -> usize {
    let steps = plan(content, wwid, wanted).unwrap();
    let len = |step: &Step| {
        if let Step::Write { bytes, .. } = step {
            bytes.len()
        } else {
            0
        }
    };
    steps.iter().map(len).sum()
}

/// What multipath-tools does with the file, told from its behaviour: it reads 4096 bytes
/// at a time from the last line feed on and takes the first line whose end is a blank, the
/// WWID and a line feed; 18 characters must stand before.
mod multipath_tools {
    use super::*;

    #[derive(Debug, PartialEq)]
    pub(super) enum Found {
        Nothing,
        Malformed,
        Line { offset: usize },
    }

    pub(super) fn find(content: &[u8], wwid: &str) -> Found {
        let wanted = format!(" {wwid}\n");
        let mut start = 0;
        loop {
            let chunk = &content[start..content.len().min(start + 4096)];
            assert!(!chunk.contains(&0), "a NUL hides what follows");
            let text = str::from_utf8(chunk).unwrap();
            if let Some(blank) = text.find(&wanted) {
                let line = text[..blank].rfind('\n').map_or(0, |at| at + 1);
                return match blank - line {
                    18 => Found::Line {
                        offset: start + line,
                    },
                    _ => Found::Malformed,
                };
            }
            match text.rfind('\n') {
                Some(at) => start += at + 1,
                None => return Found::Nothing,
            }
        }
    }

    pub(super) fn lookup(content: &[u8], wwid: &str) -> Result<Option<StoredKey>, ()> {
        match find(content, wwid) {
            Found::Nothing => Ok(None),
            Found::Malformed => Err(()),
            Found::Line { offset } if content[offset] == b'#' => Ok(None),
            Found::Line { offset } => {
                let field = str::from_utf8(&content[offset..offset + 18]).unwrap();
                let digits = field
                    .strip_prefix("0x")
                    .or(field.strip_prefix("0X"))
                    .ok_or(())?;
                let value = u64::from_str_radix(digits, 16).map_err(drop)?;
                Ok(Some(StoredKey {
                    aptpl: field.contains('X'),
                    ..key(value)
                }))
            }
        }
    }

    pub(super) fn change(content: &mut Vec<u8>, wwid: &str, wanted: Option<StoredKey>) {
        match (find(content, wwid), wanted) {
            (Found::Malformed, _) => panic!("malformed"),
            (Found::Nothing, None) => {}
            (Found::Line { offset }, None) => content[offset] = b'#',
            (Found::Line { offset }, Some(key)) => {
                content[offset..offset + 18].copy_from_slice(key_field(key).as_bytes());
            }
            (Found::Nothing, Some(key)) => {
                content.extend_from_slice(format!("{} {wwid}\n", key_field(key)).as_bytes());
            }
        }
    }
}

/// Both programs read the same; that.
fn stored(content: &[u8], wwid: &str) -> Option<StoredKey> {
    let ours = lookup(content, wwid).map_err(drop);
    let shown = String::from_utf8_lossy(content);
    assert_eq!(
        ours,
        multipath_tools::lookup(content, wwid),
        "both read the same of\n{shown}"
    );
    ours.unwrap_or_else(|()| panic!("cannot be read:\n{shown}"))
}

/// Cuts the change after every byte and looks at what is left.
fn check_crashes(content: &[u8], wwid: &str, wanted: Option<StoredKey>) {
    let before = MAPS.map(|map| stored(content, map));
    let total = bytes_written(content, wwid, wanted);
    for budget in 0..=total {
        let cut = change(content, wwid, wanted, budget);
        let shown = String::from_utf8_lossy(&cut);
        for (map, before) in MAPS.into_iter().zip(before) {
            let now = stored(&cut, map);
            let allowed = now == before || (map == wwid && now == wanted);
            assert!(
                allowed,
                "{map} has {now:?} after {budget} of {total} bytes:\n{shown}"
            );
        }
        check_other_lines_are_kept(content, &cut, wwid);
        check_life_goes_on(&cut, wwid);
        let ended = |bytes: &[u8]| matches!(bytes.last(), None | Some(b'\n'));
        assert!(
            ended(&cut) || !ended(content),
            "the next writer appends to a torn line"
        );
    }
    let done = change(content, wwid, wanted, total);
    assert_eq!(stored(&done, wwid), wanted, "the whole change");
    assert_eq!(
        plan(&done, wwid, wanted),
        Ok(Vec::new()),
        "nothing is left to do"
    );
}

fn check_other_lines_are_kept(before: &[u8], after: &[u8], wwid: &str) {
    let mut lines = after.split(|byte| *byte == b'\n');
    let others = before
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| {
            line.ends_with(b"\n") && !String::from_utf8_lossy(line).trim_end().ends_with(wwid)
        });
    for other in others {
        let text = String::from_utf8_lossy(other);
        assert!(
            lines.any(|line| line == &other[..other.len() - 1]),
            "lost: {text:?}"
        );
    }
}

/// After the crash either program can set and remove any map's key.
fn check_life_goes_on(cut: &[u8], wwid: &str) {
    for map in [wwid, B] {
        for wanted in [Some(key(0x5555_5555_5555_5555)), None] {
            let ours = change(cut, map, wanted, usize::MAX);
            assert_eq!(stored(&ours, map), wanted);
            if !cut.is_empty() && !cut.ends_with(b"\n") {
                continue; // multipath-tools itself cannot go on behind its own torn line
            }
            let mut theirs = cut.to_vec();
            multipath_tools::change(&mut theirs, map, wanted);
            assert_eq!(stored(&theirs, map), wanted);
        }
    }
}

fn file(lines: &[&str]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| [line, "\n"].concat().into_bytes())
        .collect()
}

#[test]
fn every_kind_of_change_survives_a_crash_at_every_byte() {
    let old = format!("0x0000000000123abc {A}");
    let other = format!("0X00000000000000bb {B}");
    let short = format!("0x0000000000000077 {A_SHORT}");
    let removed = format!("#x0000000000123abc {A}");
    let retired = format!("#x0000000000000001#{A}");
    let shadow = format!("0x0000000000000002 {A}");
    let contents = [
        Vec::new(),
        file(&["# head"]),
        file(&["# head", &other]),
        file(&["# head", &other, &short]),
        file(&["# head", &old, &other, &short]),
        file(&[&old]),
        file(&["# head", &removed, &other]),
        file(&[&other, &old, &retired]),
        file(&[&retired, &other, &old, "what is this?"]),
        file(&[&old, &shadow, &other]),
        file(&[&old, &removed, &other]),
        file(&[&retired, &old, &shadow, &retired]),
        file(&["", "", &other, ""]),
        [file(&["# head", &other]), b"0x00000000000".to_vec()].concat(),
        [file(&["# head", &old, &other]), short.clone().into_bytes()].concat(),
        [file(&["# head", &other]), old.clone().into_bytes()].concat(),
        b"# he".to_vec(),
    ];
    let aptpl = StoredKey {
        aptpl: true,
        ..key(0x123abc)
    };
    for content in &contents {
        for wanted in [
            None,
            Some(key(0x123abc)),
            Some(key(u64::MAX)),
            Some(key(1)),
            Some(aptpl),
        ] {
            check_crashes(content, A, wanted);
        }
    }
}

#[test]
fn a_file_longer_than_one_read_of_multipath_tools_is_handled() {
    let many = (0..300).flat_map(|n| format!("0x{n:016x} 3600{n:029}\n", n = n + 1).into_bytes());
    let content: Vec<u8> = many
        .chain(format!("0x0000000000000001 {A}\n").into_bytes())
        .collect();
    check_crashes(&content, A, Some(key(2)));
    check_crashes(&content, B, Some(key(2)));
}

#[test]
fn a_map_never_has_more_than_two_lines() {
    let mut content = file(&["# head", &format!("0x0000000000000077 {B}")]);
    for round in 1..50 {
        content = change(&content, A, Some(key(round)), usize::MAX);
        assert_eq!(stored(&content, A), Some(key(round)));
        if round % 7 == 0 {
            content = change(&content, A, None, usize::MAX);
            assert_eq!(stored(&content, A), None);
        }
    }
    let text = String::from_utf8(content).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
    assert_eq!(
        text.lines().filter(|line| line.ends_with(A)).count(),
        2,
        "{text}"
    );
}

/// Both programs change keys in turn, some changes are cut off: a model that only knows
/// what was set last must agree throughout.
#[test]
fn random_histories_of_both_programs_agree_with_a_model() {
    for seed in 1..200 {
        let mut state: u64 = seed;
        let mut random = move |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        let mut content = Vec::new();
        let mut model = MAPS.map(|_| None);
        for _ in 0..60 {
            let index = usize::try_from(random(3)).unwrap();
            let map = MAPS[index];
            let wanted = (random(4) > 0).then(|| StoredKey {
                aptpl: random(2) == 0,
                ..key(1 + random(u64::from(u32::MAX)))
            });
            if random(3) == 0 && !content.is_empty() {
                multipath_tools::change(&mut content, map, wanted);
                model[index] = wanted;
            } else {
                let total = bytes_written(&content, map, wanted) as u64;
                let budget = if random(2) == 0 {
                    total
                } else {
                    random(total + 1)
                };
                content = change(&content, map, wanted, usize::try_from(budget).unwrap());
                let now = stored(&content, map);
                assert!(now == wanted || now == model[index], "seed {seed}");
                assert!(budget < total || now == wanted, "seed {seed}");
                model[index] = now;
            }
            assert_eq!(MAPS.map(|map| stored(&content, map)), model, "seed {seed}");
        }
    }
}

#[test]
fn a_full_disk_leaves_the_file_as_it_was() {
    let content = file(&["# head", &format!("0x0000000000000001 {A}")]);
    for map in [A, B] {
        let steps = plan(&content, map, Some(key(2))).unwrap();
        for budget in 0..=18 + map.len() {
            let mut disk = Disk {
                content: content.clone(),
                budget,
                loses_power: false,
            };
            let error = apply(&mut disk, content.len() as u64, &steps).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert_eq!(disk.content, content, "{map} after {budget} bytes");
        }
    }
}

#[test]
fn lines_that_are_no_entries_are_told_apart() {
    let check = |line: &str, expected: Result<Option<StoredKey>, Malformed>| {
        assert_eq!(lookup(&file(&["# head", line]), A), expected, "{line:?}");
    };
    let malformed = Err(Malformed { line: 2 });
    check(&format!("0x0000000000123abc {A}"), Ok(Some(key(0x123abc))));
    check(&format!("0x0000000000123ABC {A}"), Ok(Some(key(0x123abc))));
    check(&format!("#x0000000000123abc {A}"), Ok(None));
    check(&format!("#x0000000000123abc#{A}"), Ok(None));
    check(&format!("0x0000000000123abc {A} "), Ok(None));
    check(&format!("0x0000000000123abc {A}0"), Ok(None));
    check(&format!("0x0000000000123abc\t{A}"), Ok(None));
    check(&format!("0x0000000000123abc 0{A}"), Ok(None));
    check(&format!("0x123abc {A}"), malformed);
    check(&format!("# key of {A}"), malformed);
    check(&format!("0x0000000000123abg {A}"), malformed);
    check(&format!("1x0000000000123abc {A}"), malformed);
    check(&format!("0x0000000000000000 {A}"), malformed);
    check(&format!("0x+000000000123abc {A}"), malformed);
    assert_eq!(
        plan(&file(&[&format!("0x1 {A}")]), A, None),
        Err(Malformed { line: 1 })
    );
}

#[test]
fn no_byte_flip_panics() {
    let content = file(&[
        "# head",
        &format!("0x0000000000000001 {A}"),
        &format!("#X12 {B}"),
    ]);
    for position in 0..content.len() {
        for bit in 0..8 {
            let mut flipped = content.clone();
            flipped[position] ^= 1 << bit;
            for map in MAPS {
                let _ = lookup(&flipped, map);
                let _ = plan(&flipped, map, Some(key(3)));
            }
        }
    }
}
