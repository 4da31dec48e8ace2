#![doc = include_str!(concat!(env!("OUT_DIR"), "/README.md"))]
#![allow(rustdoc::invalid_rust_codeblocks, reason = "pages are Markdown first")]

include!(concat!(env!("OUT_DIR"), "/pages.rs"));
