//! The prkeys file on a real file system: what multipath-tools wrote, locks, errors.

use std::fs;
use std::thread;
use std::time::Duration;

use scsi_pr::ReservationKey;

use super::*;

const SHORT: Duration = Duration::from_millis(20);

fn key(value: u64) -> StoredKey {
    StoredKey::new(ReservationKey(value))
}

/// What the file says of the three maps of the fixtures.
fn shown(fixture: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = PrKeysFile::new(dir.path().join("prkeys"));
    fs::write(file.path(), fixture).unwrap();
    MAPS.iter()
        .map(|wwid| {
            file.lookup(wwid)
                .unwrap()
                .map_or("none".to_owned(), |key| key.to_string())
        })
        .collect()
}

const MAPS: [&str; 3] = [
    "360014058d777f385d3dfec8810000000",
    "36001405b8a9f715dbb64fd5c50000000",
    "3600140535d6d33467aae9a2e30000000",
];

#[test]
fn what_multipath_tools_wrote_is_read() {
    let none = ["none", "none", "none"];
    assert_eq!(shown(include_str!("../../tests/fixtures/prkeys")), none);
    assert_eq!(
        shown(include_str!("../../tests/fixtures/prkeys.three")),
        ["0x123abc", "0xdeadbeef00000001:aptpl", "0x77"]
    );
    assert_eq!(
        shown(include_str!("../../tests/fixtures/prkeys.removed")),
        ["0x123abc", "none", "0x77"]
    );
    assert_eq!(
        shown(include_str!("../../tests/fixtures/prkeys.changed")),
        ["0x99", "none", "0x77"]
    );
    assert_eq!(
        shown(include_str!("../../tests/fixtures/prkeys.again")),
        ["0x99", "0x55", "0x77"]
    );
}

#[test]
fn keys_are_set_changed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let file = PrKeysFile::new(dir.path().join("multipath/prkeys"));
    assert_eq!(file.lookup("w").unwrap(), None, "nothing is there");
    file.remove("w").unwrap();
    assert!(!file.path().exists(), "removing nothing makes nothing");
    for key in [
        key(1),
        key(2),
        StoredKey {
            aptpl: true,
            ..key(2)
        },
        key(1),
    ] {
        file.set("w", key).unwrap();
        file.set("other", super::tests::key(7)).unwrap();
        assert_eq!(file.lookup("w").unwrap(), Some(key));
    }
    file.remove("w").unwrap();
    file.remove("w").unwrap();
    assert_eq!(file.lookup("w").unwrap(), None);
    assert_eq!(file.lookup("other").unwrap(), Some(key(7)));
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(file.path()).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_file_stays_readable_for_people() {
    let dir = tempfile::tempdir().unwrap();
    let file = PrKeysFile::new(dir.path().join("prkeys"));
    file.set("3600a", key(0x123abc)).unwrap();
    file.set(
        "3600b",
        StoredKey {
            aptpl: true,
            ..key(7)
        },
    )
    .unwrap();
    file.set("3600a", key(0x99)).unwrap();
    file.remove("3600b").unwrap();
    insta::assert_snapshot!(fs::read_to_string(file.path()).unwrap(), @r"
    # Persistent reservation keys of multipath maps, one line each:
    # 0x (with APTPL: 0X), 16 hexadecimal digits, a blank, the WWID. '#' in front: removed.
    # Kept by multipathd and mpathpersist, which lock this file while they change it.
    #x0000000000123abc#3600a
    #X0000000000000007 3600b
    0x0000000000000099 3600a
    ");
}

/// Every thread keeps changing its own map; nobody's change gets lost.
#[test]
fn threads_do_not_lose_each_others_changes() {
    let dir = tempfile::tempdir().unwrap();
    let file = PrKeysFile::new(dir.path().join("prkeys"));
    thread::scope(|scope| {
        for id in 0..4 {
            let file = file.clone().with_lock_timeout(Duration::from_secs(60));
            scope.spawn(move || {
                let wwid = format!("3600{id}");
                for value in 1..=20 {
                    file.set(&wwid, key(value)).unwrap();
                    assert_eq!(file.lookup(&wwid).unwrap(), Some(key(value)));
                }
            });
        }
    });
    for id in 0..4 {
        assert_eq!(file.lookup(&format!("3600{id}")).unwrap(), Some(key(20)));
    }
}

#[test]
fn a_locked_file_is_not_waited_for_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let file = PrKeysFile::new(dir.path().join("prkeys")).with_lock_timeout(SHORT);
    file.set("w", key(1)).unwrap();
    let theirs = OpenOptions::new()
        .read(true)
        .write(true)
        .open(file.path())
        .unwrap();
    let theirs = lock_within(theirs, LockKind::RecordWrite, SHORT)
        .unwrap()
        .unwrap();
    for result in [
        file.set("w", key(2)),
        file.remove("w"),
        file.lookup("w").map(drop),
    ] {
        let error = result.unwrap_err();
        assert!(
            matches!(error, PrKeysError::Locked { waited: SHORT, .. }),
            "{error}"
        );
    }
    drop(theirs);
    assert_eq!(
        file.lookup("w").unwrap(),
        Some(key(1)),
        "what was waiting changed nothing"
    );
}

#[test]
fn whoever_waits_gets_the_lock_when_it_is_released() {
    let dir = tempfile::tempdir().unwrap();
    let file = PrKeysFile::new(dir.path().join("prkeys"));
    file.set("w", key(1)).unwrap();
    let theirs = OpenOptions::new()
        .read(true)
        .write(true)
        .open(file.path())
        .unwrap();
    let theirs = lock_within(theirs, LockKind::RecordWrite, SHORT)
        .unwrap()
        .unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| file.set("w", key(2)));
        drop(theirs);
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(file.lookup("w").unwrap(), Some(key(2)));
}

/// An editor writes a new file and renames it over the old one while a change waits for the
/// lock of the old one: the change must be made in the new file.
#[test]
fn a_file_that_was_replaced_meanwhile_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = PrKeysFile::new(dir.path().join("prkeys"));
    file.set("w", key(1)).unwrap();
    let old = file.open_locked_for_writing().unwrap();
    let fresh = dir.path().join("fresh");
    fs::copy(file.path(), &fresh).unwrap();
    fs::rename(&fresh, file.path()).unwrap();
    assert!(!file.is_current(&old));
    drop(old);
    file.set("w", key(2)).unwrap();
    assert_eq!(file.lookup("w").unwrap(), Some(key(2)));
}

#[test]
fn errors_name_the_file_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| PrKeysFile::new(dir.path().join(name));
    fs::write(dir.path().join("file"), "# head\n0x12 w\n").unwrap();
    let errors = [
        at("missing/missing/prkeys").set("w", key(1)).unwrap_err(),
        at("file/prkeys").set("w", key(1)).unwrap_err(),
        at("").lookup("w").unwrap_err(),
        at("file").lookup("w").unwrap_err(),
        at("file").set("w", key(1)).unwrap_err(),
        at("prkeys").set("w", key(0)).unwrap_err(),
        at("prkeys").set("a\nb", key(1)).unwrap_err(),
        at("prkeys").lookup("").unwrap_err(),
        at("prkeys").io_error(Operation::Write, io::ErrorKind::StorageFull.into()),
        at("prkeys").io_error(Operation::Open, io::ErrorKind::ReadOnlyFilesystem.into()),
        at("prkeys").io_error(Operation::Open, io::ErrorKind::PermissionDenied.into()),
        PrKeysError::Locked {
            path: "p".into(),
            holder: Some(12),
            waited: SHORT,
        },
        PrKeysError::Locked {
            path: "p".into(),
            holder: None,
            waited: DEFAULT_LOCK_TIMEOUT,
        },
        PrKeysError::Replaced { path: "p".into() },
    ];
    let dir = dir.path().display().to_string();
    let messages: Vec<_> = errors
        .iter()
        .map(|error| error.to_string().replace(&dir, "DIR"))
        .collect();
    insta::assert_snapshot!(messages.join("\n"), @r#"
    cannot create the directory DIR/missing/missing: No such file or directory (os error 2); make it and try again
    cannot create the directory DIR/file: File exists (os error 17); make it and try again
    cannot read DIR/: Is a directory (os error 21)
    DIR/file:2: the entry of w is not '0x' or '0X', 16 hexadecimal digits, a blank and the WWID; correct or delete the line
    DIR/file:2: the entry of w is not '0x' or '0X', 16 hexadecimal digits, a blank and the WWID; correct or delete the line
    reservation key 0 cannot be stored for w; remove its entry instead
    "a\nb" cannot stand in the prkeys file: it is not a WWID
    "" cannot stand in the prkeys file: it is not a WWID
    cannot write DIR/prkeys: no storage space; nothing was changed, make room and try again
    cannot open DIR/prkeys: read-only filesystem or storage medium; make it writable, or give the key in multipath.conf: reservation_key 0x…
    cannot open DIR/prkeys: permission denied; only root may use it
    p has been locked by process 12 for more than 0.02 s; see who has it open (fuser -v p) and try again
    p has been locked for more than 5 s; see who has it open (fuser -v p) and try again
    p is being replaced again and again; see what writes it
    "#);
}

#[test]
fn an_endless_file_is_refused() {
    let error = PrKeysFile::new("/dev/zero").lookup("w").unwrap_err();
    assert!(
        matches!(
            error,
            PrKeysError::Io {
                operation: Operation::Read,
                ..
            }
        ),
        "{error}"
    );
}
