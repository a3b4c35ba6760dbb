//! What the failures of commands mean.

use super::Explanation;

pub(super) const SYNTAX_ERROR: Explanation = Explanation {
    title: "The command line was not understood",
    cause: "An option is unknown, lacks its value, or does not go with another one.",
    data: "Nothing was sent; nothing has changed.",
    next: "Look the option up in 'mpathpersist --help' and run the command again.",
};

pub(super) const NOT_ROOT: Explanation = Explanation {
    title: "Only root may do this",
    cause: "The commands of persistent reservations go past the file system to the device, which \
            the kernel lets root do only.",
    data: "Nothing was sent; nothing has changed.",
    next: "Run the command as root, for example with sudo. A sandbox (--sandbox) needs no root.",
};

pub(super) const BATCH_FILE: Explanation = Explanation {
    title: "The batch file cannot be read",
    cause: "There is no such file, it may not be read, or it is larger than 1 MiB.",
    data: "No line of it was run.",
    next: "Check the name behind --batch-file.",
};

pub(super) const KEY_MISMATCH: Explanation = Explanation {
    title: "The key given is not the one of this map",
    cause: "multipath.conf, or the prkeys file, has another key for the map. A map that ran on two \
            keys could not be fenced with either.",
    data: "Nothing was sent; nothing has changed.",
    next: "Use the key that the message names, or change the line that it names; 'mpathpersist \
           explain MAP' shows where the key comes from.",
};

pub(super) const NO_KEY: Explanation = Explanation {
    title: "The map has no key",
    cause: "The command needs a registered key, and none is configured for the map, nor stored by \
            an earlier registration.",
    data: "Nothing was sent; nothing has changed.",
    next: "Register first: 'mpathpersist --out --register --param-sark KEY MAP' also stores the \
           key. Or give the map a 'reservation_key' in multipath.conf.",
};

pub(super) const NOT_READY: Explanation = Explanation {
    title: "The device is not ready",
    cause: "The array is starting, changing a controller's role, or has taken the disk offline.",
    data: "The command was not carried out.",
    next: "Wait until the array is ready, then run the command again.",
};

pub(super) const MEDIUM_ERROR: Explanation = Explanation {
    title: "The device reports an error of its medium",
    cause: "The array cannot read or write what it has stored.",
    data: "The command was not carried out, and data on the disk may be damaged.",
    next: "Look at the array's own event log before anything else.",
};

pub(super) const HARDWARE_ERROR: Explanation = Explanation {
    title: "The device reports a hardware error",
    cause: "A part of the array, or of the way to it, has failed.",
    data: "The command was not carried out; what was registered before still stands.",
    next: "Look at the array's own event log.",
};

pub(super) const ILLEGAL_REQUEST: Explanation = Explanation {
    title: "The device does not take this command as it was given",
    cause: "A parameter does not suit it: a type it does not support, a reservation of another \
            type, no room for another registration.",
    data: "The command was not carried out; every path would answer the same.",
    next: "See what the device can do with 'mpathpersist --in --report-capabilities MAP', and what \
           stands with 'mpathpersist status MAP'.",
};

pub(super) const UNIT_ATTENTION: Explanation = Explanation {
    title: "The device kept reporting that something has happened to it",
    cause: "It has more to tell than is waited for: resets, or changes by other nodes, one after \
            another.",
    data: "The command was not carried out.",
    next: "Run the command again. If it goes on, look for a path or a port that is reset all the \
           time.",
};

pub(super) const INVALID_OPERATION: Explanation = Explanation {
    title: "The device knows no persistent reservations",
    cause: "The array, or the disk as it is presented, does not support the commands.",
    data: "Nothing can be fenced through this disk: every host that reaches it may write.",
    next: "Switch persistent reservations on in the array if it has such a setting, or use another \
           way of fencing.",
};

pub(super) const ABORTED_COMMAND: Explanation = Explanation {
    title: "The device gave the command up",
    cause: "A reset, or trouble on the way to the array, ended it.",
    data: "The command was not carried out.",
    next: "Run the command again.",
};

pub(super) const NO_SENSE: Explanation = Explanation {
    title: "The device refused without saying why",
    cause: "It answered CHECK CONDITION and sent no sense data that says more.",
    data: "The command was probably not carried out.",
    next: "Look at what stands with 'mpathpersist status MAP', then run the command again.",
};

pub(super) const MALFORMED_RESPONSE: Explanation = Explanation {
    title: "The device's response makes no sense",
    cause: "The response contradicts itself or ends too early: a fault of the array's firmware.",
    data: "A read changes nothing.",
    next: "Look at the bytes with 'sg_persist --in --hex', and tell the array's vendor.",
};

pub(super) const RESERVATION_CONFLICT: Explanation = Explanation {
    title: "A reservation or a missing registration is in the way",
    cause: "The key given is not the one registered, this node is not registered at all, or \
            another node holds a reservation.",
    data: "The command was not carried out. This is how a fenced node is kept out, so it may be \
           exactly as intended.",
    next: "See who is registered and who holds with 'mpathpersist status MAP'. A node that was \
           fenced registers again with 'mpathpersist --out --register-ignore --param-sark KEY \
           MAP', once it is certain that it may.",
};

pub(super) const DEVICE_NOT_FOUND: Explanation = Explanation {
    title: "There is no such device",
    cause: "The name is misspelt, or the map has not been made.",
    data: "Nothing was sent; nothing has changed.",
    next: "List the maps with 'mpathpersist status', and name one of them.",
};

pub(super) const NOT_A_BLOCK_DEVICE: Explanation = Explanation {
    title: "The file is no block device",
    cause: "A name below /dev or elsewhere is that of a file of another kind.",
    data: "Nothing was sent; nothing has changed.",
    next: "Name a map, as in /dev/mapper/NAME; 'mpathpersist status' lists them.",
};

pub(super) const NOT_A_MULTIPATH_MAP: Explanation = Explanation {
    title: "The device is no multipath map",
    cause: "It is a single disk or path, a partition, or a device-mapper device of another kind.",
    data: "Nothing was sent: a command on one path alone would leave the others as they are.",
    next: "Name the map that the device belongs to ('mpathpersist status' lists them). For a disk \
           with one path use sg_persist.",
};

pub(super) const NO_USABLE_PATH: Explanation = Explanation {
    title: "The map has no path that could carry a command",
    cause: "Every path is down, blocked or gone.",
    data: "Nothing was sent. What was registered before still stands on the device.",
    next: "Mend the paths: 'mpathpersist status MAP' and 'multipathd show paths' show their state.",
};

pub(super) const WORKER: Explanation = Explanation {
    title: "The process that was to carry a command failed",
    cause: "The system has no memory or no process left, or the process was killed.",
    data: "A command may have been sent; a map that had been suspended is resumed.",
    next: "Look at the system's log, then at what stands with 'mpathpersist status MAP'.",
};

pub(super) const UNREACHABLE: Explanation = Explanation {
    title: "No path answered",
    cause: "All paths that looked usable failed, or kept silent until the time was up.",
    data: "Nothing is known to have changed.",
    next: "Check the paths with 'multipathd show paths' and the way to the array, then try again.",
};

pub(super) const UNKNOWN: Explanation = Explanation {
    title: "A command was sent and its answer never came",
    cause: "The path died or kept silent after the command had gone out, and no other path could \
            tell what became of it.",
    data: "The command may have been carried out or not.",
    next: "Look at what stands with 'mpathpersist status MAP' before the next step; 'mpathpersist \
           repair MAP' completes what was begun.",
};

pub(super) const INCOMPLETE: Explanation = Explanation {
    title: "One path could not be brought in step with the others",
    cause: "A path that still carries I/O did not take the change, while others did; those were \
            put back as far as that is possible.",
    data: "I/O through that path may fail, or get through where it should not.",
    next: "Look at the path with 'mpathpersist status MAP', take it out of use if it is faulty, \
           and run the command again.",
};

pub(super) const HOLDER_UNREACHABLE: Explanation = Explanation {
    title: "It cannot be told whose the reservation is",
    cause: "A nexus that cannot be used holds it with this node's key, and nothing says whether \
            that is a dead path of this node or another node with the same key.",
    data: "The reservation still stands; nothing was taken from anybody.",
    next: "See 'mpathpersist explain MAP'. If no other node uses this key, run the command again \
           with --force, which treats the reservation as this node's.",
};

pub(super) const NOT_SUSPENDED: Explanation = Explanation {
    title: "The map could not be suspended for the change",
    cause: "I/O on one of its paths hangs, so that device-mapper cannot hold the map's I/O back.",
    data: "Nothing was changed that would have failed I/O.",
    next: "Look for the path that hangs with 'mpathpersist status MAP' and 'dmsetup status MAP', \
           and run the command again.",
};

pub(super) const SCSI_STATUS: Explanation = Explanation {
    title: "The device answered with an unusual status",
    cause: "It was busy, or full of commands, for longer than was waited for.",
    data: "The command was not carried out.",
    next: "Run the command again; if that does not help, look after the array.",
};

pub(super) const SENSE: Explanation = Explanation {
    title: "The device refused for a reason of its own",
    cause: "The sense data in the message has no meaning that this program knows.",
    data: "The command was probably not carried out.",
    next: "Look the sense data up in the array's manual.",
};

pub(super) const OTHER: Explanation = Explanation {
    title: "Something on this host failed",
    cause: "device-mapper, a lock, a record or a file of the configuration could not be used; the \
            message says which.",
    data: "Usually nothing was sent; the message says otherwise if it was.",
    next: "Do what the message says. If another process has been working on the map for long, look \
           at that process.",
};

pub(super) const NOT_CONFIRMED: Explanation = Explanation {
    title: "A repair waits for somebody to agree",
    cause: "The repair was not started from a terminal, where it would have asked.",
    data: "Nothing was sent; nothing has changed.",
    next: "Look at the plan that was shown, and run the command again with --yes.",
};
