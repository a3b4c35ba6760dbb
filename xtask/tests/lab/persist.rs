//! What the scenarios of `mpathpersist` share: a map of this node beside a nexus of another node,
//! short forms for what both do, and one view of what the target says, read by the other.

use xtask::error::{Error, Result};
use xtask::guest::{Fabric, Finished, Lab, Lun, Map, Nexus, Registration, run};

/// This node's key, in command lines `a`.
pub(crate) const OURS: u64 = 0xa;

/// The other node's key, in command lines `b`.
pub(crate) const THEIRS: u64 = 0xb;

/// This node's next key, in command lines `c`.
pub(crate) const NEW: u64 = 0xc;

/// No registration.
pub(crate) const NONE: u64 = 0;

/// A disk that two nodes share: this one by a map, the other by one nexus.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) lun: Lun,
    pub(crate) map: Map,
    pub(crate) other: Nexus,
}

/// The registrations and the reservation as the target tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// The key of each path of this node, in their order.
    pub(crate) ours: Vec<u64>,
    /// The key of the other node's nexus.
    pub(crate) theirs: u64,
    /// Who holds the reservation, if there is one.
    pub(crate) held: Option<Held>,
}

/// A reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) by_us: bool,
    pub(crate) by_them: bool,
    pub(crate) reservation_type: u8,
}

impl Stage {
    pub(crate) fn new(lab: &Lab, fabric: Fabric, paths: usize) -> Result<Self> {
        let mut lun = lab.lun(fabric, paths)?;
        let other = lun.add_nexuses(2, 1)?.remove(0);
        let map = lun.map()?;
        Ok(Self { lun, map, other })
    }

    /// Runs mpathpersist with these words on the map.
    pub(crate) fn run(&self, words: &str) -> Result<Finished> {
        run(
            "mpathpersist",
            words.split_whitespace().chain(["-d", self.map.node()]),
        )
    }

    /// A PERSISTENT RESERVE OUT that succeeds, which it does without a word.
    pub(crate) fn done(&self, words: &str) -> Result<Finished> {
        let finished = self.refused(words, 0)?;
        assert_eq!(finished.stdout, "", "{}", finished.command);
        Ok(finished)
    }

    /// A PERSISTENT RESERVE OUT that ends with this exit status.
    pub(crate) fn refused(&self, words: &str, code: i32) -> Result<Finished> {
        self.run(&format!("-o {words}"))?.ended_with(code)
    }

    /// What sg_persist says by the other node's nexus.
    pub(crate) fn state(&self) -> Result<State> {
        State::read(self.lun.paths(), &self.other)
    }

    /// The key of each path of this node, in their order.
    pub(crate) fn keys(&self) -> Result<Vec<u64>> {
        Ok(self.state()?.ours)
    }

    /// Which of this node's paths holds the reservation.
    pub(crate) fn holder(&self) -> Result<usize> {
        let status = self.other.witness().read_full_status()?;
        let holds = |nexus: &Nexus| {
            let port = nexus.relative_target_port();
            let mut all = status.iter();
            all.any(|it| it.holder && it.relative_target_port == port)
        };
        let found = self.lun.paths().iter().position(holds);
        found.ok_or_else(|| Error::unexpected("no path of this node holds the reservation"))
    }

    /// Whether a block can be written through the map, past all caches.
    pub(crate) fn can_write(&self) -> Result<bool> {
        let to = format!("of={}", self.map.node());
        let args = [
            "if=/dev/zero",
            &to,
            "bs=4k",
            "count=1",
            SEEK,
            "oflag=direct",
        ];
        let written = run("dd", args).map_err(|error| {
            let info = run("dmsetup", ["info", self.map.name()]);
            let info = info.map(|info| info.stdout).unwrap_or_default();
            let status = self.map.status().unwrap_or_default();
            Error::unexpected(format!("{error}\n{info}{status}"))
        });
        Ok(written?.code() == 0)
    }

    /// Whether the other node can write a block.
    pub(crate) fn can_other_write(&self) -> Result<bool> {
        can_write(&self.other)
    }
}

/// Whether the target takes a block by this nexus.
pub(crate) fn can_write(nexus: &Nexus) -> Result<bool> {
    // Takes the unit attentions, so that a failure is the reservation's.
    nexus.witness().read_keys()?;
    let to = format!("of={}", nexus.sg()?);
    Ok(run("sg_dd", ["if=/dev/zero", &to, "bs=512", "count=1"])?.code() == 0)
}

impl State {
    /// Reads the full status by the other node's nexus. Each registration that is listed must be
    /// one of these paths' or the other node's: a key that is left elsewhere is an error.
    pub(crate) fn read(paths: &[Nexus], other: &Nexus) -> Result<Self> {
        let status = other.witness().read_full_status()?;
        let by = |nexus: &Nexus| {
            let port = nexus.relative_target_port();
            status
                .iter()
                .find(move |it| it.relative_target_port == port)
        };
        let key = |found: Option<&Registration>| found.map_or(NONE, |it| it.key);
        let is_holder = |nexus: &Nexus| by(nexus).is_some_and(|it| it.holder);
        let held = status.iter().find(|it| it.holder).map(|holder| Held {
            by_us: paths.iter().any(is_holder),
            by_them: is_holder(other),
            reservation_type: holder.reservation_type.unwrap_or_default(),
        });
        let state = Self {
            ours: paths.iter().map(|path| key(by(path))).collect(),
            theirs: key(by(other)),
            held,
        };
        let keys = state.ours.iter().chain([&state.theirs]);
        let expected = keys.filter(|key| **key != NONE).count();
        if status.len() != expected {
            return Err(Error::unexpected(format!(
                "{expected} registrations are accounted for, not these: {status:#?}"
            )));
        }
        Ok(state)
    }
}

/// A reservation of this node alone.
pub(crate) fn held_by_us(reservation_type: u8) -> Option<Held> {
    Some(Held {
        by_us: true,
        by_them: false,
        reservation_type,
    })
}

/// The initiator port of a nexus as mpathpersist takes it: what the target calls it once it is
/// registered. It is not any more afterwards.
pub(crate) fn transport_id(nexus: &Nexus) -> Result<String> {
    let witness = nexus.witness();
    witness.register_and_ignore(THEIRS)?;
    let status = witness.read_full_status()?;
    witness.register_and_ignore(NONE)?;
    let text = &status[0].transport_id;
    let (kind, id) = text.split_once(": ").unwrap_or_default();
    Ok(match kind {
        "SAS address" => format!("sas,{}", id.trim_start_matches("0x")),
        _ => id.to_owned(),
    })
}

/// Whether the I/O of a map is stopped.
pub(crate) fn is_suspended(map: &str) -> Result<bool> {
    let args = ["info", "-c", "--noheadings", "-o", "suspended", map];
    let info = run("dmsetup", args)?.succeeded()?;
    Ok(info.stdout.trim() == "Suspended")
}

/// A block that udev does not read when it looks at a disk: whoever writes a block waits for
/// those who just read it, perhaps through a path that does not answer.
const SEEK: &str = "seek=600";

/// What all these scenarios rely on: a key is found also where none of them looks.
#[test]
fn a_registration_that_nobody_expects_is_found() -> Result {
    let lab = Lab::shared("stray")?;
    let mut stage = Stage::new(&lab, Fabric::Loop, 1)?;
    stage.done("-G -S a")?;
    assert_eq!(stage.keys()?, [OURS]);
    let stray = stage.lun.add_nexuses(2, 1)?.remove(0).witness();
    stray.register_and_ignore(OURS)?;
    let found = stage.state();
    assert!(found.is_err(), "{found:?}");
    stray.register_and_ignore(NONE)?;
    assert_eq!(stage.keys()?, [OURS]);
    Ok(())
}
