//! `mpathpersist` while paths do not answer at all: every command ends within its deadline, leaves
//! nobody waiting, and tells what it knows. The deadlines are made for fence
//! agents, who kill after 20 s and give a read 5 s.

use std::fs;
use std::time::{Duration, Instant};

use xtask::error::{Context, Error, Result};
use xtask::guest::{Fabric, Finished, Lab, Nexus, Writer, run, until};

use crate::persist::{NEW, NONE, OURS, Stage, THEIRS, held_by_us, is_suspended};

/// Each kind of command has a map of its own, so that they wait at the same time.
#[test]
fn commands_go_around_a_path_that_hangs() -> Result {
    let lab = Lab::shared("hanging")?;
    let scenes: [fn(&Stage) -> Result; 5] = [
        read,
        register_and_change_key,
        reserve_and_release,
        ignore_and_unregister,
        preempt_and_clear,
    ];
    let mut stages = Vec::new();
    for _ in &scenes {
        stages.push(Stage::new(&lab, Fabric::Iscsi, 3)?);
    }
    std::thread::scope(|scope| {
        let start = |(scene, stage)| scope.spawn(move || run_scene(scene, stage));
        let running: Vec<_> = scenes.into_iter().zip(&stages).map(start).collect();
        running.into_iter().try_for_each(|scene| {
            let ended = scene.join();
            ended.map_err(|_| Error::unexpected("a scene panicked"))?
        })
    })
}

fn run_scene(scene: fn(&Stage) -> Result, stage: &Stage) -> Result {
    stage.other.witness().register_and_ignore(THEIRS)?;
    scene(stage)
}

fn read(stage: &Stage) -> Result {
    stage.done("-G -S a")?;
    stage.done("-R -K a -T 5")?;
    // Whichever path is asked first: each hangs once.
    for (at, action) in ["-k", "-r", "-s"].into_iter().enumerate() {
        let words = format!("-i {action}");
        let read = while_hanging(stage, at, || stage.run(&words)?.succeeded())?;
        let took = read.duration;
        assert!(took < READ, "{words} took {took:?}");
        assert!(read.stdout.contains("0xa"), "{words}: {}", read.stdout);
    }
    Ok(())
}

fn register_and_change_key(stage: &Stage) -> Result {
    around(stage, 0, "-G -S a")?;
    assert_eq!(stage.keys()?[1..], [OURS; 2]);
    stage.done("-I -S a")?;
    assert_eq!(stage.keys()?, [OURS; 3]);
    around(stage, 0, "-G -K a -S c")?;
    assert_eq!(stage.keys()?[1..], [NEW; 2]);
    stage.done("-I -S c")?;
    assert_eq!(stage.keys()?, [NEW; 3]);
    Ok(())
}

fn reserve_and_release(stage: &Stage) -> Result {
    stage.done("-G -S a")?;
    around(stage, 0, "-R -K a -T 5")?;
    assert_eq!(stage.state()?.held, held_by_us(5));
    // Whichever it was that reserved in the end.
    stage.done("-L -K a -T 5")?;
    stage.lun.paths()[1].witness().reserve(OURS, 5)?;
    around(stage, 0, "-L -K a -T 5")?;
    assert_eq!((stage.state()?.held, stage.keys()?), (None, vec![OURS; 3]));
    Ok(())
}

fn ignore_and_unregister(stage: &Stage) -> Result {
    around(stage, 2, "-I -S a")?;
    assert_eq!(stage.keys()?[..2], [OURS; 2]);
    stage.done("-I -S a")?;
    around(stage, 2, "-I -S 0")?;
    assert_eq!(stage.keys()?[..2], [NONE; 2]);
    stage.done("-I -S 0")?;
    assert_eq!(stage.keys()?, [NONE; 3]);
    Ok(())
}

fn preempt_and_clear(stage: &Stage) -> Result {
    stage.done("-G -S a")?;
    around(stage, 0, "-A -K a -S b -T 5")?;
    let state = stage.state()?;
    assert_eq!((state.theirs, state.ours), (NONE, vec![OURS; 3]));
    around(stage, 0, "-C -K a")?;
    assert_eq!(
        stage.keys()?,
        [NONE; 3],
        "what arrives late changes nothing"
    );
    Ok(())
}

/// A PERSISTENT RESERVE OUT that succeeds while that path hangs.
fn around(stage: &Stage, at: usize, words: &str) -> Result {
    // The kernel gives what it has sent up after this time, and then the session; the command
    // itself does not wait for that.
    let words = format!("--timeout 60 {words}");
    let finished = while_hanging(stage, at, || stage.done(&words))?;
    assert!(
        finished.duration < OUT,
        "{words} took {:?}",
        finished.duration
    );
    Ok(())
}

/// Runs a command while a path hangs. Afterwards the path has answered everything that was sent
/// to it meanwhile.
fn while_hanging(
    stage: &Stage,
    at: usize,
    command: impl FnOnce() -> Result<Finished>,
) -> Result<Finished> {
    let path = &stage.lun.paths()[at];
    path.hang()?;
    let finished = command();
    path.resume()?;
    let finished = ended_alone(finished?);
    let start = Instant::now();
    path.witness().read_keys()?;
    println!(
        "{} answered again after {:?}",
        path.address(),
        start.elapsed()
    );
    Ok(finished)
}

#[test]
fn a_map_that_hangs_as_a_whole_is_given_up_in_time() -> Result {
    let lab = Lab::shared("allhang")?;
    let (patient, hurried) = (
        Stage::new(&lab, Fabric::Iscsi, 2)?,
        Stage::new(&lab, Fabric::Iscsi, 2)?,
    );
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| give_up(&patient, "-o -R -K a -T 5", OUT));
        give_up(&hurried, "-o --timeout 3 -R -K a -T 5", SHORT)?;
        give_up(&hurried, "-i --timeout 2 -k", SHORT)?;
        waiting
            .join()
            .map_err(|_| Error::unexpected("a scene panicked"))?
    })
}

/// Runs a command while no path answers.
fn give_up(stage: &Stage, words: &str, limit: Duration) -> Result {
    stage.done("-I -S a")?;
    let paths = stage.lun.paths();
    paths.iter().try_for_each(Nexus::hang)?;
    let finished = stage.run(words);
    paths.iter().try_for_each(Nexus::resume)?;
    let finished = ended_alone(finished?.ended_with(OTHER)?);
    assert!(finished.duration < limit, "it took {:?}", finished.duration);
    let said = if words.starts_with("-o") {
        "may have been carried out or not"
    } else {
        "no path answered"
    };
    assert!(finished.stderr.contains(said), "{}", finished.stderr);
    paths
        .iter()
        .try_for_each(|path| path.witness().read_keys().map(drop))
}

/// A write that is on its way to the silent holder: device-mapper suspends no map before it has
/// ended, and without that the others would be refused while the reservation is taken over.
#[test]
fn nothing_is_taken_over_while_a_write_hangs() -> Result {
    let lab = Lab::shared("hangingwrite")?;
    let stage = Stage::new(&lab, Fabric::Iscsi, 3)?;
    stage.other.witness().register_and_ignore(THEIRS)?;
    stage.done("-G -S a")?;
    stage.done("-R -K a -T 5")?;
    let before = stage.state()?;
    let path = &stage.lun.paths()[stage.holder()?];
    let disk = path.disk()?;
    run("udevadm", ["settle", "--timeout=20"])?;
    path.hang()?;
    // The map's paths take turns.
    let writer = Writer::start(stage.map.node(), Duration::ZERO)?;
    let file = format!("/sys/block/{disk}/inflight");
    let hanging = until("a write to be on its way to the holder", || {
        let text = fs::read_to_string(&file).context(|| format!("cannot read {file}"))?;
        let writes = text.split_whitespace().next_back();
        Ok(writes.is_some_and(|count| count != "0").then_some(()))
    });
    let seen = hanging.and_then(|()| {
        let refused = stage.run("-o --timeout 12 -L -K a -T 5")?;
        Ok((refused, stage.state()?, is_suspended(stage.map.name())?))
    });
    // Before anything can fail: the writer ends with its write.
    path.resume()?;
    let (refused, after, suspended) = seen?;
    let refused = ended_alone(refused.ended_with(OTHER)?);
    let said = "could not be suspended";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    assert!(refused.duration < OUT, "it took {:?}", refused.duration);
    assert_eq!((after, suspended), (before, false));
    // Whatever hung has arrived when the path answers.
    path.witness().read_keys()?;
    writer.done()?;
    stage.done("-L -K a -T 5")?;
    let written = writer.stop();
    assert_eq!(written.failed, 0, "{written:?}");
    assert_eq!((stage.state()?.held, stage.keys()?), (None, vec![OURS; 3]));
    Ok(())
}

/// It ended although its workers are stuck, and so did the waiting of whoever reads what it
/// prints: they hold nothing of it.
fn ended_alone(finished: Finished) -> Finished {
    let (took, closed) = (finished.duration, finished.closed_after);
    println!("{} took {took:?}", finished.command);
    assert!(closed < took + REAPED, "its output stayed open: {closed:?}");
    finished
}

/// A read asks the next path after a second; the guest is emulated, and not alone.
const READ: Duration = Duration::from_secs(10);

/// The deadline for PERSISTENT RESERVE OUT is 18 s. Twice that is what an emulated guest on a busy
/// machine may take; a command without a deadline takes longer than 60 s.
const OUT: Duration = Duration::from_secs(36);

/// For a deadline of 3 s or less.
const SHORT: Duration = Duration::from_secs(10);

const REAPED: Duration = Duration::from_secs(1);

const OTHER: i32 = 15;
