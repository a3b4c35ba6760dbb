//! Where a host keeps what concerns persistent reservations.

use std::path::PathBuf;

use dm_multipath::Roots;
use mpath_state::config::ConfigFiles;
use mpath_state::protocol::{SOCKET_ENV, SocketAddress};

/// The places to look at, so that a test can point them elsewhere.
#[derive(Debug, Clone)]
pub struct Host {
    /// sysfs, device nodes, procfs.
    pub roots: Roots,
    /// multipath.conf and its folder of further files.
    pub config: ConfigFiles,
    /// The prkeys file, shared with multipath-tools.
    pub prkeys: PathBuf,
    /// Locks, records and journals.
    pub run_dir: PathBuf,
    /// Where a daemon may be listening.
    pub daemon: Vec<SocketAddress>,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            roots: Roots::default(),
            config: ConfigFiles::default(),
            prkeys: "/etc/multipath/prkeys".into(),
            run_dir: "/run/mpath-pr".into(),
            daemon: SocketAddress::candidates(std::env::var_os(SOCKET_ENV).as_deref()),
        }
    }
}
