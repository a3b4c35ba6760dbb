//! Records, journals and locks on a real file system.

use std::fs;
use std::thread;

use insta::assert_snapshot;
use scsi_pr::ReservationKey;
use serde_json::json;

use super::*;
use crate::{PrStatus, StoredKey};

const WWID: &str = "3600140535d6d33467aae9a2e30000000";
const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

/// A record in which every field is set.
fn full_record() -> MapRecord {
    let mut record = MapRecord::new(WWID, "mpatha");
    record.key = Some(StoredKey {
        key: ReservationKey(0x123abc),
        aptpl: true,
    });
    record.all_tg_pt = true;
    record.registered = PrStatus::Set;
    record.holds = PrStatus::Unset;
    record.reservation_type = Some(5);
    record.nexuses = vec![Nexus {
        initiator_port: Some("sas,5a01000000000001".to_owned()),
        target_port: Some("sas,5001405000000001".to_owned()),
        relative_target_port: Some(1),
        hctl: "3:0:1:0".to_owned(),
        ..Nexus::default()
    }];
    record.traits.sequential_registrations = true;
    record
}

fn full_intent() -> Intent {
    let mut intent = Intent::new("preempt");
    intent.request = "-o -P -K 123abc -S 2 -T 5".to_owned();
    intent.step = "suspended".to_owned();
    intent.pid = 12;
    intent.started_s = 1_800_000_000;
    intent.old_key = Some(StoredKey::new(ReservationKey(0x123abc)));
    intent.restore_file_key = Some(None);
    intent.reservation_type = Some(5);
    intent.may_be_suspended = true;
    intent
}

#[test]
fn a_record_is_written_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let records = RecordDir::new(dir.path().join("mpath-pr"));
    let lock = records.lock(WWID, SHORT).unwrap();
    assert_eq!(lock.read().unwrap(), None);
    lock.write(&full_record()).unwrap();
    assert_eq!(lock.read().unwrap(), Some(full_record()));
    assert_eq!(records.peek(WWID).unwrap(), Some(full_record()));
    drop(lock);
    assert_eq!(
        records.lock(WWID, SHORT).unwrap().read().unwrap(),
        Some(full_record())
    );
}

#[test]
fn the_formats_are_these() {
    let dir = tempfile::tempdir().unwrap();
    let lock = RecordDir::new(dir.path()).lock(WWID, SHORT).unwrap();
    lock.write(&full_record()).unwrap();
    lock.journal().write(&full_intent()).unwrap();
    let read = |suffix: &str| fs::read_to_string(dir.path().join(format!("{WWID}{suffix}")));
    assert_snapshot!(read(".json").unwrap(), @r#"
    {
      "version": 1,
      "wwid": "3600140535d6d33467aae9a2e30000000",
      "name": "mpatha",
      "key": "0x123abc:aptpl",
      "all_tg_pt": true,
      "registered": "set",
      "holds": "unset",
      "reservation_type": 5,
      "nexuses": [
        {
          "initiator_port": "sas,5a01000000000001",
          "target_port": "sas,5001405000000001",
          "relative_target_port": 1,
          "hctl": "3:0:1:0"
        }
      ],
      "traits": {
        "sequential_registrations": true,
        "per_initiator_port": false
      }
    }
    "#);
    assert_snapshot!(read(".journal").unwrap(), @r#"
    {
      "version": 1,
      "operation": "preempt",
      "request": "-o -P -K 123abc -S 2 -T 5",
      "step": "suspended",
      "pid": 12,
      "started_s": 1800000000,
      "old_key": "0x123abc",
      "restore_file_key": null,
      "reservation_type": 5,
      "may_be_suspended": true
    }
    "#);
}

#[test]
fn a_short_record_of_an_early_program_is_understood() {
    let dir = tempfile::tempdir().unwrap();
    let lock = RecordDir::new(dir.path()).lock("w", SHORT).unwrap();
    fs::write(lock.record_path(), r#"{"version":1,"wwid":"w"}"#).unwrap();
    assert_eq!(lock.read().unwrap(), Some(MapRecord::new("w", "")));
    fs::write(
        lock.journal().path(),
        r#"{"version":1,"operation":"clear"}"#,
    )
    .unwrap();
    let intent = lock.journal().read().unwrap().unwrap();
    assert_eq!((intent.operation.as_str(), intent.pid), ("clear", 0));
    assert_eq!(intent.restore_file_key, None);
}

#[test]
fn fields_of_later_programs_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let lock = RecordDir::new(dir.path()).lock("w", SHORT).unwrap();
    let later = json!({"version": 1, "wwid": "w", "colour": "red",
        "nexuses": [{"hctl": "1:0:0:0", "weight": 3}], "traits": {"slow": true}});
    fs::write(lock.record_path(), later.to_string()).unwrap();
    lock.write(&lock.read().unwrap().unwrap()).unwrap();
    let bytes = fs::read(lock.record_path()).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(kept["colour"], "red");
    assert_eq!(kept["nexuses"][0]["weight"], 3);
    assert_eq!(kept["traits"]["slow"], true);
}

#[test]
fn a_journal_is_there_until_it_is_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let records = RecordDir::new(dir.path());
    let lock = records.lock(WWID, SHORT).unwrap();
    lock.journal().clear().unwrap();
    assert_eq!(lock.journal().read().unwrap(), None);
    for restore in [None, Some(None), Some(full_record().key)] {
        let intent = Intent {
            restore_file_key: restore,
            ..full_intent()
        };
        lock.journal().write(&intent).unwrap();
        assert_eq!(lock.journal().read().unwrap(), Some(intent));
    }
    drop(lock);
    let lock = records.lock(WWID, SHORT).unwrap();
    assert!(
        lock.journal().read().unwrap().is_some(),
        "it outlives the process"
    );
    lock.journal().clear().unwrap();
    assert_eq!(lock.journal().read().unwrap(), None);
}

/// The steps of a replacement are: the new file grows byte by byte, then one rename. After a
/// crash at any of them the old record stands, and the next write succeeds.
#[test]
fn a_crash_while_writing_leaves_the_old_record() {
    let dir = tempfile::tempdir().unwrap();
    let lock = RecordDir::new(dir.path()).lock(WWID, SHORT).unwrap();
    let old = MapRecord::new(WWID, "old");
    lock.write(&full_record()).unwrap();
    let new = fs::read(lock.record_path()).unwrap();
    let beside = dir.path().join(format!("{WWID}.json.new"));
    for len in 0..=new.len() {
        lock.write(&old).unwrap();
        fs::write(&beside, &new[..len]).unwrap();
        assert_eq!(lock.read().unwrap().as_ref(), Some(&old), "{len}");
    }
    lock.write(&full_record()).unwrap();
    assert_eq!(lock.read().unwrap(), Some(full_record()));
    assert!(!beside.exists());
}

/// Nothing that this program does leaves such files; a disk may.
#[test]
fn every_truncation_and_flip_is_refused_or_read_but_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let lock = RecordDir::new(dir.path()).lock(WWID, SHORT).unwrap();
    lock.write(&full_record()).unwrap();
    let whole = fs::read(lock.record_path()).unwrap();
    let end = whole.len() - "}\n".len();
    for len in 0..=end {
        fs::write(lock.record_path(), &whole[..len]).unwrap();
        assert!(
            matches!(lock.read(), Err(RecordError::Corrupt { .. })),
            "{len}"
        );
        assert_eq!(lock.read().unwrap(), None, "it was moved aside");
    }
    for position in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[position] ^= 1;
        fs::write(lock.record_path(), &flipped).unwrap();
        let _ = lock.read();
    }
}

#[test]
fn what_cannot_be_understood_is_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let lock = RecordDir::new(dir.path()).lock("w", SHORT).unwrap();
    let shown = |error: RecordError| {
        error
            .to_string()
            .replace(&dir.path().display().to_string(), "DIR")
    };
    let mut messages = Vec::new();
    let other = r#"{"version":1,"wwid":"v"}"#;
    let key = r#"{"version":1,"wwid":"w","key":"0"}"#;
    for content in ["", "{\"version\":1,", "[]", other, key] {
        fs::write(lock.record_path(), content).unwrap();
        messages.push(shown(lock.read().unwrap_err()));
        let aside = dir.path().join("w.json.corrupt");
        assert_eq!(fs::read_to_string(aside).unwrap(), content);
    }
    fs::write(lock.journal().path(), "{}").unwrap();
    messages.push(shown(lock.journal().read().unwrap_err()));
    fs::write(lock.record_path(), r#"{"version":2,"wwid":{}}"#).unwrap();
    messages.push(shown(lock.read().unwrap_err()));
    assert!(
        lock.record_path().exists(),
        "a later program's record stays"
    );
    messages.push(shown(lock.write(&full_record()).unwrap_err()));
    assert_snapshot!(messages.join("\n"), @r"
    DIR/w.json cannot be understood: EOF while parsing a value at line 1 column 0; what is registered on this map is not known until it is read from the device; the file is kept as DIR/w.json.corrupt
    DIR/w.json cannot be understood: EOF while parsing a value at line 1 column 13; what is registered on this map is not known until it is read from the device; the file is kept as DIR/w.json.corrupt
    DIR/w.json cannot be understood: invalid length 0, expected struct Version with 1 element at line 1 column 2; what is registered on this map is not known until it is read from the device; the file is kept as DIR/w.json.corrupt
    DIR/w.json cannot be understood: it is the record of v; what is registered on this map is not known until it is read from the device; the file is kept as DIR/w.json.corrupt
    DIR/w.json cannot be understood: '0' is not a reservation key: 1 to 16 hexadecimal digits, not all zero, optionally 0x before and :aptpl behind at line 1 column 34; what is registered on this map is not known until it is read from the device; the file is kept as DIR/w.json.corrupt
    DIR/w.journal cannot be understood: missing field `version` at line 1 column 2; what is registered on this map is not known until it is read from the device; the file is kept as DIR/w.journal.corrupt
    DIR/w.json has version 2, and this program knows 1 at most: use the program that wrote it
    the record of 3600140535d6d33467aae9a2e30000000 cannot be written while w is locked
    ");
}

#[test]
fn peeking_moves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let records = RecordDir::new(dir.path());
    assert_eq!(records.peek("w").unwrap(), None);
    fs::write(dir.path().join("w.json"), "x").unwrap();
    assert!(records.peek("w").is_err());
    assert!(dir.path().join("w.json").exists());
    assert!(records.peek("").is_err());
}

#[test]
fn files_that_cannot_be_written_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let lock = RecordDir::new(dir.path()).lock("w", SHORT).unwrap();
    fs::create_dir(dir.path().join("w.json.new")).unwrap();
    fs::create_dir(dir.path().join("w.journal")).unwrap();
    let missing = RecordDir::new(dir.path().join("a/b"));
    let shown = [
        lock.write(&MapRecord::new("w", ""))
            .unwrap_err()
            .to_string(),
        lock.journal().clear().unwrap_err().to_string(),
        missing.lock("w", SHORT).unwrap_err().to_string(),
        missing.lock("", SHORT).unwrap_err().to_string(),
    ];
    let shown = shown
        .join("\n")
        .replace(&dir.path().display().to_string(), "DIR");
    assert_snapshot!(shown, @r#"
    cannot write DIR/w.json.new: Is a directory (os error 21)
    cannot remove DIR/w.journal: Is a directory (os error 21)
    cannot lock DIR/a/b: No such file or directory (os error 2)
    "" is not the WWID of a map
    "#);
}

#[test]
fn one_map_is_locked_by_one_at_a_time_and_others_are_free() {
    let dir = tempfile::tempdir().unwrap();
    let records = RecordDir::new(dir.path());
    let lock = records.lock("a", SHORT).unwrap();
    let error = records.lock("a", SHORT).unwrap_err();
    let LockError::Held {
        wwid,
        holder,
        waited,
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!((wwid.as_str(), *waited), ("a", SHORT));
    assert_eq!(holder.as_ref().unwrap().pid, std::process::id());
    assert!(error.to_string().starts_with("a: process "), "{error}");
    drop(records.lock("b", SHORT).unwrap());
    drop(lock);
    drop(records.lock("a", LONG).unwrap());
}

#[test]
fn whoever_holds_it_is_told_as_far_as_known() {
    let held = |holder| {
        LockError::Held {
            wwid: "w".into(),
            holder,
            waited: SHORT,
        }
        .to_string()
    };
    let dead = Holder {
        pid: 12,
        command: None,
    };
    let alive = Holder {
        pid: 12,
        command: Some("mpathpersist".into()),
    };
    assert_snapshot!(
        [held(None), held(Some(dead)), held(Some(alive))].join("\n"),
        @r"
        w: another process has been working on this map for more than 0.02 s; wait for it or end it
        w: a child of process 12, which has ended, has been working on this map for more than 0.02 s; wait for it or end it
        w: process 12 (mpathpersist) has been working on this map for more than 0.02 s; wait for it or end it
        "
    );
}

/// A lock that was waited for in vain must not be taken later by the helper that waited.
#[test]
fn who_gave_up_waiting_does_not_get_the_lock_later() {
    let dir = tempfile::tempdir().unwrap();
    let records = RecordDir::new(dir.path());
    let lock = records.lock("a", SHORT).unwrap();
    for _ in 0..5 {
        assert!(records.lock("a", SHORT).is_err());
    }
    drop(lock);
    drop(records.lock("a", LONG).unwrap());
}

/// Sixteen threads count in the record under the lock; without it counts would get lost.
#[test]
fn changes_under_the_lock_do_not_get_lost() {
    let dir = tempfile::tempdir().unwrap();
    let records = RecordDir::new(dir.path());
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let lock = records.lock("w", LONG).unwrap();
                    let mut record = lock
                        .read()
                        .unwrap()
                        .unwrap_or_else(|| MapRecord::new("w", "0"));
                    let count: u32 = record.name.parse().unwrap();
                    record.name = (count + 1).to_string();
                    lock.write(&record).unwrap();
                }
            });
        }
    });
    assert_eq!(records.peek("w").unwrap().unwrap().name, "160");
}
