//! The path that holds the reservation is gone, and `mpathpersist` is asked to release, to change
//! the key, to unregister, … The map must end up as one disk does that is asked the same: a second
//! LUN, with one nexus for each node, driven by sg_persist, is that disk.
//!
//! Under types 1 and 3 one disk lets in the one nexus that reserved, and registering lets nobody
//! in: while such a reservation stands, a map with several paths can be written through one of
//! them at most, and not at all while that one is away. So there only what the commands do is
//! compared, and that writing is possible again once the reservation is gone.
//!
//! Under the other types, whoever writes through the map all the while must not notice anything if
//! one disk lets this node write before the command and after it. It does not, and so nothing is
//! said about writes on the way, where a command leaves this node unregistered while a reservation
//! stands: it unregisters under types 7 and 8, which the other node goes on holding, or moves the
//! reservation away.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use xtask::error::Result;
use xtask::guest::{Answer, Fabric, Lab, Lun, Nexus, Witness, Writer, Written, run, tell};

use crate::persist::{Held, NEW, NONE, OURS, Stage, State, THEIRS, can_write, transport_id};

/// How the holder goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Its device is offline.
    Offline,
    /// Its device is removed from the kernel; the map still names it.
    Deleted,
    /// It is removed from the kernel and from the map.
    Removed,
    /// It takes commands and never answers.
    Silent,
}

/// What is asked while it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Release,
    ChangeKey,
    ReplaceKey,
    Unregister,
    UnregisterWhatever,
    ReserveAgain,
    PreemptSelf,
    Clear,
    /// REGISTER AND MOVE to the other node.
    Move,
    /// The same, unregistering.
    MoveAway,
}

/// The disk that the map is compared with.
#[derive(Debug)]
struct Reference {
    lun: Lun,
    other: Nexus,
    receiver: Receiver,
}

const ACTS: [Act; 8] = [
    Act::Release,
    Act::ChangeKey,
    Act::ReplaceKey,
    Act::Unregister,
    Act::UnregisterWhatever,
    Act::ReserveAgain,
    Act::PreemptSelf,
    Act::Clear,
];

const MOVES: [Act; 2] = [Act::Move, Act::MoveAway];

#[test]
fn offline_under_write_exclusive_for_registrants() -> Result {
    check("offline5", Loss::Offline, 5)
}

#[test]
fn offline_under_exclusive_access_for_registrants() -> Result {
    check("offline6", Loss::Offline, 6)
}

#[test]
fn offline_under_write_exclusive_for_all_registrants() -> Result {
    check("offline7", Loss::Offline, 7)
}

#[test]
fn offline_under_exclusive_access_for_all_registrants() -> Result {
    check("offline8", Loss::Offline, 8)
}

#[test]
fn deleted_under_write_exclusive_for_registrants() -> Result {
    check("deleted5", Loss::Deleted, 5)
}

#[test]
fn deleted_under_exclusive_access_for_registrants() -> Result {
    check("deleted6", Loss::Deleted, 6)
}

#[test]
fn deleted_under_write_exclusive_for_all_registrants() -> Result {
    check("deleted7", Loss::Deleted, 7)
}

#[test]
fn deleted_under_exclusive_access_for_all_registrants() -> Result {
    check("deleted8", Loss::Deleted, 8)
}

#[test]
fn removed_under_write_exclusive_for_registrants() -> Result {
    check("removed5", Loss::Removed, 5)
}

#[test]
fn removed_under_exclusive_access_for_all_registrants() -> Result {
    check("removed8", Loss::Removed, 8)
}

#[test]
fn removed_under_exclusive_access() -> Result {
    check("removed3", Loss::Removed, 3)
}

#[test]
fn silent_under_write_exclusive_for_registrants() -> Result {
    check("silent5", Loss::Silent, 5)
}

#[test]
fn silent_under_exclusive_access_for_registrants() -> Result {
    check("silent6", Loss::Silent, 6)
}

#[test]
fn silent_under_write_exclusive_for_all_registrants() -> Result {
    check("silent7", Loss::Silent, 7)
}

#[test]
fn silent_under_exclusive_access_for_all_registrants() -> Result {
    check("silent8", Loss::Silent, 8)
}

#[test]
fn offline_under_write_exclusive() -> Result {
    check("offline1", Loss::Offline, 1)
}

#[test]
fn offline_under_exclusive_access() -> Result {
    check("offline3", Loss::Offline, 3)
}

#[test]
fn deleted_under_write_exclusive() -> Result {
    check("deleted1", Loss::Deleted, 1)
}

#[test]
fn deleted_under_exclusive_access() -> Result {
    check("deleted3", Loss::Deleted, 3)
}

#[test]
fn silent_under_write_exclusive() -> Result {
    check("silent1", Loss::Silent, 1)
}

#[test]
fn silent_under_exclusive_access() -> Result {
    check("silent3", Loss::Silent, 3)
}

#[test]
fn moved_while_offline() -> Result {
    check_acts(&MOVES, "moved5", Loss::Offline, 5)
}

#[test]
fn moved_while_deleted() -> Result {
    check_acts(&MOVES, "moved3", Loss::Deleted, 3)
}

#[test]
fn moved_while_silent() -> Result {
    check_acts(&MOVES, "moved6", Loss::Silent, 6)
}

/// One disk cannot either.
#[test]
fn not_moved_from_all_registrants() -> Result {
    check_acts(&MOVES, "moved8", Loss::Deleted, 8)
}

fn check(name: &str, loss: Loss, kind: u8) -> Result {
    check_acts(&ACTS, name, loss, kind)
}

fn check_acts(acts: &[Act], name: &str, loss: Loss, kind: u8) -> Result {
    let lab = Lab::shared(name)?;
    let fabric = match loss {
        Loss::Silent => Fabric::Iscsi,
        Loss::Offline | Loss::Deleted | Loss::Removed => Fabric::Loop,
    };
    let stage = Stage::new(&lab, fabric, 3)?;
    let receiver = Receiver::new(&stage.other)?;
    let mut reference = None;
    let mut longest = Duration::ZERO;
    for act in acts.iter().copied() {
        let (expected, is_admitted) = expected(&lab, &mut reference, act, kind)?;
        let scene = Scene {
            loss,
            act,
            kind,
            is_admitted,
        };
        let (found, written) = scene.play(&stage, &receiver)?;
        assert_eq!(found, expected, "{scene:?}");
        longest = longest.max(written.map_or(Duration::ZERO, |written| written.longest));
    }
    if !longest.is_zero() {
        tell(&format!(
            "{name}: no write through the map took longer than {longest:?}"
        ));
    }
    Ok(())
}

/// What one disk does, and whether it lets this node write afterwards, as it did before. That
/// depends on nothing else, so it is asked once for all scenarios.
fn expected(lab: &Lab, disk: &mut Option<Reference>, act: Act, kind: u8) -> Result<(Found, bool)> {
    static KNOWN: Mutex<BTreeMap<(Act, u8), (Found, bool)>> = Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known().get(&(act, kind)) {
        return Ok(found.clone());
    }
    let disk = match disk {
        Some(disk) => disk,
        None => disk.insert(Reference::new(lab)?),
    };
    let found = disk.play(act, kind)?;
    known().insert((act, kind), found.clone());
    Ok(found)
}

/// What is compared: whether it succeeded, this node's key, the other's, and the reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    succeeded: bool,
    key: u64,
    theirs: u64,
    held: Option<Held>,
}

/// A command while the holder is gone, and what one disk does then.
#[derive(Debug, Clone, Copy)]
struct Scene {
    loss: Loss,
    act: Act,
    kind: u8,
    /// Whether one disk lets this node write after the command.
    is_admitted: bool,
}

impl Scene {
    /// Registers, reserves, loses the holder, acts, looks, and puts everything back.
    fn play(self, stage: &Stage, receiver: &Receiver) -> Result<(Found, Option<Written>)> {
        let Self {
            loss, act, kind, ..
        } = self;
        stage.other.witness().register_and_ignore(THEIRS)?;
        stage.done("-I -S a")?;
        stage.done(&format!("-R -K a -T {kind}"))?;
        let holder = stage.holder()?;
        let path = &stage.lun.paths()[holder];
        path_goes(stage, path, loss)?;
        // As a daemon does that has noticed; the others find out themselves.
        let is_told = loss == Loss::Silent && TOLD.contains(&kind);
        if is_told {
            stage.map.fail_path(path)?;
        }
        // What the map has sent to a silent path nobody gets back.
        let is_quiet = loss != Loss::Silent || is_told;
        let may_write = is_quiet && kind >= FIRST_FOR_REGISTRANTS;
        let start = || Writer::start(stage.map.node(), REST);
        let writer = may_write.then(start).transpose()?;
        let finished = stage.run(&format!("-o {}", act.words(kind, receiver)))?;
        let state = stage.state()?;
        let written = writer.map(Writer::stop);
        let left = state.ours[holder];
        let living: Vec<u64> = without(&state.ours, holder);
        let key = living[0];
        let said = format!("{}{}", finished.stdout, finished.stderr);
        let is_even = living.iter().all(|other| *other == key);
        assert!(is_even, "{self:?}: {state:?}\n{said}");
        let is_right = left == NONE || left == key;
        assert!(
            is_right,
            "{self:?} left {left:#x} on the dead path: {state:?}"
        );
        let written = written.filter(|_| self.is_admitted);
        if let Some(written) = written {
            let is_unbroken = written.done > 0 && written.failed == 0 && written.longest < STALL;
            assert!(is_unbroken, "{self:?}: {written:?}\n{said}");
        }
        if loss == Loss::Silent {
            stage.map.fail_path(path)?;
        }
        self.check_access(stage, &state)?;
        if loss == Loss::Silent {
            self.check_late_arrival(stage, &state, holder)?;
        }
        // Exclusive access would keep the kernel from reading the size of a disk that comes back
        // without a registration.
        tidy_up(stage)?;
        path_returns(stage, path, loss)?;
        let found = Found {
            succeeded: finished.code() == 0,
            key,
            theirs: state.theirs,
            held: state.held,
        };
        Ok((found, written))
    }

    /// What the silent path was sent is carried out once it answers, and changes nothing any more:
    /// at most it has the key that this node has everywhere else.
    fn check_late_arrival(self, stage: &Stage, before: &State, holder: usize) -> Result {
        let path = &stage.lun.paths()[holder];
        path.resume()?;
        path.witness().read_keys()?;
        let mut late = stage.state()?;
        let key = without(&before.ours, holder)[0];
        if late.ours[holder] == key {
            late.ours[holder] = before.ours[holder];
        }
        assert_eq!(late, *before, "{self:?}, once the path has answered");
        Ok(())
    }

    /// The map lets in whom one disk does; but where one nexus is let in, the map's other paths
    /// are not.
    fn check_access(self, stage: &Stage, state: &State) -> Result {
        let is_one_nexus = self.kind < FIRST_FOR_REGISTRANTS && state.held.is_some();
        if !(self.is_admitted && is_one_nexus) {
            assert_eq!(stage.can_write()?, self.is_admitted, "{self:?}: {state:?}");
        }
        Ok(())
    }
}

fn without(keys: &[u64], at: usize) -> Vec<u64> {
    let others = keys.iter().enumerate().filter(|(index, _)| *index != at);
    others.map(|(_, key)| *key).collect()
}

pub(crate) fn path_goes(stage: &Stage, path: &Nexus, loss: Loss) -> Result {
    match loss {
        Loss::Offline => path.set_offline(),
        Loss::Deleted => path.delete(),
        Loss::Removed => {
            let mut others = stage.lun.paths().to_vec();
            others.retain(|other| other.relative_target_port() != path.relative_target_port());
            stage.map.reload(&stage.lun, &others)?;
            path.delete()
        }
        Loss::Silent => {
            // What udev reads through the map must not be on its way: nobody gets it back, and
            // device-mapper suspends no map before it has ended. What it waits for in the end may
            // be the map of another scenario, which hangs as long as that wants it to.
            run("udevadm", ["settle", "--timeout=20"])?;
            path.hang()
        }
    }
}

pub(crate) fn path_returns(stage: &Stage, path: &Nexus, loss: Loss) -> Result {
    match loss {
        Loss::Offline => {
            path.set_running()?;
            stage.map.reinstate_path(path)
        }
        // Whatever was sent meanwhile is carried out before the answer. Twice does no harm.
        Loss::Silent => {
            path.resume()?;
            path.witness().read_keys()?;
            stage.map.reinstate_path(path)
        }
        Loss::Deleted | Loss::Removed => {
            path.rescan()?;
            stage.map.reload(&stage.lun, stage.lun.paths())
        }
    }
}

/// Nothing registered, on whatever nexus.
pub(crate) fn tidy_up(stage: &Stage) -> Result {
    stage.other.witness().register_and_ignore(THEIRS)?;
    stage.other.witness().clear(THEIRS)?;
    stage.run("-o -I -S 0")?;
    Ok(())
}

/// Where the reservation is moved to.
#[derive(Debug)]
struct Receiver {
    port: String,
    number: u16,
}

impl Receiver {
    fn new(nexus: &Nexus) -> Result<Self> {
        Ok(Self {
            port: transport_id(nexus)?,
            number: nexus.relative_target_port(),
        })
    }

    /// REGISTER AND MOVE by sg_persist.
    fn sent_by(&self, sender: &Witness, options: &[&str]) -> Result<Answer> {
        let number = self.number.to_string();
        let words = ["-M", "-K", "a", "-S", "b", "-Q", &number, "-X", &self.port];
        sender.write(&[&words, options].concat())
    }
}

impl Act {
    fn words(self, kind: u8, receiver: &Receiver) -> String {
        let Receiver { port, number } = receiver;
        let to = format!("--relative-target-port={number} -X {port}");
        match self {
            Self::Release => format!("-L -K a -T {kind}"),
            Self::ChangeKey => "-G -K a -S c".to_owned(),
            Self::ReplaceKey => "-I -S c".to_owned(),
            Self::Unregister => "-G -K a -S 0".to_owned(),
            Self::UnregisterWhatever => "-I -S 0".to_owned(),
            Self::ReserveAgain => format!("-R -K a -T {kind}"),
            Self::PreemptSelf => format!("-P -K a -S a -T {kind}"),
            Self::Clear => "-C -K a".to_owned(),
            Self::Move => format!("--register-move -K a -S b {to}"),
            Self::MoveAway => format!("--register-move -K a -S b --param-unreg {to}"),
        }
    }
}

impl Reference {
    fn new(lab: &Lab) -> Result<Self> {
        let mut lun = lab.lun(Fabric::Loop, 1)?;
        let other = lun.add_nexuses(2, 1)?.remove(0);
        let receiver = Receiver::new(&other)?;
        Ok(Self {
            lun,
            other,
            receiver,
        })
    }

    /// What was found, and whether this node may write afterwards. Before, it always may: it
    /// holds the reservation.
    fn play(&self, act: Act, kind: u8) -> Result<(Found, bool)> {
        let mine = self.lun.paths()[0].witness();
        self.other.witness().register_and_ignore(THEIRS)?;
        mine.register_and_ignore(OURS)?;
        mine.reserve(OURS, kind)?;
        let answer = match act {
            Act::Release => mine.release(OURS, kind)?,
            Act::ChangeKey => mine.register(OURS, NEW)?,
            Act::ReplaceKey => mine.register_and_ignore(NEW)?,
            Act::Unregister => mine.register(OURS, NONE)?,
            Act::UnregisterWhatever => mine.register_and_ignore(NONE)?,
            Act::ReserveAgain => mine.reserve(OURS, kind)?,
            Act::PreemptSelf => mine.preempt(OURS, OURS, kind)?,
            Act::Clear => mine.clear(OURS)?,
            Act::Move => self.receiver.sent_by(&mine, &[])?,
            Act::MoveAway => self.receiver.sent_by(&mine, &["-U"])?,
        };
        let state = State::read(self.lun.paths(), &self.other)?;
        let is_admitted = can_write(&self.lun.paths()[0])?;
        self.other.witness().register_and_ignore(THEIRS)?;
        self.other.witness().clear(THEIRS)?;
        let found = Found {
            succeeded: answer == Answer::Done,
            key: state.ours[0],
            theirs: state.theirs,
            held: state.held,
        };
        Ok((found, is_admitted))
    }
}

/// The types under which a daemon has told the map that the path is silent.
const TOLD: [u8; 2] = [6, 7];

/// Types from this one on let registrants in.
const FIRST_FOR_REGISTRANTS: u8 = 5;

/// No write may stand for longer, whatever is done to the reservation meanwhile. Emulated, on a
/// busy machine, it was a third of a second at most.
const STALL: Duration = Duration::from_secs(2);

/// Between two writes.
const REST: Duration = Duration::from_millis(20);
