//! What the configuration says, in the form in which the engine asks.
//!
//! multipath.conf belongs to `mpath_state::config`; this is the only place of the daemon that
//! knows its precedence and built-in values. [`Rules::load`] reads files; the rest does no I/O.

use std::time::Duration;

use dm_multipath::scsi::ScsiDevice;
use mpath_state::StoredKey;
use mpath_state::bindings::Bindings;
use mpath_state::config::{Config, KeySetting, MapIdentity};
use mpath_state::prkeys::PrKeysFile;
use mpathpersist::Host;

use crate::model::Queueing;

/// The configuration in force.
#[derive(Debug, Clone)]
pub struct Rules {
    config: Config,
    bindings: Bindings,
}

/// How paths are spread over groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// All paths in one group.
    Multibus,
    /// Each path in a group of its own.
    Failover,
    /// Paths of the same priority in one group.
    GroupByPrio,
}

/// When the map goes back to its best group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failback {
    /// Never by itself.
    Manual,
    /// At once.
    Immediate,
    /// So many seconds after the best group came back.
    Seconds(u32),
}

/// What a map is to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapRules {
    /// Its name.
    pub name: String,
    /// How its paths are grouped.
    pub policy: Policy,
    /// What chooses among the paths of a group, `service-time` and its arguments.
    pub selector: String,
    /// What happens to I/O while no path works.
    pub queueing: Queueing,
    /// Further features for its table.
    pub features: Vec<String>,
    /// When it goes back to its best group.
    pub failback: Failback,
}

/// When paths are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// Between two checks, at first.
    pub polling: Duration,
    /// Between two checks of a path that has been healthy for long.
    pub max_polling: Duration,
    /// How long a check may take.
    pub timeout: Duration,
}

impl Rules {
    /// Reads the configuration and the bindings.
    #[must_use]
    pub fn load(host: &Host) -> Self {
        let loaded = Config::load(&host.config);
        for problem in &loaded.problems {
            tracing::warn!("{problem}");
        }
        Self {
            config: loaded.config,
            bindings: Bindings::read(Bindings::DEFAULT_PATH.as_ref()).unwrap_or_default(),
        }
    }

    /// Why a device is none of the daemon's business; `None` if it is.
    #[must_use]
    pub fn exclusion(&self, device: &ScsiDevice) -> Option<String> {
        device.wwid.is_none().then(|| "no WWID".to_owned())
    }

    /// Whether so many paths with this WWID make a map, which the host may have already.
    #[must_use]
    pub fn makes_map(&self, _wwid: &str, paths: usize) -> bool {
        paths > 0
    }

    /// What the map of these paths is to be like.
    #[must_use]
    pub fn map(&self, wwid: &str, first: &ScsiDevice) -> MapRules {
        let identity = identity(wwid, first);
        let alias = self.config.alias(&identity).value;
        let friendly = || {
            let is_wanted = self.config.user_friendly_names(&identity).value;
            let bound = self.bindings.alias(wwid).filter(|_| is_wanted);
            bound.map(str::to_owned)
        };
        MapRules {
            name: alias.or_else(friendly).unwrap_or_else(|| wwid.to_owned()),
            policy: Policy::Multibus,
            selector: "service-time 0".to_owned(),
            queueing: Queueing::Off,
            features: Vec::new(),
            failback: Failback::Manual,
        }
    }

    /// When paths are checked.
    #[must_use]
    pub fn intervals(&self) -> Intervals {
        Intervals {
            polling: Duration::from_secs(5),
            max_polling: Duration::from_secs(20),
            timeout: Duration::from_secs(30),
        }
    }

    /// The key that a map is configured with, or that is stored for it.
    ///
    /// # Errors
    /// The prkeys file cannot be read.
    pub fn key(
        &self,
        wwid: &str,
        first: &ScsiDevice,
        prkeys: &PrKeysFile,
    ) -> Result<Option<StoredKey>, mpath_state::prkeys::PrKeysError> {
        match self.config.reservation_key(&identity(wwid, first)).value {
            KeySetting::Key(stored) => Ok(Some(stored)),
            KeySetting::File => prkeys.lookup(wwid),
        }
    }
}

fn identity(wwid: &str, device: &ScsiDevice) -> MapIdentity {
    MapIdentity {
        wwid: wwid.to_owned(),
        vendor: device.vendor.clone(),
        product: device.model.clone(),
    }
}
