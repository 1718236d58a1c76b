//! What the tests share: the server, client and pictures of `testkit`, and looks at what else a test
//! can see. Nothing here asserts the contract; that is the tests' work.

pub mod browser;
pub mod cgroup;
pub mod clips;
pub mod database;
pub mod dirty;
pub mod disk;
pub mod exiftool;
pub mod icc;
pub mod mount;
pub mod network;
pub mod pixels;
pub mod published;
pub mod upstream;
pub mod validator;
pub mod webdriver;
pub mod work;

pub use testkit::{Answer, Client, File, Launch, Server, Uploaded};
pub use testkit::{
    client, eventually, nginx, pictures, postgres, programs, proxy, s3, server, varnish,
};
