//! What people are told by multipathd-lite: hooks and metrics, on the real kernel.

use xtask::error::{Context, Result};
use xtask::guest::{Answer, Lab, until};

use crate::daemon_paths::Node;
use crate::persist::{OURS, THEIRS};

/// What lies about goes with it.
struct Settings;

impl Settings {
    fn new() -> Result<Self> {
        let hook = "#!/bin/sh\nenv | grep ^MPATH_PR_ | sort > /run/hook.new\n\
                    mv /run/hook.new /run/hook.seen\n";
        let settings = "metrics_file \"/run/hook.prom\"\nhook {\n\tcommand \"/bin/sh /run/hook\"\n\
                        \tevents preempted\n}\n";
        for (file, text) in [("/run/hook", hook), (SETTINGS, settings)] {
            std::fs::write(file, text).context(|| format!("cannot write {file}"))?;
        }
        Ok(Self)
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        for file in ["/run/hook", SETTINGS, "/run/hook.seen", "/run/hook.prom"] {
            let _ = std::fs::remove_file(file);
        }
    }
}

const SETTINGS: &str = "/etc/mpath-pr.conf";

#[test]
fn a_hook_and_the_metrics_tell_of_a_preemption() -> Result {
    let lab = Lab::alone("litehook")?;
    let _settings = Settings::new()?;
    let node = Node::new(&lab, 2)?;
    node.persist("-G -S a")?;
    node.persist("-R -K a -T 5")?;
    let other = node.other.witness();
    assert_eq!(other.register_and_ignore(THEIRS)?, Answer::Done);
    assert_eq!(other.preempt(THEIRS, OURS, 5)?, Answer::Done);
    let read = |file: &str| std::fs::read_to_string(file).ok();
    let seen = node
        .daemon
        .explain(until("the hook", || Ok(read("/run/hook.seen"))))?;
    let (map, wwid) = (&node.map, node.lun.wwid());
    for line in [
        "MPATH_PR_EVENT=preempted".to_owned(),
        format!("MPATH_PR_MAP={map}"),
        format!("MPATH_PR_WWID={wwid}"),
        format!("MPATH_PR_KEY={OURS:#x}"),
    ] {
        assert!(seen.lines().any(|known| known == line), "{line}: {seen}");
    }
    for name in ["TIME", "PATH", "EVIDENCE"] {
        assert!(seen.contains(&format!("MPATH_PR_{name}=")), "{seen}");
    }
    let counted = format!("mpath_pr_map_preemptions_total{{map=\"{map}\",wwid=\"{wwid}\"}} 1\n");
    node.daemon.explain(until("the metrics", || {
        let text = read("/run/hook.prom").unwrap_or_default();
        Ok(text.contains(&counted).then_some(()))
    }))
}
