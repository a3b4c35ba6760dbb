//! Each way for a path to go does what the scenarios that use it need: the registration stays at
//! the target, and the path can return.

use std::time::{Duration, Instant};

use xtask::error::Result;
use xtask::guest::{Answer, Fabric, Lab, Run};

const KEY: u64 = 0xa;

#[test]
fn an_offline_path_cannot_be_opened_and_keeps_its_registration() -> Result {
    let lab = Lab::shared("offline")?;
    let lun = lab.lun(Fabric::Loop, 2)?;
    let [path, other] = lun.paths() else {
        panic!("two paths")
    };
    path.witness().register_and_ignore(KEY)?;
    path.set_offline()?;
    assert_eq!(path.state()?, "offline");
    assert!(std::fs::File::open(format!("/dev/{}", path.disk()?)).is_err());
    assert_eq!(other.witness().read_keys_by_port()?, [(1, KEY)]);
    path.set_running()?;
    assert_eq!(path.witness().read_keys()?.keys, [KEY]);
    Ok(())
}

#[test]
fn a_deleted_path_returns_with_its_registration() -> Result {
    let lab = Lab::shared("deleted")?;
    for fabric in [Fabric::Loop, Fabric::Iscsi] {
        let lun = lab.lun(fabric, 2)?;
        let [path, other] = lun.paths() else {
            panic!("two paths")
        };
        path.witness().register_and_ignore(KEY)?;
        path.delete()?;
        assert!(path.disk().is_err());
        assert_eq!(
            other.witness().read_keys_by_port()?,
            [(1, KEY)],
            "{fabric:?}"
        );
        path.rescan()?;
        assert_eq!(
            path.witness().register(KEY, KEY + 1)?,
            Answer::Done,
            "{fabric:?}"
        );
    }
    Ok(())
}

#[test]
fn a_cut_link_fails_commands_on_a_path_that_can_be_opened() -> Result {
    let lab = Lab::shared("link")?;
    let lun = lab.lun(Fabric::Loop, 2)?;
    let [path, other] = lun.paths() else {
        panic!("two paths")
    };
    path.witness().register_and_ignore(KEY)?;
    path.link_down()?;
    assert_eq!(path.state()?, "running");
    let failed = path.witness().run(&["-i", "-k"])?;
    assert!(
        failed.stderr.contains("Host_status=0x0e"),
        "{}",
        failed.stderr
    );
    assert_eq!(other.witness().read_keys_by_port()?, [(1, KEY)]);
    path.link_up()?;
    assert_eq!(path.witness().read_keys()?.keys, [KEY]);
    Ok(())
}

#[test]
fn a_hung_path_answers_once_it_is_resumed() -> Result {
    let lab = Lab::shared("hung")?;
    let lun = lab.lun(Fabric::Iscsi, 2)?;
    let [path, other] = lun.paths() else {
        panic!("two paths")
    };
    path.witness().register_and_ignore(KEY)?;
    let node = path.sg()?;
    path.hang()?;
    let start = Instant::now();
    let waiting = std::thread::spawn(move || Run::new("sg_persist").args(["-nik", &node]).run());
    // Long enough to tell a path that hangs from one that is slow.
    assert_eq!(other.witness().read_keys_by_port()?, [(1, KEY)]);
    while start.elapsed() < HANG {
        assert!(
            !waiting.is_finished(),
            "it answered after {:?}",
            start.elapsed()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    path.resume()?;
    let finished = waiting
        .join()
        .expect("the thread only runs a command")?
        .succeeded()?;
    assert!(finished.duration > HANG, "{:?}", finished.duration);
    assert!(finished.stdout.contains("0xa"), "{}", finished.stdout);
    Ok(())
}

const HANG: Duration = Duration::from_secs(3);
