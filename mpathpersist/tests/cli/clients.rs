//! The programs known to call this one: their command lines, and the patterns they read the
//! output with, both as they stand in those programs.
use crate::{fake, fixtures};
use mpathpersist::cli::ExitStatus;
use pr_policy::{Outcome, Preempt, Register, RegisterMode, Request, VictimCommands};
use regex_lite::Regex;
use scsi_pr::{ReadKeys, ReadReservation, ReservationKey};

fn request(line: &str) -> Request {
    let (ran, mut runner) = fake::run_line(line, []);
    assert_eq!(
        (ran.status, ran.err.as_str()),
        (ExitStatus::SUCCESS, ""),
        "{line}"
    );
    let (device, request, _) = runner.seen.remove(0);
    assert_eq!(device, "/dev/mapper/mpatha", "{line}");
    request
}

fn read(line: &str, bytes: &[u8]) -> String {
    let ran = fake::read(line, bytes);
    assert_eq!(
        (ran.status, ran.err.as_str()),
        (ExitStatus::SUCCESS, ""),
        "{line}"
    );
    ran.out
}

fn no_keys() -> Vec<u8> {
    ReadKeys::new(3, Vec::new()).encode()
}

fn no_reservation() -> Vec<u8> {
    ReadReservation::new(3, None).encode()
}

/// fence-agents' `fence_mpath`: keys are compared as text without `0x0*`.
mod fence_mpath {
    use super::*;

    const KEYS: &str = r"\s+0x(\S+)\s*";
    const HOLDER: &str = r"(?i)\s+key\s*=\s*0x(\S+)\s+";

    #[test]
    fn keys() {
        let pattern = Regex::new(KEYS).unwrap();
        let read = |bytes: &[u8]| -> Vec<String> {
            read("-i -k -d /dev/mapper/mpatha", bytes)
                .lines()
                .filter_map(|line| pattern.captures(line).map(|found| found[1].to_owned()))
                .collect()
        };
        let a = "123abc";
        let expected = [a, a, a, a, "fedcba9876543210", "b2"];
        assert_eq!(read(&fixtures::bytes("keys-6")), expected);
        assert!(read(&no_keys()).is_empty());
    }

    #[test]
    fn holder() {
        let pattern = Regex::new(HOLDER).unwrap();
        let line = "-i -r -d /dev/mapper/mpatha";
        let text = read(line, &fixtures::bytes("reservation-held"));
        assert_eq!(&pattern.captures(&text).unwrap()[1], "123abc");
        assert!(!pattern.is_match(&read(line, &no_reservation())));
    }

    #[test]
    fn command_lines() {
        let device = "-d /dev/mapper/mpatha";
        let register = request(&format!("-o --register --param-sark=a1 {device}"));
        assert!(matches!(
            register,
            Request::Register(Register {
                mode: RegisterMode::Compare,
                key: ReservationKey(0),
                new_key: ReservationKey(0xa1),
                ..
            })
        ));
        let reserve = request(&format!(
            "-o --reserve --prout-type=5 --param-rk=a1 {device}"
        ));
        assert!(matches!(reserve, Request::Reserve(reserve)
            if reserve.key.0 == 0xa1 && reserve.reservation_type.0 == 5));
        let preempt = request(&format!(
            "-o --preempt-abort --prout-type=5 --param-rk=a1 --param-sark=b2 {device}"
        ));
        assert!(matches!(
            preempt,
            Request::Preempt(Preempt {
                key: ReservationKey(0xa1),
                victim: ReservationKey(0xb2),
                commands: VictimCommands::Abort,
                ..
            })
        ));
    }
}

/// LVM2's `lvmpersist`.
mod lvmpersist {
    use super::*;

    #[test]
    fn patterns() {
        let keys = "--in --read-keys /dev/mapper/mpatha";
        let text = read(keys, &fixtures::bytes("keys-6"));
        let lines = text.lines().filter(|line| line.contains("    0x"));
        assert_eq!(lines.count(), 6);
        let none = read(keys, &no_keys());
        assert!(none.contains("0 registered reservation key") && !none.contains("    0x"));

        let reservation = "--in --read-reservation /dev/mapper/mpatha";
        let held = read(reservation, &fixtures::bytes("reservation-held"));
        let matches = |pattern: &str, text: &str| Regex::new(pattern).unwrap().is_match(text);
        assert!(matches(r"Key\s*=\s*0x", &held));
        assert!(matches(r"LU_SCOPE,\s+type", &held));
        let none = read(reservation, &no_reservation());
        assert!(none.contains("there is NO reservation held"));
        assert!(!matches(r"Key\s*=\s*0x", &none));
    }

    #[test]
    fn command_lines() {
        let device = "/dev/mapper/mpatha";
        let ignore = request(&format!(
            "--out --register-ignore --param-sark=0xa1 {device}"
        ));
        assert!(matches!(
            ignore,
            Request::Register(Register {
                mode: RegisterMode::Ignore,
                key: ReservationKey(0),
                new_key: ReservationKey(0xa1),
                ..
            })
        ));
        let unregister = request(&format!("--out --register --param-rk=0xa1 {device}"));
        assert!(matches!(unregister, Request::Register(register)
            if register.key.0 == 0xa1 && register.is_unregister()));
        let reserve = format!("--out --reserve --param-rk=0xa1 --prout-type=7 {device}");
        assert!(matches!(request(&reserve), Request::Reserve(reserve)
            if reserve.reservation_type.0 == 7));
        let line = "--out --preempt-abort --param-sark=0xb2 --param-rk=0xa1 --prout-type=7";
        assert!(
            matches!(request(&format!("{line} {device}")), Request::Preempt(preempt)
            if preempt.victim.0 == 0xb2 && preempt.key.0 == 0xa1)
        );
        let clear = request(&format!("--out --clear --param-rk=0xa1 {device}"));
        assert!(matches!(clear, Request::Clear(clear) if clear.key.0 == 0xa1));
    }
}

/// OpenSVC's agents (v2 and om3).
mod opensvc {
    use super::*;
    use mpath_state::config::{Config, ConfigFiles};

    /// What multipathd-lite answers to `show config`, which tells whether registering sets the key.
    #[test]
    fn whether_keys_are_in_the_file() {
        let pattern = Regex::new(r#"(?m)^\s*reservation_key\s+("file"|file)\s*$"#).unwrap();
        let is_file = |lines: &str| {
            let dir = tempfile::tempdir().unwrap();
            let main = dir.path().join("multipath.conf");
            std::fs::write(&main, lines).unwrap();
            let dir = dir.path().join("conf.d");
            let shown = Config::load(&ConfigFiles { main, dir }).config.to_string();
            pattern.is_match(&shown)
        };
        assert!(is_file("defaults {\n reservation_key file\n}\n"));
        assert!(is_file("defaults {\n reservation_key \"file\"\n}\n"));
        // That is what nothing means here.
        assert!(is_file(""));
        assert!(!is_file("defaults {\n reservation_key 0xa1\n}\n"));
    }

    #[test]
    fn prefixes() {
        let keys = read(
            "--in --read-keys /dev/mapper/mpatha",
            &fixtures::bytes("keys-6"),
        );
        let keys: Vec<&str> = keys
            .lines()
            .filter_map(|line| line.strip_prefix("    0x"))
            .collect();
        assert_eq!(
            keys.iter().filter(|key| **key == "123abc").count(),
            4,
            "one a path"
        );
        let held = fixtures::bytes("reservation-held");
        let held = read("--in --read-reservation /dev/mapper/mpatha", &held);
        let key = held
            .lines()
            .find_map(|line| line.strip_prefix("   Key = 0x"));
        assert_eq!(key, Some("123abc"));
    }

    #[test]
    fn command_lines() {
        let request = |line: &str| request(&format!("{line} /dev/mapper/mpatha"));
        assert!(
            matches!(request("--out --register-ignore --param-sark 0xa1"),
            Request::Register(register) if register.new_key.0 == 0xa1)
        );
        assert!(matches!(request("--out --register-ignore --param-rk 0xa1"),
            Request::Register(register) if register.is_unregister() && register.key.0 == 0xa1));
        assert!(matches!(
            request("--out --reserve --param-rk 0xa1 --prout-type 5"),
            Request::Reserve(_)
        ));
        assert!(matches!(
            request("--out --release --param-rk 0xa1 --prout-type 5"),
            Request::Release(_)
        ));
        assert!(matches!(
            request("--out --clear --param-rk 0xa1"),
            Request::Clear(_)
        ));
        let keys = "--param-sark 0xb2 --param-rk 0xa1 --prout-type 5";
        for (option, commands) in [
            ("--preempt", VictimCommands::Finish),
            ("--preempt-abort", VictimCommands::Abort),
        ] {
            assert!(matches!(request(&format!("--out {option} {keys}")),
                Request::Preempt(preempt) if preempt.commands == commands));
        }
    }
}

/// ActionTech's agent.
mod actiontech {
    use super::*;

    #[test]
    fn holder_and_type_in_one_pattern() {
        let pattern = Regex::new(r"(?s)Key\s*=\s*(0x\w+)\s.*type\s*[:=]\s*(.*)").unwrap();
        let held = fixtures::bytes("reservation-held");
        let text = read("-i -r -d /dev/mapper/mpatha", &held);
        let found = pattern.captures(&text).unwrap();
        assert_eq!(&found[1], "0x123abc");
        assert_eq!(found[2].trim(), "Exclusive Access, registrants only");
    }

    #[test]
    fn command_lines() {
        let request = |line: &str| request(&format!("{line} -d /dev/mapper/mpatha"));
        assert!(matches!(request("-i -k"), Request::Read(_)));
        assert!(matches!(request("-o -I -S 0xa1"), Request::Register(_)));
        assert!(matches!(request("-o -R -T 5 -K 0xa1"), Request::Reserve(_)));
        assert!(matches!(request("-o -L -T 5 -K 0xa1"), Request::Release(_)));
        assert!(matches!(
            request("-o -P -T 5 -K 0xa1 -S 0xb2"),
            Request::Preempt(_)
        ));
    }
}

/// A non-zero exit of a read is fatal to fence_mpath, and its text must not look like "no keys".
#[test]
fn a_failed_read_shows_no_key_and_no_absence() {
    for line in ["-i -k -d /dev/mapper/mpatha", "-i -r -d /dev/mapper/mpatha"] {
        let (ran, _) = fake::run_line(line, [Ok(fake::report(Outcome::NoUsablePath))]);
        assert_eq!(
            (ran.status, ran.out.as_str()),
            (ExitStatus::DEVICE_MAPPER, "")
        );
    }
}
