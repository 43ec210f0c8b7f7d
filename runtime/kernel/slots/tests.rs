//! The slots alone: no kernel, no loop.
