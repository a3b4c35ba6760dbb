//! A node of a cluster, for programs: what runs there finds our `mpathpersist` (or the
//! distribution's) where it is looked for, and perhaps none of the guest's own files and daemons.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::Run;
use crate::error::{Context, Error, Result};

/// Whose files and daemon a node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home<'a> {
    /// The guest's.
    Guest,
    /// Its own: this `/etc/multipath.conf`, an empty `/etc/multipath` and `/run`, no daemon.
    Own(&'a str),
    /// A whole system as it was installed, with nothing of this project in it. Whatever happens
    /// there stays there, and goes with it.
    Fresh,
}

/// Which command is `/usr/sbin/mpathpersist`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persist {
    /// Ours.
    Ours,
    /// That of multipath-tools.
    Distribution,
}

impl fmt::Display for Persist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "this project",
            Self::Distribution => "the distribution",
        })
    }
}

/// Namespaces, which a process keeps that sleeps.
#[derive(Debug)]
pub struct Node {
    sleeper: Child,
}

impl Node {
    /// A new node.
    ///
    /// # Errors
    /// If the kernel refuses the namespaces.
    pub fn start(home: Home<'_>, persist: Persist) -> Result<Self> {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--propagation=private"]);
        let config = match home {
            Home::Guest => "",
            Home::Fresh => FRESH,
            Home::Own(config) => config,
        };
        if home != Home::Guest {
            // Abstract sockets belong to a network's namespace.
            unshare.arg("--net");
        }
        let program = match persist {
            Persist::Ours => "/usr/local/bin/mpathpersist",
            Persist::Distribution => "",
        };
        unshare.args(["bash", "-c", ENTER, config, program]);
        let spawned = unshare.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut sleeper = spawned.context(|| "cannot run unshare".to_owned())?;
        let mut line = String::new();
        if let Some(stdout) = sleeper.stdout.take() {
            let read = BufReader::new(stdout).read_line(&mut line);
            read.context(|| "cannot hear from the node".to_owned())?;
        }
        let node = Self { sleeper };
        match line.trim() {
            "ready" => Ok(node),
            _ => Err(Error::unexpected("the node cannot make its namespaces")),
        }
    }

    /// A command on that node.
    #[must_use]
    pub fn command(&self, program: &str) -> Run {
        let program = std::iter::once(program.to_owned());
        Run::new("nsenter").args(self.entry().into_iter().chain(program))
    }

    /// How `nsenter` gets there.
    pub(super) fn entry(&self) -> Vec<String> {
        let target = format!("--target={}", self.sleeper.id());
        let options = [&target, "--mount", "--net", "--root", "--wd", "--"];
        options.map(str::to_owned).to_vec()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.sleeper.kill();
        let _ = self.sleeper.wait();
    }
}

/// Instead of a configuration.
const FRESH: &str = "fresh";

/// With the configuration and the program as arguments, each of which may be empty. The overlay's
/// folder stays until the guest ends: nothing is in it but where the node mounts.
const ENTER: &str = r#"
set -e
if [ "$0" = fresh ]; then
    at=$(mktemp -d /tmp/fresh.XXXXXX)
    mount -t tmpfs tmpfs $at
    mkdir $at/upper $at/work $at/root
    mount -t overlay -o lowerdir=/,upperdir=$at/upper,workdir=$at/work overlay $at/root
    cd $at/root
    for folder in dev proc sys mnt/lab; do mount --rbind /$folder $folder; done
    mount -t tmpfs tmpfs run
    mount -t tmpfs tmpfs tmp
    mkdir run/lock run/udev
    mount --rbind /run/udev run/udev
    rm -f usr/local/bin/*
    echo ready
    exec chroot . sleep infinity >/dev/null
fi
if [ "$0" ]; then
    mount -t tmpfs tmpfs /run
    mkdir /run/lock
    mount -t tmpfs tmpfs /etc/multipath
    printf %s "$0" >/etc/multipath/own.conf
    mount --bind /etc/multipath/own.conf /etc/multipath.conf
fi
if [ "$1" ]; then
    mount --bind "$1" /usr/sbin/mpathpersist
fi
echo ready
exec sleep infinity >/dev/null
"#;
