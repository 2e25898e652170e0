use flb_filter::{Error, Event, Filter};

struct Errors;

flb_filter::export!(Errors);

impl Filter for Errors {
    fn configure() -> Result<Self, Error> {
        Ok(Errors)
    }

    fn filter(&mut self, event: &mut Event) -> Result<(), Error> {
        if event.body.get_str("level") == Some("error") {
            event.route("errors");
        }
        Ok(())
    }
}
