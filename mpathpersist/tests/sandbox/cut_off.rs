//! Commands that were killed: a change of key after its first path, that cannot be completed yet;
//! and some of which the device has seen nothing.

use std::path::PathBuf;

use mpath_state::StoredKey;
use mpath_state::prkeys::PrKeysFile;
use scsi_pr::ReservationKey;

use crate::san::San;

const WWID: &str = "360060e80000000000000000000000001";

/// From 0xa1 to 0xa4: sda has the new key, sdb the old one, and neither is in reach.
fn cut_off() -> (San, PathBuf) {
    let san = San::new("--paths 2");
    san.on("alice", "-o -G -S a1 mpatha").ok();
    san.on("bob", "-o -G -S b2 mpatha").ok();
    san.on("alice", "-o -R -K a1 -T 5 mpatha").ok();
    san.run("sandbox disk san/alice -o -G -K a1 -S a4 sda").ok();
    let key = StoredKey {
        key: ReservationKey(0xa4),
        aptpl: false,
    };
    let keys = PrKeysFile::new(san.at("san/alice/prkeys"));
    keys.set(WWID, key).unwrap();
    let journal = "{\"version\":1,\"operation\":\"REGISTER\",\"request\":\"REGISTER mpatha\",\
                   \"pid\":999999999,\"arguments\":{\"action\":\"register\",\"new_key\":164,\
                   \"aptpl\":false,\"all_tg_pt\":false},\"before\":{\"registrations\":2,\
                   \"generation\":2,\"key\":161}}";
    let path = san.at(&format!("san/alice/run/{WWID}.journal"));
    std::fs::write(&path, journal).unwrap();
    for device in ["sda", "sdb"] {
        san.run(&format!("sandbox offline san/alice {device}")).ok();
    }
    (san, path)
}

fn request_in(journal: &PathBuf) -> String {
    let text = std::fs::read_to_string(journal).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["arguments"]["action"].as_str().unwrap().to_owned()
}

/// Whatever is asked in between ends in its own entry, and that one is closed again.
#[test]
fn what_cannot_be_completed_yet_stays_in_the_journal() {
    let (san, journal) = cut_off();
    for asked in [
        "-o -L -K a4 -T 5 mpatha",
        "-o -G -K a4 -S a5 mpatha",
        "repair --yes mpatha",
    ] {
        let told = san.on("alice", asked).to_string();
        assert!(told.contains("no usable path"), "{asked}: {told}");
        assert_eq!(request_in(&journal), "register", "{asked}: {told}");
        let text = std::fs::read_to_string(&journal).unwrap();
        assert!(text.contains("164"), "{asked}: {text}");
    }
}

/// The path that returns has the old key, which the record still says is this node's: it is not
/// given back what is about to end.
#[test]
fn it_is_completed_before_a_path_is_put_to_use_again() {
    let (san, journal) = cut_off();
    let told = san.run("sandbox up san/alice sdb").ok();
    assert_eq!(told, "sdb: back in use, registered with 0xa4\n");
    assert!(!journal.exists());
    let told = san.run("sandbox up san/alice sda").ok();
    assert_eq!(told, "sda: back in use, registered with 0xa4\n");
    san.on("alice", "check mpatha").ok();
}

/// Alice is registered with 0xa1, and a REGISTER of hers was killed before it sent anything. It had
/// stored this key already, or removed the stored one.
fn killed_early(stored: Option<u64>, arguments: &str) -> San {
    let san = San::new("--paths 2");
    san.on("alice", "-o -G -S a1 mpatha").ok();
    let keys = PrKeysFile::new(san.at("san/alice/prkeys"));
    match stored.map(ReservationKey) {
        Some(key) => keys.set(WWID, StoredKey { key, aptpl: false }).unwrap(),
        None => keys.remove(WWID).unwrap(),
    }
    let journal = format!(
        "{{\"version\":1,\"operation\":\"REGISTER\",\"request\":\"REGISTER mpatha\",\
         \"pid\":999999999,\"restore_file_key\":\"0xa1\",\"arguments\":{{\
         \"action\":\"register\",{arguments},\"aptpl\":false,\"all_tg_pt\":false}}}}"
    );
    let path = san.at(&format!("san/alice/run/{WWID}.journal"));
    std::fs::write(path, journal).unwrap();
    san
}

/// One disk would have refused it, whenever it came.
#[test]
fn unregistering_with_a_wrong_key_is_not_completed_with_the_right_one() {
    let san = killed_early(None, "\"key\":2989,\"new_key\":0");
    san.on("alice", "-o -R -K a1 -T 5 mpatha").ok();
    san.on("alice", "check mpatha").ok();
    let keys = san.on("alice", "-i -k mpatha").ok();
    assert_eq!(keys.matches("0xa1").count(), 2, "{keys}");
}

#[test]
fn the_stored_key_is_put_back_if_nothing_was_changed() {
    let san = killed_early(Some(0xa4), "\"key\":161,\"new_key\":164");
    san.on("alice", "-o -R -K a1 -T 5 mpatha").ok();
    san.on("alice", "check mpatha").ok();
}
