//! systemd, as the first process of a system of its own: a PID and a cgroup namespace on a
//! [fresh](super::Home::Fresh) root. Its units are those that packages bring; it starts none by
//! itself, and leaves devices to the guest's udev.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::wait::until_within;
use super::{Finished, Home, Node, Persist, Run, run, until};
use crate::error::{Context, Result};

/// A system with systemd; it ends when this is dropped.
#[derive(Debug)]
pub struct Systemd {
    init: Child,
    /// As the guest counts.
    process: u32,
    _node: Node,
}

impl Systemd {
    /// Boots it.
    ///
    /// # Errors
    /// If it does not get as far as taking orders.
    pub fn boot() -> Result<Self> {
        let node = Node::start(Home::Fresh, Persist::Distribution)?;
        let prepared = node.command("sh").args(["-c", PREPARE]).run()?;
        prepared.succeeded()?;
        let mut init = Command::new("nsenter");
        init.args(node.entry()).args(["sh", "-c", BOOT]);
        let init = init.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let init = init.context(|| "cannot run nsenter".to_owned())?;
        let parent = init.id().to_string();
        let process = until("the first process", || {
            let children = run("pgrep", ["-P", &parent])?.stdout;
            Ok(children.trim().parse().ok())
        });
        let systemd = Self {
            process: process.unwrap_or_default(),
            init,
            _node: node,
        };
        until_within(PATIENCE, "systemd to be up", || {
            let target = systemd.ask("is-active lab.target")?;
            Ok((target.stdout.trim() == "active").then_some(()))
        })?;
        Ok(systemd)
    }

    /// A command on that system.
    #[must_use]
    pub fn command(&self, program: &str) -> Run {
        let target = format!("--target={}", self.process);
        let options = ["--pid", "--mount", "--net", "--uts", "--root", "--wd"];
        let words = [target.as_str()].into_iter().chain(options);
        Run::new("nsenter").args(words.chain(["--", program]))
    }

    /// `systemctl` with these words.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn ask(&self, words: &str) -> Result<Finished> {
        self.command("systemctl").args(words.split(' ')).run()
    }

    /// The same, which has to end well.
    ///
    /// # Errors
    /// If it does not.
    pub fn tell(&self, words: &str) -> Result<Finished> {
        self.ask(words)?.succeeded()
    }

    /// A property of a unit.
    ///
    /// # Errors
    /// If there is no such unit.
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        let shown = self.tell(&format!("show --value --property={name} {unit}"))?;
        Ok(shown.stdout.trim().to_owned())
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        let _ = self.init.kill();
        let _ = self.init.wait();
    }
}

/// No unit but those that are asked for.
const PREPARE: &str = r"
set -e
mkdir -p /etc/systemd/system
cd /etc/systemd/system
printf '[Unit]\nDefaultDependencies=no\n' >lab.target
for name in udevd.service udevd-kernel.socket udevd-control.socket udev-trigger.service \
    udev-settle.service journald.service journald.socket journald-dev-log.socket \
    journald-audit.socket; do
    ln -sf /dev/null systemd-$name
done
# Without it this would be a first boot, on which units are enabled.
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
";

/// What is its root of cgroups is a group of the guest's.
const BOOT: &str = r"
set -e
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
group=/sys/fs/cgroup/lab$$
mkdir $group
echo $$ >$group/cgroup.procs
exec unshare --pid --fork --kill-child --mount --cgroup --uts --mount-proc sh -c '
    set -e
    umount /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    exec env -i PATH=/usr/sbin:/usr/bin /lib/systemd/systemd --system --unit=lab.target'
";

/// How long it may take to boot beside other scenarios, and how often that is looked at: each look
/// is a process.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(180), Duration::from_millis(250));
