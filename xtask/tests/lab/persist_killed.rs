//! The command is killed while its child has the map suspended, as a fence agent does that has
//! waited long enough: the child goes on, and whoever comes next finds everything in order. Or the
//! child is killed, as by somebody who tidies up: the command resumes the map. Or both: whoever
//! comes next resumes it.

use std::fs;
use std::path::Path;

use xtask::error::{Context, Error, Result};
use xtask::guest::{Fabric, Lab, Map, run, until};

use crate::daemon_killed::SLOWLY;
use crate::persist::{NONE, OURS, Stage, THEIRS, held_by_us, is_suspended};

/// The child is stopped, which no process can block, so that the map stays suspended for as long
/// as it is looked at.
#[test]
fn the_child_of_a_command_that_was_killed_resumes_the_map() -> Result {
    check("parentkilled", |stage, child| {
        check_shield(child)?;
        signal("-KILL", child.parent)?;
        until("the command to end", || {
            let parent = Process::read(child.parent);
            Ok(parent.is_none_or(|it| it.state == "Z").then_some(()))
        })?;
        assert!(is_suspended(stage.map.name())?, "by the child alone");
        signal("-CONT", child.id)?;
        await_resumed(stage)
    })
}

#[test]
fn the_command_whose_child_was_killed_resumes_the_map() -> Result {
    check("childkilled", |stage, child| {
        signal("-KILL", child.id)?;
        await_resumed(stage)
    })
}

#[test]
fn a_map_that_both_have_left_suspended_is_resumed_by_the_next_command() -> Result {
    check("bothkilled", |stage, child| {
        signal("-KILL", child.parent)?;
        signal("-KILL", child.id)?;
        until("both to end", || {
            let left = [child.id, child.parent].map(Process::read);
            let is_over = |it: &Process| it.state == "Z";
            Ok(left.iter().flatten().all(is_over).then_some(()))
        })?;
        assert!(is_suspended(stage.map.name())?, "nobody has resumed it");
        Ok(())
    })
}

fn await_resumed(stage: &Stage) -> Result {
    until("the map to be resumed", || {
        Ok((!is_suspended(stage.map.name())?).then_some(()))
    })
}

/// RELEASE, with the path that holds dead, until its child has the map suspended and is stopped;
/// then what happens, and the next command.
fn check(name: &str, happens: impl FnOnce(&Stage, &Process) -> Result) -> Result {
    let lab = Lab::shared(name)?;
    let stage = Stage::new(&lab, Fabric::Loop, 3)?;
    stage.other.witness().register_and_ignore(THEIRS)?;
    stage.done("-G -S a")?;
    stage.done("-R -K a -T 5")?;
    let holder = stage.holder()?;
    stage.lun.paths()[holder].set_offline()?;
    let command = ["mpathpersist", "-o", "-L", "-K", "a", "-T", "5", "-d"];
    let command = [&command[..], &[stage.map.node()]].concat();
    std::thread::scope(|scope| {
        let release = scope.spawn(|| run("strace", SLOWLY.iter().chain(&command)));
        let child = until("a child that has the map suspended", || {
            let is_so = reads_suspended(&stage.map)?;
            Ok(if is_so { child(&stage.map)? } else { None })
        })?;
        signal("-STOP", child.id)?;
        happens(&stage, &child)?;
        let ended = release.join();
        let ended = ended.map_err(|_| Error::unexpected("the command's thread panicked"))??;
        assert_ne!(ended.code(), 0, "it was not to succeed");
        Result::Ok(())
    })?;
    check_order(&stage, holder)
}

/// Of a session of its own, and with its memory locked: some of it could lie on the map.
fn check_shield(child: &Process) -> Result {
    let parent = Process::read(child.parent);
    let parent = parent.ok_or_else(|| Error::unexpected("the command has ended"))?;
    assert_ne!(child.session, parent.session, "a session of its own");
    let file = format!("/proc/{}/status", child.id);
    let text = fs::read_to_string(&file).context(|| format!("cannot read {file}"))?;
    let locked = text.lines().find_map(|line| line.strip_prefix("VmLck:"));
    let locked = locked.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    assert!(locked.is_some_and(|size| size > 0), "{text}");
    Ok(())
}

/// The next command completes what was asked, and does what it is asked itself.
fn check_order(stage: &Stage, holder: usize) -> Result {
    let next = stage.done("-R -K a -T 5")?;
    assert!(next.stderr.contains("was cut off"), "{}", next.stderr);
    let mut keys = vec![OURS; 3];
    keys[holder] = NONE;
    let state = stage.state()?;
    assert_eq!((state.ours, state.theirs), (keys, THEIRS));
    assert_eq!(state.held, held_by_us(5));
    let journal = format!("/run/mpath-pr/{}.journal", stage.lun.wwid());
    assert!(!Path::new(&journal).exists());
    assert!(!is_suspended(stage.map.name())?);
    assert!(stage.can_write()?);
    Ok(())
}

/// What the kernel says of a process.
#[derive(Debug)]
struct Process {
    id: u32,
    state: String,
    parent: u32,
    session: u32,
}

impl Process {
    /// `None` if there is none, or none any more.
    fn read(id: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // Its name, in brackets, comes before.
        let (_, rest) = text.rsplit_once(") ")?;
        let mut words = rest.split(' ');
        let state = words.next()?.to_owned();
        let mut number = || words.next()?.parse().ok();
        let (parent, _group, session) = (number()?, number()?, number()?);
        Some(Self {
            id,
            state,
            parent,
            session,
        })
    }
}

/// The child of the command for this map: the one that leads a session.
fn child(map: &Map) -> Result<Option<Process>> {
    let all = fs::read_dir("/proc").context(|| "cannot read /proc".to_owned())?;
    let ids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_for_map = |id: &u32| {
        let line = fs::read_to_string(format!("/proc/{id}/cmdline"));
        line.is_ok_and(|line| line.starts_with("mpathpersist\0") && line.contains(map.node()))
    };
    let processes = ids.filter(is_for_map).filter_map(Process::read);
    Ok({ processes }.find(|process| process.session == process.id))
}

/// Much sooner than dmsetup says it.
fn reads_suspended(map: &Map) -> Result<bool> {
    let node = fs::canonicalize(map.node()).context(|| format!("{} is gone", map.node()))?;
    let name = node.file_name().unwrap_or_default();
    let file = Path::new("/sys/block").join(name).join("dm/suspended");
    let text = fs::read_to_string(&file).context(|| format!("cannot read {}", file.display()))?;
    Ok(text.trim() == "1")
}

fn signal(name: &str, process: u32) -> Result {
    run("kill", [name, &process.to_string()])?
        .succeeded()
        .map(drop)
}
