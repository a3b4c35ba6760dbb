//! Files in, values with their origins and problems out.

mod paths;

use std::collections::BTreeSet;
use std::fs;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;

fn load_files(files: &[(&str, &str)]) -> (tempfile::TempDir, Loaded) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("conf.d")).unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let main = dir.path().join("multipath.conf");
    let loaded = Config::load(&ConfigFiles {
        main,
        dir: dir.path().join("conf.d"),
    });
    (dir, loaded)
}

fn load(text: &str) -> Loaded {
    load_files(&[("multipath.conf", text)]).1
}

fn map(wwid: &str) -> MapIdentity {
    MapIdentity {
        wwid: wwid.into(),
        vendor: "LIO-ORG".into(),
        product: "data".into(),
    }
}

/// Problems without the directory.
fn problems(dir: &tempfile::TempDir, loaded: &Loaded) -> String {
    let lines: Vec<_> = loaded.problems.iter().map(ToString::to_string).collect();
    lines
        .join("\n")
        .replace(&format!("{}/", dir.path().display()), "")
}

fn shown(text: &str) -> String {
    let (dir, loaded) = load_files(&[("multipath.conf", text)]);
    problems(&dir, &loaded)
}

/// The key of map `w` and where it is from.
fn key_of(text: &str) -> String {
    let setting = load(text).config.reservation_key(&map("w"));
    match setting.origin {
        Origin::Default => format!("{} built in", setting.value),
        Origin::File { line, section, .. } => format!("{} line {line} {section}", setting.value),
    }
}

#[test]
fn nothing_configured_means_the_prkeys_file() {
    assert_eq!(key_of(""), "file built in");
    assert_eq!(
        key_of("multipaths {\n multipath {\n wwid w\n }\n}"),
        "file built in"
    );
}

#[test]
fn keys_are_read_in_every_form() {
    let of = |value: &str| key_of(&format!("defaults {{\n reservation_key {value}\n}}"));
    assert_eq!(of("file"), "file line 2 defaults");
    assert_eq!(of("\"file\""), "file line 2 defaults");
    assert_eq!(of("0x123abc"), "0x123abc line 2 defaults");
    assert_eq!(of("123ABC"), "0x123abc line 2 defaults");
    assert_eq!(of("\"0x1:aptpl\" # why"), "0x1:aptpl line 2 defaults");
    assert_eq!(of("0"), "file built in");
    assert_eq!(of("0x1:other"), "file built in");
}

const EVERYWHERE: &str = "\
multipaths {
    multipath {
        wwid w
        reservation_key 0x3
        user_friendly_names no
        alias first
    }
    multipath {
        wwid other
        reservation_key 0x4
    }
}
overrides {
    reservation_key 0x2
    user_friendly_names yes
    all_tg_pt yes
}
devices {
    device {
        vendor LIO
        product .*
        all_tg_pt no
        user_friendly_names no
    }
}
defaults {
    reservation_key 0x1
    uxsock_timeout 10000
}
";

#[test]
fn precedence_is_multipaths_overrides_devices_defaults() {
    let config = load(EVERYWHERE).config;
    let key = |wwid| {
        let setting = config.reservation_key(&map(wwid));
        let origin = setting.origin.to_string();
        format!(
            "{} {}",
            setting.value,
            origin.split_once(".conf").unwrap().1
        )
    };
    assert_eq!(key("w"), "0x3 :4 (multipath w)");
    assert_eq!(key("other"), "0x4 :10 (multipath other)");
    assert_eq!(key("unknown"), "0x2 :14 (overrides)");
    assert!(!config.user_friendly_names(&map("w")).value);
    assert!(
        config.user_friendly_names(&map("other")).value,
        "overrides beat device"
    );
    assert!(config.all_tg_pt(&map("w")).value);
    assert_eq!(config.alias(&map("w")).value.as_deref(), Some("first"));
    assert_eq!(config.alias(&map("other")).value, None);
    assert_eq!(config.uxsock_timeout_ms().value, 10_000);
}

#[test]
fn the_last_line_counts_and_sections_add_up() {
    let twice = "defaults {\n reservation_key 0x1\n}\ndefaults {\n reservation_key 0x2\n}";
    assert_eq!(key_of(twice), "0x2 line 5 defaults");
    let entries = "multipaths {\n multipath {\n wwid w\n reservation_key 0x1\n alias a\n }\n \
                   multipath {\n reservation_key 0x2\n wwid w\n }\n}";
    assert_eq!(key_of(entries), "0x2 line 8 multipath w");
    assert_eq!(
        load(entries).config.alias(&map("w")).value.as_deref(),
        Some("a")
    );
}

#[test]
fn devices_match_by_regular_expression_and_the_last_match_counts() {
    let of = |vendor: &str, product: &str| {
        let text = format!(
            "devices {{\n device {{\n vendor \"{vendor}\"\n product \"{product}\"\n \
             all_tg_pt yes\n }}\n}}"
        );
        let loaded = load(&text);
        assert_eq!(loaded.problems, []);
        loaded.config.all_tg_pt(&map("w")).value
    };
    assert!(of("LIO-ORG", "data"));
    assert!(of("LIO", "at"), "anywhere in the text");
    assert!(of("^LIO-ORG$", "^(data|log)"));
    assert!(of("(LIO|FOO)-.*", "[a-z]+"));
    assert!(of("[[:upper:]]", "^....$"));
    assert!(!of("^ORG", ".*"));
    assert!(!of("lio", ".*"), "case counts");
    let entry =
        |value: &str| format!("device {{\n vendor LIO\n product data\n all_tg_pt {value}\n}}\n");
    let both = format!("devices {{\n{}{}}}", entry("yes"), entry("no"));
    assert!(!load(&both).config.all_tg_pt(&map("w")).value);
}

#[test]
fn drop_ins_come_after_the_main_file_in_the_order_of_their_names() {
    let defaults = |value: &str| format!("defaults {{\n reservation_key {value}\n}}");
    let texts = ["0x1", "0x2", "0x3", "0x4", "0x5"].map(defaults);
    let (dir, loaded) = load_files(&[
        ("multipath.conf", &texts[0]),
        ("conf.d/20-b.conf", &texts[1]),
        ("conf.d/10-a.conf", &texts[2]),
        ("conf.d/30-c.conf.bak", &texts[3]),
        ("conf.d/readme", &texts[4]),
    ]);
    assert_eq!(loaded.problems, []);
    let setting = loaded.config.reservation_key(&map("w"));
    assert_eq!(setting.value.to_string(), "0x2");
    let file = dir.path().join("conf.d/20-b.conf");
    assert_eq!(
        setting.origin,
        Origin::File {
            file,
            line: 2,
            section: Section::Defaults
        }
    );
}

#[test]
fn missing_files_are_fine_and_unreadable_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let loaded = Config::load(&ConfigFiles {
        main: at("none"),
        dir: at("none.d"),
    });
    assert_eq!(loaded.problems, []);
    fs::create_dir_all(at("conf.d/x.conf")).unwrap();
    fs::write(at("file"), "").unwrap();
    let loaded = Config::load(&ConfigFiles {
        main: at("conf.d"),
        dir: at("conf.d"),
    });
    let unlisted = Config::load(&ConfigFiles {
        main: at("none"),
        dir: at("file"),
    });
    let text = [problems(&dir, &loaded), problems(&dir, &unlisted)].join("\n");
    assert_snapshot!(text, @r"
    conf.d: error: cannot be read: Is a directory (os error 21)
    conf.d/x.conf: error: cannot be read: Is a directory (os error 21)
    file: error: cannot be read: Not a directory (os error 20)
    ");
}

#[test]
fn what_multipath_tools_prints_as_its_configuration_is_read_without_an_error() {
    let loaded = load(include_str!("../../tests/fixtures/show-config-0.9.4"));
    let errors: Vec<_> = loaded
        .problems
        .iter()
        .filter(|problem| problem.severity != Severity::Notice)
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(loaded.config.user_friendly_names(&map("w")).value);
    assert_eq!(
        loaded.config.reservation_key(&map("w")).value,
        KeySetting::File
    );
}

#[test]
fn keywords_without_meaning_here_are_noticed_once() {
    let text = "defaults {\n checker_timeout 5\n path_checker tur\n path_checker tur\n}\n\
                overrides {\n no_path_retry fail\n \
                protocol {\n type scsi:fcp\n eh_deadline 5\n }\n}\n\
                devices {\n device {\n vendor a\n product b\n path_checker rdac\n }\n}\n\
                blacklist {\n devnode \"^sda\"\n device {\n vendor c\n }\n protocol scsi:usb\n}\n\
                blacklist_exceptions {\n property x\n}\n";
    assert_snapshot!(shown(text), @r"
    multipath.conf:3: notice: 'path_checker' has no effect here
    multipath.conf:10: notice: 'eh_deadline' has no effect here
    ");
}

const MISTAKES: &str = "\
defaults {
    reservation_keys 0x1
    reservation_key 0x1g
    reservation_key
    user_friendly_names maybe
    uxsock_timeout soon
    uxsock_timeout 10
    path_selector fastest
    alias mine
    rr_weight priorities
    all_tg_pt yes extra
    all_tg_pt no
    product \"unfinished
}
default {
    reservation_key 0x5
    deeper {
        all_tg_pt yes
    }
}
frobnicate yes
multipaths {
    multipath {
        reservation_key 0x7
    }
    multipath { alias inline
        wwid w
        alias a/b
    } trailing
}
devices {
    device {
        vendor \"(\"
        product x
    }
    device {
        vendor x
    }
    device {
        product x
        reservation_key 0x1
    }
}
overrides
{
    reservation_key 0x8
}
}
multipaths {
    multipath {
        wwid v
        alias last
";

#[test]
fn mistakes_are_told_with_file_and_line() {
    assert_snapshot!(shown(MISTAKES), @r"
    multipath.conf:2: error: unknown keyword 'reservation_keys' in defaults, ignored; did you mean 'reservation_key'?
    multipath.conf:3: error: '0x1g' is not a reservation key: 1 to 16 hexadecimal digits, not all zero, optionally 0x before and :aptpl behind; or 'file'; 'reservation_key' ignored
    multipath.conf:4: error: 'reservation_key' has no value, ignored
    multipath.conf:5: error: 'maybe' is neither yes nor no; 'user_friendly_names' ignored
    multipath.conf:6: error: 'soon' is not a number of milliseconds; 'uxsock_timeout' ignored
    multipath.conf:7: warning: 'uxsock_timeout' stands twice in one defaults section, the last counts
    multipath.conf:7: warning: uxsock_timeout 10 is too short, 4000 counts
    multipath.conf:8: error: 'fastest' is none of round-robin, queue-length, service-time, historical-service-time, io-affinity; 'path_selector' ignored
    multipath.conf:9: error: unknown keyword 'alias' in defaults, ignored; it belongs to multipath
    multipath.conf:10: notice: 'rr_weight' has no effect here
    multipath.conf:11: warning: 'extra' behind the value of 'all_tg_pt' ignored: a value with blanks needs quotes
    multipath.conf:12: warning: 'all_tg_pt' stands twice in one defaults section, the last counts
    multipath.conf:13: error: closing quote missing, line ignored
    multipath.conf:15: error: unknown section 'default' in the file, outside of all sections, skipped; did you mean 'defaults'?
    multipath.conf:21: error: unknown keyword 'frobnicate' in the file, outside of all sections, ignored
    multipath.conf:25: error: multipath of line 23 has no wwid, ignored
    multipath.conf:26: error: 'alias' behind '{' ignored: the content of multipath begins on the next line
    multipath.conf:28: error: 'a/b' cannot be the name of a map; 'alias' ignored
    multipath.conf:29: warning: 'trailing' behind '}' ignored
    multipath.conf:33: error: '(' is not a regular expression: found open group without closing ')'; 'vendor' ignored
    multipath.conf:38: error: device of line 36 has no product, ignored
    multipath.conf:41: error: unknown keyword 'reservation_key' in device, ignored; it belongs to defaults, overrides, multipath
    multipath.conf:42: error: device of line 39 has no vendor, ignored
    multipath.conf:44: error: '{' missing behind overrides
    multipath.conf:45: error: '{' must follow the name of its section on the same line
    multipath.conf:48: error: '}' closes nothing
    multipath.conf:52: error: '}' missing: multipath of line 50 is not closed
    multipath.conf:52: error: '}' missing: multipaths of line 49 is not closed
    ");
}

const LISTS: &str = "\
blacklist {
    devnode \"^sd[c-d]$\"
    wwid \"^36001405\"
    wwid 3600140
    protocol \"scsi:(usb|ata)\"
    property \"ID_ATA\"
    device {
        vendor LOCAL
        product \"!^(data|log)\"
    }
    device {
        product scratch
    }
}
blacklist_exceptions {
    devnode sdd
    wwid 36001405fe
    device {
        vendor LOCAL
        product shared
    }
}
devices {
    device {
        vendor ARRAY
        product .*
        product_blacklist \"^MGMT\"
    }
}
";

fn disk() -> PathIdentity {
    PathIdentity {
        devnode: "sda".into(),
        wwid: "3500a".into(),
        vendor: "VENDOR".into(),
        product: "disk".into(),
        protocol: "scsi:fcp".into(),
        properties: None,
    }
}

/// Why a disk that differs from the usual in one thing is excluded.
fn excluded(text: &str, change: impl FnOnce(&mut PathIdentity)) -> String {
    let (dir, loaded) = load_files(&[("multipath.conf", text)]);
    assert_eq!(loaded.problems, []);
    let mut path = disk();
    change(&mut path);
    let exclusion = loaded.config.exclusion(&path);
    let shown = exclusion.map_or_else(|| "-".to_owned(), |exclusion| exclusion.to_string());
    shown.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn devices_are_excluded_by_each_criterion() {
    let of = |change: fn(&mut PathIdentity)| excluded(LISTS, change);
    let device = |vendor: &str, product: &str| {
        excluded(LISTS, |path| {
            path.vendor = vendor.into();
            path.product = product.into();
        })
    };
    let lines = [
        of(|_| ()),
        of(|path| path.devnode = "sdc".into()),
        of(|path| path.devnode = "sdd".into()),
        of(|path| path.devnode = "sdaa".into()),
        of(|path| path.devnode = "sr0".into()),
        of(|path| path.devnode = "dm-3".into()),
        of(|path| path.wwid = "360014050".into()),
        of(|path| path.wwid = "36001405fe00".into()),
        of(|path| path.wwid = "13600140".into()),
        of(|path| path.wwid = String::new()),
        of(|path| path.protocol = "scsi:usb".into()),
        device("LOCAL", "other"),
        device("LOCAL", "data1"),
        device("LOCAL", "shared"),
        device("ANY", "scratch"),
        device("ARRAY", "MGMT LUN"),
        device("NETAPP", "Universal Xport"),
        device("EMC", "LUNZ"),
    ];
    assert_snapshot!(lines.join("\n"), @r#"
    -
    blacklisted by devnode "^sd[c-d]$" (multipath.conf:2)
    -
    -
    blacklisted by devnode "!^sd[a-z]" (built in)
    blacklisted by devnode "!^sd[a-z]" (built in)
    blacklisted by wwid "^36001405" (multipath.conf:3)
    -
    blacklisted by wwid "3600140" (multipath.conf:4)
    -
    blacklisted by protocol "scsi:(usb|ata)" (multipath.conf:5)
    blacklisted by device "LOCAL !^(data|log)" (multipath.conf:7)
    -
    -
    blacklisted by device ".* scratch" (multipath.conf:11)
    blacklisted by device "ARRAY ^MGMT" (multipath.conf:27)
    blacklisted by device "^(NETAPP|LSI|ENGENIO) ^Universal Xport" (built in)
    blacklisted by device "^(DGC|EMC) ^LUNZ" (built in)
    "#);
}

#[test]
fn properties_exclude_and_are_wanted() {
    let of = |text: &str, names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        excluded(text, |path| path.properties = Some(names))
    };
    let wanted = "blacklist_exceptions {\n property ID_MINE\n}\n";
    let lines = [
        of("", &["ID_WWN"]),
        of("", &["SCSI_IDENT_SERIAL", "DEVNAME"]),
        of("", &["DEVNAME"]),
        of(LISTS, &["ID_ATA"]),
        of(LISTS, &["ID_ATA", "ID_WWN"]),
        of(wanted, &["ID_WWN"]),
        of(wanted, &["ID_MINE"]),
    ];
    assert_snapshot!(lines.join("\n"), @r#"
    -
    -
    blacklisted by property "(SCSI_IDENT_|ID_WWN)" (built in)
    blacklisted by property "ID_ATA" (multipath.conf:6)
    blacklisted by property "ID_ATA" (multipath.conf:6)
    blacklisted by property "ID_MINE" (multipath.conf:2)
    -
    "#);
}

const TUNED: &str = "\
defaults {
    find_multipaths yes
    polling_interval 3
    checker_timeout 7
    verbosity 3
    path_grouping_policy multibus
    failback 10
    features \"1 queue_if_no_path\"
    alias_prefix disk
    detect_prio no
}
devices {
    device {
        vendor LIO
        product .*
        path_selector \"queue-length 0\"
        no_path_retry 12
        prio alua
    }
}
multipaths {
    multipath {
        wwid own
        path_grouping_policy failover
        features \"2 pg_init_retries 50\"
        failback immediate
        no_path_retry queue
    }
}
";

#[test]
fn maps_are_as_configured() {
    let config = load(TUNED).config;
    let shown = |map: &MapIdentity| {
        let grouping = |detected| config.path_grouping_policy(map, detected).value;
        format!(
            "{:?} {:?} {} {:?} {:?} {:?} {:?} {}",
            grouping(None),
            grouping(Some(Grouping::GroupByPrio)),
            config.path_selector(map).value,
            config.prio(map).value,
            config.failback(map, Some(Failback::Immediate)).value,
            config.no_path_retry(map).value,
            config.features(map).value.words,
            config.alias_prefix(map).value,
        )
    };
    let other = MapIdentity {
        vendor: "OTHER".into(),
        ..map("w")
    };
    let built_in = Config::default();
    assert_snapshot!([shown(&map("own")), shown(&map("w")), shown(&other)].join("\n"), @r#"
    Failover Failover queue-length 0 Alua Immediate Queue ["pg_init_retries", "50"] disk
    Multibus GroupByPrio queue-length 0 Alua Seconds(10) Checks(12) [] disk
    Multibus GroupByPrio service-time 0 Const Seconds(10) Queue [] disk
    "#);
    assert!(!config.detect_prio(&map("w")).value);
    assert!(built_in.detect_prio(&map("w")).value);
    let immediate = Some(Failback::Immediate);
    assert_eq!(
        built_in.failback(&map("w"), immediate).value,
        Failback::Immediate
    );
    assert_eq!(built_in.failback(&map("w"), None).value, Failback::Manual);
    assert_eq!(built_in.no_path_retry(&map("w")).value, NoPathRetry::Fail);
    assert_eq!(built_in.alias_prefix(&map("w")).value, "mpath");
}

#[test]
fn the_daemon_is_as_configured() {
    let of = |text: &str| {
        let config = load(text).config;
        format!(
            "{:?} {} {} {:?} {}",
            config.find_multipaths().value,
            config.polling_interval_s().value,
            config.max_polling_interval_s().value,
            config.checker_timeout_s().value,
            config.verbosity().value
        )
    };
    assert_eq!(of(""), "Strict 5 20 None 2");
    assert_eq!(of(TUNED), "On 3 12 Some(7) 3");
    let short = "defaults {\n polling_interval 9\n max_polling_interval 4\n}\n";
    assert_eq!(of(short), "Strict 9 9 None 2");
    let zero = "defaults {\n polling_interval 0\n}\n";
    assert_eq!(of(zero), "Strict 5 20 None 2");
}

#[test]
fn what_is_shown_is_read_again_as_the_same() {
    let read = |text: &str| {
        let mut reader = Reader::default();
        reader.read(Path::new("multipath.conf"), text);
        reader.finish()
    };
    for text in ["", EVERYWHERE, LISTS, TUNED] {
        let shown = load(text).config.to_string();
        let again = read(&shown);
        assert_eq!(again.problems, [], "{shown}");
        let again = again.config.to_string();
        // What is built in stands there twice now.
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(lines(&again), lines(&shown));
        assert_eq!(
            again.split("devices {").nth(1),
            shown.split("devices {").nth(1)
        );
    }
}

#[test]
fn the_whole_configuration_is_shown() {
    assert_snapshot!(load(&[LISTS, TUNED].concat()).config.to_string());
}

#[test]
fn the_rest_of_a_file_counts_in_spite_of_mistakes() {
    let text = "bogus\ndefault {\n reservation_key 0x1\n}\ndefaults {\n what is this\n \
                reservation_key 0x2\n reservation_key 0x0\n";
    assert_eq!(key_of(text), "0x2 line 7 defaults");
    let open = "multipaths {\n multipath {\n wwid w\n reservation_key 0x3\n";
    assert_eq!(key_of(open), "0x3 line 4 multipath w");
    let brace_below = "overrides\n{\n reservation_key 0x8\n}\n";
    assert_eq!(key_of(brace_below), "0x8 line 3 overrides");
}

#[test]
fn no_byte_flip_or_truncation_panics() {
    let text = "devices {\n device {\n vendor \"L.*\"\n product \"a\"\"b|data\"\n \
                all_tg_pt yes\n }\n}\n\
                overrides {\n protocol {\n }\n reservation_key 0x1:aptpl # why\n}\n\
                multipaths {\n multipath {\n wwid w\n alias a\n }\n}\n";
    let read = |text: &str| {
        let mut reader = Reader::default();
        reader.read(Path::new("multipath.conf"), text);
        let config = reader.finish().config;
        (
            config.reservation_key(&map("w")),
            config.all_tg_pt(&map("w")),
        )
    };
    let (key, all_tg_pt) = read(text);
    assert_eq!(
        (key.value.to_string().as_str(), all_tg_pt.value),
        ("0x1:aptpl", true)
    );
    for len in 0..text.len() {
        read(&text[..len]);
        for bit in 0..7 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[len] ^= 1 << bit;
            read(str::from_utf8(&bytes).unwrap());
        }
    }
}

/// Lines that a configuration is made of, right and wrong ones.
fn line() -> impl Strategy<Value = String> {
    let sections = prop::sample::select(vec![
        "defaults {",
        "overrides {",
        "devices {",
        "device {",
        "multipaths {",
        "multipath {",
        "blacklist {",
        "blacklist_exceptions {",
        "protocol {",
        "}",
        "unknown {",
        "defaults",
        "{",
    ]);
    let keywords = prop::sample::select(vec![
        "wwid",
        "vendor",
        "product",
        "alias",
        "devnode",
        "property",
        "reservation_key",
        "features",
        "polling_interval",
        "max_polling_interval",
        "find_multipaths",
        "no_path_retry",
        "prio",
        "path_selector",
        "failback",
        "all_tg_pt",
        "verbosity",
        "product_blacklist",
        "frobnicate",
    ]);
    let values = prop_oneof![
        prop::sample::select(vec![
            "yes",
            "0",
            "17",
            "\"1 queue_if_no_path\"",
            "file",
            "0x1:aptpl",
            "\"!^sd\"",
            "\"(\"",
            "alua",
            "strict",
            "w",
            "\"a\"\"b\"",
            "\"",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,12}",
    ];
    prop_oneof![
        sections.prop_map(str::to_owned),
        (keywords, values).prop_map(|(keyword, value)| format!("{keyword} {value}")),
        "\\PC{0,20}",
    ]
}

proptest! {
    #[test]
    fn whatever_is_read_is_shown_so_that_it_can_be_read(
        lines in prop::collection::vec(line(), 0..30)
    ) {
        let read = |text: &str| {
            let mut reader = Reader::default();
            reader.read(Path::new("multipath.conf"), text);
            reader.finish()
        };
        let shown = read(&lines.join("\n")).config.to_string();
        let again = read(&shown);
        prop_assert!(again.problems.is_empty(), "{:?}\n{}", again.problems, shown);
    }
}
