use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the project.
pub(crate) struct File {
    /// From the root of the project, with `/` everywhere.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }
}

pub(crate) fn root() -> PathBuf {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.parent().expect("this crate is a folder of the project").to_owned()
}

/// All text files of the project, sorted by path: no build output, nothing hidden but `.ci`.
pub(crate) fn files() -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(
        found.iter().any(|file| file.path == "Cargo.toml"),
        "looked in the wrong place: {}",
        root.display()
    );
    found
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("a folder of the project can be read") {
        let path = entry.expect("a folder of the project can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if (name.starts_with('.') && name != ".ci") || name.starts_with("target") || name == "__pycache__" {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root).expect("found below the root");
            let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
            found.push(File { path: parts.join("/"), text });
        }
    }
}
