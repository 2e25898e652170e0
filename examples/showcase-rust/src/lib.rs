//! Drops debug, masks e-mail addresses, adds an environment, a country and a count, and splits by an array.

use flb_filter::{config, metrics::Counter, store, Error, Event, Filter, Group, Part, Table};

#[cfg(test)]
mod tests;

struct Showcase {
    environment: String,
    geo: Table,
    geo_path: String,
    ttl: store::Ttl,
    masked: Counter,
}

// What is counted in the store would be counted again if events came a second time.
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
        let address = body.get_str("client_ip");
        body.set_or_remove("country", address.and_then(|ip| self.geo.get(ip, &self.geo_path)));
        let user = body.get_str("user");
        body.set_or_remove("count", user.map(|user| store::add(user, 1, self.ttl)).transpose()?);
        event.split("items");
        Ok(())
    }
}

impl Showcase {
    fn mask(&self, part: &mut Part, place: &str) {
        part.rewrite_strings(|text| {
            text.find('@')?;
            let mut new = text.to_string();
            for word in text.split(|c: char| !(c.is_alphanumeric() || "._%+-@".contains(c))) {
                let word = word.trim_matches(|c| c == '.' || c == '@');
                if word.contains('@') {
                    new = new.replacen(word, "***", 1);
                    self.masked.add(1.0, &[place]);
                }
            }
            Some(new)
        });
    }
}
