import { Event, Filter, onStart } from "flb-filter";

export * from "flb-filter/module";

class Errors extends Filter {
  filter(event: Event): void {
    if (event.body.is("level", "error")) event.route("errors");
  }
}

onStart(() => new Errors());
