//! `mpathpersist` while a path is out of order: the commands succeed in a bounded time, the paths
//! that are left are right, and so is the one that returns once the command is repeated.

use std::time::Duration;

use xtask::error::Result;
use xtask::guest::{Fabric, Finished, Lab};

use crate::persist::{NEW, NONE, OURS, Stage, State, THEIRS, held_by_us};

/// What befalls a path that does not hold the reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Offline,
    /// From the kernel, while the map's table still has it.
    Deleted,
    /// In the map, while the path is alive.
    Failed,
    LinkDown,
}

#[test]
fn a_path_that_is_offline_is_done_without() -> Result {
    check(&Lab::shared("faultoffline")?, Fault::Offline)
}

#[test]
fn a_path_that_was_deleted_is_done_without() -> Result {
    check(&Lab::shared("faultdeleted")?, Fault::Deleted)
}

#[test]
fn a_path_that_failed_in_the_map_only_is_kept_in_step() -> Result {
    check(&Lab::shared("faultfailed")?, Fault::Failed)
}

#[test]
fn a_path_whose_link_is_down_is_done_without() -> Result {
    check(&Lab::shared("faultlink")?, Fault::LinkDown)
}

fn check(lab: &Lab, fault: Fault) -> Result {
    let stage = Stage::new(lab, Fabric::Loop, 3)?;
    stage.done("-G -S a")?;
    stage.done("-R -K a -T 5")?;
    let faulty = non_holder(&stage)?;
    fault.strike(&stage, faulty)?;
    let scene = Scene {
        stage: &stage,
        faulty,
        fault,
    };
    scene.read_everything(OURS)?;
    scene.reserve_and_change_key()?;
    scene.preempt_and_clear()?;
    scene.register_and_unregister()?;
    scene.return_and_repeat()
}

/// A map with a faulty path.
struct Scene<'a> {
    stage: &'a Stage,
    faulty: usize,
    fault: Fault,
}

impl Scene<'_> {
    fn read_everything(&self, key: u64) -> Result {
        for action in ["-k", "-r", "-c", "-s"] {
            let read = self.timed(self.stage.run(&format!("-i {action}"))?.succeeded()?);
            let is_listed = read.stdout.contains(&format!("{key:#x}"));
            assert!(
                is_listed || action == "-c",
                "{:?}: {}",
                self.fault,
                read.stdout
            );
        }
        Ok(())
    }

    fn reserve_and_change_key(&self) -> Result {
        self.done("-L -K a -T 5")?;
        assert_eq!(self.stage.state()?.held, None);
        self.done("-R -K a -T 5")?;
        assert_eq!(self.stage.state()?.held, held_by_us(5));
        // Not by REGISTER alone: what a path that is away has keeps its old key for now.
        self.done("-G -K a -S c")?;
        self.assert_living(NEW)?;
        assert_eq!(self.stage.state()?.held, held_by_us(5));
        assert!(self.stage.can_write()?, "{:?}", self.fault);
        self.done("-G -K c -S a")?;
        self.assert_living(OURS)
    }

    fn preempt_and_clear(&self) -> Result {
        let them = self.stage.other.witness();
        them.register_and_ignore(THEIRS)?;
        self.done("-P -K a -S b -T 5")?;
        let state = self.stage.state()?;
        assert_eq!((state.theirs, state.held), (NONE, held_by_us(5)));
        self.done("-L -K a -T 5")?;
        them.register_and_ignore(THEIRS)?;
        them.reserve(THEIRS, 5)?;
        self.done("-P -K a -S b -T 5")?;
        let state = self.stage.state()?;
        assert_eq!((state.theirs, state.held), (NONE, held_by_us(5)));
        them.register_and_ignore(THEIRS)?;
        self.done("-C -K a")?;
        let nothing = State {
            ours: vec![NONE; 3],
            theirs: NONE,
            held: None,
        };
        assert_eq!(self.stage.state()?, nothing, "{:?}", self.fault);
        Ok(())
    }

    fn register_and_unregister(&self) -> Result {
        self.done("-I -S a")?;
        self.assert_living(OURS)?;
        self.done("-G -K a -S 0")?;
        assert_eq!(self.stage.keys()?, [NONE; 3], "{:?}", self.fault);
        self.done("-G -S a")?;
        self.assert_living(OURS)?;
        self.done("-R -K a -T 5")?;
        self.done("-I -S 0")?;
        assert_eq!(self.stage.state()?.held, None, "{:?}", self.fault);
        assert_eq!(self.stage.keys()?, [NONE; 3], "{:?}", self.fault);
        self.done("-G -S a")?;
        self.assert_living(OURS)
    }

    /// The path comes back with the key that it had; the command repeated brings it in step.
    fn return_and_repeat(&self) -> Result {
        self.fault.heal(self.stage, self.faulty)?;
        self.done("-I -S c")?;
        assert_eq!(self.stage.keys()?, [NEW; 3], "{:?}", self.fault);
        self.done("-R -K c -T 5")?;
        assert!(self.stage.can_write()?, "{:?}", self.fault);
        self.done("-I -S 0")?;
        assert_eq!(self.stage.keys()?, [NONE; 3], "{:?}", self.fault);
        Ok(())
    }

    fn done(&self, words: &str) -> Result {
        self.timed(self.stage.done(words)?);
        Ok(())
    }

    /// Nothing waits for the faulty path, neither the command nor whoever reads its output.
    fn timed(&self, finished: Finished) -> Finished {
        let (took, closed) = (finished.duration, finished.closed_after);
        println!("{:?}: {} took {took:?}", self.fault, finished.command);
        assert!(took < PROMPT && closed < PROMPT, "{took:?}, {closed:?}");
        finished
    }

    /// Every path that may carry I/O has this key.
    fn assert_living(&self, key: u64) -> Result {
        let keys = self.stage.keys()?;
        for (at, found) in keys.iter().enumerate() {
            if at != self.faulty || self.fault == Fault::Failed {
                assert_eq!(*found, key, "{:?}: path {at} of {keys:x?}", self.fault);
            }
        }
        Ok(())
    }
}

impl Fault {
    fn strike(self, stage: &Stage, at: usize) -> Result {
        let path = &stage.lun.paths()[at];
        match self {
            Self::Offline => path.set_offline(),
            Self::Deleted => path.delete(),
            Self::Failed => stage.map.fail_path(path),
            Self::LinkDown => path.link_down(),
        }
    }

    fn heal(self, stage: &Stage, at: usize) -> Result {
        let path = &stage.lun.paths()[at];
        match self {
            Self::Offline => path.set_running(),
            Self::Failed => stage.map.reinstate_path(path),
            Self::LinkDown => path.link_up(),
            Self::Deleted => {
                path.rescan()?;
                // Its number may be another, as far as the map's table is concerned.
                stage.map.reload(&stage.lun, stage.lun.paths())
            }
        }
    }
}

#[test]
fn a_map_without_living_paths_is_told_from_one_that_does_not_answer() -> Result {
    let lab = Lab::shared("nopaths")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    stage.done("-G -S a")?;
    for path in stage.lun.paths() {
        path.set_offline()?;
    }
    let commands = [
        "-i -k",
        "-i -r",
        "-i -s",
        "-i -c",
        "-o -G -K a -S c",
        "-o -I -S a",
        "-o -R -K a -T 5",
        "-o -L -K a -T 5",
        "-o -P -K a -S b -T 5",
        "-o -C -K a",
        "-o -I -S 0",
    ];
    for words in commands {
        stage.run(words)?.ended_with(NO_PATH)?;
    }
    assert_eq!(stage.keys()?, [OURS; 2], "nothing was changed");
    stage.map.reload(&stage.lun, &[])?;
    stage.run("-i -k")?.ended_with(NO_PATH)?;
    stage.run("-o -R -K a -T 5")?.ended_with(NO_PATH)?;
    for path in stage.lun.paths() {
        path.set_running()?;
    }
    stage.map.reload(&stage.lun, stage.lun.paths())?;
    // The key that was stored before is still the one that may be used.
    stage.done("-R -K a -T 5")?;
    stage.done("-C -K a")?;
    Ok(())
}

/// A path that does not hold it: the one after the holder.
fn non_holder(stage: &Stage) -> Result<usize> {
    Ok((stage.holder()? + 1) % stage.lun.paths().len())
}

/// Much more than a command takes that waits for nothing, even in a guest that is emulated beside
/// others; and still less than the 18 s after which it would have been given up.
const PROMPT: Duration = Duration::from_secs(15);

const NO_PATH: i32 = 13;
