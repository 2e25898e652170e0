//! E-mail addresses in a text.

/// Returns the text with `***` for each address; `None` if there is none.
pub fn addresses(text: &str, found: &mut u32) -> Option<String> {
    let domain = |c: char| c.is_ascii_alphanumeric() || c == '-' || !c.is_ascii();
    let local = |c: char| domain(c) || "._%+".contains(c);
    let (mut masked, mut done, mut from) = (String::new(), 0, 0);
    while let Some(at) = text[from..].find('@').map(|at| from + at) {
        from = at + 1;
        let start = done + text[done..at].trim_end_matches(local).len();
        let host = text[from..].split(|c| !domain(c) && c != '.').next()?.trim_end_matches('.');
        if start < at && !host.is_empty() && !host.starts_with('.') {
            masked.push_str(&text[done..start]);
            masked.push_str("***");
            done = from + host.len();
            from = done;
            *found += 1;
        }
    }
    (done > 0).then(|| masked + &text[done..])
}
