//! What the findings of `status` and `check` mean.

use super::Explanation;

pub(super) const PREEMPTED: Explanation = Explanation {
    title: "This node was shut out",
    cause: "It was registered, and none of its paths is any more: another node has preempted it \
            (fencing), or cleared all registrations, or the array has lost them.",
    data: "While a reservation stands, this node's writes fail. That is what fencing is for.",
    next: "Find out why it was fenced. When it may come back: 'mpathpersist --out \
           --register-ignore --param-sark KEY MAP'. 'repair' does not let it in again.",
};

pub(super) const PATH_WITHOUT_KEY: Explanation = Explanation {
    title: "A path in use has no key, although the node is registered",
    cause: "The path came back, or was added, and nobody registered it: no daemon was running, or \
            it could not settle the path.",
    data: "While a reservation stands, I/O through this path fails with a reservation conflict; \
           the map may then fail the path or the I/O.",
    next: "'mpathpersist repair MAP' registers it if this node is still a member.",
};

pub(super) const PATH_WITH_OTHER_KEY: Explanation = Explanation {
    title: "A path in use has another key than the node",
    cause: "The key was changed while the path was away, or somebody registered the path by hand.",
    data: "Whoever fences this node by its key misses this path: the node could still write \
           through it.",
    next: "'mpathpersist repair MAP' gives it the node's key.",
};

pub(super) const PATH_WITH_KEY: Explanation = Explanation {
    title: "A path in use has a key, although the node is not registered",
    cause: "The node unregistered, or was shut out, while the path was away; or it was registered \
            by a program that this one knows nothing of.",
    data: "The node may write through this path although it should not.",
    next: "If nobody else registered it on purpose: 'mpathpersist repair MAP' takes the key away.",
};

pub(super) const TOO_FEW_REGISTRATIONS: Explanation = Explanation {
    title: "There are fewer registrations of the node's key than paths in use",
    cause: "Some path lost its key or never got one. The device does not say which.",
    data: "While a reservation stands, I/O through that path fails.",
    next: "Register again, which is harmless where the key is: 'mpathpersist --out \
           --register-ignore --param-sark KEY MAP'.",
};

pub(super) const LEAKED_KEY: Explanation = Explanation {
    title: "A nexus of this node that is no path of the map is registered",
    cause: "A path was removed, or an iSCSI session was set up again under another name: the \
            device still remembers the old one.",
    data: "With the node's present key it is harmless, and goes when the node unregisters or \
           changes its key. An older key may keep a reservation of all registrants alive.",
    next: "An older key: 'mpathpersist repair MAP' removes it, if the device names every \
           registration of it as this node's.",
};

pub(super) const KEY_NOT_CONFIGURED: Explanation = Explanation {
    title: "The node is registered with a key that is configured nowhere",
    cause: "It was registered by another program, or the line or the prkeys file that held the key \
            is gone.",
    data: "Nothing fails now. After a restart nobody knows which key returning paths should get.",
    next: "Register with the same key through mpathpersist, which stores it: 'mpathpersist --out \
           --register-ignore --param-sark KEY MAP'; or configure 'reservation_key'.",
};

pub(super) const KEY_CHANGED: Explanation = Explanation {
    title: "The configured key is not the registered one",
    cause: "multipath.conf or the prkeys file was changed after the node had registered.",
    data: "Commands with the registered key are refused, and so fencing by this node may fail.",
    next: "Register the configured key: 'mpathpersist --out --register-ignore --param-sark KEY \
           MAP'. Or put the configuration back.",
};

pub(super) const SHARED_KEY: Explanation = Explanation {
    title: "Another node is registered with the same key",
    cause: "Two nodes have the same reservation_key, or a guest is being migrated between them.",
    data: "Neither can be fenced without the other.",
    next: "Give each node a key of its own. During a live migration it goes away by itself.",
};

pub(super) const SHUT_OUT: Explanation = Explanation {
    title: "A reservation stands, and this node is not registered",
    cause: "Another node has reserved the disk, and this one does not take part.",
    data: "This node's writes fail; with an exclusive-access type its reads fail too.",
    next: "Nothing, if this node is not to use the disk. Otherwise register it.",
};

pub(super) const HOLDER_ON_DEAD_PATH: Explanation = Explanation {
    title: "The reservation is held through a path that is not usable",
    cause: "The path that reserved has failed since.",
    data: "The reservation stands and protects as before. The other paths of this node go on.",
    next: "Nothing: release, change of key and unregistering work all the same. Mend the path.",
};

pub(super) const HOLDER_ON_LOST_PATH: Explanation = Explanation {
    title: "The reservation is held by a nexus of this node that is no path of the map",
    cause: "The path that reserved has been removed, or its session was set up again.",
    data: "The reservation stands and protects as before. The paths of this node go on.",
    next: "Nothing: release, change of key and unregistering work all the same.",
};

pub(super) const HOLDER_UNCLEAR: Explanation = Explanation {
    title: "It cannot be told whose the reservation is",
    cause: "The device does not name the holder's port, or this host does not know its own ports, \
            and this node does not remember to have reserved.",
    data: "The reservation stands. Commands that would have to take it over refuse.",
    next: "'mpathpersist explain MAP' shows which evidence there is. Look which node uses the key.",
};

pub(super) const HOLDER_NOT_REGISTERED: Explanation = Explanation {
    title: "A key holds the reservation that nobody is registered with",
    cause: "The array contradicts itself, or registrations changed while it was read.",
    data: "The reservation may shut everybody out.",
    next: "Run the command again. If it stays so, CLEAR ends every reservation and registration: \
           'mpathpersist --out --clear', when no node uses the disk.",
};

pub(super) const SINGLE_PATH_TYPE: Explanation = Explanation {
    title: "The type of the reservation admits one path, and the map has more",
    cause: "Types 1 and 3 let only the nexus that reserved use the disk.",
    data: "I/O through this node's other paths fails.",
    next: "Release, and reserve with a type for registrants (5 or 6) or all registrants (7 or 8).",
};

pub(super) const REMEMBERS_HOLDING: Explanation = Explanation {
    title: "The node remembers a reservation that it does not hold",
    cause: "Another node has taken or released it, or the array has lost it.",
    data: "What this node wanted to protect is not protected by it any more.",
    next: "Find out who holds with 'mpathpersist status MAP', and reserve again if this node \
           should.",
};

pub(super) const FORGOT_HOLDING: Explanation = Explanation {
    title: "The node holds a reservation that it does not remember",
    cause: "It was reserved by another program, or by a command that was cut off.",
    data: "The reservation stands and protects as any other.",
    next: "Nothing, if it is wanted. Otherwise release it.",
};

pub(super) const PORTS_NOT_NAMED: Explanation = Explanation {
    title: "The device does not say whose a registration is",
    cause: "It does not support READ FULL STATUS, which many older arrays do not.",
    data: "Nothing is wrong. Whose a registration is has to be told by counting and by memory.",
    next: "Take care that each node has a key of its own.",
};

pub(super) const SILENT_PATH: Explanation = Explanation {
    title: "A path that looks usable did not answer in time",
    cause: "The path hangs: commands are neither answered nor refused.",
    data: "I/O through this path waits until its timeout.",
    next: "Look at the link, the port and the switch. 'multipathd fail path PATH' takes it out of \
           use at once.",
};

pub(super) const MAP_SUSPENDED: Explanation = Explanation {
    title: "The map is suspended: its I/O waits",
    cause: "A command that was killed left it so, or somebody suspended it by hand.",
    data: "All I/O of the map waits; nothing is lost, but whoever uses it hangs.",
    next: "If a command was cut off: 'mpathpersist repair MAP'. Otherwise ask who suspended it; \
           'dmsetup resume MAP' lets it go on.",
};

pub(super) const COMMAND_CUT_OFF: Explanation = Explanation {
    title: "A command was killed before it was done",
    cause: "A timeout, a crash or the power: its journal is still there.",
    data: "The change may be half done: some paths may have the new key and others the old one.",
    next: "'mpathpersist repair MAP' completes it; a running multipathd-lite does so by itself.",
};

pub(super) const COMMAND_AT_WORK: Explanation = Explanation {
    title: "A command is changing the map at this moment",
    cause: "mpathpersist or the daemon is at work.",
    data: "What is shown may be out of date in a moment.",
    next: "Wait, and look again. Commands end within 18 seconds.",
};

pub(super) const DAEMON_NOT_RUNNING: Explanation = Explanation {
    title: "No multipath daemon answers",
    cause: "Neither multipathd-lite nor multipathd is running.",
    data: "Paths that fail stay failed, and paths that come back get no key.",
    next: "Start one: 'systemctl start multipathd-lite' (or multipathd).",
};

pub(super) const DAEMON_SILENT: Explanation = Explanation {
    title: "The multipath daemon does not answer in time",
    cause: "It is very busy, or hangs.",
    data: "It may not notice paths that fail or come back.",
    next: "Look at its log ('journalctl -u multipathd-lite', or -u multipathd), and restart it.",
};

pub(super) const DAEMON_DISAGREES: Explanation = Explanation {
    title: "The daemon knows something else than the device says",
    cause: "It was not told of a change: it was not running, or another program made it.",
    data: "A path that comes back may get no key, or a key that it should not get.",
    next: "Restart the daemon, which makes it look; or tell it: 'multipathd setprstatus map MAP', \
           'multipathd unsetprstatus map MAP'.",
};

pub(super) const OTHER_DAEMON: Explanation = Explanation {
    title: "multipath-tools' multipathd is running, not multipathd-lite",
    cause: "That daemon was started on this host.",
    data: "Nothing is wrong: mpathpersist tells it of every change. It settles returning paths in \
           its own time, and not before they carry I/O.",
    next: "Nothing. If multipathd-lite was meant: stop multipathd, then start multipathd-lite.",
};

pub(super) const TWO_DAEMONS: Explanation = Explanation {
    title: "Two multipath daemons are running",
    cause: "One was started with a pid file or in a namespace of its own, where it did not see the \
            other.",
    data: "They undo each other's changes of paths and maps.",
    next: "Stop one of them.",
};

pub(super) const CONFIG_PROBLEM: Explanation = Explanation {
    title: "A line of multipath.conf is not understood",
    cause: "It is misspelt, in the wrong place, or its value cannot be read; the message names \
            file and line.",
    data: "That line does not count: a key or another setting may be another than was meant.",
    next: "Correct the line, then 'multipathd reconfigure'.",
};

pub(super) const RECORD_UNREADABLE: Explanation = Explanation {
    title: "What this node remembers of the map cannot be read",
    cause: "A file below /run/mpath-pr is damaged, of a later version, or may not be read.",
    data: "Whether this node is registered has to be told without it.",
    next: "The next command that changes the map moves a damaged file aside and begins a new one.",
};
