use alloc::{string::String, vec::Vec};

use crate::part::{Key, Part};
use crate::value::{append, write_head, write_number, Kind, ToValue, Value};

/// A way to a value: a text with dots between its parts (`"a.b"`, `"items.0.name"`), an array of parts
/// (`["items", "0", "name"]`), whose dots are theirs, or an [`Accessor`]. A part is the key of a member,
/// or in an array the number of an element, from 0.
///
/// A text finds keys with dots, too: in a map, a member whose key is all that is left of the text goes
/// before one whose key is what is left up to the first dot. Where nothing is found, `set` makes maps of
/// what is between the dots: a member `a.b` is made by `["a.b"]`.
pub trait Path {
    #[doc(hidden)]
    fn route(&self) -> Route<'_>;
}

impl<T: AsRef<str> + ?Sized> Path for &T {
    #[inline(always)]
    fn route(&self) -> Route<'_> {
        Route::text(self.as_ref(), b'.')
    }
}

impl<const N: usize> Path for [&str; N] {
    fn route(&self) -> Route<'_> {
        Route::Parts(self)
    }
}

/// A path out of a configuration, in the form of Fluent Bit's record accessor: `$a['b'][0]`. What does not
/// begin with a `$` is a text with dots.
///
/// ```
/// use flb_filter::{Accessor, Map};
///
/// let map = Map::new().with("a.b", Map::new().with("c.d", [1, 2]));
/// let path: Accessor = "$a.b['c.d'][1]".parse().unwrap();
/// assert_eq!(map.get(&path).and_then(|v| v.as_i64()), Some(2));
/// assert!("$a[b]".parse::<Accessor>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accessor {
    text: String,
    /// What is between the parts of the text.
    separator: u8,
}

impl core::str::FromStr for Accessor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "expected a path in the form $a['b'][0] or a.b.0";
        let (all, separator) = text.strip_prefix('$').map_or((text, b'.'), |rest| (rest, 0));
        let (first, mut rest) = all.split_at(all.find('[').filter(|_| separator == 0).unwrap_or(all.len()));
        let mut text = String::from(first);
        while let Some(inner) = rest.strip_prefix('[') {
            let (part, after) = match inner.chars().next().filter(|c| "'\"".contains(*c)) {
                Some(quote) => inner[1..].split_once(&*String::from_iter([quote, ']'])),
                None => inner.split_once(']').filter(|(n, _)| n.parse::<usize>().is_ok()),
            }
            .ok_or(FORM)?;
            text.push(char::from(separator));
            text.push_str(part);
            rest = after;
        }
        (rest.is_empty() && !first.is_empty()).then_some(Accessor { text, separator }).ok_or(FORM)
    }
}

impl Path for &Accessor {
    fn route(&self) -> Route<'_> {
        Route::text(&self.text, self.separator)
    }
}

/// What is left of a path: never nothing.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Route<'p> {
    /// A text, what is between its parts, and where its first part ends.
    Text(&'p str, u8, usize),
    Parts(&'p [&'p str]),
}

impl<'p> Route<'p> {
    /// The compiler knows where a text ends that it knows.
    #[inline(always)]
    fn text(text: &'p str, separator: u8) -> Self {
        let end = text.bytes().position(|b| b == separator);
        Route::Text(text, separator, end.unwrap_or(text.len()))
    }

    /// Returns the key of a path that is nothing but a key.
    #[inline(always)]
    pub(crate) fn key(self) -> Option<&'p str> {
        match self {
            Route::Text(text, _, end) => Some(text).filter(|_| end == text.len()),
            Route::Parts(parts) => Some(*parts.first()?).filter(|_| parts.len() == 1),
        }
    }

    /// Returns the first part, and what is left then.
    pub(crate) fn split(self) -> (&'p str, Option<Route<'p>>) {
        match self {
            Route::Text(text, _, end) if end == text.len() => (text, None),
            Route::Text(text, by, end) => (&text[..end], Some(Route::text(&text[end + 1..], by))),
            Route::Parts([]) => ("", None),
            Route::Parts([key]) => (key, None),
            Route::Parts([key, rest @ ..]) => (key, Some(Route::Parts(rest))),
        }
    }

    /// Follows the path from a value: that of a part, or one in it.
    pub(crate) fn follow<'a>(self, from: Value<'a>, part: Option<&Part<'a>>) -> Found<'a, 'p> {
        let found = |key, value| Found { holder: from, last: self, key, value };
        let member = |key: Key| part.map_or_else(|| from.member(key.text), |part| part.look_up(key));
        let is_text = matches!(self, Route::Text(_, b'.', _));
        if let Route::Text(text, b'.', _) = self {
            let key = Key::new(text);
            if let Some(value) = member(key) {
                return found(key, Some(value));
            }
        }
        let (key, rest) = self.split();
        let key = Key::new(key);
        let value = match from.kind() {
            Kind::Array => key.text.parse().ok().and_then(|n| from.elements().nth(n)),
            _ if rest.is_none() && is_text => None,
            _ => member(key),
        };
        match (value, rest) {
            (Some(next), Some(rest)) => rest.follow(next, None),
            _ => found(key, value),
        }
    }

    /// Writes a value, in maps by which what is left of a path behind its first part leads to it.
    pub(crate) fn write_new(self, value: &dyn ToValue, to: &mut Vec<u8>) {
        let mut rest = self.split().1;
        while let Some((key, more)) = rest.map(Route::split) {
            to.push(0x81);
            key.write(to);
            rest = more;
        }
        value.write(to);
    }
}

/// Where a path leads to.
pub(crate) struct Found<'a, 'p> {
    /// The innermost value that is there and holds others.
    pub holder: Value<'a>,
    /// What is left of the path from there on.
    pub last: Route<'p>,
    /// The key in the holder.
    pub key: Key<'p>,
    pub value: Option<Value<'a>>,
}

impl Found<'_, '_> {
    /// Writes the holder with another value at the end of the path, or with none. Returns false if there
    /// is none to be removed, or no map to add it to.
    pub(crate) fn write_changed(&self, mut new: Option<&dyn ToValue>, to: &mut Vec<u8>) -> bool {
        let (kind, key) = (self.holder.kind(), self.key.text);
        if self.value.is_none() && (new.is_none() || kind != Kind::Map) {
            return false;
        }
        let (mut count, mut entries) = (0, Vec::new());
        for (i, (k, v)) in self.holder.entries(kind).enumerate() {
            let hit = if kind == Kind::Map { k.is_key(key) } else { key.parse() == Ok(i) };
            if hit && new.is_none() {
                continue;
            }
            count += 1;
            if kind == Kind::Map {
                append(&mut entries, k.bytes);
            }
            match if hit { new.take() } else { None } {
                Some(value) => value.write(&mut entries),
                None => append(&mut entries, v.bytes),
            }
        }
        if let Some(value) = new {
            key.write(&mut entries);
            self.last.write_new(value, &mut entries);
            count += 1;
        }
        match self.holder.bytes[0] {
            0xdf => write_number(to, 0xdd, 2, count as u64), // that of a Map stays as long
            _ => write_head(to, kind, count),
        }
        append(to, &entries);
        true
    }
}
