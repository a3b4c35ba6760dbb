//! Metrics as Prometheus reads them.
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, UNIX_EPOCH};

use mpath_state::protocol::Reply;
use mpathpersist::Holder;
use multipathd_lite::metrics::{Moment, render};
use multipathd_lite::tally::Tally;

use crate::host;

fn text() -> String {
    let now = Instant::now();
    let mut model = host::model(now);
    if let Some(map) = model.map_mut(host::WWID) {
        map.pr.holder = Holder::Us;
        map.pr.registrations = Some(3);
    }
    let devices: Vec<_> = model.paths.keys().copied().collect();
    for device in devices.iter().take(2) {
        model.path_mut(*device).unwrap().checked_at = Some(now);
    }
    let mut tally = Tally::default();
    tally.count(&Reply::Ok, Duration::from_micros(300));
    tally.count(&Reply::Timeout, Duration::from_millis(3500));
    let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    render(&model, &tally, Moment { instant: now, time })
}

#[test]
fn everything_that_is_known() {
    insta::assert_snapshot!(text());
}

/// Prometheus' own judgement of names, types and help. `cargo xtask ci` brings promtool along;
/// elsewhere it is asked if it is installed.
#[test]
fn promtool_finds_nothing_to_say() {
    let named = std::env::var_os("MPATH_PR_PROMTOOL");
    let is_required = named.is_some();
    let mut promtool = Command::new(named.unwrap_or_else(|| "promtool".into()));
    let started = promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match started {
        Ok(promtool) => promtool,
        Err(error) if !is_required => return eprintln!("skipped: no promtool ({error})"),
        Err(error) => panic!("promtool: {error}"),
    };
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(text().as_bytes()).unwrap();
    drop(stdin);
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
