//! Where the daemon has its files and sockets: on a host, or in the folder of a sandbox's node.

use std::ffi::OsString;
use std::path::PathBuf;

use mpath_state::protocol::{ABSTRACT_SOCKET_NAME, SOCKET_PATH, SocketAddress};
use mpathpersist::Host;
use mpathpersist::sandbox::SandboxError;

use crate::pid_file::PidFile;
use crate::rules::Files;

/// What the command line says of places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// The folder of a sandbox's node, in place of the kernel (`--sandbox`).
    pub sandbox: Option<PathBuf>,
    /// Another file with the settings of our own (`--config`).
    pub settings: Option<PathBuf>,
    /// The file that metrics are written to (`--metrics`).
    pub metrics: Option<PathBuf>,
}

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Home {
    /// What is below the maps, configuration, keys, records.
    pub host: Host,
    /// Names and WWIDs.
    pub files: Files,
    /// It is locked while a daemon runs.
    pub pid_file: PathBuf,
    /// Where clients are listened to.
    pub listen: Vec<SocketAddress>,
    /// The settings of our own.
    pub settings: PathBuf,
}

impl Places {
    /// Finds everything.
    ///
    /// # Errors
    /// There is no such sandbox or node.
    pub fn home(&self) -> Result<Home, SandboxError> {
        let mut home = match &self.sandbox {
            None => Home::of_host(),
            Some(dir) => Home::of_sandbox(Host::in_sandbox(dir)?),
        };
        if let Some(settings) = &self.settings {
            home.settings.clone_from(settings);
        }
        Ok(home)
    }

    /// The options that say the same, from whatever folder.
    pub(crate) fn options(&self) -> Vec<OsString> {
        let options = [
            ("--sandbox", &self.sandbox),
            ("--config", &self.settings),
            ("--metrics", &self.metrics),
        ];
        let given = options
            .into_iter()
            .filter_map(|(name, path)| Some((name, path.as_ref()?)));
        given
            .flat_map(|(name, path)| {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                [OsString::from(name), path.into_os_string()]
            })
            .collect()
    }
}

impl Home {
    fn of_host() -> Self {
        Self {
            host: Host::default(),
            files: Files::default(),
            pid_file: PidFile::DEFAULT_PATH.into(),
            listen: vec![
                SocketAddress::Abstract(ABSTRACT_SOCKET_NAME.to_owned()),
                SocketAddress::Path(SOCKET_PATH.into()),
            ],
            settings: SETTINGS_PATH.into(),
        }
    }

    fn of_sandbox(host: Host) -> Self {
        let at = |name: &str| {
            let node = host.sandbox.as_ref();
            node.map_or_else(PathBuf::new, |node| node.dir().join(name))
        };
        Self {
            files: Files {
                bindings: at("bindings"),
                wwids: at("wwids"),
            },
            pid_file: at("multipathd.pid"),
            listen: host.daemon.clone(),
            settings: at("mpath-pr.conf"),
            host,
        }
    }
}

/// Beside multipath.conf, in which multipath-tools would complain of words that it does not know.
pub const SETTINGS_PATH: &str = "/etc/mpath-pr.conf";
