/// The project of an envelope URL: `{prefix}/api/{project}/envelope/` (AU-2), with or without the final slash.
pub(super) fn project(path: &str) -> Option<&str> {
    let path = path.strip_suffix('/').unwrap_or(path).strip_suffix("/envelope")?;
    let (prefix, project) = path.rsplit_once('/')?;
    let is_api =
        prefix.strip_suffix("/api").is_some_and(|before| before.is_empty() || before.starts_with('/'));
    (is_api && !project.is_empty()).then_some(project)
}

#[cfg(test)]
mod tests {
    use super::project;

    /// AU-2: path prefixes are kept, project ids need not be numbers.
    #[test]
    fn the_project_is_found_behind_any_prefix() {
        for (path, expected) in [
            ("/api/42/envelope/", Some("42")),
            ("/api/42/envelope", Some("42")),
            ("/a/b/api/shop/envelope/", Some("shop")),
            ("/api/api/envelope/", Some("api")),
            ("/api/42/store/", None),
            ("/api//envelope/", None),
            ("/xapi/42/envelope/", None),
            ("api/42/envelope/", None),
            ("/envelope/", None),
            ("/", None),
            ("", None),
            ("*", None),
        ] {
            assert_eq!(project(path), expected, "{path}");
        }
    }
}
