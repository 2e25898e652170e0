//! What README.md has for code: each of its blocks stands here, too.

use flb_filter::{Error, Event};

fn filter(event: &mut Event) -> Result<(), Error> {
    if event.body.get_str("level") == Some("debug") {
        event.drop();
        return Ok(());
    }
    if let Some(status) = event.body.get("http.response.status").and_then(|v| v.as_u64()) {
        event.body.set("failed", status >= 500);
    }
    if event.body.get("user").is_none() {
        return Err("there is no user".into()); // this event's error: the others go on
    }
    event.body.put("user", "***");
    Ok(())
}

flb_filter::export!(fn filter);

#[test]
fn debug_is_dropped() {
    use flb_filter::testing::{Host, Record};

    let debug = Record::json(r#"{"level":"debug"}"#);
    let failed = Record::json(r#"{"user":"bob","http":{"response":{"status":503}}}"#);
    let out = Host::new().run(filter, &[debug, failed]);
    assert_eq!(out.bodies(), [r#"{"user":"***","http":{"response":{"status":503}},"failed":true}"#]);
}

#[test]
fn the_readme_has_this() {
    let readme = include_str!("../README.md");
    let blocks: Vec<_> =
        readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        assert!(include_str!("readme.rs").contains(block), "{block}");
    }
}
