//! multipathd-lite as clients see it: the distribution's `multipathd -k` and `mpathpersist` against
//! it, ours against it, users that are not root, signals, and a second daemon.

use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use xtask::error::{Context, Error, Result};
use xtask::guest::{
    DEFAULT_CONFIG, Fabric, Finished, Lab, Lun, Multipathd, Nexus, Run, run, tell, until,
};

#[test]
fn the_distributions_client_is_answered() -> Result {
    let node = Node::new("sockclient")?;
    let wwid = node.lun.wwid();
    let maps = node.theirs("show maps raw format \"%n %w\"")?;
    assert_eq!(maps.trim(), format!("{} {wwid}", node.map));
    assert_eq!(
        node.theirs("list multipaths")?,
        node.ours(&["show", "maps"])?
    );
    let paths = node.theirs("show paths raw format \"%d %t %T %m\"")?;
    let expected = format!(" active ready {}", node.map);
    assert_eq!(
        paths
            .lines()
            .filter(|line| line.ends_with(&expected))
            .count(),
        2,
        "{paths}"
    );
    assert_eq!(
        node.theirs(&format!("getprstatus map {}", node.map))?
            .trim(),
        "unset"
    );
    assert_eq!(
        node.theirs(&format!("getprkey map {}", node.map))?.trim(),
        "none"
    );
    let json = node.theirs(&format!("show map {} json", node.map))?;
    assert!(json.contains(&format!("\"uuid\": \"{wwid}\"")), "{json}");
    // As OpenSVC looks for it.
    let pattern = r#"(?m)^\s*reservation_key\s+("file"|file)\s*$"#;
    let grep = Run::new("grep").args(["-qP", "--", pattern]);
    grep.input(node.theirs("show config")?).run()?.succeeded()?;
    assert!(
        node.theirs("show topology")?
            .contains("policy='service-time 0'")
    );
    assert_eq!(node.theirs("bogus")?.trim(), "fail");
    assert_eq!(node.theirs("reconfigure")?.trim(), "ok");
    Ok(())
}

#[test]
fn the_distributions_mpathpersist_and_ours_tell_the_same_daemon() -> Result {
    let node = Node::new("sockpersist")?;
    let status = |node: &Node| node.ours(&["getprstatus", "map", &node.map]);
    let key = |node: &Node| node.ours(&["getprkey", "map", &node.map]);
    node.their_persist(&["-o", "-I", "-S", "123abc"])?
        .succeeded()?;
    assert_eq!(
        (status(&node)?.as_str(), key(&node)?.as_str()),
        ("set\n", "0x123abc\n")
    );
    let keys = node.our_persist(&["-i", "-k"])?.succeeded()?.stdout;
    assert_eq!(keys.matches("    0x123abc").count(), 2, "{keys}");
    node.our_persist(&["-o", "-I", "-S", "c"])?.succeeded()?;
    assert_eq!(
        (status(&node)?.as_str(), key(&node)?.as_str()),
        ("set\n", "0xc\n")
    );
    node.their_persist(&["-o", "-R", "-K", "c", "-T", "5"])?
        .succeeded()?;
    node.our_persist(&["-o", "-L", "-K", "c", "-T", "5"])?
        .succeeded()?;
    node.their_persist(&["-o", "-G", "-K", "c", "-S", "0"])?
        .succeeded()?;
    assert_eq!(
        (status(&node)?.as_str(), key(&node)?.as_str()),
        ("unset\n", "none\n")
    );
    Ok(())
}

#[test]
fn a_user_may_look_and_not_touch() -> Result {
    let node = Node::new("sockuser")?;
    let as_nobody = |command: &str| -> Result<Finished> {
        let args = [
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "multipathd-lite",
        ];
        Run::new("setpriv")
            .args(args)
            .args(command.split(' '))
            .run()
    };
    assert_eq!(
        as_nobody("show maps raw format %n")?
            .succeeded()?
            .stdout
            .trim(),
        node.map
    );
    let denied = as_nobody("reconfigure")?.ended_with(1)?;
    assert_eq!(denied.stdout, "permission deny: need to be root\n");
    Ok(())
}

#[test]
fn of_two_daemons_one_runs() -> Result {
    let node = Node::new("sockalone")?;
    let second = run("multipathd-lite", ["-d"])?.ended_with(1)?;
    assert!(
        second.stderr.contains("running already"),
        "{}",
        second.stderr
    );
    let theirs = Run::new("multipathd")
        .args(["-d", "-s"])
        .limit(PATIENCE)
        .run()?;
    assert_ne!(theirs.code(), 0, "{}{}", theirs.stdout, theirs.stderr);
    node.ours(&["ping"])?;
    Ok(())
}

#[test]
fn signals_reconfigure_and_end_it() -> Result {
    let mut node = Node::new("sockend")?;
    let pid = node.daemon.id().to_string();
    run("kill", ["-HUP", &pid])?.succeeded()?;
    until("the daemon to be idle again", || {
        Ok(node
            .ours(&["show", "daemon"])?
            .contains("idle")
            .then_some(()))
    })?;
    let table = run("dmsetup", ["table", &node.map])?.succeeded()?.stdout;
    let began = Instant::now();
    run("kill", ["-TERM", &pid])?.succeeded()?;
    let status = node.daemon.wait().context(|| "cannot wait".to_owned())?;
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < BUSY, "{:?}", began.elapsed());
    assert_eq!(
        run("dmsetup", ["table", &node.map])?.succeeded()?.stdout,
        table
    );
    let refused = run("multipathd-lite", ["show", "maps"])?.ended_with(1)?;
    assert!(
        refused.stderr.contains("no multipath daemon"),
        "{}",
        refused.stderr
    );
    Ok(())
}

#[test]
fn without_d_it_goes_to_the_background_when_it_is_ready() -> Result {
    let lab = Lab::alone("sockback")?;
    lab.write_config(DEFAULT_CONFIG)?;
    run("multipathd-lite", ["--settle"])?.succeeded()?;
    let started = run("multipathd-lite", ["-v2"])?.succeeded()?;
    let state = run("multipathd-lite", ["show", "daemon"])?
        .succeeded()?
        .stdout;
    assert!(!state.contains("configure"), "{state}: {}", started.stderr);
    assert_eq!(
        run("multipathd-lite", ["shutdown"])?.succeeded()?.stdout,
        "ok\n"
    );
    until("the daemon to be gone", || {
        Ok((run("multipathd-lite", ["ping"])?.code() != 0).then_some(()))
    })
}

#[test]
fn the_service_manager_is_told() -> Result {
    let lab = Lab::alone("socknotify")?;
    lab.write_config(DEFAULT_CONFIG)?;
    let _ = std::fs::remove_file(NOTIFY);
    let socket = UnixDatagram::bind(NOTIFY).context(|| format!("cannot bind {NOTIFY}"))?;
    socket
        .set_read_timeout(Some(PATIENCE))
        .context(|| "set a time-out".to_owned())?;
    let mut daemon = Command::new("multipathd-lite")
        .args(["-d", "-s"])
        .env("NOTIFY_SOCKET", NOTIFY)
        .env("WATCHDOG_USEC", "400000")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context(|| "cannot run multipathd-lite".to_owned())?;
    let told = |wanted: &str| -> Result {
        let mut text = [0; 256];
        loop {
            let length = socket
                .recv(&mut text)
                .context(|| format!("nothing of {wanted}"))?;
            if String::from_utf8_lossy(&text[..length]).contains(wanted) {
                return Ok(());
            }
        }
    };
    let all = told("READY=1")
        .and_then(|()| told("WATCHDOG=1"))
        .and_then(|()| told("WATCHDOG=1"))
        .and_then(|()| run("kill", [daemon.id().to_string()]).map(drop))
        .and_then(|()| told("STOPPING=1"));
    let _ = daemon.kill();
    let _ = daemon.wait();
    all
}

/// Where the service manager would listen.
const NOTIFY: &str = "/run/mpath-lab-notify";

/// Commands that both daemons must answer with the same words.
const QUESTIONS: &[&str] = &[
    "show maps",
    "show maps status",
    "show maps raw format \"%n|%w|%d|%N|%r|%t|%S|%f|%h|%s|%v|%p|%e|\"",
    "show paths",
    "show paths raw format \"%w|%i|%d|%D|%t|%o|%T|%s|%c|%p|%S|%m|%P|%r|%R|%n|%N|%L|%M|%G|\"",
    "show topology",
    "show map NAME raw format %n",
    "show map nowhere topology",
    "getprstatus map nowhere",
    "getprkey map nowhere",
];

#[test]
fn both_daemons_say_the_same() -> Result {
    let lab = Lab::alone("socksame")?;
    let lun = lab.lun(Fabric::Loop, 2)?;
    let daemon = Multipathd::start(&lab, DEFAULT_CONFIG)?;
    let name = daemon.await_map(&lun.wwid(), 2)?;
    until("udev to be done", || {
        let ready = daemon.ask("show paths")?.matches("ready").count();
        Ok((ready == lun.paths().len()).then_some(()))
    })?;
    let theirs = answers(&name)?;
    drop(daemon);
    let node = Node::on(lab, lun)?;
    let ours = answers(&name)?;
    let mut differences = Vec::new();
    for ((question, theirs), (_, ours)) in theirs.iter().zip(&ours) {
        if theirs != ours {
            differences.push(format!("{question}\ntheirs: {theirs}\nours:   {ours}"));
        }
    }
    drop(node);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

/// What is asked and answered, with the exit status; times are left out.
fn answers(name: &str) -> Result<Vec<(String, String)>> {
    let answer = |question: &&str| -> Result<(String, String)> {
        let question = question.replace("NAME", name);
        let finished = run("multipathd", [format!("-k{question}")])?;
        let mut text: Vec<String> = finished.stdout.lines().map(without_time).collect();
        if question.starts_with("show paths") {
            // theirs in the order in which they were found
            text.sort();
        }
        let answer = format!("{}\n{}", finished.code(), text.join("$\n"));
        Ok((question, answer))
    };
    let mut answers: Vec<_> = QUESTIONS.iter().map(answer).collect::<Result<_>>()?;
    let json = run("multipathd", ["-kshow maps json"])?.stdout;
    let json: serde_json::Value = serde_json::from_str(&json).map_err(Error::unexpected)?;
    let mut keys = Vec::new();
    collect("", &json, &mut keys);
    answers.extend(keys);
    Ok(answers)
}

/// Without the bar and the seconds until the next check, and what was done to the map a moment ago.
fn without_time(line: &str) -> String {
    let line = line.trim_start_matches("create: ");
    let is_time = |word: &str| word.contains('/') && word.starts_with(|c: char| c.is_ascii_digit());
    let is_bar = |word: &str| word.len() > 5 && word.chars().all(|c| c == 'X' || c == '.');
    let words = line
        .split(' ')
        .filter(|word| !is_time(word) && !is_bar(word));
    words.collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

/// Values by their place in a document, but for those that only we have.
fn collect(place: &str, value: &serde_json::Value, found: &mut Vec<(String, String)>) {
    const OWN: &[&str] = &[
        "reservations",
        "registration",
        "initiator_port",
        "target_port",
        "uuid",
        "hcil",
        "map_loads",
        "action",
    ];
    match value {
        serde_json::Value::Object(object) => {
            for (key, value) in object
                .iter()
                .filter(|(key, _)| !OWN.contains(&key.as_str()))
            {
                collect(&format!("{place}.{key}"), value, found);
            }
        }
        serde_json::Value::Array(array) => {
            for (index, value) in array.iter().enumerate() {
                collect(&format!("{place}[{index}]"), value, found);
            }
        }
        value => found.push((place.to_owned(), value.to_string())),
    }
}

/// All paths hang, a thousand clients are in the middle of a request, some sent nonsense: whoever
/// asks is answered at once all the same.
#[test]
fn nobody_waits_for_hanging_paths_or_hostile_clients() -> Result {
    let lab = Lab::alone("sockhang")?;
    let lun = lab.lun(Fabric::Iscsi, 2)?;
    let node = Node::on(lab, lun)?;
    node.lun.paths().iter().try_for_each(Nexus::hang)?;
    let connect = || UnixStream::connect("/run/multipathd.socket").context(|| "connect".to_owned());
    let mut clients = (0..1000).map(|_| connect()).collect::<Result<Vec<_>>>()?;
    for (index, client) in clients.iter_mut().enumerate() {
        let sent = match index % 3 {
            0 => client.write_all(&20_u64.to_ne_bytes()),
            1 => client.write_all(b"\xff\xff\xff\xff\xff\xff\xff\xff nonsense"),
            _ => client.write_all(b"\x03"),
        };
        // Nonsense is answered by closing, perhaps before all of it is sent.
        drop(sent);
    }
    let mut times = Vec::new();
    for _ in 0..20 {
        let mut client = connect()?;
        let began = Instant::now();
        let asked = "show maps\0";
        let length = asked.len() as u64;
        let request = [&length.to_ne_bytes(), asked.as_bytes()].concat();
        let mut answer = [0; 8];
        let answered = client
            .write_all(&request)
            .and_then(|()| client.read_exact(&mut answer));
        answered.context(|| "no answer".to_owned())?;
        times.push(began.elapsed());
    }
    node.lun.paths().iter().try_for_each(Nexus::resume)?;
    times.sort_unstable();
    let (median, slowest) = (times[10], times[19]);
    tell(&format!(
        "show maps while all paths hang: median {median:?}, slowest {slowest:?}"
    ));
    assert!(times[19] < BUSY, "{times:?}");
    Ok(())
}

/// For what takes milliseconds, in an emulated guest on a busy machine; a path that hangs does so
/// for minutes.
const BUSY: Duration = Duration::from_secs(10);

/// A daemon that starts takes about a second in the guest.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node with our daemon, which made the map of two paths.
struct Node {
    daemon: Child,
    map: String,
    lun: Lun,
    _lab: Lab,
}

impl Node {
    fn new(name: &str) -> Result<Self> {
        let lab = Lab::alone(name)?;
        let lun = lab.lun(Fabric::Loop, 2)?;
        Self::on(lab, lun)
    }

    fn on(lab: Lab, lun: Lun) -> Result<Self> {
        lab.write_config(DEFAULT_CONFIG)?;
        let log = std::fs::File::create(LOG).context(|| format!("cannot write {LOG}"))?;
        let daemon = Command::new("multipathd-lite")
            .args(["-d", "-s", "-v3"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context(|| "cannot run multipathd-lite".to_owned())?;
        let mut node = Self {
            daemon,
            map: String::new(),
            lun,
            _lab: lab,
        };
        node.map = node.await_map().inspect_err(|_| {
            eprintln!("{}", std::fs::read_to_string(LOG).unwrap_or_default());
        })?;
        Ok(node)
    }

    fn await_map(&self) -> Result<String> {
        let wwid = self.lun.wwid();
        until(&format!("a map of {wwid} with 2 paths"), || {
            let maps = run(
                "multipathd-lite",
                ["show", "maps", "raw", "format", "%w,%n,%N"],
            )?;
            let line = maps
                .stdout
                .lines()
                .find(|line| line.starts_with(&wwid))
                .map(str::to_owned);
            let line = line.unwrap_or_default();
            let [_, name, "2"] = line.split(',').collect::<Vec<_>>()[..] else {
                return Ok(None);
            };
            let is_there = std::path::Path::new("/dev/mapper").join(name).exists();
            Ok(is_there.then(|| name.to_owned()))
        })
    }

    /// What the distribution's client prints.
    fn theirs(&self, command: &str) -> Result<String> {
        Ok(run("multipathd", [format!("-k{command}")])?.stdout)
    }

    /// What ours prints.
    fn ours(&self, command: &[&str]) -> Result<String> {
        Ok(run("multipathd-lite", command)?.succeeded()?.stdout)
    }

    fn our_persist(&self, args: &[&str]) -> Result<Finished> {
        run("mpathpersist", [args, &["-d", &self.device()]].concat())
    }

    fn their_persist(&self, args: &[&str]) -> Result<Finished> {
        run(
            "/usr/sbin/mpathpersist",
            [args, &["-d", &self.device()]].concat(),
        )
    }

    fn device(&self) -> String {
        format!("/dev/mapper/{}", self.map)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = run("kill", [self.daemon.id().to_string()]);
        let _ = self.daemon.wait();
    }
}

const LOG: &str = "/run/multipathd-lite-socket.log";
