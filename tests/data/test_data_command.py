import numpy as np
import PIL.Image
import pytest

from rotjax import data
from rotjax.data import __main__ as command


def test_prepare_says_where(tmp_path, capsys):
  root = tmp_path / "given"
  assert command.main(["prepare", "mnist_5k", "--dir", str(root)]) == 0
  folder = root / "mnist_5k" / "1.0.0"
  assert capsys.readouterr() == (f"mnist_5k is ready in {folder}\n", "")
  assert (folder / "dataset_info.json").exists()
  # The same again finds it.
  assert command.main(["prepare", "mnist_5k", "--dir", str(root)]) == 0


def test_an_unknown_name_is_one_line(capsys):
  assert command.main(["prepare", "minst"]) == 2
  out, err = capsys.readouterr()
  assert (out, err.count("\n")) == ("", 1)
  assert "unknown dataset 'minst': did you mean 'mnist'" in err


@pytest.mark.parametrize(
  ("argv", "message"),
  [
    ([], "required: COMMAND"),
    (["prepare"], "name either a dataset or a --config FILE"),
    (["prepare", "mnist_5k", "--config", "smoke"], "name either"),
    (["prepare", "folder", "--config.data.dir=x"], "needs a --config FILE"),
    (["prepare", "--config", "folder", "--dir", "x"], "use --config.data.dir"),
    (["prepare", "--config", "folder"], "data.dir is not set"),
    (["prepare", "--config", "folder", "--config.data.sides=9"], "'data.side'"),
    (["prepare", "--config", "smoke", "--config.data.name=x"], "dataset 'x'"),
    (["prepare", "folder", "--sid", "9"], "unknown flag --sid"),
  ],
)
def test_wrong_arguments_are_one_line(argv, message, capsys):
  assert command.main(argv) == 2
  out, err = capsys.readouterr()
  assert message in err and (out, err.count("\n")) == ("", 1)


def test_the_dataset_of_a_config(tmp_path, capsys):
  root = tmp_path / "pictures"
  root.mkdir()
  rng = np.random.default_rng(0)
  for i in range(40):
    pixels = rng.integers(0, 256, (20, 20, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(root / f"{i}.bmp")
  options = ["--config", "folder", f"--config.data.dir={root}"]
  for shares in ("test", "validation"):
    options.append(f"--config.data.{shares}_share=0.2")
  assert command.main(["prepare", *options, "--config.data.side=12"]) == 0
  (folder,) = (tmp_path / "cache/rotjax/tfds/folder").glob("pictures-*/1.0.0")
  assert capsys.readouterr().out == f"folder is ready in {folder}\n"
  # What a run with the same options uses.
  shares = {"test_share": 0.2, "validation_share": 0.2}
  dataset = data.find("folder")(str(root), side=12, channels=1, **shares)
  assert dataset.prepare() == folder
  assert dataset.load("test").shape == (12, 12, 1)


@pytest.mark.parametrize("args", [["--help"], ["prepare", "--help"]])
def test_help_shows_examples(args, capsys):
  with pytest.raises(SystemExit) as e:
    command.main(args)
  assert e.value.code == 0
  assert capsys.readouterr().out.count("  python -m rotjax.data prepare") == 3


def test_the_module_runs(helpers):
  process = helpers.python("-m", "rotjax.data", "prepare", "nothing")
  out, err = process.communicate(timeout=60)
  assert (out, process.returncode) == ("", 2)
  assert err.startswith("unknown dataset 'nothing'") and err.count("\n") == 1
