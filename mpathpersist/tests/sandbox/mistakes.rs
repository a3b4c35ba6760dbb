//! Mistakes that people make: the message alone has to lead to the fix, and its name to more.
use std::ffi::OsString;

use mpathpersist::cli::{self, Privilege};
use mpathpersist::overview::{self, Terminal};
use mpathpersist::view::{Answering, DaemonKind, Daemons, HostView};
use mpathpersist::{Host, HostRunner, Paint};

use crate::san::{Ran, San};

/// Says what was said, and follows the name in brackets.
#[track_caller]
fn followed(san: &San, ran: &Ran, code: &str) -> String {
    let text = ran.to_string();
    assert!(text.contains(&format!("[{code}]")), "{text}");
    let more = san.run(&format!("explain {code}")).ok();
    assert!(more.starts_with(code), "{more}");
    text
}

/// A mistake, what it says, and what it leads to.
struct Mistake {
    title: &'static str,
    /// How it comes to it.
    before: &'static [&'static str],
    made: &'static str,
    code: &'static str,
    /// What the message says to do.
    fix: &'static [&'static str],
}

/// On a sandbox of its own, whose nodes are registered with a1 and b2.
const MISTAKES: [Mistake; 7] = [
    Mistake {
        title: "wrong key",
        before: &[],
        made: "--sandbox san/alice -o -R -K a11 -T 5 mpatha",
        code: "key-mismatch",
        fix: &["--sandbox san/alice -o -R -K a1 -T 5 mpatha"],
    },
    Mistake {
        title: "no key configured",
        before: &["--sandbox san/alice -o -I -S 0 mpatha"],
        made: "--sandbox san/alice -o -R -K a1 -T 5 mpatha",
        code: "no-key",
        fix: &[
            "--sandbox san/alice --out --register --param-sark a1 mpatha",
            "--sandbox san/alice -o -R -K a1 -T 5 mpatha",
        ],
    },
    Mistake {
        title: "key of another node",
        before: &[],
        made: "--sandbox san/alice -o -I -S b2 mpatha",
        code: "shared-key",
        fix: &[
            "--sandbox san/alice --out --register-ignore --param-sark a2 mpatha",
            "--sandbox san/alice check mpatha",
        ],
    },
    Mistake {
        title: "map name mistyped",
        before: &[],
        made: "--sandbox san/alice -i -k /dev/mapper/mptahb",
        code: "device-not-found",
        fix: &["--sandbox san/alice -i -k mpathb"],
    },
    Mistake {
        title: "paths gone",
        before: &[
            "sandbox offline san/alice sda",
            "sandbox gone san/alice sdb",
        ],
        made: "--sandbox san/alice -o -R -K a1 -T 5 mpatha",
        code: "no-usable-path",
        fix: &[
            "sandbox up san/alice sda",
            "--sandbox san/alice -o -R -K a1 -T 5 mpatha",
        ],
    },
    Mistake {
        title: "array without persistent reservations",
        before: &["sandbox init other --paths 2 --profile no-pr"],
        made: "--sandbox other/alice -o -G -S a1 mpatha",
        code: "invalid-operation",
        fix: &[],
    },
    Mistake {
        title: "journal left over",
        before: &[],
        made: "--sandbox san/alice check mpatha",
        code: "command-cut-off",
        fix: &[
            "--sandbox san/alice repair --yes mpatha",
            "--sandbox san/alice check mpatha",
        ],
    },
];

impl Mistake {
    fn told(&self) -> String {
        let san = San::new("--paths 2 --luns 2");
        san.on("alice", "-o -G -S a1 mpatha").ok();
        san.on("bob", "-o -G -S b2 mpatha").ok();
        for line in self.before {
            san.run(line).ok();
        }
        if self.code == "command-cut-off" {
            leave_a_journal(&san);
        }
        let mut said = followed(&san, &san.run(self.made), self.code);
        for line in self.fix {
            let ran = san.run(line);
            assert_eq!(ran.status, 0, "{}: {ran}", self.title);
            said += &ran.to_string();
        }
        said
    }
}

fn leave_a_journal(san: &San) {
    let journal = "{\"version\":1,\"operation\":\"CLEAR\",\"request\":\"CLEAR mpatha\",\
                   \"pid\":999999999}";
    let path = san.at("san/alice/run/360060e80000000000000000000000001.journal");
    std::fs::write(path, journal).unwrap();
}

/// What a host says of its daemons; the lab sees it on a real one.
fn told_of_daemons(daemons: Daemons) -> String {
    let view = HostView {
        daemons: Some(daemons),
        problems: Vec::new(),
        maps: Vec::new(),
    };
    let told = view.remarks().into_iter().map(|remark| {
        let next = match remark.next.is_empty() {
            true => String::new(),
            false => format!(": {}", remark.next),
        };
        format!("host: {}{next} [{}]\n", remark.message, remark.code)
    });
    format!("$ mpathpersist check\n{}", told.collect::<String>())
}

fn told_to_a_user() -> String {
    let words = ["mpathpersist", "-i", "-k", "mpatha"].map(OsString::from);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let host = Host::default();
    let mut runner = HostRunner::new(&host);
    let status = cli::run(words, &mut runner, Privilege::User, &mut out, &mut err);
    assert!(out.is_empty());
    let err = String::from_utf8(err).unwrap();
    let lines: String = err.lines().map(|line| format!("! {line}\n")).collect();
    format!("$ mpathpersist -i -k mpatha\n{lines}= {status}\n")
}

/// The ten mistakes that everybody makes once: what is said, and that what it says to do is all
/// that is needed.
#[test]
fn ten_mistakes() {
    let of = |kind| Daemons {
        answering: Some(Answering::InTime { pid: 812, kind }),
        processes: vec![
            (812, "multipathd".to_owned()),
            (977, "multipathd-lite".to_owned()),
        ],
    };
    let none = Daemons {
        answering: None,
        processes: Vec::new(),
    };
    let sections = MISTAKES.iter().map(|it| (it.title, it.told()));
    let others = [
        ("daemon not running", told_of_daemons(none)),
        (
            "another daemon running",
            told_of_daemons(of(DaemonKind::Multipathd)),
        ),
        ("not root", told_to_a_user()),
    ];
    let mut page = String::new();
    for (number, (title, said)) in (1..).zip(sections.chain(others)) {
        page += &format!("\n{number}. {title}\n\n");
        page.extend(said.lines().map(|line| format!("   {line}\n")));
    }
    insta::assert_snapshot!(page);
}

#[test]
fn wrong_keys() {
    let san = San::new("--paths 2");
    let mut said = String::new();
    let never = san.on("alice", "-o -R -K a1 -T 5 mpatha");
    said += &followed(&san, &never, "no-key");
    san.on("alice", "-o -G -S a1 mpatha").ok();
    san.on("bob", "-o -G -S b2 mpatha").ok();
    let mistyped = san.on("alice", "-o -R -K a11 -T 5 mpatha");
    said += &followed(&san, &mistyped, "key-mismatch");
    let other_nodes = san.on("alice", "-o -R -K b2 -T 5 mpatha");
    said += &followed(&san, &other_nodes, "key-mismatch");
    let config = "defaults {\n reservation_key 0xb2\n}\n";
    std::fs::write(san.at("san/alice/multipath.conf"), config).unwrap();
    let configured = san.on("alice", "-o -I -S a1 mpatha");
    said += &followed(&san, &configured, "key-mismatch");
    san.on("alice", "-o -I -S b2 mpatha").ok();
    said += &followed(&san, &san.on("alice", "check mpatha"), "shared-key");
    insta::assert_snapshot!(said);
}

#[test]
fn a_name_that_is_misspelt() {
    let san = San::new("--paths 2 --luns 3");
    let mut said = String::new();
    for words in [
        "-i -k mpathd",
        "-o -C -K 1 /dev/mapper/mptahb",
        "status mpath-c",
    ] {
        said += &followed(&san, &san.on("alice", words), "device-not-found");
    }
    said += &followed(&san, &san.on("alice", "-i -k root"), "device-not-found");
    insta::assert_snapshot!(said);
}

#[test]
fn not_root() {
    let terminal = Terminal {
        paint: Paint::Plain,
        columns: None,
    };
    for (verb, expected) in [("status", 1), ("check", 3), ("repair mpatha", 1)] {
        let words = std::iter::once("mpathpersist").chain(verb.split(' '));
        let args: Vec<OsString> = words.map(OsString::from).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = overview::run(&args, terminal, Privilege::User, &mut out, &mut err);
        assert_eq!((status.0, out.len()), (expected, 0));
        let said = String::from_utf8(err).unwrap();
        assert_eq!(said, "need to be root: run it with sudo [not-root]\n");
    }
}
