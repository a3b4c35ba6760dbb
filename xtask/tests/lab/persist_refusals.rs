//! What `mpathpersist` refuses: with which exit status and words, and that nothing has changed
//! then, neither at the target nor in what is stored.

use xtask::error::{Error, Result};
use xtask::guest::{Fabric, Finished, Lab, Lun, run};

use crate::persist::{NEW, NONE, OURS, Stage, THEIRS, held_by_us};

#[test]
fn another_key_than_the_configured_one_is_refused() -> Result {
    let lab = Lab::shared("fixedkey")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    let fixed = configuration("defaults {\n\treservation_key 0xa\n}\n");
    let refused = |words: &str| -> Result {
        let finished = with(&fixed, &stage, &format!("-o {words}"))?.ended_with(1)?;
        check_words(&finished, &format!("{}: {MISMATCH}: 0xa", stage.map.name()));
        Ok(())
    };
    for words in ["-G -S b", "-I -S b", "-G -K a -S b", "-R -K b -T 5"] {
        refused(words)?;
    }
    assert_eq!(generation(&stage)?, 0, "nothing was sent");
    with(&fixed, &stage, "-o -G -S a")?.succeeded()?;
    with(&fixed, &stage, "-o -R -K a -T 5")?.succeeded()?;
    let before = generation(&stage)?;
    for words in [
        "-L -K b -T 5",
        "-C -K b",
        "-P -K b -S a -T 5",
        "-A -K b -S a -T 5",
        "-G -K a -S b",
    ] {
        refused(words)?;
    }
    assert_eq!(generation(&stage)?, before, "nothing was sent");
    assert_eq!(stage.state()?.held, held_by_us(5));
    assert_eq!(
        stored_key(&stage.lun)?,
        None,
        "a configured key is not stored"
    );
    // Unregistering is always allowed.
    with(&fixed, &stage, "-o -I -S 0")?.succeeded()?;
    assert_eq!(stage.keys()?, [NONE; 2]);
    Ok(())
}

#[test]
fn another_key_than_the_stored_one_is_refused() -> Result {
    let lab = Lab::shared("storedkey")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    let name = stage.map.name();
    for words in [
        "-R -K a -T 5",
        "-L -K a -T 5",
        "-C -K a",
        "-P -K a -S b -T 5",
    ] {
        let finished = stage.refused(words, 1)?;
        check_words(&finished, &format!("{name}: no configured reservation key"));
    }
    stage.done("-G -S a")?;
    assert_eq!(stored_key(&stage.lun)?, Some(OURS));
    let before = generation(&stage)?;
    for words in [
        "-R -K b -T 5",
        "-L -K b -T 5",
        "-C -K b",
        "-P -K b -S a -T 5",
        "-G -K b -S c",
    ] {
        check_words(
            &stage.refused(words, 1)?,
            &format!("{name}: {MISMATCH}: 0xa"),
        );
    }
    assert_eq!(generation(&stage)?, before, "nothing was sent");
    assert_eq!(stored_key(&stage.lun)?, Some(OURS));
    Ok(())
}

/// multipath-tools 0.9.4 answers with success here, and clears the other node's registrations.
#[test]
fn a_release_of_another_type_changes_nothing() -> Result {
    let lab = Lab::shared("wrongtype")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    stage.other.witness().register_and_ignore(THEIRS)?;
    stage.done("-G -S a")?;
    stage.done("-R -K a -T 6")?;
    let before = stage.state()?;
    let finished = stage.refused("-L -K a -T 5", 11)?;
    assert_eq!(finished.stdout, CONFLICT);
    assert!(
        finished
            .stderr
            .contains("RELEASE met a RESERVATION CONFLICT"),
        "{}",
        finished.stderr
    );
    assert_eq!(stage.state()?, before);
    stage.done("-L -K a -T 6").map(drop)
}

#[test]
fn what_is_no_map_is_refused() -> Result {
    let lab = Lab::shared("nomap")?;
    let lun = lab.lun(Fabric::Loop, 1)?;
    let disk = format!("/dev/{}", lun.paths()[0].disk()?);
    let linear = Linear::new(&disk, lun.blocks())?;
    let cases = [
        ("/dev/nonexistent", 12, Words::Own),
        ("/dev/mapper/nonexistent", 12, Words::Own),
        ("/dev/null", 12, Words::Fixed),
        ("/tmp", 12, Words::Fixed),
        ("/etc/passwd", 12, Words::Fixed),
        ("/dev/vda", 13, Words::Fixed),
        (&disk, 13, Words::Fixed),
        (linear.node, 13, Words::Fixed),
    ];
    for (device, code, words) in cases {
        let read = run("mpathpersist", ["-i", "-k", "-d", device])?.ended_with(code)?;
        let heading = words.of("Persistent Reserve IN command failed\n");
        let why = read.stderr.strip_prefix(heading);
        assert!(
            why.is_some_and(|why| why.starts_with(device)),
            "{device}: {}",
            read.stderr
        );
        assert_eq!(read.stdout, "", "{device}");

        let out = ["-o", "-G", "-S", "a", "-d", device];
        let out = run("mpathpersist", out)?.ended_with(code)?;
        assert_eq!(out.stdout, words.of("PR out: command failed\n"), "{device}");
        assert!(out.stderr.starts_with(device), "{device}: {}", out.stderr);
    }
    Ok(())
}

#[test]
fn a_map_without_usable_paths_is_refused() -> Result {
    let lab = Lab::shared("nopaths")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    stage.done("-G -S a")?;
    stage.map.reload(&stage.lun, &[])?;
    refused_without_paths(&stage)?;
    stage.map.reload(&stage.lun, stage.lun.paths())?;
    stage
        .lun
        .paths()
        .iter()
        .try_for_each(|path| path.set_offline())?;
    refused_without_paths(&stage)?;
    stage
        .lun
        .paths()
        .iter()
        .try_for_each(|path| path.set_running())?;
    assert_eq!(stage.keys()?, [OURS; 2]);
    assert_eq!(stored_key(&stage.lun)?, Some(OURS), "the key was put back");
    Ok(())
}

fn refused_without_paths(stage: &Stage) -> Result {
    for words in ["-i -k", "-i -r", "-i -s", "-i -c"] {
        let read = stage.run(words)?.ended_with(13)?;
        assert_eq!(read.stdout, "");
        let heading = "Persistent Reserve IN command failed";
        let is_told = read.stderr.lines().any(|line| line == heading);
        assert!(is_told, "{}", read.stderr);
    }
    for words in [
        "-R -K a -T 5",
        "-G -K a -S c",
        "-I -S c",
        "-G -K a -S 0",
        "-C -K a",
    ] {
        let out = stage.refused(words, 13)?;
        assert_eq!(out.stdout, "PR out: command failed\n", "{words}");
        assert!(
            out.stderr.contains("no usable path"),
            "{words}: {}",
            out.stderr
        );
        assert_eq!(
            stored_key(&stage.lun)?,
            Some(OURS),
            "{words}: the key was put back"
        );
    }
    Ok(())
}

#[test]
fn only_root_may_send_anything() -> Result {
    let lab = Lab::shared("notroot")?;
    let stage = Stage::new(&lab, Fabric::Loop, 1)?;
    let as_nobody = |args: &str| {
        let user = [
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "mpathpersist",
        ];
        let args = args.replace("DEV", stage.map.node());
        run("setpriv", user.into_iter().chain(args.split(' ')))
    };
    for args in ["-i -k -d DEV", "-o -G -S a -d DEV", "-f /dev/null"] {
        let finished = as_nobody(args)?.ended_with(1)?;
        assert_eq!(
            (&*finished.stdout, &*finished.stderr),
            (
                "",
                "need to be root\nrun it as root, for example with sudo [not-root]\n"
            ),
            "{args}"
        );
    }
    let usage = as_nobody("-i -o -k -d DEV")?.ended_with(1)?;
    assert!(
        usage
            .stderr
            .starts_with("choose either '--in' or '--out' \n"),
        "{}",
        usage.stderr
    );
    as_nobody("--help")?.succeeded()?;
    assert_eq!(generation(&stage)?, 0);
    Ok(())
}

#[test]
fn a_configuration_with_errors_is_told_and_used() -> Result {
    let lab = Lab::shared("badconfig")?;
    let stage = Stage::new(&lab, Fabric::Loop, 1)?;
    let text = "defaults {\n\treservation_key 0xa\n\treservation_kay 0xb\n}\n\
                overrides {\n\treservation_key zz\n}\nnonsense {\n}\n";
    let broken = configuration(text);
    let finished = with(&broken, &stage, "-o -G -S a")?.succeeded()?;
    assert_eq!(finished.stdout, "");
    for line in [3, 6, 8] {
        let place = format!("/etc/multipath.conf:{line}:");
        assert!(
            finished.stderr.contains(&place),
            "{place} is not in\n{}",
            finished.stderr
        );
    }
    assert!(
        finished.stderr.contains("reservation_key"),
        "{}",
        finished.stderr
    );
    assert_eq!(stage.keys()?, [OURS]);
    // The rest of the file counts.
    with(&broken, &stage, "-o -G -K a -S c")?.ended_with(1)?;
    Ok(())
}

#[test]
fn a_key_that_cannot_be_stored_is_not_registered() -> Result {
    let lab = Lab::shared("fulldisk")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    let full = "mount -t tmpfs -o size=4k tmpfs /etc/multipath\n\
                dd if=/dev/zero of=/etc/multipath/filler bs=4k count=1 status=none";
    let read_only = "mount --bind /etc/multipath /etc/multipath\n\
                     mount -o remount,ro,bind /etc/multipath";
    for (setup, why) in [
        (full, "No space left on device"),
        (read_only, "Read-only file system"),
    ] {
        let finished = with(setup, &stage, "-o -G -S a")?.ended_with(15)?;
        assert_eq!(finished.stdout, "PR out: command failed\n");
        let said = ["/etc/multipath/prkeys", why];
        assert!(
            said.iter().all(|it| finished.stderr.contains(it)),
            "{}",
            finished.stderr
        );
        assert_eq!(generation(&stage)?, 0, "nothing was sent: {why}");
    }
    // What failed in an orderly way is not taken for something that was cut off.
    let next = stage.done("-G -S a")?;
    assert_eq!(next.stderr, "");
    assert_eq!(stage.keys()?, [OURS; 2]);
    Ok(())
}

#[test]
fn a_map_that_somebody_works_on_is_refused_in_time() -> Result {
    let lab = Lab::shared("locked")?;
    let stage = Stage::new(&lab, Fabric::Loop, 1)?;
    stage.done("-G -S a")?;
    let lock = format!("/run/mpath-pr/{}.lock", stage.lun.wwid());
    // Holds the lock as another mpathpersist does: with its number in the file.
    let script = "exec 9<>$0; flock 9; echo $$ >$0; shift; \"$@\"; echo $? $$";
    let args = [
        "-o",
        "-R",
        "-K",
        "a",
        "-T",
        "5",
        "--timeout",
        "2",
        "-d",
        stage.map.node(),
    ];
    let words = ["-c", script, &lock, "", "mpathpersist"];
    let finished = run("bash", words.into_iter().chain(args))?.succeeded()?;
    let ended = finished.stdout.lines().last().unwrap_or_default();
    let (code, holder) = ended.split_once(' ').unwrap_or_default();
    assert_eq!(code, "15", "{}", finished.stderr);
    let who = format!("process {holder} (bash)");
    assert!(
        finished.stderr.contains(&who),
        "{who} is not in\n{}",
        finished.stderr
    );
    assert!(finished.stdout.starts_with("PR out: command failed\n"));
    // Reading needs no lock.
    let read = [
        "-c",
        script,
        &lock,
        "",
        "mpathpersist",
        "-i",
        "-k",
        stage.map.node(),
    ];
    let read = run("bash", read)?.succeeded()?;
    assert!(
        read.stdout
            .contains("1 registered reservation key follows:"),
        "{}",
        read.stdout
    );
    assert_eq!(stage.state()?.held, None);
    Ok(())
}

/// Killed when its first worker starts: the key is stored, nothing has been sent.
#[test]
fn a_command_that_was_cut_off_is_told_of() -> Result {
    let lab = Lab::shared("cutoff")?;
    let stage = Stage::new(&lab, Fabric::Loop, 1)?;
    let killing = [
        "-f",
        "-o",
        "/dev/null",
        "-e",
        "inject=clone,clone3,fork,vfork:signal=SIGKILL",
    ];
    let register = [
        "mpathpersist",
        "-o",
        "-G",
        "-S",
        "a",
        "-d",
        stage.map.node(),
    ];
    run("strace", killing.into_iter().chain(register))?.ended_with(128 + 9)?;
    let journal = format!("/run/mpath-pr/{}.journal", stage.lun.wwid());
    assert!(std::path::Path::new(&journal).exists());

    let next = stage.done("-G -S a")?;
    let said = next.stderr.contains("'REGISTER") && next.stderr.contains("was cut off");
    assert!(said, "{}", next.stderr);
    assert_eq!(stage.keys()?, [OURS]);
    assert!(!std::path::Path::new(&journal).exists());
    assert_eq!(stage.done("-R -K a -T 5")?.stderr, "");
    Ok(())
}

#[test]
fn the_stored_key_is_put_back_when_registering_fails() -> Result {
    let lab = Lab::shared("putback")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    stage.done("-G -S a")?;
    // Not the key that is registered; the stored one is changed first, since RK is 0.
    let finished = stage.refused("-G -S c", 11)?;
    assert_eq!(finished.stdout, CONFLICT);
    assert_eq!(
        (stage.keys()?, stored_key(&stage.lun)?),
        (vec![OURS; 2], Some(OURS))
    );
    // Not a key at all before, and none afterwards.
    stage.done("-G -K a -S 0")?;
    stage.other.witness().register_and_ignore(THEIRS)?;
    let finished = stage.refused("-G -K c -S a", 11)?;
    assert_eq!(finished.stdout, CONFLICT);
    assert_eq!(
        (stage.keys()?, stored_key(&stage.lun)?),
        (vec![NONE; 2], None)
    );
    Ok(())
}

#[test]
fn the_stored_key_follows_the_registration() -> Result {
    let lab = Lab::shared("prkeys")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    let stored = || stored_key(&stage.lun);
    for (words, key) in [
        ("-G -S a", Some(OURS)),
        ("-G -K a -S c", Some(NEW)),
        ("-I -S a", Some(OURS)),
        ("-G -K a -S 0", None),
        ("-I -S a", Some(OURS)),
        ("-I -S 0", None),
        ("-G -S a", Some(OURS)),
        ("-C -K a", None),
        ("-G -S a", Some(OURS)),
    ] {
        stage.done(words)?;
        assert_eq!(stored()?, key, "{words}");
    }
    // Another node takes the registrations away: the key is what this node may register again.
    let other = stage.other.witness();
    other.register_and_ignore(THEIRS)?;
    other.preempt(THEIRS, OURS, 5)?;
    assert_eq!((stage.keys()?, stored()?), (vec![NONE; 2], Some(OURS)));
    let finished = stage.refused("-R -K a -T 5", 11)?;
    assert_eq!(finished.stdout, CONFLICT);
    assert_eq!((stage.keys()?, stored()?), (vec![NONE; 2], Some(OURS)));
    Ok(())
}

/// The map's entry in the prkeys file, as multipath-tools reads it: the first line that ends in
/// the WWID; `#` in its first column means that it was removed.
fn stored_key(lun: &Lun) -> Result<Option<u64>> {
    let file = "/etc/multipath/prkeys";
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let entry = format!(" {}", lun.wwid());
    let line = text.lines().find(|line| line.ends_with(&entry));
    let Some(word) = line.and_then(|line| line.split(' ').next()) else {
        return Ok(None);
    };
    if word.starts_with('#') {
        return Ok(None);
    }
    let digits = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    let key = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    key.map(Some)
        .ok_or_else(|| Error::unexpected(format!("{file}: {word}")))
}

/// Counts what has been sent with success.
fn generation(stage: &Stage) -> Result<u32> {
    Ok(stage.other.witness().read_keys()?.generation)
}

/// Runs mpathpersist in a mount namespace of its own, after a script has prepared that: other
/// scenarios see nothing of it.
fn with(setup: &str, stage: &Stage, words: &str) -> Result<Finished> {
    let script = format!("set -e\n{setup}\nexec mpathpersist \"$@\"");
    let args = ["-m", "bash", "-c", &script, "bash"];
    let words = words.split_whitespace().chain(["-d", stage.map.node()]);
    run("unshare", args.into_iter().chain(words))
}

/// A setup in which multipath.conf has these contents.
fn configuration(text: &str) -> String {
    format!(
        "mount -t tmpfs tmpfs /mnt\ncat >/mnt/conf <<'END'\n{text}END\n\
             mount --bind /mnt/conf /etc/multipath.conf"
    )
}

fn check_words(finished: &Finished, line: &str) {
    assert_eq!(
        finished.stdout, "PR out: command failed\n",
        "{}",
        finished.command
    );
    assert_eq!(
        finished.stderr.lines().next(),
        Some(line),
        "{}",
        finished.command
    );
}

/// Which words come before the sentence for people.
#[derive(Clone, Copy)]
enum Words {
    /// The contract's.
    Fixed,
    /// None: the device cannot even be opened.
    Own,
}

impl Words {
    fn of(self, fixed: &str) -> &str {
        match self {
            Self::Fixed => fixed,
            Self::Own => "",
        }
    }
}

/// A device-mapper device that is not multipath.
struct Linear {
    node: &'static str,
}

impl Linear {
    fn new(disk: &str, blocks: u64) -> Result<Self> {
        let table = format!("0 {blocks} linear {disk} 0");
        run("dmsetup", ["create", "straight", "--table", &table])?.succeeded()?;
        Ok(Self {
            node: "/dev/mapper/straight",
        })
    }
}

impl Drop for Linear {
    fn drop(&mut self) {
        let _ = run("dmsetup", ["remove", "--retry", "straight"]);
    }
}

const MISMATCH: &str = "configured reservation key doesn't match";
const CONFLICT: &str = "persistent reserve out: scsi status: Reservation Conflict\n\
                        PR out: command failed\n";
