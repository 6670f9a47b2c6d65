//! The control thread, plain std: signals, reload, name resolution, the log writer.
