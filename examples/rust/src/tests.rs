use flb_filter::testing::{Host, Record};
use flb_filter::Time;

use super::{filter, rfc3339};

fn run(records: &[&str]) -> Vec<String> {
    let records: Vec<_> = records.iter().map(|json| Record::json(json)).collect();
    Host::new().run(filter, &records).bodies()
}

#[test]
fn debug_is_dropped() {
    assert!(run(&[r#"{"level":"DEBUG"}"#, r#"{"level":20}"#, r#"{"severity":"trace"}"#]).is_empty());
}

#[test]
fn the_first_key_that_says_something_counts() {
    for (record, severity) in [
        (r#"{"level":"verbose","severity":"Warning""#, 13),
        (r#"{"level":"err","severity":"info""#, 17),
        (r#"{"status":"404""#, 13),
        (r#"{"status":503"#, 17),
        (r#"{"level":50.0"#, 17),
        (r#"{"level":60"#, 21),
        (r#"{"status":99"#, 0),
        (r#"{"msg":"info""#, 0),
    ] {
        let rest = r#""tag":"app.log","time":"2023-11-14T22:13:20.000000000Z"}"#;
        assert_eq!(
            run(&[&format!("{record}}}")]),
            [format!(r#"{record},"severity_number":{severity},{rest}"#)]
        );
    }
}

#[test]
fn keys_that_are_there_stay() {
    let record = r#"{"severity_number":"x","tag":null,"time":"earlier"}"#;
    assert_eq!(run(&[record]), [record]);
}

#[test]
fn times() {
    for (sec, want) in [
        (0, "1970-01-01T00:00:00"),
        (951_782_399, "2000-02-28T23:59:59"),
        (951_782_400, "2000-02-29T00:00:00"),
        (951_868_800, "2000-03-01T00:00:00"),
        (1_735_689_599, "2024-12-31T23:59:59"),
        (4_107_542_400, "2100-03-01T00:00:00"),
        (i64::from(u32::MAX), "2106-02-07T06:28:15"),
    ] {
        assert_eq!(rfc3339(Time { sec, nsec: 7 }), format!("{want}.000000007Z"));
    }
}
