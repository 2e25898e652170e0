use std::time::Duration;

use flb_filter::testing::{json, Host, Output, Record};

use super::Showcase;

fn host() -> Host {
    Host::new()
        .config("environment", "production")
        .table("geo", r#"{"192.0.2.7":{"country":{"iso_code":"DE"}}}"#)
}

fn run(host: &Host, records: &[Record]) -> Output {
    host.start::<Showcase>().unwrap().run(records)
}

#[test]
fn debug_is_dropped() {
    let out = run(&host(), &[Record::json(r#"{"level":"debug"}"#), Record::json(r#"{"level":"info"}"#)]);
    assert_eq!(out.bodies(), [r#"{"level":"info","environment":"production"}"#]);
}

#[test]
fn addresses_are_masked_everywhere() {
    let host = host().group(r#"{"resource":{"attributes":{"owner":"ops@example.com"}}}"#);
    let record = Record::json(r#"{"a":[{"b":"to bob@example.com, carol@example.com."}]}"#)
        .metadata(r#"{"otlp":{"attributes":{"from":"bob@example.com"}}}"#);
    let record = Record { group: 1, ..record };
    let out = run(&host, &[record]);
    assert_eq!(out.bodies(), [r#"{"a":[{"b":"to ***, ***."}],"environment":"production"}"#]);
    assert_eq!(
        json(out.events[0].metadata.as_ref().unwrap().value()),
        r#"{"otlp":{"attributes":{"from":"***"}}}"#
    );
    assert_eq!(out.groups, [r#"{"resource":{"attributes":{"owner":"***"}}}"#]);
    for (place, count) in [("body", 2.0), ("metadata", 1.0), ("group", 1.0)] {
        assert_eq!(host.metric("masked_total", &[place]), count, "{place}");
    }
}

#[test]
fn arrays_are_split() {
    let out = run(&host(), &[Record::json(r#"{"items":["a@b.c",2],"client_ip":"192.0.2.7"}"#)]);
    assert_eq!(
        out.bodies(),
        [
            r#"{"items":"***","client_ip":"192.0.2.7","environment":"production","country":"DE"}"#,
            r#"{"items":2,"client_ip":"192.0.2.7","environment":"production","country":"DE"}"#,
        ]
    );
}

#[test]
fn counts_end_with_their_time() {
    let host = host().config("count_ttl", "10");
    let record = [Record::json(r#"{"user":"bob"}"#)];
    let count = |n| format!(r#"{{"user":"bob","environment":"production","count":{n}}}"#);
    assert_eq!(run(&host, &record).bodies(), [count(1)]);
    host.advance(Duration::from_secs(9));
    assert_eq!(run(&host, &record).bodies(), [count(2)]);
    host.advance(Duration::from_secs(1));
    assert_eq!(run(&host, &record).bodies(), [count(1)]);
}

#[test]
fn configuration_is_refused() {
    let refused = |host: Host| host.start::<Showcase>().err().map(|why| why.text);
    assert_eq!(
        refused(Host::new()).unwrap(),
        "config.environment: set it to what is to be added to each record"
    );
    assert!(refused(host().config("count_ttl", "soon"))
        .unwrap()
        .contains("config.count_ttl is 'soon': invalid digit"));
    assert!(refused(Host::new().config("environment", "x")).unwrap().contains("table.geo"));
}
