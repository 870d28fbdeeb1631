//! Whether a command printed what its page shows.
//!
//! Lines are compared word by word, so columns may have other widths. In a page, a line `...` stands for any lines, a
//! word `…` for any words and `…` within a word for any characters; one age stands for another.

/// What is wrong, if anything.
pub(crate) fn compare(shown: &[String], printed: &str) -> Result<(), String> {
    let shown: Vec<Vec<&str>> = lines(shown.iter().map(String::as_str));
    if shown.is_empty() {
        return Ok(());
    }
    let printed_lines = lines(printed.lines());
    if fits(&shown, &printed_lines) {
        return Ok(());
    }
    let shown: Vec<_> = shown.iter().map(|line| line.join(" ")).collect();
    Err(format!(
        "it shows\n    {}\nand this was printed\n    {}",
        shown.join("\n    "),
        printed.trim().replace('\n', "\n    ")
    ))
}

fn lines<'a>(text: impl Iterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
    text.map(|line| line.split_whitespace().collect()).filter(|words: &Vec<_>| !words.is_empty()).collect()
}

fn fits(shown: &[Vec<&str>], printed: &[Vec<&str>]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first.as_slice() == ["..."] => {
            (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..]))
        }
        Some((first, rest)) => printed.split_first().is_some_and(|(line, printed)| {
            let fits_here = if first.contains(&"…") {
                same(&first.join(" "), &line.join(" "))
            } else {
                first.len() == line.len() && first.iter().zip(line).all(|(shown, word)| same(shown, word))
            };
            fits_here && fits(rest, printed)
        }),
    }
}

fn same(shown: &str, word: &str) -> bool {
    if is_age(shown) && is_age(word) {
        return true;
    }
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|first| word.strip_prefix(first)) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// `12s`, `3m4s`, `2h`: what kubectl calls an age.
fn is_age(word: &str) -> bool {
    !word.is_empty()
        && word.split_inclusive(['s', 'm', 'h', 'd']).all(|part| {
            let digits = part.trim_end_matches(['s', 'm', 'h', 'd']);
            digits.len() + 1 == part.len()
                && !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits_text(shown: &str, printed: &str) -> bool {
        compare(&shown.lines().map(str::to_owned).collect::<Vec<_>>(), printed).is_ok()
    }

    #[test]
    fn columns_ages_and_what_a_page_leaves_out_may_differ() {
        assert!(fits_text("NAME   AGE\nphotos 12s", "NAME     AGE\nphotos   3m4s\n"));
        assert!(fits_text("task 2…9 at http://127.0.0.1:…/", "task 200479 at http://127.0.0.1:4711/"));
        assert!(fits_text("a\n...\nd", "a\nb\nc\nd"));
        assert!(fits_text("OMS said: …", "OMS said:  no such bucket"));
        assert!(fits_text("", "anything"));
    }

    #[test]
    fn another_word_another_line_and_a_missing_one_are_found() {
        assert!(!fits_text("photos Succeeded", "photos Failed"));
        assert!(!fits_text("a\nb", "a"));
        assert!(!fits_text("a", "a\nb"));
        assert!(!fits_text("photos 12s", "photos twelve"));
        assert!(!fits_text("2…9", "2004"));
    }
}
