use flb_filter::{emit_to, store, Emit, Error, Event, Filter, Map, Time};
struct F;
impl Filter for F {
    fn configure() -> Result<Self, Error> {
        Ok(F)
    }
    fn filter(&mut self, e: &mut Event) -> Result<(), Error> {
        match e.body.get_str("do") {
            Some("route") => e.route("t.route"),
            Some("edited") => {
                e.body.set("n", 2);
                e.route("t.edited")
            }
            Some("emit") => e.emit_to("t.emit", Map::new().with("new", 1)),
            Some("bad") => e.route("elsewhere"),
            _ => e.emit(Map::new().with("own", 1)),
        }
        store::add("n", 1, store::Ttl::FOREVER).map(drop)
    }
    fn tick(&mut self, last: bool) -> Result<(), Error> {
        let n = store::add("n", 0, store::Ttl::FOREVER)?;
        emit_to(
            "t.tick",
            Emit {
                metadata: Some(Map::new().with("m", 1)),
                time: Some(Time { sec: 5, nsec: 0 }),
                ..Map::new().with("n", n).with("last", last).into()
            },
        )?;
        if last {
            return Ok(());
        }
        emit_to("elsewhere", Map::new())
    }
}
flb_filter::export!(F, stateful, tick);
