//! The distribution's `mpathpersist` (0.9.4) and ours on the same map: the same output, byte for
//! byte, and the same exit status, for everything that scripts read. Where the two differ, the
//! difference is asserted, with its reason.

use xtask::error::Result;
use xtask::guest::{Fabric, Finished, Lab, run};

use crate::persist::{Stage, THEIRS};

/// The distribution's.
const THEIR_COMMAND: &str = "/usr/sbin/mpathpersist";

/// TransportIDs of another form; all else is as over tcm_loop.
#[test]
fn responses_are_printed_alike_over_iscsi() -> Result {
    let lab = Lab::shared("outputiscsi")?;
    let stage = Stage::new(&lab, Fabric::Iscsi, 2)?;
    let mut differences = Differences::default();
    stage.done("-G -S 123abc")?;
    stage.other.witness().register_and_ignore(THEIRS)?;
    stage.done("-R -K 123abc -T 5")?;
    differences.in_responses(&stage, "two nodes")?;
    stage.done("-C -K 123abc")?;
    differences.check();
    Ok(())
}

#[test]
fn responses_are_printed_alike_over_tcm_loop() -> Result {
    let stage = Stage::new(&Lab::shared("outputloop")?, Fabric::Loop, 2)?;
    let other = stage.other.witness();
    let mut differences = Differences::default();
    differences.in_responses(&stage, "nothing registered")?;
    stage.done("-G -S 123abc")?;
    differences.in_responses(&stage, "one node")?;
    other.register_and_ignore(0xfedc_ba98_7654_3210)?;
    differences.in_responses(&stage, "two nodes")?;
    for number in ["1", "3", "5", "6", "7", "8"] {
        stage.done(&format!("-R -K 123abc -T {number}"))?;
        differences.in_commands(&stage, &["-i -r", "-i -s"], number)?;
        stage.done(&format!("-L -K 123abc -T {number}"))?;
    }
    differences.in_commands(&stage, LENGTHS_AND_NAMES, "options")?;
    check_capped(&stage)?;
    check_hex(&stage)?;
    stage.done("-C -K 123abc")?;
    stage.done("-G -S 123abc -Z")?;
    differences.in_responses(&stage, "APTPL")?;
    stage.done("-C -K 123abc")?;
    stage.done("-G -S 123abc -Y")?;
    differences.in_commands(&stage, &["-i -s"], "ALL_TG_PT")?;
    stage.done("-C -K 123abc")?;
    differences.check();
    Ok(())
}

/// Every way to ask for the same, and lengths that do not cut an entry.
const LENGTHS_AND_NAMES: &[&str] = &[
    "--in --read-keys",
    "--in --read-reservation",
    "--in --read-full-status",
    "--in --read-k",
    "-ik",
    "-ir",
    "-v0 -i -k",
    "-i -k -l 0",
    "-i -r -l 0",
    "-i -s -l 0",
    "-i -k -l 8192",
    "-i -r -l 24",
    "-i -k -l 7",
    "-i -r -l 4",
];

/// `-l` cuts the response: multipath-tools (0.14.3 too) prints keys that the device never sent.
fn check_capped(stage: &Stage) -> Result {
    let both = Both::run(stage, "-i -k -l 16")?;
    let first = "    0x123abc\n";
    assert!(
        both.theirs
            .stdout
            .ends_with(&format!("{first}    0x0\n    0x0\n"))
    );
    let (heading, _) = both.theirs.stdout.split_once('\n').unwrap_or_default();
    assert_eq!(both.ours.stdout, format!("{heading}\n{first}"));
    assert!(
        both.ours
            .stderr
            .contains("--alloc-length cut the response short")
    );
    Ok(())
}

/// The dump of the response is on stderr; theirs has the time before each line.
fn check_hex(stage: &Stage) -> Result {
    for words in ["-i -k -H", "-i -r -H", "-i -s -H"] {
        let both = Both::run(stage, words)?;
        assert_eq!(both.ours.stdout, both.theirs.stdout, "{words}");
        let theirs: Vec<&str> = both
            .theirs
            .stderr
            .lines()
            .map(untimed)
            .map(str::trim)
            .collect();
        let ours: Vec<&str> = both.ours.stderr.lines().map(str::trim).collect();
        assert_eq!(ours, theirs, "{words}");
    }
    Ok(())
}

#[test]
fn usage_errors_are_refused_alike() -> Result {
    let lab = Lab::shared("outputusage")?;
    let stage = Stage::new(&lab, Fabric::Loop, 1)?;
    let mut differences = Differences::default();
    for words in USAGE_ERRORS {
        differences.in_refusal(&stage, words, StandardError::FirstLine)?;
    }
    for words in USAGE_ERRORS_IN_OTHER_WORDS {
        differences.in_refusal(&stage, words, StandardError::Free)?;
    }
    let batch = "/tmp/mpathpersist.output.batch";
    let text = "-i -k DEV # comment\n\n# another\nmpathpersist -i -r -d DEV\n-f x\n-i -r DEV\n";
    std::fs::write(batch, text.replace("DEV", stage.map.node())).expect("/tmp is writable");
    differences.in_both(&Both::plain(&["-f", batch])?, StandardError::FirstLine);
    differences.in_both(
        &Both::plain(&["-f", "/nonexistent"])?,
        StandardError::FirstLine,
    );
    differences.in_both(&Both::plain(&[])?, StandardError::FirstLine);
    let node = stage.map.node();
    differences.in_both(&Both::plain(&["-i", "-k"])?, StandardError::FirstLine);
    differences.in_both(
        &Both::plain(&["-i", "-k", node, node])?,
        StandardError::FirstLine,
    );
    differences.in_both(&Both::plain(&["-i", "-k", "-d"])?, StandardError::Free);
    let user = ["--reuid", "65534", "--clear-groups"];
    let as_nobody = |command: &'static str| {
        run(
            "setpriv",
            user.into_iter().chain([command, "-i", "-k", node]),
        )
    };
    let both = Both {
        theirs: as_nobody(THEIR_COMMAND)?,
        ours: as_nobody("mpathpersist")?,
    };
    differences.in_both(&both, StandardError::FirstLine);
    differences.check();

    // Ours prints its help where it can be read on by a pager.
    let help = Both::plain(&["-h"])?;
    assert_eq!((help.theirs.code(), help.ours.code()), (0, 0));
    assert_eq!((&*help.theirs.stdout, &*help.ours.stderr), ("", ""));
    assert!(
        help.ours
            .stdout
            .contains("Usage: mpathpersist [OPTIONS] [DEVICE]")
    );
    // A key of more than 8 bytes is refused, not cut.
    let long = Both::run(&stage, "-o -G -K 1 -S 11223344556677889")?;
    assert_eq!(long.ours.code(), 1);
    assert!(
        long.ours
            .stderr
            .starts_with("bad argument to '--param-sark'\n")
    );
    // A TransportID that is none is refused, not left out.
    let port = Both::run(&stage, "-o -G -S 1 -X zz")?;
    assert_eq!(port.ours.code(), 1);
    assert!(
        port.ours
            .stderr
            .starts_with("bad argument to '--transport-id'\n")
    );
    Ok(())
}

/// The map is put behind each.
const USAGE_ERRORS: &[&str] = &[
    "",
    "-i",
    "-o",
    "-i -o -k",
    "-i -o",
    "-k",
    "-G",
    "-i -k -r",
    "-i -c -s",
    "-i -R",
    "-i -k -R",
    "-o -k",
    "-o -G -I -S1",
    "-o -G -k -S1",
    "-o -G -S zz",
    "-o -G -K zz -S 1",
    "-o -R -K 1 -T zz",
    "-i -k -l zz",
    "-vx -i -k",
    "--in --read-keys --nonsense",
];

/// Which option is wrong is said in other words than getopt_long's.
const USAGE_ERRORS_IN_OTHER_WORDS: &[&str] = &[
    "-i -k -q",
    "--in --re",
    "--in --read-keys=1",
    "-i -k -l 8193",
];

#[test]
fn wrong_devices_are_refused_alike() -> Result {
    let lab = Lab::shared("outputdevice")?;
    let stage = Stage::new(&lab, Fabric::Loop, 1)?;
    let mut differences = Differences::default();
    let disk = format!("/dev/{}", stage.lun.paths()[0].disk()?);
    for device in [
        "/dev/vda",
        &disk,
        "/dev/null",
        "/tmp",
        "/dev/nonexistent",
        "nonexistent",
        "",
    ] {
        for words in [&["-i", "-k"][..], &["-i", "-s"], &["-o", "-G", "-S", "1"]] {
            let both = Both::plain(&[words, &["-d", device]].concat())?;
            differences.in_both(&both, StandardError::Headings);
        }
    }
    // A symbolic link is as good as the node; a bare name is good too, which is more than theirs.
    let link = "/tmp/mpathpersist.output.link";
    let _ = std::fs::remove_file(link);
    std::os::unix::fs::symlink(stage.map.node(), link).expect("/tmp is writable");
    differences.in_both(&Both::plain(&["-i", "-k", link])?, StandardError::FirstLine);
    let kernel_name = run("readlink", ["-f", stage.map.node()])?
        .succeeded()?
        .stdout;
    differences.in_both(
        &Both::plain(&["-i", "-k", kernel_name.trim()])?,
        StandardError::FirstLine,
    );
    differences.check();
    let bare = Both::plain(&["-i", "-k", stage.map.name()])?;
    assert_eq!((bare.theirs.code(), bare.ours.code()), (12, 0));
    Ok(())
}

#[test]
fn commands_are_refused_alike() -> Result {
    let lab = Lab::shared("outputrefusal")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    let other = stage.other.witness();
    let mut differences = Differences::default();
    let mut refused = |words: &str| differences.in_refusal(&stage, words, StandardError::Headings);
    stage.done("-G -S 123abc")?;
    // Another key than the stored one, for everything that uses one.
    for words in [
        "-o -G -K bad -S 1",
        "-o -R -K bad -T 5",
        "-o -L -K bad -T 5",
        "-o -C -K bad",
        "-o -P -K bad -S b -T 5",
    ] {
        refused(words)?;
    }
    // No type, or one that the device does not have.
    for words in [
        "-o -R -K 123abc",
        "-o -R -K 123abc -T 9",
        "-o -R -K 123abc -T 2",
    ] {
        refused(words)?;
    }
    other.register_and_ignore(THEIRS)?;
    other.reserve(THEIRS, 5)?;
    refused("-o -R -K 123abc -T 5")?;
    refused("-o -R -K 123abc -T 1")?;
    refused("-o -P -K 123abc -S dead -T 5")?;
    for path in stage.lun.paths() {
        path.set_offline()?;
    }
    for words in ["-i -k", "-i -r", "-i -s", "-i -c", "-o -R -K 123abc -T 5"] {
        refused(words)?;
    }
    differences.check();
    for path in stage.lun.paths() {
        path.set_running()?;
    }

    // 0.9.4 sends what it has no key for, and ends with what the device or its own table of
    // paths comes to; 0.14.3 refuses it, as ours does.
    other.release(THEIRS, 5)?;
    stage.done("-G -K 123abc -S 0")?;
    let both = Both::run(&stage, "-o -R -K 123abc -T 5")?;
    assert_eq!((both.theirs.code(), both.ours.code()), (2, 1));
    assert_eq!(both.ours.stdout, "PR out: command failed\n");
    let line = format!("{}: no configured reservation key\n", stage.map.name());
    assert!(both.ours.stderr.starts_with(&line), "{}", both.ours.stderr);
    Ok(())
}

/// One command by both programs.
struct Both {
    theirs: Finished,
    ours: Finished,
}

impl Both {
    fn run(stage: &Stage, words: &str) -> Result<Self> {
        let words = words.split_whitespace().chain(["-d", stage.map.node()]);
        Self::plain(&words.collect::<Vec<_>>())
    }

    fn plain(args: &[&str]) -> Result<Self> {
        Ok(Self {
            theirs: run(THEIR_COMMAND, args)?,
            ours: run("mpathpersist", args)?,
        })
    }
}

/// How much of stderr has to be the same.
#[derive(Clone, Copy)]
enum StandardError {
    /// The first line, without the time and the program's folder.
    FirstLine,
    /// Those lines of theirs that scripts know.
    Headings,
    /// Nothing.
    Free,
}

/// What is not the same, collected: a contract is seen whole.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    /// All four actions of PERSISTENT RESERVE IN.
    fn in_responses(&mut self, stage: &Stage, situation: &str) -> Result {
        self.in_commands(stage, &["-i -k", "-i -r", "-i -s"], situation)?;
        // 0.9.4 reads the type mask from the wrong place, and prints a 0 for each type.
        let mut both = Both::run(stage, "-i -c")?;
        let (head, mask) = both
            .theirs
            .stdout
            .split_once("    Support indicated")
            .unwrap_or_default();
        assert_eq!(mask.matches(": 0\n").count(), 6, "it prints {mask}");
        both.theirs.stdout = format!(
            "{head}    Support indicated{}",
            mask.replace(": 0\n", ": 1\n")
        );
        self.compare(&both, situation, StandardError::FirstLine);
        Ok(())
    }

    fn in_commands(&mut self, stage: &Stage, commands: &[&str], situation: &str) -> Result {
        for words in commands {
            self.compare(
                &Both::run(stage, words)?,
                situation,
                StandardError::Headings,
            );
        }
        Ok(())
    }

    fn in_refusal(&mut self, stage: &Stage, words: &str, error: StandardError) -> Result {
        let both = Both::run(stage, words)?;
        assert_ne!(
            both.ours.code(),
            0,
            "{} is to be refused",
            both.ours.command
        );
        self.in_both(&both, error);
        Ok(())
    }

    fn in_both(&mut self, both: &Both, error: StandardError) {
        self.compare(both, "", error);
    }

    fn compare(&mut self, both: &Both, situation: &str, error: StandardError) {
        let Both { theirs, ours } = both;
        let mut differs = |what: &str, theirs: String, ours: String| {
            if theirs != ours {
                let command = &both.ours.command;
                self.0.push(format!(
                    "{situation}: {command}: {what}\n  theirs {theirs:?}\n  ours   {ours:?}"
                ));
            }
        };
        differs(
            "exit status",
            theirs.code().to_string(),
            ours.code().to_string(),
        );
        differs("stdout", theirs.stdout.clone(), ours.stdout.clone());
        match error {
            StandardError::FirstLine => {
                differs(
                    "stderr",
                    first_line(&theirs.stderr),
                    first_line(&ours.stderr),
                );
            }
            StandardError::Headings => {
                differs("stderr", headings(&theirs.stderr), headings(&ours.stderr));
            }
            StandardError::Free => {}
        }
    }

    fn check(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().map(untimed).unwrap_or_default();
    line.replace(THEIR_COMMAND, "mpathpersist")
}

/// The lines that the contract names.
fn headings(text: &str) -> String {
    const KNOWN: &[&str] = &[
        "Persistent Reserve IN command failed",
        "configured reservation key",
        "Warning: --prout-type probably needs to be given",
    ];
    let lines = text.lines().map(untimed);
    let lines = lines.filter(|line| KNOWN.iter().any(|known| line.contains(known)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Without the time that multipath-tools puts before a log line: `47.650923 | `.
fn untimed(line: &str) -> &str {
    match line.split_once(" | ") {
        Some((time, rest)) if time.trim().parse::<f64>().is_ok() => rest,
        _ => line,
    }
}
