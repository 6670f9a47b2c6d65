//! The data cores: the only room that knows monoio.
