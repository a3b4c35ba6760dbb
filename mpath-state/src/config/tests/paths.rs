//! Built-in settings of arrays, and settings of paths.

use super::*;

fn array(vendor: &str, product: &str) -> MapIdentity {
    MapIdentity {
        wwid: "w".into(),
        vendor: vendor.into(),
        product: product.into(),
    }
}

#[test]
fn an_array_that_is_known_has_what_its_vendor_says() {
    let retry = |text: &str, map: &MapIdentity| load(text).config.no_path_retry(map).value;
    let (pure, ibm, other) = (
        array("PURE", "FlashArray"),
        array("IBM", "2145"),
        array("ACME", "2145"),
    );
    assert_eq!(retry("", &pure), NoPathRetry::Fail);
    assert_eq!(retry("", &ibm), NoPathRetry::Checks(5));
    assert_eq!(retry("", &other), NoPathRetry::Fail);
    let defaults = "defaults {\n no_path_retry queue\n}\n";
    assert_eq!(retry(defaults, &ibm), NoPathRetry::Checks(5));
    assert_eq!(retry(defaults, &other), NoPathRetry::Queue);
    let device = "devices {\n device {\n vendor IBM\n product 2145\n no_path_retry 9\n }\n}\n";
    assert_eq!(retry(device, &ibm), NoPathRetry::Checks(9));
    let config = load(device).config;
    assert_eq!(config.failback(&ibm, None).value, Failback::Immediate);
    assert_eq!(config.failback(&ibm, None).origin, Origin::Default);
}

#[test]
fn timeouts_of_a_path_follow_its_protocol_first() {
    let text = "overrides {\n fast_io_fail_tmo 7\n \
                protocol {\n type scsi:iscsi\n fast_io_fail_tmo off\n dev_loss_tmo 90\n }\n}\n";
    let config = load(text).config;
    let map = array("IBM", "2145");
    let limits = |protocol| {
        let lost = config.dev_loss(&map, protocol).map(|setting| setting.value);
        (config.fast_io_fail(&map, protocol).value, lost)
    };
    let (seven, ninety) = (Limit::Seconds(7), Limit::Seconds(90));
    assert_eq!(limits("scsi:iscsi"), (Limit::None, Some(ninety)));
    assert_eq!(limits("scsi:fcp"), (seven, Some(Limit::Seconds(120))));
    let origin = config.fast_io_fail(&map, "scsi:iscsi").origin;
    assert!(
        origin.to_string().contains("protocol scsi:iscsi"),
        "{origin}"
    );
    let nothing = load("").config;
    assert_eq!(
        nothing.fast_io_fail(&array("ACME", ""), "scsi:fcp").value,
        Limit::Seconds(5)
    );
    let missing = shown("overrides {\n protocol {\n dev_loss_tmo 90\n }\n}\n");
    assert!(missing.contains("has no type, ignored"), "{missing}");
}
