//! The Debian packages: which files go where, and the scripts by which a package stands beside
//! multipath-tools without touching its files.

use std::fs;
use std::path::Path;

use clap_complete::Shell;

use super::stage::Stage;
use super::{Programs, Release, needs};
use crate::error::{Context, Result};
use crate::{completions, man, process};

/// How well a package is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// For people who download it.
    Best,
    /// Not at all, for a test.
    None,
}

impl Compression {
    pub(super) const fn option(self) -> &'static str {
        match self {
            Self::Best => "-Zxz",
            Self::None => "-Znone",
        }
    }
}

/// One package.
#[derive(Debug, Clone, Copy)]
pub(super) struct Package {
    pub(super) name: &'static str,
    /// The program as its users call it, and as multipath-tools has one.
    alternative: &'static str,
    /// Ours, which is always there under this name.
    program: &'static str,
    /// Its manual page, without section, as it is installed.
    manual: &'static str,
    /// Its manual page as it is written.
    page: &'static str,
    completed: &'static str,
    relations: &'static str,
    description: &'static str,
    has_units: bool,
}

impl Package {
    pub(super) const MPATH_PR: Self = Self {
        name: "mpath-pr",
        alternative: "mpathpersist",
        program: "mpathpersist.mpath-pr",
        manual: "mpathpersist.mpath-pr",
        page: "mpathpersist.8",
        completed: "mpathpersist",
        relations: "Suggests: multipathd-lite | multipath-tools, sg3-utils
Enhances: fence-agents
",
        description: "SCSI persistent reservations on multipath maps
 A drop-in for the mpathpersist of multipath-tools: a map answers like one
 disk, whatever happens to its paths. Where multipath-tools is installed, its
 own stays in use until this one is chosen:
 .
  update-alternatives --set mpathpersist /usr/sbin/mpathpersist.mpath-pr
",
        has_units: false,
    };

    pub(super) const MULTIPATHD_LITE: Self = Self {
        name: "multipathd-lite",
        alternative: "multipathd",
        program: "multipathd-lite",
        manual: "multipathd-lite",
        page: "multipathd-lite.8",
        completed: "multipathd-lite",
        relations: "Recommends: mpath-pr, multipath-tools\n",
        description: "multipath daemon for hosts that use persistent reservations
 Makes multipath maps, checks their paths, and sees to it that a path that
 returns has the registration that this node has before it carries I/O. It
 is installed disabled, beside multipathd of multipath-tools, whose udev rules
 it uses; one of both can run:
 .
  systemctl disable --now multipathd.service multipathd.socket
  systemctl enable --now multipathd-lite.service
",
        has_units: true,
    };

    /// Lays out the package's files.
    pub(super) fn make(
        &self,
        workspace: &Path,
        stage: &Stage,
        programs: &Programs,
        release: &Release,
    ) -> Result {
        let program = match self.has_units {
            true => &programs.multipathd_lite,
            false => &programs.mpathpersist,
        };
        stage.program(&format!("usr/sbin/{}", self.program), program)?;
        self.add_texts(workspace, stage, release)?;
        if self.has_units {
            for unit in UNITS {
                let from = workspace.join("multipathd-lite/systemd").join(unit);
                stage.copy(&from, &format!("usr/lib/systemd/system/{unit}"))?;
            }
            // Nothing in it counts until somebody takes a '#' away; dpkg keeps what they wrote.
            stage.copy(&workspace.join(SETTINGS), "etc/mpath-pr.conf")?;
            stage.write("DEBIAN/conffiles", "/etc/mpath-pr.conf\n")?;
        }
        let bytes = fs::read(program).context(|| format!("cannot read {}", program.display()))?;
        // Of all that it installs, next to nothing is something else.
        let size = bytes.len().div_ceil(1024);
        let depends = needs::depends(&bytes);
        let control = self.control(release, &depends, size)?;
        stage.write("DEBIAN/control", control)?;
        for (name, text) in SCRIPTS {
            stage.write(&format!("DEBIAN/{name}"), self.script(name, text))?;
        }
        Ok(())
    }

    fn add_texts(&self, workspace: &Path, stage: &Stage, release: &Release) -> Result {
        for page in man::pages()? {
            let to = match page.name {
                name if name == self.page => format!("man8/{}.8", self.manual),
                "mpath-pr.conf.5" if !self.has_units => "man5/mpath-pr.conf.5".to_owned(),
                _ => continue,
            };
            stage.write_gzip(&format!("usr/share/man/{to}"), page.text)?;
        }
        for (shell, folder) in COMPLETIONS {
            let script = completions::script(self.completed, *shell, "/sys")?;
            stage.write(&format!("usr/share/{folder}/{}", script.file), script.text)?;
        }
        let doc = format!("usr/share/doc/{}", self.name);
        let licence = workspace.join("LICENSE-MIT");
        let licence =
            fs::read_to_string(&licence).context(|| format!("no {}", licence.display()))?;
        stage.write(&format!("{doc}/copyright"), copyright(&licence))?;
        stage.write_gzip(&format!("{doc}/changelog"), self.log(release))?;
        stage.copy(&workspace.join("README.md"), &format!("{doc}/README.md"))
    }

    fn control(&self, release: &Release, depends: &str, size: usize) -> Result<String> {
        let architecture = process::output(process::tool("dpkg").arg("--print-architecture"))?;
        let depends = match depends {
            "" => String::new(),
            depends => format!("Depends: {depends}\n"),
        };
        Ok(format!(
            "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: {MAINTAINER}\n\
             Installed-Size: {size}\nSection: admin\nPriority: optional\n\
             {depends}{}Description: {}",
            self.name,
            release.version,
            architecture.trim(),
            self.relations,
            self.description
        ))
    }

    /// Debian wants one in its own form; what has changed is in CHANGELOG.md.
    fn log(&self, release: &Release) -> String {
        let date = process::output(
            process::tool("date")
                .args(["--utc", "--rfc-email"])
                .arg(format!("--date=@{}", release.time)),
        );
        format!(
            "{} ({}) unstable; urgency=medium\n\n  * See the CHANGELOG of mpath-pr.\n\n \
             -- {MAINTAINER}  {}\n",
            self.name,
            release.version,
            date.unwrap_or_default().trim()
        )
    }

    fn script(&self, name: &str, text: &str) -> String {
        let units = UNIT_SCRIPTS
            .iter()
            .find(|(of, _)| self.has_units && *of == name);
        let text = text
            .replace("@PACKAGE@", self.name)
            .replace("@NAME@", self.alternative)
            .replace("@OURS@", &format!("/usr/sbin/{}", self.program))
            .replace("@MANUAL@", self.manual);
        text.replace("@UNITS@\n", units.map_or("", |(_, text)| text))
    }
}

fn copyright(licence: &str) -> String {
    let lines = licence
        .lines()
        .skip_while(|line| !line.starts_with("Permission"));
    let lines = lines.map(|line| match line.trim() {
        "" => " .\n".to_owned(),
        line => format!(" {line}\n"),
    });
    format!(
        "{}{}",
        include_str!("../../debian/copyright"),
        lines.collect::<String>()
    )
}

/// The daemon's units.
pub(super) const UNITS: [&str; 2] = ["multipathd-lite.service", "mpath-pr-settle.service"];

/// The daemon's own settings, all of them commented out.
pub(super) const SETTINGS: &str = "multipathd-lite/mpath-pr.conf";

const SCRIPTS: &[(&str, &str)] = &[
    ("preinst", include_str!("../../debian/preinst")),
    ("postinst", include_str!("../../debian/postinst")),
    ("prerm", include_str!("../../debian/prerm")),
    ("postrm", include_str!("../../debian/postrm")),
    ("triggers", include_str!("../../debian/triggers")),
];

const UNIT_SCRIPTS: &[(&str, &str)] = &[
    ("postinst", include_str!("../../debian/units.postinst")),
    ("prerm", include_str!("../../debian/units.prerm")),
    ("postrm", include_str!("../../debian/units.postrm")),
];

const COMPLETIONS: &[(Shell, &str)] = &[
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/vendor-completions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

const MAINTAINER: &str = "The mpath-pr developers <mpath-pr@localhost>";
