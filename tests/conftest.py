"""What every test runs under: four CPU devices, strict ranks, fast compiles.

Set when pytest loads this file, before any test module can start a backend.
"""

import ctypes
import functools
import os
import pathlib
import sys

import hypothesis
import jax
from jax._src import compiler as jax_compiler
import pytest

# Several devices, on any machine: an accelerator's single one would not show
# what depends on how a batch is spread. JAX_PLATFORMS in the environment wins.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])
jax.config.update("jax_num_cpu_devices", 4)
# [N] + [N, 1] is a mistake more often than a wish.
jax.config.update("jax_numpy_rank_promotion", "raise")

# Most of the suite's time would be compilation. The variable, and not only the
# option, so that commands which tests start share the cache.
_CACHE = os.environ.setdefault(
  "JAX_COMPILATION_CACHE_DIR",
  str(
    pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    / "rotjax"
    / f"tests-jax{jax.__version__}"
  ),
)
jax.config.update("jax_compilation_cache_dir", _CACHE)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)

# A test runs a program a few times: to optimize it costs more than it saves.
# Commands that tests start read the variable.
_UNOPTIMIZED = "JAX_DISABLE_MOST_OPTIMIZATIONS"
os.environ[_UNOPTIMIZED] = "1"

# The emitters of fused operations, which take two thirds of what is left of
# compiling. jax 0.10 has others; later ones do not, and refuse the flag.
_EMITTERS = "xla_cpu_use_fusion_emitters"
_HAS_OTHERS = jax.__version_info__ < (0, 11)
if _HAS_OTHERS:
  _FLAGS = os.environ.get("XLA_FLAGS", "")
  os.environ["XLA_FLAGS"] = f"{_FLAGS} --{_EMITTERS}=false".strip()

# The same examples on every run: a test that fails once fails again.
hypothesis.settings.register_profile(
  "rotjax",
  deadline=None,
  derandomize=True,
  database=None,
  max_examples=30,
  suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("rotjax")


# A worker that kept every module's programs would need several GB.
_MOST_MB = 1300
# How the last module's programs were.
_compiled = {"optimized": False}


def _memory_mb() -> float:
  """What this process holds now; no end of it where that is not told."""
  try:
    pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
  except OSError:
    return float("inf")
  return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.fixture(autouse=True, scope="module")
def compiler(request):
  """Compiles a module marked `optimized` as in production, others quickly."""
  optimized = request.node.get_closest_marker("optimized") is not None
  changes, _compiled["optimized"] = (
    optimized != _compiled["optimized"],
    optimized,
  )
  if changes or _memory_mb() > _MOST_MB:
    jax.clear_caches()
    # Of memory that is free, too, glibc gives back only when asked to.
    if sys.platform == "linux":
      getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
  jax.config.update("jax_disable_most_optimizations", not optimized)
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv(_UNOPTIMIZED, str(int(not optimized)))
    if optimized and _HAS_OTHERS:
      patch.setattr(jax_compiler, "get_compile_options", _with_emitters)
    yield


def _with_emitters(*args, _real=jax_compiler.get_compile_options, **kwargs):
  """The compiler's options for production's programs, whatever XLA_FLAGS are.

  jax has an option of `jax.jit` for it, and none for all that is compiled.
  """
  options = _real(*args, **kwargs)
  options.env_option_overrides = [
    *options.env_option_overrides,
    (_EMITTERS, True),
  ]
  return options


@pytest.fixture(scope="module")
def quick_runs(compiler):
  """A module's runs compile what they share once, and draw no plots.

  Tracing, lowering, loading and matplotlib are two thirds of what a run of a
  few steps takes. The builders are pure: what they built for one run is right
  for the next that is described by equal values.
  """
  from rotjax import models
  from rotjax.evaluation import evaluator
  from rotjax.figures import plots
  from rotjax.training import step
  from rotjax.training.executors import program

  builders = ((models, "build"), (program, "build"), (step, "make_train_step"))
  kind = evaluator.Evaluator
  with pytest.MonkeyPatch.context() as patch:
    for module, name in builders:
      patch.setattr(module, name, functools.cache(getattr(module, name)))
    for name in ("_score", "_predict"):
      shared = functools.cache(getattr(kind, name).func)
      patch.setattr(kind, name, property(shared))
    patch.setattr(plots, "write_all", lambda *_: {})
    yield


@pytest.fixture(scope="session")
def reported_sweep(tmp_path_factory):
  """A sweep's folder and its page; two arms of four have no results."""
  from tests import run_folders

  workdir = tmp_path_factory.mktemp("sweep") / "tiny"
  run_folders.write_mixed_sweep(workdir)
  return workdir, run_folders.report_of(workdir)


@pytest.fixture(scope="session")
def reported_run(tmp_path_factory):
  """A run's folder and its page."""
  from tests import run_folders

  folder = tmp_path_factory.mktemp("run") / "one"
  settings = run_folders.config()
  settings.name = "one"
  run_folders.write_run(folder, settings, run_folders.predictions())
  return folder, run_folders.report_of(folder)
