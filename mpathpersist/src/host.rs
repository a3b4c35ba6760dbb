//! Where a host keeps what concerns persistent reservations.

use std::path::{Path, PathBuf};

use dm_multipath::Roots;
use mpath_state::config::ConfigFiles;
use mpath_state::protocol::{SOCKET_ENV, SocketAddress};

use crate::sandbox::{Node, SandboxError};

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
    /// Instead of the kernel: a node of a simulated SAN.
    pub sandbox: Option<Node>,
}

impl Host {
    /// A node of a sandbox: its folder has what a host has in `/etc` and `/run`, and the socket
    /// of its daemon, if it has one.
    ///
    /// # Errors
    /// There is no such sandbox or node.
    pub fn in_sandbox(dir: &Path) -> Result<Self, SandboxError> {
        Ok(Self::on_node(Node::locate(dir)?))
    }

    /// The same for a node that was found already.
    #[must_use]
    pub fn on_node(node: Node) -> Self {
        let dir = node.dir();
        Self {
            roots: Roots::default(),
            config: ConfigFiles {
                main: dir.join("multipath.conf"),
                dir: dir.join("conf.d"),
            },
            prkeys: dir.join("prkeys"),
            run_dir: dir.join("run"),
            daemon: vec![SocketAddress::Path(node.socket())],
            sandbox: Some(node),
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self {
            roots: Roots::default(),
            config: ConfigFiles::default(),
            prkeys: "/etc/multipath/prkeys".into(),
            run_dir: "/run/mpath-pr".into(),
            daemon: SocketAddress::candidates(std::env::var_os(SOCKET_ENV).as_deref()),
            sandbox: None,
        }
    }
}
