//! What multipathd does for a path that comes back: its registration is settled before the map
//! may use it. A sandbox has no daemon, so whoever brings the path back does it.

use std::time::Duration;

use mpath_state::prkeys::PrKeysFile;
use mpath_state::record::RecordDir;
use pr_policy::{
    Clear, Membership, Options, PathId, PathReturn, Registration, Request, Settlement, Trust,
};
use scsi_pr::ReservationKey;

use super::san::{Condition, InMap};
use super::{Node, SandboxError, SandboxHands};
use crate::books::Books;
use crate::executor;
use crate::map::OpenMap;

impl Node {
    /// Brings paths back, and reinstates those whose registration can be settled. Says what
    /// became of each that was not in use.
    ///
    /// # Errors
    /// There is no such path, or the sandbox cannot be used.
    pub fn bring_back(&self, devices: &[String]) -> Result<Vec<String>, SandboxError> {
        self.set_condition(devices, Condition::Up)?;
        let returns = devices.iter().map(|device| self.settle(device));
        let told: Vec<Option<String>> = returns.collect::<Result<_, _>>()?;
        Ok(told.into_iter().flatten().collect())
    }

    fn settle(&self, device: &str) -> Result<Option<String>, SandboxError> {
        let san = self.folder().read()?;
        let path = self.path(&san, device)?;
        let trust = match path.in_map {
            InMap::Active => return Ok(None),
            InMap::Failed => Trust::Trusted,
            InMap::Suspect => Trust::Suspect,
        };
        let Some(lun) = san.luns.get(path.lun) else {
            return Ok(None);
        };
        let refused = |error: &dyn std::error::Error| SandboxError::Return {
            device: path.device.clone(),
            reason: error.to_string(),
        };
        let map = self.resolve(&lun.map).map_err(|error| refused(&error))?;
        let lock = RecordDir::new(self.dir().join("run")).lock(map.wwid(), LOCK_PATIENCE);
        let lock = lock.map_err(|error| refused(&error))?;
        let prkeys = PrKeysFile::new(self.dir().join("prkeys"));
        let mut books = Books::open(&map, &lock, prkeys, None, None);
        let membership = books.membership();
        let snapshot = books.remembered().onto(map.snapshot());
        let id = path_id(&map, &path.device);
        let mut machine = PathReturn::new(id, membership, trust, snapshot, options());
        let mut hands = SandboxHands::new(self, map.paths());
        let note = |trust| self.set_in_map(&path.device, doubted(trust));
        let settlement = executor::settle(&mut machine, &mut hands, note)?;
        books.record_return(machine.effects());
        self.set_in_map(
            &path.device,
            match settlement {
                Settlement::Reinstate => InMap::Active,
                Settlement::TryAgain(trust) => doubted(trust),
            },
        )?;
        let told = told(
            membership,
            settlement,
            machine.effects().registration.as_ref(),
        );
        Ok(Some(format!("{}: {told}", path.device)))
    }

    fn set_in_map(&self, device: &str, in_map: InMap) -> Result<(), SandboxError> {
        self.folder().change(|san| {
            self.path_mut(san, device)?.in_map = in_map;
            Ok(())
        })
    }
}

fn told(was: Membership, settlement: Settlement, is: Option<&Registration>) -> String {
    match (settlement, is, was) {
        (Settlement::TryAgain(_), ..) => {
            "kept out, since it cannot be told whether this node is still registered: bring \
             another path back, or this one again"
                .to_owned()
        }
        (_, Some(Registration::Registered { key, .. }), _) => {
            format!("back in use, registered with {key}")
        }
        (_, _, Membership::Lasting) => {
            "back in use, not registered: this node was shut out while the path was away".to_owned()
        }
        _ => "back in use, not registered, as this node is not".to_owned(),
    }
}

const fn doubted(trust: Trust) -> InMap {
    match trust {
        Trust::Trusted => InMap::Failed,
        Trust::Suspect => InMap::Suspect,
    }
}

fn path_id(map: &OpenMap, device: &str) -> PathId {
    let at = map.paths().iter().position(|path| path.name == device);
    let at = at.and_then(|at| u32::try_from(at).ok());
    PathId(at.unwrap_or(u32::MAX))
}

/// A path may take as long to come back as a command that changes registrations.
fn options() -> Options {
    let key = ReservationKey::NONE;
    Options::for_request(&Request::Clear(Clear { key }))
}

/// Commands on the map end within 18 s.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);
