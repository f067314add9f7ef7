use super::files::File;

/// A function as it stands in a formatted source file.
#[derive(Debug, Default)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The comment right above, without the slashes.
    pub(crate) comment: String,
    pub(crate) attributes: String,
    /// Everything between the line of its name and its last brace.
    pub(crate) body: String,
}

impl Function {
    pub(crate) fn is_test(&self) -> bool {
        self.attributes.contains("#[test]")
            || self.attributes.contains("::test]")
            || self.attributes.contains("::test(")
    }
}

/// The functions of a file in rustfmt's layout: a body ends at the brace that is indented like its head.
pub(crate) fn functions(file: &File) -> Vec<Function> {
    let mut found = Vec::new();
    let mut next = Function::default();
    let mut lines = file.text.lines();
    while let Some(line) = lines.next() {
        let text = line.trim();
        if text.starts_with("//") && !text.starts_with("//!") {
            next.comment.push_str(text.trim_start_matches('/').trim());
            next.comment.push('\n');
        } else if text.starts_with("#[") {
            next.attributes.push_str(text);
            let mut open = depth(text);
            while open > 0
                && let Some(more) = lines.next()
            {
                next.attributes.push_str(more.trim());
                open += depth(more);
            }
        } else if let Some(name) = name_of(text) {
            let indent = &line[..line.len() - line.trim_start().len()];
            next.name = name.to_owned();
            if !text.ends_with('}') {
                let end = format!("{indent}}}");
                for body in lines.by_ref().take_while(|line| **line != end) {
                    next.body.push_str(body);
                    next.body.push('\n');
                }
            }
            found.push(std::mem::take(&mut next));
        } else {
            next = Function::default();
        }
    }
    found
}

fn depth(line: &str) -> i64 {
    let count = |wanted| i64::try_from(line.matches(wanted).count()).unwrap_or(0);
    count('[') - count(']')
}

fn name_of(line: &str) -> Option<&str> {
    let mut rest = line;
    loop {
        rest = match rest.split_once(' ')? {
            ("fn", rest) => {
                let end = rest.find(|next: char| !next.is_alphanumeric() && next != '_')?;
                return Some(&rest[..end]);
            }
            (word, rest) if word.starts_with("pub") || ["async", "const"].contains(&word) => rest,
            _ => return None,
        };
    }
}
