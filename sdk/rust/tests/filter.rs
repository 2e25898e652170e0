//! What filters see and do, by the host in memory.

use std::time::Duration;

use flb_filter::log::Level;
use flb_filter::metrics::{Counter, Gauge, Histogram};
use flb_filter::store::Ttl;
use flb_filter::testing::{self, map, Host, Output, Record};
use flb_filter::{
    config, store, Accessor, Emit, Error, Event, Filter, Group, Kind, Map, Table, Time, ToValue, Value,
};

fn json(map: &Map) -> String {
    testing::json(map.value())
}

fn run(body: &str, filter: impl FnMut(&mut Event)) -> Output {
    run_on(Record::json(body), filter)
}

fn run_on(record: Record, mut filter: impl FnMut(&mut Event)) -> Output {
    // A neighbour on each side, whose bytes would show offsets that are wrong.
    let first = Record::json(r#"{"first":1}"#).metadata(r#"{"m":[1]}"#);
    let mut n = 0;
    let mut out = Host::new().run(
        |event| {
            n += 1;
            match n {
                2 => filter(event),
                _ => event.body.set("neighbour", n),
            }
            Ok(())
        },
        &[first.clone(), record, first],
    );
    assert_eq!(json(&out.events.remove(0).body), r#"{"first":1,"neighbour":1}"#);
    let last = out.events.pop().unwrap();
    assert_eq!(json(&last.body), r#"{"first":1,"neighbour":3}"#);
    assert_eq!(
        (last.metadata.as_ref().map(json).unwrap(), last.time.sec),
        (r#"{"m":[1]}"#.to_string(), 1_700_000_000)
    );
    out
}

/// Edits a body, and compares: as it comes out, and as `edited` has it.
fn edit(body: &str, want: &str, filter: impl Fn(&mut Event)) {
    let mut edited = String::new();
    let out = run(body, |event| {
        filter(event);
        edited = json(&event.body.edited());
    });
    assert_eq!(out.bodies(), [want]);
    assert_eq!(edited, want, "as edited has it");
}

fn fails(record: Record, want: &str, filter: impl FnMut(&mut Event)) {
    let out = run_on(record, filter);
    assert_eq!(out.errors.iter().map(|(i, why)| (*i, &*why.text)).collect::<Vec<_>>(), [(1, want)]);
    assert!(out.events.is_empty());
}

#[test]
fn edits() {
    edit(r#"{"a":1,"b":{"c":2}}"#, r#"{"a":1,"b":{"c":2}}"#, |_| {});
    edit(r#"{"a":1,"b":2}"#, r#"{"a":"x","b":2,"c":[true,null]}"#, |event| {
        event.body.set("c", [&true as &dyn ToValue, &None::<u8>]);
        event.body.set("a", 1);
        event.body.set("a", "x");
    });
    edit(r#"{"a":1,"b":2}"#, r#"{"b":2,"d":4,"e":5,"c":3}"#, |event| {
        event.body.add("d", 4);
        event.body.add("e", 5);
        event.body.remove("a");
        event.body.remove("not there");
        event.body.set("c", 3);
    });
    edit(r#"{"a":{"b":[1,{"c":2}]},"z":0}"#, r#"{"a":{"b":["one",{"c":{}}]},"z":9}"#, |event| {
        assert!(event.body.put("z", 9));
        assert!(event.body.put(["a", "b", "1", "c"], Map::new()));
        assert!(event.body.put("a.b.0", "one"));
        assert!(!event.body.put("a.x", 1));
    });
    // What holds an earlier place takes its place.
    edit(r#"{"a":{"b":1,"c":2},"d":3}"#, r#"{"a":null,"d":4}"#, |event| {
        event.body.put("a.c", 7);
        event.body.put("d", 4);
        event.body.put("a.b", 8);
        event.body.put("a", None::<&str>);
    });
    edit(r#"{"a":1}"#, r#"{"b":3,"c":"y"}"#, |event| {
        event.body.put("a", 5);
        event.body.set("a", 6);
        event.body.replace(Map::new().with("a", 1).with("b", 2));
        event.body.set("b", 3);
        event.body.remove("a");
        event.body.add("c", "x");
        event.body.rewrite_strings(|text| (text == "x").then(|| "y".to_string()));
    });
    edit(r#"{"a":1}"#, r#"{"a":2}"#, |event| event.body.set_or_remove("a", Some(2)));
    edit(r#"{"a":1}"#, r#"{}"#, |event| event.body.set_or_remove("a", None::<bool>));
}

/// What is not there is made of maps, and what is there is found as `get` finds it.
#[test]
fn paths_are_set_and_removed() {
    let body = r#"{"a":{"b":1},"a.c":2,"l":[{"x":1},2,3]}"#;
    edit(body, r#"{"a":{"b":9,"d":{"e":8}},"a.c":7,"l":[{},3],"n":{"m":6},"p.q":5}"#, |event| {
        event.body.set("a.b", 9);
        event.body.set("a.d.e", 8);
        event.body.set("a.c", 7);
        event.body.remove("l.0.x");
        event.body.remove("l.1");
        event.body.remove("l.5");
        event.body.remove("not.there");
        event.body.set("n.m", 6);
        event.body.set(["p.q"], 5);
    });
    edit(body, r#"{"a":{},"l":[{"x":1,"y":{"z":null}},2,3]}"#, |event| {
        event.body.remove("a.b");
        event.body.remove("a.c");
        event.body.set(["l", "0", "y", "z"], None::<bool>);
    });
    let path: Accessor = "$l[0]['x']".parse().unwrap();
    edit(body, r#"{"a":{"b":1},"a.c":2,"l":[{"x":"***"},2,3]}"#, |event| event.body.set(&path, "***"));
    edit(body, r#"{"a":{"b":1},"a.c":2,"l":[{},2,3]}"#, |event| event.body.remove(&path));
    // A map of 15 members has a longer header with one more, and a shorter one with one less.
    let members = |n: usize| (0..n).map(|i| format!(r#""k{i}":{i}"#)).collect::<Vec<_>>().join(",");
    let (small, large) =
        (format!(r#"{{"a":{{{}}}}}"#, members(15)), format!(r#"{{"a":{{{}}}}}"#, members(16)));
    edit(&small, &large, |event| event.body.set("a.k15", 15));
    edit(&large, &small, |event| event.body.remove("a.k15"));
}

/// Edits take effect one after the other, whatever operations say them.
#[test]
fn edits_of_one_member_follow_each_other() {
    let body = r#"{"a":{"b":{"c":1}},"z":0}"#;
    edit(body, r#"{"a":{"b":{"c":2}},"z":0}"#, |event| {
        event.body.put("a.b", 1);
        event.body.put("a", Map::new().with("b", Map::new().with("c", 1)));
        assert!(event.body.put("a.b.c", 2));
    });
    edit(body, r#"{"a":{"b":{"c":1,"d":2,"e":3}},"z":0}"#, |event| {
        event.body.set("a.b.d", 2);
        event.body.set("a.b.e", 3);
    });
    edit(body, r#"{"z":0}"#, |event| {
        event.body.set("x", 1);
        event.body.add("y", 2);
        event.body.put("a.b.c", 5);
        event.body.remove("x");
        event.body.remove("a");
        event.body.remove("y");
    });
    edit(body, r#"{"z":7,"a":6}"#, |event| {
        event.body.remove("a");
        event.body.set("a", 6);
        event.body.set("z", 5);
        assert!(event.body.put("z", 7));
        assert!(!event.body.put("x", 1));
    });
    edit(body, r#"{"a":{"n":{"m":3,"o":4}},"z":0}"#, |event| {
        event.body.set("a", Map::new().with("n", Map::new().with("m", 1)));
        event.body.set("a.n.m", 2);
        assert!(event.body.put("a.n.m", 3));
        event.body.set("a.n.o", 4);
    });
    let out = run(body, |event| {
        event.body.put("a.b", vec!["x@", "y"]);
        event.body.rewrite_strings_with(b'@', |_| Some("***"));
        event.split("a.b");
    });
    assert_eq!(out.bodies(), [r#"{"a":{"b":"***"},"z":0}"#, r#"{"a":{"b":"y"},"z":0}"#]);
}

/// Of members with one key the first is found; set and remove leave no other.
#[test]
fn keys_that_are_there_twice() {
    let body = r#"{"a":1,"n":{"b":1,"b":2},"a":3}"#;
    edit(body, r#"{"a":9,"n":{"b":8}}"#, |event| {
        event.body.set("a", 9);
        event.body.set("n.b", 8);
        assert_eq!(event.body.get("a").and_then(Value::as_i64), Some(1));
    });
    edit(body, r#"{"n":{}}"#, |event| {
        event.body.remove("n.b");
        event.body.remove("a");
    });
}

/// Keys are told apart by their first 8 bytes, most of them.
#[test]
fn keys_that_begin_alike() {
    let body = r#"{"kubernetes_a":2,"kubernetes_b":3,"kubernetes":1,"":4,"\u0000":5,"kubernet":6}"#;
    let get = |body: &Map| {
        ["kubernetes", "kubernetes_a", "kubernetes_b", "", "\0", "kubernet", "kubernets", "\0\0"]
            .map(|key| body.get(key).and_then(Value::as_i64))
    };
    let want = [Some(1), Some(2), Some(3), Some(4), Some(5), Some(6), None, None];
    assert_eq!(get(&map(body)), want);
    let out = run(body, |event| {
        let read = |key: &str| event.body.get(key).and_then(Value::as_i64);
        assert_eq!(
            [read("kubernetes_b"), read(""), read("\0"), read("kubernets"), read("\0\0")],
            [want[2], want[3], want[4], None, None]
        );
        event.body.set("kubernetes_b", 7);
        event.body.set("kubernet", 8);
        event.body.remove("kubernetes_a");
        event.body.set("kubernetes_c", 9);
    });
    assert_eq!(
        out.bodies(),
        [r#"{"kubernetes_b":7,"kubernetes":1,"":4,"\u0000":5,"kubernet":8,"kubernetes_c":9}"#]
    );
}

struct Raw(&'static [u8]);

impl ToValue for Raw {
    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.0);
    }
}

#[test]
fn keys_that_are_not_text() {
    let map = Map::new().with("m", Raw(b"\x83\x05\xa1x\xa1k\x07\xc4\x01k\xa1x"));
    let record = Record { body: Map::copy(map.get("m").unwrap()).unwrap(), ..Record::json("{}") };
    let out = run_on(record, |event| {
        assert_eq!(event.body.get("k").and_then(Value::as_i64), Some(7));
        assert!(event.body.get("").is_none() && event.body.get("\0\0").is_none());
        event.body.set("k", 8);
        event.body.rewrite_strings(|text| (text == "x").then_some("y"));
    });
    assert_eq!(out.bodies(), [r#"{5:"y","k":8,"k":"y"}"#]);
}

/// A part of many members has no index.
#[test]
fn parts_of_many_members() {
    let members = |n: usize, last: &str| {
        let members: Vec<_> = (0..n).map(|i| format!(r#""k{i}":"{i}@""#)).collect();
        format!(r#"{{{},"last":{last}}}"#, members.join(","))
    };
    for n in [15, 62, 63, 64, 65, 300] {
        let out = run(&members(n, r#"{"a":1}"#), |event| {
            assert_eq!(event.body.get_str("k9"), Some("9@"));
            event.body.set("last.a", 2);
            event.body.set("k3", "***");
            event.body.remove("k4");
            event.body.rewrite_strings_with(b'@', |text| (text == "5@").then_some("***"));
        });
        let want = members(n, r#"{"a":2}"#).replace("\"3@\"", "\"***\"").replace("\"k4\":\"4@\",", "");
        assert_eq!(out.bodies(), [want.replace("\"5@\"", "\"***\"")]);
    }
}

#[test]
fn accessors() {
    let map = map(r#"{"a.b":{"c]d":[[1,{"e'f":2}]]},"$x":3,"l":4}"#);
    let get = |path: &str| map.get(&path.parse::<Accessor>().unwrap()).and_then(Value::as_i64);
    assert_eq!(get("$a.b['c]d'][0][1][\"e'f\"]"), Some(2));
    assert_eq!((get("$a.b['c]d'][0][0]"), get("a.b.c]d.0.0")), (Some(1), None));
    assert_eq!(
        (get("$l"), get("l"), get("$$x"), get("$l['x']"), get("$a.b[0]")),
        (Some(4), Some(4), Some(3), None, None)
    );
    for bad in [
        "", "$", "$[0]", "$a[", "$a[]", "$a[b]", "$a['b]", "$a['b'", "$a['b']c", "$a[0]]", "$a[-1]",
        "$a['b\"]",
    ] {
        assert!(bad.parse::<Accessor>().is_err(), "{bad}");
    }
}

#[test]
fn more_edits_than_a_host_takes() {
    let members: Vec<_> = (0..300).map(|i| format!(r#""k{i}":0"#)).collect();
    let out = run(&format!("{{{}}}", members.join(",")), |event| {
        (0..300).for_each(|i| event.body.set(&format!("k{i}"), i));
    });
    assert_eq!(out.events[0].body.get("k299").and_then(Value::as_i64), Some(299));
    let out = run(r#"{"a":1}"#, |event| (0..600).for_each(|i| event.body.set(&format!("k{}", i % 300), i)));
    let body = map(&out.bodies()[0]);
    assert_eq!(body.value().len(), 301);
    assert_eq!(body.get("k299").and_then(Value::as_i64), Some(599));
}

#[test]
fn strings_are_rewritten() {
    let body = r#"{"k@":"a@","n":1,"l":["@",{"m@":"@b","x":"none"}]}"#;
    let mark = |text: &str| text.contains('@').then(|| text.replace('@', "***"));
    edit(body, r#"{"k@":"a***","n":1,"l":["***",{"m@":"***b","x":"none"}]}"#, |event| {
        event.body.rewrite_strings(mark)
    });
    let long = "@".repeat(70_000);
    edit(&format!(r#"{{"a":"{long}","b":"@"}}"#), r#"{"a":"short","b":"***"}"#, |event| {
        event.body.rewrite_strings(|text| Some(if text.len() > 1 { "short".into() } else { mark(text)? }))
    });
    // What has been edited before is rewritten, too: by the first function, say.
    edit(r#"{"a":["@"],"b":"@ #"}"#, r#"{"a":"***put","b":"*** -","c":"- ***"}"#, |event| {
        event.body.rewrite_strings(|text| text.contains('#').then(|| text.replace('#', "-")));
        event.body.put("a", "@put");
        event.body.set("c", "# @");
        event.body.rewrite_strings_with(b'@', mark);
        event.body.rewrite_strings_with(b'#', |text| Some(text.replace('#', "-")));
    });
}

/// Texts with a byte are found wherever it stands, and no others: headers may have it, too.
#[test]
fn strings_with_a_byte_are_rewritten() {
    for len in (0..40).chain([64, 255, 256, 300]) {
        for at in (0..len).step_by(7) {
            let text = "x".repeat(at) + "@" + &"y".repeat(len - at - 1);
            let body =
                format!(r#"{{"a":[64,2.5,"{0}","{1}",{{"b":2.5}}],"c":"{0}"}}"#, "z".repeat(len), text);
            let mut seen = Vec::new();
            run(&body, |event| {
                event.body.rewrite_strings_with(b'@', |text| {
                    seen.push(text.to_string());
                    None::<&str>
                })
            });
            assert_eq!(seen, [text.as_str()]);
        }
    }
}

#[test]
fn faults_are_the_events() {
    let record = || Record::json(r#"{"a":{"b":1}}"#);
    let blocked = "set: a value that is not a map is in the way";
    fails(record(), blocked, |event| event.body.set("a.b.c", 1));
    fails(Record::json(r#"{"a":[1]}"#), blocked, |event| event.body.set("a.1", 1));
    fails(record(), blocked, |event| {
        event.body.set("x", 1);
        event.body.set("x.y", 1);
    });
    let bare = || Record { metadata: None, ..record() };
    let form = "the event is of a form that has no metadata";
    fails(bare(), form, |event| event.metadata.set("a", 1));
    fails(bare(), form, |event| event.metadata.replace(Map::new()));
    fails(bare(), form, |event| event.emit(Emit { metadata: Some(Map::new()), ..Map::new().into() }));
    run_on(bare(), |event| assert!(event.metadata.get("a").is_none()));
}

#[test]
fn errors_are_the_events() {
    let records: Vec<Record> = ["{}", r#"{"n":"x"}"#, r#"{"n":"7"}"#].map(Record::json).into();
    let out = Host::new().run(
        |event| {
            event.emit(Map::new());
            event.body.set("touched", true);
            let n = event.body.get_str("n").ok_or_else(|| Error { code: 7, text: "no n".into() })?;
            event.body.set("n", n.parse::<u8>()?);
            Ok(())
        },
        &records,
    );
    assert_eq!(out.bodies(), [r#"{"n":7,"touched":true}"#, "{}"]);
    let errors: Vec<_> = out.errors.iter().map(|(i, why)| (*i, why.code, &*why.text)).collect();
    assert_eq!(errors, [(0, 7, "no n"), (1, 1, "invalid digit found in string")]);
}

#[test]
fn emitted_events_have_what_the_event_has_by_then() {
    let record =
        Record { time: Time { sec: 10, nsec: 11 }, group: 1, ..Record::json("{}").metadata(r#"{"m":1}"#) };
    let (time, later) = (Time { sec: 20, nsec: 21 }, Time { sec: 30, nsec: 31 });
    let host = Host::new().tag("a.b").group(r#"{"scope":1}"#);
    let out = host.run(
        |event| {
            assert_eq!((event.tag(), event.time()), ("a.b", Time { sec: 10, nsec: 11 }));
            assert_eq!(event.group().and_then(|g| g.get("scope")).and_then(Value::as_u64), Some(1));
            event.emit(Map::new().with("n", 1));
            event.metadata.set("m", 2);
            event.set_time(time)?;
            assert!(event.set_time(Time { sec: i64::from(u32::MAX) - 1, nsec: 0 }).is_err());
            assert!(event.set_time(Time { sec: 0, nsec: 1_000_000_000 }).is_err());
            event.emit(Map::new().with("n", 2));
            let own =
                Emit { metadata: Some(Map::new()), time: Some(later), in_group: false, body: Map::new() };
            event.emit(own);
            event.drop();
            Ok(())
        },
        &[record],
    );
    let seen: Vec<_> =
        out.events.iter().map(|e| (e.metadata.as_ref().map(json).unwrap(), e.time.sec, e.group)).collect();
    let want = [(r#"{"m":2}"#, 20, 1), (r#"{"m":2}"#, 20, 1), ("{}", 30, 0)];
    assert_eq!(seen, want.map(|(m, sec, group)| (m.to_string(), sec, group)));
}

#[test]
fn times_and_metadata() {
    let out = run_on(Record::json("{}").metadata(r#"{"a":{"b":1}}"#), |event| {
        event.set_time(Time { sec: 5, nsec: 6 }).unwrap();
        event.metadata.put("a.b", 2);
        event.metadata.set("c", 3);
    });
    assert_eq!(out.events[0].metadata.as_ref().map(json).unwrap(), r#"{"a":{"b":2},"c":3}"#);
    assert_eq!(out.events[0].time, Time { sec: 5, nsec: 6 });
    assert_eq!(out.bodies(), ["{}"]);
}

#[test]
fn arrays_are_split() {
    let split = |event: &mut Event| {
        event.body.set("a", 1);
        event.split("l");
    };
    assert_eq!(run(r#"{"l":[1,"x"]}"#, split).bodies(), [r#"{"l":1,"a":1}"#, r#"{"l":"x","a":1}"#]);
    for body in [r#"{"l":[],"a":1}"#, r#"{"l":{"b":2},"a":1}"#, r#"{"a":1}"#] {
        assert_eq!(run(body, split).bodies(), [body]);
    }
}

struct Groups;

impl Filter for Groups {
    fn configure() -> Result<Self, Error> {
        Ok(Groups)
    }

    fn filter(&mut self, event: &mut Event) -> Result<(), Error> {
        assert!(event.group().map_or(true, |group| group.get("bad").is_none()), "called for a failed group");
        event.body.set("seen", true);
        Ok(())
    }

    fn group(&mut self, group: &mut Group) -> Result<(), Error> {
        group.body.set("tagged", 1);
        if group.body.get("bad").is_some() {
            return Err("a bad group".into());
        }
        Ok(())
    }
}

/// Buffers are used again for the next batch, and nothing in them.
#[test]
fn events_go_under_other_tags() {
    let record = Record::json(r#"{"a":1,"user":"bob"}"#).metadata(r#"{"m":1}"#);
    let out = run_on(record.clone(), |event| {
        event.emit(Map::new().with("n", 1));
        event.emit_to("audit.x", Map::new().with("n", 2));
        let own = Emit {
            metadata: Some(Map::new().with("own", true)),
            time: Some(Time { sec: 5, nsec: 6 }),
            in_group: false,
            ..Map::new().with("n", 3).into()
        };
        event.emit_to("other", own);
        event.metadata.set("m", 2);
        event.set_time(Time { sec: 7, nsec: 8 }).unwrap();
    });
    assert_eq!(out.bodies(), [r#"{"a":1,"user":"bob"}"#, r#"{"n":1}"#]);
    assert_eq!(out.bodies_under("audit.x"), [r#"{"n":2}"#]);
    assert_eq!(out.routed.len(), 2);
    let (audit, other) = (&out.routed[0].1, &out.routed[1].1);
    assert_eq!(audit.time.sec, 7);
    assert_eq!(json(audit.metadata.as_ref().unwrap()), r#"{"m":2}"#);
    assert_eq!((json(other.metadata.as_ref().unwrap()), other.time.nsec), (r#"{"own":true}"#.to_string(), 6));

    // The body goes as it stands in the batch, or as it has been edited.
    let out = run_on(record.clone(), |event| {
        event.metadata.set("m", 3);
        event.route("audit");
    });
    assert!(out.events.is_empty());
    assert_eq!(out.bodies_under("audit"), [r#"{"a":1,"user":"bob"}"#]);
    assert_eq!(json(out.routed[0].1.metadata.as_ref().unwrap()), r#"{"m":3}"#);
    let out = run_on(record.clone(), |event| {
        event.body.set("user", "***");
        event.route("audit");
        event.route("copy");
        event.body.set("a", 2); // too late
    });
    assert!(out.events.is_empty());
    for tag in ["audit", "copy"] {
        assert_eq!(out.bodies_under(tag), [r#"{"a":1,"user":"***"}"#]);
    }

    // What has failed has gone nowhere.
    let out = Host::new().run(
        |event| {
            event.route("audit");
            Err("no".into())
        },
        &[record],
    );
    assert_eq!((out.events.len(), out.routed.len(), out.errors.len()), (0, 0, 1));
}

#[test]
#[should_panic(expected = "is not a tag")]
fn a_tag_that_there_is_not() {
    run(r#"{"a":1}"#, |event| event.route("two\nlines"));
}

struct Fold(bool);

impl Filter for Fold {
    fn configure() -> Result<Self, Error> {
        Ok(Fold(config::get("fails").is_some()))
    }

    fn filter(&mut self, event: &mut Event) -> Result<(), Error> {
        store::add("n", 1, Ttl::FOREVER)?;
        event.drop();
        // Only a tick emits so.
        assert!(flb_filter::emit_to("folded", Map::new()).is_err());
        Ok(())
    }

    fn tick(&mut self, last: bool) -> Result<(), Error> {
        let n = store::add("n", 0, Ttl::FOREVER)?;
        store::delete("n");
        flb_filter::emit_to("folded", Map::new().with("n", n).with("last", last))?;
        let timed = Emit { time: Some(Time { sec: 3, nsec: 4 }), ..Map::new().with("n", n).into() };
        flb_filter::emit_to("timed", Emit { metadata: Some(Map::new().with("m", 1)), ..timed })?;
        match self.0 {
            true => Err("it fails".into()),
            false => Ok(()),
        }
    }
}

flb_filter::export!(Fold, stateful, tick);

#[test]
fn ticks() {
    let host = Host::new();
    let mut fold = host.start::<Fold>().unwrap();
    assert!(fold.run(&[Record::json("{}"), Record::json("{}")]).errors.is_empty());
    host.advance(Duration::from_secs(60));
    let out = fold.tick(false).unwrap();
    assert_eq!(out.iter().map(|(tag, _)| &**tag).collect::<Vec<_>>(), ["folded", "timed"]);
    assert_eq!(json(&out[0].1.body), r#"{"n":2,"last":false}"#);
    assert_eq!((out[0].1.time.sec, json(out[0].1.metadata.as_ref().unwrap())), (1_700_000_060, "{}".into()));
    assert_eq!((out[1].1.time.sec, json(out[1].1.metadata.as_ref().unwrap())), (3, r#"{"m":1}"#.into()));
    assert_eq!(json(&fold.tick(true).unwrap()[0].1.body), r#"{"n":0,"last":true}"#);
    let why = Host::new().config("fails", "1").start::<Fold>().unwrap().tick(false).unwrap_err();
    assert_eq!(why.text, "it fails");
}

#[test]
fn batches_follow_each_other() {
    let host = Host::new().group(r#"{"bad":1}"#);
    let mut filter = host.start::<Groups>().unwrap();
    for records in [vec![0, 1, 1], vec![], vec![0]] {
        let events: Vec<_> =
            records.iter().map(|group| Record { group: *group, ..Record::json("{}") }).collect();
        let out = filter.run(&events);
        let failed = records.iter().filter(|group| **group == 1).count();
        assert_eq!(out.bodies(), vec![r#"{"seen":true}"#; records.len() - failed]);
        assert_eq!(out.errors.len(), failed);
        assert_eq!(out.groups, [r#"{"bad":1}"#]);
    }
}

#[test]
fn groups() {
    let host = Host::new().group(r#"{"bad":1}"#).group(r#"{"good":1}"#);
    let records = [0, 1, 2].map(|group| Record { group, ..Record::json("{}") });
    let out = host.start::<Groups>().unwrap().run(&records);
    assert_eq!(out.groups, [r#"{"bad":1}"#, r#"{"good":1,"tagged":1}"#]);
    assert_eq!(out.bodies(), [r#"{"seen":true}"#; 2]);
    assert_eq!(out.errors, [(1, "a bad group".into())]);
}

#[test]
fn numbers_and_lengths() {
    let ints = [0, 1, -1, -32, -33, 127, 128, 255, 256, -128, -129, 65535, 65536, -32768, -32769];
    let large = [i64::MAX, i64::MIN, 1 << 31, -(1 << 31), -(1 << 31) - 1, 1 << 32, u32::MAX.into()];
    for n in ints.into_iter().chain(large) {
        let map = Map::new().with("n", n);
        let value = map.get("n").unwrap();
        assert_eq!((value.as_i64(), value.as_u64()), (Some(n), u64::try_from(n).ok()));
        assert_eq!(value.as_f64(), Some(n as f64));
    }
    let map = Map::new().with("n", u64::MAX).with("f", 1.5f32);
    assert_eq!(map.get("n").map(|v| (v.as_u64(), v.as_i64())), Some((Some(u64::MAX), None)));
    assert_eq!(map.get("f").map(|v| (v.as_f64(), v.as_i64())), Some((Some(1.5), None)));
    for n in [0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536] {
        let (text, list) = ("x".repeat(n), vec![7u8; n]);
        let mut map = Map::new();
        (0..n).for_each(|i| map.add("k", i));
        let whole = Map::new().with("text", &text).with("list", &list).with("map", map).with("last", true);
        assert_eq!(whole.get("text").and_then(Value::as_str), Some(&*text));
        assert_eq!(whole.get("list").map(|v| v.elements().count()), Some(n));
        assert_eq!(whole.get("map").map(|v| v.members().count()), Some(n));
        assert_eq!(whole.get("last").and_then(Value::as_bool), Some(true), "{n}");
        assert_eq!(Map::copy(whole.get("map").unwrap()).unwrap().value().len(), n);
    }
}

#[test]
fn paths() {
    let map = map(r#"{"a.b":{"c":1},"a":{"b":{"c":2,"d":3},"b.c":4},"l":[[5]],"0":6}"#);
    let get = |path: &str| map.get(path).and_then(Value::as_i64);
    assert_eq!((get("a.b.c"), get("a.b.d"), get("l.0.0"), get("0")), (Some(4), Some(3), Some(5), Some(6)));
    assert_eq!(
        (get(""), get("."), get("a."), get("l.1"), get("l.x"), get("0.0")),
        (None, None, None, None, None, None)
    );
    assert_eq!(map.get(["a", "b", "d"]).and_then(Value::as_i64), Some(3));
    assert_eq!(map.get(["a.b", "c"]).and_then(Value::as_i64), Some(1));
    assert_eq!(map.get(["l"]).map(Value::kind), Some(Kind::Array));
}

#[test]
fn what_a_module_says_of_itself_has_the_version() {
    let line = format!("sdk_version={}", env!("CARGO_PKG_VERSION"));
    assert!(std::str::from_utf8(&flb_filter::ABOUT).unwrap().lines().any(|l| l == line));
}

#[test]
fn the_host() {
    struct All(Table, Counter, Gauge, Histogram);

    impl Filter for All {
        fn configure() -> Result<Self, Error> {
            assert_eq!(config::get("LARGE"), Some("x".repeat(1000)));
            assert_eq!(config::get("x"), None);
            assert_eq!(config::parse("n")?, Some(42));
            assert_eq!(config::parse::<u8>("x")?, None);
            let counter = Counter::new("c_total", "", &["a", "b"]);
            let gauge = Gauge::new("g", "", &[]);
            Ok(All(Table::open("Users")?, counter, gauge, Histogram::new("h", "", &[], &[1.0, 2.0])))
        }

        fn filter(&mut self, event: &mut Event) -> Result<(), Error> {
            self.1.add(2.0, &["x", ""]);
            self.1.add(1.0, &["x", ""]);
            self.2.set(5.0, &[]);
            self.2.add(-1.0, &[]);
            self.3.observe(7.0, &[]);
            event.body.set_or_remove("name", self.0.get("bob", "name"));
            event.body.set_or_remove("bob", self.0.get_value("bob", ""));
            event.body.set_or_remove("ids", self.0.get("bob", "ids"));
            event.body.set_or_remove("eve", self.0.get("eve", "name"));
            flb_filter::warn!("{} of {}", 1, 2);
            flb_filter::debug!("{}", unreachable_text());
            Ok(())
        }
    }

    fn unreachable_text() -> &'static str {
        panic!("a line that is not logged is not formatted")
    }

    let host = Host::new()
        .config("n", "42")
        .config("Large", &"x".repeat(1000))
        .table("users", r#"{"bob":{"name":"Bob","ids":[1,2]}}"#);
    let out = host.start::<All>().unwrap().run(&[Record::json(r#"{"eve":1}"#)]);
    assert_eq!(out.bodies(), [r#"{"name":"Bob","bob":{"name":"Bob","ids":[1,2]},"ids":"[1,2]"}"#]);
    assert_eq!(host.metric("c_total", &["x", ""]), 3.0);
    assert_eq!((host.metric("g", &[]), host.metric("h", &[])), (4.0, 1.0));
    assert_eq!(host.lines(), [(Level::Warn, "1 of 2".to_string())]);
}

#[test]
fn the_store() {
    let host = Host::new();
    let step = |function: &dyn Fn()| {
        host.run(
            |_| {
                function();
                Ok(())
            },
            &[Record::json("{}")],
        );
    };
    step(&|| {
        assert_eq!(store::get("a"), None);
        store::set("a", "1", Ttl::seconds(1)).unwrap();
        store::set("b", [0; 1000], Ttl::FOREVER).unwrap();
        assert_eq!(store::get("b").map(|b| b.len()), Some(1000));
        assert_eq!(store::compare_and_set("a", None, "2", Ttl::KEEP), Ok(false));
        assert_eq!(store::compare_and_set("a", Some(b"1"), "2", Ttl::KEEP), Ok(true));
        assert_eq!(store::compare_and_set("c", None, "3", Ttl::seconds(1.5)), Ok(true));
        assert_eq!(store::add("n", 2, Ttl::seconds(1)), Ok(2));
        store::set("short", "", Ttl::seconds(1e-9)).unwrap();
        assert!(store::delete("b") && !store::delete("b"));
    });
    host.advance(Duration::from_millis(999));
    step(&|| {
        assert_eq!(store::get("a").as_deref(), Some(&b"2"[..]));
        assert_eq!(store::add("n", -5, Ttl::seconds(9)), Ok(-3));
        assert_eq!(store::get("short"), None);
    });
    host.advance(Duration::from_millis(1));
    step(&|| {
        assert_eq!((store::get("a"), store::get("n"), store::get("b")), (None, None, None));
        assert_eq!(store::get("c").as_deref(), Some(&b"3"[..]));
        assert!(store::set(vec![0; 1025], "", Ttl::FOREVER).is_err());
    });
}
