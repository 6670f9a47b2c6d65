//! `ferrule import ingress-nginx`: manifests of our own writing, started and asked; and the page that tells of it.

mod manifests;
mod page;
mod stage;
