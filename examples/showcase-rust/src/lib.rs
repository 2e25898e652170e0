//! Drops debug, masks e-mail addresses, adds an environment, a country and a count, and splits by an array.

use flb_filter::{config, metrics::Counter, store, Error, Event, Filter, Group, Kind, Part, Table};

mod mask;
#[cfg(test)]
mod tests;

struct Showcase {
    environment: String,
    geo: Table,
    geo_path: String,
    ttl: store::Ttl,
    masked: Counter,
}

flb_filter::export!(Showcase, stateful);

impl Filter for Showcase {
    fn configure() -> Result<Self, Error> {
        Ok(Showcase {
            environment: config::require("environment", "what is to be added to each record")?,
            geo: Table::open("geo")?,
            geo_path: config::get_or("geo_path", "country.iso_code"),
            ttl: store::Ttl::seconds(config::parse_or("count_ttl", 60)?),
            masked: Counter::new("masked_total", "E-mail addresses masked", &["where"]),
        })
    }

    fn group(&mut self, group: &mut Group) -> Result<(), Error> {
        self.mask(&mut group.body, "group");
        self.mask(&mut group.metadata, "group");
        Ok(())
    }

    fn filter(&mut self, event: &mut Event) -> Result<(), Error> {
        let body = &mut event.body;
        if body.get_str("level") == Some("debug") {
            event.drop();
            return Ok(());
        }
        self.mask(body, "body");
        self.mask(&mut event.metadata, "metadata");
        body.set("environment", &self.environment);
        match body.get_str("client_ip").and_then(|ip| self.geo.get(ip, &self.geo_path)) {
            Some(country) => body.set("country", country),
            None => body.remove("country"),
        }
        match body.get_str("user") {
            Some(user) => body.set("count", store::add(user, 1, self.ttl)?),
            None => body.remove("count"),
        }
        if body.get("items").map_or(false, |v| v.kind() == Kind::Array && !v.is_empty()) {
            let whole = body.edited();
            for item in whole.value().get("items").iter().flat_map(|v| v.elements()) {
                let mut part = whole.clone();
                part.set("items", item);
                event.emit(part);
            }
            event.drop();
        }
        Ok(())
    }
}

impl Showcase {
    fn mask(&self, part: &mut Part, place: &str) {
        let mut found = 0;
        part.rewrite_strings(|text| mask::addresses(text, &mut found));
        if found > 0 {
            self.masked.add(f64::from(found), &[place]);
        }
    }
}
