//! Where the daemon has its files and sockets: on a host, or in the folder of a sandbox's node.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mpath_state::protocol::{ABSTRACT_SOCKET_NAME, SOCKET_PATH, SocketAddress};
use mpathpersist::Host;
use mpathpersist::sandbox::SandboxError;

use crate::pid_file::PidFile;
use crate::rules::Files;

/// What the command line says of places.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// The folder of a sandbox's node, in place of the kernel (`--sandbox`).
    pub sandbox: Option<PathBuf>,
    /// Another file with the settings of our own (`--config`).
    pub settings: Option<PathBuf>,
    /// The file that metrics are written to (`--metrics`).
    pub metrics: Option<PathBuf>,
}

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Home {
    /// What is below the maps, configuration, keys, records.
    pub host: Host,
    /// Names, WWIDs, and settings of our own.
    pub files: Files,
    /// It is locked while a daemon runs.
    pub pid_file: PathBuf,
    /// Where clients are listened to.
    pub listen: Vec<SocketAddress>,
}

impl Places {
    /// Finds everything.
    ///
    /// # Errors
    /// There is no such sandbox or node.
    pub fn home(&self) -> Result<Home, SandboxError> {
        let mut home = match &self.sandbox {
            None => Home::of_host(),
            Some(dir) => Home::of_sandbox(Host::in_sandbox(dir)?),
        };
        if let Some(settings) = &self.settings {
            home.files.settings.clone_from(settings);
        }
        home.files.metrics = self.metrics.as_deref().and_then(metrics);
        Ok(home)
    }

    /// The options that say the same, from whatever folder.
    pub(crate) fn options(&self) -> Vec<OsString> {
        let options = [
            ("--sandbox", &self.sandbox),
            ("--config", &self.settings),
            ("--metrics", &self.metrics),
        ];
        let given = options
            .into_iter()
            .filter_map(|(name, path)| Some((name, path.as_ref()?)));
        given
            .flat_map(|(name, path)| {
                let is_optional = path.to_str().is_some_and(|text| text.starts_with('-'));
                if is_optional {
                    return [OsString::from(name), path.clone().into_os_string()];
                }
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                [OsString::from(name), path.into_os_string()]
            })
            .collect()
    }
}

impl Home {
    fn of_host() -> Self {
        Self {
            host: Host::default(),
            files: Files::default(),
            pid_file: PidFile::DEFAULT_PATH.into(),
            listen: vec![
                SocketAddress::Abstract(ABSTRACT_SOCKET_NAME.to_owned()),
                SocketAddress::Path(SOCKET_PATH.into()),
            ],
        }
    }

    fn of_sandbox(host: Host) -> Self {
        let at = |name: &str| {
            let node = host.sandbox.as_ref();
            node.map_or_else(PathBuf::new, |node| node.dir().join(name))
        };
        Self {
            files: Files {
                bindings: at("bindings"),
                wwids: at("wwids"),
                settings: at("mpath-pr.conf"),
                metrics: None,
            },
            pid_file: at("multipathd.pid"),
            listen: host.daemon.clone(),
            host,
        }
    }
}

/// As with files in units of systemd, `-` before it says that it is fine if its folder is not
/// there.
fn metrics(file: &Path) -> Option<PathBuf> {
    let text = file.to_str().unwrap_or_default();
    let optional = text.strip_prefix('-').map(Path::new);
    let has_folder = |file: &&Path| file.parent().is_some_and(Path::is_dir);
    let file = match optional {
        Some(optional) => Some(optional).filter(has_folder)?,
        None => file,
    };
    // It is written from another folder.
    Some(std::path::absolute(file).unwrap_or_else(|_| file.to_owned()))
}

/// Beside multipath.conf, in which multipath-tools would complain of words that it does not know.
pub const SETTINGS_PATH: &str = "/etc/mpath-pr.conf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optional_file_needs_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let check = |optional: &str, name: &str, expected: bool| {
            let file = dir.path().join(name);
            let given = format!("{optional}{}", file.display());
            assert_eq!(metrics(given.as_ref()), expected.then_some(file), "{given}");
        };
        check("", "none/m.prom", true);
        check("-", "none/m.prom", false);
        check("-", "m.prom", true);
    }

    /// What the example says is what is understood.
    #[test]
    fn the_example_can_be_used() {
        let example = include_str!("../mpath-pr.conf");
        let settings = |text: &str| {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("mpath-pr.conf");
            std::fs::write(&file, text).unwrap();
            let (settings, problems) = mpath_state::config::Settings::load(&file);
            assert_eq!(problems, []);
            settings
        };
        assert_eq!(settings(example), mpath_state::config::Settings::default());
        let lines = example.lines().filter_map(|line| line.strip_prefix('#'));
        let wanted = lines.filter(|line| !line.starts_with(' '));
        let used = settings(&wanted.collect::<Vec<_>>().join("\n"));
        assert_eq!(used.hooks.len(), 1);
        assert_eq!(used.hooks[0].command.len(), 2);
        assert_eq!(used.hooks[0].events.len(), 2);
        assert!(used.metrics_file.is_some());
    }
}
