//! What paths lead to in edits, by the table that the SDKs share.

use flb_filter::testing::{json, map, Host, Record};
use flb_filter::{Event, Kind, Map, Value};

/// What stands for a text with dots, and for a list of keys.
macro_rules! at {
    ($path:expr, |$route:ident| $call:expr) => {{
        let keys: Vec<String> =
            $path.elements().map(|k| k.as_str().map_or_else(|| json(k), str::to_string)).collect();
        match &keys[..] {
            [] => at!(@ $route, $path.as_str().unwrap(), $call),
            [a] => at!(@ $route, [a.as_str()], $call),
            [a, b] => at!(@ $route, [a.as_str(), b], $call),
            [a, b, c] => at!(@ $route, [a.as_str(), b, c], $call),
            _ => panic!("{}", json($path)),
        }
    }};
    (@ $route:ident, $path:expr, $call:expr) => {{
        let $route = $path;
        let _ = $call;
    }};
}

fn edit(event: &mut Event, op: &str, path: Value, value: Option<Value>) {
    match op {
        "set" => at!(path, |path| event.body.set(path, value)),
        "put" => at!(path, |path| event.body.put(path, value)),
        "remove" => at!(path, |path| event.body.remove(path)),
        "split" => at!(path, |path| event.split(path)),
        "add" => event.body.add(path.as_str().unwrap(), value),
        "replace" => event.body.replace(Map::copy(value.unwrap()).unwrap()),
        "mask" => event.body.rewrite_strings(|text| (text == "secret").then(|| "***")),
        _ => panic!("{}", op),
    }
}

#[test]
fn paths_lead_where_the_table_says() {
    let table = map(&std::fs::read_to_string("../paths.json").unwrap());
    let cases = table.get("cases").unwrap();
    for case in cases.elements() {
        let (mut edited, mut is_split) = (String::new(), false);
        let body = json(case.get("doc").unwrap());
        let out = Host::new().run(
            |event| {
                for step in case.get("edits").unwrap().elements() {
                    let parts: Vec<Value> = step.elements().collect();
                    edit(event, parts[0].as_str().unwrap(), parts[1], parts.get(2).copied());
                }
                edited = json(event.body.edited().value());
                Ok(())
            },
            &[Record::json(&body)],
        );
        let want: Vec<String> = match case.get("want") {
            None => {
                assert_eq!(out.errors.len(), 1, "{}", json(case));
                vec![]
            }
            Some(want) if want.kind() == Kind::Array => {
                is_split = true;
                want.elements().map(json).collect()
            }
            Some(want) => vec![json(want)],
        };
        assert_eq!(out.bodies(), want, "{}", json(case));
        assert!(
            want.is_empty() || is_split || edited == want[0],
            "{}, as edited has it: {}",
            json(case),
            edited
        );
    }
    assert!(cases.len() > 80);
}
