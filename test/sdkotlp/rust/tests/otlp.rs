//! Random requests, edited by the crate and in the full model of protobuf alike.

use flb_filter::otlp::{self, Attributes, Output, Value};
use opentelemetry_proto::tonic::collector::{
    metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{any_value, AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    metric, number_data_point, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{span, ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    fn many<T>(&mut self, most: u64, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    fn attributes(&mut self) -> Vec<KeyValue> {
        let mut list: Vec<KeyValue> = Vec::new();
        for _ in 0..self.below(4) {
            let key = self.pick(&["a", "b", "http.route", "long key"]).to_string();
            let long = "y".repeat(300);
            let value = match self.below(5) {
                0 => any_value::Value::StringValue(self.pick(&["", "x", "é", &long]).into()),
                1 => any_value::Value::BoolValue(self.below(2) == 0),
                2 => any_value::Value::IntValue(self.pick(&[0, 1, -1, 1 << 40, i64::MIN])),
                3 => any_value::Value::DoubleValue(self.pick(&[0.0, 0.1, -1e300])),
                _ => any_value::Value::BytesValue(vec![0, 98]),
            };
            if list.iter().all(|other| other.key != key) {
                list.push(KeyValue { key, value: Some(AnyValue { value: Some(value) }) });
            }
        }
        list
    }

    fn resource(&mut self) -> Option<Resource> {
        Some(Resource { attributes: self.attributes(), dropped_attributes_count: 1, ..Default::default() })
    }

    fn scope(&mut self) -> Option<InstrumentationScope> {
        Some(InstrumentationScope { name: "lib".into(), attributes: self.attributes(), ..Default::default() })
    }

    /// Does the same to attributes of the crate and of the model.
    fn edit(&mut self, mut of: Attributes, list: &mut Vec<KeyValue>) {
        for _ in 0..self.below(3) {
            let key = self.pick(&["a", "b", "http.route", "new"]);
            let at = list.iter().position(|kv| kv.key == key);
            match self.below(3) {
                0 => {
                    assert_eq!(of.remove(key), at.is_some());
                    at.map(|at| list.remove(at));
                }
                1 => {
                    let to = self.pick(&["b", "newest"]);
                    assert_eq!(of.rename(key, to), at.is_some());
                    if let Some(at) = at.filter(|_| key != to) {
                        list[at].key = "renamed".into();
                        list.retain(|kv| kv.key != to);
                        list.iter_mut().find(|kv| kv.key == "renamed").unwrap().key = to.into();
                    }
                }
                _ => {
                    let (value, model) = match self.below(4) {
                        0 => (Value::from("text"), any_value::Value::StringValue("text".into())),
                        1 => (Value::from(true), any_value::Value::BoolValue(true)),
                        2 => (Value::from(-7), any_value::Value::IntValue(-7)),
                        _ => (Value::from(2.5), any_value::Value::DoubleValue(2.5)),
                    };
                    of.set(key, value);
                    let value = Some(AnyValue { value: Some(model) });
                    match at {
                        Some(at) => list[at].value = value,
                        None => list.push(KeyValue { key: key.into(), value }),
                    }
                }
            }
        }
        let have: Vec<_> =
            of.iter().map(|(key, value)| (key.to_string(), value.as_str().map(String::from))).collect();
        let want = list.iter().map(|kv| match kv.value.as_ref().and_then(|v| v.value.as_ref()) {
            Some(any_value::Value::StringValue(text)) => (kv.key.clone(), Some(text.clone())),
            _ => (kv.key.clone(), None),
        });
        assert_eq!(have, want.collect::<Vec<_>>());
    }
}

fn compare<M: Message + Default + PartialEq + std::fmt::Debug>(
    seed: u64, before: &M, want: &M, is_empty: bool, output: Output,
) {
    match output {
        Output::Kept => assert!(before == want, "seed {seed}: nothing was changed"),
        Output::Dropped => assert!(is_empty, "seed {seed}: it is dropped"),
        Output::Replaced(bytes) => {
            assert!(!is_empty, "seed {seed}: it is not dropped");
            assert!(M::decode(&bytes[..]).unwrap() == *want, "seed {seed}: {want:?}");
        }
    }
}

#[test]
fn traces() {
    for seed in 0..3000 {
        let mut r = Random(seed);
        let before = ExportTraceServiceRequest {
            resource_spans: r.many(2, |r| ResourceSpans {
                resource: r.resource(),
                schema_url: "u".into(),
                scope_spans: r.many(2, |r| ScopeSpans {
                    scope: r.scope(),
                    spans: r.many(3, |r| Span {
                        trace_id: b"0123456789abcdef".to_vec(),
                        name: r.pick(&["GET", "old"]).into(),
                        kind: 2,
                        start_time_unix_nano: 1_700_000_000_000_000_000,
                        end_time_unix_nano: 1_700_000_000_000_000_000 + r.below(3),
                        attributes: r.attributes(),
                        status: Some(Status { code: r.below(3) as i32, ..Default::default() }),
                        events: r
                            .many(2, |r| span::Event { attributes: r.attributes(), ..Default::default() }),
                        links: r.many(1, |r| span::Link { attributes: r.attributes(), ..Default::default() }),
                        ..Default::default()
                    }),
                    ..Default::default()
                }),
            }),
        };
        let (mut want, payload) = (before.clone(), before.encode_to_vec());
        let output = otlp::run(&payload, |request| {
            for (mut resource, want) in request.resources().zip(&mut want.resource_spans) {
                r.edit(resource.attributes(), &mut want.resource.as_mut().unwrap().attributes);
                for (mut scope, want) in resource.scopes().zip(&mut want.scope_spans) {
                    r.edit(scope.attributes(), &mut want.scope.as_mut().unwrap().attributes);
                    assert_eq!(scope.name(), "lib");
                    for (mut span, want) in scope.spans().zip(&mut want.spans) {
                        assert_eq!(span.is_error(), want.status.as_ref().unwrap().code == 2);
                        assert_eq!(span.duration(), want.end_time_unix_nano - want.start_time_unix_nano);
                        assert_eq!(span.trace_id(), b"0123456789abcdef");
                        match r.below(4) {
                            0 => {
                                span.drop();
                                want.name = "gone".into();
                                continue;
                            }
                            1 => {
                                span.set_name("new");
                                want.name = "new".into();
                            }
                            _ => {}
                        }
                        r.edit(span.attributes(), &mut want.attributes);
                        for (mut event, want) in span.events().zip(&mut want.events) {
                            match r.below(3) {
                                0 => {
                                    event.drop();
                                    want.name = "gone".into();
                                }
                                _ => r.edit(event.attributes(), &mut want.attributes),
                            }
                        }
                        want.events.retain(|event| event.name != "gone");
                        for (mut link, want) in span.links().zip(&mut want.links) {
                            r.edit(link.attributes(), &mut want.attributes);
                        }
                    }
                }
            }
            Ok(())
        });
        let mut empty = !want.resource_spans.is_empty();
        for of in &mut want.resource_spans {
            for scope in &mut of.scope_spans {
                let had = !scope.spans.is_empty();
                scope.spans.retain(|span| span.name != "gone");
                if had && scope.spans.is_empty() {
                    scope.schema_url = "gone".into();
                }
            }
            let had = !of.scope_spans.is_empty();
            of.scope_spans.retain(|scope| scope.schema_url != "gone");
            if had && of.scope_spans.is_empty() {
                of.schema_url = "gone".into();
            }
        }
        want.resource_spans.retain(|of| of.schema_url != "gone");
        empty &= want.resource_spans.is_empty();
        compare(seed, &before, &want, empty, output.unwrap());
    }
}

#[test]
fn metrics() {
    for seed in 0..3000 {
        let mut r = Random(seed + 100_000);
        let number = |r: &mut Random| NumberDataPoint {
            attributes: r.attributes(),
            time_unix_nano: 5,
            value: Some(match r.below(2) {
                0 => number_data_point::Value::AsDouble(1.5),
                _ => number_data_point::Value::AsInt(-3),
            }),
            ..Default::default()
        };
        let before = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: r.resource(),
                scope_metrics: vec![ScopeMetrics {
                    scope: r.scope(),
                    metrics: r.many(4, |r| Metric {
                        name: r.pick(&["m", "old"]).into(),
                        unit: "s".into(),
                        data: Some(match r.below(3) {
                            0 => metric::Data::Gauge(Gauge { data_points: r.many(3, number) }),
                            1 => metric::Data::Sum(Sum {
                                data_points: r.many(3, number),
                                is_monotonic: true,
                                ..Default::default()
                            }),
                            _ => metric::Data::Histogram(Histogram {
                                data_points: r.many(2, |r| HistogramDataPoint {
                                    attributes: r.attributes(),
                                    count: 3,
                                    bucket_counts: vec![1, 2],
                                    explicit_bounds: vec![0.5],
                                    ..Default::default()
                                }),
                                ..Default::default()
                            }),
                        }),
                        ..Default::default()
                    }),
                    ..Default::default()
                }],
                ..Default::default()
            }],
        };
        let (mut want, payload) = (before.clone(), before.encode_to_vec());
        let list = &mut want.resource_metrics[0].scope_metrics[0].metrics;
        let had = !list.is_empty();
        let output = otlp::run(&payload, |request| {
            for (mut metric, want) in request.metrics().zip(&mut *list) {
                assert_eq!(metric.name(), want.name);
                assert_eq!(metric.unit(), "s");
                match r.below(5) {
                    0 => {
                        metric.drop();
                        want.name = "gone".into();
                        continue;
                    }
                    1 => {
                        metric.set_name("new");
                        metric.set_unit("ms");
                        (want.name, want.unit) = ("new".into(), "ms".into());
                    }
                    _ => {}
                }
                let mut gone = Vec::new();
                for (i, mut point) in metric.points().enumerate() {
                    let (attributes, number) = match want.data.as_mut().unwrap() {
                        metric::Data::Gauge(gauge) => split(&mut gauge.data_points[i]),
                        metric::Data::Sum(sum) => split(&mut sum.data_points[i]),
                        metric::Data::Histogram(histogram) => {
                            (&mut histogram.data_points[i].attributes, None)
                        }
                        _ => unreachable!(),
                    };
                    let has = number.as_ref().map(|value| match value {
                        Some(number_data_point::Value::AsDouble(v)) => *v,
                        Some(number_data_point::Value::AsInt(v)) => *v as f64,
                        None => 0.0,
                    });
                    assert_eq!(point.value(), has);
                    if r.below(3) == 0 {
                        point.drop();
                        gone.push(i);
                        continue;
                    }
                    if let Some(number) = number.filter(|_| r.below(3) == 0) {
                        point.set_value(9.5);
                        *number = Some(number_data_point::Value::AsDouble(9.5));
                    }
                    r.edit(point.attributes(), attributes);
                }
                let left = match want.data.as_mut().unwrap() {
                    metric::Data::Gauge(gauge) => keep(&mut gauge.data_points, &gone),
                    metric::Data::Sum(sum) => keep(&mut sum.data_points, &gone),
                    metric::Data::Histogram(histogram) => keep(&mut histogram.data_points, &gone),
                    _ => unreachable!(),
                };
                if left == 0 && !gone.is_empty() {
                    want.name = "gone".into();
                }
            }
            Ok(())
        });
        list.retain(|metric| metric.name != "gone");
        let empty = had && list.is_empty();
        compare(seed, &before, &want, empty, output.unwrap());
    }
}

type Parts<'p> = (&'p mut Vec<KeyValue>, Option<&'p mut Option<number_data_point::Value>>);

fn split(point: &mut NumberDataPoint) -> Parts<'_> {
    (&mut point.attributes, Some(&mut point.value))
}

fn keep<T>(list: &mut Vec<T>, gone: &[usize]) -> usize {
    let mut i = 0;
    list.retain(|_| {
        i += 1;
        !gone.contains(&(i - 1))
    });
    list.len()
}

/// What is not edited stays as it came, though no encoder writes it so.
#[test]
fn untouched_bytes() {
    let wrap = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8], bytes].concat();
    // A length that is longer than need be, unknown fields, and fields out of order.
    let attribute = b"\x0a\x01a\x12\x83\x00\x0a\x01v\xfa\x01\x05later";
    let span = [b"\x2a\x03GET", &wrap(0x4a, attribute)[..], b"\x0a\x01t\xa0\x01\x07"].concat();
    let other = b"\x4a\x00\x2a\x01x";
    let scope = [wrap(0x12, &span), wrap(0x12, other)].concat();
    let payload = wrap(0x0a, &[wrap(0x12, &scope), b"\x0a\x00".to_vec()].concat());
    let output = otlp::run(&payload, |request| {
        for mut span in request.spans() {
            match span.name() {
                "x" => span.attributes().set("k", "v"),
                _ => assert_eq!(span.attributes().get("a").and_then(|v| v.as_str()), Some("v")),
            }
        }
        Ok(())
    });
    match output.unwrap() {
        Output::Replaced(got) => assert!(got.windows(span.len()).any(|part| part == span), "{got:?}"),
        other => panic!("{other:?}"),
    }
}

/// Of fields that stand twice, or with others of a oneof, the last one counts.
#[test]
fn the_last_counts() {
    let wrap = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8], bytes].concat();
    let request = |item: &[u8]| wrap(0x0a, &wrap(0x12, &wrap(0x12, item)));
    let attribute = b"\x0a\x01a\x0a\x01b\x12\x05\x0a\x01v\x18\x07";
    let double = |n: f64| [b"\x21", &n.to_le_bytes()[..]].concat();
    let whole = |n: i64| [b"\x31", &n.to_le_bytes()[..]].concat();

    let span = [b"\x2a\x01x\x2a\x03GET\x30\x01\x30\x02\x7a\x04\x18\x01\x18\x02", &wrap(0x4a, attribute)[..]]
        .concat();
    let payload = request(&span);
    let model = ExportTraceServiceRequest::decode(&payload[..]).unwrap();
    let want = &model.resource_spans[0].scope_spans[0].spans[0];
    let output = otlp::run(&payload, |request| {
        for mut span in request.spans() {
            assert_eq!((span.name(), want.name.as_str()), ("GET", "GET"));
            assert_eq!((span.kind(), want.kind), (2, 2));
            assert_eq!((span.is_error(), want.status.as_ref().unwrap().code), (true, 2));
            assert_eq!(want.attributes[0].key, "b");
            assert!(span.attributes().get("a").is_none());
            assert_eq!(span.attributes().get("b").and_then(Value::as_i64), Some(7));
        }
        Ok(())
    });
    assert_eq!(output.unwrap(), Output::Kept);

    for (point, value) in [
        ([double(1.0), whole(2), double(3.0)].concat(), 3.0),
        ([whole(1), double(2.0), whole(3)].concat(), 3.0),
        ([double(1.0), double(2.0)].concat(), 2.0),
    ] {
        let metric = [b"\x0a\x01x\x0a\x01m", &wrap(0x2a, &wrap(0x0a, &point))[..]].concat();
        let payload = request(&metric);
        let model = ExportMetricsServiceRequest::decode(&payload[..]).unwrap();
        let want = &model.resource_metrics[0].scope_metrics[0].metrics[0];
        let Some(metric::Data::Gauge(gauge)) = &want.data else { panic!("{want:?}") };
        let number = match gauge.data_points[0].value {
            Some(number_data_point::Value::AsDouble(n)) => n,
            Some(number_data_point::Value::AsInt(n)) => n as f64,
            None => 0.0,
        };
        assert_eq!((want.name.as_str(), number), ("m", value));
        let output = otlp::run(&payload, |request| {
            for mut metric in request.metrics() {
                assert_eq!(metric.name(), "m");
                metric.points().for_each(|mut point| assert_eq!(point.value(), Some(value)));
            }
            Ok(())
        });
        assert_eq!(output.unwrap(), Output::Kept);
    }
}

/// Bytes that are no request are an error, or pass as they came.
#[test]
fn malformed() {
    let mut r = Random(7);
    for _ in 0..20000 {
        let mut payload: Vec<u8> = r.many(60, |r| r.pick(&[0x0a, 0x12, 0x4a, 2, 4, 8, 0xff, 0x80, 1, 0, 3]));
        payload.extend(r.many(3, |r| r.below(256) as u8));
        let _ = otlp::run(&payload, |request| {
            for mut metric in request.metrics() {
                metric.points().for_each(|mut point| drop(point.value()));
            }
            for mut span in request.spans() {
                span.is_error();
                span.attributes().set("a", 1);
                span.attributes().rename("a", "b");
            }
            Ok(())
        });
    }
}
