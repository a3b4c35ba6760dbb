//! multipathd-lite as a service of systemd, as its package installs it.

use std::time::{Duration, Instant};

use xtask::error::Result;
use xtask::guest::{Answer, Fabric, Finished, Lab, Lun, Map, Systemd, run, until};

use crate::daemon_killed::SLOWLY;
use crate::persist::OURS;

#[test]
fn systemd_starts_watches_and_stops_it() -> Result {
    let lab = Lab::alone("liteservice")?;
    let lun = lab.lun(Fabric::Loop, 2)?;
    let host = Host::boot()?;
    // `systemctl start` waits until the service says that it is ready.
    host.systemd.tell("start multipathd-lite.service")?;
    assert_eq!(host.is("multipathd-lite")?, "active");
    let status = host.sh("multipathd show daemon || multipathd-lite show daemon")?;
    assert!(!status.stdout.contains("configure"), "{}", status.stdout);
    let map = host.await_map(&lun)?;
    reload(&host, &lun)?;
    watch(&host)?;
    give_way(&host)?;
    stop(&host)?;
    let paths = run("dmsetup", ["status", "serviced"])?.succeeded()?.stdout;
    assert_eq!(paths.matches(" A 0").count(), 1 + 2, "{map}: {paths}");
    Ok(())
}

/// The configuration is read again.
fn reload(host: &Host, lun: &Lun) -> Result {
    let alias = format!(
        "printf 'multipaths {{\nmultipath {{\nwwid {}\nalias serviced\n}}\n}}\n' \
         >>/etc/multipath.conf",
        lun.wwid()
    );
    host.sh(&alias)?;
    host.systemd.tell("reload multipathd-lite.service")?;
    host.explain(until("the map to have its new name", || {
        let renamed = run("dmsetup", ["info", "serviced"])?;
        Ok((renamed.code() == 0).then_some(()))
    }))
}

/// Signs of life come all the time; when they do not, the service is started again.
fn watch(host: &Host) -> Result {
    let property = |name| host.systemd.property("multipathd-lite.service", name);
    let first = property("WatchdogTimestampMonotonic")?;
    host.explain(until("a sign of life", || {
        Ok((property("WatchdogTimestampMonotonic")? != first).then_some(()))
    }))?;
    let frozen = property("MainPID")?;
    let freeze = "kill --signal=STOP --kill-who=main multipathd-lite.service";
    host.systemd.tell(freeze)?;
    host.explain(until("the service to be started again", || {
        let is_other = property("MainPID")? != frozen;
        Ok((is_other && host.is("multipathd-lite")? == "active").then_some(()))
    }))?;
    assert_eq!(property("NRestarts")?, "1");
    Ok(())
}

/// Of the two daemons the one runs that was started last.
fn give_way(host: &Host) -> Result {
    for (started, stopped) in [
        ("multipathd", "multipathd-lite"),
        ("multipathd-lite", "multipathd"),
    ] {
        host.systemd.tell(&format!("start {started}.service"))?;
        assert_eq!(host.is(started)?, "active");
        host.explain(until(&format!("{stopped} to be stopped"), || {
            Ok((host.is(stopped)? == "inactive").then_some(()))
        }))?;
    }
    Ok(())
}

fn stop(host: &Host) -> Result {
    let began = Instant::now();
    host.systemd.tell("stop multipathd-lite.service")?;
    let took = began.elapsed();
    eprintln!("stopped after {took:?}");
    assert!(took < BUSY, "{took:?}");
    assert_eq!(host.is("multipathd-lite")?, "inactive");
    let result = host.systemd.property("multipathd-lite.service", "Result");
    assert_eq!(result?, "success");
    Ok(())
}

/// A command was killed while it had the map suspended, and no daemon runs: the unit that settles
/// this early at boot does.
#[test]
fn a_unit_settles_what_was_cut_off() -> Result {
    let lab = Lab::alone("litesettle")?;
    let mut lun = lab.lun(Fabric::Loop, 3)?;
    let other = lun.add_nexuses(2, 1)?.remove(0);
    let map = lun.map()?;
    let host = Host::boot()?;
    host.sh(&format!("mpathpersist -o -I -S a -d {}", map.node()))?;
    let holder = &lun.paths()[0];
    assert_eq!(holder.witness().reserve(OURS, 5)?, Answer::Done);
    holder.set_offline()?;
    let release = ["mpathpersist", "-o", "-L", "-K", "a", "-T", "5", "-d"];
    let release: Vec<&str> = SLOWLY.iter().copied().chain(release).collect();
    std::thread::scope(|scope| -> Result {
        let command = host.systemd.command("strace");
        let command = command.args(release).args([map.node()]);
        let ended = scope.spawn(|| command.run());
        until("the map to be suspended", || {
            Ok(is_suspended(&map)?.then_some(()))
        })?;
        run("pkill", ["-KILL", "-x", "mpathpersist"])?.succeeded()?;
        let _ = ended.join();
        Ok(())
    })?;
    assert!(is_suspended(&map)?);
    host.systemd.tell("start mpath-pr-settle.service")?;
    assert!(!is_suspended(&map)?);
    let unit = "mpath-pr-settle.service";
    assert_eq!(host.systemd.property(unit, "Result")?, "success");
    assert_eq!(host.sh("ls /run/mpath-pr/*.journal || true")?.stdout, "");
    assert!(other.witness().read_reservation()?.is_none());
    Ok(())
}

fn is_suspended(map: &Map) -> Result<bool> {
    let args = ["info", "-c", "--noheadings", "-o", "suspended", map.name()];
    let info = run("dmsetup", args)?.succeeded()?;
    Ok(info.stdout.trim() == "Suspended")
}

/// A system on which our packages are installed.
struct Host {
    systemd: Systemd,
}

impl Host {
    fn boot() -> Result<Self> {
        let host = Self {
            systemd: Systemd::boot()?,
        };
        host.sh(INSTALL)?;
        host.systemd.tell("daemon-reload")?;
        Ok(host)
    }

    fn sh(&self, script: &str) -> Result<Finished> {
        let sh = self.systemd.command("sh");
        sh.args(["-c", script]).run()?.succeeded()
    }

    fn is(&self, service: &str) -> Result<String> {
        let unit = format!("{service}.service");
        self.systemd.property(&unit, "ActiveState")
    }

    fn await_map(&self, lun: &Lun) -> Result<String> {
        let uuid = format!("mpath-{}", lun.wwid());
        let args = ["info", "-c", "--noheadings", "-o", "name", "--uuid", &uuid];
        self.explain(until("a map", || {
            let info = run("dmsetup", args)?;
            let name = info.stdout.trim().to_owned();
            Ok((info.code() == 0 && !name.is_empty()).then_some(name))
        }))
    }

    fn explain<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|_| {
            let status = "systemctl status --no-pager multipathd-lite; cat /run/service.log";
            let shown = self.sh(&format!("{status}; true"));
            eprintln!("{}", shown.map(|shown| shown.stdout).unwrap_or_default());
        })
    }
}

/// With a log that can be read here, and a watchdog that does not take a minute; in what systemd
/// takes for a container, where no multipath daemon has any business.
const INSTALL: &str = "\
dpkg --install /mnt/lab/packages/*.deb
update-alternatives --set mpathpersist /usr/sbin/mpathpersist.mpath-pr
for name in multipathd multipathd-lite mpath-pr-settle; do
    mkdir -p /run/systemd/system/$name.service.d
    printf '[Unit]\nConditionVirtualization=\n' >/run/systemd/system/$name.service.d/here.conf
done
printf '[Service]\nStandardOutput=append:/run/service.log\nStandardError=inherit\n\
    WatchdogSec=10\n' >/run/systemd/system/multipathd-lite.service.d/lab.conf
";

/// For what is to take a second, in an emulated guest on a busy machine.
const BUSY: Duration = Duration::from_secs(10);
