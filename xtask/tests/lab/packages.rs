//! The Debian packages on a system that has multipath-tools: installed, chosen, used, upgraded over
//! and removed by dpkg, and nothing of multipath-tools is any different after that.

use xtask::error::Result;
use xtask::guest::{Fabric, Finished, Home, Lab, Node, Persist, run};

use crate::persist::{OURS, Stage};

/// What a new user does, with nothing but the packages and their manual.
#[test]
fn a_new_user_installs_reads_and_reserves() -> Result {
    let lab = Lab::shared("newuser")?;
    let stage = Stage::new(&lab, Fabric::Loop, 2)?;
    let host = Host::new()?;
    host.sh("dpkg --install /mnt/lab/packages/mpath-pr_*.deb")?;
    host.sh("update-alternatives --set mpathpersist /usr/sbin/mpathpersist.mpath-pr")?;
    let manual = host.sh("man mpathpersist")?.stdout;
    for words in [
        "MPATHPERSIST(8)",
        "--param-sark",
        "EXIT STATUS",
        "mpath-pr.conf(5)",
    ] {
        assert!(manual.contains(words), "{words}: {manual}");
    }
    let keywords = host.sh("man mpath-pr.conf")?.stdout;
    assert!(
        keywords.contains("reservation_key KEY[:aptpl] | file"),
        "{keywords}"
    );

    // The lines of the manual's examples, with this map; before and after each, how things stand.
    let map = stage.map.node();
    let stands =
        || -> Result<String> { Ok(host.sh(&format!("mpathpersist status {map}"))?.stdout) };
    assert!(stands()?.contains("reservation  none"), "{}", stands()?);
    host.sh(&format!(
        "mpathpersist --out --register --param-sark=a {map}"
    ))?;
    let reserve = format!("--out --reserve --param-rk=a --prout-type=5 {map}");
    let plan = host
        .sh(&format!("mpathpersist --dry-run {reserve}"))?
        .stdout;
    assert!(plan.contains("ends with  exit status 0"), "{plan}");
    assert_eq!(stage.state()?.held, None);
    host.sh(&format!("mpathpersist {reserve}"))?;
    assert_eq!(stage.keys()?, [OURS; 2]);
    assert!(
        stands()?.contains("this node, 0xa through"),
        "{}",
        stands()?
    );
    let status = host
        .sh(&format!("mpathpersist --in --read-full-status {map}"))?
        .stdout;
    assert!(status.contains("<< Reservation holder >>"), "{status}");
    let holder = stage.lun.paths().iter().position(|path| {
        let port = format!(
            "Relative port address: {:#x}\n      <<",
            path.relative_target_port()
        );
        status.contains(&port)
    });
    stage.lun.paths()[holder.unwrap_or_default()].set_offline()?;
    assert!(stands()?.contains("[holder-on-dead-path]"), "{}", stands()?);
    host.sh(&format!(
        "mpathpersist --out --release --param-rk=a --prout-type=5 {map}"
    ))?;
    assert_eq!(stage.state()?.held, None);
    assert!(stands()?.contains("reservation  none"), "{}", stands()?);
    host.sh(&format!(
        "mpathpersist --out --register --param-rk=a --param-sark=0 {map}"
    ))?;
    stage.lun.paths()[holder.unwrap_or_default()].set_running()?;
    assert_eq!(stage.other.witness().read_keys()?.keys, [0; 0]);
    Ok(())
}

#[test]
fn packages_come_and_go_beside_multipath_tools() -> Result {
    let _lab = Lab::shared("packages")?;
    let host = Host::new()?;
    // All the while somebody calls the command: a fence agent has no second chance.
    host.sh(
        "(until [ -e /stop ]; do mpathpersist --help >/dev/null 2>&1; \
         case $? in 126 | 127) echo gone >>/gaps;; esac; done) >/dev/null 2>&1 &",
    )?;
    host.sh("dpkg --install /mnt/lab/packages/*.deb")?;
    host.uses("mpathpersist", THEIRS)?;
    host.uses("multipathd", THEIRS)?;
    host.sh("dpkg --verify mpath-pr multipathd-lite")?;
    host.choose("mpathpersist", "mpathpersist.mpath-pr")?;
    host.choose("multipathd", "multipathd-lite")?;
    let help = host.sh("mpathpersist --help; multipathd -h")?.stdout;
    assert!(help.contains("as if it were one disk") && help.contains("be the daemon"));
    host.sh("sha256sum --check --quiet /aside")?;

    // What somebody wrote into the settings stays over the newer version below.
    host.sh("grep -q '^#metrics_file' /etc/mpath-pr.conf")?;
    host.sh("! grep -v -e '^#' -e '^$' /etc/mpath-pr.conf")?;
    host.sh("echo '# by hand' >>/etc/mpath-pr.conf")?;

    // A newer version over it, and a newer multipath-tools beside it: the choice stays.
    host.sh(
        "cd /tmp && dpkg-deb --raw-extract /mnt/lab/packages/mpath-pr_*.deb new && \
         sed -i 's/^Version: .*/&+next/' new/DEBIAN/control && \
         dpkg-deb -Znone --build new new.deb && dpkg --install new.deb",
    )?;
    host.uses("mpathpersist", "mpathpersist.mpath-pr")?;
    host.sh("dpkg --install /mnt/lab/packages/multipathd-lite_*.deb")?;
    host.sh("grep -q '^# by hand$' /etc/mpath-pr.conf")?;
    host.sh(&format!("dpkg --unpack --force-depends {TOOLS}"))?;
    host.uses("mpathpersist", "mpathpersist.mpath-pr")?;
    host.uses("multipathd", "multipathd-lite")?;
    host.sh("sha256sum --check --quiet /aside")?;

    // It goes, and comes back: what is there is in use.
    host.sh("dpkg --remove --force-depends --force-remove-reinstreq multipath-tools")?;
    host.sh("test ! -e /sbin/mpathpersist.multipath-tools")?;
    host.uses("mpathpersist", "mpathpersist.mpath-pr")?;
    host.sh(&format!("dpkg --unpack --force-depends {TOOLS}"))?;
    host.sh("update-alternatives --query mpathpersist | grep -q mpathpersist.multipath-tools")?;

    host.sh("dpkg --remove mpath-pr && dpkg --purge multipathd-lite mpath-pr")?;
    host.sh("touch /stop; ! test -e /gaps")?;
    host.sh("sha256sum --check --quiet /before")?;
    let left = host.sh(
        "dpkg-divert --list | grep -e mpath; ls /etc/alternatives | grep -e mpath; \
         find / -xdev -name '*mpath-pr*' -o -xdev -name '*multipathd-lite*' | grep -v ^/tmp; true",
    )?;
    assert_eq!(left.stdout, "");
    Ok(())
}

const THEIRS: &str = "multipath-tools";
const TOOLS: &str = "/var/cache/apt/archives/multipath-tools.deb";

/// A system as Debian installs it, with multipath-tools and without anything of ours.
struct Host(Node);

impl Host {
    fn new() -> Result<Self> {
        let host = Self(Node::start(Home::Fresh, Persist::Distribution)?);
        host.sh("cd / && \
             sha256sum /sbin/mpathpersist /sbin/multipathd >/before && \
             sed 's/$/.multipath-tools/' /before >/aside")?;
        Ok(host)
    }

    /// Runs lines of a shell, which end well.
    fn sh(&self, script: &str) -> Result<Finished> {
        self.0.command("sh").args(["-c", script]).run()?.succeeded()
    }

    fn choose(&self, name: &str, ours: &str) -> Result {
        self.sh(&format!(
            "update-alternatives --set {name} /usr/sbin/{ours}"
        ))?;
        self.uses(name, ours)
    }

    /// What is run under this name is that file, or multipath-tools' own.
    fn uses(&self, name: &str, expected: &str) -> Result {
        let found = self.sh(&format!("readlink -f /usr/sbin/{name}"))?.stdout;
        let expected = match expected {
            THEIRS => format!("{name}.{THEIRS}"),
            ours => ours.to_owned(),
        };
        assert_eq!(found.trim(), format!("/usr/sbin/{expected}"));
        Ok(())
    }
}

/// The lab's programs are not what a package brings.
#[test]
fn a_fresh_system_has_nothing_of_ours() -> Result {
    let _lab = Lab::shared("fresh")?;
    let host = Host::new()?;
    let found = host.sh("ls -A /usr/local/bin; command -v multipathd-lite || true")?;
    assert_eq!(found.stdout, "");
    run("test", ["-x", "/usr/local/bin/mpathpersist"])?
        .succeeded()
        .map(drop)
}
