//! The reservation changes hands in the middle of a command: the holder does not answer, so that
//! the command has to wait for it, and meanwhile another node preempts. What both are told, and
//! what the target has afterwards, must be what one disk with one path could have said and had,
//! whichever of the two it took first.

use std::path::Path;
use std::thread::scope;

use xtask::error::{Error, Result};
use xtask::guest::{Answer, Fabric, Lab, Lun, Nexus, Witness, until};

use crate::dead_holder::{Loss, path_goes};
use crate::persist::{Held, NEW, NONE, OURS, Stage, State, THEIRS};

/// What this node asks while its holder is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Release,
    ChangeKey,
    Unregister,
    ReserveAgain,
    PreemptSelf,
}

const ACTS: [Act; 5] = [
    Act::Release,
    Act::ChangeKey,
    Act::Unregister,
    Act::ReserveAgain,
    Act::PreemptSelf,
];

/// Write Exclusive, registrants only.
const TYPE: u8 = 5;

/// How it ended for both, and what is left.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ended {
    /// Whether this node was told that it succeeded.
    ours: bool,
    /// Whether the other node was.
    theirs: bool,
    key: u64,
    their_key: u64,
    held: Option<Held>,
}

#[test]
fn another_node_preempts_while_a_command_waits_for_the_holder() -> Result {
    let lab = Lab::shared("handover")?;
    let disk = Disk::new(&lab)?;
    let mut scenes = Vec::new();
    for act in ACTS {
        let expected = [
            disk.play(act, First::Command)?,
            disk.play(act, First::Preempt)?,
        ];
        scenes.push((act, expected, Stage::new(&lab, Fabric::Iscsi, 3)?));
    }
    scope(|threads| {
        let start = |(act, expected, stage)| threads.spawn(move || check(act, &expected, &stage));
        let running: Vec<_> = scenes.into_iter().map(start).collect();
        running.into_iter().try_for_each(|scene| {
            let ended = scene.join();
            ended.map_err(|_| Error::unexpected("a scene panicked"))?
        })
    })
}

fn check(act: Act, expected: &[Ended; 2], stage: &Stage) -> Result {
    let found = play(act, stage)?;
    assert!(
        expected.contains(&found),
        "{act:?}: {found:?}, on one disk {expected:?}"
    );
    Ok(())
}

/// The third path holds, and falls silent.
fn play(act: Act, stage: &Stage) -> Result<Ended> {
    stage.other.witness().register_and_ignore(THEIRS)?;
    stage.done("-I -S a")?;
    let silent = &stage.lun.paths()[2];
    silent.witness().reserve(OURS, TYPE)?;
    path_goes(stage, silent, Loss::Silent)?;
    let (finished, answer) = scope(|threads| {
        let command = threads.spawn(|| stage.run(&format!("-o {}", act.words())));
        await_middle(act, stage)?;
        let answer = stage.other.witness().preempt(THEIRS, OURS, TYPE)?;
        let finished = command.join();
        let finished = finished.map_err(|_| Error::unexpected("the command panicked"))??;
        Ok::<_, Error>((finished, answer))
    })?;
    let state = stage.state()?;
    let key = state.ours[0];
    let words = format!("{act:?}: {state:?}\n{}{}", finished.stdout, finished.stderr);
    assert_eq!(state.ours[1], key, "{words}");
    assert!([NONE, key].contains(&state.ours[2]), "{words}");
    // Else the write may be sent there.
    stage.map.fail_path(silent)?;
    assert_eq!(stage.can_write()?, key != NONE, "{words}");
    silent.resume()?;
    Ok(Ended {
        ours: finished.code() == 0,
        theirs: answer == Answer::Done,
        key,
        their_key: state.theirs,
        held: state.held,
    })
}

/// Until the command is on its way, and has changed what it changes first.
fn await_middle(act: Act, stage: &Stage) -> Result {
    let journal = format!("/run/mpath-pr/{}.journal", stage.lun.wwid());
    until("the command to begin", || {
        Ok(Path::new(&journal).exists().then_some(()))
    })?;
    match act {
        Act::Release | Act::Unregister | Act::ReserveAgain => Ok(()),
        Act::ChangeKey => until("the first path to have its new key", || {
            Ok((stage.keys()?[0] == NEW).then_some(()))
        }),
        Act::PreemptSelf => until("the reservation to be taken over", || {
            Ok((stage.holder()? != 2).then_some(()))
        }),
    }
}

/// One disk, a nexus for each node, driven by sg_persist.
struct Disk {
    lun: Lun,
    other: Nexus,
}

/// Which of the two commands one disk takes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Command,
    Preempt,
}

impl Disk {
    fn new(lab: &Lab) -> Result<Self> {
        let mut lun = lab.lun(Fabric::Loop, 1)?;
        let other = lun.add_nexuses(2, 1)?.remove(0);
        Ok(Self { lun, other })
    }

    fn play(&self, act: Act, first: First) -> Result<Ended> {
        let (me, them) = (self.lun.paths()[0].witness(), self.other.witness());
        them.register_and_ignore(THEIRS)?;
        me.register_and_ignore(OURS)?;
        me.reserve(OURS, TYPE)?;
        let preempt = || them.preempt(THEIRS, OURS, TYPE);
        let (ours, theirs) = match first {
            First::Command => (act.ask_of(&me)?, preempt()?),
            First::Preempt => {
                let theirs = preempt()?;
                (act.ask_of(&me)?, theirs)
            }
        };
        let state = State::read(self.lun.paths(), &self.other)?;
        them.register_and_ignore(THEIRS)?;
        them.clear(THEIRS)?;
        Ok(Ended {
            ours: ours == Answer::Done,
            theirs: theirs == Answer::Done,
            key: state.ours[0],
            their_key: state.theirs,
            held: state.held,
        })
    }
}

impl Act {
    const fn words(self) -> &'static str {
        match self {
            Self::Release => "-L -K a -T 5",
            Self::ChangeKey => "-G -K a -S c",
            Self::Unregister => "-G -K a -S 0",
            Self::ReserveAgain => "-R -K a -T 5",
            Self::PreemptSelf => "-P -K a -S a -T 5",
        }
    }

    fn ask_of(self, disk: &Witness) -> Result<Answer> {
        match self {
            Self::Release => disk.release(OURS, TYPE),
            Self::ChangeKey => disk.register(OURS, NEW),
            Self::Unregister => disk.register(OURS, NONE),
            Self::ReserveAgain => disk.reserve(OURS, TYPE),
            Self::PreemptSelf => disk.preempt(OURS, OURS, TYPE),
        }
    }
}
