//! Every command once, with all that it says.
use crate::san::San;

/// Lines that begin with a node's name run on that node, the others as they are.
fn session(san: &San, lines: &str) -> String {
    let mut text = String::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let ran = match line.split_once(": ") {
            Some((node, options)) => san.on(node, options),
            None => san.run(line),
        };
        text += &ran.to_string();
    }
    text
}

#[test]
fn every_command_of_the_contract() {
    let san = San::new("--paths 2");
    insta::assert_snapshot!(session(
        &san,
        "alice: -i -k mpatha
         alice: -i -r mpatha
         alice: -i -c mpatha
         alice: -i -s mpatha
         alice: -o -G -S a1 mpatha
         bob: -o -I -S b2 mpatha
         bob: -o -G -K b2 -S b3 -Z mpatha
         alice: -i -k /dev/mapper/mpatha
         alice: -o -R -K a1 -T 5 /dev/dm-0
         bob: -o -R -K b3 -T 5 mpatha
         bob: -i -r mpatha
         alice: -i -s mpatha
         alice: -o -L -K a1 -T 5 mpatha
         bob: -o -R -K b3 -T 8 mpatha
         alice: -i -r mpatha
         alice: -o -P -K a1 -S b3 -T 8 mpatha
         bob: -i -k mpatha
         bob: -o -R -K b3 -T 8 mpatha
         alice: -o -A -K a1 -S 0 -T 6 mpatha
         alice: -i -r mpatha
         alice: -o -C -K a1 mpatha
         alice: -i -k --json mpatha
         alice: -o -G -K 1 -S a2 mpatha
         alice: -o -R -K 1 -T 5 mpatha
         sandbox show san"
    ));
}

#[test]
fn what_is_no_map_is_refused_as_on_a_host() {
    let san = San::new("--luns 2 --paths 2");
    insta::assert_snapshot!(session(
        &san,
        "alice: -i -k mpathb
         alice: -i -k 360060e80000000000000000000000002
         alice: -i -k 253:1
         alice: -i -k mpathc
         alice: -i -k /dev/mapper/mpathc
         alice: -i -k /dev/sda
         alice: -i -k sdd
         alice: -k mpatha"
    ));
}

/// A batch runs in one sandbox: no line leaves it for another one or for real devices.
#[test]
fn a_batch_stays_in_its_sandbox() {
    let san = San::new("--paths 2");
    let batch = "-o -G -S a1 mpatha\n--sandbox san/bob -i -k mpatha\n-i -k mpatha # seen\n";
    std::fs::write(san.at("batch"), batch).unwrap();
    insta::assert_snapshot!(session(&san, "alice: -f batch"));
}

#[test]
fn one_path_is_a_disk_without_a_policy() {
    let san = San::new("--paths 2");
    insta::assert_snapshot!(session(
        &san,
        "sandbox disk san/alice -o -G -S a1 sda
         sandbox disk san/alice -o -R -K a1 -T 5 sda
         sandbox disk san/alice -o -R -K a1 -T 5 sdb
         sandbox disk san/alice -i -r /dev/sdb
         sandbox disk san/alice -o -I -S a2 sdb
         sandbox disk san/alice -o -G -K a1 sda
         sandbox disk san/alice -i -k sda
         sandbox disk san/alice -i -k sdc
         sandbox offline san/alice sdb
         sandbox disk san/alice -i -k sdb
         sandbox show san"
    ));
}

#[test]
fn registrations_of_other_ports() {
    let san = San::new("--paths 2");
    insta::assert_snapshot!(session(
        &san,
        "alice: -o -G -S a1 -X fcp,10000000c90000ff mpatha
         alice: -o -R -K a1 -T 6 mpatha
         sandbox show san
         alice: -o --register-move -K a1 -S b2 -X fcp,10000000c9000201 \
            --relative-target-port 2 mpatha
         sandbox show san
         bob: -o -I -S b2 -Y mpatha
         bob: -i -s mpatha -H
         bob: -o -C -K b2 mpatha"
    ));
}

/// The unit attention that tells of it does not show either.
#[test]
fn what_was_registered_with_aptpl_survives_a_loss_of_power() {
    let san = San::new("--paths 2");
    insta::assert_snapshot!(session(
        &san,
        "alice: -o -G -S a1 -Z mpatha
         alice: -o -R -K a1 -T 5 mpatha
         sandbox power-cycle san
         alice: -i -r mpatha
         alice: -o -I -S a1 mpatha
         sandbox power-cycle san
         alice: -i -r mpatha
         alice: -o -R -K a1 -T 5 mpatha
         alice: -o -I -S a1 mpatha
         alice: -o -R -K a1 -T 5 mpatha
         sandbox show san"
    ));
}

#[test]
fn a_sandbox_is_made_as_it_is_wanted() {
    let san = San::new("--nodes n1,n2,n3 --paths 3 --luns 2 --profile per-initiator-port");
    insta::assert_snapshot!(session(
        &san,
        "n2: -o -G -S 2 mpathb
         sandbox show san
         sandbox show san/n1
         sandbox init san
         sandbox init other --paths 0
         sandbox init other --nodes a,a
         sandbox init other --profile bronze
         sandbox show other
         sandbox offline san sda
         sandbox offline san/n4 sda
         sandbox offline san/n1 sdz
         --sandbox other -i -k mpatha"
    ));
    assert!(!san.at("other").exists(), "what is refused leaves nothing");
}

#[test]
fn help_says_what_there_is() {
    let san = San::new("");
    insta::assert_snapshot!(san.run("sandbox --help").ok());
    assert_eq!(san.run("sandbox").failed(1), san.run("sandbox --help").out);
    // A map of that name is still a map.
    let other = san.on("alice", "sandbox -i -k");
    assert!(other.failed(12).contains("the sandbox san has mpatha"));
}

/// The prkeys file and the records are the node's own, in the formats of a host.
#[test]
fn a_node_has_files_of_its_own() {
    let san = San::new("--paths 2");
    san.on("alice", "-o -G -S a1 mpatha").ok();
    let keys = std::fs::read_to_string(san.at("san/alice/prkeys")).unwrap();
    let line = "0x00000000000000a1 360060e80000000000000000000000001";
    assert!(keys.lines().any(|found| found == line), "{keys}");
    assert!(!san.at("san/bob/prkeys").exists());
    let record = "san/alice/run/360060e80000000000000000000000001.json";
    assert!(san.at(record).is_file());
    std::fs::write(
        san.at("san/bob/multipath.conf"),
        "defaults {\n reservation_key 0xb2\n}\n",
    )
    .unwrap();
    let refused = san.on("bob", "-o -G -S b3 mpatha").failed(1);
    assert!(refused.contains("mpatha: configured reservation key doesn't match: 0xb2"));
    san.on("bob", "-o -G -S b2 mpatha").ok();
}

#[test]
fn an_array_that_wants_all_its_target_ports_is_told_of() {
    let san = San::new("--paths 2 --profile needs-all-tg-pt");
    let told = san.on("alice", "-o -G -S a1 mpatha").to_string();
    assert!(told.contains("add --param-alltgpt"), "{told}");
    san.on("alice", "-o -G -S a1 -Y mpatha").ok();
}
