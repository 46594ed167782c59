"""These tests are nearly all compilation, in many small pieces."""

import jax

# Read by JAX where a cache directory is set; its default keeps pieces that
# took a second or more, which leaves out most of those here.
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
