//! Drops debug, masks e-mail addresses, adds an environment, a country and a count, and splits by an array.

use flb_filter::{config, metrics::Counter, store, Error, Event, Filter, Group, Part, Table};

#[cfg(test)]
mod tests;

struct Showcase {
    environment: String,
    geo: Table,
    path: String,
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
            path: config::parse("geo_path")?.unwrap_or_else(|| "country.iso_code".into()),
            ttl: store::Ttl::seconds(config::parse::<u32>("count_ttl")?.unwrap_or(60)),
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
        body.set_or_remove("country", body.get_str("client_ip").and_then(|ip| self.geo.get(ip, &self.path)));
        body.set_or_remove("count", body.get_str("user").and_then(|user| store::add(user, 1, self.ttl).ok()));
        event.split("items");
        Ok(())
    }
}

impl Showcase {
    fn mask(&self, part: &mut Part, place: &str) {
        let domain = |c: char| c.is_ascii_alphanumeric() || c == '-' || !c.is_ascii();
        part.rewrite_strings_with(b'@', |text| {
            let (mut new, rest) = text.split_once('@').map(|(new, rest)| (new.to_string(), rest))?;
            for piece in rest.split('@') {
                let host = piece.split(|c| c != '.' && !domain(c)).next()?.split("..").next()?;
                let host = host.trim_end_matches('.').len();
                let user = new.trim_end_matches(|c| domain(c) || "._%+".contains(c)).len();
                if user == new.len() || host == 0 || piece.starts_with('.') {
                    new = new + "@" + piece;
                } else {
                    new.truncate(user);
                    new = new + "***" + &piece[host..];
                    self.masked.add(1.0, &[place]);
                }
            }
            Some(new)
        });
    }
}
