//! What the configuration says, in the form in which the engine asks.
//!
//! multipath.conf belongs to `mpath_state::config`; this is the only place of the daemon that
//! asks it about paths and maps. [`Rules::load`] reads files; the rest does no I/O.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dm_multipath::scsi::{PortTimeouts, ScsiDevice, Timeout, Transport};
use dm_multipath::udev::UdevView;
use mpath_state::StoredKey;
use mpath_state::bindings::Bindings;
use mpath_state::config::{
    Config, FindMultipaths, Grouping, KeySetting, Limit, MapIdentity, NoPathRetry, PathIdentity,
    Prio, Settings, Severity,
};
use mpath_state::prkeys::{PrKeysError, PrKeysFile};
use mpath_state::wwids::Wwids;
use mpathpersist::Host;

use crate::model::Queueing;
use crate::places::SETTINGS_PATH;

pub use mpath_state::config::{Failback, Grouping as Policy};

/// The configuration in force.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    config: Arc<Config>,
    bindings: Bindings,
    wwids: Wwids,
    settings: Settings,
    tables: Tables,
}

/// Who decides what maps are like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Tables {
    #[default]
    Configuration,
    /// A sandbox, whose maps are there as they are.
    Sandbox,
}

/// Names and WWIDs on file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The bindings file.
    pub bindings: PathBuf,
    /// The wwids file.
    pub wwids: PathBuf,
    /// Settings of our own.
    pub settings: PathBuf,
    /// Where metrics are written, whatever the settings say.
    pub metrics: Option<PathBuf>,
}

/// What a map is to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapRules {
    /// Its name.
    pub naming: Naming,
    /// How its paths are grouped.
    pub policy: Policy,
    /// What chooses among the paths of a group, `service-time 0`.
    pub selector: String,
    /// What happens to I/O while no path works.
    pub queueing: Queueing,
    /// Further features for its table.
    pub features: Vec<String>,
    /// When it goes back to its best group.
    pub failback: Failback,
}

/// Where a map's name comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// It is configured, on file, or the WWID: a map of another name is renamed.
    Fixed(String),
    /// The next free one that begins like this, unless it has such a name already.
    NextFree {
        /// `mpath`
        prefix: String,
    },
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

impl MapRules {
    fn of_sandbox(wwid: &str) -> Self {
        Self {
            naming: Naming::Fixed(wwid.to_owned()),
            policy: Policy::Multibus,
            selector: "service-time 0".to_owned(),
            queueing: Queueing::Off,
            features: Vec::new(),
            failback: Failback::Manual,
        }
    }
}

impl Default for Files {
    fn default() -> Self {
        Self {
            bindings: Bindings::DEFAULT_PATH.into(),
            wwids: Wwids::DEFAULT_PATH.into(),
            settings: SETTINGS_PATH.into(),
            metrics: None,
        }
    }
}

impl Rules {
    /// Reads the configuration, the bindings and the WWIDs.
    #[must_use]
    pub fn load(host: &Host, files: &Files) -> Self {
        let loaded = Config::load(&host.config);
        let (mut settings, problems) = Settings::load(&files.settings);
        if files.metrics.is_some() {
            settings.metrics_file.clone_from(&files.metrics);
        }
        for problem in loaded.problems.iter().chain(&problems) {
            match problem.severity {
                Severity::Notice => tracing::debug!("{problem}"),
                _ => tracing::warn!("{problem}"),
            }
        }
        Self {
            config: Arc::new(loaded.config),
            settings,
            tables: match host.sandbox {
                None => Tables::Configuration,
                Some(_) => Tables::Sandbox,
            },
            bindings: Bindings::read(&files.bindings).unwrap_or_else(|error| {
                tracing::warn!("{}: {error}", files.bindings.display());
                Bindings::default()
            }),
            wwids: Wwids::read(&files.wwids).unwrap_or_else(|error| {
                tracing::warn!("{}: {error}", files.wwids.display());
                Wwids::default()
            }),
        }
    }

    /// The configuration itself.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Settings of our own.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A map was given a name, which is on file now.
    pub fn named(&mut self, wwid: &str, name: &str) {
        if self.bindings.alias(wwid).is_none() {
            self.bindings.add(name, wwid);
        }
    }

    /// Whether a path's priority is what the array says of it (ALUA), as the kernel shows it;
    /// otherwise all paths are equal.
    #[must_use]
    pub fn is_ranked(&self, device: &ScsiDevice) -> bool {
        let wwid = device.wwid.as_deref().unwrap_or_default();
        let identity = identity(wwid, &device.vendor, &device.model);
        let config = &self.config;
        let is_wanted =
            || config.detect_prio(&identity).value || config.prio(&identity).value == Prio::Alua;
        device.access_state.is_some() && is_wanted()
    }

    /// Whether udev has to have a look at a device before it can be judged.
    #[must_use]
    pub fn is_waiting_for(&self, udev: &UdevView) -> bool {
        *udev == UdevView::Pending && self.config.has_property_rules()
    }

    /// Why a device is none of the daemon's business; `None` if it is.
    #[must_use]
    pub fn exclusion(&self, device: &ScsiDevice, udev: &UdevView) -> Option<String> {
        if self.is_waiting_for(udev) {
            return Some("udev has not looked at it yet".to_owned());
        }
        let Some(wwid) = &device.wwid else {
            return Some("no WWID".to_owned());
        };
        let identity = PathIdentity {
            devnode: device.name.clone(),
            wwid: wwid.clone(),
            vendor: device.vendor.clone(),
            product: device.model.clone(),
            protocol: protocol(&device.transport).to_owned(),
            properties: match udev {
                UdevView::Done(names) if self.config.has_property_rules() => Some(names.clone()),
                _ => None,
            },
        };
        Some(self.config.exclusion(&identity)?.to_string())
    }

    /// How long I/O of a path is to wait for its port.
    #[must_use]
    pub fn timeouts(&self, device: &ScsiDevice) -> PortTimeouts {
        let wwid = device.wwid.as_deref().unwrap_or_default();
        let identity = identity(wwid, &device.vendor, &device.model);
        let protocol = protocol(&device.transport);
        let timeout = |limit| match limit {
            Limit::Seconds(seconds) => Timeout::Seconds(seconds),
            Limit::None => Timeout::Never,
        };
        let dev_loss = self.config.dev_loss(&identity, protocol);
        PortTimeouts {
            fast_io_fail: Some(timeout(self.config.fast_io_fail(&identity, protocol).value)),
            dev_loss: dev_loss.map(|setting| timeout(setting.value)),
        }
    }

    /// Whether so many paths with this WWID make a map, which the host may have already.
    #[must_use]
    pub fn makes_map(&self, wwid: &str, paths: usize) -> bool {
        let find = self.config.find_multipaths().value;
        find.makes_map(paths, self.wwids.contains(wwid))
    }

    /// Whether this host has made a map of that WWID before.
    #[must_use]
    pub fn has_made(&self, wwid: &str) -> bool {
        self.wwids.contains(wwid)
    }

    /// Whether maps are there as they are, and nobody makes or changes them.
    #[must_use]
    pub fn has_fixed_maps(&self) -> bool {
        self.tables == Tables::Sandbox
    }

    /// What a map is to be like; `is_ranked`: the priorities of its paths are the array's.
    #[must_use]
    pub fn map(&self, wwid: &str, (vendor, product): (&str, &str), is_ranked: bool) -> MapRules {
        if self.has_fixed_maps() {
            return MapRules::of_sandbox(wwid);
        }
        let identity = identity(wwid, vendor, product);
        let config = &self.config;
        let detected = is_ranked.then_some(Grouping::GroupByPrio);
        let failback = is_ranked.then_some(Failback::Immediate);
        let polling_s = config.polling_interval_s().value;
        MapRules {
            naming: self.naming(wwid, &identity),
            policy: config.path_grouping_policy(&identity, detected).value,
            selector: config.path_selector(&identity).value.to_string(),
            queueing: match config.no_path_retry(&identity).value {
                NoPathRetry::Fail => Queueing::Off,
                NoPathRetry::Queue => Queueing::On,
                NoPathRetry::Checks(count) => Queueing::Seconds(count.saturating_mul(polling_s)),
            },
            features: config.features(&identity).value.words,
            failback: config.failback(&identity, failback).value,
        }
    }

    fn naming(&self, wwid: &str, identity: &MapIdentity) -> Naming {
        if let Some(alias) = self.config.alias(identity).value {
            return Naming::Fixed(alias);
        }
        if !self.config.user_friendly_names(identity).value {
            return Naming::Fixed(wwid.to_owned());
        }
        match self.bindings.alias(wwid) {
            Some(alias) => Naming::Fixed(alias.to_owned()),
            None => Naming::NextFree {
                prefix: self.config.alias_prefix(identity).value,
            },
        }
    }

    /// When paths are checked.
    #[must_use]
    pub fn intervals(&self) -> Intervals {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let timeout = self
            .config
            .checker_timeout_s()
            .value
            .unwrap_or(CHECK_TIMEOUT_S);
        Intervals {
            polling: seconds(self.config.polling_interval_s().value),
            max_polling: seconds(self.config.max_polling_interval_s().value),
            timeout: seconds(timeout),
        }
    }

    /// Whether all devices that are not excluded become maps, however many paths they have.
    #[must_use]
    pub fn is_greedy(&self) -> bool {
        let find = self.config.find_multipaths().value;
        matches!(find, FindMultipaths::Off | FindMultipaths::Greedy)
    }

    /// The key that a map is configured with, or that is stored for it.
    ///
    /// # Errors
    /// The prkeys file cannot be read.
    pub fn key(
        &self,
        wwid: &str,
        (vendor, product): (&str, &str),
        prkeys: &PrKeysFile,
    ) -> Result<Option<StoredKey>, PrKeysError> {
        let identity = identity(wwid, vendor, product);
        match self.config.reservation_key(&identity).value {
            KeySetting::Key(stored) => Ok(Some(stored)),
            KeySetting::File => prkeys.lookup(wwid),
        }
    }
}

fn identity(wwid: &str, vendor: &str, product: &str) -> MapIdentity {
    MapIdentity {
        wwid: wwid.to_owned(),
        vendor: vendor.to_owned(),
        product: product.to_owned(),
    }
}

/// As the blacklists and multipathd call it.
pub(crate) const fn protocol(transport: &Transport) -> &'static str {
    match transport {
        Transport::FibreChannel => "scsi:fcp",
        Transport::Sas => "scsi:sas",
        Transport::Iscsi => "scsi:iscsi",
        Transport::Loopback | Transport::Other(_) => "scsi:unspec",
    }
}

/// As long as the SCSI layer gives a command by default.
const CHECK_TIMEOUT_S: u32 = 30;
